//! The words that rows are written with.

pub(super) use hvrsim_types::state::{Mode, ReplicationState};

pub(super) use crate::rule::{Call, Event, Evidence, Guard, Other, Rule, To, Trigger};

/// A row, written compactly.
pub(super) struct Row {
    pub(super) id: &'static str,
    pub(super) modes: &'static [Mode],
    pub(super) from: &'static [ReplicationState],
    pub(super) triggers: &'static [Trigger],
    pub(super) guards: &'static [Guard],
    pub(super) to: To,
    pub(super) what: &'static str,
    pub(super) evidence: Evidence,
    pub(super) source: &'static str,
}

impl Row {
    pub(super) const fn rule(self) -> Rule {
        Rule {
            id: self.id,
            modes: self.modes,
            from: self.from,
            triggers: self.triggers,
            guards: self.guards,
            to: self.to,
            other: None,
            what: self.what,
            evidence: self.evidence,
            source: self.source,
        }
    }

    pub(super) const fn with_other(
        self,
        modes: &'static [Mode],
        from: &'static [ReplicationState],
        to: To,
    ) -> Rule {
        let mut rule = self.rule();
        rule.other = Some(Other { modes, from, to });
        rule
    }
}

pub(super) const fn call(call: Call) -> Trigger {
    Trigger::Call(call)
}

pub(super) const fn event(event: Event) -> Trigger {
    Trigger::Event(event)
}

pub(super) const NONE: &[Mode] = &[Mode::None];
pub(super) const PRIMARY: &[Mode] = &[Mode::Primary];
pub(super) const REPLICA: &[Mode] = &[Mode::Replica];
pub(super) const EITHER: &[Mode] = &[Mode::Primary, Mode::Replica];

pub(super) const DISABLED: ReplicationState = ReplicationState::Disabled;
pub(super) const READY: ReplicationState = ReplicationState::ReadyForInitialReplication;
/// `InitialReplicationInProgress` on a primary, `WaitingForInitialReplication` on a replica.
pub(super) const INITIAL: ReplicationState = ReplicationState::WaitingToCompleteInitialReplication;
pub(super) const REPLICATING: ReplicationState = ReplicationState::Replicating;
pub(super) const PREPARED: ReplicationState = ReplicationState::SyncedReplicationComplete;
pub(super) const RECOVERED: ReplicationState = ReplicationState::Recovered;
pub(super) const COMMITTED: ReplicationState = ReplicationState::Committed;
pub(super) const SUSPENDED: ReplicationState = ReplicationState::Suspended;
pub(super) const ERROR: ReplicationState = ReplicationState::Critical;
pub(super) const RESYNC_REQUIRED: ReplicationState = ReplicationState::WaitingForStartResynchronize;
pub(super) const RESYNC: ReplicationState = ReplicationState::Resynchronizing;
pub(super) const RESYNC_SUSPENDED: ReplicationState = ReplicationState::ResynchronizeSuspended;
pub(super) const RECOVERING: ReplicationState = ReplicationState::FailoverInProgress;
pub(super) const FAILBACK: ReplicationState = ReplicationState::FailbackInProgress;
pub(super) const FAILBACK_DONE: ReplicationState = ReplicationState::FailbackComplete;

/// Every state that a copy with a relationship can be in.
pub(super) const ANY: &[ReplicationState] = &[
    READY,
    INITIAL,
    REPLICATING,
    PREPARED,
    RECOVERED,
    COMMITTED,
    SUSPENDED,
    ERROR,
    RESYNC_REQUIRED,
    RESYNC,
    RESYNC_SUSPENDED,
    RECOVERING,
    FAILBACK,
    FAILBACK_DONE,
];

// Public titles.
pub(super) const OVERVIEW: &str = "Set up Hyper-V Replica; Hyper-V module reference, learn.microsoft.com";
pub(super) const MODULE: &str = "Hyper-V module reference, learn.microsoft.com/powershell/module/hyper-v";
pub(super) const FAILOVER: &str = "Failover with Hyper-V Replica, learn.microsoft.com";
pub(super) const WMI: &str = "Hyper-V WMI provider v2, learn.microsoft.com/windows/win32/hyperv_v2";
pub(super) const RESYNC_POST: &str = "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)";
pub(super) const HEALTH_POST: &str = "Interpreting Replication Health, parts 1 and 2 (2012-06)";
pub(super) const PLANNED_POST: &str = "Types of failover operations: planned failover (2012-07-31)";
pub(super) const UNPLANNED_POST: &str = "Types of failover operations: unplanned failover (2012-08-08)";
pub(super) const SEED_POST: &str = "Using an existing VM for initial replication (2013-08-27)";
pub(super) const AZURE: &str = "Hyper-V to Azure architecture, learn.microsoft.com/azure/site-recovery";
pub(super) const AZURE_FAILBACK: &str =
    "Run a failback for Hyper-V VMs, learn.microsoft.com/azure/site-recovery";
pub(super) const SHUTDOWN: &str =
    "Replication is suspended at system shutdown, learn.microsoft.com/troubleshoot";
pub(super) const FIELD_SCRIPTS: &str =
    "EXPRESSCLUSTER with Hyper-V Replica, failover scripts for real hosts (NEC)";
pub(super) const RESIZE_POST: &str = "Resizing virtual disks attached to replicating VMs (2013-11-14)";
pub(super) const READING: &str = "our reading; see docs/readings.md";
