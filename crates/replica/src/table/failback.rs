//! Failback: `InitiateFailback`, *WaitingForFailback* (13), *FailbackCompleted* (14) and what follows.

use Evidence::{Assumed, Documented, Inferred};
use hvrsim_types::code::ReturnCode;

use super::prelude::*;

pub(super) const RULES: &[Rule] = &[
    Row {
        id: "FB-102",
        modes: SIMPLE,
        from: &[INITIAL, REPLICATING, SUSPENDED, ERROR, FAILBACK_DONE],
        triggers: &[call(Call::InitiateFailback)],
        guards: &[
            Guard::VmOff,
            Guard::NoSavedState,
            Guard::NoCheckpoint,
            Guard::NoExtended,
            Guard::WasPrimary,
            Guard::NoJob,
            Guard::NoTestVm,
            Guard::DisksPresent,
        ],
        to: To::State(FAILBACK),
        what: "The former primary waits for its provider, which brings the requested recovery point back from the new primary's side.",
        evidence: Inferred,
        source: "Hyper-V WMI provider (V2) reference; Run a failback for Hyper-V VMs (Azure Site Recovery)",
    }
    .with_other(PRIMARY, &[REPLICATING], To::State(SUSPENDED)),
    Row {
        id: "FB-103",
        modes: SIMPLE,
        from: &[FAILBACK],
        triggers: &[event(Event::FailbackDone)],
        guards: &[],
        to: To::State(FAILBACK_DONE),
        what: "The requested recovery point is back, block by block.",
        evidence: Documented,
        source: "Hyper-V WMI provider (V2) reference",
    }
    .rule(),
    Row {
        id: "FB-104",
        modes: SIMPLE,
        from: &[FAILBACK],
        triggers: &[call(Call::CancelJob), event(Event::FailbackFailed)],
        guards: &[],
        to: To::Before,
        what: "Cancelled or failed before the first block was written: the state before the call.",
        evidence: Inferred,
        source: "Hyper-V WMI provider (V2) reference",
    }
    .with_other(PRIMARY, &[SUSPENDED], To::State(REPLICATING)),
    Row {
        id: "FB-107",
        modes: SIMPLE,
        from: &[FAILBACK],
        triggers: &[call(Call::CancelJob), event(Event::FailbackFailed)],
        guards: &[],
        to: To::State(ERROR),
        what: "Cancelled or failed after the first block: the disks are marked inconsistent, InitiateFailback again is the way out.",
        evidence: Inferred,
        source: "Run a failback for Hyper-V VMs (Azure Site Recovery)",
    }
    .with_other(PRIMARY, &[SUSPENDED], To::State(REPLICATING)),
    Row {
        id: "FB-109",
        modes: SIMPLE,
        from: &[FAILBACK_DONE, COMMITTED],
        triggers: &[call(Call::Reverse)],
        guards: &[
            Guard::Consistent,
            Guard::AfterFailback,
            Guard::NoTestVm,
            Guard::NoJob,
            Guard::Peer("the other side served this failback, its machine is Off"),
        ],
        to: To::Become(Mode::Primary, REPLICATING),
        what: "Primary again, without initial replication: the job sends what the other side wrote after the point and this one since.",
        evidence: Inferred,
        source: "Run a failback for Hyper-V VMs (Azure Site Recovery); Hyper-V WMI provider (V2) reference",
    }
    .with_other(
        EITHER,
        &[COMMITTED, SUSPENDED, RESYNC_REQUIRED, ERROR, READY],
        To::Become(Mode::Replica, REPLICATING),
    ),
    Row {
        id: "FB-109W",
        modes: SIMPLE,
        from: &[FAILBACK_DONE, COMMITTED],
        triggers: &[call(Call::Reverse)],
        guards: &[
            Guard::Consistent,
            Guard::AfterFailback,
            Guard::NoTestVm,
            Guard::NoJob,
            Guard::Peer("as FB-109, but what was written since is no longer tracked"),
        ],
        to: To::Become(Mode::Primary, RESYNC_REQUIRED),
        what: "Primary again; a resynchronization has to find what differs.",
        evidence: Inferred,
        source: "Run a failback for Hyper-V VMs (Azure Site Recovery); Hyper-V WMI provider (V2) reference",
    }
    .with_other(
        EITHER,
        &[COMMITTED, SUSPENDED, RESYNC_REQUIRED, ERROR, READY],
        To::Become(Mode::Replica, REPLICATING),
    ),
    Row {
        id: "FB-110",
        modes: SIMPLE,
        from: &[FAILBACK_DONE, COMMITTED],
        triggers: &[call(Call::Reverse)],
        guards: &[
            Guard::Consistent,
            Guard::AfterFailback,
            Guard::NoTestVm,
            Guard::NoJob,
            Guard::Peer("the other side's machine is not Off, it knows another failback, or does not answer"),
        ],
        to: To::Stay,
        what: "The job fails, nothing changes.",
        evidence: Inferred,
        source: "Run a failback for Hyper-V VMs (Azure Site Recovery)",
    }
    .rule(),
    Row {
        id: "FB-130",
        modes: SIMPLE,
        from: &[FAILBACK_DONE],
        triggers: &[call(Call::CommitFailover)],
        guards: &[Guard::NoTestVm, Guard::NoJob],
        to: To::State(COMMITTED),
        what: "The failback is accepted.",
        evidence: Inferred,
        source: "Run a failback for Hyper-V VMs (Azure Site Recovery); Hyper-V WMI provider (V2) reference",
    }
    .rule(),
    Row {
        id: "FB-131",
        modes: SIMPLE,
        from: &[FAILBACK_DONE],
        triggers: &[call(Call::StartVm)],
        guards: &[Guard::NoJob],
        to: To::Stay,
        what: "The machine may be started and verified.",
        evidence: Inferred,
        source: "Run a failback for Hyper-V VMs (Azure Site Recovery)",
    }
    .rule(),
    Row {
        id: "FB-131R",
        modes: SIMPLE,
        from: &[FAILBACK],
        triggers: &[call(Call::StartVm)],
        guards: &[],
        to: To::Refused(ReturnCode::INVALID_STATE),
        what: "The disks are being written.",
        evidence: Inferred,
        source: "Run a failback for Hyper-V VMs (Azure Site Recovery)",
    }
    .rule(),
    Row {
        id: "FB-R",
        modes: SIMPLE,
        from: &[FAILBACK, FAILBACK_DONE],
        triggers: &[call(Call::RevertFailover)],
        guards: &[],
        to: To::Refused(ReturnCode::INVALID_STATE),
        what: "A failback is not reverted: cancel its job, or initiate it again.",
        evidence: Assumed,
        source: READING,
    }
    .rule(),
    Row {
        id: "FB-132",
        modes: SIMPLE,
        from: &[FAILBACK_DONE],
        triggers: &[call(Call::Resume)],
        guards: &[Guard::VmOff, Guard::NoJob, Guard::Peer("the other side is the primary")],
        to: To::State(REPLICATING),
        what: "The failback is given up; the other side's primary needs a resynchronization.",
        evidence: Inferred,
        source: "Hyper-V WMI provider (V2) reference",
    }
    .with_other(PRIMARY, &[SUSPENDED], To::State(RESYNC_REQUIRED)),
    Row {
        id: "FB-H",
        modes: PRIMARY,
        from: &[REPLICATING],
        triggers: &[event(Event::FailbackAsked)],
        guards: &[],
        to: To::State(SUSPENDED),
        what: "The new primary holds its sends while a failback reads from it, and keeps tracking.",
        evidence: Inferred,
        source: READING,
    }
    .rule(),
    Row {
        id: "FB-U",
        modes: PRIMARY,
        from: &[SUSPENDED],
        triggers: &[event(Event::FailbackReleased), call(Call::Resume)],
        guards: &[Guard::Held, Guard::NoJob, Guard::Peer("the failback is no longer under way, or its host does not answer")],
        to: To::State(REPLICATING),
        what: "The failback ended without a result: the new primary goes on.",
        evidence: Inferred,
        source: READING,
    }
    .rule(),
    Row {
        id: "FB-132P",
        modes: PRIMARY,
        from: &[READY, SUSPENDED, REPLICATING, ERROR],
        triggers: &[event(Event::FailbackReleased)],
        guards: &[],
        to: To::State(RESYNC_REQUIRED),
        what: "The failback was given up after it had completed (FB-132): only a resynchronization brings both sides together.",
        evidence: Inferred,
        source: "Hyper-V WMI provider (V2) reference",
    }
    .rule(),
];
