//! The set of replicated disks: a disk that is added to a relationship which replicates is brought by a session of its
//! own, while everything else that is written waits in the log.

use hvrsim_types::code::ReturnCode;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::SessionId;
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::ReplicationType;

use crate::copy::{Asking, Phase, Run, RunStep};
use crate::exchange::{
    Effect, Envelope, Outcome, Reply, Request, Scope, SessionKind, SessionSpec, TimerKind, Why,
};
use crate::job::Stage;
use crate::operation::SettingsChange;
use crate::rule::{Rule, Side};
use crate::service::Work;

impl Work<'_> {
    /// The disks of a set with their sizes, as the other side is told.
    pub(crate) fn sizes_of(&self, disks: DiskSet) -> Vec<(u8, u64)> {
        (0..=u8::MAX)
            .zip(self.facts.sizes.iter().copied())
            .filter(|(disk, _)| disks.contains(*disk))
            .collect()
    }

    /// Whether this copy has these disks in these sizes.
    pub(crate) fn has_sizes(&self, sizes: &[(u8, u64)]) -> bool {
        sizes.iter().all(|(disk, size)| self.facts.sizes.get(usize::from(*disk)) == Some(size))
    }

    // The primary's side.

    /// A longer list of disks, with whatever else changes.
    pub(crate) fn add_disks(&mut self, rule: &'static Rule, change: &SettingsChange) -> Outcome {
        let wanted = change.disks.unwrap_or(self.copy.settings.disks);
        let others = SettingsChange { disks: None, ..change.clone() };
        self.copy.settings = others.applied_to(&self.copy.settings);
        self.stop_sending();
        self.copy.attempts = 0;
        self.update(rule, wanted)
    }

    /// Tries again what ended in `UpdateError`.
    pub(crate) fn update(&mut self, rule: &'static Rule, wanted: DiskSet) -> Outcome {
        let job = self.start_job(JobType::UpdateDiskSet, Stage::Asking);
        self.go(rule.id, Phase::Updating { wanted, run: None });
        self.arm_cycle();
        self.ask_update();
        self.started(rule, job)
    }

    pub(crate) fn ask_update(&mut self) {
        let Phase::Updating { wanted, run: None } = self.copy.phase else { return };
        let sizes = self.sizes_of(wanted);
        self.open_session(SessionKind::Update, Asking::OpenUpdate, sizes);
    }

    pub(crate) fn open_update_answered(&mut self, envelope: &Envelope<Reply>) {
        match envelope.body {
            Reply::Done => self.begin_update(envelope),
            Reply::Busy => self.update_waits(),
            reply => {
                let (code, text) = Self::failure(reply);
                self.update_failed(JobState::Exception, code, &text);
            }
        }
    }

    fn begin_update(&mut self, envelope: &Envelope<Reply>) {
        let (Some(job), Some(session)) = (self.copy.job, self.asked_session()) else { return };
        let Phase::Updating { wanted, .. } = self.copy.phase else { return };
        if !self.is_settled() {
            self.update_failed(JobState::Exception, ReturnCode::INVALID_STATE, "the copy cannot be read now");
            return;
        }
        self.copy.attempts = 0;
        // From the moment that is brought, the log has what is written to the new disks, too.
        self.effect(Effect::LogChoose(wanted));
        let view = self.new_point();
        self.effect(Effect::TakePoint(view));
        let spec = SessionSpec {
            source: self.host,
            view: Some(view),
            target: envelope.from,
            scope: Scope::Everything,
            full: false,
            disks: wanted.without(self.copy.settings.disks),
            part: true,
        };
        self.effect(Effect::OpenSession(session, spec));
        self.effect(Effect::RunSession(session));
        self.stage(Stage::Comparing);
        let run = Run { job, session, view, as_of: self.moment.now, step: RunStep::Moving };
        self.copy.phase = Phase::Updating { wanted, run: Some(run) };
    }

    /// The other side does not answer, or cannot now; not for ever.
    pub(crate) fn update_waits(&mut self) {
        if self.copy.unable_to_send() {
            let text = "the replica could not be reached for the whole back-off";
            self.update_failed(JobState::Exception, ReturnCode::NOT_AVAILABLE, text);
        } else {
            self.back_off();
        }
    }

    pub(crate) fn update_failed(&mut self, state: JobState, code: ReturnCode, text: &str) {
        let Phase::Updating { wanted, run } = self.copy.phase else { return };
        if let Some(session) = run.map(|run| run.session).or_else(|| self.asked_session()) {
            self.tell_closed(session);
        }
        if let Some(run) = run {
            self.end_run(run);
        }
        self.cancel_timer(TimerKind::Retry);
        self.copy.asked = None;
        self.copy.attempts = 0;
        self.effect(Effect::LogChoose(self.copy.settings.disks));
        self.go("ST-38", Phase::UpdateFailed { wanted });
        self.end_job(state, code, text);
        self.arm_cycle();
    }

    pub(crate) fn update_done(&mut self, run: Run) {
        let Phase::Updating { wanted, .. } = self.copy.phase else { return };
        self.end_run(run);
        self.copy.settings.disks = wanted;
        self.go("ST-37", Phase::Replicating);
        self.complete_job();
        self.arm_cycle();
        // What was held back goes at once.
        if self.copy.sending.is_some() {
            self.resend();
        } else if self.is_settled() {
            self.switch(ReplicationType::Regular);
        }
    }

    /// The list of disks is as it was before the update that failed.
    pub(crate) fn disks_restored(&mut self, rule: &'static Rule) {
        self.go(rule.id, Phase::Replicating);
        self.arm_cycle();
        self.resend();
    }

    // The replica's side.

    pub(crate) fn update_reply(
        &mut self,
        envelope: &Envelope<Request>,
        session: SessionId,
        sizes: &[(u8, u64)],
    ) -> Reply {
        let own = self.copy.settings.disks;
        let (known, new): (Vec<_>, Vec<_>) = sizes.iter().copied().partition(|(disk, _)| own.contains(*disk));
        let ready = matches!(self.copy.phase, Phase::Replicating | Phase::UpdateReceiving { .. });
        if !ready || self.copy.peer != Some(envelope.from) || envelope.epoch != self.copy.epoch {
            return self.stale();
        }
        if !self.has_sizes(&known) {
            return Reply::Refused(Why::SizesDiffer);
        }
        let added: DiskSet = new.into_iter().map(|(disk, _)| disk).collect();
        self.effect(Effect::MakeDisks { like: envelope.from, disks: added });
        let phase = Phase::UpdateReceiving { session, added };
        if self.copy.phase == Phase::Replicating {
            self.change("ST-36", Side::Other, self.copy.mode, phase);
        } else {
            self.copy.phase = phase;
        }
        self.arm_watch();
        Reply::Done
    }

    pub(crate) fn update_received(&mut self, added: DiskSet) {
        self.cancel_timer(TimerKind::Watch);
        self.copy.settings.disks = self.copy.settings.disks.with(added);
        self.change("ST-37", Side::Other, self.copy.mode, Phase::Replicating);
    }

    /// The new disks are dropped: the old set goes on.
    pub(crate) fn update_undone(&mut self) {
        self.drop_new_disks();
        self.change("ST-38", Side::Other, self.copy.mode, Phase::Replicating);
    }

    /// What a broken update has brought is no disk of the replica.
    pub(crate) fn drop_new_disks(&mut self) {
        let Phase::UpdateReceiving { session, added } = self.copy.phase else { return };
        self.cancel_timer(TimerKind::Watch);
        self.effect(Effect::BreakSession(session));
        self.effect(Effect::DropDisks(added));
    }
}
