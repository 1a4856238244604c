//! A day of 1,000 replicated machines of 1 TiB each, initial replication included.

use std::time::Duration;

use criterion::{Criterion, Throughput};
use hvrsim_benches::is_trial;
use hvrsim_benches::pairs::{Pairs, PairsError};
use hvrsim_types::time::Span;

fn day(machines: u32) -> Result<u64, PairsError> {
    let mut pairs = Pairs::replicated(machines)?;
    pairs.pass(Span::DAY)?;
    Ok(pairs.figures.cycles)
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let machines: u32 = if is_trial() { 10 } else { 1000 };
    let mut group = criterion.benchmark_group("scale");
    group.sample_size(10).measurement_time(Duration::from_secs(60));
    group.throughput(Throughput::Elements(machines.into()));
    group.bench_function(format!("{machines} machines, a day"), |bench| {
        bench.iter(|| day(machines).expect("the workload comes to its end"));
    });
    group.finish();
    criterion.final_summary();
}
