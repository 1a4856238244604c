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
/// Whatever receives from another host.
pub(super) const REPLICA: &[Mode] = &[Mode::Replica, Mode::ExtendedReplica];
/// What receives from a primary, and may be the middle copy of a chain.
pub(super) const SIMPLE: &[Mode] = &[Mode::Replica];
/// The third copy of a chain.
pub(super) const EXTENDED: &[Mode] = &[Mode::ExtendedReplica];
pub(super) const EITHER: &[Mode] = &[Mode::Primary, Mode::Replica, Mode::ExtendedReplica];
pub(super) const ALL_MODES: &[Mode] =
    &[Mode::None, Mode::Primary, Mode::Replica, Mode::TestReplica, Mode::ExtendedReplica];

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
/// `WaitingForUpdateCompletion`.
pub(super) const UPDATING: ReplicationState = ReplicationState::DiskUpdateInProgress;
/// `UpdateError`.
pub(super) const UPDATE_ERROR: ReplicationState = ReplicationState::DiskUpdateCritical;
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
    UPDATING,
    UPDATE_ERROR,
    FAILBACK,
    FAILBACK_DONE,
];

/// Every state of a copy, with a relationship or without.
pub(super) const ALL_STATES: &[ReplicationState] = &[
    DISABLED,
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
    UPDATING,
    UPDATE_ERROR,
    FAILBACK,
    FAILBACK_DONE,
];

// Public titles, as in `tests/data/sources.tsv`.
pub(super) const MODULE: &str = "Hyper-V module reference for PowerShell";
pub(super) const WMI: &str = "Hyper-V WMI provider (V2) reference";
pub(super) const READING: &str = "our reading; see docs/readings.md";
