//! Planned failover: prepare, fail over, reverse.

use Evidence::{Documented, Inferred};
use hvrsim_types::code::ReturnCode;

use super::prelude::*;

pub(super) const RULES: &[Rule] = &[
    Row {
        id: "PF-67",
        modes: PRIMARY,
        from: &[REPLICATING],
        triggers: &[call(Call::Prepare)],
        guards: &[Guard::VmNotOff],
        to: To::Refused(ReturnCode::INVALID_STATE),
        what: "A machine that runs, or is saved, still has something to lose.",
        evidence: Inferred,
        source: "Types of failover operations: Planned Failover (2012-07-31); Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "PF-66",
        modes: PRIMARY,
        from: &[REPLICATING],
        triggers: &[call(Call::Prepare)],
        guards: &[Guard::VmOff, Guard::NoJob, Guard::Peer("the replica can be reached and replicates")],
        to: To::State(PREPARED),
        what: "The last changes are sent as the Planned point; the machine cannot be started here.",
        evidence: Documented,
        source: "Types of failover operations: Planned Failover (2012-07-31); Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "PF-68",
        modes: PRIMARY,
        from: &[REPLICATING],
        triggers: &[call(Call::Prepare)],
        guards: &[Guard::VmOff, Guard::NoJob, Guard::Peer("the replica cannot be reached")],
        to: To::Stay,
        what: "The job fails, the primary still replicates.",
        evidence: Inferred,
        source: "Types of failover operations: Planned Failover (2012-07-31)",
    }
    .rule(),
    Row {
        id: "PF-69",
        modes: PRIMARY,
        from: &[SUSPENDED, ERROR],
        triggers: &[call(Call::Prepare)],
        guards: &[],
        to: To::Refused(ReturnCode::INVALID_STATE),
        what: "What is not replicating cannot send its last changes.",
        evidence: Inferred,
        source: "Types of failover operations: Planned Failover (2012-07-31)",
    }
    .rule(),
    Row {
        id: "PF-70",
        modes: PRIMARY,
        from: &[PREPARED],
        triggers: &[call(Call::StartVm)],
        guards: &[],
        to: To::Refused(ReturnCode::INVALID_STATE),
        what: "The machine belongs to the other side now.",
        evidence: Documented,
        source: "Interpreting Replication Health, part 1 (2012-06-15)",
    }
    .rule(),
    Row {
        id: "PF-71",
        modes: PRIMARY,
        from: &[PREPARED],
        triggers: &[call(Call::RevertFailover)],
        guards: &[Guard::NoJob],
        to: To::State(REPLICATING),
        what: "The preparation is cancelled, whatever the replica is; if it had failed over, the next send ends in Error (PF-77).",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "PF-77",
        modes: PRIMARY,
        from: &[REPLICATING],
        triggers: &[event(Event::FatalFailure)],
        guards: &[],
        to: To::State(ERROR),
        what: "The preparation was cancelled although the replica had failed over.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "UF-79",
        modes: REPLICA,
        from: &[REPLICATING],
        triggers: &[call(Call::ManagerFailover)],
        guards: &[Guard::PrimaryRuns],
        to: To::Refused(ReturnCode::INVALID_STATE),
        what: "Hyper-V Manager asks the primary's host, and refuses while the machine runs there; a host that does not answer passes. The cmdlet asks nobody.",
        evidence: Documented,
        source: "Types of failover operations: Unplanned Failover (2012-08-08)",
    }
    .rule(),
    Row {
        id: "PF-72",
        modes: REPLICA,
        from: &[REPLICATING],
        triggers: &[call(Call::Failover), call(Call::ManagerFailover)],
        guards: &[
            Guard::VmOff,
            Guard::InitialComplete,
            Guard::NotMerging,
            Guard::NoJob,
            Guard::PlannedPoint,
            Guard::NoTestVm,
        ],
        to: To::Via(RECOVERING, RECOVERED),
        what: "Failed over to the Planned point: nothing is lost.",
        evidence: Inferred,
        source: "Types of failover operations: Planned Failover (2012-07-31); Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "PF-73",
        modes: SIMPLE,
        from: &[RECOVERED],
        triggers: &[call(Call::RevertFailover)],
        guards: &[Guard::VmOff, Guard::NoOpenSwap, Guard::NoJob, Guard::NoExtended, Guard::PlannedPoint],
        to: To::State(REPLICATING),
        what: "As UF-82; the primary stays prepared.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "PF-74",
        modes: REPLICA,
        from: &[RECOVERED],
        triggers: &[call(Call::Reverse)],
        guards: &[
            Guard::Consistent,
            Guard::NotAfterFailback,
            Guard::NotServing,
            Guard::NoTestVm,
            Guard::NoJob,
            Guard::Peer("the primary is prepared with the point that this copy failed over to"),
        ],
        to: To::Become(Mode::Primary, REPLICATING),
        what: "Roles swap without initial replication; the failover is committed by it.",
        evidence: Inferred,
        source: "Types of failover operations: Planned Failover (2012-07-31); EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
    }
    .with_other(PRIMARY, &[PREPARED], To::Become(Mode::Replica, REPLICATING)),
    Row {
        id: "PF-75",
        modes: REPLICA,
        from: &[COMMITTED],
        triggers: &[call(Call::Reverse)],
        guards: &[Guard::Consistent, Guard::NotAfterFailback, Guard::NotServing, Guard::NoTestVm, Guard::NoJob, Guard::Peer("as PF-74")],
        to: To::Become(Mode::Primary, REPLICATING),
        what: "As PF-74, after Complete-VMFailover.",
        evidence: Inferred,
        source: "Types of failover operations: Planned Failover (2012-07-31); EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
    }
    .with_other(PRIMARY, &[PREPARED], To::Become(Mode::Replica, REPLICATING)),
    Row {
        id: "PF-76",
        modes: REPLICA,
        from: &[RECOVERED, COMMITTED],
        triggers: &[call(Call::Reverse)],
        guards: &[Guard::Consistent, Guard::NotServing, Guard::NoTestVm, Guard::NoJob, Guard::Peer("the old primary's host cannot be reached, or accepts no replication")],
        to: To::Stay,
        what: "The job fails; this copy can be run unprotected.",
        evidence: Inferred,
        source: "Types of failover operations: Planned Failover (2012-07-31)",
    }
    .rule(),
    Row {
        id: "PF-108",
        modes: REPLICA,
        from: &[RECOVERED, COMMITTED],
        triggers: &[call(Call::Reverse)],
        guards: &[Guard::Consistent, Guard::NotServing, Guard::NoTestVm, Guard::NoJob, Guard::Peer("the primary is prepared, this copy failed over to another point")],
        to: To::Stay,
        what: "The job fails: make the old primary a replica (UF-87), then reverse (UF-89).",
        evidence: Inferred,
        source: "Types of failover operations: Planned Failover (2012-07-31)",
    }
    .rule(),
    Row {
        id: "PF-115",
        modes: REPLICA,
        from: &[RECOVERED, COMMITTED],
        triggers: &[call(Call::Reverse)],
        guards: &[Guard::Consistent, Guard::NotServing, Guard::NoTestVm, Guard::NoJob, Guard::Peer("the old primary has already swapped with this copy's swap id")],
        to: To::Become(Mode::Primary, REPLICATING),
        what: "A reverse whose answer was lost is done again and takes effect once.",
        evidence: Inferred,
        source: "our reading: the answer to a swap can be lost; a repeated request is answered as done (G-3)",
    }
    .with_other(REPLICA, &[REPLICATING, SUSPENDED], To::Stay),
];
