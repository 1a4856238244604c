//! Initial replication on media: exported to a folder, carried to the replica server, imported there.

use hvrsim_types::id::{LogSeq, SessionId, VmId};
use hvrsim_types::job::JobType;
use hvrsim_types::state::{Mode, ReplicationState, ReplicationType};

use crate::copy::{Asking, Phase, Run, RunStep};
use crate::exchange::{Effect, Envelope, Outcome, Reply, Request};
use crate::job::Stage;
use crate::operation::InitialKind;
use crate::rule::{Rule, Side};
use crate::service::Work;

impl Work<'_> {
    // The primary's side.

    pub(crate) fn export_initial(&mut self, rule: &'static Rule, folder: String) -> Outcome {
        let job = self.start_job(JobType::ExportInitialReplication, Stage::Transferring);
        let session = self.new_session();
        self.forget_media();
        self.copy.seq = LogSeq(0);
        self.copy.sending = None;
        self.copy.tracked = true;
        self.effect(Effect::LogStop);
        self.effect(Effect::LogStart);
        let view = self.new_point();
        self.effect(Effect::TakePoint(view));
        self.effect(Effect::ExportMedia { session, view, folder });
        let run = Run { job, session, view, as_of: self.moment.now, step: RunStep::Moving };
        self.go(rule.id, Phase::Initial(run, InitialKind::Media));
        self.arm_cycle();
        self.started(rule, job)
    }

    pub(crate) fn media_exported(&mut self, session: SessionId) {
        let Phase::Initial(run, InitialKind::Media) = &mut self.copy.phase else { return };
        if run.session != session {
            return;
        }
        run.step = RunStep::Finishing;
        self.copy.media = Some((session, run.view));
        self.complete_job();
    }

    /// The run of an initial replication whose media are on their way.
    pub(crate) fn exported(&self) -> Option<Run> {
        match self.copy.phase {
            Phase::Initial(run, InitialKind::Media) if run.step == RunStep::Finishing => Some(run),
            _ => None,
        }
    }

    /// Media that are on their way are of no use any more. The moment of a run goes with the run.
    pub(crate) fn forget_media(&mut self) {
        let of_run = self.exported().map(|run| run.view);
        if let Some((_, view)) = self.copy.media.take().filter(|(_, view)| of_run != Some(*view)) {
            self.effect(Effect::DropPoint(view));
        }
    }

    /// At each cycle the primary asks whether the media have been imported.
    pub(crate) fn ask_for_media(&mut self) {
        if let (Some(run), Some(peer), None) = (self.exported(), self.copy.peer, self.copy.asked) {
            self.ask(peer, Asking::Finish, Request::Finish { session: run.session, as_of: run.as_of });
        }
    }

    /// The replica has them: what was tracked meanwhile goes.
    pub(crate) fn media_arrived(&mut self, run: Run) {
        self.forget_media();
        self.end_run(run);
        self.copy.last_replication = Some(self.moment.now);
        self.copy.last_type = ReplicationType::Regular;
        self.copy.last_point = run.as_of;
        self.copy.initial_complete = true;
        self.go("EN-10", Phase::Replicating);
        self.arm_cycle();
        if self.is_settled() {
            self.switch(ReplicationType::Regular);
        }
    }

    pub(crate) fn imported_asked(&mut self, envelope: &Envelope<Request>, session: SessionId) {
        let late = self.copy.media.is_some_and(|(exported, _)| exported == session);
        let reply = match self.exported().filter(|run| run.session == session) {
            Some(run) => {
                self.answer(envelope, Reply::Done);
                self.media_arrived(run);
                return;
            }
            None if late => self.stale(),
            None => self.no_relationship().unwrap_or(Reply::OutOfOrder),
        };
        self.answer(envelope, reply);
    }

    // The replica's side.

    pub(crate) fn import_initial(&mut self, rule: &'static Rule, from: Option<(VmId, SessionId)>) -> Outcome {
        let job = self.start_job(JobType::ImportInitialReplica, Stage::Transferring);
        if let Some((_, session)) = from {
            self.effect(Effect::ImportMedia(session));
        }
        self.started(rule, job)
    }

    /// Only the primary knows whether what was imported still fits its log.
    pub(crate) fn media_copied(&mut self, session: SessionId) {
        if !matches!(self.copy.phase, Phase::Awaiting { .. }) || self.copy.job.is_none() {
            return;
        }
        self.stage(Stage::Asking);
        match self.copy.peer {
            Some(peer) => self.ask(peer, Asking::Imported, Request::Imported { session }),
            None => self.import_is_a_base(),
        }
    }

    pub(crate) fn imported_answered(&mut self, envelope: &Envelope<Reply>) {
        match envelope.body {
            Reply::Done => self.import_is_complete(),
            Reply::Stale(Mode::Primary, ReplicationState::WaitingForStartResynchronize) => {
                self.import_is_a_base();
            }
            reply => self.fail_by(reply),
        }
    }

    /// The primary learns of it at the next contact.
    pub(crate) fn import_is_complete(&mut self) {
        self.received_all(self.moment.now);
        self.change("EN-10", Side::Other, self.copy.mode, Phase::Replicating);
        self.complete_job();
    }

    /// The primary has stopped tracking: a resynchronization compares with what was imported.
    fn import_is_a_base(&mut self) {
        self.stay("EN-125");
        self.complete_job();
    }
}
