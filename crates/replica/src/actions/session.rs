//! Initial replication and resynchronization: sessions of the engine that the primary leads.

use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{Epoch, LogSeq, PointId, SessionId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, ReplicationType};
use hvrsim_types::time::{Instant, Span};

use crate::copy::{Asking, Base, Pause, Phase, Run, RunStep, Scheduled};
use crate::exchange::{
    Effect, Envelope, Outcome, Reply, Request, Scope, SessionKind, SessionSpec, TimerKind, Why,
};
use crate::job::Stage;
use crate::operation::InitialKind;
use crate::rule::{Rule, Side};
use crate::service::Work;

/// How often a copy asks whether what it waits for still goes on: the last step of the back-off.
const WATCH: Span = Span::minutes(30);

impl Work<'_> {
    // Starting.

    pub(crate) fn start_initial(
        &mut self,
        rule: &'static Rule,
        kind: InitialKind,
        at: Option<Instant>,
    ) -> Outcome {
        match at {
            Some(at) => self.schedule(rule, initial_job(kind), Some(kind), at),
            None => self.start_initial_now(rule, kind),
        }
    }

    pub(crate) fn start_initial_now(&mut self, rule: &'static Rule, kind: InitialKind) -> Outcome {
        let job = self.start_job(initial_job(kind), Stage::Asking);
        self.open_own_session(SessionKind::Initial, Asking::OpenInitial(kind));
        self.started(rule, job)
    }

    pub(crate) fn resynchronize(&mut self, rule: &'static Rule, at: Option<Instant>) -> Outcome {
        if let Some(at) = at {
            return self.schedule(rule, self.resync_job(), None, at);
        }
        if matches!(self.copy.phase, Phase::ResyncSuspended(_)) {
            self.end_job(JobState::Terminated, ReturnCode::FAILED, "started over");
        }
        let job = self.start_job(self.resync_job(), Stage::Asking);
        // RS-49: the old run stays until the new session is open.
        if let Some(run) = self.run() {
            run.job = job;
        }
        self.open_own_session(SessionKind::Resync, Asking::OpenResync { automatic: false });
        self.started(rule, job)
    }

    fn schedule(
        &mut self,
        rule: &'static Rule,
        kind: JobType,
        initial: Option<InitialKind>,
        at: Instant,
    ) -> Outcome {
        let under_way = self.copy.job;
        let job = self.start_job(kind, Stage::Scheduled);
        self.copy.job = under_way;
        if let Some(old) = self.copy.scheduled.replace(Scheduled { job, initial }) {
            self.close_job(old.job, JobState::Terminated, ReturnCode::FAILED, "scheduled anew");
        }
        self.set_timer(TimerKind::Scheduled, at);
        self.stay(rule.id);
        self.started(rule, job)
    }

    /// Leaving the states in which it was scheduled ends a schedule (G-9).
    pub(crate) fn leave_schedule(&mut self) {
        let Some(scheduled) = self.copy.scheduled else { return };
        let fits = match (scheduled.initial, &self.copy.phase) {
            (Some(_), Phase::Ready { .. }) => true,
            (None, phase) => matches!(
                phase,
                Phase::ResyncRequired | Phase::Suspended(_) | Phase::Error | Phase::ResyncSuspended(_)
            ),
            _ => false,
        };
        if !fits || self.copy.mode != Mode::Primary {
            self.copy.scheduled = None;
            self.cancel_timer(TimerKind::Scheduled);
            let text = "the state it was scheduled in has been left";
            self.close_job(scheduled.job, JobState::Terminated, ReturnCode::FAILED, text);
        }
    }

    /// A scheduled start is due: guards are checked again.
    pub(crate) fn scheduled_due(&mut self) {
        let Some(scheduled) = self.copy.scheduled.take() else { return };
        let held = matches!(self.copy.phase, Phase::Suspended(Pause::Held));
        if self.copy.asked.is_none()
            && let Phase::ResyncSuspended(run) = &mut self.copy.phase
        {
            run.job = scheduled.job;
            self.end_job(JobState::Terminated, ReturnCode::FAILED, "started over");
        }
        if held || self.copy.job.is_some() || !self.is_settled() {
            let text = "at its start time another job was under way, or the copy could not be read";
            self.close_job(scheduled.job, JobState::Exception, ReturnCode::INVALID_STATE, text);
            return;
        }
        self.copy.job = Some(scheduled.job);
        if let Some(job) = self.jobs.get_mut(scheduled.job) {
            job.state = JobState::Running;
        }
        self.stage(Stage::Asking);
        match scheduled.initial {
            Some(kind) => self.open_own_session(SessionKind::Initial, Asking::OpenInitial(kind)),
            None => self.open_own_session(SessionKind::Resync, Asking::OpenResync { automatic: false }),
        }
    }

    /// Sets the timer of the automatic resynchronization, if one is wanted.
    pub(crate) fn arm_window(&mut self) {
        let s = &self.copy.settings;
        if self.copy.phase != Phase::ResyncRequired || !s.auto_resync {
            self.cancel_timer(TimerKind::Window);
            return;
        }
        let now = self.moment.now;
        let time_of_day = self.moment.calendar.time_of_day(now);
        let (start, end) = (s.auto_resync_start, s.auto_resync_end);
        let inside = if start <= end {
            (start..=end).contains(&time_of_day)
        } else {
            time_of_day >= start || time_of_day <= end
        };
        let at = if inside { now } else { self.moment.calendar.next(now, start) };
        // G-10: after a failure the back-off goes on inside the window.
        let step = usize::from(self.copy.attempts);
        let wait = if inside && step > 0 {
            Span::minutes(crate::copy::BACK_OFF_MIN[(step - 1).min(crate::copy::BACK_OFF_MIN.len() - 1)])
        } else {
            Span::ZERO
        };
        self.set_timer(TimerKind::Window, at + wait);
    }

    pub(crate) fn window_open(&mut self) {
        if self.copy.phase != Phase::ResyncRequired || self.copy.job.is_some() {
            return;
        }
        if !self.is_settled() {
            let again = self.moment.now + WATCH;
            self.set_timer(TimerKind::Window, again);
            return;
        }
        self.start_job(self.resync_job(), Stage::Asking);
        self.open_own_session(SessionKind::Resync, Asking::OpenResync { automatic: true });
    }

    fn open_own_session(&mut self, kind: SessionKind, what: Asking) {
        let sizes = self.sizes_of(self.copy.settings.disks);
        self.open_session(kind, what, sizes);
    }

    pub(crate) fn open_session(&mut self, kind: SessionKind, what: Asking, sizes: Vec<(u8, u64)>) {
        let Some(peer) = self.copy.peer else {
            self.fail_job(ReturnCode::NOT_AVAILABLE, "there is no replica server");
            return;
        };
        let session = self.new_session();
        self.job_session(session);
        self.ask(peer, what, Request::Open { session, kind, sizes });
    }

    fn resync_job(&self) -> JobType {
        if self.vm.is_extended() { JobType::ResynchronizingExtended } else { JobType::Resynchronizing }
    }

    pub(crate) fn asked_session(&self) -> Option<SessionId> {
        self.copy.job.and_then(|job| self.jobs.get(job)).and_then(|job| job.session)
    }

    // The replica's side.

    pub(crate) fn open_asked(
        &mut self,
        envelope: &Envelope<Request>,
        session: SessionId,
        kind: SessionKind,
        sizes: &[(u8, u64)],
    ) {
        let reply = self.open_reply(envelope, session, kind, sizes);
        self.answer(envelope, reply);
    }

    fn open_reply(
        &mut self,
        envelope: &Envelope<Request>,
        session: SessionId,
        kind: SessionKind,
        sizes: &[(u8, u64)],
    ) -> Reply {
        if let Some(reply) = self.no_relationship() {
            return reply;
        }
        // What is stored counts: it is applied before a session changes the disks.
        // So is a test machine: it sees the disks that a session changes (G-11).
        if self.copy.merging
            || self.facts.test_vm
            || self.copy.job.is_some()
            || !self.copy.received.is_empty()
        {
            return Reply::Busy;
        }
        let foreign = self.copy.peer.is_some_and(|peer| peer != envelope.from);
        if !self.copy.mode.is_replica() || foreign {
            return self.stale();
        }
        if kind == SessionKind::Update {
            return self.update_reply(envelope, session, sizes);
        }
        if !self.has_sizes(sizes) {
            return Reply::Refused(Why::SizesDiffer);
        }
        let before = match (kind, self.copy.phase.clone()) {
            (SessionKind::Initial, Phase::Awaiting { .. }) => {
                self.raise_epoch(envelope);
                self.copy.initial_complete = false;
                self.copy.phase = Phase::Awaiting { session: Some(session) };
                return Reply::Done;
            }
            (SessionKind::Resync, Phase::Replicating) => Base::Replicating,
            (SessionKind::Resync, Phase::Awaiting { .. }) => Base::Waiting,
            (SessionKind::Resync, Phase::Error) if self.copy.inconsistent => Base::Broken,
            (SessionKind::Resync, Phase::ResyncReceiving { stage, before, paused: false, .. }) => {
                self.effect(Effect::Rollback(stage));
                before
            }
            _ => return self.stale(),
        };
        self.receive_resync(envelope, session, before);
        Reply::Done
    }

    /// The session is of an epoch of its own: what was on its way before it is of no use any more.
    fn raise_epoch(&mut self, envelope: &Envelope<Request>) {
        self.adopt(envelope.from, Epoch(self.copy.epoch.max(envelope.epoch).0 + 1));
    }

    fn receive_resync(&mut self, envelope: &Envelope<Request>, session: SessionId, before: Base) {
        self.raise_epoch(envelope);
        let stage = self.new_point();
        self.effect(Effect::TakePoint(stage));
        let rule = if before == Base::Replicating { "RS-42" } else { "RS-138" };
        let phase = Phase::ResyncReceiving { session, stage, before, paused: false };
        self.change(rule, Side::Other, self.copy.mode, phase);
        self.arm_watch();
    }

    // The primary's side goes on.

    pub(crate) fn open_initial_answered(&mut self, envelope: &Envelope<Reply>, kind: InitialKind) {
        if envelope.body != Reply::Done {
            self.fail_by(envelope.body);
            return;
        }
        let returned = matches!(self.copy.phase, Phase::Ready { returned: true });
        let full = kind == InitialKind::Network && returned && self.moment.profile.initial_full;
        let Some(run) = self.begin_run(envelope, full) else { return };
        let rule = match (&self.copy.phase, kind) {
            (Phase::Suspended(_), _) => "EN-113",
            (_, InitialKind::Network) => "EN-5",
            (_, InitialKind::Seeded) => "EN-7",
            (_, InitialKind::Media) => "EN-8",
        };
        self.go(rule, Phase::Initial(run, kind));
        self.arm_cycle();
    }

    pub(crate) fn open_resync_answered(&mut self, envelope: &Envelope<Reply>, automatic: bool) {
        if envelope.body != Reply::Done {
            let sizes_differ = envelope.body == Reply::Refused(Why::SizesDiffer);
            self.resync_not_opened(if sizes_differ { "RS-45" } else { "RS-121" });
            self.fail_by(envelope.body);
            self.arm_window();
            return;
        }
        let rule = match (&self.copy.phase, automatic) {
            (_, true) => "RS-43",
            (Phase::Suspended(_), _) => "RS-46",
            (Phase::Error | Phase::UpdateFailed { .. }, _) => "RS-114",
            (Phase::ResyncSuspended(_), _) => "RS-49",
            _ => "RS-42",
        };
        if let Phase::ResyncSuspended(run) = self.copy.phase {
            self.end_run(run);
        }
        let Some(run) = self.begin_run(envelope, false) else { return };
        self.copy.attempts = 0;
        self.cancel_timer(TimerKind::Window);
        self.go(rule, Phase::Resync(run));
        self.arm_cycle();
    }

    fn resync_not_opened(&mut self, rule: &'static str) {
        self.copy.attempts = self.copy.attempts.saturating_add(1);
        match self.copy.phase {
            Phase::ResyncRequired => self.stay(rule),
            Phase::ResyncSuspended(run) => {
                self.end_run(run);
                self.tell_closed(run.session);
                self.require_resync("RS-50");
            }
            _ => {}
        }
    }

    pub(crate) fn open_broken(&mut self) {
        if !matches!(self.copy.phase, Phase::Ready { .. }) {
            self.resync_not_opened("RS-121");
        }
        self.fail_job(ReturnCode::NOT_AVAILABLE, "the replica did not answer");
        self.arm_window();
    }

    /// Tracking starts and the moment to be brought is fixed.
    fn begin_run(&mut self, envelope: &Envelope<Reply>, full: bool) -> Option<Run> {
        let (Some(job), Some(session)) = (self.copy.job, self.asked_session()) else { return None };
        if !self.is_settled() {
            self.tell_closed(session);
            self.fail_job(
                ReturnCode::INVALID_STATE,
                "the copy has been failed over, or is being resynchronized",
            );
            return None;
        }
        self.forget_media();
        self.copy.seq = LogSeq(0);
        self.copy.sending = None;
        self.copy.epoch = self.copy.epoch.max(envelope.epoch);
        self.copy.tracked = true;
        self.effect(Effect::LogStop);
        self.effect(Effect::LogStart);
        let view = self.new_point();
        self.effect(Effect::TakePoint(view));
        let spec = SessionSpec {
            source: self.host,
            view: Some(view),
            target: envelope.from,
            scope: Scope::Everything,
            full,
            disks: self.copy.settings.disks,
            part: false,
        };
        self.effect(Effect::OpenSession(session, spec));
        self.effect(Effect::RunSession(session));
        self.stage(Stage::Comparing);
        Some(Run { job, session, view, as_of: self.moment.now, step: RunStep::Moving })
    }

    fn run(&mut self) -> Option<&mut Run> {
        match &mut self.copy.phase {
            Phase::Initial(run, _) | Phase::Resync(run) | Phase::ResyncSuspended(run) => Some(run),
            Phase::Updating { run, .. } => run.as_mut(),
            _ => None,
        }
    }

    /// Ends what the engine and the disks keep for a run.
    pub(crate) fn end_run(&mut self, run: Run) {
        self.effect(Effect::CloseSession(run.session));
        self.effect(Effect::DropPoint(run.view));
        self.cancel_timer(TimerKind::Retry);
        self.copy.asked = None;
        self.copy.attempts = 0;
    }

    /// Tells the other side that the session is given up; it need not answer.
    pub(crate) fn tell_closed(&mut self, session: SessionId) {
        if let Some(peer) = self.copy.peer {
            self.send(peer, Request::Close { session });
        }
    }

    pub(crate) fn session_done(&mut self, session: SessionId) {
        if matches!(&self.copy.phase, Phase::Failback(run) if run.session == session) {
            self.failback_moved();
            return;
        }
        let Some(peer) = self.copy.peer else { return };
        let Some(run) = self.run().filter(|run| run.session == session) else { return };
        run.step = RunStep::Finishing;
        let as_of = run.as_of;
        self.stage(Stage::Finalizing);
        self.ask(peer, Asking::Finish, Request::Finish { session, as_of });
    }

    pub(crate) fn session_broken(&mut self, session: SessionId) {
        if matches!(&self.copy.phase, Phase::Failback(run) if run.session == session) {
            self.failback_waits();
            return;
        }
        if self.run().is_some_and(|run| run.session == session) {
            self.run_waits();
        }
    }

    /// The other side does not answer: the run waits, a resynchronization not for ever.
    pub(crate) fn run_waits(&mut self) {
        let given_up = self.copy.unable_to_send();
        let Some(run) = self.run() else { return };
        if run.step == RunStep::Moving {
            run.step = RunStep::Waiting;
        }
        let run = *run;
        match self.copy.phase {
            Phase::Initial(_, InitialKind::Media) => {}
            Phase::Initial(..) => {
                self.stay("EN-12");
                self.back_off();
            }
            Phase::Updating { .. } => self.update_waits(),
            Phase::Resync(_) if given_up => self.resync_lost(run),
            Phase::Resync(_) => self.back_off(),
            _ => {}
        }
    }

    fn resync_lost(&mut self, run: Run) {
        self.end_run(run);
        self.fail_job(ReturnCode::NOT_AVAILABLE, "the replica could not be reached for the whole back-off");
        self.require_resync("RS-54");
    }

    pub(crate) fn run_continues(&mut self) {
        let Some(peer) = self.copy.peer else { return };
        let Some(run) = self.run() else { return };
        let Run { session, step, as_of, .. } = *run;
        match step {
            RunStep::Finishing => self.ask(peer, Asking::Finish, Request::Finish { session, as_of }),
            RunStep::Moving | RunStep::Waiting => {
                self.ask(peer, Asking::Continue, Request::Continue { session });
            }
        }
    }

    pub(crate) fn continue_asked(&mut self, envelope: &Envelope<Request>, session: SessionId) {
        let (here, paused) = match &self.copy.phase {
            Phase::Awaiting { session: Some(s) } => (*s == session, false),
            Phase::ResyncReceiving { session: s, paused, .. } => (*s == session, *paused),
            Phase::UpdateReceiving { session: s, .. } => (*s == session, false),
            _ => (false, false),
        };
        let reply = if here && paused {
            Reply::Busy
        } else if here {
            Reply::Done
        } else {
            self.no_relationship().unwrap_or(self.stale())
        };
        self.answer(envelope, reply);
    }

    pub(crate) fn continue_answered(&mut self, envelope: &Envelope<Reply>) {
        let Some(run) = self.run() else { return };
        if envelope.body == Reply::Done {
            run.step = RunStep::Moving;
            let session = run.session;
            self.copy.attempts = 0;
            self.effect(Effect::RunSession(session));
            return;
        }
        let run = *run;
        match envelope.body {
            // RS-123: paused there, which is tried again as if it did not answer.
            Reply::Busy => self.run_waits(),
            reply => self.run_refused(run, reply),
        }
    }

    /// The other side has gone on without this session.
    fn run_refused(&mut self, run: Run, reply: Reply) {
        let initial = matches!(self.copy.phase, Phase::Initial(..));
        if matches!(self.copy.phase, Phase::Updating { .. }) {
            let (code, text) = Self::failure(reply);
            self.update_failed(JobState::Exception, code, &text);
            return;
        }
        self.end_run(run);
        self.fail_by(reply);
        if initial {
            self.effect(Effect::LogStop);
            self.copy.tracked = false;
            self.cancel_timer(TimerKind::Cycle);
            self.go("EN-11", Phase::Ready { returned: false });
        } else {
            self.require_resync("RS-54");
        }
    }

    pub(crate) fn finish_asked(&mut self, envelope: &Envelope<Request>, session: SessionId, as_of: Instant) {
        let reply = match self.copy.phase.clone() {
            Phase::Awaiting { session: Some(s) } if s == session => {
                self.received_all(as_of);
                self.change("EN-9", Side::Other, self.copy.mode, Phase::Replicating);
                Reply::Done
            }
            Phase::ResyncReceiving { session: s, paused: true, .. } if s == session => Reply::Busy,
            Phase::ResyncReceiving { session: s, stage, .. } if s == session => {
                self.cancel_timer(TimerKind::Watch);
                let (rule, side) =
                    if self.has_extended() { ("XF-134", Side::Here) } else { ("RS-52", Side::Other) };
                self.extend_by_changes(stage);
                self.effect(Effect::DropPoint(stage));
                self.drop_points();
                self.received_all(as_of);
                self.change(rule, side, self.copy.mode, Phase::Replicating);
                self.copy.merging = true;
                self.effect(Effect::MergeResync);
                Reply::Done
            }
            Phase::UpdateReceiving { session: s, added } if s == session => {
                self.update_received(added);
                Reply::Done
            }
            // The answer to an earlier request was lost.
            Phase::Replicating if self.copy.mode.is_replica() && envelope.epoch == self.copy.epoch => {
                Reply::Done
            }
            _ => self.no_relationship().unwrap_or(self.stale()),
        };
        self.answer(envelope, reply);
    }

    pub(crate) fn received_all(&mut self, as_of: Instant) {
        self.copy.initial_complete = true;
        self.copy.inconsistent = false;
        self.copy.set_back = false;
        self.copy.seq = LogSeq(0);
        self.copy.last_replication = Some(self.moment.now);
        self.copy.last_apply = Some(self.moment.now);
        self.copy.last_type = ReplicationType::Regular;
        self.copy.last_point = as_of;
    }

    pub(crate) fn finish_answered(&mut self, envelope: &Envelope<Reply>) {
        if let Some(run) = self.exported() {
            if envelope.body == Reply::Done {
                self.media_arrived(run);
            }
            return;
        }
        let Some(run) = self.run().copied() else { return };
        if envelope.body == Reply::Busy {
            self.run_waits();
            return;
        }
        if envelope.body != Reply::Done {
            self.run_refused(run, envelope.body);
            return;
        }
        if matches!(self.copy.phase, Phase::Updating { .. }) {
            self.update_done(run);
            return;
        }
        self.end_run(run);
        self.copy.last_replication = Some(self.moment.now);
        self.copy.last_type = ReplicationType::Regular;
        self.copy.last_point = run.as_of;
        self.copy.initial_complete = true;
        let rule = if matches!(self.copy.phase, Phase::Initial(..)) { "EN-9" } else { "RS-52" };
        self.go(rule, Phase::Replicating);
        self.complete_job();
        self.arm_cycle();
        // What was held back goes at once.
        if self.is_settled() {
            self.switch(ReplicationType::Regular);
        }
    }

    // Ending early.

    pub(crate) fn stop_initial(&mut self, rule: &'static Rule) -> Outcome {
        if let Phase::Initial(run, _) = self.copy.phase {
            self.end_run(run);
            self.tell_closed(run.session);
        } else if let Some(session) = self.asked_session() {
            // The start still asks; the other side may have agreed already.
            self.copy.asked = None;
            self.tell_closed(session);
            self.stay(rule.id);
            self.end_job(JobState::Terminated, ReturnCode::FAILED, "cancelled");
            return self.instant_job(rule, JobType::StopInitialReplication);
        }
        self.cancel_timer(TimerKind::Cycle);
        self.copy.tracked = false;
        self.effect(Effect::LogStop);
        self.end_job(JobState::Terminated, ReturnCode::FAILED, "cancelled");
        self.go(rule.id, Phase::Ready { returned: false });
        self.instant_job(rule, JobType::StopInitialReplication)
    }

    pub(crate) fn stop_resync(&mut self, rule: &'static Rule) -> Outcome {
        if let Some(run) = self.run().copied() {
            self.end_run(run);
            self.tell_closed(run.session);
        }
        self.end_job(JobState::Terminated, ReturnCode::FAILED, "cancelled");
        self.require_resync(rule.id);
        self.instant_job(rule, JobType::StopResynchronizing)
    }

    pub(crate) fn close_asked(&mut self, envelope: &Envelope<Request>, session: SessionId) {
        match self.copy.phase {
            Phase::Awaiting { session: Some(s) } if s == session => {
                self.copy.phase = Phase::Awaiting { session: None };
            }
            Phase::ResyncReceiving { session: s, stage, before, .. } if s == session => {
                self.resync_undone(stage, before);
            }
            Phase::UpdateReceiving { session: s, .. } if s == session => self.update_undone(),
            _ => {}
        }
        self.answer(envelope, Reply::Done);
    }

    /// The replica goes back to what it was before the resynchronization.
    fn resync_undone(&mut self, stage: PointId, before: Base) {
        self.leave_session(stage);
        self.change("RS-50", Side::Other, self.copy.mode, before.phase());
    }

    /// Drops what a session has brought so far. The epoch is raised, lest the session be finished later.
    pub(crate) fn leave_session(&mut self, stage: PointId) {
        self.effect(Effect::Rollback(stage));
        self.cancel_timer(TimerKind::Watch);
        self.copy.epoch = Epoch(self.copy.epoch.0 + 1);
    }

    // Paused on the replica.

    /// The replica's disks stand still; the primary finds nobody to send to.
    pub(crate) fn pause_receiving(&mut self, rule: &'static Rule) -> Outcome {
        if let Phase::ResyncReceiving { session, stage, before, .. } = self.copy.phase {
            self.effect(Effect::BreakSession(session));
            self.cancel_timer(TimerKind::Watch);
            self.go(rule.id, Phase::ResyncReceiving { session, stage, before, paused: true });
        }
        self.instant_job(rule, JobType::StateChange)
    }

    /// The primary finds it at its next attempt; if it has given up, this copy learns that when it asks.
    pub(crate) fn go_on_receiving(&mut self, rule: &'static Rule) -> Outcome {
        if let Phase::ResyncReceiving { session, stage, before, .. } = self.copy.phase {
            self.go(rule.id, Phase::ResyncReceiving { session, stage, before, paused: false });
            self.arm_watch();
        }
        self.instant_job(rule, JobType::StateChange)
    }

    // Asking whether the other side still wants what this copy waits for.

    /// A message that ends a session or a hold can be lost: from time to time this copy asks.
    pub(crate) fn arm_watch(&mut self) {
        let receives = matches!(
            self.copy.phase,
            Phase::ResyncReceiving { paused: false, .. } | Phase::UpdateReceiving { .. }
        );
        if receives || self.copy.served.is_some() {
            let at = self.moment.now + WATCH;
            self.set_timer(TimerKind::Watch, at);
        }
    }

    pub(crate) fn watch_due(&mut self) {
        let of = match (&self.copy.phase, self.copy.served) {
            (
                Phase::ResyncReceiving { session, paused: false, .. }
                | Phase::UpdateReceiving { session, .. },
                _,
            ) => self.copy.peer.map(|peer| (peer, *session)),
            (_, Some(served)) => Some((served.to, served.session)),
            _ => None,
        };
        self.arm_watch();
        if let (Some((to, session)), None) = (of, self.copy.asked) {
            self.ask(to, Asking::StillWanted { by_call: false }, Request::StillWanted { session });
        }
    }

    pub(crate) fn still_wanted(&mut self, envelope: &Envelope<Request>, session: SessionId) {
        let opens = |asking| matches!(asking, Asking::OpenResync { .. } | Asking::OpenUpdate);
        let asked = self.copy.asked.is_some_and(|a| opens(a.what));
        let opening = asked && self.asked_session() == Some(session);
        let beside = self.beside.as_ref().map(|beside| &beside.phase);
        let wanted = opening
            || self.opens_beside(session)
            || beside.is_some_and(|phase| sends_in(phase, session))
            || match &self.copy.phase {
                phase if sends_in(phase, session) => true,
                Phase::Failback(run) => run.session == session,
                Phase::FailbackDone(received) | Phase::Committed { failback: Some(received), .. } => {
                    received.session == session
                }
                _ => false,
            };
        self.answer(envelope, if wanted { Reply::Busy } else { Reply::Done });
    }

    pub(crate) fn still_wanted_answered(&mut self, envelope: &Envelope<Reply>, by_call: bool) {
        let wanted = envelope.body == Reply::Busy;
        match (&self.copy.phase, &mut self.copy.served) {
            (Phase::ResyncReceiving { stage, before, paused: false, .. }, _) => {
                let (stage, before) = (*stage, *before);
                if !wanted {
                    self.resync_undone(stage, before);
                }
            }
            (Phase::UpdateReceiving { .. }, _) if !wanted => self.update_undone(),
            (Phase::UpdateReceiving { .. }, _) => {}
            (_, Some(served)) if wanted => {
                served.silent = false;
                if by_call {
                    self.fail_job(ReturnCode::IN_USE, "a failback still reads from this copy");
                }
            }
            (_, Some(_)) => self.hold_cleared(envelope.epoch, by_call),
            _ => {}
        }
    }

    /// A job that asked goes on without the answer; otherwise the question is put again.
    pub(crate) fn still_wanted_broken(&mut self, by_call: bool) {
        if let Some(served) = &mut self.copy.served {
            served.silent = true;
        }
        if by_call {
            self.hold_cleared(self.copy.epoch, true);
        }
    }

    pub(crate) fn resync_needed(&mut self) {
        if self.vm.is_extended() {
            self.rest();
            if matches!(self.copy.phase, Phase::Suspended(Pause::Operator | Pause::Held) | Phase::Error) {
                self.require_resync("ST-25");
            }
        }
        if self.copy.mode == Mode::Primary && self.copy.phase == Phase::Replicating {
            self.fail_job(ReturnCode::FAILED, "a resynchronization is required");
            self.require_resync("RS-41");
        }
    }
}

/// Whether a primary in this state leads the session.
fn sends_in(phase: &Phase, session: SessionId) -> bool {
    match phase {
        Phase::Resync(run) | Phase::ResyncSuspended(run) | Phase::Updating { run: Some(run), .. } => {
            run.session == session
        }
        _ => false,
    }
}

const fn initial_job(kind: InitialKind) -> JobType {
    match kind {
        InitialKind::Network => JobType::StartInitialReplication,
        InitialKind::Seeded => JobType::StartSeededReplication,
        InitialKind::Media => JobType::ExportInitialReplication,
    }
}
