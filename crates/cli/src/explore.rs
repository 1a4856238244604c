//! `hvrsim explore`: every situation of a small world, and the way out of one.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use hvrsim_check::act::Told;
use hvrsim_check::explore::{Bounds, Explored, Shown, World0, explore as visit, replay, way_out};
use hvrsim_check::situation::describe;
use hvrsim_check::small::Shape;
use hvrsim_check::{act, known};
use hvrsim_scenario::batch;
use hvrsim_sim::Look;
use hvrsim_sim::store::{Stamps, StoreError};
use hvrsim_types::state::{Mode, NamedState, Power};

use crate::Exit;
use crate::out::out;

/// Arguments of `explore`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What is tried
    #[arg(long, value_enum, default_value = "runbooks")]
    space: Space,
    /// Visit no more situations than this
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
enum Space {
    /// Planned and unplanned failover, and the way back by reversing
    Runbooks,
    /// Pauses and resynchronizations
    Resync,
    /// Unplanned failover, and the failback of a recovery point
    Failback,
    /// Failover and the way back while the link is cut and hosts lose power
    Faults,
    /// Every call and every fault: more than can be visited, use it with --situations
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Goal {
    Protected,
}

/// A way out is looked for among so many situations.
const WAY_OUT: usize = 50_000;

pub(crate) fn explore(arguments: &Arguments) -> Exit {
    let told = started(arguments).map_err(|error| format!("error: {error}\n"));
    match told.and_then(|start| {
        let wanted = arguments.from.as_deref().map(|text| wanted(text, &start)).transpose()?;
        Ok((start, wanted))
    }) {
        Ok((start, wanted)) => {
            // What panics is a finding here; it is told as one.
            std::panic::set_hook(Box::new(|_| {}));
            let done = match wanted {
                Some(wanted) => lead_out(arguments, &start, &wanted),
                None => visit_all(arguments, &start),
            };
            done.unwrap_or_else(|error| {
                eprintln!("error: {error}");
                Exit::Environment
            })
        }
        Err(message) => {
            eprint!("{message}");
            Exit::Input
        }
    }
}

fn started(_: &Arguments) -> Result<World0, StoreError> {
    Shape::default().protected(0, Stamps::default())
}

fn bounds(arguments: &Arguments) -> Bounds {
    let bounds = match arguments.space {
        Space::Runbooks => Bounds::runbooks(),
        Space::Resync => Bounds::resync(),
        Space::Failback => Bounds::failback(),
        Space::Faults => Bounds::faults(),
        Space::All => Bounds::all(),
    };
    Bounds { situations: arguments.situations.unwrap_or(0), ..bounds }
}

fn threads(arguments: &Arguments) -> NonZeroUsize {
    arguments.threads.unwrap_or_else(batch::cores)
}

fn visit_all(arguments: &Arguments, start: &World0) -> Result<Exit, StoreError> {
    let found = visit(start.clone(), &bounds(arguments), threads(arguments))?;
    let more = if found.cut_short { ", and there are more" } else { "" };
    out(format!("{} situations, {} steps between them{more}\n", found.situations(), found.steps()));
    out(format!("{} rules took part\n", found.rules.len()));
    let mut exit = tell_violations(&found, start)?;
    if found.cut_short {
        out("what leads back to protection can be told only when all are visited\n");
        return Ok(exit);
    }
    let dead = found.dead_ends(start, &[])?;
    for end in &dead {
        let reason = known::dead_end(&end.situation);
        let text = reason.unwrap_or("no way back to protection");
        out(format!("{}: {} ({} situations)\n", end.situation, text, end.count));
        if reason.is_none() {
            exit = exit.max(Exit::Red);
            out(ways(start, &end.acts)?);
        }
    }
    if dead.is_empty() {
        out("from every situation operators lead back to protection\n");
    }
    Ok(exit)
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

fn lead_out(arguments: &Arguments, start: &World0, wanted: &Wanted) -> Result<Exit, StoreError> {
    let found = visit(start.clone(), &bounds(arguments), threads(arguments))?;
    let all: Vec<u32> = found.showing(|shown| shows(wanted, shown)).collect();
    let Some(first) = all.first() else {
        eprintln!(
            "error: none of {} situations shows that; `--space all` visits more, `hvrsim explain STATE` tells what leads there",
            found.situations()
        );
        return Ok(Exit::Input);
    };
    let acts = found.way_to(*first);
    let world = replay(start, &acts)?;
    out(format!(
        "{} of {} situations show that; the nearest to a protected machine is reached like this:\n",
        all.len(),
        found.situations()
    ));
    out(ways(start, &acts)?);
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
