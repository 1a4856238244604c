//! Looking at the world without changing it: what cmdlets, WMI instances and expectations see.

use hvrsim_replica::operation::Settings;
use hvrsim_types::code::ReturnCode;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{CopyId, HostId, JobId, PointId, SessionId, VmId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::network::Adapter;
use hvrsim_types::size::Bytes;
use hvrsim_types::state::{Health, Mode, Power, ReplicationState, ReplicationType};
use hvrsim_types::time::{Calendar, Instant, Span};
use uuid::Uuid;

/// One copy as a client of its host sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyView {
    /// Which copy.
    pub copy: CopyId,
    /// The machine's GUID, the same on both hosts.
    pub guid: Uuid,
    /// Power.
    pub power: Power,
    /// `ReplicationMode`.
    pub mode: Mode,
    /// `ReplicationState`, as shown: the requested one while a request is under way.
    pub state: ReplicationState,
    /// `ReplicationHealth`.
    pub health: Health,
    /// Why the health is not normal, a sentence each (`ReplicationHealthDetails`).
    pub health_details: Vec<String>,
    /// The host at the other end of the relationship.
    pub peer: Option<HostId>,
    /// The relationship's settings.
    pub settings: Settings,
    /// `LastReplicationTime`: last send (primary) or receipt (replica).
    pub last_replication: Option<Instant>,
    /// `LastApplyTime`.
    pub last_apply: Option<Instant>,
    /// `LastReplicationType`.
    pub last_type: ReplicationType,
    /// `FailedOverReplicationType`.
    pub failed_over_type: ReplicationType,
    /// Statistics of the monitoring interval.
    pub statistics: StatisticsView,
    /// The mutating job under way.
    pub job: Option<JobId>,
    /// User checkpoints.
    pub checkpoints: u32,
    /// Disks are marked inconsistent by a broken failback.
    pub inconsistent: bool,
    /// Virtual sizes of its disks, in order.
    pub disks: Vec<Bytes>,
}

impl CopyView {
    /// Whether this is the extended relationship of a middle copy, in which that copy is the primary.
    #[must_use]
    pub const fn is_extended(&self) -> bool {
        self.copy.vm.is_extended()
    }

    /// The path of one of its disks.
    #[must_use]
    pub fn disk_path(&self, disk: u8, look: &dyn Look) -> String {
        crate::paths::disk_path(look.vm_name(self.copy.vm), disk)
    }

    /// The numbers of its disks, those that are replicated or the others.
    #[must_use]
    pub fn disk_numbers(&self, replicated: bool) -> Vec<u8> {
        let all = DiskSet::first(self.disks.len());
        let set = all.and(self.settings.disks);
        if replicated { set.iter().collect() } else { all.without(set).iter().collect() }
    }

    /// The mode of the machine, of an extended relationship too: only a replica has one.
    #[must_use]
    pub const fn machine_mode(&self) -> Mode {
        if self.is_extended() { Mode::Replica } else { self.mode }
    }
}

/// `Msvm_ReplicationStatistics`, `Measure-VMReplication`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatisticsView {
    /// Start of the window.
    pub since: Instant,
    /// `ReplicationSuccessCount`.
    pub successes: u32,
    /// `ReplicationMissCount`.
    pub missed: u32,
    /// `NetworkFailureCount` and `ReplicationFailureCount`.
    pub errors: u32,
    /// `ApplicationConsistentSnapshotFailureCount`.
    pub vss_failures: u32,
    /// `ReplicationSize` in bytes: total.
    pub size_bytes: u64,
    /// `MaxReplicationSize` in bytes.
    pub max_size_bytes: u64,
    /// `PendingReplicationSize` in bytes.
    pub pending_bytes: u64,
    /// Total latency of the cycles.
    pub latency: Span,
    /// Longest cycle.
    pub max_latency: Span,
}

/// A recovery point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PointView {
    /// Its id.
    pub id: PointId,
    /// Its GUID, the same wherever the point is kept.
    pub guid: Uuid,
    /// The moment of the primary whose content it has.
    pub taken: Instant,
    /// Its kind.
    pub kind: ReplicationType,
}

/// A network adapter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdapterView {
    /// Its GUID, the same on every copy.
    pub guid: Uuid,
    /// How it is set up on this copy.
    pub adapter: Adapter,
}

/// A job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobView {
    /// Its id on its host.
    pub id: JobId,
    /// The host.
    pub host: HostId,
    /// The machine it works on.
    pub vm: VmId,
    /// `JobType`.
    pub kind: JobType,
    /// `JobState`.
    pub state: JobState,
    /// The sub-phase, for instance `waiting-for-provider`.
    pub phase: &'static str,
    /// `PercentComplete`, 0 to 100.
    pub percent: u8,
    /// `ErrorCode`: 0 while there is none.
    pub error: ReturnCode,
    /// `ErrorDescription`: what, and what to do.
    pub error_text: String,
    /// When it was accepted.
    pub submitted: Instant,
    /// When it ended.
    pub ended: Option<Instant>,
    /// Bytes compared, if it is a resynchronization.
    pub compared_bytes: u64,
    /// Payload sent, if it is a resynchronization.
    pub sent_bytes: u64,
    /// Payload sent again after interruptions.
    pub resent_bytes: u64,
}

/// Read access to the world by name and id.
pub trait Look {
    /// The virtual time.
    fn now(&self) -> Instant;
    /// The calendar of the scenario.
    fn calendar(&self) -> &Calendar;
    /// Names of all hosts, in order of their ids.
    fn host_names(&self) -> Vec<String>;
    /// Names of all virtual machines, in order of their ids.
    fn vm_names(&self) -> Vec<String>;
    /// The host of that name, without regard to case.
    fn host(&self, name: &str) -> Option<HostId>;
    /// The machine of that name, without regard to case.
    fn vm(&self, name: &str) -> Option<VmId>;
    /// Client access points of the brokers of clusters.
    fn access_points(&self) -> Vec<String>;
    /// The node that a client access point stands for when it is asked about a machine.
    fn node_behind(&self, access_point: &str, vm: VmId) -> Option<HostId>;
    /// What a host is called as the end of a relationship: the access point of its cluster's broker, or its own name.
    fn connection_point(&self, host: HostId) -> &str {
        self.host_name(host)
    }
    /// Whether the cluster can move a copy to a node.
    fn can_move(&self, copy: CopyId, to: HostId) -> bool;
    /// A host's name.
    fn host_name(&self, host: HostId) -> &str;
    /// A machine's name.
    fn vm_name(&self, vm: VmId) -> &str;
    /// Whether a host is up.
    fn host_is_up(&self, host: HostId) -> bool;
    /// Whether a host is enabled as a replica server (`RecoveryServerEnabled`).
    fn is_replica_server(&self, host: HostId) -> bool;
    /// Whether one host reaches another now: both are up and the link between them is not cut.
    fn reaches(&self, from: HostId, to: HostId) -> bool;
    /// A copy, if the host holds one; or its extended relationship, by the id that [`CopyId::extended`] gives it.
    fn copy(&self, copy: CopyId) -> Option<CopyView>;
    /// The network adapters of a copy.
    fn adapters(&self, copy: CopyId) -> Vec<AdapterView>;
    /// Whether a host has a switch of that name.
    fn has_switch(&self, host: HostId, name: &str) -> bool;
    /// The machine and the session of the initial replica that a folder holds, in any spelling of its path.
    fn media(&self, folder: &str) -> Option<(VmId, SessionId)>;
    /// The recovery points kept on a copy, oldest first.
    fn points(&self, copy: CopyId) -> Vec<PointView>;
    /// The point with this GUID, wherever it is kept.
    fn point_by_guid(&self, guid: Uuid) -> Option<PointId>;
    /// A job that has not been removed yet (five minutes after its end).
    fn job(&self, host: HostId, job: JobId) -> Option<JobView>;
    /// All jobs of a copy that have not been removed yet, oldest first.
    fn jobs(&self, copy: CopyId) -> Vec<JobView>;
}
