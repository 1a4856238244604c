//! Enabling, turning into a replica, removing.

use hvrsim_types::code::ReturnCode;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{Epoch, HostId, LogSeq, PointId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::Mode;

use crate::copy::{Asking, Copy, Pause, Phase, Trial};
use crate::exchange::{Effect, Envelope, Note, Outcome, Reply, Request, TimerKind, Why};
use crate::job::Stage;
use crate::operation::Settings;
use crate::rule::{Rule, Side};
use crate::service::Work;

impl Work<'_> {
    pub(crate) fn enable(&mut self, rule: &'static Rule, to: HostId, settings: Settings) -> Outcome {
        let job = self.start_job(JobType::CreateRelationship, Stage::Asking);
        // Of the disks that there are: one that is added later is not replicated until somebody says so.
        let there = DiskSet::first(self.facts.sizes.len());
        let received = self.beside.as_deref().filter(|_| self.vm.is_extended());
        let sent_on = received.map_or(DiskSet::ALL, |first| first.settings.disks);
        let mut settings = settings;
        settings.disks = settings.disks.and(there).and(sent_on);
        self.copy.settings = settings.clone();
        self.copy.epoch = Epoch(self.copy.epoch.0 + 1);
        self.ask(to, Asking::Create { to, reverse: false }, Request::Create { settings });
        self.started(rule, job)
    }

    /// The replica server's side of enabling.
    pub(crate) fn create_asked(&mut self, envelope: &Envelope<Request>, settings: Settings) {
        let seed = self.copy.mode.is_replica() && matches!(self.copy.phase, Phase::Awaiting { .. });
        let extended = envelope.vm.is_extended();
        let mode = if extended { Mode::ExtendedReplica } else { Mode::Replica };
        let reply = if !self.accepts {
            Reply::Refused(Why::NotReplicaServer)
        } else if self.known && !seed {
            Reply::Refused(Why::IdClash)
        } else {
            if !seed {
                let rule = if extended { "XF-95" } else { "EN-1" };
                self.change(rule, Side::Other, mode, Phase::Awaiting { session: None });
                self.effect(Effect::CreateCopy { like: envelope.from });
            } else if self.copy.mode != mode {
                let rule = if extended { "XF-136" } else { "EN-2" };
                self.change(rule, Side::Other, mode, self.copy.phase.clone());
            }
            self.copy.settings = settings;
            self.adopt(envelope.from, envelope.epoch);
            if seed { Reply::Waiting } else { Reply::Done }
        };
        self.answer(envelope, reply);
    }

    /// Joins a relationship: the other end and the epoch, counted from the start.
    pub(crate) fn adopt(&mut self, peer: HostId, epoch: Epoch) {
        self.copy.peer = Some(peer);
        self.copy.epoch = epoch.max(self.copy.epoch);
        self.copy.seq = LogSeq(0);
    }

    pub(crate) fn create_answered(&mut self, envelope: &Envelope<Reply>, to: HostId, reverse: bool) {
        match (envelope.body, reverse) {
            (Reply::Done | Reply::Waiting, true) => self.reversed_to_third(to, envelope.epoch),
            (answer @ (Reply::Done | Reply::Waiting), false) => {
                self.adopt(to, envelope.epoch);
                let id = match (answer, self.vm.is_extended()) {
                    (Reply::Waiting, false) => "EN-2",
                    (_, false) => "EN-1",
                    (Reply::Waiting, true) => "XF-136",
                    (_, true) => "XF-95",
                };
                self.change(
                    id,
                    Side::Here,
                    Mode::Primary,
                    Phase::Ready { returned: answer == Reply::Waiting },
                );
                self.complete_job();
                self.arm_window();
            }
            (reply, reverse) => {
                if !reverse && !self.vm.is_extended() {
                    self.stay("EN-3");
                }
                self.fail_by(reply);
            }
        }
    }

    pub(crate) fn create_broken(&mut self) {
        if self.copy.mode == Mode::None && !self.vm.is_extended() {
            self.stay("EN-3");
        }
        self.fail_job(ReturnCode::NOT_AVAILABLE, "the replica server did not answer");
    }

    pub(crate) fn as_replica(&mut self, rule: &'static Rule) -> Outcome {
        let job = self.start_job(JobType::StateChange, Stage::Finalizing);
        if self.copy.mode == Mode::Primary {
            self.copy.was_primary = true;
        }
        // After a failback the log begins at the point, not where both sides parted.
        let parted = self.copy.mode == Mode::Primary
            || matches!(self.copy.phase, Phase::Committed { failback: None, .. });
        self.effect(Effect::RememberUnsent { known: self.copy.tracked && parted });
        self.leave_primary();
        self.drop_points();
        self.copy.epoch = Epoch(self.copy.epoch.0 + 1);
        self.copy.initial_complete = false;
        self.change(rule.id, Side::Here, Mode::Replica, Phase::Awaiting { session: None });
        self.complete_job();
        self.started(rule, job)
    }

    /// Ends everything that a primary, or a running new primary, has under way.
    pub(crate) fn leave_primary(&mut self) {
        self.forget_media();
        if let Phase::Initial(run, _)
        | Phase::Resync(run)
        | Phase::ResyncSuspended(run)
        | Phase::Updating { run: Some(run), .. } = self.copy.phase
        {
            self.effect(Effect::CloseSession(run.session));
            self.effect(Effect::DropPoint(run.view));
            self.tell_closed(run.session);
        }
        for kind in [
            TimerKind::Cycle,
            TimerKind::Retry,
            TimerKind::Point,
            TimerKind::Window,
            TimerKind::Scheduled,
            TimerKind::Watch,
        ] {
            self.cancel_timer(kind);
        }
        self.copy.sending = None;
        self.copy.switching = None;
        self.copy.due = false;
        self.copy.attempts = 0;
        self.copy.asked = None;
        self.copy.keeps_points = false;
        self.copy.tracked = false;
        self.drop_served();
        self.effect(Effect::LogStop);
    }

    /// Drops all listed recovery points.
    pub(crate) fn drop_points(&mut self) {
        for point in std::mem::take(&mut self.copy.points) {
            self.drop_point(point.id);
            self.note(Note::PointDropped { point: point.id });
        }
    }

    /// Drops a listed point; one that a failback reads stays until the failback ends.
    pub(crate) fn drop_point(&mut self, id: PointId) {
        match &mut self.copy.served {
            Some(served) if served.point == id => served.unlisted = true,
            _ => self.effect(Effect::DropPoint(id)),
        }
    }

    /// As [`Work::drop_points`], where a merge drops them on the disks.
    pub(crate) fn forget_points(&mut self) {
        for point in std::mem::take(&mut self.copy.points) {
            self.note(Note::PointDropped { point: point.id });
        }
    }

    /// Drops the unlisted point that a served failback was read from.
    pub(crate) fn drop_served(&mut self) {
        if let Some(served) = self.copy.served.take()
            && served.unlisted
        {
            self.effect(Effect::DropPoint(served.point));
        }
    }

    pub(crate) fn remove(&mut self, rule: &'static Rule) -> Outcome {
        let job = self.start_job(JobType::RemoveRelationship, Stage::Finalizing);
        if let Phase::ResyncReceiving { stage, .. } = self.copy.phase {
            self.leave_session(stage);
        }
        if matches!(self.copy.phase, Phase::Recovered { .. }) {
            // The machine keeps what it shows; its disks are merged by the removal.
            self.forget_points();
            self.effect(Effect::CommitFailover);
        }
        self.leave_primary();
        self.drop_points();
        if !self.vm.is_extended() {
            self.effect(Effect::ForgetReceived);
        }
        self.change(rule.id, Side::Here, Mode::None, Phase::Disabled);
        self.complete_job();
        *self.copy = Copy {
            epoch: Epoch(self.copy.epoch.0 + 1),
            was_primary: self.copy.was_primary,
            inconsistent: self.copy.inconsistent,
            statistics: self.copy.statistics,
            ..Copy::default()
        };
        self.started(rule, job)
    }

    pub(crate) fn suspend(&mut self, rule: &'static Rule) -> Outcome {
        match (self.copy.mode, self.copy.phase.clone()) {
            (Mode::Primary, Phase::Initial(run, kind)) => {
                self.end_run(run);
                self.effect(Effect::LogStop);
                self.copy.tracked = false;
                self.end_job(JobState::Terminated, ReturnCode::FAILED, "initial replication was suspended");
                self.go(rule.id, Phase::Suspended(Pause::Unfinished(kind)));
            }
            (Mode::Primary, Phase::Resync(run)) => {
                self.effect(Effect::PauseSession(run.session));
                self.cancel_timer(TimerKind::Retry);
                self.copy.asked = None;
                self.go(rule.id, Phase::ResyncSuspended(run));
            }
            (_, Phase::ResyncReceiving { .. }) => return self.pause_receiving(rule),
            _ => {
                if self.copy.mode == Mode::Primary {
                    self.stop_sending();
                }
                self.go(rule.id, Phase::Suspended(Pause::Operator));
            }
        }
        self.instant_job(rule, JobType::StateChange)
    }

    pub(crate) fn resume(&mut self, rule: &'static Rule) -> Outcome {
        match (self.copy.mode, self.copy.phase.clone()) {
            (Mode::Primary, Phase::Suspended(Pause::Unfinished(kind))) => {
                return self.start_initial_now(rule, kind);
            }
            (Mode::Primary, Phase::ResyncSuspended(run)) => {
                self.go(rule.id, Phase::Resync(run));
                self.run_continues();
            }
            (Mode::Primary, Phase::Suspended(Pause::Held)) => return self.ask_whether_held(rule),
            (Mode::Primary, Phase::UpdateFailed { wanted }) => return self.update(rule, wanted),
            (Mode::Primary, _) => {
                self.copy.attempts = 0;
                self.copy.on_trial = (self.copy.phase == Phase::Error).then_some(Trial::Resumed);
                self.go(rule.id, Phase::Replicating);
                self.arm_cycle();
                self.resend();
            }
            (_, Phase::ResyncReceiving { .. }) => return self.go_on_receiving(rule),
            (_, Phase::FailbackDone(received)) => return self.give_failback_up(rule, received),
            _ => self.go(rule.id, Phase::Replicating),
        }
        self.instant_job(rule, JobType::StateChange)
    }

    /// A failback holds this copy: only the side that receives it knows whether it still runs.
    fn ask_whether_held(&mut self, rule: &'static Rule) -> Outcome {
        let job = self.start_job(JobType::StateChange, Stage::Asking);
        match self.copy.served {
            Some(served) => {
                let asking = Asking::StillWanted { by_call: true };
                self.ask(served.to, asking, Request::StillWanted { session: served.session });
            }
            None => self.hold_cleared(self.copy.epoch, true),
        }
        self.started(rule, job)
    }
}
