//! One engine, three drivers: two images compared in memory, over a wire, and in a run folder, count the same.

use std::path::{Path, PathBuf};

use hvrsim_disk::{ChildOptions, CreateOptions, Image, OpenOptions, Seed, create, create_child, open};
use hvrsim_resync::Candidates;
use hvrsim_resync::direct::{Direct, Options, Summary};
use hvrsim_resync::wire::{End, SourceEnd, TargetEnd};
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::SessionId;
use hvrsim_types::size::Bytes;
use proptest::prelude::*;

use super::{files, id};
use crate::store::{DiskFormat, DiskSpec, DiskStore, Initial, ResyncSpec, View};

const CELL: u64 = 4096;
/// Two of the longest pieces and more; the last cell is cut.
const SIZE: u64 = (5 << 20) + 3 * CELL + 1536;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Raw,
    Vhdx,
    VhdxFixed,
    VhdxChild,
    Vhd,
    VhdFixed,
}

/// (cell, cells, value; 0 writes zeros, 255 trims)
type Writes = Vec<(u64, u64, u8)>;

fn kind() -> impl Strategy<Value = Kind> {
    use Kind::{Raw, Vhd, VhdFixed, Vhdx, VhdxChild, VhdxFixed};
    prop::sample::select(vec![Raw, Vhdx, VhdxFixed, VhdxChild, Vhd, VhdFixed])
}

fn writes() -> impl Strategy<Value = Writes> {
    let cells = SIZE.div_ceil(CELL);
    let start = prop_oneof![0..64u64, 0..cells, cells - 20..cells];
    let value = prop_oneof![Just(0u8), Just(255), 1..4u8];
    prop::collection::vec((start, prop_oneof![1..4u64, 1..40u64, 200..600u64], value), 0..8)
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

/// Makes an image; half of what a differencing file shows stands in its parent.
fn make(folder: &Path, name: &str, kind: Kind, writes: &[(u64, u64, u8)]) -> PathBuf {
    let seed = Seed::new([1; 32]);
    let (extension, options) = match kind {
        Kind::Raw => ("raw", CreateOptions::raw(SIZE)),
        Kind::Vhdx | Kind::VhdxChild => ("vhdx", CreateOptions::vhdx(SIZE, seed).block_size(1 << 20)),
        Kind::VhdxFixed => ("vhdx", CreateOptions::vhdx(SIZE, seed).fixed(true)),
        Kind::Vhd => ("vhd", CreateOptions::vhd(SIZE, seed)),
        Kind::VhdFixed => ("vhd", CreateOptions::vhd(SIZE, seed).fixed(true)),
    };
    let path = folder.join(format!("{name}.{extension}"));
    let mut image = create(&path, &options).unwrap();
    if kind != Kind::VhdxChild {
        write(&mut *image, writes);
        image.close().unwrap();
        return path;
    }
    let (below, above) = writes.split_at(writes.len() / 2);
    write(&mut *image, below);
    image.close().unwrap();
    let child = folder.join(format!("{name}.avhdx"));
    let mut image = create_child(&path, &child, &ChildOptions::new(Seed::new([2; 32]))).unwrap();
    write(&mut *image, above);
    image.close().unwrap();
    child
}

/// What there is to count, without looking at how an image lies on its host.
fn counts(summary: &Summary) -> [u64; 3] {
    [summary.compared_bytes, summary.sent_bytes, summary.zeroed_bytes]
}

fn direct(source: &Path, target: &Path) -> Summary {
    let source = open(source, &OpenOptions::read_only()).unwrap();
    let mut target = open(target, &OpenOptions::read_only()).unwrap();
    let options = Options { dry_run: true, ..Options::default() };
    let pair = Direct::new(&*source, &mut *target, options, &()).unwrap();
    pair.work().unwrap();
    pair.finish().unwrap().summary
}

fn wire(source: &Path, target: &Path) -> Summary {
    let source = open(source, &OpenOptions::read_only()).unwrap();
    let mut target = open(target, &OpenOptions::read_write(Seed::new([3; 32]))).unwrap();
    let mut here = SourceEnd::new(&*source, None, [4; 32], [0; 32]);
    let mut there = TargetEnd::new(&mut *target, [4; 32], Box::new(|_, _| Ok(None)));
    while here.finished().is_none() {
        while let Some(frame) = here.next().unwrap() {
            there.handle(frame).unwrap();
        }
        here.handle(there.next().unwrap().expect("the ends come to an end")).unwrap();
    }
    drop(there);
    target.close().unwrap();
    here.finished().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn three_drivers_count_the_same(
        kinds in (kind(), kind()), shared in writes(), a in writes(), b in writes(), raw: (bool, bool),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let source = make(folder.path(), "a", kinds.0, &[&shared[..], &a].concat());
        let target = make(folder.path(), "b", kinds.1, &[&shared[..], &b].concat());

        let run = folder.path().join("run");
        let mut store = files::store(&run);
        let spec = |path: &Path, raw| DiskSpec {
            size: Bytes(SIZE),
            format: if raw { DiskFormat::Raw } else { DiskFormat::Vhdx },
            initial: Initial::Given(path.to_owned()),
        };
        store.create(id(0), &[spec(&source, raw.0)]).unwrap();
        store.create(id(1), &[spec(&target, raw.1)]).unwrap();
        let session = SessionId(1);
        let (from, to) = (id(0), id(1));
        let asked = ResyncSpec {
            source: from, view: View::Live, target: to, disks: DiskSet::ALL, candidates: Candidates::Everything, full: false,
        };
        store.resync_open(session, &asked).unwrap();
        while store.resync_next(session).unwrap().is_some() {
            store.resync_deliver(session).unwrap();
        }
        let simulated = store.resync_counts(session);
        prop_assert_eq!(store.difference((from, View::Live), (to, View::Live)).unwrap(), None);
        store.finish().unwrap();

        let in_memory = direct(&source, &target);
        let over_a_wire = wire(&source, &target);
        prop_assert_eq!(counts(&in_memory), counts(&over_a_wire));
        let simulated = [simulated.compared_bytes, simulated.sent_bytes, simulated.zeroed_bytes];
        prop_assert_eq!(counts(&in_memory), simulated);
        prop_assert!(direct(&source, &target).was_equal());
    }
}
