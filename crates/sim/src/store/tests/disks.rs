//! Disks that are left out, made anew and resized: both stores do the same, and what is expected of them.

use super::*;

const MIB: u64 = 1 << 20;

fn write<S: DiskStore>(store: &mut S, at: usize, no: u64, disk: u8, offset: u64) {
    store.write(id(at), &Write { no: WriteNo(no), disk, offset, len: 3 * 4096 }).unwrap();
}

fn blank(size: u64, format: DiskFormat) -> DiskSpec {
    DiskSpec { size: Bytes(size), format, initial: Initial::Blank }
}

fn difference<S: DiskStore>(store: &S) -> Option<(u8, u64)> {
    let found = store.difference((id(0), View::Live), (id(1), View::Live)).unwrap();
    found.map(|found| (found.disk, found.offset))
}

fn bring<S: DiskStore>(store: &mut S, disks: DiskSet) -> ResyncCounts {
    let (session, candidates) = (SessionId(1), Candidates::Everything);
    let spec = ResyncSpec { source: id(0), view: View::Live, target: id(1), disks, candidates, full: false };
    store.resync_open(session, &spec).unwrap();
    while store.resync_next(session).unwrap().is_some() {
        store.resync_deliver(session).unwrap();
    }
    let counts = store.resync_counts(session);
    store.resync_close(session).unwrap();
    counts
}

/// Two copies of two disks, the second one left out; everything that a store counts on the way.
fn left_out<S: DiskStore>(store: &mut S, format: DiskFormat) -> Vec<u64> {
    let mut seen = Vec::new();
    let first = DiskSet::first(1);
    for at in 0..2 {
        store.create(id(at), &[blank(2 * MIB, format), blank(MIB, format)]).unwrap();
    }
    write(store, 0, 2, 0, 0);
    write(store, 0, 3, 1, 0);
    let counts = bring(store, first);
    assert_eq!((counts.sent_bytes, counts.blocks_total), (3 * 4096, 1));
    assert_eq!(difference(store), Some((1, 0)));

    store.log_choose(id(0), first).unwrap();
    store.log_start(id(0)).unwrap();
    write(store, 0, 4, 0, MIB);
    write(store, 0, 5, 1, 8 * 4096);
    assert!(store.log_blocks(id(0)).iter().all(|(disk, _)| *disk == 0));
    let stats = store.log_switch(id(0)).unwrap();
    // One disk's header, three cells, and the block that describes them.
    assert_eq!((stats.writes, stats.bytes), (1, 5 * 4096));
    store.log_deliver(id(0), id(1)).unwrap();
    store.log_drop_oldest(id(0)).unwrap();
    store.log_apply(id(1)).unwrap();
    assert_eq!(difference(store), Some((1, 0)));

    // A third disk, with a recovery point that has it blank.
    let point = PointId(1);
    store.point_take(id(0), point).unwrap();
    for at in 0..2 {
        store.disk_make(id(at), 2, &blank(MIB, format)).unwrap();
    }
    write(store, 0, 6, 2, 4096);
    assert!(!store.log_blocks(id(0)).iter().any(|(disk, _)| *disk == 2));
    seen.push(store.point_undo_bytes(id(0), point));
    let both: DiskSet = [0, 2].into_iter().collect();
    store.log_choose(id(0), both).unwrap();
    write(store, 0, 7, 2, 9 * 4096);
    write(store, 0, 8, 0, 4096);
    seen.push(bring(store, [2].into_iter().collect()).sent_bytes);
    seen.push(store.log_pending(id(0)));
    let stats = store.log_switch(id(0)).unwrap();
    assert_eq!((stats.writes, stats.bytes), (2, 10 * 4096));
    store.log_deliver(id(0), id(1)).unwrap();
    store.log_apply(id(1)).unwrap();
    store.log_drop_oldest(id(0)).unwrap();
    assert_eq!(difference(store), Some((1, 0)));

    // What the open log has of a disk that is taken out is dropped.
    write(store, 0, 9, 2, 0);
    write(store, 0, 10, 0, 0);
    store.log_choose(id(0), first).unwrap();
    assert!(store.log_blocks(id(0)).iter().all(|(disk, _)| *disk == 0));
    let stats = store.log_switch(id(0)).unwrap();
    assert_eq!((stats.writes, stats.bytes), (1, 5 * 4096));
    store.log_deliver(id(0), id(1)).unwrap();
    store.log_apply(id(1)).unwrap();
    store.log_drop_oldest(id(0)).unwrap();

    // Made anew, the disk is blank, and so it is at the point.
    store.disk_make(id(0), 1, &blank(MIB, format)).unwrap();
    assert_eq!(store.disk_end(id(0), 1), Bytes(0));
    assert_eq!(difference(store), Some((2, 0)));
    bring(store, DiskSet::ALL);
    assert_eq!(difference(store), None);
    store.point_rollback(id(0), point).unwrap();
    assert_eq!(store.disk_end(id(0), 2), Bytes(0));
    seen.push(store.present_bytes(id(0)));
    seen
}

/// A disk that grows and shrinks.
fn resized<S: DiskStore>(store: &mut S, format: DiskFormat) -> Vec<u64> {
    let mut seen = Vec::new();
    for at in 0..2 {
        store.create(id(at), &[blank(4 * MIB, format)]).unwrap();
    }
    store.log_start(id(0)).unwrap();
    write(store, 0, 2, 0, 0);
    store.disk_resize(id(0), 0, Bytes(6 * MIB)).unwrap();
    assert_eq!(store.sizes(id(0)), [Bytes(6 * MIB)]);
    store.log_switch(id(0)).unwrap();
    assert!(store.log_fits(id(0), id(1)).unwrap());
    store.log_deliver(id(0), id(1)).unwrap();
    store.log_apply(id(1)).unwrap();
    store.log_drop_oldest(id(0)).unwrap();
    write(store, 0, 3, 0, 5 * MIB);
    store.log_switch(id(0)).unwrap();
    assert!(!store.log_fits(id(0), id(1)).unwrap());
    store.disk_resize(id(1), 0, Bytes(6 * MIB)).unwrap();
    assert!(store.log_fits(id(0), id(1)).unwrap());
    store.log_deliver(id(0), id(1)).unwrap();
    store.log_apply(id(1)).unwrap();
    assert_eq!(difference(store), None);
    assert_eq!(store.disk_end(id(1), 0), Bytes(5 * MIB + 3 * 4096));

    // What was there at a point and lies behind the new end is gone with the shrink.
    let point = PointId(1);
    store.point_take(id(1), point).unwrap();
    write(store, 1, 4, 0, 5 * MIB);
    write(store, 1, 5, 0, 4096);
    seen.push(store.point_undo_bytes(id(1), point));
    for at in 0..2 {
        // Cells of zeros are none: the end moves back.
        store.disk_make(id(at), 0, &blank(6 * MIB, format)).unwrap();
    }
    write(store, 1, 6, 0, MIB);
    store.point_take(id(1), PointId(2)).unwrap();
    write(store, 1, 7, 0, MIB);
    write(store, 1, 8, 0, 2 * MIB);
    store.point_take(id(1), PointId(3)).unwrap();
    store.point_rollback(id(1), PointId(2)).unwrap();
    assert_eq!(store.disk_end(id(1), 0), Bytes(MIB + 3 * 4096));
    store.disk_resize(id(1), 0, Bytes(2 * MIB)).unwrap();
    seen.extend([store.present_bytes(id(1)), store.point_undo_bytes(id(1), point)]);
    write(store, 1, 9, 0, 2 * MIB - 3 * 4096);
    store.failover_create(id(1), View::Point(point)).unwrap();
    assert_eq!(store.present_bytes(id(1)), 0);
    store.failover_commit(id(1)).unwrap();
    seen.push(store.present_bytes(id(1)));
    seen
}

fn both_stores(
    run: impl Fn(&mut Stamps, DiskFormat) -> Vec<u64>,
    on: impl Fn(&mut Images, DiskFormat) -> Vec<u64>,
) {
    for format in [DiskFormat::Vhdx, DiskFormat::Raw] {
        let folder = tempfile::tempdir().unwrap();
        let mut images = files::store(folder.path());
        assert_eq!(on(&mut images, format), run(&mut Stamps::new(), format));
        images.finish().unwrap();
    }
}

#[test]
fn disks_can_be_left_out() {
    both_stores(left_out, left_out);
}

#[test]
fn disks_can_be_resized() {
    both_stores(resized, resized);
}
