//! Enabling and initial replication.

use Evidence::{Documented, Inferred};

use super::prelude::*;

pub(super) const RULES: &[Rule] = &[
    Row {
        id: "EN-1",
        modes: NONE,
        from: &[DISABLED],
        triggers: &[call(Call::Enable)],
        guards: &[
            Guard::HasDisk,
            Guard::NoJob,
            Guard::Peer("the replica server is on, authorizes this host and has no machine of that id"),
        ],
        to: To::Become(Mode::Primary, READY),
        what: "The replica server makes a machine of the same id with empty disks, which waits for initial replication.",
        evidence: Documented,
        source: "Hyper-V module reference for PowerShell; Interpreting Replication Health, part 1 (2012-06-15)",
    }
    .with_other(NONE, &[DISABLED], To::Become(Mode::Replica, INITIAL)),
    Row {
        id: "EN-2",
        modes: NONE,
        from: &[DISABLED],
        triggers: &[call(Call::Enable)],
        guards: &[Guard::HasDisk, Guard::NoJob, Guard::Peer("the replica server holds the machine as a seed (-AsReplica)")],
        to: To::Become(Mode::Primary, READY),
        what: "The machine that is there already is linked as the replica.",
        evidence: Documented,
        source: "Using an existing VM for initial replication (2013-08-27)",
    }
    .with_other(REPLICA, &[INITIAL], To::Become(Mode::Replica, INITIAL)),
    Row {
        id: "EN-3",
        modes: NONE,
        from: &[DISABLED],
        triggers: &[call(Call::Enable)],
        guards: &[Guard::HasDisk, Guard::NoJob, Guard::Peer("the replica server is unreachable, refuses, or holds a machine of that id")],
        to: To::Stay,
        what: "The job fails; nothing is left on either side.",
        evidence: Documented,
        source: "Hyper-V Replica troubleshooting guide (2025)",
    }
    .rule(),
    Row {
        id: "EN-4",
        modes: NONE,
        from: &[DISABLED],
        triggers: &[call(Call::AsReplica)],
        guards: &[Guard::VmOff, Guard::NoSavedState, Guard::NoCheckpoint, Guard::NoTestVm, Guard::NoJob],
        to: To::Become(Mode::Replica, INITIAL),
        what: "A machine that is not replicated becomes a seed.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "EN-6",
        modes: PRIMARY,
        from: &[READY],
        triggers: &[call(Call::StartInitialReplication)],
        guards: &[Guard::Later, Guard::NoJob],
        to: To::Stay,
        what: "The start is scheduled: a job waits for its time, at most 7 days ahead.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "EN-5",
        modes: PRIMARY,
        from: &[READY],
        triggers: &[call(Call::StartInitialReplication)],
        guards: &[Guard::Now, Guard::NoJob, Guard::Peer("the replica waits for initial replication and can be reached")],
        to: To::State(INITIAL),
        what: "The disks are sent as they were at one instant; writes since then are tracked.",
        evidence: Documented,
        source: "Hyper-V module reference for PowerShell; Replicate virtual machines",
    }
    .with_other(REPLICA, &[INITIAL], To::Stay),
    Row {
        id: "EN-7",
        modes: PRIMARY,
        from: &[READY],
        triggers: &[call(Call::StartInitialReplication)],
        guards: &[Guard::Now, Guard::NoJob, Guard::Peer("the replica is a seed with the same disks")],
        to: To::State(INITIAL),
        what: "From a copy that is there (-UseBackup): compared, only differences are sent.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell; Using an existing VM for initial replication (2013-08-27)",
    }
    .with_other(REPLICA, &[INITIAL], To::Stay),
    Row {
        id: "EN-9",
        modes: PRIMARY,
        from: &[INITIAL],
        triggers: &[event(Event::InitialDone)],
        guards: &[],
        to: To::State(REPLICATING),
        what: "Everything is there: both copies replicate, tracked writes go with the first cycle.",
        evidence: Documented,
        source: "Interpreting Replication Health, part 1 (2012-06-15); Hyper-V module reference for PowerShell",
    }
    .with_other(REPLICA, &[INITIAL], To::State(REPLICATING)),
    Row {
        id: "EN-11",
        modes: PRIMARY,
        from: &[INITIAL],
        triggers: &[call(Call::StopInitialReplication), call(Call::CancelJob)],
        guards: &[],
        to: To::State(READY),
        what: "Initial replication is cancelled; the next start begins anew.",
        evidence: Documented,
        source: "Hyper-V module reference for PowerShell",
    }
    .with_other(REPLICA, &[INITIAL], To::Stay),
    Row {
        id: "EN-11A",
        modes: PRIMARY,
        from: &[READY],
        triggers: &[call(Call::StopInitialReplication), call(Call::CancelJob)],
        guards: &[Guard::Starting],
        to: To::Stay,
        what: "A start whose job still asks the other side is cancelled.",
        evidence: Documented,
        source: "Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "EN-12",
        modes: PRIMARY,
        from: &[INITIAL],
        triggers: &[event(Event::RecoverableFailure)],
        guards: &[],
        to: To::Stay,
        what: "The transfer waits and goes on when the other side answers again.",
        evidence: Inferred,
        source: "Hyper-V to Azure disaster recovery architecture",
    }
    .rule(),
    Row {
        id: "EN-13",
        modes: PRIMARY,
        from: &[INITIAL],
        triggers: &[event(Event::LogOverLimit)],
        guards: &[],
        to: To::State(RESYNC_REQUIRED),
        what: "Half of the disks' size was written meanwhile.",
        evidence: Inferred,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
    }
    .with_other(REPLICA, &[INITIAL], To::Stay),
    Row {
        id: "EN-14",
        modes: PRIMARY,
        from: &[READY],
        triggers: &[call(Call::Remove)],
        guards: &[Guard::NotServing, Guard::NoJob],
        to: To::Become(Mode::None, DISABLED),
        what: "Replication is removed on this side; the replica is not told.",
        evidence: Documented,
        source: "Hyper-V module reference for PowerShell",
    }
    .rule(),
    Row {
        id: "EN-15",
        modes: REPLICA,
        from: &[INITIAL],
        triggers: &[call(Call::StartVm), call(Call::Failover), call(Call::TestFailover)],
        guards: &[],
        to: To::Refused(hvrsim_types::code::ReturnCode::INVALID_STATE),
        what: "Nothing can be started from a replica that has not received everything.",
        evidence: Inferred,
        source: "our reading: no page allows them before the initial replication is complete",
    }
    .rule(),
    Row {
        id: "EN-112",
        modes: PRIMARY,
        from: &[INITIAL],
        triggers: &[call(Call::Suspend)],
        guards: &[],
        to: To::State(SUSPENDED),
        what: "Paused; that initial replication is unfinished is remembered.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell; Hyper-V WMI provider (V2) reference",
    }
    .with_other(REPLICA, &[INITIAL], To::Stay),
    Row {
        id: "EN-113",
        modes: PRIMARY,
        from: &[SUSPENDED],
        triggers: &[call(Call::Resume)],
        guards: &[Guard::InitialUnfinished, Guard::NoJob],
        to: To::State(INITIAL),
        what: "Initial replication begins again.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
    }
    .with_other(REPLICA, &[INITIAL], To::Stay),
    Row {
        id: "EN-127",
        modes: PRIMARY,
        from: &[INITIAL],
        triggers: &[event(Event::HostCrash), event(Event::WorkerCrash)],
        guards: &[Guard::VmRunning],
        to: To::State(READY),
        what: "The host went down with the machine running: the log is not closed, initial replication starts over.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
    }
    .rule(),
];
