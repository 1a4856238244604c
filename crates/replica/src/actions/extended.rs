//! Extended replication: the middle copy of a chain is the primary of a second relationship, and sends on what it has
//! received.
//!
//! That relationship is a [`Copy`](crate::copy::Copy) of its own inside the copy, in mode Primary, and goes through the
//! same rules and actions; its inputs and outputs carry the machine's id marked as extended. Here stands what the two
//! relationships of one copy have to do with each other.

use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{Epoch, HostId, PointId, SessionId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, ReplicationState};

use crate::copy::{Asking, Copy, Pause, Phase};
use crate::exchange::{Effect, Envelope, Note, Outcome, Output, Request, TimerKind};
use crate::job::Stage;
use crate::operation::Frequency;
use crate::rule::{Rule, Side};
use crate::service::{Params, Work};

const TIMERS: [TimerKind; 5] =
    [TimerKind::Cycle, TimerKind::Retry, TimerKind::Window, TimerKind::Scheduled, TimerKind::Watch];

impl Work<'_> {
    pub(crate) fn has_extended(&self) -> bool {
        !self.vm.is_extended() && self.beside.is_some()
    }

    /// What is sent from here is one moment's content: always, but on a middle copy that is failed over, or whose
    /// blocks are being changed by a resynchronization.
    pub(crate) fn is_settled(&self) -> bool {
        let settled = |copy: &Copy| {
            matches!(copy.phase, Phase::Replicating | Phase::Suspended(_) | Phase::UpdateReceiving { .. })
                || (copy.phase == Phase::Error && !copy.inconsistent)
        };
        !self.vm.is_extended() || self.beside.as_deref().is_some_and(settled)
    }

    /// What the extended relationship must be like beside the copy's own one.
    pub(crate) fn extended_parameters(
        &self,
        to: Option<HostId>,
        frequency: Frequency,
    ) -> Option<(ReturnCode, &'static str)> {
        let first = self.beside.as_deref()?;
        let needed = if to.is_some() && to == first.peer {
            "another server than the one that this replica receives from"
        } else if frequency == Frequency::Seconds30 || frequency < first.settings.frequency {
            "a ReplicationInterval of 300 or 900, and not below that of the relationship it extends"
        } else {
            return None;
        };
        Some((ReturnCode::INVALID_PARAMETER, needed))
    }

    /// Works on the extended relationship.
    fn on_extended(&mut self, work: impl FnOnce(&mut Work<'_>)) {
        let Some(extended) = self.beside.as_deref_mut().filter(|_| !self.vm.is_extended()) else { return };
        work(&mut Work {
            vm: self.vm.extended(),
            copy: extended,
            beside: Some(&mut *self.copy),
            jobs: &mut *self.jobs,
            last_id: &mut *self.last_id,
            out: &mut *self.out,
            params: Params::default(),
            ..*self
        });
    }

    /// The copy is failed over: what reads its disks for the third host ends; logs and pauses stay.
    pub(crate) fn rest_extended(&mut self) {
        // Not the function itself: its lifetime is not general enough.
        self.on_extended(|extended| {
            extended.rest();
        });
    }

    /// What reads the disks of a middle copy for the third host ends.
    pub(crate) fn rest(&mut self) {
        match self.copy.phase {
            Phase::Initial(run, _) => {
                self.end_run(run);
                self.tell_closed(run.session);
                self.copy.tracked = false;
                self.effect(Effect::LogStop);
                self.cancel_timer(TimerKind::Cycle);
                self.go("XF-I", Phase::Ready { returned: false });
                self.fail_job(ReturnCode::INVALID_STATE, "the copy has been failed over, or set back");
            }
            Phase::Resync(run) | Phase::ResyncSuspended(run) => {
                self.end_run(run);
                self.tell_closed(run.session);
                self.require_resync("XF-R");
                self.fail_job(ReturnCode::INVALID_STATE, "the copy has been failed over, or set back");
            }
            Phase::Updating { .. } => {
                let text = "the copy has been failed over, or set back";
                self.update_failed(JobState::Exception, ReturnCode::INVALID_STATE, text);
            }
            _ => {}
        }
    }

    /// The extended relationship ends on this side; the third host is not told.
    pub(crate) fn drop_extended(&mut self) {
        self.on_extended(|extended| {
            extended.end_job(JobState::Terminated, ReturnCode::FAILED, "the relationship was removed");
            extended.leave_primary();
            if extended.copy.mode != Mode::None {
                extended.change("XF-D", Side::Here, Mode::None, Phase::Disabled);
            }
            *extended.copy = Copy::default();
        });
    }

    /// What a resynchronization has changed since this point is sent on.
    pub(crate) fn extend_by_changes(&mut self, since: PointId) {
        let of = self.host;
        self.on_extended(|extended| {
            if extended.copy.tracked {
                extended.effect(Effect::LogAddChanges { of, since });
            }
        });
    }

    /// The extended relationship is opening this session.
    pub(crate) fn opens_beside(&self, session: SessionId) -> bool {
        let Some(beside) = self.beside.as_deref() else { return false };
        let opens = |asking| matches!(asking, Asking::OpenResync { .. } | Asking::OpenUpdate);
        let asking = beside.asked.is_some_and(|asked| opens(asked.what));
        let job = beside.job.and_then(|job| self.jobs.get(job));
        asking && job.is_some_and(|job| job.session == Some(session))
    }

    /// Whether the extended relationship can go on in its state as the primary one.
    pub(crate) fn extended_goes_on(&self) -> bool {
        let Some(extended) = self.beside.as_deref() else { return false };
        let whole = extended.tracked && self.copy.tracked && self.copy.failed_over_newest;
        whole || !sends_logs(&extended.phase)
    }

    /// `ChangeReplicationModeToPrimary`.
    pub(crate) fn promote_extended(&mut self, rule: &'static Rule) -> Outcome {
        let goes_on = self.extended_goes_on();
        let job = self.start_job(JobType::ModeToPrimary, Stage::Finalizing);
        let mut taken = Copy::default();
        self.on_extended(|extended| {
            extended.end_job(
                JobState::Terminated,
                ReturnCode::FAILED,
                "the relationship became the primary one",
            );
            TIMERS.into_iter().for_each(|kind| extended.cancel_timer(kind));
            taken = std::mem::take(extended.copy);
        });
        if let Some(scheduled) = taken.scheduled {
            let text = "the relationship became the primary one";
            self.close_job(scheduled.job, JobState::Terminated, ReturnCode::FAILED, text);
        }
        let gone = Note::Rule {
            rule: rule.id.to_owned(),
            before: (taken.mode, taken.state()),
            after: (Mode::None, ReplicationState::Disabled),
        };
        self.out.push(Output::Note(self.vm.extended(), gone));
        let kept = goes_on && sends_logs(&taken.phase);
        self.effect(if kept { Effect::LogPromote } else { Effect::LogStop });
        let phase = if goes_on { taken.phase } else { Phase::ResyncRequired };
        self.take_over(
            Copy { phase, tracked: kept, sending: taken.sending.filter(|_| kept), ..taken },
            rule.id,
        );
        self.complete_job();
        self.arm_cycle();
        self.arm_window();
        if self.copy.phase == Phase::Replicating {
            self.resend();
        }
        self.started(rule, job)
    }

    /// The copy becomes the primary of the relationship that it had as a middle copy.
    fn take_over(&mut self, extended: Copy, rule: &'static str) {
        self.cancel_timer(TimerKind::Point);
        self.drop_served();
        self.copy.peer = extended.peer;
        self.copy.epoch = Epoch(self.copy.epoch.max(extended.epoch).0 + 1);
        self.copy.settings = extended.settings;
        self.copy.seq = extended.seq;
        self.copy.sending = extended.sending;
        if let Some(sending) = &mut self.copy.sending {
            sending.exchange = None;
        }
        self.copy.tracked = extended.tracked;
        self.copy.attempts = 0;
        self.copy.statistics = extended.statistics;
        self.copy.last_point = extended.last_point;
        self.copy.last_replication = extended.last_replication;
        self.copy.last_type = extended.last_type;
        self.copy.failed_over_type = hvrsim_types::state::ReplicationType::None;
        self.copy.swap = None;
        self.copy.asked_swap = None;
        self.copy.was_primary = false;
        self.change(rule, Side::Here, Mode::Primary, extended.phase);
    }

    /// The third host hears from a middle copy that has become the primary.
    pub(crate) fn meet_promoted(&mut self, envelope: &Envelope<Request>) {
        let follows = self.copy.mode == Mode::ExtendedReplica && self.copy.peer == Some(envelope.from);
        let sends = matches!(envelope.body, Request::Delta { .. } | Request::Open { .. });
        if follows && sends && !envelope.vm.is_extended() && envelope.epoch > self.copy.epoch {
            self.copy.epoch = envelope.epoch;
            self.change("XF-98", Side::Other, Mode::Replica, self.copy.phase.clone());
        }
    }
}

/// In this state what was written is sent from a log, sooner or later.
const fn sends_logs(phase: &Phase) -> bool {
    matches!(
        phase,
        Phase::Replicating
            | Phase::Suspended(Pause::Operator | Pause::Held)
            | Phase::Error
            | Phase::UpdateFailed { .. }
    )
}
