//! The replication service of one host: decides by the table, changes states, keeps jobs.

use hvrsim_types::canary::{Canary, is_planted};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{ExchangeId, HostId, JobId, PointId, SessionId, SwapId, VmId, scoped};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, Power, ReplicationState};
use hvrsim_types::time::{Calendar, Instant};
use hvrsim_types::vm_map::VmMap;
use serde::{Deserialize, Serialize};

use crate::copy::{Asked, Asking, Copy, Pause, Phase, Received, Run, RunStep};
use crate::exchange::{Effect, Envelope, Input, Note, Outcome, Output, Refusal, Reply, Request, TimerKind};
use crate::job::{Jobs, Stage};
use crate::operation::InitialKind;
use crate::profile::{Generation, Profile};
use crate::rule::{Call, Facts, Guard, Rule, Side, To, Trigger};
use crate::table;

/// The replication service of one host (`Msvm_ReplicationService`).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Service {
    /// The host.
    pub host: HostId,
    /// Replication is accepted from other hosts (`RecoveryServerEnabled`).
    pub accepts: bool,
    /// What other hosts find when they authenticate to this one.
    pub trust: Trust,
    /// The machines on this host.
    pub copies: VmMap<Copy>,
    /// The jobs.
    pub jobs: Jobs,
    last_id: u64,
}

/// What other hosts find when they authenticate to a host, and it authorizes them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Trust {
    /// Everything is in order.
    #[default]
    Intact,
    /// The authorization entry of the others is gone, or names another trust group.
    Unauthorized,
    /// The certificate has expired, was revoked, or has another name.
    Certificate,
    /// The service principal name is not registered: Kerberos fails.
    PrincipalName,
    /// No domain controller answers: nobody can authenticate.
    Directory,
    /// The host's clock is more than five minutes off: Kerberos fails.
    Clock,
}

impl Trust {
    /// Every value with its name in scenarios.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("restored", Self::Intact),
        ("authorization-removed", Self::Unauthorized),
        ("certificate-expired", Self::Certificate),
        ("principal-name-missing", Self::PrincipalName),
    ];

    /// What there is to say.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Intact => "authorization, certificate and service principal name are in order",
            Self::Unauthorized => "the authorization entry for the other servers was removed",
            Self::Certificate => "the certificate has expired or was revoked",
            Self::PrincipalName => "the service principal name is missing (event 14050, 0x80090303)",
            Self::Directory => "no domain controller answers: nobody can authenticate",
            Self::Clock => "the clock is more than five minutes off: Kerberos fails (0x80090324)",
        }
    }
}

/// What does not change during one input.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The virtual time.
    pub now: Instant,
    /// The scenario's calendar.
    pub calendar: &'a Calendar,
    /// The scenario's readings.
    pub profile: &'a Profile,
}

/// What the table says to a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// This rule is taken.
    Take(&'static Rule),
    /// Refused.
    Refuse(ReturnCode, Refusal),
}

impl Service {
    /// A service without machines.
    #[must_use]
    pub fn new(host: HostId, accepts: bool) -> Self {
        Self {
            host,
            accepts,
            trust: Trust::Intact,
            copies: VmMap::default(),
            jobs: Jobs::default(),
            last_id: 0,
        }
    }

    /// Puts one input in; what follows from it is appended to `out`.
    ///
    /// The outcome is that of [`Input::Call`]; for other inputs, `None`.
    pub fn apply(
        &mut self,
        moment: &Moment<'_>,
        vm: VmId,
        facts: &Facts,
        input: Input,
        out: &mut Vec<Output>,
    ) -> Option<Outcome> {
        let machine = if vm.is_extended() { vm.machine() } else { vm };
        let known = self.copies.contains_key(&machine);
        let copy = self.copies.or_default(machine);
        // Out of its place while one of both relationships works and may look at the other.
        let mut extended = copy.extended.take();
        let (copy, beside) = if vm.is_extended() {
            (&mut **extended.get_or_insert_default(), Some(copy))
        } else {
            (copy, extended.as_deref_mut())
        };
        let mut work = Work {
            host: self.host,
            accepts: self.accepts,
            trust: self.trust,
            known,
            vm,
            copy,
            beside,
            jobs: &mut self.jobs,
            last_id: &mut self.last_id,
            moment: *moment,
            facts,
            params: Params::default(),
            out,
        };
        let outcome = work.input(input);
        if let Some(copy) = self.copies.get_mut(&machine) {
            copy.extended = extended.filter(|extended| extended.mode != Mode::None || extended.job.is_some());
            if !known && *copy == Copy::default() {
                self.copies.remove(&machine);
            }
        }
        outcome
    }

    /// The relationship of a machine, or the extended one, by its id.
    #[must_use]
    pub fn relationship(&self, vm: VmId) -> Option<&Copy> {
        if vm.is_extended() {
            self.copies.get(&vm.machine())?.extended.as_deref()
        } else {
            self.copies.get(&vm)
        }
    }

    /// Adds the machine of a test failover.
    pub fn add_test(&mut self, vm: VmId) {
        self.copies.insert(vm, Copy { mode: Mode::TestReplica, ..Copy::default() });
    }

    /// Forgets a machine that was deleted.
    pub fn forget(&mut self, vm: VmId) {
        self.copies.remove(&vm);
    }

    /// Adds a machine that is not replicated.
    pub fn add(&mut self, vm: VmId) {
        self.copies.or_default(vm);
    }
}

/// What the table says to a call on a copy in this mode and state.
#[must_use]
pub fn decide(call: Call, mode: Mode, state: ReplicationState, holds: &dyn Fn(Guard) -> bool) -> Decision {
    let trigger = Trigger::Call(call);
    let mut nearest: Option<(&'static Rule, Guard)> = None;
    for rule in table::rules().filter(|r| r.concerns(mode, state, trigger)) {
        let failing = rule.guards.iter().copied().find(|guard| !holds(*guard));
        match (failing, rule.to) {
            (None, To::Refused(code)) => {
                return Decision::Refuse(code, refusal(rule, call, mode, state, None));
            }
            (None, _) => return Decision::Take(rule),
            (Some(guard), _) if nearest.is_none() && !matches!(rule.to, To::Refused(_)) => {
                nearest = Some((rule, guard));
            }
            (Some(_), _) => {}
        }
    }
    match nearest {
        Some((rule, guard)) => Decision::Refuse(guard.code(), refusal(rule, call, mode, state, Some(guard))),
        None => match table::rules()
            .find(|r| r.triggers.contains(&trigger) && !matches!(r.to, To::Refused(_)))
        {
            Some(rule) => Decision::Refuse(ReturnCode::INVALID_STATE, refusal(rule, call, mode, state, None)),
            None => Decision::Refuse(
                ReturnCode::NOT_SUPPORTED,
                Refusal {
                    rule: "-",
                    call,
                    mode,
                    state,
                    found: String::new(),
                    needs: "nothing that this version simulates".to_owned(),
                    states_needed: Vec::new(),
                    remedy: String::new(),
                },
            ),
        },
    }
}

fn refusal(
    rule: &'static Rule,
    call: Call,
    mode: Mode,
    state: ReplicationState,
    guard: Option<Guard>,
) -> Refusal {
    let states_needed = states_needed(call);
    let (needs, found, remedy) = match guard.or_else(|| refusing_guard(rule)) {
        Some(guard) => {
            let (needs, found, remedy) = guard.words();
            (needs.to_owned(), found.to_owned(), remedy.to_owned())
        }
        None => {
            // In the state that was found the call is allowed in another situation, which is no help here.
            let others: Vec<_> = states_needed.iter().copied().filter(|s| *s != (mode, state)).collect();
            let names = names_of_needed(&others, mode);
            let needs = if names.len() > FEW { "another state".to_owned() } else { names.join(" or ") };
            let reason = if matches!(rule.to, To::Refused(_)) { rule.what } else { "" };
            (needs, String::new(), reason.to_owned())
        }
    };
    Refusal { rule: rule.id, call, mode, state, found, needs, states_needed, remedy }
}

/// More states than these say nothing to a reader.
const FEW: usize = 5;

/// The states in which the call is accepted, those of the copy's own mode if there are any.
fn names_of_needed(states: &[(Mode, ReplicationState)], own: Mode) -> Vec<String> {
    let same: Vec<String> = states
        .iter()
        .filter(|(mode, _)| *mode == own)
        .map(|(mode, state)| state.powershell(*mode).to_owned())
        .collect();
    if same.is_empty() {
        states.iter().map(|(mode, state)| format!("{mode} {}", state.powershell(*mode))).collect()
    } else {
        same
    }
}

/// A rule that refuses because of a guard, such as "not Off", needs the opposite.
fn refusing_guard(rule: &Rule) -> Option<Guard> {
    match (rule.to, rule.guards.first()) {
        (To::Refused(_), Some(Guard::VmNotOff)) => Some(Guard::VmOff),
        (To::Refused(_), Some(Guard::TestVm)) => Some(Guard::NoTestVm),
        (To::Refused(_), Some(Guard::HasExtended)) => Some(Guard::NoExtended),
        (To::Refused(_), Some(guard)) => Some(*guard),
        _ => None,
    }
}

/// Every (mode, state) in which a call is accepted in some situation.
#[must_use]
pub fn states_needed(call: Call) -> Vec<(Mode, ReplicationState)> {
    let trigger = Trigger::Call(call);
    let mut all = Vec::new();
    for rule in table::rules().filter(|r| r.triggers.contains(&trigger) && !matches!(r.to, To::Refused(_))) {
        for mode in rule.modes {
            for state in rule.from {
                if !all.contains(&(*mode, *state)) {
                    all.push((*mode, *state));
                }
            }
        }
    }
    all
}

/// What guards ask of a call's parameters.
#[derive(Clone, Copy, Default)]
pub(crate) struct Params {
    /// A start time is given.
    pub(crate) later: bool,
    /// The chosen point is a Planned one.
    pub(crate) planned: bool,
    /// A list of disks is given.
    pub(crate) lists_disks: bool,
    /// It has one that is not replicated.
    pub(crate) adds_disk: bool,
}

/// One input at work on one copy.
pub(crate) struct Work<'a> {
    pub(crate) host: HostId,
    pub(crate) accepts: bool,
    pub(crate) trust: Trust,
    /// The host has the machine.
    pub(crate) known: bool,
    pub(crate) vm: VmId,
    pub(crate) copy: &'a mut Copy,
    /// The other relationship of the middle copy of a chain.
    pub(crate) beside: Option<&'a mut Copy>,
    pub(crate) jobs: &'a mut Jobs,
    pub(crate) last_id: &'a mut u64,
    pub(crate) moment: Moment<'a>,
    pub(crate) facts: &'a Facts,
    pub(crate) params: Params,
    pub(crate) out: &'a mut Vec<Output>,
}

impl Work<'_> {
    fn input(&mut self, input: Input) -> Option<Outcome> {
        match input {
            Input::Call(operation) => return Some(self.call(operation)),
            Input::Timer(kind) => self.timer(kind),
            Input::Request(envelope) => self.request(&envelope),
            Input::Reply(envelope) => self.reply(&envelope),
            Input::Broken(exchange) => self.broken(exchange),
            Input::LogSwitched(bytes) => self.log_switched(bytes),
            Input::LogApplied => self.log_applied(),
            Input::FailoverReady => self.failover_ready(),
            Input::FailoverFailed(why) => self.failover_failed(why),
            Input::StorageBack => self.apply_next(),
            Input::Exported(session) => self.media_exported(session),
            Input::MediaCopied(session) => self.media_copied(session),
            Input::Restored(point) => self.restored(point),
            Input::TestReady => self.complete_job(),
            Input::Merged => self.merged(),
            Input::SessionDone(session) => self.session_done(session),
            Input::SessionBroken(session) => self.session_broken(session),
            Input::HostDown { crash } => self.host_down(crash),
            Input::ServiceDown => self.service_down(),
            Input::HostUp => self.host_up(),
            Input::WorkerCrash => self.worker_crashed(),
            Input::ResyncNeeded => self.resync_needed(),
            Input::Located(host) => self.located(host),
            Input::TestParted => self.test_parted(),
        }
        None
    }

    pub(crate) fn holds(&self, guard: Guard) -> bool {
        let copy = &*self.copy;
        match guard {
            Guard::VmOff => self.facts.power == Power::Off || is_planted(Canary::OffIgnored),
            Guard::VmNotOff => self.facts.power != Power::Off,
            Guard::VmRunning => self.facts.power == Power::Running,
            Guard::VmNotRunning => self.facts.power != Power::Running,
            Guard::NotSyncing => copy.shown != Some(ReplicationState::SyncedReplicationComplete),
            Guard::NoSavedState => self.facts.power != Power::Saved,
            Guard::SavedState => self.facts.power == Power::Saved,
            Guard::NoCheckpoint => self.facts.checkpoints == 0,
            Guard::NoTestVm => !self.facts.test_vm,
            Guard::TestVm => self.facts.test_vm,
            Guard::PrimaryRuns => self.facts.primary_runs,
            Guard::NoJob => copy.job.is_none(),
            Guard::NotMerging => !self.is_merging(),
            Guard::Merging => self.is_merging(),
            Guard::PlannedPoint => self.params.planned,
            Guard::OtherPoint => !self.params.planned,
            Guard::Later => self.params.later,
            Guard::Now => !self.params.later,
            Guard::InitialComplete => copy.initial_complete,
            Guard::InitialUnfinished => matches!(copy.phase, Phase::Suspended(Pause::Unfinished(_))),
            Guard::WasPrimary => copy.was_primary,
            Guard::Consistent => !copy.inconsistent || is_planted(Canary::MarkIgnored),
            Guard::DisksPresent => !self.facts.disk_missing,
            Guard::HasDisk => !self.facts.sizes.is_empty(),
            Guard::NotHeld => !self.is_held(),
            Guard::NoOpenSwap => copy.asked_swap.is_none(),
            Guard::Starting => self.is_starting(),
            Guard::NothingServed => copy.served.is_none(),
            Guard::NotExported => self.exported().is_none(),
            Guard::OverNetwork => !matches!(copy.phase, Phase::Initial(_, InitialKind::Media)),
            Guard::NotServing => self.copy.served.is_none_or(|served| served.silent),
            Guard::Held => self.is_held(),
            // Asked in the job, decided by the other side's answer.
            Guard::Peer(_) => true,
            Guard::Generation2012R2 => self.moment.profile.generation == Generation::Server2012R2,
            Guard::Generation2016 => self.moment.profile.generation == Generation::Server2016,
            Guard::AfterFailback => self.received_failback().is_some(),
            Guard::NotAfterFailback => self.received_failback().is_none(),
            Guard::IsExtended => self.vm.is_extended(),
            Guard::NoSuchExtended => self.vm.is_extended() && copy.mode == Mode::None,
            Guard::Unsettled => !self.is_settled(),
            Guard::ReceivedAll => self.beside.as_deref().is_some_and(|copy| copy.initial_complete),
            Guard::HasExtended => self.has_extended(),
            Guard::NoExtended => !self.has_extended(),
            Guard::AddsDisk => self.params.adds_disk,
            Guard::AddsNoDisk => !self.params.adds_disk,
            Guard::RestoresDisks => self.params.lists_disks && !self.params.adds_disk,
            Guard::WholeSince => self.extended_goes_on(),
        }
    }

    /// The mode and state that rules look at: of an extended relationship that is to be made, those of its copy.
    pub(crate) fn position(&self) -> (Mode, ReplicationState) {
        match &self.beside {
            Some(copy) if self.vm.is_extended() && self.copy.mode == Mode::None => (copy.mode, copy.state()),
            _ => (self.copy.mode, self.copy.state()),
        }
    }

    fn is_merging(&self) -> bool {
        let finishing = |run: &Run| run.step == RunStep::Finishing;
        self.copy.merging || matches!(&self.copy.phase, Phase::Resync(run) if finishing(run))
    }

    fn is_starting(&self) -> bool {
        let asking = |what| matches!(what, Asking::OpenInitial(_));
        self.copy.asked.is_some_and(|a| asking(a.what)) && matches!(self.copy.phase, Phase::Ready { .. })
    }

    fn is_held(&self) -> bool {
        self.copy.phase == Phase::Suspended(Pause::Held)
    }

    pub(crate) fn received_failback(&self) -> Option<Received> {
        match &self.copy.phase {
            Phase::FailbackDone(received) | Phase::Committed { failback: Some(received), .. } => {
                Some(*received)
            }
            _ => None,
        }
    }

    /// Changes mode and state by a rule, and writes it down. The table must allow the step.
    pub(crate) fn change(&mut self, id: &'static str, side: Side, mode: Mode, phase: Phase) {
        let before = (self.copy.mode, self.copy.state());
        let after = (mode, phase.state());
        debug_assert!(
            table::rule(id).is_some_and(|rule| rule.allows(side, before, after)),
            "{id} does not lead from {before:?} to {after:?} ({side:?})"
        );
        self.copy.mode = mode;
        self.copy.phase = phase;
        self.leave_schedule();
        self.note(Note::Rule { rule: id.to_owned(), before, after });
    }

    /// A rule that leaves the state as it is.
    pub(crate) fn stay(&mut self, id: &'static str) {
        let here = (self.copy.mode, self.copy.state());
        self.note(Note::Rule { rule: id.to_owned(), before: here, after: here });
    }

    /// As [`Work::change`], same mode.
    pub(crate) fn go(&mut self, id: &'static str, phase: Phase) {
        self.change(id, Side::Here, self.copy.mode, phase);
    }

    pub(crate) fn note(&mut self, note: Note) {
        self.out.push(Output::Note(self.vm, note));
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.out.push(Output::Effect(self.vm, effect));
    }

    pub(crate) fn set_timer(&mut self, kind: TimerKind, at: Instant) {
        self.out.push(Output::SetTimer(self.vm, kind, at));
    }

    pub(crate) fn cancel_timer(&mut self, kind: TimerKind) {
        self.out.push(Output::CancelTimer(self.vm, kind));
    }

    fn next_id(&mut self) -> u64 {
        *self.last_id += 1;
        scoped(self.host, *self.last_id)
    }

    pub(crate) fn new_point(&mut self) -> PointId {
        PointId(self.next_id())
    }

    pub(crate) fn new_session(&mut self) -> SessionId {
        SessionId(self.next_id())
    }

    pub(crate) fn new_swap(&mut self) -> SwapId {
        SwapId(self.next_id())
    }

    /// Sends a request, without noting its purpose.
    pub(crate) fn send(&mut self, to: HostId, body: Request) -> ExchangeId {
        let exchange = ExchangeId(self.next_id());
        let envelope = Envelope { exchange, vm: self.vm, from: self.host, epoch: self.copy.epoch, body };
        self.out.push(Output::Request(to, Box::new(envelope)));
        exchange
    }

    /// Asks the peer something; the answer comes to [`Work::reply`].
    pub(crate) fn ask(&mut self, to: HostId, what: Asking, body: Request) {
        let exchange = self.send(to, body);
        self.copy.asked = Some(Asked { exchange, what });
    }

    pub(crate) fn answer<T>(&mut self, to: &Envelope<T>, body: Reply) {
        let envelope =
            Envelope { exchange: to.exchange, vm: to.vm, from: self.host, epoch: self.copy.epoch, body };
        self.out.push(Output::Reply(to.from, Box::new(envelope)));
    }

    /// Starts the copy's mutating job.
    pub(crate) fn start_job(&mut self, kind: JobType, stage: Stage) -> JobId {
        let job = self.jobs.start(self.vm, kind, stage, self.moment.now);
        self.copy.job = Some(job);
        self.note(Note::JobStarted { job, kind, stage });
        job
    }

    pub(crate) fn stage(&mut self, stage: Stage) {
        if let Some(job) = self.copy.job.and_then(|id| self.jobs.get_mut(id))
            && job.stage != stage
        {
            job.stage = stage;
            let job = job.id;
            self.note(Note::JobStage { job, stage });
        }
    }

    pub(crate) fn job_session(&mut self, session: SessionId) {
        if let Some(job) = self.copy.job.and_then(|id| self.jobs.get_mut(id)) {
            job.session = Some(session);
        }
    }

    /// Ends the copy's mutating job, if there is one.
    pub(crate) fn end_job(&mut self, state: JobState, code: ReturnCode, text: &str) {
        self.copy.shown = None;
        let Some(id) = self.copy.job.take() else { return };
        self.close_job(id, state, code, text);
    }

    pub(crate) fn close_job(&mut self, id: JobId, state: JobState, code: ReturnCode, text: &str) {
        let Some(kind) = self.jobs.get(id).map(|job| job.kind) else { return };
        self.jobs.end(id, state, code, text, self.moment.now);
        self.note(Note::JobEnded { job: id, kind, state, code, text: text.to_owned() });
    }

    pub(crate) fn complete_job(&mut self) {
        self.end_job(JobState::Completed, ReturnCode::COMPLETED, "");
    }

    pub(crate) fn fail_job(&mut self, code: ReturnCode, text: &str) {
        self.end_job(JobState::Exception, code, text);
    }

    /// The outcome of a call that a job carries out.
    pub(crate) fn started(&self, rule: &'static Rule, job: JobId) -> Outcome {
        Outcome { code: ReturnCode::JOB_STARTED, job: Some(job), rule: Some(rule.id), refusal: None }
    }

    /// The outcome of a call that is done.
    pub(crate) fn done(rule: &'static Rule) -> Outcome {
        Outcome { code: ReturnCode::COMPLETED, job: None, rule: Some(rule.id), refusal: None }
    }
}
