//! The state of one copy of a machine: states carry data, a data-free twin is shown.

use std::collections::VecDeque;

use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{Epoch, ExchangeId, HostId, JobId, LogSeq, PointId, SessionId, SwapId};
use hvrsim_types::state::{Health, Mode, ReplicationState, ReplicationType};
use hvrsim_types::time::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::exchange::{Log, SessionKind};
use crate::operation::{InitialKind, PointChoice, Settings};

/// The back-off of recoverable failures, in minutes; its last step repeats (Hyper-V to Azure architecture).
pub const BACK_OFF_MIN: [u64; 6] = [1, 2, 4, 8, 10, 30];

/// A recovery point that is listed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Point {
    /// Its id, the same wherever it is kept.
    pub id: PointId,
    /// Its kind.
    pub kind: ReplicationType,
    /// The moment of the primary whose content it has.
    pub taken: Instant,
}

/// A run of the resynchronization engine that this copy leads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Its job.
    pub job: JobId,
    /// The session.
    pub session: SessionId,
    /// The moment that is brought; an unlisted point.
    pub view: PointId,
    /// When that moment was.
    pub as_of: Instant,
    /// What the next exchange is for.
    pub step: RunStep,
}

/// Where a run is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RunStep {
    /// The engine works.
    Moving,
    /// Waits for the next attempt.
    Waiting,
    /// Everything is there, the other side is being told.
    Finishing,
}

/// Why a primary is suspended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Pause {
    /// By an operator.
    Operator,
    /// By an operator, with initial replication unfinished.
    Unfinished(InitialKind),
    /// By a failback that reads from here.
    Held,
}

/// A failback that this copy, the former primary, receives.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FailbackRun {
    /// Its job.
    pub job: JobId,
    /// The session; also the failback's identity.
    pub session: SessionId,
    /// The host it comes from.
    pub from: HostId,
    /// The point asked for.
    pub choice: PointChoice,
    /// The state before the call.
    pub before: Box<Phase>,
    /// What it is at.
    pub step: FailbackStep,
    /// A stage to go back to, with `failback: staged`; an unlisted point.
    pub stage: Option<PointId>,
}

/// Where a failback is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum FailbackStep {
    /// Asking the new primary's side, or waiting until it can serve.
    Asking,
    /// The engine brings the point.
    Moving {
        /// The point.
        point: PointId,
        /// Second pass: the engine brings what came after.
        last: bool,
    },
    /// Everything is there, the other side is being asked for a last pass.
    Finishing {
        /// The point.
        point: PointId,
    },
}

/// A failback that this copy, the new primary, serves or has served.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Served {
    /// Its identity.
    pub session: SessionId,
    /// The point that is, or was, read.
    pub point: PointId,
    /// The point was taken for it and is not listed.
    pub unlisted: bool,
    /// The host that receives it.
    pub to: HostId,
    /// That host did not answer when it was asked last.
    pub silent: bool,
}

/// A failback that this copy has received.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Received {
    /// Its identity.
    pub session: SessionId,
    /// The host it came from.
    pub from: HostId,
    /// What this copy wrote since is known.
    pub tracked: bool,
}

/// A state with what belongs to it. Some are for one mode only.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Phase {
    /// No relationship.
    Disabled,
    /// Primary: enabled.
    Ready {
        /// The other side's copy was the primary once: compare instead of sending everything.
        returned: bool,
    },
    /// Primary: initial replication under way.
    Initial(Run, InitialKind),
    /// Replica: waits for initial replication.
    Awaiting {
        /// The session that brings it.
        session: Option<SessionId>,
    },
    /// Either.
    Replicating,
    /// Primary: prepared for failover with this Planned point.
    Prepared(PointId),
    /// Replica: a failover job is running, from this state.
    Recovering {
        /// The point; `None` is the newest content.
        point: Option<PointId>,
        /// Its kind.
        kind: ReplicationType,
        /// The rule that was taken.
        rule: FailoverRule,
        /// Hyper-V Manager starts the machine at the end.
        start: bool,
    },
    /// Replica: failed over.
    Recovered {
        /// The point, if it is a listed one.
        point: Option<PointId>,
    },
    /// Replica: failover, or failback, committed.
    Committed {
        /// The point that was failed over to.
        point: Option<PointId>,
        /// The failback that was committed.
        failback: Option<Received>,
    },
    /// Either.
    Suspended(Pause),
    /// Either.
    Error,
    /// Primary: a resynchronization is required.
    ResyncRequired,
    /// Primary: resynchronizing.
    Resync(Run),
    /// Replica: being resynchronized; the unlisted point goes back to the state before.
    ResyncReceiving {
        /// The session.
        session: SessionId,
        /// The stage.
        stage: PointId,
        /// What it goes back to.
        before: Base,
        /// An operator paused it here.
        paused: bool,
    },
    /// Primary: resynchronization paused.
    ResyncSuspended(Run),
    /// Primary: disks are added to the relationship.
    Updating {
        /// The disks that will be replicated.
        wanted: DiskSet,
        /// The session that brings the new ones, once the replica is ready.
        run: Option<Run>,
    },
    /// Primary: adding them has failed; the old set stands.
    UpdateFailed {
        /// The disks that were wanted.
        wanted: DiskSet,
    },
    /// Replica: receives disks that are added.
    UpdateReceiving {
        /// The session.
        session: SessionId,
        /// The new disks.
        added: DiskSet,
    },
    /// Replica: *WaitingForFailback*.
    Failback(FailbackRun),
    /// Replica: *FailbackCompleted*.
    FailbackDone(Received),
}

/// What a replica was before a resynchronization.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Base {
    /// It waited for initial replication.
    Waiting,
    /// It replicated.
    Replicating,
    /// Its disks were left inconsistent by a broken failback.
    Broken,
}

impl Base {
    /// The state that it was in.
    #[must_use]
    pub const fn phase(self) -> Phase {
        match self {
            Self::Waiting => Phase::Awaiting { session: None },
            Self::Replicating => Phase::Replicating,
            Self::Broken => Phase::Error,
        }
    }
}

/// The rule by which a failover started.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum FailoverRule {
    /// To the Planned point.
    Planned,
    /// From Replicating.
    Unplanned,
    /// From Suspended.
    FromSuspended,
    /// From Resynchronizing.
    FromResync,
    /// While disks are added.
    FromUpdate,
    /// With a test machine beside it.
    BesideTest,
    /// On the third host of a chain.
    Extended,
}

impl FailoverRule {
    /// The rule's id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Planned => "PF-72",
            Self::Unplanned => "UF-78",
            Self::FromSuspended => "UF-80",
            Self::FromResync => "RS-58",
            Self::FromUpdate => "ST-137",
            Self::BesideTest => "TF-65",
            Self::Extended => "XF-101",
        }
    }
}

impl Phase {
    /// The data-free twin.
    #[must_use]
    pub const fn state(&self) -> ReplicationState {
        use ReplicationState as S;
        match self {
            Self::Disabled => S::Disabled,
            Self::Ready { .. } => S::ReadyForInitialReplication,
            Self::Initial(..) | Self::Awaiting { .. } => S::WaitingToCompleteInitialReplication,
            Self::Replicating => S::Replicating,
            Self::Prepared(_) => S::SyncedReplicationComplete,
            Self::Recovering { .. } => S::FailoverInProgress,
            Self::Recovered { .. } => S::Recovered,
            Self::Committed { .. } => S::Committed,
            Self::Suspended(_) => S::Suspended,
            Self::Error => S::Critical,
            Self::ResyncRequired => S::WaitingForStartResynchronize,
            Self::Resync(_) | Self::ResyncReceiving { paused: false, .. } => S::Resynchronizing,
            Self::ResyncSuspended(_) | Self::ResyncReceiving { paused: true, .. } => {
                S::ResynchronizeSuspended
            }
            Self::Updating { .. } | Self::UpdateReceiving { .. } => S::DiskUpdateInProgress,
            Self::UpdateFailed { .. } => S::DiskUpdateCritical,
            Self::Failback(_) => S::FailbackInProgress,
            Self::FailbackDone(_) => S::FailbackComplete,
        }
    }
}

/// A log that is being sent, or waits for its next attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Sending {
    /// The log.
    pub log: Log,
    /// When the switch was.
    pub since: Instant,
    /// The request under way; `None` while it waits.
    pub exchange: Option<ExchangeId>,
    /// It is the seed of a reverse after a failback.
    pub swap: Option<SwapId>,
}

/// What an operator did whose success shows with the next send.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Trial {
    /// Resumed from Error.
    Resumed,
    /// Cancelled a preparation.
    Unprepared,
}

/// What one outstanding request is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// The request.
    pub exchange: ExchangeId,
    /// Its purpose.
    pub what: Asking,
}

/// Purposes of requests other than logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Asking {
    /// Create a relationship; with a mode of `Reverse` to a third host.
    Create {
        /// The host that was asked.
        to: HostId,
        /// It is a reverse to a third host.
        reverse: bool,
    },
    /// Open a session of initial replication.
    OpenInitial(InitialKind),
    /// Open a resynchronization.
    OpenResync {
        /// It is automatic.
        automatic: bool,
    },
    /// Open a session that adds disks.
    OpenUpdate,
    /// Tell that an initial replica was imported.
    Imported,
    /// Continue a session.
    Continue,
    /// Finish a session.
    Finish,
    /// Swap roles.
    Swap {
        /// It was asked before, and the answer was lost.
        again: bool,
    },
    /// Open a failback.
    FailbackOpen,
    /// Finish a failback.
    FailbackFinish,
    /// Give a completed failback up.
    GiveUp,
    /// Does the failback that holds this copy, or the session that it receives, still run?
    StillWanted {
        /// An operator's call waits for the answer: its job ends with it.
        by_call: bool,
    },
}

/// Statistics of the monitoring interval.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// Start of the window.
    pub since: Instant,
    /// Successful cycles.
    pub successes: u32,
    /// Missed cycles.
    pub missed: u32,
    /// Failed operations.
    pub errors: u32,
    /// Application-consistent points that failed.
    pub vss_failures: u32,
    /// Bytes of all cycles.
    pub size_bytes: u64,
    /// Bytes of the largest cycle.
    pub max_size_bytes: u64,
    /// Time of all cycles.
    pub latency: Span,
    /// Time of the longest cycle.
    pub max_latency: Span,
}

/// One copy of a machine on one host.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Copy {
    /// Its role.
    pub mode: Mode,
    /// Its state.
    pub phase: Phase,
    /// The host at the other end.
    pub peer: Option<HostId>,
    /// The relationship's epoch, as this copy knows it.
    pub epoch: Epoch,
    /// The relationship's settings.
    pub settings: Settings,
    /// It was the primary in an earlier epoch.
    pub was_primary: bool,
    /// A broken failback left its disks between two contents.
    pub inconsistent: bool,
    /// It was set back to an earlier content behind the back of both logs: what the sides have in common is not known.
    pub set_back: bool,
    /// It holds a complete content of its primary.
    pub initial_complete: bool,
    /// Disks are being merged.
    pub merging: bool,
    /// The change log is intact since the contents of both sides were last equal.
    pub tracked: bool,
    /// Primary: number of the last acknowledged log. Replica: of the last stored one.
    pub seq: LogSeq,
    /// The log under way.
    pub sending: Option<Sending>,
    /// A switch has been asked for, of this kind.
    pub switching: Option<ReplicationType>,
    /// Another cycle fell due meanwhile.
    pub due: bool,
    /// What the next send will tell.
    pub on_trial: Option<Trial>,
    /// Logs received and not yet applied, oldest first.
    pub received: VecDeque<Log>,
    /// Listed recovery points, oldest first.
    pub points: Vec<Point>,
    /// When the last hourly point was.
    pub last_point: Instant,
    /// When an application-consistent point was asked for last.
    pub last_vss: Instant,
    /// Last send (primary) or receipt (replica).
    pub last_replication: Option<Instant>,
    /// Last apply.
    pub last_apply: Option<Instant>,
    /// Kind of the last replication.
    pub last_type: ReplicationType,
    /// Kind of the point that was failed over to, or back to.
    pub failed_over_type: ReplicationType,
    /// Failed attempts since the last success.
    pub attempts: u8,
    /// Counters.
    pub statistics: Statistics,
    /// The mutating job.
    pub job: Option<JobId>,
    /// The state that a request under way already shows.
    pub shown: Option<ReplicationState>,
    /// Outstanding request, other than a log.
    pub asked: Option<Asked>,
    /// A start that has been scheduled.
    pub scheduled: Option<Scheduled>,
    /// The swap that this copy agreed to last.
    pub swap: Option<SwapId>,
    /// The swap that this copy asked for, and whose answer it does not know.
    pub asked_swap: Option<SwapId>,
    /// The failback it serves, or served last.
    pub served: Option<Served>,
    /// The host that was told of the end of a failback which had changed nothing, and the epoch that this began: the
    /// message can be lost.
    pub released: Option<(HostId, Epoch)>,
    /// The initial replica that was exported and is on its way: its session, and the moment that it holds.
    pub media: Option<(SessionId, PointId)>,
    /// It runs after a failover and keeps points to fail back to.
    pub keeps_points: bool,
    /// It was failed over to the newest content that it had.
    pub failed_over_newest: bool,
    /// The extended relationship of a replica, to the next host of a chain; in it, this copy is the primary.
    pub extended: Option<Box<Copy>>,
}

/// A scheduled start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Scheduled {
    /// Its job.
    pub job: JobId,
    /// Of initial replication of this kind, or of a resynchronization.
    pub initial: Option<InitialKind>,
}

/// The purpose of a session that a replica receives.
pub type Receiving = (SessionId, SessionKind);

impl Default for Copy {
    fn default() -> Self {
        Self {
            mode: Mode::None,
            phase: Phase::Disabled,
            peer: None,
            epoch: Epoch(0),
            settings: Settings::default(),
            was_primary: false,
            inconsistent: false,
            set_back: false,
            initial_complete: false,
            merging: false,
            tracked: false,
            seq: LogSeq(0),
            sending: None,
            switching: None,
            due: false,
            on_trial: None,
            received: VecDeque::new(),
            points: Vec::new(),
            last_point: Instant::START,
            last_vss: Instant::START,
            last_replication: None,
            last_apply: None,
            last_type: ReplicationType::None,
            failed_over_type: ReplicationType::None,
            attempts: 0,
            statistics: Statistics::default(),
            job: None,
            shown: None,
            asked: None,
            scheduled: None,
            swap: None,
            asked_swap: None,
            served: None,
            released: None,
            media: None,
            keeps_points: false,
            failed_over_newest: false,
            extended: None,
        }
    }
}

/// More than this without contact is a Warning.
const SILENCE: Span = Span::HOUR;
/// Average latency above this is a Warning, but at 15 minutes' frequency.
const SLOW: Span = Span::minutes(5);

impl Copy {
    /// The state, without what a request under way shows.
    #[must_use]
    pub const fn state(&self) -> ReplicationState {
        self.phase.state()
    }

    /// The state that clients see (`ReplicationState`).
    #[must_use]
    pub fn shown_state(&self) -> ReplicationState {
        self.shown.unwrap_or(self.state())
    }

    /// Whether the back-off has reached its last step.
    #[must_use]
    pub fn unable_to_send(&self) -> bool {
        usize::from(self.attempts) >= BACK_OFF_MIN.len()
    }

    /// Health with its reasons, worst first (Interpreting Replication Health, parts 1 and 2).
    #[must_use]
    pub fn health(&self, now: Instant) -> (Health, Vec<&'static str>) {
        if matches!(self.mode, Mode::None | Mode::TestReplica) {
            return (Health::NotApplicable, Vec::new());
        }
        let mut reasons: Vec<(Health, &'static str)> = Vec::new();
        reasons.extend(self.state_reason());
        reasons.extend(self.traffic_reasons(now));
        reasons.sort_by_key(|(health, _)| std::cmp::Reverse(*health));
        let worst = reasons.first().map_or(Health::Normal, |(health, _)| *health);
        (worst, reasons.into_iter().map(|(_, text)| text).collect())
    }

    fn state_reason(&self) -> Option<(Health, &'static str)> {
        use Health::{Critical, Warning};
        match (&self.phase, self.mode) {
            (Phase::Error, _) if self.inconsistent => Some((
                Critical,
                "A failback was broken off; the disks are inconsistent. Initiate the failback again.",
            )),
            (Phase::Error, _) => {
                Some((Critical, "Replication is in error. Mend the cause, then resume replication."))
            }
            (Phase::ResyncRequired | Phase::ResyncSuspended(_), _) => {
                Some((Critical, "Resynchronization is required. Resume replication to start it."))
            }
            (Phase::ResyncReceiving { paused: true, .. }, _) => {
                Some((Critical, "Resynchronization is paused on the replica."))
            }
            (Phase::Resync(_) | Phase::ResyncReceiving { .. }, _) => Some((Critical, "Resynchronizing.")),
            (Phase::Suspended(_), Mode::Primary) => Some((Warning, "Replication is paused.")),
            (Phase::Suspended(_), _) => Some((Critical, "Replication is paused on the replica.")),
            (Phase::Ready { .. } | Phase::Initial(..) | Phase::Awaiting { .. }, _) => {
                Some((Warning, "Initial replication is not complete."))
            }
            (Phase::Recovering { .. } | Phase::Recovered { .. } | Phase::Committed { .. }, _) => {
                Some((Warning, "Failed over, and not reversed."))
            }
            (Phase::Updating { .. } | Phase::UpdateReceiving { .. }, _) => {
                Some((Warning, "A disk is being added to the replicated disks."))
            }
            (Phase::UpdateFailed { .. }, _) => Some((
                Critical,
                "Adding a disk has failed. Resume replication to try again, or set the old list of disks.",
            )),
            (Phase::Failback(_), _) if self.unable_to_send() => {
                Some((Critical, "The failback cannot reach the new primary's side."))
            }
            (Phase::Failback(_), _) => Some((Warning, "A failback is under way.")),
            (Phase::FailbackDone(_), _) => Some((Warning, "Failed back, and not reversed.")),
            (Phase::Disabled | Phase::Replicating | Phase::Prepared(_), _) => None,
        }
    }

    fn traffic_reasons(&self, now: Instant) -> Vec<(Health, &'static str)> {
        let mut reasons = Vec::new();
        if self.phase != Phase::Replicating {
            return reasons;
        }
        if self.mode == Mode::Primary && self.unable_to_send() {
            reasons.push((Health::Critical, "Replication traffic cannot be sent."));
        }
        let s = &self.statistics;
        let cycles = s.successes + s.missed;
        if self.mode == Mode::Primary && cycles > 0 && s.missed * 5 > cycles {
            reasons.push((Health::Warning, "More than 20 percent of replication cycles were missed."));
        }
        if self.last_replication.is_some_and(|last| now - last > SILENCE) {
            reasons.push((Health::Warning, "The replica is behind by more than an hour."));
        }
        let interval = Span::seconds(self.settings.frequency.interval_s());
        if s.successes > 0 && interval <= SLOW && s.latency.0 / u64::from(s.successes) > SLOW.0 {
            reasons.push((Health::Warning, "Replication takes more than five minutes on average."));
        }
        reasons
    }

    /// Whether this copy's disks are what a session may write into now.
    #[must_use]
    pub fn receives(&self, session: SessionId) -> bool {
        match &self.phase {
            Phase::Awaiting { session: Some(open) } => *open == session,
            Phase::ResyncReceiving { session: open, paused, .. } => *open == session && !paused,
            Phase::UpdateReceiving { session: open, .. } => *open == session,
            Phase::Failback(run) => run.session == session,
            _ => false,
        }
    }

    /// The position of a listed point.
    #[must_use]
    pub fn point(&self, id: PointId) -> Option<&Point> {
        self.points.iter().find(|p| p.id == id)
    }
}
