//! Images in memory, what is written to them, and what has to be counted.

use std::path::Path;

use hvrsim_disk::file::FileSystem;
use hvrsim_disk::{
    ChildOptions, CreateOptions, Image, OpenOptions, Seed, create_child_in, create_in, open_in,
};
use hvrsim_resync::direct::Summary;
use proptest::prelude::*;

pub const CELL: u64 = 4096;
pub const BLOCK: u64 = 65_536;
/// Not a whole number of blocks, nor of cells.
pub const SIZE: u64 = (9 << 20) + 3 * CELL + 1536;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Raw,
    Vhdx,
    VhdxFixed,
    /// A differencing file over a parent that holds the first half of the writes.
    VhdxChild,
    Vhd,
    VhdFixed,
}

impl Kind {
    fn options(self) -> CreateOptions {
        let seed = Seed::new([1; 32]);
        match self {
            Self::Raw => CreateOptions::raw(SIZE),
            Self::Vhdx | Self::VhdxChild => CreateOptions::vhdx(SIZE, seed).block_size(1 << 20),
            Self::VhdxFixed => CreateOptions::vhdx(SIZE, seed).fixed(true),
            Self::Vhd => CreateOptions::vhd(SIZE, seed),
            Self::VhdFixed => CreateOptions::vhd(SIZE, seed).fixed(true),
        }
    }
}

/// What was once written to an image: (offset in cells, cells, value; 0 writes zeros, 255 trims).
pub type Writes = Vec<(u64, u64, u8)>;

pub fn make(fs: &dyn FileSystem, path: &str, kind: Kind, writes: &Writes) {
    let in_parent = if kind == Kind::VhdxChild { writes.len() / 2 } else { 0 };
    let mut image = if kind == Kind::VhdxChild {
        let parent = format!("{path}.parent");
        let mut image = create_in(fs, Path::new(&parent), &kind.options()).unwrap();
        write(&mut *image, &writes[..in_parent]);
        image.close().unwrap();
        let options = ChildOptions::new(Seed::new([2; 32]));
        create_child_in(fs, Path::new(&parent), Path::new(path), &options).unwrap()
    } else {
        create_in(fs, Path::new(path), &kind.options()).unwrap()
    };
    write(&mut *image, &writes[in_parent..]);
    image.close().unwrap();
}

fn write(image: &mut dyn Image, writes: &[(u64, u64, u8)]) {
    for &(cell, cells, value) in writes {
        let at = cell * CELL;
        let len = (cells * CELL).min(SIZE - at);
        if value == 255 {
            image.zero_at(at, len).unwrap();
        } else {
            image.write_at(at, &vec![value; len as usize]).unwrap();
        }
    }
}

pub fn content(fs: &dyn FileSystem, path: &str) -> Vec<u8> {
    let image = open_in(fs, Path::new(path), &OpenOptions::read_only()).unwrap();
    let mut out = vec![0; SIZE as usize];
    image.read_at(0, &mut out).unwrap();
    out
}

pub fn session() -> OpenOptions {
    OpenOptions::read_write(Seed::new([9; 32]))
}

/// Cells, most of them near each other, so that the two sides meet.
pub fn writes() -> impl Strategy<Value = Writes> {
    let cells = SIZE.div_ceil(CELL);
    let start = prop_oneof![0..64u64, 0..cells, (cells - 20)..cells];
    let one = (start, prop_oneof![1..4u64, 1..40u64, 200..600u64], prop_oneof![Just(0u8), Just(255), 1..4u8]);
    proptest::collection::vec(one, 0..12)
}

pub fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::Raw),
        3 => Just(Kind::Vhdx),
        1 => Just(Kind::VhdxFixed),
        2 => Just(Kind::VhdxChild),
        1 => Just(Kind::Vhd),
        1 => Just(Kind::VhdFixed),
    ]
}

/// What has to be counted, cell by cell and block by block.
pub fn oracle(source: &[u8], target: &[u8], looked_at: impl Fn(u64) -> bool) -> Summary {
    let holds = |part: &[u8]| part.iter().any(|byte| *byte != 0);
    let mut counts = Summary::default();
    for (number, (a, b)) in source.chunks(BLOCK as usize).zip(target.chunks(BLOCK as usize)).enumerate() {
        if !looked_at(number as u64) {
            continue;
        }
        if holds(a) && holds(b) {
            counts.compared_bytes += (a.len() as u64).next_multiple_of(CELL);
        }
        for (a, _) in a.chunks(CELL as usize).zip(b.chunks(CELL as usize)).filter(|(a, b)| a != b) {
            let count = if holds(a) { &mut counts.sent_bytes } else { &mut counts.zeroed_bytes };
            *count += CELL;
        }
    }
    counts
}
