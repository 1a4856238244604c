//! Unplanned failover, the return of the old primary, removal.

use Evidence::{Documented, Field, Inferred};
use hvrsim_types::code::ReturnCode;

use super::prelude::*;

const CAN_FAIL_OVER: &[Guard] =
    &[Guard::VmOff, Guard::InitialComplete, Guard::NotMerging, Guard::Consistent, Guard::NoJob];

/// The same, with no test machine beside it.
const CAN_FAIL_OVER_ALONE: &[Guard] = &[
    Guard::VmOff,
    Guard::InitialComplete,
    Guard::NotMerging,
    Guard::Consistent,
    Guard::NoJob,
    Guard::NoTestVm,
];

pub(super) const RULES: &[Rule] = &[
    Row {
        id: "UF-78",
        modes: SIMPLE,
        from: &[REPLICATING],
        triggers: &[call(Call::Failover), call(Call::ManagerFailover), event(Event::FailoverReady)],
        guards: CAN_FAIL_OVER_ALONE,
        to: To::Via(RECOVERING, RECOVERED),
        what: "Stored logs are applied, the chosen point is made ready under a failover disk; the primary's next send ends in Error.",
        evidence: Field,
        source: "Types of failover operations: Unplanned Failover (2012-08-08); Hyper-V module reference for PowerShell; EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
    }
    .rule(),
    Row {
        id: "TF-65",
        modes: REPLICA,
        from: &[REPLICATING],
        triggers: &[call(Call::Failover), call(Call::ManagerFailover)],
        guards: &[
            Guard::TestVm,
            Guard::VmOff,
            Guard::InitialComplete,
            Guard::NotMerging,
            Guard::Consistent,
            Guard::NoJob,
        ],
        to: To::Via(RECOVERING, RECOVERED),
        what: "As UF-78; the test machine stays beside it. Stop-VMFailover ends the failover first.",
        evidence: Inferred,
        source: "our reading: nothing published on a failover beside a test VM; allowed",
    }
    .rule(),
    Row {
        id: "UF-80",
        modes: REPLICA,
        from: &[SUSPENDED],
        triggers: &[call(Call::Failover), call(Call::ManagerFailover)],
        guards: CAN_FAIL_OVER,
        to: To::Via(RECOVERING, RECOVERED),
        what: "As UF-78, from a paused replica.",
        evidence: Inferred,
        source: "Types of failover operations: Unplanned Failover (2012-08-08)",
    }
    .rule(),
    Row {
        id: "UF-81",
        modes: REPLICA,
        from: &[RECOVERED, COMMITTED],
        triggers: &[call(Call::StartVm)],
        guards: &[Guard::Consistent],
        to: To::Stay,
        what: "The failed-over machine may be started.",
        evidence: Documented,
        source: "Types of failover operations: Unplanned Failover (2012-08-08); Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "UF-82",
        modes: SIMPLE,
        from: &[RECOVERED],
        triggers: &[call(Call::RevertFailover)],
        guards: &[Guard::VmOff, Guard::NoOpenSwap, Guard::NoJob, Guard::NoExtended],
        to: To::State(REPLICATING),
        what: "The failover disk is dropped with what was written on it; another point may be chosen.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell; Hyper-V WMI provider (V2) reference",
    }
    .rule(),
    Row {
        id: "UF-83",
        modes: REPLICA,
        from: &[RECOVERED],
        triggers: &[call(Call::Failover)],
        guards: &[],
        to: To::Refused(ReturnCode::INVALID_STATE),
        what: "Another point needs Stop-VMFailover first.",
        evidence: Documented,
        source: "Types of failover operations: Unplanned Failover (2012-08-08)",
    }
    .rule(),
    Row {
        id: "UF-84",
        modes: REPLICA,
        from: &[RECOVERED],
        triggers: &[call(Call::CommitFailover)],
        guards: &[Guard::Consistent, Guard::NoTestVm, Guard::NoJob],
        to: To::State(COMMITTED),
        what: "The failover disk is merged, all other points are deleted, there is no way back.",
        evidence: Documented,
        source: "Hyper-V module reference for PowerShell; Hyper-V WMI provider (V2) reference",
    }
    .rule(),
    Row {
        id: "UF-85",
        modes: REPLICA,
        from: &[COMMITTED],
        triggers: &[call(Call::RevertFailover)],
        guards: &[],
        to: To::Refused(ReturnCode::INVALID_STATE),
        what: "A committed failover cannot be reverted.",
        evidence: Documented,
        source: "Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "UF-86",
        modes: REPLICA,
        from: &[RECOVERED, COMMITTED],
        triggers: &[event(Event::LogArrives)],
        guards: &[],
        to: To::Stay,
        what: "The log is refused; the primary ends in Error.",
        evidence: Inferred,
        source: "EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
    }
    .with_other(PRIMARY, &[REPLICATING], To::State(ERROR)),
    Row {
        id: "UF-88",
        modes: PRIMARY,
        from: &[ERROR],
        triggers: &[call(Call::AsReplica)],
        guards: &[Guard::VmNotOff],
        to: To::Refused(ReturnCode::INVALID_STATE),
        what: "A copy that runs, or has a saved state, cannot become a replica.",
        evidence: Field,
        source: "EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
    }
    .rule(),
    Row {
        id: "UF-87",
        modes: PRIMARY,
        from: ANY,
        triggers: &[call(Call::AsReplica)],
        guards: &[
            Guard::VmOff,
            Guard::NoSavedState,
            Guard::NoCheckpoint,
            Guard::NotHeld,
            Guard::NotServing,
            Guard::NoTestVm,
            Guard::NoJob,
        ],
        to: To::Become(Mode::Replica, INITIAL),
        what: "The old primary becomes a replica that waits for the other side's content; what it wrote and never sent is lost.",
        evidence: Inferred,
        source: "Failover with Hyper-V Replica; Hyper-V module reference for PowerShell; EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
    }
    .rule(),
    Row {
        id: "UF-87R",
        modes: REPLICA,
        from: &[COMMITTED, ERROR, FAILBACK_DONE],
        triggers: &[call(Call::AsReplica)],
        guards: &[
            Guard::VmOff,
            Guard::NoExtended,
            Guard::NoSavedState,
            Guard::NoCheckpoint,
            Guard::NotServing,
            Guard::NoTestVm,
            Guard::NoJob,
        ],
        to: To::Become(Mode::Replica, INITIAL),
        what: "As UF-87, on a copy that had been failed over, failed back, or is in error.",
        evidence: Inferred,
        source: "Failover with Hyper-V Replica; Hyper-V module reference for PowerShell; EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
    }
    .rule(),
    Row {
        id: "UF-89",
        modes: REPLICA,
        from: &[RECOVERED, COMMITTED],
        triggers: &[call(Call::Reverse)],
        guards: &[Guard::Consistent, Guard::NotServing, Guard::NoTestVm, Guard::NoJob, Guard::Peer("the old primary waits for initial replication (UF-87)")],
        to: To::Become(Mode::Primary, READY),
        what: "This copy becomes the primary; Start-VMInitialReplication sends what differs.",
        evidence: Inferred,
        source: "Failover with Hyper-V Replica; EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
    }
    .with_other(REPLICA, &[INITIAL], To::Become(Mode::Replica, INITIAL)),
    Row {
        id: "UF-90",
        modes: REPLICA,
        from: &[RECOVERED, COMMITTED],
        triggers: &[call(Call::Reverse)],
        guards: &[Guard::Consistent, Guard::NotServing, Guard::NoTestVm, Guard::NoJob, Guard::Peer("the old primary was not made a replica")],
        to: To::Stay,
        what: "The job fails: Set-VMReplication -AsReplica on the old primary first.",
        evidence: Inferred,
        source: "Failover with Hyper-V Replica",
    }
    .rule(),
    Row {
        id: "UF-116",
        modes: REPLICA,
        from: &[RECOVERED, COMMITTED],
        triggers: &[call(Call::Reverse)],
        guards: &[Guard::Consistent, Guard::NotServing, Guard::NoTestVm, Guard::NoJob, Guard::Peer("another server is named and accepts")],
        to: To::Become(Mode::Primary, READY),
        what: "Replication goes to a third host; the old primary is not touched.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
    }
    .with_other(NONE, &[DISABLED], To::Become(Mode::Replica, INITIAL)),
    Row {
        id: "UF-117",
        modes: REPLICA,
        from: &[RECOVERING],
        triggers: &[call(Call::RevertFailover), call(Call::CancelJob), event(Event::FailoverFailed), event(Event::HostCrash)],
        guards: &[],
        to: To::State(REPLICATING),
        what: "The failover is given up, its disk is dropped.",
        evidence: Inferred,
        source: "our reading: a failover that did not finish leaves the copy as it was",
    }
    .rule(),
    Row {
        id: "UF-118",
        modes: EITHER,
        from: &[REPLICATING],
        triggers: &[event(Event::HostCrash)],
        guards: &[],
        to: To::Stay,
        what: "A merge that was under way is done again at the start.",
        evidence: Inferred,
        source: "our reading: the merge works from stored logs",
    }
    .rule(),
    Row {
        id: "UF-129",
        modes: REPLICA,
        from: &[RECOVERED, COMMITTED, FAILBACK_DONE],
        triggers: &[event(Event::HostCrash), event(Event::WorkerCrash)],
        guards: &[Guard::VmRunning],
        to: To::Stay,
        what: "The machine is off; what it wrote is no longer tracked.",
        evidence: Inferred,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
    }
    .rule(),
    Row {
        id: "XF-105",
        modes: PRIMARY,
        from: &[
            INITIAL, REPLICATING, PREPARED, SUSPENDED, ERROR, RESYNC_REQUIRED, RESYNC, RESYNC_SUSPENDED, UPDATING,
            UPDATE_ERROR,
        ],
        triggers: &[call(Call::Remove)],
        guards: &[Guard::NotHeld, Guard::NotServing, Guard::NoJob],
        to: To::Become(Mode::None, DISABLED),
        what: "Replication is removed here; the replica is not told and warns after an hour.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "UF-94",
        modes: REPLICA,
        from: &[COMMITTED],
        triggers: &[call(Call::Remove)],
        guards: &[Guard::NotServing, Guard::NoTestVm, Guard::NoJob],
        to: To::Become(Mode::None, DISABLED),
        what: "The failed-over machine is an ordinary one from now on.",
        evidence: Documented,
        source: "Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "XF-106",
        modes: REPLICA,
        from: ANY,
        triggers: &[call(Call::Remove)],
        guards: &[Guard::NotServing, Guard::NoTestVm, Guard::NoJob],
        to: To::Become(Mode::None, DISABLED),
        what: "Replication is removed here, the machine and its disks stay; the primary's next send ends in Error.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
    }
    .rule(),
];
