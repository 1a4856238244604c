//! The replication cycle: switch, send, store, apply, recovery points, retries.

use hvrsim_types::canary::{Canary, is_planted};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, Epoch, LogSeq, PointId, SwapId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, Power, ReplicationState, ReplicationType};
use hvrsim_types::time::{Instant, Span};

use crate::copy::{BACK_OFF_MIN, Pause, Phase, Point, Sending, Statistics, Trial};
use crate::exchange::{Cause, Effect, Envelope, Log, Note, Outcome, Reply, Request, TimerKind, Why};
use crate::job::Stage;
use crate::operation::Settings;
use crate::rule::{Rule, Storage};
use crate::service::Work;

/// `MonitoringStartTime`: 09:00 local.
const MONITORING_START: Span = Span::minutes(9 * 60);
/// `MonitoringInterval`: 12 hours.
const MONITORING_INTERVAL: Span = Span::minutes(12 * 60);

const NO_FILE: &str = "0x80070002: a disk file, or the parent of one, is not there";

const REFUSES: &str = "the replica refuses: it has failed over, is paused, or has no relationship any more";

impl Work<'_> {
    fn interval(&self) -> Span {
        Span::seconds(self.copy.settings.frequency.interval_s())
    }

    /// Sets the timer of the cycle, which also watches the size of the log while nothing is sent.
    pub(crate) fn arm_cycle(&mut self) {
        let tracking = matches!(
            self.copy.phase,
            Phase::Replicating
                | Phase::Suspended(_)
                | Phase::Error
                | Phase::Initial(..)
                | Phase::Resync(_)
                | Phase::ResyncSuspended(_)
                | Phase::Updating { .. }
                | Phase::UpdateFailed { .. }
        );
        if self.copy.mode == Mode::Primary && tracking {
            let at = self.moment.now + self.interval();
            self.set_timer(TimerKind::Cycle, at);
        }
    }

    pub(crate) fn cycle_due(&mut self) {
        if self.copy.mode != Mode::Primary {
            return;
        }
        self.turn_window();
        if self.copy.tracked && self.over_limit() {
            self.log_over_limit();
            return;
        }
        self.arm_cycle();
        self.ask_for_media();
        if self.copy.phase != Phase::Replicating {
            return;
        }
        if self.facts.disk_missing {
            self.fatal("ST-20", Cause::NoFile, NO_FILE);
            return;
        }
        if !self.is_settled() {
            return;
        }
        if self.copy.sending.is_some() || self.copy.switching.is_some() {
            self.missed();
            self.copy.due = true;
        } else {
            self.switch(ReplicationType::Regular);
        }
    }

    /// Zeroes the statistics at the end of a monitoring interval: 12 hours from 09:00 local time.
    fn turn_window(&mut self) {
        // A time of day has whole seconds: an interval that begins at 09:00 does not end there.
        let after = self.copy.statistics.since + Span::seconds(1);
        let morning = self.moment.calendar.next(after, MONITORING_START);
        let evening = self.moment.calendar.next(after, Span(MONITORING_START.0 + MONITORING_INTERVAL.0));
        if self.moment.now >= morning.min(evening) {
            let Statistics { successes, missed, errors, size_bytes, .. } = self.copy.statistics;
            self.note(Note::IntervalEnded { successes, missed, errors, size_bytes });
            self.copy.statistics = Statistics { since: self.moment.now, ..Statistics::default() };
        }
    }

    fn missed(&mut self) {
        self.copy.statistics.missed = self.copy.statistics.missed.saturating_add(1);
        self.stay("ST-17");
    }

    /// Half of the disks' size (Resynchronization of virtual machines in Hyper-V Replica, 2013).
    fn over_limit(&self) -> bool {
        let size: u64 = self.sizes_of(self.copy.settings.disks).iter().map(|(_, size)| size).sum();
        self.facts.pending_bytes > size / 2
    }

    fn log_over_limit(&mut self) {
        let run = match self.copy.phase {
            Phase::Initial(run, _) | Phase::Resync(run) | Phase::ResyncSuspended(run) => Some(run),
            Phase::Updating { run, .. } => run,
            _ => None,
        };
        let rule = match &self.copy.phase {
            Phase::Initial(..) => "EN-13",
            Phase::Resync(_) => "RS-53",
            Phase::ResyncSuspended(_) | Phase::Updating { .. } | Phase::UpdateFailed { .. } => "RS-122",
            Phase::Suspended(_) | Phase::Error => "ST-25",
            _ => "RS-41",
        };
        // Media on their way stay: imported late, they are what a resynchronization compares with.
        let on_its_way = self.exported().is_some();
        if let Some(run) = run.filter(|_| !on_its_way) {
            self.end_run(run);
            self.tell_closed(run.session);
        }
        self.copy.asked = self.copy.asked.filter(|_| !on_its_way);
        self.require_resync(rule);
        self.fail_job(ReturnCode::FAILED, "the change log passed half of the disks' size");
    }

    /// Goes to the state in which only a resynchronization helps; tracking stops.
    pub(crate) fn require_resync(&mut self, rule: &'static str) {
        self.stop_sending();
        self.cancel_timer(TimerKind::Cycle);
        self.copy.tracked = false;
        self.effect(Effect::LogStop);
        self.go(rule, Phase::ResyncRequired);
        self.arm_window();
    }

    /// Stops sending; closed logs stay and are sent first when it goes on.
    pub(crate) fn stop_sending(&mut self) {
        if let Some(sending) = &mut self.copy.sending {
            sending.exchange = None;
            sending.log.is_ordinary();
        }
        self.copy.due = false;
        self.copy.switching = None;
        self.cancel_timer(TimerKind::Retry);
    }

    pub(crate) fn switch(&mut self, kind: ReplicationType) {
        self.copy.switching = Some(kind);
        self.effect(Effect::SwitchLog);
    }

    pub(crate) fn log_switched(&mut self, bytes: u64) {
        let Some(kind) = self.copy.switching.take() else { return };
        let now = self.moment.now;
        let (point, kind) = match kind {
            ReplicationType::Planned => (Some(self.new_point()), kind),
            _ => match self.hourly_point() {
                Some(point) => (Some(point), self.consistency()),
                None => (None, kind),
            },
        };
        if let Some(point) = point
            && self.copy.keeps_points
        {
            self.keep_point(point, kind, now);
        }
        let log = Log { seq: LogSeq(self.copy.seq.0 + 1), kind, bytes, closed: now, point };
        self.copy.sending = Some(Sending { log, since: now, exchange: None, swap: self.seed_swap() });
        self.resend();
    }

    fn seed_swap(&self) -> Option<SwapId> {
        (self.copy.mode == Mode::Replica).then_some(self.copy.asked_swap).flatten()
    }

    /// A new point's id if one is due: hourly, when additional points are kept.
    fn hourly_point(&mut self) -> Option<PointId> {
        let due = self.moment.now - self.copy.last_point >= Span::HOUR;
        if self.copy.settings.recovery_history == 0
            || !due
            || self.copy.merging
            || self.copy.mode != Mode::Primary
        {
            return None;
        }
        self.copy.last_point = self.moment.now;
        Some(self.new_point())
    }

    /// Whether a point is application-consistent: every so many hours, of a guest that runs, if its VSS writers take part.
    fn consistency(&mut self) -> ReplicationType {
        let every = Span(Span::HOUR.0 * u64::from(self.copy.settings.vss_hours));
        let runs = self.facts.power == Power::Running;
        if every == Span::ZERO || !runs || self.moment.now - self.copy.last_vss < every {
            return ReplicationType::Regular;
        }
        self.copy.last_vss = self.moment.now;
        if self.facts.vss_fails {
            self.copy.statistics.vss_failures = self.copy.statistics.vss_failures.saturating_add(1);
            self.note(Note::VssFailed);
            return ReplicationType::Regular;
        }
        ReplicationType::ApplicationConsistent
    }

    /// Sends the waiting log, or begins a cycle that fell due meanwhile.
    pub(crate) fn resend(&mut self) {
        let Some(peer) = self.copy.peer else { return };
        match self.copy.sending {
            Some(sending) if sending.exchange.is_none() => {
                let settings = self.copy.settings.clone();
                let body = Request::Delta { log: sending.log, settings, swap: sending.swap };
                let exchange = self.send(peer, body);
                self.copy.sending = Some(Sending { exchange: Some(exchange), ..sending });
            }
            None if self.copy.due && self.copy.phase == Phase::Replicating && self.is_settled() => {
                self.copy.due = false;
                self.switch(ReplicationType::Regular);
            }
            _ => {}
        }
    }

    /// The replica's side of a cycle.
    pub(crate) fn delta_arrived(
        &mut self,
        envelope: &Envelope<Request>,
        log: Log,
        settings: Settings,
        swap: Option<SwapId>,
    ) {
        if let Some(swap) = swap {
            self.seed_arrived(envelope, log, settings, swap);
            return;
        }
        // Whoever sends a log adds no disk any more.
        let same = self.copy.peer == Some(envelope.from) && envelope.epoch == self.copy.epoch;
        if same && matches!(self.copy.phase, Phase::UpdateReceiving { .. }) {
            self.update_undone();
        }
        let of_primary = self.copy.mode.is_replica() && self.copy.peer == Some(envelope.from);
        let receiving = of_primary && self.copy.phase == Phase::Replicating;
        if matches!(self.copy.phase, Phase::Recovered { .. } | Phase::Committed { .. }) {
            self.stay("UF-86");
        }
        let reply = match self.no_relationship() {
            Some(reply) => reply,
            None if receiving && self.is_before_release(envelope) => Reply::Released,
            None if !receiving || is_other_epoch(envelope.epoch, self.copy.epoch) => self.stale(),
            None if !self.accepts => Reply::Refused(Why::NotReplicaServer),
            None if self.facts.storage == Storage::Full => Reply::NoRoom,
            None if log.seq.0 <= self.copy.seq.0 => Reply::Stored(log.seq),
            None if log.seq.0 > self.copy.seq.0 + 1 => Reply::OutOfOrder,
            None if !self.facts.log_fits => Reply::Refused(Why::OutOfRange),
            None => {
                self.copy.settings = settings;
                self.store(envelope, log);
                Reply::Stored(log.seq)
            }
        };
        self.answer(envelope, reply);
    }

    /// The sender was released from a failback and has not heard of it.
    fn is_before_release(&self, envelope: &Envelope<Request>) -> bool {
        let epoch = self.copy.epoch;
        envelope.epoch < epoch && self.copy.released == Some((envelope.from, epoch))
    }

    pub(crate) fn store(&mut self, envelope: &Envelope<Request>, log: Log) {
        if is_planted(Canary::NotStored) && log.seq.0.is_multiple_of(2) {
            self.copy.seq = log.seq;
            return;
        }
        self.effect(Effect::StoreLog { from: CopyId { host: envelope.from, vm: envelope.vm } });
        self.copy.seq = log.seq;
        self.copy.last_replication = Some(self.moment.now);
        self.copy.last_type = log.kind;
        self.copy.received.push_back(log);
        if self.copy.received.len() == 1 {
            self.apply_next();
        }
    }

    pub(crate) fn apply_next(&mut self) {
        if self.copy.merging || self.facts.storage != Storage::Sound {
            return;
        }
        if let Some(log) = self.copy.received.front().copied() {
            // G-7: a log after the Planned point makes that point an ordinary one.
            for point in &mut self.copy.points {
                point.kind = if point.kind == ReplicationType::Planned {
                    ReplicationType::Regular
                } else {
                    point.kind
                };
            }
            self.effect(Effect::ApplyLog(log));
        }
    }

    pub(crate) fn log_applied(&mut self) {
        let Some(log) = self.copy.received.pop_front() else { return };
        self.copy.last_apply = Some(self.moment.now);
        if let Some(point) = log.point {
            self.keep_point(point, log.kind, log.closed);
        }
        if self.copy.received.is_empty() {
            self.all_applied();
        } else {
            self.apply_next();
        }
    }

    /// Takes a listed point of what the base holds now, and drops those beyond the history.
    pub(crate) fn keep_point(&mut self, id: PointId, kind: ReplicationType, taken: Instant) {
        self.effect(Effect::TakePoint(id));
        self.copy.points.push(Point { id, kind, taken });
        self.note(Note::PointTaken { point: id, kind });
        let keep = usize::from(self.copy.settings.recovery_history).max(1);
        // The point that a failover under way shows is kept until it is shown.
        let chosen = match self.copy.phase {
            Phase::Recovering { point, .. } if !is_planted(Canary::ChosenDropped) => point,
            _ => None,
        };
        while self.copy.points.len() > keep {
            let Some(at) = self.copy.points.iter().position(|point| Some(point.id) != chosen) else { break };
            let oldest = self.copy.points.remove(at);
            self.drop_point(oldest.id);
            self.note(Note::PointDropped { point: oldest.id });
        }
    }

    /// The running new primary's own point, while it is not protected.
    pub(crate) fn point_due(&mut self) {
        let unprotected = matches!(self.copy.phase, Phase::Committed { .. });
        if !self.copy.keeps_points || !unprotected {
            return;
        }
        let at = self.moment.now + Span::HOUR;
        self.set_timer(TimerKind::Point, at);
        let id = self.new_point();
        self.copy.last_point = self.moment.now;
        self.keep_point(id, ReplicationType::Regular, self.moment.now);
    }

    pub(crate) fn delta_answered(&mut self, envelope: &Envelope<Reply>) {
        let Some(sending) = self.copy.sending else { return };
        if sending.swap.is_some() {
            self.seed_answered(envelope);
            return;
        }
        match envelope.body {
            Reply::Stored(seq) if seq == sending.log.seq => self.delivered(sending),
            Reply::Busy => self.delta_failed(Cause::Busy),
            Reply::NoRoom => self.delta_failed(Cause::NoRoom),
            Reply::Released => {
                self.copy.epoch = self.copy.epoch.max(envelope.epoch);
                self.copy.sending = Some(Sending { exchange: None, ..sending });
                self.resend();
            }
            Reply::OutOfOrder => {
                self.copy.sending = None;
                self.fail_job(ReturnCode::FAILED, "the replica's log is out of order");
                self.require_resync("RS-41");
            }
            Reply::Stale(_, ReplicationState::FailbackInProgress | ReplicationState::FailbackComplete) => {
                self.stop_sending();
                self.fail_job(ReturnCode::IN_USE, "a failback reads from this copy");
                self.go("FB-H", Phase::Suspended(Pause::Held));
                self.arm_watch();
            }
            Reply::Refused(why @ Why::Untrusted(trust)) => {
                self.fatal("ST-34", Cause::Untrusted(trust), why.text());
            }
            Reply::Refused(why @ Why::OutOfRange) => self.fatal("ST-33", Cause::OutOfRange, why.text()),
            Reply::Refused(why @ Why::NotReplicaServer) => {
                self.fatal("ST-20", Cause::NotReplicaServer, why.text());
            }
            Reply::Refused(why) => self.fatal("ST-20", Cause::Refused, why.text()),
            _ => self.fatal("ST-20", Cause::Refused, REFUSES),
        }
    }

    fn delivered(&mut self, sending: Sending) {
        let latency = self.moment.now - sending.since;
        self.effect(Effect::DropSentLog);
        self.copy.on_trial = None;
        self.copy.sending = None;
        self.copy.seq = sending.log.seq;
        self.copy.attempts = 0;
        self.copy.last_replication = Some(self.moment.now);
        self.copy.last_type = sending.log.kind;
        let s = &mut self.copy.statistics;
        s.successes = s.successes.saturating_add(1);
        s.size_bytes = s.size_bytes.saturating_add(sending.log.bytes);
        s.max_size_bytes = s.max_size_bytes.max(sending.log.bytes);
        s.latency = Span(s.latency.0.saturating_add(latency.0));
        s.max_latency = s.max_latency.max(latency);
        self.note(Note::Delivered { log: sending.log, latency });
        match (sending.log.kind, sending.log.point) {
            (ReplicationType::Planned, Some(point)) => self.prepared(point),
            _ => {
                self.stay("ST-16");
                self.next_after_delivery();
            }
        }
    }

    fn next_after_delivery(&mut self) {
        if self.copy.shown == Some(ReplicationState::SyncedReplicationComplete) {
            self.switch(ReplicationType::Planned);
        } else {
            self.resend();
        }
    }

    pub(crate) fn delta_broken(&mut self) {
        if self.copy.sending.is_some_and(|s| s.swap.is_some()) {
            self.swap_broken();
            return;
        }
        self.delta_failed(Cause::Unreachable);
    }

    /// A recoverable failure: the log waits for the next attempt.
    fn delta_failed(&mut self, cause: Cause) {
        self.note(Note::SendFailed { cause, fatal: false });
        if let Some(sending) = &mut self.copy.sending {
            sending.exchange = None;
            sending.log.is_ordinary();
        }
        self.copy.statistics.errors = self.copy.statistics.errors.saturating_add(1);
        if self.copy.shown == Some(ReplicationState::SyncedReplicationComplete) {
            self.stay("PF-68");
            self.fail_job(
                ReturnCode::NOT_AVAILABLE,
                "the replica did not answer: the last changes could not be sent",
            );
            self.arm_cycle();
        }
        if self.copy.phase == Phase::Replicating {
            self.stay("ST-18");
            self.back_off();
        }
    }

    /// Waits for the next attempt: 1, 2, 4, 8, 10 minutes, then every 30.
    pub(crate) fn back_off(&mut self) {
        let step = usize::from(self.copy.attempts).min(BACK_OFF_MIN.len() - 1);
        let after = Span::minutes(BACK_OFF_MIN[step]);
        self.copy.attempts = self.copy.attempts.saturating_add(1);
        self.note(Note::WillRetry { after });
        let at = self.moment.now + after;
        self.set_timer(TimerKind::Retry, at);
    }

    fn fatal(&mut self, rule: &'static str, cause: Cause, text: &str) {
        self.note(Note::SendFailed { cause, fatal: true });
        self.stop_sending();
        self.copy.statistics.errors = self.copy.statistics.errors.saturating_add(1);
        self.fail_job(ReturnCode::FAILED, text);
        let rule = match (rule, self.copy.on_trial.take()) {
            ("ST-20", Some(Trial::Resumed)) => "ST-22",
            ("ST-20", Some(Trial::Unprepared)) => "PF-77",
            _ => rule,
        };
        self.go(rule, Phase::Error);
    }

    pub(crate) fn retry(&mut self) {
        match &self.copy.phase {
            Phase::Replicating => self.resend(),
            Phase::Initial(..) | Phase::Resync(_) | Phase::Updating { run: Some(_), .. } => {
                self.run_continues();
            }
            Phase::Updating { run: None, .. } => self.ask_update(),
            Phase::Failback(_) => self.failback_tries_again(),
            _ => {}
        }
    }

    // Planned failover: the primary's side.

    pub(crate) fn prepare(&mut self, rule: &'static Rule) -> Outcome {
        let job = self.start_job(JobType::SyncedReplication, Stage::Transferring);
        self.copy.shown = Some(ReplicationState::SyncedReplicationComplete);
        self.cancel_timer(TimerKind::Cycle);
        self.cancel_timer(TimerKind::Retry);
        self.copy.due = false;
        match self.copy.sending {
            None => self.switch(ReplicationType::Planned),
            Some(_) => self.resend(),
        }
        self.started(rule, job)
    }

    fn prepared(&mut self, point: PointId) {
        self.cancel_timer(TimerKind::Cycle);
        self.cancel_timer(TimerKind::Retry);
        self.go("PF-66", Phase::Prepared(point));
        self.complete_job();
    }

    pub(crate) fn cancel_prepare(&mut self, rule: &'static Rule) -> Outcome {
        let job = self.start_job(JobType::CancelSyncedReplication, Stage::Finalizing);
        self.copy.on_trial = Some(Trial::Unprepared);
        self.go(rule.id, Phase::Replicating);
        self.arm_cycle();
        self.end_job(JobState::Completed, ReturnCode::COMPLETED, "");
        self.started(rule, job)
    }
}

fn is_other_epoch(theirs: Epoch, ours: Epoch) -> bool {
    theirs != ours && !(is_planted(Canary::OldEpoch) && theirs < ours)
}
