//! [`Look`] over a simulator.

use hvrsim_replica::copy::Copy;
use hvrsim_replica::job::{Job, KEPT_AFTER_END, Stage};
use hvrsim_types::id::{CopyId, HostId, JobId, PointId, SessionId, VmId, guid};
use hvrsim_types::job::JobState;
use hvrsim_types::network::Adapter;
use hvrsim_types::time::{Calendar, Instant};
use uuid::Uuid;

use crate::look::{AdapterView, CopyView, JobView, Look, PointView, StatisticsView};
use crate::sim::Sim;
use crate::store::DiskStore;
use crate::world::{Machine, VmInfo};

impl<D: DiskStore> Sim<D> {
    fn copy_state(&self, copy: CopyId) -> Option<(&Machine, &Copy)> {
        let host = self.world.hosts.get(usize::from(copy.host.0))?;
        Some((self.world.machine(copy)?, host.service.relationship(copy.vm)?))
    }

    fn statistics(&self, copy: CopyId, state: &Copy) -> StatisticsView {
        let s = &state.statistics;
        StatisticsView {
            since: s.since,
            successes: s.successes,
            missed: s.missed,
            errors: s.errors,
            vss_failures: s.vss_failures,
            size_bytes: s.size_bytes,
            max_size_bytes: s.max_size_bytes,
            pending_bytes: self.store.log_pending(copy),
            latency: s.latency,
            max_latency: s.max_latency,
        }
    }

    fn job_view(&self, host: HostId, job: &Job) -> JobView {
        let counts = job.session.map(|id| self.session_total(id)).unwrap_or_default();
        JobView {
            id: job.id,
            host,
            vm: job.vm,
            kind: job.kind,
            state: job.state,
            phase: phase(job, counts.sent_bytes),
            percent: percent(job, counts.blocks_done, counts.blocks_total),
            error: job.error,
            error_text: job.error_text.clone(),
            submitted: job.submitted,
            ended: job.ended,
            compared_bytes: counts.compared_bytes,
            sent_bytes: counts.sent_bytes,
            resent_bytes: counts.resent_bytes,
        }
    }

    fn kept(&self, job: &Job) -> bool {
        job.ended.is_none_or(|end| self.world.now < end + KEPT_AFTER_END)
    }
}

fn phase(job: &Job, sent_bytes: u64) -> &'static str {
    match job.stage {
        Stage::Comparing if sent_bytes > 0 => Stage::Transferring.name(),
        stage => stage.name(),
    }
}

fn percent(job: &Job, done: u64, total: u64) -> u8 {
    match job.state {
        JobState::Completed => 100,
        _ if total == 0 => 0,
        _ => u8::try_from(u128::from(done) * 99 / u128::from(total)).unwrap_or(99),
    }
}

impl<D: DiskStore> Look for Sim<D> {
    fn now(&self) -> Instant {
        self.world.now
    }

    fn calendar(&self) -> &Calendar {
        &self.world.calendar
    }

    fn host_names(&self) -> Vec<String> {
        self.world.hosts.iter().map(|h| h.name.clone()).collect()
    }

    fn vm_names(&self) -> Vec<String> {
        let all = self.world.vms.iter().chain(self.world.test_vms.values());
        all.map(|info| info.name.clone()).collect()
    }

    fn host(&self, name: &str) -> Option<HostId> {
        let index = self.world.hosts.iter().position(|h| h.name.eq_ignore_ascii_case(name))?;
        u16::try_from(index).ok().map(HostId)
    }

    fn vm(&self, name: &str) -> Option<VmId> {
        let same = |info: &VmInfo| info.name.eq_ignore_ascii_case(name);
        if let Some(index) = self.world.vms.iter().position(same) {
            return u32::try_from(index).ok().map(VmId);
        }
        self.world.test_vms.iter().find(|(_, info)| same(info)).map(|(id, _)| *id)
    }

    fn access_points(&self) -> Vec<String> {
        self.world.clusters.iter().filter_map(|cluster| Some(cluster.broker.as_ref()?.name.clone())).collect()
    }

    fn node_behind(&self, access_point: &str, vm: VmId) -> Option<HostId> {
        self.world.node_behind(access_point, vm)
    }

    fn connection_point(&self, host: HostId) -> &str {
        let broker = self.world.cluster_of(host).and_then(|cluster| cluster.broker.as_ref());
        broker.map_or(&self.world.host(host).name, |broker| &broker.name)
    }

    fn can_move(&self, copy: CopyId, to: HostId) -> bool {
        self.cannot_move(copy, to).is_none()
    }

    fn host_name(&self, host: HostId) -> &str {
        &self.world.host(host).name
    }

    fn vm_name(&self, vm: VmId) -> &str {
        &self.world.vm(vm).name
    }

    fn host_is_up(&self, host: HostId) -> bool {
        self.world.host(host).up
    }

    fn is_replica_server(&self, host: HostId) -> bool {
        self.world.host(host).service.accepts
    }

    fn reaches(&self, from: HostId, to: HostId) -> bool {
        from == to || self.world.reachable(from, to).is_some()
    }

    fn copy(&self, copy: CopyId) -> Option<CopyView> {
        let (machine, state) = self.copy_state(copy)?;
        let (health, details) = state.health(self.world.now);
        Some(CopyView {
            copy,
            guid: self.world.vm(copy.vm).guid,
            power: machine.power,
            mode: state.mode,
            state: state.shown_state(),
            health,
            health_details: details.into_iter().map(str::to_owned).collect(),
            peer: state.peer,
            settings: state.settings.clone(),
            last_replication: state.last_replication,
            last_apply: state.last_apply,
            last_type: state.last_type,
            failed_over_type: state.failed_over_type,
            statistics: self.statistics(copy, state),
            job: state.job,
            checkpoints: machine.checkpoints,
            inconsistent: state.inconsistent,
            disks: self.store.sizes(copy),
        })
    }

    fn adapters(&self, copy: CopyId) -> Vec<AdapterView> {
        let Some(machine) = self.world.machine(copy) else { return Vec::new() };
        let vm = &self.world.vm(copy.vm).name;
        let view = |(number, adapter): (usize, &Adapter)| AdapterView {
            guid: guid(self.world.seed, "adapter", &format!("{vm}/{number}")),
            adapter: adapter.clone(),
        };
        machine.adapters.iter().enumerate().map(view).collect()
    }

    fn has_switch(&self, host: HostId, name: &str) -> bool {
        self.world.host(host).has_switch(name)
    }

    fn media(&self, folder: &str) -> Option<(VmId, SessionId)> {
        let path = folder.trim_end_matches(['\\', '/']).to_lowercase();
        let media = self.world.media.get(&path).filter(|media| media.whole)?;
        Some((media.source.vm, media.session))
    }

    fn points(&self, copy: CopyId) -> Vec<PointView> {
        let points = self.copy_state(copy).map(|(_, state)| state.points.clone()).unwrap_or_default();
        let view = |p: hvrsim_replica::copy::Point| PointView {
            id: p.id,
            guid: self.point_guid(p.id),
            taken: p.taken,
            kind: p.kind,
        };
        points.into_iter().map(view).collect()
    }

    fn point_by_guid(&self, guid: Uuid) -> Option<PointId> {
        self.world.points.keys().copied().find(|id| self.point_guid(*id) == guid)
    }

    fn job(&self, host: HostId, job: JobId) -> Option<JobView> {
        let job = self.world.hosts.get(usize::from(host.0))?.service.jobs.get(job)?;
        self.kept(job).then(|| self.job_view(host, job))
    }

    fn jobs(&self, copy: CopyId) -> Vec<JobView> {
        let jobs = self.world.host(copy.host).service.jobs.iter();
        jobs.filter(|j| j.vm == copy.vm && self.kept(j)).map(|j| self.job_view(copy.host, j)).collect()
    }
}

impl<D: DiskStore> Sim<D> {
    /// The GUID of a recovery point.
    #[must_use]
    pub fn point_guid(&self, point: PointId) -> Uuid {
        guid(self.world.seed, "point", &point.0)
    }
}
