//! What is the same about two worlds that differ only in clock, counters and ids.
//!
//! The projection takes the states of all copies and hosts, what is under way, which content is older than which, and
//! drops when anything was, how often it has happened, and which numbers things have: ids are replaced by their order
//! of appearance, epochs and log numbers by their rank, and the few comparisons with the clock by their outcome. Two
//! worlds with one projection are one *situation*. That makes the number of situations finite; what it cannot tell
//! apart is in `docs/proof.md`.

use std::collections::{BTreeMap, BTreeSet};

use hvrsim_replica::copy::{
    Asked, Copy, FailbackRun, FailbackStep, Phase, Point, Received, Run, Scheduled, Sending, Served,
    Statistics,
};
use hvrsim_replica::exchange::{Envelope, Log, Reply, Request, SessionSpec};
use hvrsim_replica::job::Stage;
use hvrsim_replica::operation::{PointChoice, Settings};
use hvrsim_replica::service::Trust;
use hvrsim_sim::Sim;
use hvrsim_sim::ledger::Position;
use hvrsim_sim::store::{DiskStore, ResyncCounts};
use hvrsim_sim::world::{Content, DiskWork, Event, Load, Machine, Message, World};
use hvrsim_types::id::{CopyId, Epoch, ExchangeId, HostId, JobId, LogSeq, PointId, SessionId, SwapId, VmId};
use hvrsim_types::job::JobType;
use hvrsim_types::state::Power;
use hvrsim_types::time::{Instant, Span};
use serde::Serialize;

use crate::act::{Happening, happening};

/// A situation's identity: the digest of its projection.
pub type Key = [u8; 16];

/// Logs that are further ahead than this count as this far.
const SEQ_MAX: u64 = 3;
/// Attempts: none, some, the last step of the back-off.
const ATTEMPTS: [u8; 3] = [0, 1, 6];

/// A host.
#[derive(Debug, Serialize)]
struct HostView {
    up: bool,
    trust: Trust,
    accepts: bool,
    copies: Vec<(VmId, Copy)>,
    jobs: Vec<(JobId, JobType, Stage, Option<SessionId>)>,
    machines: Vec<MachineView>,
}

/// A machine on its host.
#[derive(Debug, Serialize)]
struct MachineView {
    vm: VmId,
    power: Power,
    checkpoints: bool,
    mixed: bool,
    unsent: Option<bool>,
    failover: bool,
    test: bool,
    tracks: [bool; 2],
    over_limit: [bool; 2],
    hour_due: bool,
}

/// What is under way.
#[derive(Debug, Serialize)]
enum UnderWay {
    Happens(Happening),
    Work(CopyId, WorkView),
    Unanswered(CopyId, ExchangeId),
    Request(HostId, HostId, Envelope<Request>),
    Reply(HostId, HostId, Envelope<Reply>),
    Carries(SessionId),
}

#[derive(Debug, Serialize)]
enum WorkView {
    Apply(Log),
    FailoverDisk(Option<PointId>),
    Test,
    Merge,
}

#[derive(Debug, Serialize)]
struct SessionView {
    id: SessionId,
    leader: CopyId,
    spec: SessionSpec,
    running: bool,
    counts: ResyncCounts,
}

#[derive(Debug, Serialize)]
struct Projection {
    hosts: Vec<HostView>,
    cut: Vec<bool>,
    under_way: Vec<UnderWay>,
    sessions: Vec<SessionView>,
    contents: Vec<u8>,
    contains: Vec<bool>,
}

/// The identity of a world's situation.
#[must_use]
pub fn key<D: DiskStore>(sim: &Sim<D>) -> Key {
    let bytes = postcard::to_stdvec(&project(sim)).unwrap_or_default();
    let mut key = Key::default();
    blake3::Hasher::new().update(&bytes).finalize_xof().fill(&mut key);
    key
}

/// A situation in full, as it is compared: for finding out what two of them differ in.
#[must_use]
pub fn text<D: DiskStore>(sim: &Sim<D>) -> String {
    format!("{:#?}", project(sim))
}

/// Replaces ids by the order in which they appear.
struct Names {
    ids: BTreeMap<u64, u64>,
    jobs: BTreeMap<(HostId, JobId), JobId>,
    epochs: BTreeMap<Epoch, Epoch>,
    seq: u64,
    /// Swaps that somebody may still ask for.
    swaps: BTreeSet<SwapId>,
}

impl Names {
    fn new(world: &World) -> Self {
        let mut epochs = BTreeSet::new();
        let mut seqs = Vec::new();
        let mut swaps = BTreeSet::new();
        let copies = world.hosts.iter().flat_map(|host| host.service.copies.values());
        for copy in copies.flat_map(|copy| [Some(copy), copy.extended.as_deref()]).flatten() {
            epochs.insert(copy.epoch);
            seqs.push(copy.seq.0);
            swaps.extend(copy.asked_swap.into_iter().chain(copy.sending.and_then(|s| s.swap)));
        }
        for flow in world.flows().values() {
            match &flow.load {
                Load::Message(Message::Request(_, envelope)) => {
                    swaps.extend(asked_swap(&envelope.body));
                    epochs.insert(envelope.epoch)
                }
                Load::Message(Message::Reply(_, envelope)) => epochs.insert(envelope.epoch),
                Load::Session(..) => false,
            };
        }
        let rank = |(rank, epoch): (u32, Epoch)| (epoch, Epoch(rank));
        Self {
            ids: BTreeMap::new(),
            jobs: BTreeMap::new(),
            epochs: (0..).zip(epochs).map(rank).collect(),
            seq: seqs.into_iter().min().unwrap_or(0),
            swaps,
        }
    }

    fn id(&mut self, id: u64) -> u64 {
        let next = self.ids.len() as u64;
        *self.ids.entry(id).or_insert(next)
    }

    fn point(&mut self, id: PointId) -> PointId {
        PointId(self.id(id.0))
    }

    fn session(&mut self, id: SessionId) -> SessionId {
        SessionId(self.id(id.0))
    }

    fn exchange(&mut self, id: ExchangeId) -> ExchangeId {
        ExchangeId(self.id(id.0))
    }

    fn swap(&mut self, id: SwapId) -> SwapId {
        SwapId(self.id(id.0))
    }

    fn job(&mut self, host: HostId, id: JobId) -> JobId {
        let next = JobId(self.jobs.len() as u64);
        *self.jobs.entry((host, id)).or_insert(next)
    }

    fn epoch(&self, epoch: Epoch) -> Epoch {
        self.epochs.get(&epoch).copied().unwrap_or(Epoch(u32::MAX))
    }

    fn seq(&self, seq: LogSeq) -> LogSeq {
        LogSeq(seq.0.saturating_sub(self.seq).min(SEQ_MAX))
    }

    fn log(&mut self, log: Log) -> Log {
        Log {
            seq: self.seq(log.seq),
            kind: log.kind,
            bytes: 0,
            closed: Instant::START,
            point: log.point.map(|point| self.point(point)),
        }
    }

    fn run(&mut self, host: HostId, run: Run) -> Run {
        Run {
            job: self.job(host, run.job),
            session: self.session(run.session),
            view: self.point(run.view),
            as_of: Instant::START,
            step: run.step,
        }
    }

    fn received(&mut self, received: Received) -> Received {
        Received { session: self.session(received.session), ..received }
    }

    fn choice(&mut self, choice: PointChoice) -> PointChoice {
        match choice {
            PointChoice::Id(id) => PointChoice::Id(self.point(id)),
            other => other,
        }
    }

    fn failback(&mut self, host: HostId, run: &FailbackRun) -> FailbackRun {
        let step = match run.step {
            FailbackStep::Asking => FailbackStep::Asking,
            FailbackStep::Moving { point, last } => FailbackStep::Moving { point: self.point(point), last },
            FailbackStep::Finishing { point } => FailbackStep::Finishing { point: self.point(point) },
        };
        FailbackRun {
            job: self.job(host, run.job),
            session: self.session(run.session),
            from: run.from,
            choice: self.choice(run.choice),
            before: Box::new(self.phase(host, &run.before)),
            step,
            stage: run.stage.map(|stage| self.point(stage)),
        }
    }

    fn phase(&mut self, host: HostId, phase: &Phase) -> Phase {
        let mut phase = phase.clone();
        match &mut phase {
            Phase::Initial(run, _) | Phase::Resync(run) | Phase::ResyncSuspended(run) => {
                *run = self.run(host, *run);
            }
            Phase::Updating { run: Some(run), .. } => *run = self.run(host, *run),
            Phase::UpdateReceiving { session, .. } => *session = self.session(*session),
            Phase::Awaiting { session: Some(session) } => *session = self.session(*session),
            Phase::Prepared(point) => *point = self.point(*point),
            Phase::Recovering { point: Some(point), .. } | Phase::Recovered { point: Some(point) } => {
                *point = self.point(*point);
            }
            Phase::Committed { point, failback } => {
                *point = point.map(|point| self.point(point));
                *failback = failback.map(|received| self.received(received));
            }
            Phase::ResyncReceiving { session, stage, .. } => {
                *session = self.session(*session);
                *stage = self.point(*stage);
            }
            Phase::Failback(run) => *run = self.failback(host, run),
            Phase::FailbackDone(received) => *received = self.received(*received),
            _ => {}
        }
        phase
    }

    /// A copy without clock, counters and ids. What is not named here is kept as it is.
    fn copy(&mut self, host: HostId, copy: &Copy) -> Copy {
        let attempts = ATTEMPTS.into_iter().rev().find(|step| copy.attempts >= *step).unwrap_or(0);
        Copy {
            phase: self.phase(host, &copy.phase),
            epoch: self.epoch(copy.epoch),
            seq: self.seq(copy.seq),
            sending: copy.sending.map(|s| Sending {
                log: self.log(s.log),
                since: Instant::START,
                exchange: s.exchange.map(|id| self.exchange(id)),
                swap: s.swap.map(|id| self.swap(id)),
            }),
            received: copy.received.iter().map(|log| self.log(*log)).collect(),
            points: copy
                .points
                .iter()
                .map(|p| Point { id: self.point(p.id), kind: p.kind, taken: Instant::START })
                .collect(),
            last_point: Instant::START,
            last_vss: Instant::START,
            last_replication: None,
            last_apply: None,
            last_type: hvrsim_types::state::ReplicationType::None,
            attempts,
            statistics: Statistics::default(),
            job: copy.job.map(|job| self.job(host, job)),
            asked: copy.asked.map(|a| Asked { exchange: self.exchange(a.exchange), what: a.what }),
            scheduled: copy.scheduled.map(|s| Scheduled { job: self.job(host, s.job), ..s }),
            swap: copy.swap.filter(|id| self.swaps.contains(id)).map(|id| self.swap(id)),
            asked_swap: copy.asked_swap.map(|id| self.swap(id)),
            released: copy
                .released
                .filter(|(_, epoch)| *epoch == copy.epoch)
                .map(|(host, epoch)| (host, self.epoch(epoch))),
            served: copy.served.map(|s| Served {
                session: self.session(s.session),
                point: self.point(s.point),
                ..s
            }),
            settings: copy.settings.clone(),
            // Only a promotion of the third host asks.
            failed_over_newest: copy.failed_over_newest && copy.extended.is_some(),
            extended: copy.extended.as_ref().map(|extended| Box::new(self.copy(host, extended))),
            ..copy.clone()
        }
    }

    fn request(&mut self, request: &Request) -> Request {
        let settings = Settings::default();
        match request {
            Request::Create { .. } => Request::Create { settings },
            Request::Delta { log, swap, .. } => {
                let (log, swap) = (self.log(*log), swap.map(|id| self.swap(id)));
                Request::Delta { log, settings, swap }
            }
            Request::Open { session, kind, .. } => {
                Request::Open { session: self.session(*session), kind: *kind, sizes: Vec::new() }
            }
            Request::Continue { session } => Request::Continue { session: self.session(*session) },
            Request::Finish { session, .. } => {
                Request::Finish { session: self.session(*session), as_of: Instant::START }
            }
            Request::Imported { session } => Request::Imported { session: self.session(*session) },
            Request::Close { session } => Request::Close { session: self.session(*session) },
            Request::Swap { swap, point, failback, .. } => Request::Swap {
                swap: self.swap(*swap),
                point: point.map(|point| self.point(point)),
                failback: failback.map(|session| self.session(session)),
                settings,
            },
            Request::Yield { swap, .. } => Request::Yield { swap: self.swap(*swap), settings },
            Request::FailbackOpen { session, point, .. } => Request::FailbackOpen {
                session: self.session(*session),
                point: point.map(|point| self.point(point)),
                sizes: Vec::new(),
            },
            Request::FailbackFinish { session, latest } => {
                Request::FailbackFinish { session: self.session(*session), latest: *latest }
            }
            Request::FailbackRelease { session, given_up } => {
                Request::FailbackRelease { session: self.session(*session), given_up: *given_up }
            }
            Request::StillWanted { session } => Request::StillWanted { session: self.session(*session) },
        }
    }

    fn reply(&mut self, reply: Reply) -> Reply {
        match reply {
            Reply::Stored(seq) => Reply::Stored(self.seq(seq)),
            Reply::Behind { point, tracked } => Reply::Behind { point: self.point(point), tracked },
            Reply::Granted { point, tracked } => Reply::Granted { point: self.point(point), tracked },
            Reply::Final { again, planned } => {
                Reply::Final { again: again.map(|point| self.point(point)), planned }
            }
            other => other,
        }
    }

    fn envelope<T, U>(&mut self, of: &Envelope<T>, body: U) -> Envelope<U> {
        let (exchange, epoch) = (self.exchange(of.exchange), self.epoch(of.epoch));
        Envelope { exchange, vm: of.vm, from: of.from, epoch, body }
    }
}

fn asked_swap(request: &Request) -> Option<SwapId> {
    match request {
        Request::Swap { swap, .. } | Request::Yield { swap, .. } => Some(*swap),
        Request::Delta { swap, .. } => *swap,
        _ => None,
    }
}

fn project<D: DiskStore>(sim: &Sim<D>) -> Projection {
    let world = &sim.world;
    let mut names = Names::new(world);
    let hosts = (0..).map(HostId).zip(&world.hosts).map(|(id, host)| host_view(sim, &mut names, id, host));
    let hosts = hosts.collect();
    let under_way = under_way(world, &mut names);
    let sessions = world
        .sessions()
        .iter()
        .map(|(id, session)| SessionView {
            id: names.session(*id),
            leader: session.leader,
            spec: spec(&mut names, session.spec),
            running: session.running,
            counts: sim.store.resync_counts(*id),
        })
        .collect();
    let (contents, contains) = contents(world);
    let cut = world.links.iter().map(|link| link.cut).collect();
    Projection { hosts, cut, under_way, sessions, contents, contains }
}

fn spec(names: &mut Names, spec: SessionSpec) -> SessionSpec {
    use hvrsim_replica::exchange::Scope;
    let scope = match spec.scope {
        Scope::Since(point) => Scope::Since(names.point(point)),
        other => other,
    };
    SessionSpec { view: spec.view.map(|point| names.point(point)), scope, ..spec }
}

fn host_view<D: DiskStore>(
    sim: &Sim<D>,
    names: &mut Names,
    id: HostId,
    host: &hvrsim_sim::world::Host,
) -> HostView {
    let copies = host.service.copies.iter().map(|(vm, copy)| (vm, names.copy(id, copy))).collect();
    let open = host.service.jobs.iter().filter(|job| !job.state.ended());
    let jobs = open
        .map(|job| (names.job(id, job.id), job.kind, job.stage, job.session.map(|s| names.session(s))))
        .collect();
    let machines = host.machines.iter().map(|(vm, m)| machine(sim, CopyId { host: id, vm }, m)).collect();
    HostView { up: host.up, trust: host.service.trust, accepts: host.service.accepts, copies, jobs, machines }
}

fn machine<D: DiskStore>(sim: &Sim<D>, copy: CopyId, machine: &Machine) -> MachineView {
    let size: u64 = sim.store.sizes(copy).iter().map(|size| size.0).sum();
    let state = sim.world.host(copy.host).service.copies.get(&copy.vm);
    let points = state.is_some_and(|c| c.settings.recovery_history > 0);
    MachineView {
        vm: copy.vm,
        power: machine.power,
        checkpoints: machine.checkpoints > 0,
        mixed: machine.mixed,
        unsent: machine.unsent.as_ref().map(BTreeSet::is_empty),
        failover: sim.store.has_failover(copy),
        test: !copy.vm.is_test() && sim.store.has_test(copy),
        tracks: [copy, copy.extended()].map(|copy| sim.store.log_is_on(copy)),
        over_limit: [copy, copy.extended()].map(|copy| sim.store.log_pending(copy) > size / 2),
        hour_due: points && state.is_some_and(|c| sim.world.now - c.last_point >= Span::HOUR),
    }
}

fn under_way(world: &World, names: &mut Names) -> Vec<UnderWay> {
    let mut all = Vec::new();
    for (_, event) in world.pending() {
        let Some(what) = happening(world, event) else { continue };
        all.push(match event {
            Event::Done { copy, work, .. } => UnderWay::Work(*copy, work_view(names, work)),
            Event::Broken { to, vm, exchange, .. } => {
                UnderWay::Unanswered(CopyId { host: *to, vm: *vm }, names.exchange(*exchange))
            }
            _ => UnderWay::Happens(what),
        });
    }
    // The order by time is no part of a situation, but that of one copy's disks.
    all.sort_by_key(|what| match what {
        UnderWay::Happens(what) => (0, Some(*what)),
        UnderWay::Work(copy, _) => (1, Some(Happening::DiskWork(*copy))),
        UnderWay::Unanswered(copy, _) => (2, Some(Happening::Unanswered(*copy))),
        _ => (3, None),
    });
    for flow in world.flows().values() {
        all.push(match &flow.load {
            Load::Message(Message::Request(to, envelope)) => {
                let body = names.request(&envelope.body);
                UnderWay::Request(flow.from, *to, names.envelope(envelope, body))
            }
            Load::Message(Message::Reply(to, envelope)) => {
                let body = names.reply(envelope.body);
                UnderWay::Reply(flow.from, *to, names.envelope(envelope, body))
            }
            Load::Session(session, _) => UnderWay::Carries(names.session(*session)),
        });
    }
    all
}

fn work_view(names: &mut Names, work: &DiskWork) -> WorkView {
    match work {
        DiskWork::Apply(log) => WorkView::Apply(names.log(*log)),
        DiskWork::FailoverDisk(point) => WorkView::FailoverDisk(point.map(|point| names.point(point))),
        DiskWork::TestMachine(..) => WorkView::Test,
        // Nothing is exported in what is explored.
        DiskWork::Merge | DiskWork::Export(_) | DiskWork::Import(_) => WorkView::Merge,
    }
}

/// The contents of all that holds one, in a fixed order, as numbers of classes of equal contents; and which class
/// holds all of which other.
fn contents(world: &World) -> (Vec<u8>, Vec<bool>) {
    let mut all: Vec<Position> = Vec::new();
    for copy in world.copies() {
        let Some(machine) = world.machine(copy) else { continue };
        let Content { live, base, closed, extended, received } = &machine.content;
        all.extend([*live, *base]);
        all.extend(closed.iter().chain(extended).chain(received));
        let points = world.host(copy.host).service.copies.get(&copy.vm).map(|c| &c.points);
        let listed = points.into_iter().flatten().filter_map(|p| world.points.get(&p.id));
        all.extend(listed.map(|info| info.content));
    }
    all.extend(world.sessions().values().map(|session| session.brings));
    let mut classes: Vec<Position> = Vec::new();
    let same = |a, b| a == b || (world.ledger.contains(a, b) && world.ledger.contains(b, a));
    let mut numbers = Vec::new();
    for content in all {
        let known = classes.iter().position(|class| same(*class, content));
        let number = known.unwrap_or_else(|| {
            classes.push(content);
            classes.len() - 1
        });
        numbers.push(u8::try_from(number).unwrap_or(u8::MAX));
    }
    let pairs = classes.iter().flat_map(|a| classes.iter().map(move |b| (*a, *b)));
    let contains = pairs.map(|(a, b)| world.ledger.contains(a, b)).collect();
    (numbers, contains)
}

/// A situation in words: hosts that are not as they should be, and each copy's mode, state and power.
#[must_use]
pub fn describe<D: DiskStore>(sim: &Sim<D>) -> String {
    let world = &sim.world;
    let mut parts = Vec::new();
    for copy in world.copies() {
        let host = world.host(copy.host);
        let state = host.service.copies.get(&copy.vm);
        let (mode, shown) = state
            .map_or_else(Default::default, |c| (c.mode.to_string(), c.state().powershell(c.mode).to_owned()));
        let power = world.machine(copy).map_or(Power::Off, |m| m.power);
        let vm = if world.vms.len() > 1 { format!("/{}", world.vm(copy.vm).name) } else { String::new() };
        let job = if state.is_some_and(|c| c.job.is_some()) { ", a job" } else { "" };
        let marked = if state.is_some_and(|c| c.inconsistent) { ", marked inconsistent" } else { "" };
        let before = state.map_or_else(String::new, before);
        parts.push(format!("{}{vm} {mode} {shown}{before}, {power}{job}{marked}", host.name));
    }
    for host in &world.hosts {
        if !host.up {
            parts.push(format!("{} is down", host.name));
        }
        if host.service.trust != Trust::Intact {
            parts.push(format!("{} is not trusted", host.name));
        }
    }
    if world.links.iter().any(|link| link.cut) {
        parts.push("a link is cut".to_owned());
    }
    parts.join("; ")
}

/// Where a failback under way goes back to when it is cancelled.
fn before(copy: &Copy) -> String {
    match &copy.phase {
        Phase::Failback(run) => {
            let before = Copy { phase: (*run.before).clone(), ..copy.clone() };
            format!(" (before: {})", before.state().powershell(before.mode))
        }
        _ => String::new(),
    }
}
