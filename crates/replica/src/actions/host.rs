//! The host goes down and comes back.

use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{JobId, LogSeq, PointId};
use hvrsim_types::job::JobState;
use hvrsim_types::state::{Mode, Power};
use hvrsim_types::time::Span;

use crate::copy::{Phase, Run, RunStep};
use crate::exchange::{Cause, Effect, Note, TimerKind};
use crate::profile::Generation;
use crate::service::Work;

/// What a job says whose host, or worker process, went down (0x80004004, operation aborted).
const ABORTED: &str = "0x80004004: the host went down";
const WORKER_ABORTED: &str = "0x80004004: the worker process of the virtual machine crashed";

impl Work<'_> {
    pub(crate) fn host_down(&mut self, crash: bool) {
        if matches!(self.copy.mode, Mode::None | Mode::TestReplica) {
            self.abort_job();
            return;
        }
        if crash {
            self.crashed();
        } else {
            self.shut_down();
        }
        self.forget_exchanges();
    }

    /// The service stops and its machines go on: the logs stay open, so nothing is lost but what was under way.
    pub(crate) fn service_down(&mut self) {
        if self.copy.mode == Mode::Primary && self.copy.phase == Phase::Replicating {
            self.abort_job();
        } else {
            self.host_down(false);
        }
        self.forget_exchanges();
    }

    /// The disks were set back to a listed point: logs and points after it are gone (RS-41 at the primary's next send).
    pub(crate) fn restored(&mut self, to: PointId) {
        self.copy.set_back = true;
        self.copy.received.clear();
        self.copy.seq = LogSeq(0);
        while self.copy.points.last().is_some_and(|point| point.id != to) {
            self.copy.points.pop();
        }
        self.copy.points.pop();
    }

    fn abort_job(&mut self) {
        self.copy.shown = None;
        self.abandon_test();
        if let Some(id) = self.copy.job.take() {
            self.close_aborted(id);
        }
    }

    /// G-16: the worker process of the running machine crashes; the host and its service go on.
    pub(crate) fn worker_crashed(&mut self) {
        let text = WORKER_ABORTED;
        match (self.copy.mode, self.copy.phase.clone()) {
            (Mode::Primary, Phase::Replicating) => self.worker_spoils_log("ST-30"),
            (Mode::Primary, Phase::Suspended(_) | Phase::Error | Phase::UpdateFailed { .. }) => {
                self.worker_spoils_log("ST-126");
            }
            (Mode::Primary, Phase::Updating { run, .. }) => {
                self.leave_update(run);
                self.worker_spoils_log("ST-126");
            }
            (Mode::Primary, Phase::ResyncSuspended(run)) => {
                self.end_run(run);
                self.tell_closed(run.session);
                self.worker_spoils_log("ST-126");
            }
            (Mode::Primary, Phase::Resync(run)) => {
                self.end_run(run);
                self.tell_closed(run.session);
                self.worker_spoils_log("RS-55");
            }
            (Mode::Primary, Phase::Initial(run, _)) => {
                self.tell_closed(run.session);
                self.fail_job(ReturnCode::FAILED, text);
                self.crash_in_initial(run, true);
            }
            (_, Phase::Recovered { .. } | Phase::Committed { .. } | Phase::FailbackDone(_)) => {
                self.loses_track();
                self.stay("UF-129");
            }
            _ => self.stay("ST-128"),
        }
    }

    fn leave_update(&mut self, run: Option<Run>) {
        if let Some(run) = run {
            self.end_run(run);
            self.tell_closed(run.session);
        }
    }

    fn worker_spoils_log(&mut self, rule: &'static str) {
        self.fail_job(ReturnCode::FAILED, WORKER_ABORTED);
        self.copy.asked = None;
        self.copy.sending = None;
        self.require_resync(rule);
    }

    fn close_aborted(&mut self, id: JobId) {
        self.close_job(id, JobState::Exception, ReturnCode::FAILED, ABORTED);
    }

    /// Whatever was under way with the other side is gone; logs stay.
    fn forget_exchanges(&mut self) {
        self.copy.asked = None;
        self.copy.switching = None;
        if let Some(sending) = &mut self.copy.sending {
            sending.exchange = None;
            // The preparation it belonged to is over (G-7).
            sending.log.is_ordinary();
        }
        if self.copy.sending.is_some_and(|s| s.swap.is_some()) {
            self.copy.sending = None;
        }
    }

    fn crashed(&mut self) {
        let running = self.facts.power == Power::Running || self.facts.power == Power::Paused;
        match (self.copy.mode, self.copy.phase.clone()) {
            (Mode::Primary, Phase::Replicating) if running => self.crash_spoils_log("ST-30"),
            (Mode::Primary, Phase::Replicating) => {
                self.abort_job();
                self.stay("ST-31");
            }
            (Mode::Primary, Phase::Suspended(_) | Phase::Error | Phase::UpdateFailed { .. }) if running => {
                self.crash_spoils_log("ST-126");
            }
            (Mode::Primary, Phase::Updating { run, .. }) if running => {
                self.leave_update(run);
                self.crash_spoils_log("ST-126");
            }
            (Mode::Primary, Phase::Updating { .. }) => {
                self.update_failed(JobState::Exception, ReturnCode::FAILED, ABORTED);
            }
            // The job's place is lost with it, whether the machine ran or not (G-8).
            (Mode::Primary, Phase::ResyncSuspended(run)) => {
                self.end_run(run);
                self.crash_spoils_log("ST-126");
            }
            (Mode::Primary, Phase::Initial(run, _)) => self.crash_in_initial(run, running),
            (Mode::Primary, Phase::Resync(run)) => {
                self.end_run(run);
                self.crash_spoils_log("RS-55");
            }
            (_, Phase::Recovering { .. }) => {
                self.effect(Effect::DiscardFailover);
                self.abort_job();
                self.go("UF-117", Phase::Replicating);
            }
            (_, Phase::Recovered { .. } | Phase::Committed { .. } | Phase::FailbackDone(_)) if running => {
                self.crash_of_new_primary();
            }
            (_, Phase::Failback(_)) => self.stay("ST-128"),
            (Mode::Replica | Mode::ExtendedReplica, Phase::Replicating) => {
                self.abort_job();
                self.stay("ST-32");
            }
            _ => {
                self.keep_or_abort();
                self.stay("ST-128");
            }
        }
    }

    /// A commit or a merge is done again at the start; any other job is aborted.
    fn keep_or_abort(&mut self) {
        if !self.copy.merging {
            self.abort_job();
        }
    }

    fn crash_spoils_log(&mut self, rule: &'static str) {
        self.abort_job();
        self.copy.sending = None;
        self.require_resync(rule);
    }

    fn crash_in_initial(&mut self, run: Run, running: bool) {
        self.forget_media();
        self.end_run(run);
        self.copy.tracked = false;
        self.effect(Effect::LogStop);
        self.abort_job();
        self.go(if running { "EN-127" } else { "EN-11" }, Phase::Ready { returned: false });
    }

    fn crash_of_new_primary(&mut self) {
        self.loses_track();
        self.keep_or_abort();
        self.stay("UF-129");
    }

    /// What the failed-over, or failed-back, machine wrote is no longer known.
    fn loses_track(&mut self) {
        self.copy.tracked = false;
        match &mut self.copy.phase {
            Phase::FailbackDone(received) | Phase::Committed { failback: Some(received), .. } => {
                received.tracked = false;
            }
            _ => {}
        }
    }

    fn shut_down(&mut self) {
        match (self.copy.mode, self.copy.phase.clone()) {
            (Mode::Primary, Phase::Replicating)
                if self.moment.profile.generation == Generation::Server2012R2 =>
            {
                self.abort_job();
                self.stop_sending();
                self.note(Note::SendFailed { cause: Cause::Cancelled, fatal: true });
                self.go("ST-28", Phase::Error);
            }
            (Mode::Primary, Phase::Replicating) => {
                self.abort_job();
                self.stay("ST-29");
            }
            (Mode::Primary, Phase::Initial(..)) if self.exported().is_some() => {}
            (Mode::Primary, Phase::Initial(run, _)) => self.crash_in_initial(run, false),
            (_, Phase::Recovering { .. }) => {
                self.effect(Effect::DiscardFailover);
                self.abort_job();
                self.go("UF-117", Phase::Replicating);
            }
            (
                _,
                Phase::Initial(..)
                | Phase::Resync(_)
                | Phase::ResyncSuspended(_)
                | Phase::Updating { .. }
                | Phase::Failback(_),
            ) => {}
            _ => self.keep_or_abort(),
        }
    }

    /// The service starts: timers are set again, what can go on goes on.
    pub(crate) fn host_up(&mut self) {
        if self.copy.merging {
            let commit = matches!(self.copy.phase, Phase::Recovered { .. });
            if self.copy.phase == Phase::Replicating {
                self.stay("UF-118");
            }
            self.effect(if commit { Effect::CommitFailover } else { Effect::MergeResync });
        }
        self.apply_next();
        self.arm_cycle();
        self.arm_window();
        self.arm_watch();
        let now = self.moment.now;
        if self.copy.keeps_points && matches!(self.copy.phase, Phase::Committed { .. }) {
            self.set_timer(TimerKind::Point, now + Span::HOUR);
        }
        if self.copy.scheduled.is_some() {
            self.set_timer(TimerKind::Scheduled, now);
        }
        match &mut self.copy.phase {
            Phase::Replicating if self.copy.mode == Mode::Primary => self.resend(),
            Phase::Resync(run) => {
                if run.step == RunStep::Moving {
                    run.step = RunStep::Waiting;
                }
                self.run_continues();
            }
            Phase::Updating { run: Some(run), .. } => {
                if run.step == RunStep::Moving {
                    run.step = RunStep::Waiting;
                }
                self.run_continues();
            }
            Phase::Updating { run: None, .. } => self.ask_update(),
            Phase::Failback(_) => self.failback_tries_again(),
            _ => {}
        }
    }
}
