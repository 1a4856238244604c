//! A day of 1,000 replicated machines of 1 TiB: prints what it takes and fails over the limits.
//!
//! `scale [MACHINES [HOURS]]`; the limits hold for the default, and for any smaller size.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hvrsim_benches::pairs::Pairs;
use hvrsim_benches::process::{peak_kib, processor};
use hvrsim_types::time::Span;

/// Wall time, of initial replication and the day together.
const WALL: Duration = Duration::from_secs(10);
/// Peak memory.
const MIB: u64 = 500;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<u32>());
    let (Ok(machines), Ok(hours)) = (numbers.next().unwrap_or(Ok(1000)), numbers.next().unwrap_or(Ok(24)))
    else {
        eprintln!("usage: scale [MACHINES [HOURS]]");
        return ExitCode::from(2);
    };
    match run(machines, hours.into()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(3)
        }
    }
}

fn run(machines: u32, hours: u64) -> Result<bool, String> {
    let begun = Instant::now();
    let mut pairs = Pairs::replicated(machines).map_err(|error| error.to_string())?;
    let prepared = begun.elapsed();
    let before = pairs.figures;
    let day = Instant::now();
    pairs.pass(Span(hours * Span::HOUR.0)).map_err(|error| error.to_string())?;
    let (wall, whole) = (day.elapsed(), begun.elapsed());
    let (peak, busy) = (peak_kib()?, processor()?);

    let events = pairs.figures.events - before.events;
    let cycles = pairs.figures.cycles - before.cycles;
    println!("machines             {machines}");
    println!("virtual hours        {hours}");
    println!("initial replication  {prepared:.2?}, {} events", before.events);
    println!("the time after it    {wall:.2?}");
    println!("wall time            {whole:.2?}, {busy:.2?} of it on a processor");
    println!("events               {events}, {} a second", rate(events, wall));
    println!("cycles               {cycles}, {} a second", rate(cycles, wall));
    println!("recovery points      {}", pairs.figures.points - before.points);
    println!("present              {} GiB", pairs.present_bytes() >> 30);
    println!("peak memory          {} MiB", peak >> 10);
    println!("digest               {}", &pairs.sim.recorder.digest()[..16]);

    let (fast, small) = (whole < WALL, peak >> 10 < MIB);
    for (met, what) in [(fast, format!("wall time, {WALL:?}")), (small, format!("memory, {MIB} MiB"))] {
        if !met {
            eprintln!("over the limit of {what}");
        }
    }
    Ok(fast && small)
}

fn rate(count: u64, wall: Duration) -> u128 {
    u128::from(count) * 1000 / wall.as_millis().max(1)
}
