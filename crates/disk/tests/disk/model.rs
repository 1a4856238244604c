//! Random changes against a plain vector of bytes.

use std::path::Path;

use hvrsim_disk::file::MemFs;
use hvrsim_disk::{ChildOptions, CreateOptions, Image, OpenOptions, present_cells};
use proptest::prelude::*;

use crate::support::{MIB, read_all, seed};

/// 5 blocks of 1 MiB and a bit of a sixth.
const SIZE: u64 = 5 * MIB + 7 * 512;

#[derive(Debug, Clone)]
enum Step {
    Write(u64, u64, u8),
    Zero(u64, u64),
    Flush,
    Reopen,
    /// Drop without closing: the next open has a log to replay.
    Crash,
}

fn range() -> impl Strategy<Value = (u64, u64)> {
    let start = prop_oneof![
        0..SIZE,
        (0..SIZE / 512).prop_map(|sector| sector * 512),
        (0..SIZE / MIB).prop_map(|block| block * MIB),
    ];
    let len = prop_oneof![1..2000_u64, Just(512), Just(MIB), Just(2 * MIB), 1..3 * MIB];
    (start, len).prop_map(|(start, len)| (start, len.min(SIZE - start)))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (range(), 1..=255_u8).prop_map(|((start, len), byte)| Step::Write(start, len, byte)),
        3 => range().prop_map(|(start, len)| Step::Zero(start, len)),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

fn index(range: (u64, u64)) -> std::ops::Range<usize> {
    usize::try_from(range.0).unwrap()..usize::try_from(range.0 + range.1).unwrap()
}

/// Applies the steps to the image at `path` and to the model, comparing as it goes.
fn run(fs: &MemFs, path: &str, model: &mut [u8], steps: &[Step]) {
    let path = Path::new(path);
    let open = || hvrsim_disk::open_in(fs, path, &OpenOptions::read_write(seed(9))).unwrap();
    let mut image = open();
    for step in steps {
        match *step {
            Step::Write(start, len, byte) => {
                // Not one byte over and over: a shifted copy must be seen.
                let data: Vec<u8> = (0..len).map(|at| byte ^ u8::try_from(at / 7 % 256).unwrap()).collect();
                image.write_at(start, &data).unwrap();
                model[index((start, len))].copy_from_slice(&data);
            }
            Step::Zero(start, len) => {
                image.zero_at(start, len).unwrap();
                model[index((start, len))].fill(0);
            }
            Step::Flush => image.flush().unwrap(),
            Step::Reopen => {
                image.close().unwrap();
                image = open();
            }
            Step::Crash => {
                image.flush().unwrap();
                drop(image);
                let read_only = hvrsim_disk::open_in(fs, path, &OpenOptions::read_only()).unwrap();
                assert!(read_all(&*read_only) == *model, "read-only replay");
                image = open();
            }
        }
    }
    check(&*image, model);
    image.close().unwrap();
    check(&*hvrsim_disk::open_in(fs, path, &OpenOptions::read_only()).unwrap(), model);
}

fn check(image: &dyn Image, model: &[u8]) {
    assert!(read_all(image) == model, "content differs");
    let cells: Vec<_> = present_cells(image, 4096).unwrap();
    let mut filled = vec![false; model.len().div_ceil(4096)];
    for cell in cells.iter().flat_map(|range| (range.start / 4096)..range.end.div_ceil(4096)) {
        filled[usize::try_from(cell).unwrap()] = true;
    }
    let want: Vec<bool> = model.chunks(4096).map(|cell| cell.iter().any(|byte| *byte != 0)).collect();
    assert_eq!(filled, want, "present cells");
    let mut at = 0;
    for extent in image.extents(0..image.size()).unwrap() {
        assert_eq!(extent.start, at, "extents have no gaps");
        at = extent.end();
    }
    assert_eq!(at, image.size());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn dynamic(
        steps in prop::collection::vec(step(), 1..25),
        sector in prop_oneof![Just(512_u32), Just(4096)],
    ) {
        let fs = MemFs::new();
        let size = SIZE.next_multiple_of(4096);
        let options = CreateOptions::vhdx(size, seed(1)).block_size(MIB).logical_sector(sector);
        hvrsim_disk::create_in(&fs, Path::new("/d.vhdx"), &options).unwrap().close().unwrap();
        run(&fs, "/d.vhdx", &mut vec![0; usize::try_from(size).unwrap()], &steps);
    }

    #[test]
    fn raw(steps in prop::collection::vec(step(), 1..25)) {
        let fs = MemFs::new();
        hvrsim_disk::create_in(&fs, Path::new("/d.img"), &CreateOptions::raw(SIZE)).unwrap().close().unwrap();
        run(&fs, "/d.img", &mut vec![0; usize::try_from(SIZE).unwrap()], &steps);
    }

    #[test]
    fn vhd(steps in prop::collection::vec(step(), 1..25), fixed: bool) {
        let fs = MemFs::new();
        let options = CreateOptions::vhd(SIZE, seed(1)).fixed(fixed);
        hvrsim_disk::create_in(&fs, Path::new("/d.vhd"), &options).unwrap().close().unwrap();
        run(&fs, "/d.vhd", &mut vec![0; usize::try_from(SIZE).unwrap()], &steps);
    }

    #[test]
    fn vhdx_fixed(steps in prop::collection::vec(step(), 1..25)) {
        let fs = MemFs::new();
        let options = CreateOptions::vhdx(SIZE, seed(1)).block_size(MIB).fixed(true);
        hvrsim_disk::create_in(&fs, Path::new("/d.vhdx"), &options).unwrap().close().unwrap();
        run(&fs, "/d.vhdx", &mut vec![0; usize::try_from(SIZE).unwrap()], &steps);
    }

    #[test]
    fn differencing(
        base in prop::collection::vec(step(), 1..12),
        middle in prop::collection::vec(step(), 0..12),
        top in prop::collection::vec(step(), 1..25),
        sector in prop_oneof![Just(512_u32), Just(4096)],
    ) {
        let fs = MemFs::new();
        let size = SIZE.next_multiple_of(4096);
        let mut model = vec![0; usize::try_from(size).unwrap()];
        let options = CreateOptions::vhdx(size, seed(1)).block_size(2 * MIB).logical_sector(sector);
        hvrsim_disk::create_in(&fs, Path::new("/base.vhdx"), &options).unwrap().close().unwrap();
        run(&fs, "/base.vhdx", &mut model, &base);
        let chain = [("/base.vhdx", "/mid.avhdx", &middle), ("/mid.avhdx", "/top.avhdx", &top)];
        for (parent, child, steps) in chain {
            let before = model.clone();
            let options = ChildOptions::new(seed(1)).block_size(MIB);
            let image =
                hvrsim_disk::create_child_in(&fs, Path::new(parent), Path::new(child), &options).unwrap();
            check(&*image, &model);
            image.close().unwrap();
            run(&fs, child, &mut model, steps);
            let parent = hvrsim_disk::open_in(&fs, Path::new(parent), &OpenOptions::read_only()).unwrap();
            assert!(read_all(&*parent) == before, "a child's writes reached its parent");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn vhd_differencing(
        base in prop::collection::vec(step(), 1..12),
        middle in prop::collection::vec(step(), 0..12),
        top in prop::collection::vec(step(), 1..25),
    ) {
        let fs = MemFs::new();
        let mut model = vec![0; usize::try_from(SIZE).unwrap()];
        let options = CreateOptions::vhd(SIZE, seed(1));
        hvrsim_disk::create_in(&fs, Path::new("/base.vhd"), &options).unwrap().close().unwrap();
        run(&fs, "/base.vhd", &mut model, &base);
        for (parent, child, steps) in [("/base.vhd", "/mid.avhd", &middle), ("/mid.avhd", "/top.avhd", &top)] {
            let options = ChildOptions::new(seed(1)).block_size(512 << 10);
            let image =
                hvrsim_disk::create_child_in(&fs, Path::new(parent), Path::new(child), &options).unwrap();
            check(&*image, &model);
            image.close().unwrap();
            run(&fs, child, &mut model, steps);
        }
    }
}
