//! What the simulator does in a second, in the groups in which other simulators and checkers are measured beside it:
//! lines `GROUP NAME FIGURE`, one thread each but for the sweep on two.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Instant;

use hvrsim_benches::pairs::{Pairs, PairsError};
use hvrsim_check::explore::{World0, acts, explore};
use hvrsim_check::property;
use hvrsim_check::small::Shape;
use hvrsim_check::space::Bounds;
use hvrsim_check::walk::walk;
use hvrsim_scenario::batch;
use hvrsim_sim::store::{Stamps, StoreResult};
use hvrsim_types::time::Span;

/// Transitions of a case.
const TRANSITIONS: usize = 50;
const CASES: u64 = 400;
const SITUATIONS: usize = 20_000;
const WALKS: u64 = 120;

fn main() -> Result<(), Box<dyn Error>> {
    say("events", "ours", events()?);
    say("net-idle", "ours", idle()?);
    say("cases", "ours", cases()?);
    say("states", "ours", states()?);
    say("walks", "ours", sweep(1));
    say("walks", "ours-2-threads", sweep(2));
    Ok(())
}

fn say(group: &str, name: &str, figure: u64) {
    println!("{group} {name} {figure}");
}

fn rate(count: u64, begun: Instant) -> u64 {
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1_000_000) / micros
}

/// Events of 64 machines that are written to and replicate every five minutes, each in the digest.
fn events() -> Result<u64, PairsError> {
    let mut pairs = Pairs::replicated(64)?;
    let before = pairs.figures.events;
    let begun = Instant::now();
    pairs.pass(Span(48 * Span::HOUR.0))?;
    Ok(rate(pairs.figures.events - before, begun))
}

/// Simulated seconds of a pair that has nothing to send.
fn idle() -> StoreResult<u64> {
    let mut sim = Shape::default().protected(0, Stamps::default())?;
    let span = Span(30 * Span::DAY.0);
    let begun = Instant::now();
    sim.advance(span)?;
    Ok(rate(span.as_seconds(), begun))
}

/// Cases of 50 transitions, drawn of all that could happen, with the claims after each.
fn cases() -> StoreResult<u64> {
    let start = Shape::default().protected(0, Stamps::default())?;
    let bounds = Bounds::runbooks();
    let begun = Instant::now();
    let mut draw = 1_u64;
    for _ in 0..CASES {
        let mut sim: World0 = start.clone();
        for _ in 0..TRANSITIONS {
            let all = acts(&sim.world, &bounds);
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = usize::try_from(draw >> 33).unwrap_or(0) % all.len().max(1);
            if let Some(act) = all.get(place) {
                act.perform(&mut sim)?;
            }
            assert_eq!(property::now(&sim.world), Ok(()), "the claims hold");
        }
    }
    Ok(rate(CASES, begun))
}

/// Steps of exploration: worlds made and looked up, all claims at each new situation.
fn states() -> StoreResult<u64> {
    let start = Shape::default().protected(0, Stamps::default())?;
    let bounds = Bounds { situations: SITUATIONS, ..Bounds::runbooks() };
    let begun = Instant::now();
    let found = explore(start, &bounds, NonZeroUsize::MIN)?;
    Ok(rate(found.steps() as u64, begun))
}

/// Random walks, on so many threads.
fn sweep(threads: usize) -> u64 {
    let seeds: Vec<u64> = (0..WALKS).collect();
    let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
    let begun = Instant::now();
    let held = |seed: &u64| walk(*seed).is_ok_and(|walked| walked.violation.is_none());
    batch::run(&seeds, threads, held, |seed, held| {
        assert!(held, "walk {seed}");
        ControlFlow::Continue(())
    });
    rate(WALKS, begun)
}
