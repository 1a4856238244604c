//! The engine of `hvrsim resync` between two images in memory of which a twentieth differs.

use criterion::{BatchSize, Criterion, Throughput};
use hvrsim_benches::{disks, is_trial};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let size: u64 = if is_trial() { 8 << 20 } else { 64 << 20 };
    let mut group = criterion.benchmark_group("resync");
    group.sample_size(10).throughput(Throughput::Bytes(size));
    group.bench_function(format!("{} MiB", size >> 20), |bench| {
        bench.iter_batched(
            || disks::differing(size).expect("images in memory"),
            |two| disks::resync(two).expect("the images work"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
    criterion.final_summary();
}
