//! Thousands of quiet machines for a month, and one pair for ten years: prints what it takes and fails over the limits.
//!
//! `fleet [month [MACHINES [DAYS]] | growth [MACHINES] | years [YEARS]]`; without arguments, all three. Rates are
//! ratios to a plain loop of events that runs between the days, on the processor time that each had.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use hvrsim_benches::anchor::bare_xoshiro;
use hvrsim_benches::pairs::{Pairs, Workload};
use hvrsim_benches::process::{memory_kib, peak_kib, processor};
use hvrsim_types::time::Span;

/// Cycles a second against events a second of the anchor.
const RATIO: f64 = 0.02;
/// Bytes of a copy at rest without written extents.
const COPY_BYTES: u64 = 2 << 10;
/// The time for one machine among a hundred times as many.
const GROWTH: f64 = 1.5;
/// Ten idle years of one pair.
const YEARS: Duration = Duration::from_secs(5);
/// Events of the anchor in one measurement.
const ANCHOR_EVENTS: u64 = 4_000_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let part = arguments.next().unwrap_or_default();
    let numbers: Result<Vec<u32>, _> = arguments.map(|argument| argument.parse::<u32>()).collect();
    let Ok(numbers) = numbers else { return usage() };
    let number = |index: usize, otherwise: u32| numbers.get(index).copied().unwrap_or(otherwise);
    let result = match part.as_str() {
        "month" => month(number(0, 10_000), number(1, 30)),
        "growth" => growth(number(0, 1000)),
        "years" => years(number(0, 10)),
        "" => all(),
        _ => return usage(),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(3)
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: fleet [month [MACHINES [DAYS]] | growth [MACHINES] | years [YEARS]]");
    ExitCode::from(2)
}

fn all() -> Result<bool, String> {
    let parts = [month(10_000, 30)?, growth(1000)?, years(10)?];
    Ok(parts.iter().all(|met| *met))
}

/// Processor time of some work.
fn timed<T>(work: impl FnOnce() -> Result<T, String>) -> Result<(T, Duration), String> {
    let begun = processor()?;
    let done = work()?;
    Ok((done, processor()?.saturating_sub(begun)))
}

fn anchor_rate() -> Result<f64, String> {
    let (_, time) = timed(|| Ok(black_box(bare_xoshiro(black_box(ANCHOR_EVENTS)))))?;
    Ok(rate(ANCHOR_EVENTS, time))
}

#[expect(clippy::cast_precision_loss, reason = "a rate for a reader")]
fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(1e-9)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

fn told(met: bool, what: &str) -> bool {
    println!("{} {what}", if met { "met     " } else { "MISSED  " });
    met
}

fn month(machines: u32, days: u32) -> Result<bool, String> {
    println!("{machines} quiet machines at five minutes with hourly recovery points, {days} days");
    let empty = memory_kib()?;
    let mut pairs = Pairs::with(machines, Workload::IDLE).map_err(|error| error.to_string())?;
    let copy_bytes = (memory_kib()?.saturating_sub(empty) << 10) / (2 * u64::from(machines.max(1)));
    drop(pairs);
    pairs = Pairs::with(machines, Workload::QUIET).map_err(|error| error.to_string())?;
    let mut ratios = Vec::new();
    let (mut cycles, mut busy) = (0, Duration::ZERO);
    for _ in 0..days.max(1) {
        let anchor = anchor_rate()?;
        let before = pairs.figures.cycles;
        let ((), time) = timed(|| pairs.pass(Span::DAY).map_err(|error| error.to_string()))?;
        let of_day = pairs.figures.cycles - before;
        ratios.push(rate(of_day, time) / anchor);
        cycles += of_day;
        busy += time;
    }
    println!("  cycles            {cycles} in {busy:.1?} of a processor, {:.0} a second", rate(cycles, busy));
    println!("  events            {}", pairs.figures.events);
    println!("  recovery points   {}", pairs.figures.points);
    println!("  peak memory       {} MiB", peak_kib()? >> 10);
    println!("  digest            {}", &pairs.sim.recorder.digest()[..16]);
    let ratio = median(ratios);
    let fast =
        told(ratio >= RATIO, &format!("{ratio:.4} of the anchor in cycles a second a core, {RATIO} wanted"));
    let small = told(
        copy_bytes < COPY_BYTES,
        &format!("{copy_bytes} bytes a copy at rest, under {COPY_BYTES} wanted"),
    );
    Ok(fast && small)
}

/// Hours of machines, of ten times and of a hundred times as many: the same number of cycles each.
fn growth(machines: u32) -> Result<bool, String> {
    println!("growth, each with the same number of cycles");
    let mut costs = Vec::new();
    for (factor, hours) in [(1, 100), (10, 10), (100, 1)] {
        let fleet = machines * factor;
        let mut pairs = Pairs::with(fleet, Workload::QUIET).map_err(|error| error.to_string())?;
        let anchor = anchor_rate()?;
        let before = pairs.figures.cycles;
        let ((), time) = timed(|| pairs.pass(Span(hours * Span::HOUR.0)).map_err(|error| error.to_string()))?;
        let cost = anchor / rate(pairs.figures.cycles - before, time);
        println!(
            "  {fleet:7} machines  {cost:.0} events of the anchor a cycle, peak {} MiB",
            peak_kib()? >> 10
        );
        costs.push(cost);
    }
    let (least, most) = costs.iter().fold((f64::MAX, 0.0_f64), |(a, b), cost| (a.min(*cost), b.max(*cost)));
    let grown = most / least;
    Ok(told(
        grown <= GROWTH,
        &format!("{grown:.2} times between the cheapest and the dearest, {GROWTH} wanted"),
    ))
}

fn years(years: u32) -> Result<bool, String> {
    let mut pairs = Pairs::with(1, Workload::IDLE).map_err(|error| error.to_string())?;
    let span = Span(u64::from(years) * 365 * Span::DAY.0);
    let ((), time) = timed(|| pairs.pass(span).map_err(|error| error.to_string()))?;
    let what = format!(
        "{years} idle years of one pair, {} cycles, in {time:.2?}, {YEARS:?} wanted",
        pairs.figures.cycles
    );
    Ok(told(time < YEARS, &what))
}
