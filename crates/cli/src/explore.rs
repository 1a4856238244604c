//! `hvrsim explore`: every situation of a small world, and the way out of one.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser};
use hvrsim_check::act::Told;
use hvrsim_check::explore::{Explored, Shown, World0, explore as visit, replay, way_out};
use hvrsim_check::situation::describe;
use hvrsim_check::space::{Bounds, SPACES, Space, space};
use hvrsim_check::{act, known};
use hvrsim_replica::table::rules;
use hvrsim_scenario::batch;
use hvrsim_sim::Look;
use hvrsim_sim::store::StoreError;
use hvrsim_types::state::{Mode, NamedState, Power};

use crate::Exit;
use crate::out::out;

/// Arguments of `explore`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What is tried; several, with commas between them, are visited one after the other
    #[arg(long, value_parser = spaces(), value_delimiter = ',', default_value = "runbooks")]
    space: Vec<String>,
    /// All rules must be taken or refuse something in these spaces, but for those with a reason
    #[arg(long, conflicts_with = "from")]
    sometimes: bool,
    /// Visit no more situations of each space than this; 0: all
    #[arg(long, value_name = "N")]
    situations: Option<usize>,
    /// How many threads; as many as there are cores if not given
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// A situation, for instance `HV1 Primary Suspended; HV2 Replica FailedOver, Running`
    #[arg(long, value_name = "SITUATION", requires = "to")]
    from: Option<String>,
    /// Where the way from there is to lead
    #[arg(long, value_enum, requires = "from")]
    to: Option<Goal>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Goal {
    Protected,
}

/// A way out is looked for among so many situations.
const WAY_OUT: usize = 50_000;

fn spaces() -> PossibleValuesParser {
    SPACES.iter().map(|space| PossibleValue::new(space.name).help(space.what)).into()
}

pub(crate) fn explore(arguments: &Arguments) -> Exit {
    let chosen: Vec<&Space> = arguments.space.iter().filter_map(|name| space(name)).collect();
    // What panics is a finding here; it is told as one.
    std::panic::set_hook(Box::new(|_| {}));
    let done = match &arguments.from {
        Some(text) => lead_out(arguments, &chosen, text),
        None => visit_all(arguments, &chosen),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        Exit::Environment
    })
}

fn bounds(arguments: &Arguments, space: &Space) -> Bounds {
    let bounds = (space.bounds)();
    Bounds { situations: arguments.situations.unwrap_or(bounds.situations), ..bounds }
}

fn threads(arguments: &Arguments) -> NonZeroUsize {
    arguments.threads.unwrap_or_else(batch::cores)
}

fn visit_all(arguments: &Arguments, chosen: &[&Space]) -> Result<Exit, StoreError> {
    let mut exit = Exit::Green;
    let mut taken = BTreeSet::new();
    for space in chosen {
        let start = (space.start)()?;
        let found = visit(start.clone(), &bounds(arguments, space), threads(arguments))?;
        exit = exit.max(tell(space, &start, &found)?);
        taken.extend(found.rules);
    }
    if arguments.sometimes {
        exit = exit.max(tell_rules(&taken));
    }
    Ok(exit)
}

fn tell(space: &Space, start: &World0, found: &Explored) -> Result<Exit, StoreError> {
    let more = if found.cut_short { ", and there are more" } else { "" };
    out(format!(
        "{}: {} situations, {} steps between them{more}; {} rules took part\n",
        space.name,
        found.situations(),
        found.steps(),
        found.rules.len()
    ));
    let mut exit = tell_violations(found, start)?;
    if found.cut_short {
        out("what leads back to protection can be told only when all are visited\n");
        return Ok(exit);
    }
    let dead = found.dead_ends(start, &[])?;
    let mut known_ends: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for end in &dead {
        if let Some(reason) = known::dead_end(&end.situation) {
            let known = known_ends.entry(reason).or_default();
            *known = (known.0 + end.count, known.1 + 1);
            continue;
        }
        exit = exit.max(Exit::Red);
        out(format!("RED  {}: no way back to protection ({} situations)\n", end.situation, end.count));
        out(ways(start, &end.acts)?);
    }
    for (reason, (situations, kinds)) in known_ends {
        out(format!("dead end, {situations} situations of {kinds} kinds: {reason}\n"));
    }
    if dead.is_empty() {
        out("from every situation operators lead back to protection\n");
    }
    Ok(exit)
}

/// Which rules were never taken, and why not.
fn tell_rules(taken: &BTreeSet<String>) -> Exit {
    let mut exit = Exit::Green;
    let never = rules().filter(|rule| !taken.contains(rule.id)).map(|rule| rule.id);
    let never: BTreeSet<&str> = never.collect();
    out(format!("{} rules of {} are taken\n", rules().count() - never.len(), rules().count()));
    for rule in never {
        match known::not_taken(rule) {
            Some(reason) => out(format!("{rule} is not: {reason}\n")),
            None => {
                exit = Exit::Red;
                out(format!("RED  {rule} is never taken\n"));
            }
        }
    }
    for (rule, _) in known::NOT_TAKEN.iter().filter(|(rule, _)| taken.contains(*rule)) {
        exit = Exit::Red;
        out(format!("RED  {rule} is taken, and on the list of rules that are not\n"));
    }
    exit
}

fn tell_violations(found: &Explored, start: &World0) -> Result<Exit, StoreError> {
    for (violation, acts) in &found.violations {
        out(format!("RED  {}: {}\n{}", violation.claim, violation.found, ways(start, acts)?));
    }
    Ok(if found.violations.is_empty() { Exit::Green } else { Exit::Red })
}

/// Acts, a line each.
fn ways(start: &World0, acts: &[act::Act]) -> Result<String, StoreError> {
    let mut sim = start.clone();
    let mut lines = String::new();
    for act in acts {
        lines.push_str(&format!("    {}\n", Told(&sim, *act)));
        if act::attempt(*act, &mut sim)?.is_err() {
            break;
        }
    }
    Ok(lines)
}

/// What copies are to show.
type Wanted = Vec<(u16, NamedState, Option<Power>)>;

/// Reads `HV1 Primary Suspended; HV2 Replica FailedOver, Running`.
fn wanted(text: &str, start: &World0) -> Result<Wanted, String> {
    let one = |part: &str| {
        let (state, power) = part.split_once(',').map_or((part, None), |(state, power)| (state, Some(power)));
        let (host, state) = state.trim().split_once(' ')?;
        let host = start.host(host)?;
        let (first, rest) = state.trim().split_once(' ').unwrap_or(("", state.trim()));
        let state = match Mode::parse(first) {
            Some(mode) => NamedState { mode: Some(mode), ..NamedState::parse(rest)? },
            None => NamedState::parse(state)?,
        };
        let power = match power.map(str::trim) {
            None => None,
            Some("Running") => Some(Power::Running),
            Some("Off") => Some(Power::Off),
            Some("Saved") => Some(Power::Saved),
            Some(_) => return None,
        };
        Some((host.0, state, power))
    };
    let example = "expected for instance `HV1 Primary Suspended; HV2 Replica FailedOver, Running`";
    let error = |part: &str| {
        format!("error: `{}` names no copy on HV1 or HV2 with its state; {example}\n", part.trim())
    };
    text.split(';').map(|part| one(part).ok_or_else(|| error(part))).collect()
}

fn shows(wanted: &Wanted, shown: &[Shown]) -> bool {
    wanted.iter().all(|(host, named, power)| {
        shown.iter().any(|(copy, mode, state, found)| {
            let mode_fits = named.mode.is_none_or(|wanted| wanted == *mode);
            copy.host.0 == *host
                && named.state == *state
                && mode_fits
                && power.is_none_or(|power| power == *found)
        })
    })
}

fn lead_out(arguments: &Arguments, chosen: &[&Space], text: &str) -> Result<Exit, StoreError> {
    let mut visited = 0;
    for space in chosen {
        let start = (space.start)()?;
        let wanted = match wanted(text, &start) {
            Ok(wanted) => wanted,
            Err(message) => {
                eprint!("{message}");
                return Ok(Exit::Input);
            }
        };
        let found = visit(start.clone(), &bounds(arguments, space), threads(arguments))?;
        let all: Vec<u32> = found.showing(|shown| shows(&wanted, shown)).collect();
        if let Some(first) = all.first() {
            let acts = found.way_to(*first);
            out(format!(
                "{} of {} situations show that; the nearest to the beginning is reached like this:\n",
                all.len(),
                found.situations()
            ));
            return tell_way_out(arguments, &start, &acts);
        }
        visited += found.situations();
    }
    eprintln!(
        "error: none of {visited} situations shows that; `--space all` visits more, `hvrsim explain STATE` tells what leads there"
    );
    Ok(Exit::Input)
}

fn tell_way_out(arguments: &Arguments, start: &World0, acts: &[act::Act]) -> Result<Exit, StoreError> {
    out(ways(start, acts)?);
    let world = replay(start, acts)?;
    out(format!("There: {}\n", describe(&world)));
    match way_out(&world, WAY_OUT, threads(arguments))? {
        Some(way) if way.is_empty() => out("The machine is protected there.\n"),
        Some(way) => {
            out("The shortest way to protection:\n");
            out(ways(&world, &way)?);
        }
        None => {
            out(format!("No way to protection was found among {WAY_OUT} situations.\n"));
            return Ok(Exit::Red);
        }
    }
    Ok(Exit::Green)
}
