//! Failback: the former primary receives the requested recovery point from the new primary's side.

use hvrsim_types::canary::{Canary, is_planted};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::PointId;
use hvrsim_types::id::{Epoch, SessionId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, Power, ReplicationState, ReplicationType};

use crate::copy::{Asking, FailbackRun, FailbackStep, Pause, Phase, Received, Served};
use crate::exchange::{Effect, Envelope, Outcome, Reply, Request, Scope, SessionSpec, TimerKind, Why};
use crate::job::Stage;
use crate::operation::{FailbackSettings, PointChoice};
use crate::rule::Rule;
use crate::service::Work;

impl Work<'_> {
    pub(crate) fn initiate_failback(
        &mut self,
        rule: &'static Rule,
        settings: &FailbackSettings,
        choice: PointChoice,
    ) -> Outcome {
        let FailbackSettings::Given { from: Some(from), .. } = *settings else {
            return Self::done(rule);
        };
        let job = self.start_job(JobType::InitiateFailback, Stage::WaitingForProvider);
        let session = self.new_session();
        self.job_session(session);
        self.copy.attempts = 0;
        let before = Box::new(self.copy.phase.clone());
        let run = FailbackRun { job, session, from, choice, before, step: FailbackStep::Asking, stage: None };
        self.go(rule.id, Phase::Failback(run));
        if choice == PointChoice::Unknown {
            self.failback_failed(
                JobState::Exception,
                ReturnCode::INVALID_PARAMETER,
                Why::UnknownPoint.text(),
            );
        } else {
            self.failback_tries_again();
        }
        self.started(rule, job)
    }

    fn run_of_failback(&mut self) -> Option<&mut FailbackRun> {
        match &mut self.copy.phase {
            Phase::Failback(run) => Some(run),
            _ => None,
        }
    }

    fn ask_provider(&mut self) {
        let Some(run) = self.run_of_failback().map(|run| run.clone()) else { return };
        let (from, session) = (run.from, run.session);
        match run.step {
            FailbackStep::Asking | FailbackStep::Moving { last: false, .. } => {
                let point = match (run.step, run.choice) {
                    (FailbackStep::Moving { point, .. }, _) => Some(point),
                    (_, PointChoice::Id(id)) => Some(id),
                    _ => None,
                };
                let sizes = self.sizes_of(self.copy.settings.disks);
                self.ask(from, Asking::FailbackOpen, Request::FailbackOpen { session, point, sizes });
            }
            FailbackStep::Moving { last: true, .. } => self.effect(Effect::RunSession(session)),
            FailbackStep::Finishing { .. } => self.ask_finish(),
        }
    }

    // The new primary's side.

    pub(crate) fn failback_asked(
        &mut self,
        envelope: &Envelope<Request>,
        session: SessionId,
        point: Option<PointId>,
        sizes: &[(u8, u64)],
    ) {
        let reply = self.failback_reply(envelope, session, point, sizes);
        self.answer(envelope, reply);
    }

    fn failback_reply(
        &mut self,
        envelope: &Envelope<Request>,
        session: SessionId,
        point: Option<PointId>,
        sizes: &[(u8, u64)],
    ) -> Reply {
        use ReplicationState as S;
        if let Some(reply) = self.no_relationship() {
            return reply;
        }
        let again = self.copy.served.filter(|s| s.session == session);
        let state = self.copy.state();
        let serves = match self.copy.mode {
            Mode::Replica => state == S::Committed,
            Mode::Primary => matches!(
                state,
                S::ReadyForInitialReplication
                    | S::Replicating
                    | S::Suspended
                    | S::Critical
                    | S::WaitingForStartResynchronize
            ),
            _ => false,
        };
        // A primary, or a copy that is being failed over, may come to serve; any other replica will not.
        let may_serve = serves
            || self.copy.mode == Mode::Primary
            || matches!(state, S::Recovered | S::FailoverInProgress);
        if !may_serve {
            return self.stale();
        }
        if !serves || self.copy.merging || (self.copy.job.is_some() && again.is_none()) {
            return Reply::Busy;
        }
        if !self.has_sizes(sizes) {
            return Reply::Refused(Why::SizesDiffer);
        }
        if let Some(id) = point
            && again.is_none_or(|s| s.point != id)
            && self.copy.point(id).is_none()
        {
            return Reply::Refused(Why::UnknownPoint);
        }
        let served = again.unwrap_or_else(|| self.serve(envelope, session, point));
        self.copy.served = Some(Served { silent: false, ..served });
        // After a failback of its own the log begins at the point, not where both sides parted; and it is about the
        // other end of this copy's relationship, no third host.
        let parted = self.copy.peer == Some(envelope.from) && self.received_failback().is_none();
        let whole = parted && !matches!(state, S::Critical | S::WaitingForStartResynchronize);
        Reply::Granted { point: served.point, tracked: whole && self.copy.tracked && !self.copy.set_back }
    }

    fn serve(&mut self, envelope: &Envelope<Request>, session: SessionId, point: Option<PointId>) -> Served {
        self.drop_served();
        let served = match point {
            Some(point) => Served { session, point, unlisted: false, to: envelope.from, silent: false },
            None => {
                let point = self.new_point();
                self.effect(Effect::TakePoint(point));
                Served { session, point, unlisted: true, to: envelope.from, silent: false }
            }
        };
        self.copy.served = Some(served);
        // An answer about an earlier failback says nothing about this one.
        self.copy.asked = None;
        self.arm_watch();
        self.copy.epoch = Epoch(self.copy.epoch.max(envelope.epoch).0 + 1);
        if self.copy.mode == Mode::Primary && self.copy.phase == Phase::Replicating {
            self.stop_sending();
            self.go("FB-H", Phase::Suspended(Pause::Held));
        }
        served
    }

    // The former primary goes on.

    pub(crate) fn failback_answered(&mut self, envelope: &Envelope<Reply>) {
        let moving = match &self.copy.phase {
            Phase::Failback(FailbackRun { step: FailbackStep::Moving { point, .. }, .. }) => Some(*point),
            _ => None,
        };
        match envelope.body {
            Reply::Granted { point, .. } if moving == Some(point) => {
                let Some(session) = self.run_of_failback().map(|run| run.session) else { return };
                self.copy.attempts = 0;
                self.stage(Stage::Transferring);
                self.effect(Effect::RunSession(session));
            }
            Reply::Granted { point, tracked } if moving.is_none() => self.granted(envelope, point, tracked),
            Reply::Busy => self.failback_waits(),
            Reply::Stale(..) => self.failback_failed(
                JobState::Exception,
                ReturnCode::INVALID_STATE,
                "the other side is no new primary: nothing runs there that could be brought back",
            ),
            Reply::Refused(why) => self.failback_failed(JobState::Exception, why.code(), why.text()),
            _ => self.failback_failed(
                JobState::Exception,
                ReturnCode::FAILED,
                "the provider gave no usable answer",
            ),
        }
    }

    fn granted(&mut self, envelope: &Envelope<Reply>, point: PointId, tracked: bool) {
        self.copy.epoch = self.copy.epoch.max(envelope.epoch);
        self.copy.attempts = 0;
        let stage = self.moment.profile.failback_staged.then(|| self.new_point());
        if let Some(stage) = stage {
            self.effect(Effect::TakePoint(stage));
        }
        let set_back = self.copy.set_back;
        let Some(run) = self.run_of_failback() else { return };
        run.step = FailbackStep::Moving { point, last: false };
        run.stage = stage;
        if let Phase::FailbackDone(received) = &mut *run.before {
            received.tracked = false;
        }
        // What was written here after the last failback, or into an inconsistent disk, is not tracked; and what never
        // reached the other side is known of the side that this copy sent to.
        let parted = self.copy.peer == Some(envelope.from);
        let Some(run) = self.run_of_failback() else { return };
        let known =
            parted && tracked && !set_back && !matches!(*run.before, Phase::FailbackDone(_) | Phase::Error);
        let session = run.session;
        let spec = SessionSpec {
            source: envelope.from,
            view: Some(point),
            target: self.host,
            scope: if known { Scope::Diverged } else { Scope::Everything },
            full: false,
            disks: self.copy.settings.disks,
            part: false,
        };
        if self.copy.tracked {
            self.effect(Effect::LogStop);
            self.copy.tracked = false;
        }
        self.effect(Effect::OpenSession(session, spec));
        self.effect(Effect::RunSession(session));
        self.stage(Stage::Comparing);
    }

    pub(crate) fn failback_moved(&mut self) {
        let Some(run) = self.run_of_failback() else { return };
        let FailbackStep::Moving { point, last } = run.step else { return };
        let session = run.session;
        if last {
            self.failback_done(ReplicationType::Planned);
            return;
        }
        run.step = FailbackStep::Finishing { point };
        self.effect(Effect::CloseSession(session));
        self.stage(Stage::Finalizing);
        self.ask_finish();
    }

    fn ask_finish(&mut self) {
        let Some(run) = self.run_of_failback() else { return };
        let latest = run.choice == PointChoice::Latest;
        let (from, session) = (run.from, run.session);
        self.ask(from, Asking::FailbackFinish, Request::FailbackFinish { session, latest });
    }

    pub(crate) fn failback_finish_asked(
        &mut self,
        envelope: &Envelope<Request>,
        session: SessionId,
        latest: bool,
    ) {
        let reply = match self.copy.served.filter(|s| s.session == session) {
            None => Reply::Refused(Why::OtherFailback),
            Some(served) => {
                let last = latest && self.facts.power == Power::Off;
                Reply::Final { again: last.then_some(served.point), planned: last }
            }
        };
        self.answer(envelope, reply);
    }

    pub(crate) fn failback_finish_answered(&mut self, envelope: &Envelope<Reply>) {
        match envelope.body {
            Reply::Final { again: Some(since), .. } => {
                let (host, disks) = (self.host, self.copy.settings.disks);
                let Some(run) = self.run_of_failback() else { return };
                run.step = FailbackStep::Moving { point: since, last: true };
                let session = run.session;
                let spec = SessionSpec {
                    source: envelope.from,
                    view: None,
                    target: host,
                    scope: Scope::Since(since),
                    full: false,
                    disks,
                    part: false,
                };
                self.effect(Effect::OpenSession(session, spec));
                self.effect(Effect::RunSession(session));
            }
            Reply::Final { again: None, .. } => self.failback_done(ReplicationType::Regular),
            Reply::Refused(why) => self.failback_failed(JobState::Exception, why.code(), why.text()),
            _ => self.failback_waits(),
        }
    }

    fn failback_done(&mut self, kind: ReplicationType) {
        let Some(run) = self.run_of_failback().map(|run| run.clone()) else { return };
        if matches!(run.step, FailbackStep::Moving { .. }) {
            self.effect(Effect::CloseSession(run.session));
        }
        if let Some(stage) = run.stage {
            self.effect(Effect::DropPoint(stage));
        }
        self.drop_points();
        self.copy.inconsistent = false;
        self.copy.set_back = false;
        self.copy.initial_complete = true;
        self.copy.attempts = 0;
        self.copy.failed_over_type = kind;
        self.copy.peer = Some(run.from);
        self.copy.tracked = true;
        self.copy.last_replication = Some(self.moment.now);
        self.effect(Effect::LogStart);
        let received = Received { session: run.session, from: run.from, tracked: true };
        self.go("FB-103", Phase::FailbackDone(received));
        self.complete_job();
    }

    /// The other side does not answer, or cannot serve now: the job waits.
    pub(crate) fn failback_waits(&mut self) {
        if self.run_of_failback().is_some() {
            self.stage(Stage::WaitingForProvider);
            self.back_off();
        }
    }

    /// Stored logs count: they are applied before the failback writes.
    pub(crate) fn failback_tries_again(&mut self) {
        if self.copy.asked.is_none() && self.copy.received.is_empty() && !self.copy.merging {
            self.ask_provider();
        }
    }

    /// The failback ends without a result.
    pub(crate) fn failback_failed(&mut self, state: JobState, code: ReturnCode, text: &str) {
        let Some(run) = self.run_of_failback().map(|run| run.clone()) else { return };
        if is_planted(Canary::FailbackTooEarly) {
            self.failback_done(ReplicationType::Regular);
            return;
        }
        self.copy.asked = None;
        self.cancel_timer(TimerKind::Retry);
        self.copy.attempts = 0;
        // Above what the other side may have raised it to, and told to it with the release.
        self.copy.epoch = Epoch(self.copy.epoch.0 + 1);
        if matches!(run.step, FailbackStep::Moving { .. }) {
            self.effect(Effect::CloseSession(run.session));
        }
        let wrote = self.facts.session_wrote
            || matches!(run.step, FailbackStep::Finishing { .. } | FailbackStep::Moving { last: true, .. });
        self.send(run.from, Request::FailbackRelease { session: run.session, given_up: false });
        self.end_job(state, code, text);
        match run.stage {
            Some(stage) => self.effect(Effect::Rollback(stage)),
            None if wrote && !is_planted(Canary::NoMark) => {
                self.copy.inconsistent = true;
                self.drop_points();
                self.go("FB-107", Phase::Error);
                return;
            }
            None => {}
        }
        self.copy.released = Some((run.from, self.copy.epoch));
        self.go("FB-104", *run.before);
    }

    // Giving a completed failback up: the other side must know, it needs a resynchronization.

    pub(crate) fn give_failback_up(&mut self, rule: &'static Rule, received: Received) -> Outcome {
        let job = self.start_job(JobType::StateChange, Stage::Asking);
        let body = Request::FailbackRelease { session: received.session, given_up: true };
        self.ask(received.from, Asking::GiveUp, body);
        self.started(rule, job)
    }

    pub(crate) fn give_up_answered(&mut self, envelope: &Envelope<Reply>) {
        if envelope.body != Reply::Done {
            self.fail_by(envelope.body);
            return;
        }
        self.copy.tracked = false;
        self.effect(Effect::LogStop);
        // What was written here since is in no other copy: no failover before the resynchronization.
        self.copy.initial_complete = false;
        // The other side's logs do not fit these disks any more.
        self.copy.epoch = Epoch(self.copy.epoch.max(envelope.epoch).0 + 1);
        self.copy.failed_over_type = ReplicationType::None;
        self.go("FB-132", Phase::Replicating);
        self.complete_job();
    }

    // The hold on the new primary.

    pub(crate) fn failback_released(
        &mut self,
        envelope: &Envelope<Request>,
        session: SessionId,
        given_up: bool,
    ) {
        let reply = if given_up { self.failback_given_up(session) } else { Reply::Done };
        if !given_up {
            if self.copy.mode == Mode::Primary && self.copy.peer == Some(envelope.from) {
                self.copy.epoch = self.copy.epoch.max(envelope.epoch);
            }
            if self.copy.served.is_some_and(|s| s.session == session) {
                self.release();
            }
        }
        self.answer(envelope, reply);
    }

    /// Only a primary can be resynchronized from; a repeated request finds it waiting for that.
    fn failback_given_up(&mut self, session: SessionId) -> Reply {
        let known = self.copy.served.is_some_and(|s| s.session == session);
        match self.copy.phase {
            _ if self.copy.mode != Mode::Primary => self.stale(),
            Phase::ResyncRequired => {
                self.drop_served();
                Reply::Done
            }
            _ if self.copy.job.is_some() => Reply::Busy,
            Phase::Ready { .. } | Phase::Replicating | Phase::Suspended(_) | Phase::Error if known => {
                self.drop_served();
                self.require_resync("FB-132P");
                Reply::Done
            }
            _ => self.stale(),
        }
    }

    fn release(&mut self) {
        self.drop_served();
        self.cancel_timer(TimerKind::Watch);
        if self.copy.phase == Phase::Suspended(Pause::Held) {
            self.go("FB-U", Phase::Replicating);
            self.arm_cycle();
            self.resend();
        }
    }

    /// The failback that held this copy has ended, or nobody answers for it.
    pub(crate) fn hold_cleared(&mut self, epoch: Epoch, by_call: bool) {
        if by_call || is_planted(Canary::EndsAnyJob) {
            self.complete_job();
        }
        self.copy.epoch = self.copy.epoch.max(epoch);
        self.release();
    }
}
