//! Plants each fault, and tells which check finds it, after how long, and how short the trace is that shows it.
//! `cargo xtask canaries` builds and runs it; a folder as argument gets the traces as scenarios.
#![allow(clippy::print_stdout, reason = "telling is what it is for")]

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use hvrsim_check::act::Act;
use hvrsim_check::explore::explore;
use hvrsim_check::property::Violation;
use hvrsim_check::shrink::{Failing, shrink};
use hvrsim_check::space::{Bounds, space};
use hvrsim_check::trace;
use hvrsim_check::walk::{again, walk};
use hvrsim_sim::store::{Stamps, StoreResult};
use hvrsim_types::canary::{Canary, plant};

/// More walks are not tried for one fault.
const WALKS: u64 = 3_000;
/// Nor more situations of a space.
const SITUATIONS: usize = 60_000;
/// Nor more traces for the shortest one.
const TRACES: usize = 1_500;

enum Found {
    Twice,
    Walk(u64, Box<Failing>),
    Space(&'static str, Violation, usize),
}

fn find() -> StoreResult<Option<Found>> {
    if walk(1)?.digest != walk(1)?.digest {
        return Ok(Some(Found::Twice));
    }
    for seed in 0..WALKS {
        let walked = walk(seed)?;
        if let Some(violation) = walked.violation {
            let failing = Failing { shape: walked.shape, seed, acts: walked.acts, violation };
            return Ok(Some(Found::Walk(seed, Box::new(failing))));
        }
    }
    for name in ["resync", "begin", "failback"] {
        let Some(space) = space(name) else { continue };
        let bounds = Bounds { situations: SITUATIONS, ..(space.bounds)() };
        let found = explore((space.start)()?, &bounds, NonZeroUsize::MIN.saturating_add(1))?;
        if let Some((violation, acts)) = found.violations.into_iter().next() {
            return Ok(Some(Found::Space(space.name, violation, acts.len())));
        }
    }
    Ok(None)
}

/// The fewest acts of which a trace that fails in the same way can be made, of those that this one has, in any order and
/// number; `None` if that are too many traces to be tried.
fn fewest(short: &Failing) -> StoreResult<Option<usize>> {
    let all: Vec<Act> = short.acts.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut traces: Vec<Vec<Act>> = vec![Vec::new()];
    let mut tried = 0;
    for length in 0..short.acts.len() {
        for acts in &traces {
            tried += 1;
            if tried > TRACES {
                return Ok(None);
            }
            let (walked, _) = again(&short.shape, Stamps::default(), short.seed, acts)?;
            if walked.violation.is_some_and(|violation| violation.claim == short.violation.claim) {
                return Ok(Some(length));
            }
        }
        traces =
            traces.iter().flat_map(|acts| all.iter().map(move |act| [&acts[..], &[*act]].concat())).collect();
        if traces.len() > TRACES {
            return Ok(None);
        }
    }
    Ok(Some(short.acts.len()))
}

fn main() -> StoreResult<()> {
    std::panic::set_hook(Box::new(|_| {}));
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let mut missed = Vec::new();
    let (mut acts, mut least) = (0, 0);
    for canary in Canary::ALL {
        plant(Some(*canary));
        let begun = Instant::now();
        let found = find()?;
        let took = begun.elapsed().as_secs_f64();
        let name = canary.name();
        match found {
            None => {
                missed.push(name);
                println!("MISSED {name} ({took:.1} s)");
            }
            Some(Found::Twice) => {
                println!("{name}: two runs of one walk differ in their digest ({took:.1} s)")
            }
            Some(Found::Space(space, violation, length)) => {
                println!(
                    "{name}: exploration of `{space}`, claim `{}`, {length} steps ({took:.1} s)",
                    violation.claim
                );
            }
            Some(Found::Walk(seed, failing)) => {
                let (claim, before) = (failing.violation.claim, failing.acts.len());
                let short = shrink(*failing)?;
                let length = short.acts.len();
                let known = fewest(&short)?;
                if let Some(fewest) = known {
                    acts += length;
                    least += fewest;
                }
                let fewest = known.map_or("not known".to_owned(), |fewest| fewest.to_string());
                println!(
                    "{name}: walk {seed}, claim `{claim}` ({took:.1} s), shrunk from {before} acts to {length}, fewest {fewest}"
                );
                if let (Some(folder), Some(text)) = (&folder, trace::scenario(&short)?) {
                    std::fs::write(folder.join(format!("{name}.yaml")), text)
                        .expect("the folder can be written");
                }
            }
        }
    }
    plant(None);
    println!(
        "{} of {} found; where the fewest are known: {acts} acts, the fewest {least}",
        Canary::ALL.len() - missed.len(),
        Canary::ALL.len()
    );
    std::process::exit(i32::from(!missed.is_empty() || acts * 10 > least * 16));
}
