//! Jobs of a host: at most one mutating job a relationship, kept five minutes after the end.

use std::collections::{BTreeMap, VecDeque};

use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{JobId, SessionId, VmId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::time::{Instant, Span};
use serde::{Deserialize, Serialize};

/// How long an ended job can still be looked at (`TimeBeforeRemoval`).
pub const KEPT_AFTER_END: Span = Span::minutes(5);

/// What a job is at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Stage {
    /// Accepted, waiting for its time.
    Scheduled,
    /// Asking the other side.
    Asking,
    /// Failback: the new primary's side cannot serve now, or does not answer.
    WaitingForProvider,
    /// Comparing both sides.
    Comparing,
    /// Sending.
    Transferring,
    /// Applying stored logs, preparing or merging disks.
    Preparing,
    /// Last steps.
    Finalizing,
    /// Ended.
    Ended,
}

impl Stage {
    /// The name in logs and listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Asking => "asking",
            Self::WaitingForProvider => "waiting-for-provider",
            Self::Comparing => "comparing",
            Self::Transferring => "transferring",
            Self::Preparing => "preparing",
            Self::Finalizing => "finalizing",
            Self::Ended => "ended",
        }
    }
}

/// A job.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The machine.
    pub vm: VmId,
    /// `JobType`.
    pub kind: JobType,
    /// `JobState`.
    pub state: JobState,
    /// What it is at.
    pub stage: Stage,
    /// `ErrorCode`.
    pub error: ReturnCode,
    /// `ErrorDescription`.
    pub error_text: String,
    /// When it was accepted.
    pub submitted: Instant,
    /// When it ended.
    pub ended: Option<Instant>,
    /// The session that does its work, if one does.
    pub session: Option<SessionId>,
}

/// The jobs of a host.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Jobs {
    all: BTreeMap<JobId, Job>,
    /// Jobs that ended and are still known, in the order of their ends.
    ended: VecDeque<JobId>,
    last: u64,
}

impl Jobs {
    /// Starts a job and forgets those that ended long ago.
    pub fn start(&mut self, vm: VmId, kind: JobType, stage: Stage, now: Instant) -> JobId {
        while self.ended.front().is_some_and(|id| self.is_forgotten(*id, now)) {
            if let Some(id) = self.ended.pop_front() {
                self.all.remove(&id);
            }
        }
        self.last += 1;
        let id = JobId(self.last);
        let state = if stage == Stage::Scheduled { JobState::Starting } else { JobState::Running };
        let job = Job {
            id,
            vm,
            kind,
            state,
            stage,
            error: ReturnCode::COMPLETED,
            error_text: String::new(),
            submitted: now,
            ended: None,
            session: None,
        };
        self.all.insert(id, job);
        id
    }

    fn is_forgotten(&self, id: JobId, now: Instant) -> bool {
        let ended = self.all.get(&id).and_then(|job| job.ended);
        ended.is_some_and(|end| end + KEPT_AFTER_END <= now)
    }

    /// A job ends with this state and error.
    pub fn end(&mut self, id: JobId, state: JobState, error: ReturnCode, text: &str, now: Instant) {
        let Some(job) = self.all.get_mut(&id) else { return };
        job.state = state;
        job.stage = Stage::Ended;
        job.error = error;
        text.clone_into(&mut job.error_text);
        if job.ended.replace(now).is_none() {
            self.ended.push_back(id);
        }
    }

    /// A job that is still known.
    #[must_use]
    pub fn get(&self, id: JobId) -> Option<&Job> {
        self.all.get(&id)
    }

    /// A job that is still known, to be changed.
    pub fn get_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.all.get_mut(&id)
    }

    /// All jobs that may still be looked at, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Job> {
        self.all.values()
    }
}
