//! Failover on the replica: to a point, back from it, committed.

use hvrsim_types::code::ReturnCode;
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, Power, ReplicationType};
use hvrsim_types::time::Span;

use crate::copy::{FailoverRule, Phase};
use crate::exchange::{Effect, Outcome, TimerKind};
use crate::job::Stage;
use crate::operation::PointChoice;
use crate::rule::{Rule, Storage};
use crate::service::Work;

impl Work<'_> {
    /// `start`: the machine is started when it is failed over.
    pub(crate) fn failover(&mut self, rule: &'static Rule, choice: PointChoice, start: bool) -> Outcome {
        let job = self.start_job(JobType::InitiateFailover, Stage::Preparing);
        let kind = self.chosen_kind(choice);
        let by = match rule.id {
            "PF-72" => FailoverRule::Planned,
            "UF-80" => FailoverRule::FromSuspended,
            "RS-58" => FailoverRule::FromResync,
            "ST-137" => FailoverRule::FromUpdate,
            "TF-65" => FailoverRule::BesideTest,
            "XF-101" => FailoverRule::Extended,
            _ => FailoverRule::Unplanned,
        };
        if let Phase::ResyncReceiving { stage, .. } = self.copy.phase {
            self.leave_session(stage);
        }
        self.drop_new_disks();
        let point = match choice {
            PointChoice::Id(id) => Some(id),
            _ => None,
        };
        self.go(rule.id, Phase::Recovering { point, kind, rule: by, start });
        self.rest_extended();
        if self.facts.storage != Storage::Sound {
            self.failover_failed("the files of the replica cannot be written");
        } else if self.copy.received.is_empty() {
            self.make_failover_disk();
        }
        self.started(rule, job)
    }

    pub(crate) fn failover_failed(&mut self, text: &str) {
        if !matches!(self.copy.phase, Phase::Recovering { .. }) {
            return;
        }
        self.copy.failed_over_type = ReplicationType::None;
        self.go("UF-117", Phase::Replicating);
        self.fail_job(ReturnCode::FAILED, text);
    }

    /// All stored logs are applied, nothing is being merged: what waits for that goes on.
    pub(crate) fn all_applied(&mut self) {
        match self.copy.phase {
            Phase::Recovering { .. } => self.make_failover_disk(),
            Phase::Failback(_) => self.failback_tries_again(),
            _ => {}
        }
    }

    fn make_failover_disk(&mut self) {
        let Phase::Recovering { point, .. } = self.copy.phase else { return };
        self.effect(Effect::FailoverDisk { view: point });
    }

    pub(crate) fn failover_ready(&mut self) {
        let Phase::Recovering { point, kind, rule, start } = self.copy.phase else { return };
        // A log that was applied meanwhile may have brought the Planned point.
        let newest = self.newest_planned();
        let (point, kind) = match (point, newest) {
            (None, Some(planned)) => (Some(planned.id), ReplicationType::Planned),
            (chosen, _) => (chosen, kind),
        };
        self.copy.failed_over_type = kind;
        self.copy.failed_over_newest = point.is_none() || newest.map(|planned| planned.id) == point;
        self.copy.tracked = true;
        self.effect(Effect::LogStart);
        self.go(rule.id(), Phase::Recovered { point });
        if self.has_extended() {
            self.stay("XF-97");
        }
        if start {
            self.effect(Effect::Power(Power::Running));
        }
        self.complete_job();
    }

    /// `RevertFailover`: on a primary it cancels the preparation.
    pub(crate) fn revert(&mut self, rule: &'static Rule) -> Outcome {
        if self.copy.mode == Mode::Primary {
            return self.cancel_prepare(rule);
        }
        if matches!(self.copy.phase, Phase::Replicating | Phase::Suspended(_) | Phase::Committed { .. }) {
            return self.end_test(rule);
        }
        let recovering = matches!(self.copy.phase, Phase::Recovering { .. });
        self.end_job(JobState::Terminated, ReturnCode::FAILED, "reverted");
        let job = self.start_job(JobType::RevertFailover, Stage::Finalizing);
        if !recovering {
            self.effect(Effect::LogStop);
        }
        self.copy.tracked = false;
        self.effect(Effect::DiscardFailover);
        self.copy.failed_over_type = ReplicationType::None;
        self.go(rule.id, Phase::Replicating);
        self.end_job(JobState::Completed, ReturnCode::COMPLETED, "");
        self.started(rule, job)
    }

    pub(crate) fn commit(&mut self, rule: &'static Rule) -> Outcome {
        let job = self.start_job(JobType::CommitFailover, Stage::Preparing);
        match self.copy.phase.clone() {
            Phase::FailbackDone(received) => {
                self.keep_points_from_now();
                self.go(rule.id, Phase::Committed { point: None, failback: Some(received) });
                self.complete_job();
            }
            _ => {
                self.copy.merging = true;
                self.forget_points();
                self.effect(Effect::CommitFailover);
            }
        }
        self.started(rule, job)
    }

    /// From now on the running new primary's own points are kept, to fail back to.
    pub(crate) fn keep_points_from_now(&mut self) {
        let wanted = self.moment.profile.failback_points && self.copy.settings.recovery_history > 0;
        self.copy.keeps_points = wanted;
        self.copy.last_point = self.moment.now;
        if wanted {
            let at = self.moment.now + Span::HOUR;
            self.set_timer(TimerKind::Point, at);
        }
    }

    /// A merge has ended: of a commit, of a reverse, or of a resynchronization.
    pub(crate) fn merged(&mut self) {
        self.copy.merging = false;
        if let Phase::Recovered { point } = self.copy.phase {
            self.keep_points_from_now();
            self.go("UF-84", Phase::Committed { point, failback: None });
            self.complete_job();
        }
        if self.copy.received.is_empty() {
            self.all_applied();
        } else {
            self.apply_next();
        }
    }
}
