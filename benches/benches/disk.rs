//! Reads and writes of 4 KiB on a warm dynamic VHDX, beside a plain file with the same content.

use criterion::{BatchSize, Criterion, Throughput};
use hvrsim_benches::images::{self, MIB, Medium, Order, places};
use hvrsim_benches::is_trial;
use hvrsim_disk::{OpenOptions, create, open};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let size = if is_trial() { 4 * MIB } else { 256 * MIB };
    let folder = tempfile::tempdir().expect("a folder for files");
    let (vhdx, plain) = (folder.path().join("d.vhdx"), folder.path().join("d.raw"));
    let made = images::empty(&vhdx, size, 32 * MIB);
    let raw = create(&plain, &hvrsim_disk::CreateOptions::raw(size));
    for image in [made, raw] {
        let mut image = image.expect("room for an image");
        images::fill(&mut *image, MIB, true).expect("room for an image");
        image.close().expect("room for an image");
    }
    let count = size / 4096;
    let mut buf = vec![0; 4096];

    let mut group = criterion.benchmark_group("disk");
    group.sample_size(10).throughput(Throughput::Bytes(size));
    for order in [Order::Sequential, Order::Random] {
        let image = open(&vhdx, &OpenOptions::read_only()).expect("the image made above");
        let file = std::fs::File::open(&plain).expect("the file made above");
        for (name, medium) in [("VHDX", Medium::Image(image)), ("plain", Medium::Plain(file))] {
            group.bench_function(format!("read 4 KiB, {order:?}, {name}"), |bench| {
                bench.iter(|| medium.read(places(order, count, 4096), &mut buf).expect("it can be read"));
            });
        }
        let image = images::writable(&vhdx).expect("the image made above");
        let file = std::fs::File::options().write(true).open(&plain).expect("the file made above");
        for (name, mut medium) in [("VHDX", Medium::Image(image)), ("plain", Medium::Plain(file))] {
            group.bench_function(format!("write 4 KiB, {order:?}, {name}"), |bench| {
                bench.iter(|| medium.write(places(order, count, 4096), &buf).expect("it can be written"));
            });
            medium.flush().expect("it can be written");
        }
    }
    let blocks = if is_trial() { 4 } else { 1024 };
    group.throughput(Throughput::Elements(blocks));
    group.bench_function("write that allocates, and a flush", |bench| {
        let path = folder.path().join("new.vhdx");
        bench.iter_batched(
            || {
                // The first time there is none.
                let _ = std::fs::remove_file(&path);
                Medium::Image(images::empty(&path, blocks * MIB, MIB).expect("room for an image"))
            },
            |mut medium| {
                medium.write(places(Order::Random, blocks, MIB), &buf).expect("it can be written");
                medium.flush().expect("it can be written");
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    criterion.final_summary();
}
