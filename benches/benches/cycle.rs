//! Replication cycles of one machine: a day of them at five minutes.

use criterion::{BatchSize, Criterion, Throughput};
use hvrsim_benches::pairs::Pairs;
use hvrsim_types::time::Span;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let pair = Pairs::replicated(1).expect("the workload is ready");
    let mut group = criterion.benchmark_group("cycle");
    group.throughput(Throughput::Elements(Span::DAY.as_seconds() / 300));
    group.bench_function("one pair, a day", |bench| {
        bench.iter_batched(
            || pair.clone(),
            |mut pair| {
                pair.pass(Span::DAY).expect("the workload comes to its end");
                pair
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
    criterion.final_summary();
}
