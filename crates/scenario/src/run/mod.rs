//! Runs a scenario: builds its world, carries out its steps, holds its expectations against it.
//!
//! A run stops at the first step that does not come out as written. Everything that happens goes through the
//! trace; an [`Observer`] gets the records as they come.

mod expect;
mod setup;
mod step;

use std::collections::BTreeMap;
use std::path::PathBuf;

use hvrsim_sim::store::{DiskStore, StoreError};
use hvrsim_sim::trace::{Record, What};
use hvrsim_sim::{Look, Sim};
use hvrsim_types::id::{HostId, JobId, PointId};
use hvrsim_types::time::{Instant, Span};

use crate::diagnostic::Diagnostic;
use crate::model::Scenario;
use crate::model::step::{Action, Step};
use crate::source::Place;

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
    /// Names that `mark` gave to recovery points.
    pub(crate) marks: BTreeMap<String, PointId>,
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
    let sim = setup::world(scenario, options, store)?;
    let mut run = Run { scenario, sim, observer, jobs: BTreeMap::new(), marks: BTreeMap::new() };
    let failures = match run.all() {
        Ok(()) => Vec::new(),
        Err(Trouble::Wrong(failures)) => failures,
        Err(Trouble::Store(error)) => return Err(error.into()),
    };
    run.sim.settle()?;
    run.tell();
    let recorder = &run.sim.recorder;
    let ended =
        Ended { failures, digest: recorder.digest(), records: recorder.count(), at: run.sim.world.now };
    Ok((ended, run.sim))
}

impl<D: DiskStore> Run<'_, D> {
    fn all(&mut self) -> Done {
        self.prepare()?;
        let scenario = self.scenario;
        for (index, step) in scenario.steps.iter().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let text = step.name.clone().unwrap_or_else(|| self.words(step));
            self.record(What::Step { number, line: step.place.line, text });
            self.step(step)?;
            self.tell();
        }
        Ok(())
    }

    /// A step without a name is told by its own line, or by the several lines that it runs.
    fn words(&self, step: &Step) -> String {
        if let Action::Run(run) = &step.action
            && run.lines.len() > 1
        {
            let lines: Vec<&str> = run.lines.iter().map(|line| line.text.value.as_str()).collect();
            return format!("run: {}", lines.join("; "));
        }
        let line = self.scenario.source.text.lines().nth(step.place.line.saturating_sub(1) as usize);
        let words =
            line.map_or("", |line| line.trim().trim_start_matches("- ").trim_end_matches(['|', ':', ' ']));
        words.to_owned()
    }

    pub(crate) fn record(&mut self, what: What) {
        let now = self.sim.world.now;
        self.sim.recorder.push(now, None, None, what);
    }

    /// Hands new records to the observer.
    pub(crate) fn tell(&mut self) -> Vec<Record> {
        let records = self.sim.recorder.take();
        self.observer.records(&self.sim, &records, self.sim.world.now);
        records
    }

    pub(crate) fn wrong(&self, place: Place, message: impl Into<String>, help: Option<String>) -> Trouble {
        Trouble::Wrong(vec![Diagnostic::error(&self.scenario.source, place, message, help)])
    }

    /// Lets time pass up to `limit`, or until `done` says so. Tells whether it did.
    pub(crate) fn pass(&mut self, limit: Instant, done: &dyn Fn(&Sim<D>) -> bool) -> Done<bool> {
        let mut events = 0;
        loop {
            if done(&self.sim) {
                return Ok(true);
            }
            if !self.sim.step(limit)? {
                return Ok(done(&self.sim));
            }
            events += 1;
            if events == BREATH {
                events = 0;
                self.tell();
            }
        }
    }
}
