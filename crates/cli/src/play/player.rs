//! What is played: a scenario, and where in it we are. Going back is running again to an earlier place: the same place
//! is the same world.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hvrsim_cmdlets::{Action, bind, parse, plan};
use hvrsim_report::names::Names;
use hvrsim_report::timeline::Timeline;
use hvrsim_scenario::run::{Observer, Options, Position, Reached, run_to};
use hvrsim_scenario::{Scenario, Source};
use hvrsim_sim::store::Stamps;
use hvrsim_sim::trace::{Record, refusal_text};
use hvrsim_sim::{Look, Sim};
use hvrsim_types::state::Power;
use hvrsim_types::time::Instant;

use super::edit;
use crate::input;

/// A scenario that is played.
pub(super) struct Player {
    file: PathBuf,
    params: BTreeMap<String, String>,
    seed: Option<u64>,
    pub(super) scenario: Scenario,
    pub(super) reached: Reached,
    pub(super) sim: Sim<Stamps>,
    pub(super) records: Vec<Record>,
    /// Steps in front of which a run halts.
    pub(super) breakpoints: BTreeSet<usize>,
}

/// Collects the records.
#[derive(Default)]
struct Collector(Vec<Record>);

impl Observer for Collector {
    fn records(&mut self, _: &dyn Look, records: &[Record], _: Instant) {
        self.0.extend_from_slice(records);
    }
}

fn run(
    scenario: &Scenario,
    seed: Option<u64>,
    to: Position,
) -> Result<(Reached, Sim<Stamps>, Vec<Record>), String> {
    let options = Options { seed, ..Options::default() };
    let mut collector = Collector::default();
    let (reached, sim) = run_to(scenario, &options, Stamps::default(), to, &mut collector)
        .map_err(|stopped| format!("the scenario cannot be played: {stopped:?}"))?;
    Ok((reached, sim, collector.0))
}

impl Player {
    /// At the start of the first step.
    pub(super) fn new(
        file: PathBuf,
        params: BTreeMap<String, String>,
        seed: Option<u64>,
        scenario: Scenario,
    ) -> Result<Self, String> {
        let (reached, sim, records) = run(&scenario, seed, Position::default())?;
        let breakpoints = BTreeSet::new();
        Ok(Self { file, params, seed, scenario, reached, sim, records, breakpoints })
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed.unwrap_or(self.scenario.seed)
    }

    pub(super) const fn steps(&self) -> usize {
        self.reached.position.steps
    }

    /// Why it cannot go on, if it cannot.
    pub(super) fn trouble(&self) -> Option<String> {
        let first = self.reached.ended.failures.first()?;
        Some(format!("line {}: {}", first.place.line, first.message))
    }

    /// Goes to a place, forwards or backwards.
    pub(super) fn go(&mut self, to: Position) -> Result<(), String> {
        let (reached, sim, records) = run(&self.scenario, self.seed, to)?;
        (self.reached, self.sim, self.records) = (reached, sim, records);
        Ok(())
    }

    pub(super) fn step_to(&mut self, steps: usize) -> Result<(), String> {
        self.go(Position { steps: steps.min(self.scenario.steps.len()), events: None })
    }

    /// The next event of the next step; a step without one is done.
    pub(super) fn event(&mut self) -> Result<(), String> {
        self.go(Position { steps: self.steps(), events: Some(self.reached.events + 1) })
    }

    /// Back by a step, or to the start of the one that is under way.
    pub(super) fn back(&mut self) -> Result<(), String> {
        let steps = self.steps();
        self.step_to(if self.reached.position.events.is_some() { steps } else { steps.saturating_sub(1) })
    }

    /// On to the next breakpoint, or to the end.
    pub(super) fn on(&mut self) -> Result<(), String> {
        let next = self.breakpoints.range(self.steps() + 1..).next().copied();
        self.step_to(next.unwrap_or(self.scenario.steps.len()))
    }

    /// Faults that this topology can have, as steps.
    pub(super) fn faults(&self) -> Vec<String> {
        let topology = &self.scenario.topology;
        let name = |host| topology.host(host).name.value.as_str();
        let mut all = Vec::new();
        for host in &topology.hosts {
            let host = host.name.value.as_str();
            let up = self.sim.host(host).is_some_and(|id| self.sim.host_is_up(id));
            let powers: &[&str] = if up { &["lost", "off"] } else { &["back"] };
            all.extend(powers.iter().map(|power| format!("fault: {{ host: {host}, power: {power} }}")));
        }
        for link in &topology.links {
            let (a, b) = (name(link.ends.0), name(link.ends.1));
            all.push(format!("fault: {{ link: {a}-{b}, cut: 10m }}"));
            all.push(format!("repair: {{ link: {a}-{b} }}"));
        }
        all.push("advance: 5m".to_owned());
        all.push("advance: 1h".to_owned());
        all
    }

    /// Puts a step in here, and does it.
    pub(super) fn inject(&mut self, step: &str) -> Result<(), String> {
        let at = self.steps();
        if self.reached.position.events.is_some() {
            return Err("a step is under way: finish it, or go back to its start".to_owned());
        }
        let text = edit::insert(&self.scenario, at, step)?;
        let source = Source::new(self.scenario.source.name.clone(), text);
        let checked = input::check(&source, &self.file, &self.params);
        let Some(scenario) = checked.scenarios.into_iter().next() else {
            let told = checked.diagnostics.first().map(|found| {
                let help = found.help.as_ref().map_or(String::new(), |help| format!("; {help}"));
                format!("{}{help}", found.message)
            });
            return Err(told.unwrap_or_else(|| "this is no step".to_owned()));
        };
        self.scenario = scenario;
        self.breakpoints = self.breakpoints.iter().map(|step| step + usize::from(*step >= at)).collect();
        self.step_to(at + 1)
    }

    /// What a cmdlet would be answered now, on a world beside this one.
    pub(super) fn why(&self, line: &str) -> String {
        // A host in front stands for -ComputerName.
        let (host, line) = match line.split_once(": ") {
            Some((host, rest)) if self.sim.host(host).is_some() => (Some(host), rest),
            _ => (None, line),
        };
        let bound = parse(line).map_err(|error| error.to_string());
        let bound = bound.and_then(|line| bind(&line).map_err(|error| error.message));
        let planned = bound.and_then(|call| plan(&call, host, &self.sim).map_err(|error| error.message));
        let actions = match planned {
            Ok(actions) => actions,
            Err(error) => return error,
        };
        let mut sim = self.sim.clone();
        let mut answers = Vec::new();
        for action in actions {
            let Action::Operate { on, operation, .. } = action else {
                answers.push("it only looks: yes".to_owned());
                continue;
            };
            let (host, vm) = (sim.host_name(on.host).to_owned(), sim.vm_name(on.vm).to_owned());
            if !sim.host_is_up(on.host) {
                return format!("{host} is down and does not answer");
            }
            let power = sim.copy(on).map_or(Power::Off, |view| view.power);
            match sim.operate(on, line, operation) {
                Err(error) => return error.to_string(),
                Ok(outcome) => answers.push(match &outcome.refusal {
                    Some(refusal) => refusal_text(line, refusal, &host, &vm, power),
                    None => {
                        let rule = outcome.rule.map_or(String::new(), |rule| format!(" by {rule}"));
                        format!("yes: {host} accepts it{rule}, code {}", outcome.code.0)
                    }
                }),
            }
        }
        answers.join("; ")
    }

    /// The last lines of the timeline.
    pub(super) fn timeline(&self) -> Vec<String> {
        let mut timeline = Timeline::new(Names::of(&self.sim));
        let text = timeline.lines(&self.records) + &timeline.rest();
        text.lines().map(str::to_owned).collect()
    }

    /// What was played, as a scenario that plays the same.
    pub(super) fn recorded(&self) -> Result<String, String> {
        let under_way = self.reached.position.events.is_some() || !self.reached.ended.failures.is_empty();
        match self.steps() + usize::from(under_way) {
            0 => Err("nothing was played".to_owned()),
            count => edit::cut(&self.scenario, count),
        }
    }
}
