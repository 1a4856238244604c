//! The largest disks: tables of which only parts are in memory.

use std::path::Path;

use hvrsim_disk::file::MemFs;
use hvrsim_disk::{CreateOptions, ExtentKind, Image, OpenOptions, create_in, open_in};

use crate::support::{DISK, MIB, read, seed};

const TIB: u64 = 1 << 40;
/// Blocks of 1 MiB, one in a page of the table: more pages than are kept.
const WRITES: u64 = 700;

/// Where a write goes: all over the first 64 TiB, in no order.
fn place(number: u64) -> u64 {
    number * 389 % WRITES * (64 * TIB / WRITES / MIB) * MIB + 4096
}

fn open(fs: &MemFs, options: &OpenOptions) -> Box<dyn Image> {
    open_in(fs, Path::new(DISK), options).unwrap()
}

fn check(image: &dyn Image, below: u64) {
    for number in 0..WRITES {
        let at = place(number);
        let want = if at < below { number.to_le_bytes() } else { [0; 8] };
        if at < image.size() {
            assert_eq!(read(image, at, 8), want, "write {number}");
        }
    }
    let there = (0..WRITES).filter(|number| place(*number) < below).count();
    let extents = image.extents(0..image.size()).unwrap();
    assert_eq!(extents.iter().filter(|extent| extent.kind == ExtentKind::Data).count(), there);
    assert_eq!(image.details().unwrap().present_blocks, u64::try_from(there).ok());
}

#[test]
fn a_disk_of_64_tib_keeps_what_is_written_all_over_it() {
    let fs = MemFs::new();
    let options = CreateOptions::vhdx(64 * TIB, seed(1)).block_size(MIB);
    let mut image = create_in(&fs, Path::new(DISK), &options).unwrap();
    for number in 0..WRITES {
        image.write_at(place(number), &number.to_le_bytes()).unwrap();
        if number % 100 == 0 {
            image.flush().unwrap();
        }
    }
    check(&*image, 64 * TIB);
    image.close().unwrap();
    check(&*open(&fs, &OpenOptions::read_only()), 64 * TIB);

    let mut image = open(&fs, &OpenOptions::read_write(seed(2)));
    image.resize(20 * TIB).unwrap();
    check(&*image, 20 * TIB);
    image.resize(64 * TIB).unwrap();
    check(&*image, 20 * TIB);
    image.close().unwrap();
    check(&*open(&fs, &OpenOptions::read_only()), 20 * TIB);
}

#[test]
fn a_table_that_moves_takes_all_its_pages_along() {
    let fs = MemFs::new();
    let options = CreateOptions::vhdx(8 * TIB, seed(1)).block_size(MIB);
    let mut image = create_in(&fs, Path::new(DISK), &options).unwrap();
    for number in (0..WRITES).filter(|number| place(*number) < 8 * TIB) {
        image.write_at(place(number), &number.to_le_bytes()).unwrap();
    }
    image.resize(64 * TIB).unwrap();
    check(&*image, 8 * TIB);
    image.close().unwrap();
    check(&*open(&fs, &OpenOptions::read_only()), 8 * TIB);
}

#[test]
fn a_fixed_disk_grows_by_more_blocks_than_are_kept() {
    let fs = MemFs::new();
    let options = CreateOptions::vhdx(TIB / 16, seed(1)).block_size(MIB).fixed(true);
    let mut image = create_in(&fs, Path::new(DISK), &options).unwrap();
    image.write_at(TIB / 16 - 512, &[1; 512]).unwrap();
    image.resize(TIB / 2).unwrap();
    image.write_at(TIB / 2 - 512, &[2; 512]).unwrap();
    image.close().unwrap();
    let image = open(&fs, &OpenOptions::read_only());
    assert_eq!(image.details().unwrap().present_blocks, Some(1 << 19));
    assert_eq!((read(&*image, TIB / 16 - 512, 1), read(&*image, TIB / 2 - 1, 1)), (vec![1], vec![2]));
    assert_eq!(read(&*image, TIB / 16, 512), [0; 512]);
}
