//! A world that stands still: what tests of names and plans look at. The WMI crate's tests use it too.

use std::collections::BTreeMap;

use hvrsim_replica::operation::Settings;
use hvrsim_sim::look::{AdapterView, CopyView, JobView, Look, PointView, StatisticsView};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, HostId, JobId, PointId, SessionId, VmId, guid};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::network::Adapter;
use hvrsim_types::state::{Health, Mode, Power, ReplicationState, ReplicationType};
use hvrsim_types::time::{Calendar, Instant, Span};
use uuid::Uuid;

/// Hosts HV1, HV2 and DR3; `web01` on HV1 (Primary) and HV2 (Replica, three points); `web02` on HV1, waiting for its
/// initial replication; `db01` on HV1, not replicated. A job runs on HV1.
pub struct Fake {
    pub now: Instant,
    pub copies: BTreeMap<CopyId, CopyView>,
    pub points: Vec<PointView>,
    pub down: Option<HostId>,
    pub job: JobView,
    calendar: Calendar,
}

pub const HOSTS: &[&str] = &["HV1", "HV2", "DR3"];
pub const VMS: &[&str] = &["web01", "web02", "db01"];
pub const HV1: HostId = HostId(0);
pub const HV2: HostId = HostId(1);
pub const WEB01: VmId = VmId(0);

impl Fake {
    pub fn new() -> Self {
        let at = |minutes| Instant::START + Span::minutes(minutes);
        let point = |n: u64, kind| PointView {
            id: PointId::new(HV2, n),
            guid: guid(1, "point", &n),
            taken: at(n * 60),
            kind,
        };
        let mut fake = Self {
            now: at(200),
            copies: BTreeMap::new(),
            points: vec![
                point(1, ReplicationType::Regular),
                point(2, ReplicationType::ApplicationConsistent),
                point(3, ReplicationType::Planned),
            ],
            down: None,
            calendar: Calendar::default(),
            job: job(),
        };
        fake.add(HV1, WEB01, Mode::Primary, ReplicationState::Replicating, Power::Running);
        fake.add(HV2, WEB01, Mode::Replica, ReplicationState::Replicating, Power::Off);
        fake.add(HV1, VmId(1), Mode::Primary, ReplicationState::ReadyForInitialReplication, Power::Running);
        fake.add(HV1, VmId(2), Mode::None, ReplicationState::Disabled, Power::Saved);
        let primary = fake.copy_mut(HV1, WEB01);
        primary.last_replication = Some(at(195));
        primary.health = Health::Warning;
        primary.health_details =
            vec!["20 percent or more of the replication cycles have been missed.".into()];
        primary.checkpoints = 1;
        primary.statistics = StatisticsView {
            successes: 4,
            size_bytes: 50 << 20,
            pending_bytes: 3 << 19,
            latency: Span::seconds(50),
            ..StatisticsView::default()
        };
        fake
    }

    fn add(&mut self, host: HostId, vm: VmId, mode: Mode, state: ReplicationState, power: Power) {
        let copy = CopyId { host, vm };
        let peer = (mode != Mode::None).then_some(if host == HV1 { HV2 } else { HV1 });
        let view = CopyView {
            copy,
            guid: guid(1, "vm", &vm.0),
            power,
            mode,
            state,
            health: if mode == Mode::None { Health::NotApplicable } else { Health::Normal },
            health_details: Vec::new(),
            peer,
            settings: Settings::default(),
            last_replication: None,
            last_apply: None,
            last_type: ReplicationType::None,
            failed_over_type: ReplicationType::None,
            statistics: StatisticsView::default(),
            job: None,
            checkpoints: 0,
            inconsistent: false,
            disks: vec![hvrsim_types::size::Bytes(8 << 30); 2],
        };
        self.copies.insert(copy, view);
    }

    /// The replica on HV2 sends on to DR3.
    pub fn extended(state: ReplicationState) -> Self {
        let mut fake = Self::new();
        fake.add(HV2, WEB01.extended(), Mode::Primary, state, Power::Off);
        fake.copy_mut(HV2, WEB01.extended()).guid = guid(1, "vm", &WEB01.0);
        fake.copy_mut(HV2, WEB01.extended()).peer = Some(HostId(2));
        fake
    }

    pub fn copy_mut(&mut self, host: HostId, vm: VmId) -> &mut CopyView {
        self.copies.get_mut(&CopyId { host, vm }).expect("a copy")
    }
}

fn job() -> JobView {
    JobView {
        id: JobId(7),
        host: HV1,
        vm: WEB01,
        kind: JobType::Resynchronizing,
        state: JobState::Running,
        phase: "comparing",
        percent: 10,
        error: ReturnCode::COMPLETED,
        error_text: String::new(),
        submitted: Instant::START,
        ended: None,
        compared_bytes: 0,
        sent_bytes: 0,
        resent_bytes: 0,
    }
}

fn place(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|n| n.eq_ignore_ascii_case(name))
}

impl Look for Fake {
    fn now(&self) -> Instant {
        self.now
    }

    fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    fn host_names(&self) -> Vec<String> {
        HOSTS.iter().map(|h| (*h).to_owned()).collect()
    }

    fn vm_names(&self) -> Vec<String> {
        VMS.iter().map(|vm| (*vm).to_owned()).collect()
    }

    fn host(&self, name: &str) -> Option<HostId> {
        place(HOSTS, name).and_then(|i| u16::try_from(i).ok()).map(HostId)
    }

    fn vm(&self, name: &str) -> Option<VmId> {
        place(VMS, name).and_then(|i| u32::try_from(i).ok()).map(VmId)
    }

    fn host_name(&self, host: HostId) -> &str {
        HOSTS[usize::from(host.0)]
    }

    fn vm_name(&self, vm: VmId) -> &str {
        VMS[vm.index()]
    }

    fn host_is_up(&self, host: HostId) -> bool {
        self.down != Some(host)
    }

    fn is_replica_server(&self, host: HostId) -> bool {
        host != HV1
    }

    fn reaches(&self, from: HostId, to: HostId) -> bool {
        self.host_is_up(from) && self.host_is_up(to)
    }

    fn copy(&self, copy: CopyId) -> Option<CopyView> {
        self.copies.get(&copy).cloned()
    }

    fn access_points(&self) -> Vec<String> {
        Vec::new()
    }

    fn node_behind(&self, _access_point: &str, _vm: VmId) -> Option<HostId> {
        None
    }

    fn can_move(&self, copy: CopyId, to: HostId) -> bool {
        !self.copies.contains_key(&CopyId { host: to, vm: copy.vm })
    }

    fn adapters(&self, copy: CopyId) -> Vec<AdapterView> {
        let adapter = Adapter {
            name: Adapter::DEFAULT_NAME.to_owned(),
            switch: Some("LAN".to_owned()),
            address: None,
            failover: None,
            test_switch: None,
            test_pool: None,
        };
        let has = self.copies.contains_key(&copy) && copy.vm == WEB01;
        has.then(|| AdapterView { guid: guid(1, "adapter", &copy.vm.0), adapter }).into_iter().collect()
    }

    fn has_switch(&self, _host: HostId, name: &str) -> bool {
        ["LAN", "TEST"].contains(&name)
    }

    fn media(&self, folder: &str) -> Option<(VmId, SessionId)> {
        folder.to_lowercase().contains("web01_").then_some((WEB01, SessionId(1)))
    }

    fn points(&self, copy: CopyId) -> Vec<PointView> {
        let keeps = copy == (CopyId { host: HV2, vm: WEB01 });
        if keeps { self.points.clone() } else { Vec::new() }
    }

    fn point_by_guid(&self, guid: Uuid) -> Option<PointId> {
        self.points.iter().find(|p| p.guid == guid).map(|p| p.id)
    }

    fn job(&self, host: HostId, job: JobId) -> Option<JobView> {
        Some(self.job.clone()).filter(|j| j.host == host && j.id == job)
    }

    fn jobs(&self, copy: CopyId) -> Vec<JobView> {
        let here = copy == (CopyId { host: self.job.host, vm: self.job.vm });
        if here { vec![self.job.clone()] } else { Vec::new() }
    }
}
