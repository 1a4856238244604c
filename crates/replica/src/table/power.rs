//! Power of the machine, and what replication has to say to it.

use Evidence::{Documented, Inferred};
use hvrsim_types::code::ReturnCode;

use super::prelude::*;

/// A machine that is no replica.
const ORDINARY: &[Mode] = &[Mode::None, Mode::Primary, Mode::TestReplica];

/// Where a machine that is not a replica may be started: everywhere but when it is prepared for failover.
const MAY_START: &[ReplicationState] = &[
    DISABLED,
    READY,
    INITIAL,
    REPLICATING,
    SUSPENDED,
    ERROR,
    RESYNC_REQUIRED,
    RESYNC,
    RESYNC_SUSPENDED,
    UPDATING,
    UPDATE_ERROR,
];

/// Where nothing reads or writes the disks by a session or through a failover disk.
const MAY_RESIZE: &[ReplicationState] = &[
    DISABLED,
    READY,
    REPLICATING,
    COMMITTED,
    SUSPENDED,
    ERROR,
    RESYNC_REQUIRED,
    UPDATE_ERROR,
    FAILBACK_DONE,
];

pub(super) const RULES: &[Rule] = &[
    Row {
        id: "W-1",
        modes: REPLICA,
        from: &[REPLICATING, SUSPENDED, ERROR, RESYNC, RESYNC_SUSPENDED, RECOVERING, UPDATING],
        triggers: &[call(Call::StartVm)],
        guards: &[],
        to: To::Refused(ReturnCode::INVALID_STATE),
        what: "A replica cannot be started before it has been failed over.",
        evidence: Documented,
        source: WMI,
    }
    .rule(),
    Row {
        id: "W-2",
        modes: ORDINARY,
        from: MAY_START,
        triggers: &[call(Call::StartVm)],
        guards: &[Guard::VmNotRunning, Guard::NotSyncing],
        to: To::Stay,
        what: "The machine starts.",
        evidence: Documented,
        source: WMI,
    }
    .rule(),
    Row {
        id: "W-3",
        modes: ALL_MODES,
        from: ALL_STATES,
        triggers: &[call(Call::StopVm), call(Call::SaveVm)],
        guards: &[Guard::VmRunning],
        to: To::Stay,
        what: "The machine stops.",
        evidence: Documented,
        source: WMI,
    }
    .rule(),
    Row {
        id: "W-4",
        modes: ALL_MODES,
        from: ALL_STATES,
        triggers: &[call(Call::TurnOffVm)],
        guards: &[Guard::VmNotOff],
        to: To::Stay,
        what: "The machine is turned off as by a power cut.",
        evidence: Documented,
        source: WMI,
    }
    .rule(),
    Row {
        id: "W-5",
        modes: ALL_MODES,
        from: ALL_STATES,
        triggers: &[call(Call::RemoveSavedState)],
        guards: &[Guard::SavedState],
        to: To::Stay,
        what: "The saved memory is dropped, the machine is Off.",
        evidence: Documented,
        source: MODULE,
    }
    .rule(),
    Row {
        id: "W-6",
        modes: ORDINARY,
        from: ALL_STATES,
        triggers: &[call(Call::Checkpoint), call(Call::RemoveCheckpoints)],
        guards: &[],
        to: To::Stay,
        what: "A user's checkpoint; its disk is replicated with the rest.",
        evidence: Inferred,
        source: MODULE,
    }
    .rule(),
    Row {
        id: "W-7",
        modes: REPLICA,
        from: ALL_STATES,
        triggers: &[call(Call::RemoveCheckpoints)],
        guards: &[],
        to: To::Stay,
        what: "A user's checkpoints left from the time as a primary are deleted.",
        evidence: Inferred,
        source: MODULE,
    }
    .rule(),
    Row {
        id: "W-10",
        modes: &[Mode::None, Mode::Primary, Mode::Replica, Mode::ExtendedReplica],
        from: MAY_RESIZE,
        triggers: &[call(Call::ResizeDisk)],
        guards: &[Guard::NoCheckpoint, Guard::NoTestVm, Guard::NotMerging, Guard::NotServing, Guard::NoJob],
        to: To::Stay,
        what: "The disk of this copy gets another size; the other side's has to be resized by hand, too.",
        evidence: Documented,
        source: "Resizing virtual disks attached to replicating VMs (2013-11-14)",
    }
    .rule(),
    Row {
        id: "W-8",
        modes: &[Mode::None, Mode::TestReplica],
        from: &[DISABLED],
        triggers: &[call(Call::DestroyVm)],
        guards: &[Guard::VmNotRunning, Guard::NoTestVm, Guard::NotMerging, Guard::NoJob],
        to: To::Stay,
        what: "The machine is deleted with its disks; a test machine's replica can be tested anew.",
        evidence: Inferred,
        source: WMI,
    }
    .rule(),
    Row {
        id: "W-9",
        modes: ALL_MODES,
        from: ALL_STATES,
        triggers: &[call(Call::SetAdapters)],
        guards: &[],
        to: To::Stay,
        what: "The addresses after a failover, or the test machine's switch, are kept on this copy only.",
        evidence: Documented,
        source: "Inject IP address into the VM during failover (2012-05-28)",
    }
    .rule(),
    Row {
        id: "W-11",
        modes: &[Mode::None, Mode::Primary, Mode::Replica, Mode::ExtendedReplica],
        from: ALL_STATES,
        triggers: &[call(Call::MoveVm)],
        guards: &[Guard::NoJob],
        to: To::Stay,
        what: "The machine is live on another node of the cluster; the other side finds it, statistics go with it.",
        evidence: Documented,
        source: "Why is the Hyper-V Replica Broker required (2012-03-27)",
    }
    .rule(),
];
