//! What a rule of the life cycle is. The rules themselves are data, in [`crate::table`].
//!
//! The same rules decide at run time, explain a refusal, render the documentation and are what
//! coverage counts.

use std::fmt;

use hvrsim_types::code::ReturnCode;
use hvrsim_types::state::{Mode, Power, ReplicationState};
use serde::Serialize;

use crate::operation::Operation;

/// How well a rule is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Microsoft documents it.
    Documented,
    /// Seen on real hosts by others.
    Field,
    /// Follows from what is documented.
    Inferred,
    /// Our choice where nothing is known.
    Assumed,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Documented => "documented",
            Self::Field => "field",
            Self::Inferred => "inferred",
            Self::Assumed => "assumed",
        })
    }
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident: $cmdlet:literal, $method:literal;)*) => {
        /// A kind of operation, without its parameters: what rules are triggered by.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
        pub enum Call { $($(#[$doc])* $name,)* }

        impl Call {
            /// Every call.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// How PowerShell spells it.
            #[must_use]
            pub const fn cmdlet(self) -> &'static str { match self { $(Self::$name => $cmdlet,)* } }

            /// How WMI spells it.
            #[must_use]
            pub const fn method(self) -> &'static str { match self { $(Self::$name => $method,)* } }
        }
    };
}

calls! {
    /// Create a relationship.
    Enable: "Enable-VMReplication", "CreateReplicationRelationship";
    /// Requested state 2.
    AsReplica: "Set-VMReplication -AsReplica", "RequestReplicationStateChange(2)";
    /// Start initial replication.
    StartInitialReplication: "Start-VMInitialReplication", "StartReplication";
    /// Export an initial replica to media.
    ExportInitialReplica: "Start-VMInitialReplication -DestinationPath", "StartReplication (type 2)";
    /// Import an initial replica from media.
    ImportInitialReplica: "Import-VMInitialReplication", "ImportInitialReplica";
    /// Requested state 1.
    StopInitialReplication: "Stop-VMInitialReplication", "RequestReplicationStateChange(1)";
    /// Change settings.
    Modify: "Set-VMReplication", "ModifyReplicationSettings";
    /// Requested state 7.
    Suspend: "Suspend-VMReplication", "RequestReplicationStateChange(7)";
    /// Requested state 3.
    Resume: "Resume-VMReplication", "RequestReplicationStateChange(3)";
    /// Start a resynchronization.
    Resynchronize: "Resume-VMReplication -Resynchronize", "Resynchronize";
    /// Requested state 9.
    StopResynchronize: "Stop-VMReplication", "RequestReplicationStateChange(9)";
    /// Requested state 4.
    Prepare: "Start-VMFailover -Prepare", "RequestReplicationStateChange(4)";
    /// Fail over.
    Failover: "Start-VMFailover", "InitiateFailover";
    /// Fail over, from Hyper-V Manager.
    ManagerFailover: "Failover in Hyper-V Manager", "InitiateFailover by Hyper-V Manager";
    /// Make a test machine.
    TestFailover: "Start-VMFailover -AsTest", "TestReplicaSystem";
    /// Revert a failover, or a preparation; end a test failover.
    RevertFailover: "Stop-VMFailover", "RevertFailover";
    /// Commit a failover.
    CommitFailover: "Complete-VMFailover", "CommitFailover";
    /// Reverse.
    Reverse: "Set-VMReplication -Reverse", "ReverseReplicationRelationship";
    /// Fail back.
    InitiateFailback: "InitiateFailback", "InitiateFailback";
    /// Remove the relationship on this side.
    Remove: "Remove-VMReplication", "RemoveReplicationRelationshipEx";
    /// Zero the statistics.
    ResetStatistics: "Reset-VMReplicationStatistics", "ResetReplicationStatisticsEx";
    /// Change network adapters.
    SetAdapters: "Set-VMNetworkAdapterFailoverConfiguration", "SetFailoverNetworkAdapterSettings";
    /// Move the virtual machine to another host.
    MoveVm: "Move-VM", "MigrateVirtualSystemToHost";
    /// Start the virtual machine.
    StartVm: "Start-VM", "RequestStateChange(2)";
    /// Shut the guest down.
    StopVm: "Stop-VM", "RequestStateChange(4)";
    /// Turn the virtual machine off.
    TurnOffVm: "Stop-VM -TurnOff", "RequestStateChange(3)";
    /// Save the virtual machine.
    SaveVm: "Save-VM", "RequestStateChange(6)";
    /// Delete a saved state.
    RemoveSavedState: "Remove-VMSavedState", "RequestStateChange(3)";
    /// Take a user's checkpoint.
    Checkpoint: "Checkpoint-VM", "CreateSnapshot";
    /// Delete a user's checkpoints.
    RemoveCheckpoints: "Remove-VMSnapshot", "DestroySnapshot";
    /// Give a virtual disk another size.
    ResizeDisk: "Resize-VHD", "Msvm_ImageManagementService.ResizeVirtualHardDisk";
    /// Delete the virtual machine.
    DestroyVm: "Remove-VM", "DestroySystem";
    /// Make the extended relationship the primary one.
    PromoteExtended: "Resume-VMReplication -Continue", "ChangeReplicationModeToPrimary";
    /// Cancel a job.
    CancelJob: "Stop-Job", "Msvm_ConcreteJob.RequestStateChange(4)";
}

impl Operation {
    /// The operation without its parameters.
    #[must_use]
    pub const fn call(&self) -> Call {
        match self {
            Self::Enable { .. } => Call::Enable,
            Self::AsReplica => Call::AsReplica,
            Self::StartInitialReplication { .. } => Call::StartInitialReplication,
            Self::ExportInitialReplica { .. } => Call::ExportInitialReplica,
            Self::ImportInitialReplica { .. } => Call::ImportInitialReplica,
            Self::StopInitialReplication => Call::StopInitialReplication,
            Self::Modify(_) => Call::Modify,
            Self::Suspend => Call::Suspend,
            Self::Resume => Call::Resume,
            Self::Resynchronize { .. } => Call::Resynchronize,
            Self::StopResynchronize => Call::StopResynchronize,
            Self::Prepare => Call::Prepare,
            Self::Failover { .. } => Call::Failover,
            Self::ManagerFailover { .. } => Call::ManagerFailover,
            Self::TestFailover { .. } => Call::TestFailover,
            Self::RevertFailover => Call::RevertFailover,
            Self::CommitFailover => Call::CommitFailover,
            Self::Reverse { .. } => Call::Reverse,
            Self::InitiateFailback { .. } => Call::InitiateFailback,
            Self::Remove => Call::Remove,
            Self::ResetStatistics => Call::ResetStatistics,
            Self::SetAdapters(_) => Call::SetAdapters,
            Self::MoveVm { .. } => Call::MoveVm,
            Self::StartVm => Call::StartVm,
            Self::StopVm => Call::StopVm,
            Self::TurnOffVm => Call::TurnOffVm,
            Self::SaveVm => Call::SaveVm,
            Self::RemoveSavedState => Call::RemoveSavedState,
            Self::Checkpoint => Call::Checkpoint,
            Self::RemoveCheckpoints => Call::RemoveCheckpoints,
            Self::ResizeDisk { .. } => Call::ResizeDisk,
            Self::DestroyVm => Call::DestroyVm,
            Self::PromoteExtended => Call::PromoteExtended,
            Self::CancelJob(_) => Call::CancelJob,
        }
    }
}

/// What happens without an operator on this copy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum Event {
    /// A cycle's log was stored by the replica.
    CycleDelivered,
    /// A cycle was due while the one before was still under way, or could not be delivered.
    CycleLate,
    /// The other side could not be reached, or has no room.
    RecoverableFailure,
    /// The other side refuses: nothing but an operator can help.
    FatalFailure,
    /// The replica's disk is smaller than what was written to the primary's.
    OutOfRange,
    /// The other side refuses whoever asks: authorization, certificate or name is broken.
    TrustBroken,
    /// Nothing came for an hour.
    NothingReceived,
    /// The pending log passed half of the disks' size.
    LogOverLimit,
    /// Something makes the replica's content uncertain.
    ResyncNeeded,
    /// The automatic resynchronization's window is open.
    AutomaticResync,
    /// Initial replication has brought everything.
    InitialDone,
    /// The replica has imported the initial replica from media.
    Imported,
    /// A resynchronization has brought everything.
    ResyncDone,
    /// A resynchronization could not reach the other side for good.
    ResyncLost,
    /// A failover job has prepared the disk.
    FailoverReady,
    /// A failover job failed.
    FailoverFailed,
    /// A log arrived from a primary.
    LogArrives,
    /// The host shut down in order.
    HostShutdown,
    /// The host lost its power, or crashed.
    HostCrash,
    /// The worker process of the running machine crashed: its change log was not closed.
    WorkerCrash,
    /// The disks that are added to the relationship have been brought.
    DisksAdded,
    /// They could not be brought.
    UpdateFailed,
    /// The copy, or its test machine, was moved to another node of the cluster without the other.
    TestParted,
    /// A failback asked this copy, the new primary, for a recovery point.
    FailbackAsked,
    /// A failback ended, this copy need not hold still any more.
    FailbackReleased,
    /// A failback has brought the requested recovery point.
    FailbackDone,
    /// A failback failed, or was cancelled.
    FailbackFailed,
    /// The copy has become a primary, or the replica of another copy.
    RolesChanged,
}

/// What a rule is triggered by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum Trigger {
    /// An operator's call on this copy.
    Call(Call),
    /// Anything else.
    Event(Event),
}

/// Where a rule leads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub enum To {
    /// The state stays.
    Stay,
    /// This state, same mode.
    State(ReplicationState),
    /// The first while a job runs, the second when it is done.
    Via(ReplicationState, ReplicationState),
    /// Another mode, too.
    Become(Mode, ReplicationState),
    /// The state before the request.
    Before,
    /// The copy stays, its extended relationship begins in this state.
    Extends(ReplicationState),
    /// This mode, and the state of the relationship that goes on with it.
    Mode(Mode),
    /// Nothing changes; the caller gets this code.
    Refused(#[serde(serialize_with = "code_number")] ReturnCode),
}

fn code_number<S: serde::Serializer>(code: &ReturnCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(code.0)
}

/// What the machine and its disks are like, as the world knows it when an input arrives.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Facts {
    /// Power of the virtual machine.
    pub power: Power,
    /// User checkpoints.
    pub checkpoints: u32,
    /// A test machine made from this copy exists.
    pub test_vm: bool,
    /// The primary's host answers, and its machine runs: what Hyper-V Manager asks before a failover.
    pub primary_runs: bool,
    /// A disk file is missing.
    pub disk_missing: bool,
    /// What the host's volume for replicas takes.
    pub storage: Storage,
    /// No domain controller answers anybody.
    pub directory_down: bool,
    /// Virtual sizes of the replicated disks, in bytes.
    pub sizes: Vec<u64>,
    /// The end of what the disk holds that a call is about, or its guest may write to, in bytes.
    pub disk_end: u64,
    /// The log that arrives lies within this copy's disks.
    pub log_fits: bool,
    /// The guest's VSS writers fail.
    pub vss_fails: bool,
    /// The host is a node of a cluster with a broker.
    pub clustered: bool,
    /// What arrives comes from where the other side's copy was moved to.
    pub peer_moved: bool,
    /// Bytes in the change log.
    pub pending_bytes: u64,
    /// The copy's session has written a block into its target.
    pub session_wrote: bool,
}

/// What a replica's storage takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Storage {
    /// Everything.
    #[default]
    Sound,
    /// Nothing: the volume is full.
    Full,
    /// Logs, but no change to a disk: another process locks the files.
    Locked,
}

/// A condition on this copy, or (only for the reader) on the other side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub enum Guard {
    /// The virtual machine is Off.
    VmOff,
    /// The virtual machine is not Off.
    VmNotOff,
    /// The virtual machine is Running.
    VmRunning,
    /// The virtual machine is not Running.
    VmNotRunning,
    /// No prepare step is under way.
    NotSyncing,
    /// No saved state.
    NoSavedState,
    /// A saved state.
    SavedState,
    /// No user checkpoints.
    NoCheckpoint,
    /// No test machine.
    NoTestVm,
    /// A test machine.
    TestVm,
    /// The primary's machine runs, as far as anybody can ask.
    PrimaryRuns,
    /// No mutating job.
    NoJob,
    /// No merge under way.
    NotMerging,
    /// A merge under way.
    Merging,
    /// The chosen point is a Planned point.
    PlannedPoint,
    /// The chosen point is not a Planned point.
    OtherPoint,
    /// Initial replication has been completed.
    InitialComplete,
    /// The suspension remembers an unfinished initial replication.
    InitialUnfinished,
    /// This copy was the primary in an earlier epoch.
    WasPrimary,
    /// No disk is marked inconsistent.
    Consistent,
    /// All disk files are there.
    DisksPresent,
    /// The machine has a disk.
    HasDisk,
    /// No failback holds this copy.
    NotHeld,
    /// No swap was asked for whose answer is not known.
    NoOpenSwap,
    /// A job that starts initial replication still asks the other side.
    Starting,
    /// No failback is served or was served, whether its receiver answers or not.
    NothingServed,
    /// Initial replication does not go by media that are exported already.
    NotExported,
    /// Initial replication goes over the network.
    OverNetwork,
    /// No failback is served whose receiver answers.
    NotServing,
    /// A failback holds this copy.
    Held,
    /// A time was given.
    Later,
    /// No time was given.
    Now,
    /// The generation is 2012 R2.
    Generation2012R2,
    /// The generation is 2016 or later.
    Generation2016,
    /// FailedOver was reached from FailbackComplete, or the state is FailbackComplete.
    AfterFailback,
    /// Not after a failback.
    NotAfterFailback,
    /// The call is made on the extended relationship of the copy.
    IsExtended,
    /// The call is made on an extended relationship that there is not.
    NoSuchExtended,
    /// The call is made on the extended relationship of a copy that is failed over, or being resynchronized.
    Unsettled,
    /// The replica that is to be extended holds a complete content of its primary.
    ReceivedAll,
    /// The copy has an extended relationship.
    HasExtended,
    /// The copy has no extended relationship.
    NoExtended,
    /// The copy was failed over to its newest content and everything written since is known.
    WholeSince,
    /// The list of disks has one that is not replicated yet.
    AddsDisk,
    /// The list of disks, if one is given, has only disks that are replicated.
    AddsNoDisk,
    /// A list of disks is given, all of which are replicated.
    RestoresDisks,
    /// A condition on the other side, asked in the job.
    Peer(&'static str),
}

/// The transition of the other copy, if the rule has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Other {
    /// Modes it may have.
    pub modes: &'static [Mode],
    /// States it may be in.
    pub from: &'static [ReplicationState],
    /// Where it goes.
    pub to: To,
}

/// One rule of the life cycle.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Rule {
    /// Its id, never renumbered.
    pub id: &'static str,
    /// Modes of this copy.
    pub modes: &'static [Mode],
    /// States of this copy.
    pub from: &'static [ReplicationState],
    /// What triggers it.
    pub triggers: &'static [Trigger],
    /// What must hold, in the order in which it is checked.
    pub guards: &'static [Guard],
    /// Where this copy goes.
    pub to: To,
    /// Where the other copy goes, if it moves.
    pub other: Option<Other>,
    /// What happens, in a sentence.
    pub what: &'static str,
    /// How well it is known.
    pub evidence: Evidence,
    /// Where it is known from: a public title.
    pub source: &'static str,
}

/// Which copy of a rule changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The copy that the rule is about.
    Here,
    /// The other one.
    Other,
}

impl Rule {
    /// Whether the rule lets a copy go from one (mode, state) to another.
    #[must_use]
    pub fn allows(&self, side: Side, from: (Mode, ReplicationState), to: (Mode, ReplicationState)) -> bool {
        let (modes, states, target) = match (side, self.other) {
            (Side::Here, _) => (self.modes, self.from, self.to),
            (Side::Other, Some(other)) => (other.modes, other.from, other.to),
            (Side::Other, None) => return false,
        };
        let starts = modes.contains(&from.0) && states.contains(&from.1);
        match target {
            To::Stay | To::Refused(_) => starts && from == to,
            To::State(state) => starts && to == (from.0, state),
            To::Via(first, second) => {
                (starts && to == (from.0, first))
                    || (modes.contains(&from.0) && from.1 == first && to == (from.0, second))
            }
            To::Become(mode, state) => starts && to == (mode, state),
            To::Before => starts,
            To::Extends(state) => {
                from == (Mode::None, ReplicationState::Disabled) && to == (Mode::Primary, state)
            }
            To::Mode(mode) => starts && to.0 == mode,
        }
    }

    /// Whether the rule is about a copy in this mode and state with this trigger.
    #[must_use]
    pub fn concerns(&self, mode: Mode, state: ReplicationState, trigger: Trigger) -> bool {
        self.triggers.contains(&trigger) && self.modes.contains(&mode) && self.from.contains(&state)
    }
}

impl Guard {
    /// The code that a caller gets when this guard fails.
    #[must_use]
    pub const fn code(self) -> ReturnCode {
        match self {
            Self::NoTestVm
            | Self::NoJob
            | Self::NotMerging
            | Self::NotHeld
            | Self::NotServing
            | Self::NothingServed => ReturnCode::IN_USE,
            Self::DisksPresent => ReturnCode::FILE_NOT_FOUND,
            _ => ReturnCode::INVALID_STATE,
        }
    }

    /// What the guard needs, what is found instead, and the way out.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::VmOff => ("Off", "", "Stop-VM first."),
            Self::VmNotOff => ("not Off", "", "Start-VM first."),
            Self::VmRunning => ("Running", "", "Start-VM first."),
            Self::VmNotRunning => ("not Running", "", "It runs."),
            Self::NotSyncing => {
                ("no prepare step under way", "is being prepared for failover", "Wait for the job.")
            }
            Self::NoSavedState => ("no saved state", "Saved", "Remove-VMSavedState first."),
            Self::SavedState => ("a saved state", "", ""),
            Self::NoCheckpoint => ("no checkpoints", "has checkpoints", "Remove-VMSnapshot first."),
            Self::NoTestVm => ("no test VM", "has a test VM", "Stop-VMFailover on the replica first."),
            Self::TestVm => ("a failover or a test VM", "has neither", ""),
            Self::PrimaryRuns => (
                "the primary's machine not Running",
                "has a primary whose machine runs",
                "Stop-VM on the primary first, or plan the failover.",
            ),
            Self::NoJob => ("no job under way", "has a job under way", "Wait for the job, or cancel it."),
            Self::Merging => ("a merge under way", "is not merging", ""),
            Self::PlannedPoint => ("a Planned point", "has another point", ""),
            Self::OtherPoint => ("a point that is not Planned", "has a Planned point", ""),
            Self::NotMerging => ("the merge to have ended", "is merging its disks", "Wait for the merge."),
            Self::InitialComplete => (
                "initial replication to be complete",
                "has not completed initial replication",
                "Wait for initial replication.",
            ),
            Self::InitialUnfinished => ("an unfinished initial replication", "has none", ""),
            Self::WasPrimary => (
                "a copy that was the primary before",
                "was never the primary",
                "InitiateFailback is called on the former primary.",
            ),
            Self::Consistent => (
                "consistent disks",
                "has disks marked inconsistent by a broken failback",
                "Finish a failback, a resynchronization or an initial replication into it.",
            ),
            Self::DisksPresent => ("all disk files", "lacks a disk file", "Restore the file."),
            Self::HasDisk => ("a disk", "has no disk", "Add a VHDX."),
            Self::NotHeld => {
                ("no failback under way", "is held by a failback", "Let it end, or cancel its job.")
            }
            Self::NoOpenSwap => (
                "no reverse whose answer was lost",
                "has asked for a reverse and does not know the answer",
                "Set-VMReplication -Reverse again, it takes effect once.",
            ),
            Self::Starting => ("a start of initial replication under way", "has none", ""),
            Self::NothingServed => (
                "no failback that may still run",
                "has served a failback",
                "Start over the network, which asks the other side; or cancel the failback there.",
            ),
            Self::NotExported => (
                "an initial replica that is not exported yet",
                "has exported its initial replica",
                "Import-VMInitialReplication on the replica.",
            ),
            Self::OverNetwork => (
                "initial replication over the network",
                "sends its initial replica on media",
                "Stop-VMInitialReplication while the export runs, or import it.",
            ),
            Self::NotServing => {
                ("no failback under way", "serves a failback", "Cancel its job, or reverse there.")
            }
            Self::Held => ("a failback under way", "is not held", ""),
            Self::Later => ("a start time", "has none", ""),
            Self::Now => ("no start time", "has one", ""),
            Self::Generation2012R2 => ("generation 2012 R2", "is newer", ""),
            Self::Generation2016 => ("generation 2016", "is older", ""),
            Self::AfterFailback => ("a finished failback", "has none", ""),
            Self::NotAfterFailback => ("no failback before", "comes from a failback", ""),
            Self::IsExtended => ("the machine", "is called by its extended relationship", ""),
            Self::NoSuchExtended => {
                ("an extended relationship", "has none", "Enable-VMReplication on the replica makes one.")
            }
            Self::Unsettled => (
                "a replica that is neither failed over nor being resynchronized",
                "has no content to send on",
                "Stop-VMFailover, or wait for the resynchronization.",
            ),
            Self::ReceivedAll => (
                "a replica that has received everything",
                "waits for a resynchronization",
                "Resynchronize it first.",
            ),
            Self::HasExtended => {
                ("an extended relationship", "has none", "Enable-VMReplication on the replica makes one.")
            }
            Self::NoExtended => (
                "no extended relationship",
                "has an extended relationship",
                "Remove-VMReplication -ReplicationRelationshipType Extended first.",
            ),
            Self::AddsDisk => ("a list with a new disk", "is given no new disk", ""),
            Self::AddsNoDisk => (
                "disks that are replicated already",
                "is given a disk that is not replicated",
                "A disk is added to a relationship that is Replicating, on Server 2016 and later.",
            ),
            Self::RestoresDisks => ("the list of disks before", "is given another", ""),
            Self::WholeSince => ("a failover to the newest content, tracked since", "has lost track", ""),
            Self::Peer(text) => (text, "", ""),
        }
    }
}
