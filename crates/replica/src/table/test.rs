//! Test failover.

use Evidence::{Documented, Inferred};
use hvrsim_types::code::ReturnCode;

use super::prelude::*;

const CAN_BE_TESTED: &[Guard] =
    &[Guard::NoTestVm, Guard::InitialComplete, Guard::NotMerging, Guard::Consistent, Guard::NoJob];

pub(super) const RULES: &[Rule] = &[
    Row {
        id: "TF-61",
        modes: REPLICA,
        from: &[REPLICATING],
        triggers: &[call(Call::TestFailover)],
        guards: &[Guard::TestVm],
        to: To::Refused(ReturnCode::IN_USE),
        what: "A replica has at most one test machine.",
        evidence: Documented,
        source: "Types of failover operations: Test Failover (2012-07-25)",
    }
    .rule(),
    Row {
        id: "TF-60",
        modes: REPLICA,
        from: &[REPLICATING],
        triggers: &[call(Call::TestFailover)],
        guards: CAN_BE_TESTED,
        to: To::Stay,
        what: "A machine of its own is made on a differencing disk over the chosen point, in mode TestReplica and Off; replication goes on.",
        evidence: Documented,
        source: "Types of failover operations: Test Failover (2012-07-25); Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "TF-64",
        modes: REPLICA,
        from: &[REPLICATING, SUSPENDED],
        triggers: &[call(Call::TestFailover)],
        guards: CAN_BE_TESTED,
        to: To::Stay,
        what: "A paused replica, or one whose primary needs a resynchronization, can be tested as well: a recovery point exists.",
        evidence: Inferred,
        source: "Types of failover operations: Test Failover (2012-07-25)",
    }
    .rule(),
    Row {
        id: "RS-57",
        modes: REPLICA,
        from: &[RESYNC],
        triggers: &[call(Call::TestFailover)],
        guards: &[],
        to: To::Refused(ReturnCode::INVALID_STATE),
        what: "The disks are being changed by the resynchronization: wait until it ends, or cancel it on the primary.",
        evidence: Inferred,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
    }
    .rule(),
    Row {
        id: "TF-62",
        modes: REPLICA,
        from: &[REPLICATING, SUSPENDED],
        triggers: &[call(Call::RevertFailover)],
        guards: &[Guard::TestVm, Guard::NoJob],
        to: To::Stay,
        what: "The test machine is turned off and deleted with all that it wrote.",
        evidence: Documented,
        source: "Types of failover operations: Test Failover (2012-07-25); Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "TF-119",
        modes: REPLICA,
        from: &[COMMITTED],
        triggers: &[call(Call::RevertFailover)],
        guards: &[Guard::TestVm, Guard::NoJob],
        to: To::Stay,
        what: "The failover cannot be reverted any more, the test machine is deleted.",
        evidence: Inferred,
        source: "Types of failover operations: Test Failover (2012-07-25); Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "TF-C",
        modes: REPLICA,
        from: &[REPLICATING, SUSPENDED],
        triggers: &[call(Call::CancelJob)],
        guards: &[Guard::TestVm],
        to: To::Stay,
        what: "The job that makes a test machine is cancelled.",
        evidence: Evidence::Assumed,
        source: READING,
    }
    .rule(),
    Row {
        id: "TF-63",
        modes: REPLICA,
        from: &[REPLICATING, SUSPENDED, RECOVERED],
        triggers: &[event(Event::TestParted)],
        guards: &[Guard::TestVm],
        to: To::Stay,
        what: "In a cluster, the replica or its test machine moves to another node without the other: the link is lost, a second test machine can be made, and Stop-VMFailover does not find the first.",
        evidence: Documented,
        source: "Types of failover operations: Test Failover (2012-07-25)",
    }
    .rule(),
];
