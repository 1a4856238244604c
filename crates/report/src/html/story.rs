//! What the records tell, gathered once for all panels: who was in which state when, what was broken, which jobs ran,
//! what crossed the links.

use std::collections::BTreeMap;

use hvrsim_replica::exchange::Note;
use hvrsim_resync::heat::HeatMap;
use hvrsim_sim::ledger::Loss;
use hvrsim_sim::trace::{Choice, HostPower, Record, What};
use hvrsim_sim::watch::{Seen, Watch};
use hvrsim_types::id::{CopyId, HostId, JobId, PointId, VmId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, Power, ReplicationState, ReplicationType};
use hvrsim_types::time::{Instant, Span};

use super::axis::{Axis, FULL, Place};
use super::steps::StepStory;
use crate::events::Log;

/// A stretch of time in which something was so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stretch<T> {
    pub(super) from: (Instant, Place),
    pub(super) to: (Instant, Place),
    pub(super) what: T,
}

/// A moment at which something happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    pub(super) at: Instant,
    pub(super) place: Place,
    pub(super) text: String,
}

/// What was broken, and until when.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Broken {
    Host(HostId),
    Link(HostId, HostId),
    /// Something of the catalogue of incidents: its name, the machine or the other end if it has one.
    Incident(HostId, Option<VmId>, Option<HostId>, String),
}

/// A job.
pub(super) struct Job {
    pub(super) host: HostId,
    pub(super) vm: VmId,
    pub(super) id: JobId,
    pub(super) kind: JobType,
    pub(super) phases: Vec<Stretch<&'static str>>,
    /// How it ended, and what its error says; `None` if it had not.
    pub(super) ended: Option<(JobState, String)>,
}

impl Job {
    pub(super) fn from(&self) -> (Instant, Place) {
        self.phases.first().map_or((Instant::START, Place::default()), |phase| phase.from)
    }

    pub(super) fn to(&self) -> (Instant, Place) {
        self.phases.last().map_or((Instant::START, Place::default()), |phase| phase.to)
    }
}

/// Bytes that crossed from one host to another.
pub(super) struct Carried {
    pub(super) from: HostId,
    pub(super) to: HostId,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    pub(super) bytes: u64,
}

/// A recovery point.
pub(super) struct Point {
    pub(super) at: Instant,
    pub(super) place: Place,
    pub(super) kind: ReplicationType,
    pub(super) dropped: Option<Instant>,
}

/// What happened to a disk in a session.
pub(super) struct Resync {
    pub(super) at: Instant,
    pub(super) target: CopyId,
    pub(super) source: HostId,
    pub(super) disk: u8,
    pub(super) map: HeatMap,
    pub(super) job: &'static str,
}

/// What each recovery point of a copy would have cost.
pub(super) struct Choices {
    pub(super) at: Instant,
    pub(super) copy: CopyId,
    pub(super) chosen: Option<PointId>,
    pub(super) points: Vec<Choice>,
    /// The newest content was taken, with these losses.
    pub(super) newest: Option<Vec<Loss>>,
}

/// A machine that ran nowhere.
pub(super) struct Outage {
    pub(super) vm: VmId,
    pub(super) from: Instant,
    pub(super) to: Option<Instant>,
    pub(super) host: Option<HostId>,
}

/// Age of the other side's content at a moment.
pub(super) struct Age {
    pub(super) place: Place,
    pub(super) rpo: Span,
}

/// A transfer of a session that is under way.
struct Transfer {
    source: HostId,
    runs: Vec<(Instant, Option<Instant>)>,
}

/// Everything that the panels show.
#[derive(Default)]
pub(super) struct Story {
    pub(super) steps: Vec<StepStory>,
    pub(super) lanes: BTreeMap<CopyId, Vec<Stretch<Seen>>>,
    pub(super) faults: Vec<Stretch<(Broken, String)>>,
    pub(super) marks: Vec<Mark>,
    pub(super) jobs: Vec<Job>,
    pub(super) carried: Vec<Carried>,
    pub(super) points: BTreeMap<CopyId, BTreeMap<PointId, Point>>,
    pub(super) resyncs: Vec<Resync>,
    pub(super) choices: Vec<Choices>,
    pub(super) outages: Vec<Outage>,
    pub(super) ages: BTreeMap<VmId, Vec<Age>>,
    pub(super) losses: Vec<(Instant, CopyId, Vec<Loss>)>,
    pub(super) watch: Watch,
}

/// Reads the records one after the other.
struct Reader<'a> {
    axis: &'a Axis,
    story: Story,
    step: usize,
    nth: u64,
    open: BTreeMap<Broken, usize>,
    jobs: BTreeMap<(HostId, JobId), usize>,
    transfers: BTreeMap<CopyId, Transfer>,
    running: BTreeMap<VmId, bool>,
    age_at: BTreeMap<VmId, (u64, u64)>,
}

/// A curve has no more points than this over the whole width.
const POINTS: u64 = 1200;

impl Story {
    /// Reads a whole log.
    pub(super) fn read(log: &Log, axis: &Axis) -> Self {
        let mut reader = Reader {
            axis,
            story: Self::default(),
            step: 0,
            nth: 0,
            open: BTreeMap::new(),
            jobs: BTreeMap::new(),
            transfers: BTreeMap::new(),
            running: BTreeMap::new(),
            age_at: BTreeMap::new(),
        };
        for (vm, placed) in (0..).map(VmId).zip(&log.header.placed) {
            let copy = CopyId { host: placed.host, vm };
            reader.story.watch.place(copy, placed.power);
            let seen = Seen { power: placed.power, mode: Mode::None, state: ReplicationState::Disabled };
            reader.begin(copy, seen, (Instant::START, Place::default()));
            reader.running.insert(vm, placed.power == Power::Running);
        }
        for record in &log.records {
            reader.take(record);
        }
        reader.end(Instant(log.footer.end_ns))
    }
}

impl Reader<'_> {
    fn begin(&mut self, copy: CopyId, what: Seen, from: (Instant, Place)) {
        let lane = self.story.lanes.entry(copy).or_default();
        if let Some(last) = lane.last_mut() {
            last.to = from;
        }
        lane.push(Stretch { from, to: from, what });
    }

    fn take(&mut self, record: &Record) {
        if let What::Step { number, line, text } = &record.what {
            self.step += 1;
            self.nth = 0;
            let before = self.standing();
            if let Some(last) = self.story.steps.last_mut() {
                last.end(record.at, &before);
            }
            self.story.steps.push(StepStory::new(*number, *line, text, record.at, before));
        } else {
            self.nth += 1;
        }
        let at = (record.at, self.axis.place(self.step, self.nth.saturating_sub(1), record.at));
        self.age(record.at, record.vm);
        self.story.watch.take(record);
        if let Some(step) = self.story.steps.last_mut() {
            step.take(record);
        }
        if let Some(host) = record.host {
            self.incident(host, record.vm, &record.what, at);
        }
        match (record.host, record.vm) {
            (Some(host), Some(vm)) => self.copy(CopyId { host, vm }, &record.what, at),
            (Some(host), None) => self.host(host, &record.what, at),
            _ => {}
        }
        self.age(record.at, record.vm);
    }

    /// How every copy stands.
    fn standing(&self) -> Vec<(CopyId, Seen)> {
        self.story.lanes.iter().filter_map(|(copy, lane)| Some((*copy, lane.last()?.what))).collect()
    }

    fn mark(&mut self, at: (Instant, Place), text: String) {
        self.story.marks.push(Mark { at: at.0, place: at.1, text });
    }

    fn incident(&mut self, host: HostId, vm: Option<VmId>, what: &What, at: (Instant, Place)) {
        match what {
            What::Incident { name, to } => {
                self.breaks(Broken::Incident(host, vm, *to, name.clone()), name, at);
            }
            What::Mended { name, to } => self.mended(&Broken::Incident(host, vm, *to, name.clone()), at),
            _ => {}
        }
    }

    fn host(&mut self, host: HostId, what: &What, at: (Instant, Place)) {
        match what {
            What::Host(HostPower::Lost) => self.breaks(Broken::Host(host), "power lost", at),
            What::Host(HostPower::Off) => self.breaks(Broken::Host(host), "shut down", at),
            What::Host(HostPower::Back) => self.mended(&Broken::Host(host), at),
            What::LinkCut { to, .. } => self.breaks(link(host, *to), "cut", at),
            What::LinkBack { to } => self.mended(&link(host, *to), at),
            What::Trust(trust) => self.mark(at, trust.text().to_owned()),
            _ => {}
        }
    }

    fn breaks(&mut self, what: Broken, how: &str, at: (Instant, Place)) {
        let ends = |host: HostId| match &what {
            Broken::Host(broken) => *broken == host,
            Broken::Link(a, b) => *a == host || *b == host,
            Broken::Incident(..) => false,
        };
        for (leader, transfer) in &mut self.transfers {
            if (ends(transfer.source) || ends(leader.host))
                && let Some((_, to @ None)) = transfer.runs.last_mut()
            {
                *to = Some(at.0);
            }
        }
        self.open.insert(what.clone(), self.story.faults.len());
        self.story.faults.push(Stretch { from: at, to: (at.0, Place::END), what: (what, how.to_owned()) });
    }

    fn mended(&mut self, what: &Broken, at: (Instant, Place)) {
        if let Some(fault) = self.open.remove(what).and_then(|index| self.story.faults.get_mut(index)) {
            fault.to = at;
        }
    }

    fn copy(&mut self, copy: CopyId, what: &What, at: (Instant, Place)) {
        match what {
            What::WorkerCrash => self.mark(at, "the worker process crashed".to_owned()),
            What::Finding(finding) => self.mark(at, format!("finding: {}", finding.name())),
            What::Power(_) => self.power(copy, at),
            What::Note(note) => self.note(copy, note, at),
            What::Transfer { source, .. } => {
                let transfer =
                    self.transfers.entry(copy).or_insert(Transfer { source: *source, runs: Vec::new() });
                transfer.runs.push((at.0, None));
            }
            What::Session { source, counts, .. } => {
                // Transfers are told of their leader, sessions of their target.
                let leader = if self.transfers.contains_key(&copy) { copy.host } else { *source };
                if let Some(transfer) = self.transfers.remove(&CopyId { host: leader, ..copy }) {
                    self.crossed(*source, copy.host, transfer, at.0, counts.sent_bytes);
                }
            }
            What::Heat { source, disk, map } => {
                let job = self.job_of(copy.vm);
                let (source, disk, map) = (*source, *disk, map.clone());
                self.story.resyncs.push(Resync { at: at.0, target: copy, source, disk, map, job });
            }
            What::Choices { chosen, points } => {
                let (chosen, points) = (*chosen, points.clone());
                let replicates = |seen: Seen| seen.state == ReplicationState::Replicating;
                let at_the_end = self.story.watch.seen(copy).is_some_and(replicates);
                let newest = (chosen.is_none() && !at_the_end).then(Vec::new);
                self.story.choices.push(Choices { at: at.0, copy, chosen, points, newest });
            }
            What::Lost(losses) => {
                let of = self.story.choices.last_mut().filter(|c| c.at == at.0 && c.copy == copy);
                if let Some(newest) = of.and_then(|choices| choices.newest.as_mut()) {
                    newest.clone_from(losses);
                }
                self.story.losses.push((at.0, copy, losses.clone()));
            }
            What::Machine { made: true } => {
                if let Some(seen) = self.story.watch.seen(copy) {
                    self.begin(copy, seen, at);
                }
            }
            _ => {}
        }
    }

    /// The runs of a transfer carried its bytes, each by its length.
    fn crossed(&mut self, from: HostId, to: HostId, transfer: Transfer, now: Instant, bytes: u64) {
        let runs: Vec<(Instant, Instant)> =
            transfer.runs.into_iter().map(|(begun, ended)| (begun, ended.unwrap_or(now))).collect();
        let whole: u128 = runs.iter().map(|(begun, ended)| u128::from((*ended - *begun).0)).sum();
        for (begun, ended) in runs {
            let share = u128::from(bytes) * u128::from((ended - begun).0) / whole.max(1);
            let bytes = u64::try_from(share).unwrap_or(u64::MAX);
            self.story.carried.push(Carried { from, to, begun, ended, bytes });
        }
    }

    /// What a session of this machine is for, by the job that is under way.
    fn job_of(&self, vm: VmId) -> &'static str {
        let open = self.jobs.values().filter_map(|index| self.story.jobs.get(*index));
        let mut of = open.filter(|job| job.vm == vm).map(|job| job.kind.label());
        of.next_back().unwrap_or("Resynchronizing")
    }

    fn power(&mut self, copy: CopyId, at: (Instant, Place)) {
        let Some(seen) = self.story.watch.seen(copy) else { return };
        self.begin(copy, seen, at);
        if copy.vm.is_test() {
            return;
        }
        let runs = !self.story.watch.running(copy.vm).is_empty();
        let ran = self.running.insert(copy.vm, runs);
        if ran == Some(true) && !runs {
            self.story.outages.push(Outage { vm: copy.vm, from: at.0, to: None, host: None });
        } else if runs && ran != Some(true) {
            let open = self.story.outages.iter_mut().rev().find(|o| o.vm == copy.vm && o.to.is_none());
            if let Some(outage) = open {
                (outage.to, outage.host) = (Some(at.0), Some(copy.host));
            }
        }
    }

    fn note(&mut self, copy: CopyId, note: &Note, at: (Instant, Place)) {
        match note {
            Note::Rule { before, after, .. } if before != after => {
                if let Some(seen) = self.story.watch.seen(copy) {
                    self.begin(copy, seen, at);
                }
            }
            Note::JobStarted { job, kind, stage } => {
                self.jobs.insert((copy.host, *job), self.story.jobs.len());
                let phases = vec![Stretch { from: at, to: (at.0, Place::END), what: stage.name() }];
                let (host, vm) = (copy.host, copy.vm);
                self.story.jobs.push(Job { host, vm, id: *job, kind: *kind, phases, ended: None });
            }
            Note::JobStage { job, stage } => self.phase((copy.host, *job), at, Some(stage.name())),
            Note::JobEnded { job, state, text, .. } => {
                self.phase((copy.host, *job), at, None);
                let index = self.jobs.remove(&(copy.host, *job));
                if let Some(job) = index.and_then(|index| self.story.jobs.get_mut(index)) {
                    job.ended = Some((*state, text.clone()));
                }
            }
            Note::Delivered { log, latency } => {
                let begun = Instant(at.0.0.saturating_sub(latency.0));
                let to = self.other(copy);
                let carried = Carried { from: copy.host, to, begun, ended: at.0, bytes: log.bytes };
                self.story.carried.push(carried);
            }
            Note::PointTaken { point, kind } => {
                let new = Point { at: at.0, place: at.1, kind: *kind, dropped: None };
                self.story.points.entry(copy).or_default().insert(*point, new);
            }
            Note::PointDropped { point } => {
                let known = self.story.points.get_mut(&copy).and_then(|points| points.get_mut(point));
                known.into_iter().for_each(|point| point.dropped = Some(at.0));
            }
            Note::WillRetry { .. } => {
                if let Some(transfer) = self.transfers.get_mut(&copy)
                    && let Some((_, to @ None)) = transfer.runs.last_mut()
                {
                    *to = Some(at.0);
                }
            }
            Note::Rule { .. }
            | Note::SendFailed { .. }
            | Note::Redirected { .. }
            | Note::VssFailed
            | Note::IntervalEnded { .. } => {}
        }
    }

    /// The next phase of a job, or its end.
    fn phase(&mut self, job: (HostId, JobId), at: (Instant, Place), next: Option<&'static str>) {
        let index = self.jobs.get(&job).copied();
        let Some(job) = index.and_then(|index| self.story.jobs.get_mut(index)) else { return };
        if let Some(last) = job.phases.last_mut() {
            last.to = at;
        }
        job.phases.extend(next.map(|what| Stretch { from: at, to: (at.0, Place::END), what }));
    }

    /// The host that a primary sends to: one that holds another copy of the machine.
    fn other(&self, copy: CopyId) -> HostId {
        let others = self.story.lanes.keys().filter(|c| c.vm == copy.vm && c.host != copy.host);
        let replica = others
            .clone()
            .find(|c| self.story.watch.seen(**c).is_some_and(|seen| seen.mode == Mode::Replica));
        replica.or_else(|| others.clone().next()).map_or(copy.host, |copy| copy.host)
    }

    /// The age of what the other side of a machine has, or of all machines. Between two records of a machine it grows
    /// evenly, so that its own are enough.
    fn age(&mut self, now: Instant, of: Option<VmId>) {
        let Self { axis, story, step, nth, age_at, .. } = self;
        story.watch.advance(now);
        let place = axis.place(*step, *nth, now);
        let cell = (place.time * POINTS / FULL, place.step * POINTS / FULL);
        let vms: Vec<VmId> = match of {
            Some(vm) => vec![vm],
            None => story.watch.replicated().collect(),
        };
        for vm in vms.into_iter().filter(|vm| !vm.is_test()) {
            let Some(rpo) = story.watch.rpo(vm) else { continue };
            let ages = story.ages.entry(vm).or_default();
            let same = age_at.insert(vm, cell) == Some(cell);
            if let [.., a, b] = ages.as_slice()
                && same
                && ((a.rpo <= b.rpo && b.rpo <= rpo) || (a.rpo >= b.rpo && b.rpo >= rpo))
            {
                // Of what one column of the screen holds, only the turns are seen.
                ages.pop();
            }
            ages.push(Age { place, rpo });
        }
    }

    fn end(mut self, end: Instant) -> Story {
        self.nth = u64::MAX - 1;
        self.age(end, None);
        let standing = self.standing();
        if let Some(last) = self.story.steps.last_mut() {
            last.end(end, &standing);
        }
        for lane in self.story.lanes.values_mut() {
            if let Some(last) = lane.last_mut() {
                last.to = (end, Place::END);
            }
        }
        let jobs = self.story.jobs.iter_mut().filter(|job| job.ended.is_none());
        for phase in jobs.filter_map(|job| job.phases.last_mut()) {
            phase.to = (end, Place::END);
        }
        for index in self.open.values() {
            if let Some(fault) = self.story.faults.get_mut(*index) {
                fault.to = (end, Place::END);
            }
        }
        self.story
    }
}

fn link(a: HostId, b: HostId) -> Broken {
    Broken::Link(a.min(b), a.max(b))
}
