//! What the rules do: calls, timers, requests and answers find their action here.

mod cycle;
mod disks;
mod enable;
mod extended;
mod failback;
mod failover;
mod host;
mod media;
mod power;
mod reverse;
mod session;
mod test;

use hvrsim_types::code::ReturnCode;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{ExchangeId, HostId, JobId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, ReplicationType};
use hvrsim_types::time::{Instant, Span};

use crate::copy::{Asking, Phase};
use crate::exchange::{Effect, Envelope, Outcome, Refusal, Reply, Request, TimerKind, Why};
use crate::operation::{
    FailbackSettings, Operation, PointChoice, RECOVERY_HISTORY_MAX, Settings, SettingsChange, VSS_HOURS_MAX,
};
use crate::rule::{Call, Rule};
use crate::service::{Decision, Trust, Work, decide};

/// How far ahead a start may be scheduled.
const SCHEDULE_MAX: Span = Span(7 * Span::DAY.0);

impl Work<'_> {
    pub(crate) fn call(&mut self, operation: Operation) -> Outcome {
        if let Some((code, why)) = self.parameters(&operation) {
            return self.refused_parameters(operation.call(), code, why);
        }
        self.params.later = matches!(
            operation,
            Operation::StartInitialReplication { at: Some(_), .. } | Operation::Resynchronize { at: Some(_) }
        );
        if let Operation::Failover { point } | Operation::ManagerFailover { point } = operation {
            self.params.planned = self.chosen_kind(point) == ReplicationType::Planned;
        }
        if let Operation::Modify(SettingsChange { disks: Some(disks), .. }) = &operation {
            let new = disks.without(self.copy.settings.disks);
            self.params.lists_disks = true;
            self.params.adds_disk = !new.and(DiskSet::first(self.facts.sizes.len())).is_empty();
        }
        if operation == Operation::RevertFailover {
            self.params.planned = self.copy.failed_over_type == ReplicationType::Planned;
        }
        if let Operation::CancelJob(job) = operation
            && self.copy.scheduled.is_some_and(|s| s.job == job)
        {
            return self.cancel_scheduled(job);
        }
        let (mode, state) = self.position();
        match decide(operation.call(), mode, state, &|guard| self.holds(guard)) {
            Decision::Refuse(code, refusal) => {
                Outcome { code, job: None, rule: None, refusal: Some(refusal) }
            }
            Decision::Take(rule) => self.perform(rule, operation),
        }
    }

    /// Checks that come before mode and state.
    fn parameters(&self, operation: &Operation) -> Option<(ReturnCode, &'static str)> {
        let bad = ReturnCode::INVALID_PARAMETER;
        let settings = match operation {
            Operation::Enable { settings, .. } => Some(settings.clone()),
            Operation::Modify(change) => Some(change.applied_to(&self.copy.settings)),
            _ => None,
        };
        if let Some(why) = settings.and_then(|settings| self.vss_refused(&settings)) {
            return Some((bad, why));
        }
        let late = |at: Option<Instant>| at.is_some_and(|at| at - self.moment.now > SCHEDULE_MAX);
        match operation {
            Operation::Enable { to, .. } if *to == self.host => Some((bad, "another host as replica server")),
            Operation::Enable { settings, .. } if settings.recovery_history > RECOVERY_HISTORY_MAX => {
                Some((bad, "a RecoveryHistory of 0 to 24"))
            }
            Operation::Enable { settings, .. } if self.selects_nothing(settings.disks) => {
                Some((bad, "at least one disk to be replicated"))
            }
            Operation::Modify(SettingsChange { disks: Some(disks), .. }) if self.selects_nothing(*disks) => {
                Some((bad, "at least one disk to be replicated"))
            }
            Operation::Enable { to, settings } if self.vm.is_extended() => {
                self.extended_parameters(Some(*to), settings.frequency)
            }
            Operation::Modify(change) if self.vm.is_extended() && change.frequency.is_some() => {
                self.extended_parameters(None, change.frequency.unwrap_or_default())
            }
            Operation::Modify(change) | Operation::Reverse { change, .. }
                if change.recovery_history.is_some_and(|n| n > RECOVERY_HISTORY_MAX) =>
            {
                Some((bad, "a RecoveryHistory of 0 to 24"))
            }
            Operation::StartInitialReplication { at, .. } | Operation::Resynchronize { at } if late(*at) => {
                Some((bad, "a start time at most 7 days ahead"))
            }
            Operation::Failover { point }
            | Operation::ManagerFailover { point }
            | Operation::TestFailover { point } => self.unknown_point(*point),
            Operation::InitiateFailback { settings, point } => {
                failback_parameters(settings, *point, self.host)
            }
            Operation::MoveVm { possible: false, .. } => {
                Some((bad, "another node of the same cluster that is up and holds no copy of the machine"))
            }
            Operation::ResizeDisk { disk, size } => self.resize_parameters(*disk, *size),
            Operation::ImportInitialReplica { from } if from.is_none_or(|(vm, _)| vm != self.vm) => {
                Some((bad, "the folder that the initial replica of this virtual machine was exported to"))
            }
            Operation::CancelJob(job) if self.jobs.get(*job).is_none_or(|j| j.vm != self.vm) => {
                Some((bad, "a job of this virtual machine"))
            }
            _ => None,
        }
    }

    /// What settings with application-consistent points need.
    fn vss_refused(&self, settings: &Settings) -> Option<&'static str> {
        match settings.vss_hours {
            0 => None,
            hours if hours > VSS_HOURS_MAX => Some("an ApplicationConsistentSnapshotInterval of 0 to 12"),
            _ if self.vm.is_extended() => {
                Some("no application-consistent points in an extended relationship")
            }
            _ if settings.recovery_history == 0 => {
                Some("a RecoveryHistory above 0 for application-consistent points")
            }
            _ => None,
        }
    }

    /// No disk of the machine is in the list; one without disks has a refusal of its own.
    fn selects_nothing(&self, disks: DiskSet) -> bool {
        let there = DiskSet::first(self.facts.sizes.len());
        !there.is_empty() && disks.and(there).is_empty()
    }

    fn unknown_point(&self, point: PointChoice) -> Option<(ReturnCode, &'static str)> {
        let known = match point {
            PointChoice::Latest => true,
            PointChoice::Id(id) => self.copy.point(id).is_some(),
            PointChoice::Unknown | PointChoice::Malformed => false,
        };
        (!known).then_some((ReturnCode::INVALID_PARAMETER, "a recovery point of this copy"))
    }

    fn refused_parameters(&self, call: Call, code: ReturnCode, needs: &str) -> Outcome {
        let refusal = Refusal {
            rule: "parameters",
            call,
            mode: self.copy.mode,
            state: self.copy.state(),
            found: "has been given something else".to_owned(),
            needs: needs.to_owned(),
            states_needed: Vec::new(),
            remedy: String::new(),
        };
        Outcome { code, job: None, rule: None, refusal: Some(refusal) }
    }

    fn perform(&mut self, rule: &'static Rule, operation: Operation) -> Outcome {
        match operation {
            Operation::Enable { to, settings } => self.enable(rule, to, settings),
            Operation::AsReplica => self.as_replica(rule),
            Operation::StartInitialReplication { kind, at } => self.start_initial(rule, kind, at),
            Operation::ExportInitialReplica { folder } => self.export_initial(rule, folder),
            Operation::ImportInitialReplica { from } => self.import_initial(rule, from),
            Operation::StopInitialReplication => self.stop_initial(rule),
            Operation::Modify(change) if self.params.adds_disk => self.add_disks(rule, &change),
            Operation::Modify(change) => self.modify(rule, &change),
            Operation::Suspend => self.suspend(rule),
            Operation::Resume => self.resume(rule),
            Operation::Resynchronize { at } => self.resynchronize(rule, at),
            Operation::StopResynchronize => self.stop_resync(rule),
            Operation::Prepare => self.prepare(rule),
            Operation::Failover { point } => self.failover(rule, point, false),
            Operation::ManagerFailover { point } => self.failover(rule, point, true),
            Operation::TestFailover { point } => self.test_failover(rule, point),
            Operation::RevertFailover => self.revert(rule),
            Operation::CommitFailover => self.commit(rule),
            Operation::Reverse { to, change } => self.reverse(rule, to, &change),
            Operation::InitiateFailback { settings, point } => self.initiate_failback(rule, &settings, point),
            Operation::Remove => self.remove(rule),
            Operation::ResetStatistics => self.reset_statistics(rule),
            Operation::PromoteExtended => self.promote_extended(rule),
            Operation::SetAdapters(changes) => self.set_adapters(rule, changes),
            Operation::MoveVm { to, .. } => {
                self.stay(rule.id);
                self.effect(Effect::MoveVm(to));
                Self::done(rule)
            }
            Operation::CancelJob(job) => self.cancel_job(rule, job),
            Operation::StartVm
            | Operation::StopVm
            | Operation::TurnOffVm
            | Operation::SaveVm
            | Operation::RemoveSavedState
            | Operation::Checkpoint
            | Operation::RemoveCheckpoints
            | Operation::ResizeDisk { .. }
            | Operation::DestroyVm => self.power(rule, &operation),
        }
    }

    fn modify(&mut self, rule: &'static Rule, change: &SettingsChange) -> Outcome {
        let fewer = change.disks.is_some_and(|disks| disks != self.copy.settings.disks);
        self.copy.settings = change.applied_to(&self.copy.settings);
        if fewer && self.copy.tracked {
            self.effect(Effect::LogChoose(self.copy.settings.disks));
        }
        match self.copy.phase {
            Phase::UpdateFailed { .. } if self.params.lists_disks => self.disks_restored(rule),
            _ => self.stay(rule.id),
        }
        self.arm_cycle();
        self.arm_window();
        self.instant_job(rule, JobType::ModifySettings)
    }

    fn reset_statistics(&mut self, rule: &'static Rule) -> Outcome {
        self.copy.statistics = crate::copy::Statistics { since: self.moment.now, ..Default::default() };
        self.stay(rule.id);
        Self::done(rule)
    }

    /// A job that is done in the moment of the call.
    pub(crate) fn instant_job(&mut self, rule: &'static Rule, kind: JobType) -> Outcome {
        let under_way = self.copy.job;
        let job = self.start_job(kind, crate::job::Stage::Finalizing);
        self.copy.job = under_way;
        self.close_job(job, JobState::Completed, ReturnCode::COMPLETED, "");
        self.started(rule, job)
    }

    fn cancel_scheduled(&mut self, job: JobId) -> Outcome {
        self.copy.scheduled = None;
        self.cancel_timer(TimerKind::Scheduled);
        self.close_job(job, JobState::Terminated, ReturnCode::FAILED, "cancelled before its start time");
        Outcome { code: ReturnCode::COMPLETED, job: None, rule: None, refusal: None }
    }

    fn cancel_job(&mut self, rule: &'static Rule, job: JobId) -> Outcome {
        if self.copy.job != Some(job) {
            return self.refused_parameters(
                Call::CancelJob,
                ReturnCode::INVALID_STATE,
                "a job that is under way",
            );
        }
        match &self.copy.phase {
            Phase::Initial(..) | Phase::Ready { .. } => self.stop_initial(rule),
            Phase::Resync(_) | Phase::ResyncSuspended(_) => self.stop_resync(rule),
            Phase::Recovering { .. } => self.revert(rule),
            Phase::Failback(_) => {
                self.failback_failed(JobState::Terminated, ReturnCode::FAILED, "cancelled");
                Self::done(rule)
            }
            Phase::Updating { .. } => {
                self.update_failed(JobState::Terminated, ReturnCode::FAILED, "cancelled");
                Self::done(rule)
            }
            _ if self.makes_test() => {
                self.stay(rule.id);
                self.abandon_test();
                self.end_job(JobState::Terminated, ReturnCode::FAILED, "cancelled");
                Self::done(rule)
            }
            _ => self.refused_parameters(
                Call::CancelJob,
                ReturnCode::INVALID_STATE,
                "a job that can be cancelled",
            ),
        }
    }

    pub(crate) fn timer(&mut self, kind: TimerKind) {
        match kind {
            TimerKind::Cycle => self.cycle_due(),
            TimerKind::Retry => self.retry(),
            TimerKind::Point => self.point_due(),
            TimerKind::Window => self.window_open(),
            TimerKind::Scheduled => self.scheduled_due(),
            TimerKind::Watch => self.watch_due(),
        }
    }

    pub(crate) fn request(&mut self, envelope: &Envelope<Request>) {
        let trust = if self.facts.directory_down { Trust::Directory } else { self.trust };
        if trust != Trust::Intact {
            self.answer(envelope, Reply::Refused(Why::Untrusted(trust)));
            return;
        }
        self.meet_promoted(envelope);
        if self.facts.peer_moved {
            self.copy.peer = Some(envelope.from);
        }
        match &envelope.body {
            Request::Create { settings } => self.create_asked(envelope, settings.clone()),
            Request::Delta { log, settings, swap } => {
                self.delta_arrived(envelope, *log, settings.clone(), *swap);
            }
            Request::Open { session, kind, sizes } => self.open_asked(envelope, *session, *kind, sizes),
            Request::Continue { session } => self.continue_asked(envelope, *session),
            Request::Finish { session, as_of } => self.finish_asked(envelope, *session, *as_of),
            Request::Imported { session } => self.imported_asked(envelope, *session),
            Request::Close { session } => self.close_asked(envelope, *session),
            Request::Swap { swap, point, failback, settings } => {
                self.swap_asked(envelope, *swap, *point, *failback, settings.clone());
            }
            Request::Yield { swap, settings } => self.yield_asked(envelope, *swap, settings.clone()),
            Request::FailbackOpen { session, point, sizes } => {
                self.failback_asked(envelope, *session, *point, sizes);
            }
            Request::FailbackFinish { session, latest } => {
                self.failback_finish_asked(envelope, *session, *latest);
            }
            Request::FailbackRelease { session, given_up } => {
                self.failback_released(envelope, *session, *given_up);
            }
            Request::StillWanted { session } => self.still_wanted(envelope, *session),
        }
    }

    pub(crate) fn reply(&mut self, envelope: &Envelope<Reply>) {
        if envelope.body == Reply::Refused(Why::Moved) {
            self.broken(envelope.exchange);
            return;
        }
        if self.copy.sending.is_some_and(|s| s.exchange == Some(envelope.exchange)) {
            self.delta_answered(envelope);
            return;
        }
        let Some(asked) = self.copy.asked.filter(|a| a.exchange == envelope.exchange) else { return };
        self.copy.asked = None;
        match asked.what {
            Asking::Create { to, reverse } => self.create_answered(envelope, to, reverse),
            Asking::OpenInitial(kind) => self.open_initial_answered(envelope, kind),
            Asking::OpenResync { automatic } => self.open_resync_answered(envelope, automatic),
            Asking::OpenUpdate => self.open_update_answered(envelope),
            Asking::Imported => self.imported_answered(envelope),
            Asking::Continue => self.continue_answered(envelope),
            Asking::Finish => self.finish_answered(envelope),
            Asking::Swap { again } => self.swap_answered(envelope, again),
            Asking::FailbackOpen => self.failback_answered(envelope),
            Asking::FailbackFinish => self.failback_finish_answered(envelope),
            Asking::GiveUp => self.give_up_answered(envelope),
            Asking::StillWanted { by_call } => self.still_wanted_answered(envelope, by_call),
        }
    }

    pub(crate) fn broken(&mut self, exchange: ExchangeId) {
        self.in_vain(exchange);
        self.effect(Effect::AskBroker);
    }

    /// The broker of the other side's cluster has an answer.
    pub(crate) fn located(&mut self, host: HostId) {
        self.copy.peer = Some(host);
        if self.copy.mode == Mode::Primary && self.copy.phase == Phase::Replicating {
            self.cancel_timer(TimerKind::Retry);
            self.resend();
        }
    }

    fn in_vain(&mut self, exchange: ExchangeId) {
        if self.copy.sending.is_some_and(|s| s.exchange == Some(exchange)) {
            self.delta_broken();
            return;
        }
        let Some(asked) = self.copy.asked.filter(|a| a.exchange == exchange) else { return };
        self.copy.asked = None;
        match asked.what {
            Asking::Create { .. } => self.create_broken(),
            Asking::OpenInitial(_) | Asking::OpenResync { .. } => self.open_broken(),
            Asking::OpenUpdate => self.update_waits(),
            Asking::Imported => self.import_is_complete(),
            Asking::Continue | Asking::Finish => self.run_waits(),
            Asking::Swap { .. } => self.swap_broken(),
            Asking::FailbackOpen | Asking::FailbackFinish => self.failback_waits(),
            Asking::GiveUp => {
                self.fail_job(ReturnCode::NOT_AVAILABLE, "the new primary's side did not answer");
            }
            Asking::StillWanted { by_call } => self.still_wanted_broken(by_call),
        }
    }

    /// The other side answered something that this request cannot be answered with.
    pub(crate) fn fail_by(&mut self, reply: Reply) {
        let (code, text) = Self::failure(reply);
        self.fail_job(code, &text);
    }

    /// How a job ends that got this answer.
    pub(crate) fn failure(reply: Reply) -> (ReturnCode, String) {
        match reply {
            Reply::Refused(why) => (why.code(), why.text().to_owned()),
            Reply::Busy => (ReturnCode::IN_USE, "the other side has a job or a merge under way".to_owned()),
            Reply::Stale(mode, state) => {
                (ReturnCode::INVALID_STATE, format!("the other side is {mode} {}", state.powershell(mode)))
            }
            _ => (ReturnCode::FAILED, "the other side gave no usable answer".to_owned()),
        }
    }

    /// This copy's mode and state as an answer.
    pub(crate) fn stale(&self) -> Reply {
        Reply::Stale(self.copy.mode, self.copy.state())
    }

    /// The kind of what a failover to this choice would show.
    pub(crate) fn chosen_kind(&self, choice: PointChoice) -> ReplicationType {
        match choice {
            PointChoice::Id(id) => self.copy.point(id).map_or(ReplicationType::Regular, |p| p.kind),
            _ => self.newest_planned().map_or(ReplicationType::Regular, |p| p.kind),
        }
    }

    /// The Planned point, if it is the newest content.
    pub(crate) fn newest_planned(&self) -> Option<crate::copy::Point> {
        self.copy.points.last().copied().filter(|p| p.kind == ReplicationType::Planned)
    }

    /// Why a host without this machine, or without its relationship, cannot answer.
    pub(crate) fn no_relationship(&self) -> Option<Reply> {
        let why = if self.facts.clustered && !self.known { Why::Moved } else { Why::NoRelationship };
        (self.copy.mode == Mode::None).then_some(Reply::Refused(why))
    }
}

/// The documented order: unreadable, missing, provider, identifier, capability.
fn failback_parameters(
    settings: &FailbackSettings,
    point: PointChoice,
    host: HostId,
) -> Option<(ReturnCode, &'static str)> {
    match settings {
        FailbackSettings::Unreadable => {
            Some((ReturnCode::INCORRECT_DATA_TYPE, "a readable Msvm_ReplicationSettingData"))
        }
        FailbackSettings::Missing => Some((
            ReturnCode::INVALID_PARAMETER,
            "settings with ReplicationProvider and RecoveryConnectionPoint",
        )),
        FailbackSettings::UnknownProvider => {
            Some((ReturnCode::INVALID_PARAMETER, "a registered replication provider"))
        }
        FailbackSettings::Given { from, .. } if from.is_none_or(|from| from == host) => {
            Some((ReturnCode::INVALID_PARAMETER, "the new primary's host as RecoveryConnectionPoint"))
        }
        FailbackSettings::Given { .. } if point == PointChoice::Malformed => {
            Some((ReturnCode::INVALID_PARAMETER, "a RecoveryPointIdentifier"))
        }
        FailbackSettings::Given { capable: false, .. } => {
            Some((ReturnCode::NOT_SUPPORTED, "a provider that can fail back"))
        }
        FailbackSettings::Given { .. } => None,
    }
}
