//! Reversing: after a planned failover, after an unplanned one, after a failback, to a third host.

use hvrsim_types::canary::{Canary, is_planted};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{Epoch, HostId, LogSeq, PointId, SessionId, SwapId};
use hvrsim_types::job::JobType;
use hvrsim_types::state::{Mode, Power, ReplicationState, ReplicationType};

use crate::copy::{Asking, Phase, Received};
use crate::exchange::{Effect, Envelope, Log, Outcome, Reply, Request, TimerKind, Why};
use crate::job::Stage;
use crate::operation::{Settings, SettingsChange};
use crate::rule::{Rule, Side};
use crate::service::Work;

/// Why a prepared primary does not swap roles with a middle copy.
const EXTENDED: &str = "the roles are not swapped while this copy has an extended relationship: Set-VMReplication -AsReplica on the old primary, then reverse";

impl Work<'_> {
    pub(crate) fn reverse(
        &mut self,
        rule: &'static Rule,
        to: Option<HostId>,
        change: &SettingsChange,
    ) -> Outcome {
        let job = self.start_job(JobType::ReverseReplication, Stage::Asking);
        // A list of disks is for the primary that replicates.
        let change = SettingsChange { disks: None, ..change.clone() };
        self.copy.settings = change.applied_to(&self.copy.settings);
        let settings = self.copy.settings.clone();
        let failback = self.received_failback();
        let peer = failback.map(|f| f.from).or(self.copy.peer);
        match (to, peer) {
            (Some(third), peer) if peer != Some(third) => {
                self.copy.epoch = Epoch(self.copy.epoch.0 + 1);
                self.ask(third, Asking::Create { to: third, reverse: true }, Request::Create { settings });
            }
            (_, Some(peer)) => self.ask_swap(peer, failback, settings),
            (_, None) => self.fail_job(ReturnCode::NOT_AVAILABLE, "there is no other side"),
        }
        self.started(rule, job)
    }

    fn ask_swap(&mut self, peer: HostId, failback: Option<Received>, settings: Settings) {
        let again = self.copy.asked_swap.is_some();
        let swap = match self.copy.asked_swap {
            Some(swap) => swap,
            None => self.new_swap(),
        };
        self.copy.asked_swap = Some(swap);
        // With an extended relationship the roles are not swapped, the other side must have been made a replica.
        let point = match &self.copy.phase {
            Phase::Recovered { point } | Phase::Committed { point, .. } if !self.has_extended() => *point,
            _ => None,
        };
        let failback = failback.map(|f| f.session);
        self.ask(peer, Asking::Swap { again }, Request::Swap { swap, point, failback, settings });
    }

    // The old primary's side, or that of the new primary after a failback.

    pub(crate) fn swap_asked(
        &mut self,
        envelope: &Envelope<Request>,
        swap: SwapId,
        point: Option<PointId>,
        failback: Option<SessionId>,
        settings: Settings,
    ) {
        let reply = match failback {
            Some(session) => self.swap_after_failback(session),
            None => self.swap_reply(envelope, swap, point, settings),
        };
        self.answer(envelope, reply);
    }

    fn swap_reply(
        &mut self,
        envelope: &Envelope<Request>,
        swap: SwapId,
        point: Option<PointId>,
        settings: Settings,
    ) -> Reply {
        if let Some(reply) = self.no_relationship() {
            return reply;
        }
        if !self.accepts {
            return Reply::Refused(Why::NotReplicaServer);
        }
        if self.has_swapped(swap) {
            return Reply::Swapped;
        }
        if self.copy.job.is_some() {
            return Reply::Busy;
        }
        match (self.copy.mode, self.copy.phase.clone()) {
            (Mode::Primary, Phase::Prepared(prepared)) if point == Some(prepared) => {
                if is_planted(Canary::SwapOneSide) {
                    return Reply::Swapped;
                }
                self.become_replica("PF-74", envelope, swap, settings);
                self.copy.initial_complete = true;
                Reply::Swapped
            }
            (Mode::Primary, Phase::Prepared(_)) => Reply::Refused(Why::OtherPoint),
            (Mode::Replica | Mode::ExtendedReplica, Phase::Awaiting { .. }) => {
                if self.copy.mode == Mode::ExtendedReplica {
                    self.change("UF-89", Side::Other, Mode::Replica, self.copy.phase.clone());
                }
                self.copy.settings = settings;
                self.copy.peer = Some(envelope.from);
                self.copy.epoch = Epoch(self.copy.epoch.max(envelope.epoch).0 + 1);
                Reply::Waiting
            }
            (Mode::Primary, _) => Reply::Refused(Why::NotAsReplica),
            _ => self.stale(),
        }
    }

    fn become_replica(
        &mut self,
        rule: &'static str,
        envelope: &Envelope<Request>,
        swap: SwapId,
        settings: Settings,
    ) {
        self.leave_primary();
        self.effect(Effect::RememberUnsent { known: true });
        self.drop_points();
        self.copy.was_primary = true;
        self.copy.swap = Some(swap);
        self.copy.settings = settings;
        self.copy.last_replication = Some(self.moment.now);
        self.adopt(envelope.from, Epoch(self.copy.epoch.max(envelope.epoch).0 + 1));
        self.change(rule, Side::Other, Mode::Replica, Phase::Replicating);
    }

    fn swap_after_failback(&mut self, session: SessionId) -> Reply {
        let Some(served) = self.copy.served.filter(|s| s.session == session) else {
            return self.no_relationship().unwrap_or(Reply::Refused(Why::OtherFailback));
        };
        if self.facts.power != Power::Off {
            return Reply::Refused(Why::NotOff);
        }
        if self.copy.job.is_some() || self.copy.merging {
            return Reply::Busy;
        }
        use ReplicationState as S;
        let state = self.copy.state();
        let fits = match self.copy.mode {
            Mode::Replica => state == S::Committed,
            _ => matches!(
                state,
                S::Suspended | S::WaitingForStartResynchronize | S::Critical | S::ReadyForInitialReplication
            ),
        };
        if !fits {
            return self.stale();
        }
        Reply::Behind { point: served.point, tracked: self.copy.tracked }
    }

    // The caller goes on.

    pub(crate) fn swap_answered(&mut self, envelope: &Envelope<Reply>, again: bool) {
        match envelope.body {
            Reply::Swapped => self.swapped(envelope, again),
            Reply::Waiting => {
                let rule = if self.has_extended() { "XF-99" } else { "UF-89" };
                self.lead(rule, envelope.from, envelope.epoch, Phase::Ready { returned: true });
                self.effect(Effect::LogStop);
                self.copy.tracked = false;
                self.complete_job();
            }
            Reply::Behind { point, tracked } => self.seed_peer(envelope, point, tracked),
            reply => {
                let rule = match (reply, self.received_failback()) {
                    (_, Some(_)) => "FB-110",
                    (Reply::Refused(Why::OtherPoint), _) => "PF-108",
                    (Reply::Refused(Why::NotReplicaServer | Why::NoRelationship | Why::Untrusted(_)), _) => {
                        "PF-76"
                    }
                    _ => "UF-90",
                };
                self.copy.asked_swap = None;
                self.stay(rule);
                if reply == Reply::Refused(Why::OtherPoint) && self.has_extended() {
                    self.fail_job(ReturnCode::INVALID_STATE, EXTENDED);
                } else {
                    self.fail_by(reply);
                }
            }
        }
    }

    fn swapped(&mut self, envelope: &Envelope<Reply>, again: bool) {
        if self.received_failback().is_some() {
            self.back_without_seed(envelope);
            return;
        }
        let rule = match self.copy.phase {
            _ if again => "PF-115",
            Phase::Recovered { .. } => "PF-74",
            _ => "PF-75",
        };
        self.lead(rule, envelope.from, envelope.epoch, Phase::Replicating);
        self.complete_job();
        self.arm_cycle();
    }

    /// This copy becomes the primary; a failover that was not committed is committed by it.
    fn lead(&mut self, rule: &'static str, peer: HostId, epoch: Epoch, phase: Phase) {
        let uncommitted = matches!(self.copy.phase, Phase::Recovered { .. });
        self.adopt(peer, epoch);
        self.copy.swap = None;
        self.copy.asked_swap = None;
        self.copy.was_primary = false;
        self.copy.failed_over_type = ReplicationType::None;
        self.copy.attempts = 0;
        self.copy.last_replication = Some(self.moment.now);
        self.cancel_timer(TimerKind::Point);
        self.drop_served();
        self.drop_extended();
        if uncommitted {
            self.copy.merging = true;
            self.forget_points();
            self.effect(Effect::CommitFailover);
            self.copy.last_point = self.moment.now;
            let wanted = self.moment.profile.failback_points && self.copy.settings.recovery_history > 0;
            self.copy.keeps_points = wanted;
        }
        self.change(rule, Side::Here, Mode::Primary, phase);
    }

    pub(crate) fn reversed_to_third(&mut self, third: HostId, epoch: Epoch) {
        self.lead("UF-116", third, epoch, Phase::Ready { returned: false });
        self.effect(Effect::LogStop);
        self.copy.tracked = false;
        self.complete_job();
    }

    pub(crate) fn swap_broken(&mut self) {
        if let Some(sending) = self.copy.sending.take()
            && sending.swap.is_some()
        {
            self.copy.switching = None;
        }
        let rule = if self.received_failback().is_some() { "FB-110" } else { "PF-76" };
        self.stay(rule);
        self.fail_job(ReturnCode::NOT_AVAILABLE, "the other side did not answer");
    }

    // After a failback: what both wrote since the point is sent before the swap takes effect.

    fn seed_peer(&mut self, envelope: &Envelope<Reply>, point: PointId, tracked: bool) {
        let Some(received) = self.received_failback() else { return };
        self.copy.epoch = Epoch(self.copy.epoch.max(envelope.epoch).0 + 1);
        self.copy.peer = Some(envelope.from);
        self.copy.seq = LogSeq(0);
        self.stage(Stage::Transferring);
        if tracked && received.tracked {
            self.effect(Effect::LogAddChanges { of: envelope.from, since: point });
            self.switch(ReplicationType::Regular);
        } else {
            let settings = self.copy.settings.clone();
            let Some(swap) = self.copy.asked_swap else { return };
            self.ask(envelope.from, Asking::Swap { again: false }, Request::Yield { swap, settings });
        }
    }

    /// The other side is the replica now; only a resynchronization can tell what differs.
    fn back_without_seed(&mut self, envelope: &Envelope<Reply>) {
        self.lead("FB-109W", envelope.from, envelope.epoch, Phase::ResyncRequired);
        self.back_home();
        self.copy.tracked = false;
        self.effect(Effect::LogStop);
        self.arm_window();
        self.complete_job();
    }

    /// What a failback leaves behind is dropped.
    fn back_home(&mut self) {
        self.copy.initial_complete = true;
        self.copy.keeps_points = false;
        self.drop_points();
    }

    pub(crate) fn yield_asked(&mut self, envelope: &Envelope<Request>, swap: SwapId, settings: Settings) {
        if !self.has_swapped(swap) {
            if let Some(reply) = self.cannot_yield() {
                self.answer(envelope, reply);
                return;
            }
            self.follow(envelope, swap, settings);
            // Its content is its own until the resynchronization.
            self.copy.initial_complete = false;
        }
        self.answer(envelope, Reply::Swapped);
    }

    /// A repeated request is answered as done, unless this copy has gone on since.
    fn has_swapped(&self, swap: SwapId) -> bool {
        let state = self.copy.state();
        let still = matches!(state, ReplicationState::Replicating | ReplicationState::Suspended);
        self.copy.swap == Some(swap) && self.copy.mode == Mode::Replica && still
    }

    fn cannot_yield(&self) -> Option<Reply> {
        let idle = self.copy.job.is_none() && !self.copy.merging;
        let fits = self.facts.power == Power::Off && self.copy.served.is_some() && idle;
        (!fits).then(|| self.stale())
    }

    /// The new primary's side becomes the replica of the copy that it had served.
    fn follow(&mut self, envelope: &Envelope<Request>, swap: SwapId, settings: Settings) {
        self.leave_primary();
        // What was written here since the failover is in no log of it.
        self.drop_extended();
        self.effect(Effect::RememberUnsent { known: true });
        self.drop_points();
        self.copy.was_primary = true;
        self.copy.swap = Some(swap);
        self.copy.settings = settings;
        self.copy.failed_over_type = ReplicationType::None;
        self.copy.initial_complete = true;
        self.adopt(envelope.from, envelope.epoch);
        self.change("FB-109", Side::Other, Mode::Replica, Phase::Replicating);
    }

    /// The seed of a reverse after a failback makes the receiver the replica.
    pub(crate) fn seed_arrived(
        &mut self,
        envelope: &Envelope<Request>,
        log: Log,
        settings: Settings,
        swap: SwapId,
    ) {
        if !self.has_swapped(swap) {
            if let Some(reply) = self.cannot_yield() {
                self.answer(envelope, reply);
                return;
            }
            self.follow(envelope, swap, settings);
            self.store(envelope, log);
        }
        self.answer(envelope, Reply::Stored(log.seq));
    }

    pub(crate) fn seed_answered(&mut self, envelope: &Envelope<Reply>) {
        let Some(sending) = self.copy.sending.take() else { return };
        if !matches!(envelope.body, Reply::Stored(_)) {
            self.copy.asked_swap = None;
            self.stay("FB-110");
            self.fail_by(envelope.body);
            return;
        }
        self.effect(Effect::DropSentLog);
        self.lead("FB-109", envelope.from, envelope.epoch, Phase::Replicating);
        self.copy.seq = sending.log.seq;
        self.back_home();
        self.arm_cycle();
        self.complete_job();
    }
}
