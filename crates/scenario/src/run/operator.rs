//! Who works: one operator step by step, or several of `parallel` at once, interleaved by the seed. An operator is a
//! pile of tasks and what it waits for; while it waits, time passes and the others go on.

use std::collections::VecDeque;

use hvrsim_cmdlets::{Action as Planned, Call};
use hvrsim_sim::Look;
use hvrsim_sim::store::DiskStore;
use hvrsim_sim::trace::What;
use hvrsim_types::id::{CopyId, JobId};
use hvrsim_types::time::Instant;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::call::Called;
use super::{Done, Run};
use crate::model::step::{Condition, Repeat, Run as RunStep, Step, Until};

/// What an operator still has to do.
pub(super) enum Task<'a> {
    /// A step.
    Step(&'a Step),
    /// A step's end; when it began.
    Ended(&'a Step, Instant),
    /// Rounds that are left.
    Repeat(&'a Repeat, u64),
    /// A line of `run`.
    Line(&'a RunStep, usize),
    /// A line that has begun.
    UnderWay(Box<LineUnderWay<'a>>),
    /// Whether what was waited for has come.
    Came(&'a Until),
}

/// A line of `run` that has begun.
pub(super) struct LineUnderWay<'a> {
    pub(super) run: &'a RunStep,
    pub(super) index: usize,
    /// What is still to be done.
    pub(super) todo: VecDeque<Planned>,
    /// The cmdlet, if it could be bound.
    pub(super) call: Option<Call>,
    /// What became of the last call.
    pub(super) called: Called,
    /// The job that is waited for.
    pub(super) waiting: Option<(CopyId, JobId)>,
}

/// What an operator waits for.
pub(super) enum Wait<'a> {
    /// The end of the time.
    Time(Instant),
    /// A job's end.
    Job(CopyId, JobId, Instant),
    /// A condition.
    Until(&'a Until, Instant),
}

impl Wait<'_> {
    const fn limit(&self) -> Instant {
        match self {
            Self::Time(limit) | Self::Job(_, _, limit) | Self::Until(_, limit) => *limit,
        }
    }
}

/// An operator at work.
pub(super) struct Worker<'a> {
    /// Who, if there are several.
    pub(super) name: Option<&'a str>,
    /// The last task is the next.
    pub(super) tasks: Vec<Task<'a>>,
    pub(super) wait: Option<Wait<'a>>,
    /// The time of `wait` is over.
    expired: bool,
}

impl<'a> Worker<'a> {
    pub(super) fn new(name: Option<&'a str>, steps: &'a [Step]) -> Self {
        Self { name, tasks: steps.iter().rev().map(Task::Step).collect(), wait: None, expired: false }
    }
}

impl<D: DiskStore> Run<'_, D> {
    /// Lets operators work until all are through. `line` names the stream of their order.
    pub(super) fn work(&mut self, workers: &mut [Worker<'_>], line: u32) -> Done {
        let mut order = order(self.sim.world.seed, line, self.number);
        loop {
            let ready: Vec<usize> = (0..workers.len()).filter(|index| self.ready(&workers[*index])).collect();
            let next = match ready[..] {
                [] => None,
                [only] => Some(only),
                [..] => Some(ready[draw(&mut order, ready.len())]),
            };
            if let Some(index) = next {
                let worker = &mut workers[index];
                (worker.wait, worker.expired) = (None, false);
                self.task(worker)?;
                self.look()?;
                continue;
            }
            let Some(limit) = workers.iter().filter_map(|w| w.wait.as_ref().map(Wait::limit)).min() else {
                return Ok(());
            };
            if !self.event(limit)? {
                for worker in workers.iter_mut() {
                    worker.expired = worker.wait.as_ref().is_some_and(|wait| wait.limit() <= limit);
                }
            }
        }
    }

    fn ready(&self, worker: &Worker<'_>) -> bool {
        match &worker.wait {
            None => !worker.tasks.is_empty(),
            Some(_) if worker.expired => true,
            Some(Wait::Time(_)) => false,
            Some(Wait::Job(on, job, _)) => self.sim.job(on.host, *job).is_none_or(|job| job.state.ended()),
            Some(Wait::Until(until, _)) => self.holds(&until.condition),
        }
    }

    fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Copy(copy) => super::expect::copy(&self.sim, copy).is_empty(),
            Condition::Job(job) => super::expect::job(&self.sim, &self.jobs, job, true).is_empty(),
        }
    }

    /// The next task of an operator.
    fn task<'a>(&mut self, worker: &mut Worker<'a>) -> Done {
        match worker.tasks.pop() {
            None => Ok(()),
            Some(Task::Step(step)) => self.begin(worker, step),
            Some(Task::Ended(step, begun)) => self.end(step, begun),
            Some(Task::Repeat(repeat, left)) => {
                if left > 1 {
                    worker.tasks.push(Task::Repeat(repeat, left - 1));
                }
                worker.tasks.extend(repeat.steps.iter().rev().map(Task::Step));
                Ok(())
            }
            Some(Task::Line(run, index)) => self.line(worker, run, index),
            Some(Task::UnderWay(line)) => self.go_on(worker, line),
            Some(Task::Came(until)) => self.came(until),
        }
    }

    fn begin<'a>(&mut self, worker: &mut Worker<'a>, step: &'a Step) -> Done {
        self.number += 1;
        self.line = step.place.line;
        let words = self.scenario.words(step);
        let text = worker.name.map_or(words.clone(), |name| format!("{name}: {words}"));
        self.record(What::Step { number: self.number, line: step.place.line, text });
        worker.tasks.push(Task::Ended(step, self.sim.world.now));
        self.step(worker, step)
    }

    /// A step came out as written; whether it did in time.
    fn end(&mut self, step: &Step, begun: Instant) -> Done {
        if let Some(within) = &step.within {
            let took = self.sim.world.now - begun;
            let met = took <= within.value;
            let text = format!("within {}: took {took}", within.value);
            self.record(What::Expected { line: within.place.line, met, text });
            if !met {
                let message = format!("this took {took}, at most {} was allowed", within.value);
                return Err(self.wrong(within.place, message, None));
            }
        }
        self.tell();
        Ok(())
    }

    fn came(&mut self, until: &Until) -> Done {
        if self.holds(&until.condition) {
            return Ok(());
        }
        let found = match &until.condition {
            Condition::Copy(copy) => super::expect::copy(&self.sim, copy),
            Condition::Job(job) => super::expect::job(&self.sim, &self.jobs, job, true),
        };
        let found: Vec<String> = found.into_iter().map(|(_, text)| text).collect();
        let message = format!("not within {}: {}", until.timeout, found.join("; "));
        Err(self.wrong(until.place, message, None))
    }
}

/// The stream that decides who of several operators goes first; `number` tells rounds of a repetition apart.
fn order(seed: u64, line: u32, number: u32) -> ChaCha8Rng {
    let name = format!("hvrsim/parallel/{seed}/{line}/{number}");
    ChaCha8Rng::from_seed(*blake3::hash(name.as_bytes()).as_bytes())
}

/// A number below `count`; the unevenness of the remainder is of no account among a few operators.
fn draw(order: &mut ChaCha8Rng, count: usize) -> usize {
    let drawn = order.next_u64() % u64::try_from(count).unwrap_or(1);
    usize::try_from(drawn).unwrap_or(0)
}
