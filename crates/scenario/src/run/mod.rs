//! Runs a scenario: builds its world, carries out its steps, holds its expectations against it.
//!
//! A run stops at the first step that does not come out as written, or at the first moment that `never` forbids;
//! `cleanup` is carried out in any case. Everything that happens goes through the trace; an [`Observer`] gets the
//! records as they come.

mod call;
mod expect;
mod never;
mod operator;
mod setup;
mod step;

use std::collections::BTreeMap;
use std::path::PathBuf;

use hvrsim_replica::exchange::Note;
use hvrsim_sim::findings::{Findings, Found};
use hvrsim_sim::ledger::Loss;
use hvrsim_sim::store::{DiskStore, StoreError};
use hvrsim_sim::trace::{Record, What};
use hvrsim_sim::watch::Watch;
use hvrsim_sim::windows_log::{Entry, WindowsLog};
use hvrsim_sim::world::World;
use hvrsim_sim::{Look, Sim};
use hvrsim_types::id::{CopyId, HostId, JobId, PointId, VmId};
use hvrsim_types::state::Power;
use hvrsim_types::time::{Instant, Span};

use crate::diagnostic::Diagnostic;
use crate::model::Scenario;
use crate::source::Place;
use operator::Worker;

/// How long anything is waited for that gives no time-out of its own.
const PATIENCE: Span = Span(30 * Span::DAY.0);
/// So many events are carried out before an observer is asked again.
const BREATH: u32 = 4096;

/// What a run may be told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// In place of the scenario's seed.
    pub seed: Option<u64>,
    /// Images in place of machines' first disks, by machine name.
    pub disks: BTreeMap<String, PathBuf>,
    /// The folder that images in the scenario are relative to.
    pub folder: PathBuf,
}

/// Gets what happens while it happens.
pub trait Observer {
    /// New records, and the virtual time.
    fn records(&mut self, names: &dyn Look, records: &[Record], now: Instant);

    /// The world as it was built, and after each event and each call.
    fn look(&mut self, _world: &World) {}

    /// Whether the run should end here, as nobody wants to know more.
    fn stop(&self) -> bool {
        false
    }
}

/// Nobody looks.
impl Observer for () {
    fn records(&mut self, _: &dyn Look, _: &[Record], _: Instant) {}
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// What did not come out as written; empty if the run is green.
    pub failures: Vec<Diagnostic>,
    /// The digest of the trace.
    pub digest: String,
    /// Number of records.
    pub records: u64,
    /// The virtual time at the end.
    pub at: Instant,
    /// What there is to find at the end.
    pub findings: Vec<Found>,
    /// The Windows event logs of all hosts.
    pub windows: Vec<Entry>,
    /// What was ever written and is not on the copy that goes on, of each machine that lacks something.
    pub lost: Vec<(VmId, Vec<Loss>)>,
}

/// Why a run could not be carried out.
#[derive(Debug)]
pub enum Stopped {
    /// The store failed while the world was built or run; the place is that of the disk, if it is known.
    Store(StoreError, Option<Place>),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error, None)
    }
}

/// A step that did not come out as written.
pub(crate) enum Trouble {
    /// What is wrong.
    Wrong(Vec<Diagnostic>),
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

pub(crate) type Done<T = ()> = Result<T, Trouble>;

/// A run under way.
pub(crate) struct Run<'a, D> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) sim: Sim<D>,
    pub(crate) observer: &'a mut dyn Observer,
    /// Names that `as` gave to jobs.
    pub(crate) jobs: BTreeMap<String, (HostId, JobId)>,
    /// Names that `as` gave to what methods returned, by its paths.
    pub(crate) values: BTreeMap<String, Vec<(String, String)>>,
    /// Names that `mark` gave to recovery points.
    pub(crate) marks: BTreeMap<String, PointId>,
    /// What the records so far tell of protection.
    pub(crate) watch: Watch,
    /// What they tell of dangers and neglect.
    pub(crate) findings: Findings,
    /// What they leave in the hosts' Windows event logs.
    pub(crate) windows: WindowsLog,
    /// `never` is looked at: not before the first step, and not in `cleanup`.
    pub(crate) guarded: bool,
    /// Steps so far.
    pub(crate) number: u32,
    /// The line of the last of them.
    pub(crate) line: u32,
    /// Copies whose jobs somebody waits for, with the rules that they took since.
    pub(crate) rules: BTreeMap<CopyId, Vec<String>>,
    /// Events so far.
    pub(crate) events: u32,
    /// No more events than these are carried out.
    pub(crate) limit: Option<u32>,
}

/// A place in a run: so many steps of the file done, and of the next one what so many events bring.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Position {
    /// Steps that are done.
    pub steps: usize,
    /// Events since the start of the run, where a step is not done; `None` between two steps.
    pub events: Option<u32>,
}

/// How far a run came that was to stop at a position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reached {
    /// The position: the one that was asked for, or where the run could not go on.
    pub position: Position,
    /// Events so far.
    pub events: u32,
    /// As at the end of a run; the failures are those of the step at which it could not go on.
    pub ended: Ended,
}

/// Runs a scenario on a store. The store comes back with what it holds at the end.
///
/// # Errors
/// The store failed; what is wrong with the scenario's outcome is no error but in [`Ended`].
pub fn run<D: DiskStore>(
    scenario: &Scenario,
    options: &Options,
    store: D,
    observer: &mut dyn Observer,
) -> Result<(Ended, Sim<D>), Stopped> {
    let mut run = Run::new(scenario, options, store, observer)?;
    let mut failures = failures(run.all())?;
    failures.extend(self::failures(run.cleanup())?);
    run.sim.settle()?;
    run.sim.tell_all_choices();
    run.tell();
    Ok((run.ended(failures), run.sim))
}

/// Runs a scenario up to a position, without its `cleanup`. The same position is the same world, whatever way led to it.
///
/// # Errors
/// As [`run`].
pub fn run_to<D: DiskStore>(
    scenario: &Scenario,
    options: &Options,
    store: D,
    to: Position,
    observer: &mut dyn Observer,
) -> Result<(Reached, Sim<D>), Stopped> {
    let mut run = Run::new(scenario, options, store, observer)?;
    let mut position = Position::default();
    let mut failures = failures(run.first())?;
    while failures.is_empty() && position.steps < scenario.steps.len() && position < to {
        run.limit = to.events.filter(|_| position.steps == to.steps);
        let step = &scenario.steps[position.steps..=position.steps];
        let done = run.work(&mut [Worker::new(None, step)], 0);
        let cut = run.limit.take().is_some_and(|limit| run.events >= limit) && done.is_err();
        failures = self::failures(done)?;
        if cut {
            position.events = to.events;
            break;
        }
        if failures.is_empty() {
            position.steps += 1;
        }
    }
    run.tell();
    let reached = Reached { position, events: run.events, ended: run.ended(failures) };
    Ok((reached, run.sim))
}

/// What did not come out as written; a store's failure ends the run.
fn failures(done: Done) -> Result<Vec<Diagnostic>, StoreError> {
    match done {
        Ok(()) => Ok(Vec::new()),
        Err(Trouble::Wrong(failures)) => Ok(failures),
        Err(Trouble::Store(error)) => Err(error),
    }
}

impl<'a, D: DiskStore> Run<'a, D> {
    fn new(
        scenario: &'a Scenario,
        options: &Options,
        store: D,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, Stopped> {
        let sim = setup::world(scenario, options, store)?;
        let mut watch = Watch::default();
        for copy in sim.world.copies() {
            watch.place(copy, sim.world.machine(copy).map_or(Power::Off, |machine| machine.power));
        }
        Ok(Run {
            scenario,
            sim,
            observer,
            jobs: BTreeMap::new(),
            values: BTreeMap::new(),
            marks: BTreeMap::new(),
            watch,
            findings: Findings::default(),
            windows: WindowsLog::default(),
            guarded: false,
            number: 0,
            line: 0,
            rules: BTreeMap::new(),
            events: 0,
            limit: None,
        })
    }

    fn ended(&self, failures: Vec<Diagnostic>) -> Ended {
        let recorder = &self.sim.recorder;
        Ended {
            failures,
            digest: recorder.digest(),
            records: recorder.count(),
            at: self.sim.world.now,
            findings: self.findings.now(&self.sim, &self.watch),
            windows: self.windows.entries().to_vec(),
            lost: self.lost(),
        }
    }

    fn lost(&self) -> Vec<(VmId, Vec<Loss>)> {
        let vms = self.sim.vm_names().into_iter().filter_map(|name| self.sim.vm(&name));
        vms.map(|vm| (vm, self.sim.losses(vm))).filter(|(_, lost)| !lost.is_empty()).collect()
    }

    /// All that is done before the first step.
    fn first(&mut self) -> Done {
        self.observer.look(&self.sim.world);
        self.prepare()?;
        self.guarded = !self.scenario.never.is_empty();
        self.look()
    }

    fn all(&mut self) -> Done {
        self.first()?;
        let scenario = self.scenario;
        self.work(&mut [Worker::new(None, &scenario.steps)], 0)?;
        self.kept();
        Ok(())
    }

    /// Every step of `cleanup`, whatever became of the one before.
    fn cleanup(&mut self) -> Done {
        self.guarded = false;
        self.rules.clear();
        let scenario = self.scenario;
        let mut failures = Vec::new();
        for step in &scenario.cleanup {
            let mut worker = [Worker::new(Some("cleanup"), std::slice::from_ref(step))];
            failures.extend(self::failures(self.work(&mut worker, step.place.line))?);
        }
        if failures.is_empty() { Ok(()) } else { Err(Trouble::Wrong(failures)) }
    }

    pub(crate) fn record(&mut self, what: What) {
        let now = self.sim.world.now;
        self.sim.recorder.push(now, None, None, what);
    }

    /// Hands new records to the observer and to all who follow them.
    pub(crate) fn tell(&mut self) {
        self.observer.look(&self.sim.world);
        let records = self.sim.recorder.take();
        for record in &records {
            self.watch.take(record);
            self.findings.take(record);
            self.windows.take(record);
            if let (Some(host), Some(vm), What::Note(Note::Rule { rule, .. })) =
                (record.host, record.vm, &record.what)
                && let Some(rules) = self.rules.get_mut(&CopyId { host, vm })
            {
                rules.push(rule.clone());
            }
        }
        self.watch.advance(self.sim.world.now);
        self.observer.records(&self.sim, &records, self.sim.world.now);
    }

    pub(crate) fn wrong(&self, place: Place, message: impl Into<String>, help: Option<String>) -> Trouble {
        Trouble::Wrong(vec![Diagnostic::error(&self.scenario.source, place, message, help)])
    }

    /// The next event up to `limit`, or the time itself. Tells whether there was an event.
    pub(crate) fn event(&mut self, limit: Instant) -> Done<bool> {
        if self.limit.is_some_and(|limit| self.events >= limit) {
            return Err(Trouble::Wrong(Vec::new()));
        }
        // What must never be for longer is noticed when it is, not at some later event.
        let near = self.deadline().filter(|near| *near > self.sim.world.now && *near < limit);
        let there = self.sim.step(near.unwrap_or(limit))? || near.is_some();
        self.events = self.events.wrapping_add(1);
        self.observer.look(&self.sim.world);
        if self.guarded {
            self.look()?;
        } else if self.events.is_multiple_of(BREATH) {
            self.tell();
        }
        if self.observer.stop() {
            return Err(Trouble::Wrong(Vec::new()));
        }
        Ok(there)
    }

    /// Lets time pass up to `limit`, or until `done` says so. Tells whether it did.
    pub(crate) fn pass(&mut self, limit: Instant, done: &dyn Fn(&Sim<D>) -> bool) -> Done<bool> {
        loop {
            if done(&self.sim) {
                return Ok(true);
            }
            if !self.event(limit)? {
                return Ok(done(&self.sim));
            }
        }
    }
}
