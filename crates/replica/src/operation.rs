//! What an operator can ask of one copy of a virtual machine on one host.
//!
//! Cmdlets and WMI methods are two spellings of these; names are resolved to ids before.

use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{HostId, JobId, PointId, SessionId, VmId};
use hvrsim_types::network::AdapterChange;
use hvrsim_types::time::{Instant, Span};
use serde::{Deserialize, Serialize};

/// How often changes are sent (`ReplicationInterval`, `-ReplicationFrequencySec`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Frequency {
    /// 30 seconds.
    Seconds30,
    /// 5 minutes, the default.
    #[default]
    Minutes5,
    /// 15 minutes.
    Minutes15,
}

impl Frequency {
    /// The interval in seconds: 30, 300 or 900.
    #[must_use]
    pub const fn interval_s(self) -> u64 {
        match self {
            Self::Seconds30 => 30,
            Self::Minutes5 => 300,
            Self::Minutes15 => 900,
        }
    }

    /// The frequency with this interval, if it is one of the three.
    #[must_use]
    pub fn from_interval_s(interval_s: u64) -> Option<Self> {
        [Self::Seconds30, Self::Minutes5, Self::Minutes15].into_iter().find(|f| f.interval_s() == interval_s)
    }
}

/// The largest `RecoveryHistory` (Server 2012 R2 and later).
pub const RECOVERY_HISTORY_MAX: u8 = 24;

/// The longest interval of application-consistent recovery points, in hours.
pub const VSS_HOURS_MAX: u8 = 12;

/// The settings of a relationship (`Msvm_ReplicationSettingData`), as far as they change what happens.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// How often changes are sent.
    pub frequency: Frequency,
    /// Additional hourly recovery points, 0 to 24; 0 keeps the latest only.
    pub recovery_history: u8,
    /// Changes are compressed on the link.
    pub compression: bool,
    /// Start a required resynchronization without being asked, in the window.
    pub auto_resync: bool,
    /// The window's start, local time of day.
    pub auto_resync_start: Span,
    /// The window's end, local time of day; may lie before the start, the window then wraps midnight.
    pub auto_resync_end: Span,
    /// An application-consistent recovery point every so many hours, 1 to 12; 0 is none
    /// (`ApplicationConsistentSnapshotInterval`).
    pub vss_hours: u8,
    /// The disks that are replicated (`IncludedDisks`); a relationship is made of those that there are.
    pub disks: DiskSet,
}

impl Default for Settings {
    /// The defaults of `Msvm_ReplicationSettingData`.
    fn default() -> Self {
        Self {
            frequency: Frequency::default(),
            recovery_history: 0,
            compression: true,
            auto_resync: false,
            auto_resync_start: Span::minutes(18 * 60 + 30),
            auto_resync_end: Span::minutes(6 * 60),
            vss_hours: 0,
            disks: DiskSet::ALL,
        }
    }
}

/// A change of settings: what is `None` stays.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct SettingsChange {
    /// See [`Settings::frequency`].
    pub frequency: Option<Frequency>,
    /// See [`Settings::recovery_history`].
    pub recovery_history: Option<u8>,
    /// See [`Settings::compression`].
    pub compression: Option<bool>,
    /// See [`Settings::auto_resync`].
    pub auto_resync: Option<bool>,
    /// See [`Settings::auto_resync_start`].
    pub auto_resync_start: Option<Span>,
    /// See [`Settings::auto_resync_end`].
    pub auto_resync_end: Option<Span>,
    /// See [`Settings::vss_hours`].
    pub vss_hours: Option<u8>,
    /// See [`Settings::disks`]: the whole new set.
    pub disks: Option<DiskSet>,
}

impl SettingsChange {
    /// The settings after the change.
    #[must_use]
    pub fn applied_to(&self, old: &Settings) -> Settings {
        Settings {
            frequency: self.frequency.unwrap_or(old.frequency),
            recovery_history: self.recovery_history.unwrap_or(old.recovery_history),
            compression: self.compression.unwrap_or(old.compression),
            auto_resync: self.auto_resync.unwrap_or(old.auto_resync),
            auto_resync_start: self.auto_resync_start.unwrap_or(old.auto_resync_start),
            auto_resync_end: self.auto_resync_end.unwrap_or(old.auto_resync_end),
            vss_hours: self.vss_hours.unwrap_or(old.vss_hours),
            disks: self.disks.unwrap_or(old.disks),
        }
    }
}

/// How the initial replica gets to the other side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum InitialKind {
    /// Over the network (`StartReplication` type 1).
    Network,
    /// Over the network from a copy that is already there (type 3): only differences are sent.
    Seeded,
    /// On media: exported to a folder, carried, and imported (type 2).
    Media,
}

/// The settings given to `InitiateFailback`, as read from the embedded instance.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum FailbackSettings {
    /// They could not be read (32776).
    Unreadable,
    /// Null, empty, or without a provider or connection point (32773).
    Missing,
    /// A provider that is not registered on the host (32773).
    UnknownProvider,
    /// Read.
    Given {
        /// The host that the connection point names: the new primary's. `None` if no such host is known.
        from: Option<HostId>,
        /// Whether the provider can fail back. A provider that cannot gives 32770.
        capable: bool,
    },
}

/// Which recovery point somebody asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum PointChoice {
    /// Null: the latest.
    Latest,
    /// This one.
    Id(PointId),
    /// A well-formed identifier of no point.
    Unknown,
    /// Not an identifier at all (32773).
    Malformed,
}

/// What an operator asks of one copy.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Operation {
    /// `CreateReplicationRelationship`, `Enable-VMReplication`.
    Enable {
        /// The replica server.
        to: HostId,
        /// The relationship's settings.
        settings: Settings,
    },
    /// Requested state 2: this copy becomes a replica. `Enable-VMReplication -AsReplica`, `Set-VMReplication -AsReplica`.
    AsReplica,
    /// `StartReplication`, `Start-VMInitialReplication`.
    StartInitialReplication {
        /// The method.
        kind: InitialKind,
        /// When; `None` is now. At most 7 days ahead.
        at: Option<Instant>,
    },
    /// `StartReplication` of type 2, `Start-VMInitialReplication -DestinationPath`.
    ExportInitialReplica {
        /// The folder; the machine gets one of its own in it.
        folder: String,
    },
    /// `ImportInitialReplica`, `Import-VMInitialReplication`.
    ImportInitialReplica {
        /// What the folder holds: the machine, and the export's session; `None` if it holds no initial replica.
        from: Option<(VmId, SessionId)>,
    },
    /// Requested state 1, `Stop-VMInitialReplication`.
    StopInitialReplication,
    /// `ModifyReplicationSettings`, `Set-VMReplication`.
    Modify(SettingsChange),
    /// Requested state 7, `Suspend-VMReplication`.
    Suspend,
    /// Requested state 3, `Resume-VMReplication`, with or without `-Continue`.
    Resume,
    /// `Resynchronize`, `Resume-VMReplication -Resynchronize`.
    Resynchronize {
        /// When; `None` is now. At most 7 days ahead.
        at: Option<Instant>,
    },
    /// Requested state 9, `Stop-VMReplication`.
    StopResynchronize,
    /// Requested state 4, `Start-VMFailover -Prepare`.
    Prepare,
    /// `InitiateFailover`, `Start-VMFailover`.
    Failover {
        /// The recovery point.
        point: PointChoice,
    },
    /// Failover in Hyper-V Manager: it asks the primary first whether its machine runs, and starts the machine.
    ManagerFailover {
        /// The recovery point.
        point: PointChoice,
    },
    /// `TestReplicaSystem`, `Start-VMFailover -AsTest`.
    TestFailover {
        /// The recovery point.
        point: PointChoice,
    },
    /// `RevertFailover`, `Stop-VMFailover`; on a copy with a test machine, too.
    RevertFailover,
    /// `CommitFailover`, `Complete-VMFailover`.
    CommitFailover,
    /// `ReverseReplicationRelationship`, `Set-VMReplication -Reverse`.
    Reverse {
        /// The server to replicate to; `None` is the former primary's.
        to: Option<HostId>,
        /// Changed settings.
        change: SettingsChange,
    },
    /// `InitiateFailback`. No cmdlet does it.
    InitiateFailback {
        /// The embedded `Msvm_ReplicationSettingData`.
        settings: FailbackSettings,
        /// `RecoveryPointIdentifier`.
        point: PointChoice,
    },
    /// `RemoveReplicationRelationship(Ex)`, `Remove-VMReplication`: this side only.
    Remove,
    /// `ResetReplicationStatistics(Ex)`, `Reset-VMReplicationStatistics`.
    ResetStatistics,
    /// `SetFailoverNetworkAdapterSettings`, `Set-VMNetworkAdapterFailoverConfiguration`, `Set-VMNetworkAdapter`.
    SetAdapters(Vec<AdapterChange>),
    /// `Move-VM`: live migration within a cluster.
    MoveVm {
        /// The node that takes it; `None` is none that can.
        to: HostId,
        /// Why it cannot, if the world says so.
        possible: bool,
    },
    /// `Start-VM`.
    StartVm,
    /// `Stop-VM`: the guest shuts down.
    StopVm,
    /// `Stop-VM -TurnOff`.
    TurnOffVm,
    /// `Stop-VM -Save`, `Save-VM`.
    SaveVm,
    /// `Remove-VMSavedState`.
    RemoveSavedState,
    /// `Checkpoint-VM`: a user's checkpoint.
    Checkpoint,
    /// `Remove-VMSnapshot` of a user's checkpoints, all of them.
    RemoveCheckpoints,
    /// `Resize-VHD`: a disk of this copy only.
    ResizeDisk {
        /// Which.
        disk: u8,
        /// The new size in bytes; `None` is the smallest that holds what the disk has.
        size: Option<u64>,
    },
    /// `DestroySystem`, `Remove-VM`.
    DestroyVm,
    /// `ChangeReplicationModeToPrimary`: the extended relationship becomes the primary one.
    PromoteExtended,
    /// `Msvm_ConcreteJob.RequestStateChange(4)`: cancel.
    CancelJob(JobId),
}
