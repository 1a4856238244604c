//! Change logs that follow each other: rotated, read backward, applied forward; and all that makes them unusable.

use std::path::{Path, PathBuf};

use hvrsim_disk::file::{FileSystem, MemFs};
use hvrsim_disk::hrl::{HrlChain, HrlOptions, HrlReader, HrlWriter};
use hvrsim_disk::{CreateOptions, Error, ErrorKind, Guid, Image, OpenOptions, create_in, open_in};
use proptest::prelude::*;

use crate::support::{MIB, read_all, seed};

const SIZE: u64 = MIB;
const CONTENT: Guid = Guid::from_u128(9);

fn guid(value: u64) -> Guid {
    Guid::from_u128(u128::from(value))
}

fn path(number: u64) -> PathBuf {
    format!("/{number}.hrl").into()
}

type Write = (u64, Vec<u8>);

/// Logs of these writes, one for each list, rotated from one to the next; and their paths.
fn rotated(logs: &[Vec<Write>]) -> (MemFs, Vec<PathBuf>) {
    let fs = MemFs::new();
    let options =
        HrlOptions { unique_id: guid(1), previous_id: Guid::nil(), data_write_guid: CONTENT, created: 100 };
    let mut log = HrlWriter::create_in(&fs, &path(1), &options).unwrap();
    for (number, writes) in (2..).zip(logs) {
        for (offset, data) in writes {
            log.append(*offset, data, 101).unwrap();
        }
        let told = log.size();
        assert_eq!(log.rotate_in(&fs, &path(number), guid(number), CONTENT, 130).unwrap(), told);
    }
    // The last one is still open.
    let count = u64::try_from(logs.len()).unwrap();
    (fs, (1..=count).map(path).collect())
}

fn disk() -> (MemFs, Box<dyn Image>) {
    let fs = MemFs::new();
    let image = create_in(&fs, Path::new("/d.img"), &CreateOptions::raw(SIZE)).unwrap();
    (fs, image)
}

fn chain(fs: &MemFs, paths: &[PathBuf]) -> Result<HrlChain, Error> {
    HrlChain::open_in(fs, paths, Guid::nil())
}

fn three() -> (MemFs, Vec<PathBuf>) {
    let log = |byte: u8| vec![(0, vec![byte; 1024]), (u64::from(byte) * 512, vec![byte; 512])];
    rotated(&[log(1), log(2), log(3)])
}

#[test]
fn a_rotated_log_is_closed_and_named_by_the_next() {
    let (fs, paths) = three();
    for (number, path) in (1..).zip(&paths) {
        let log = HrlReader::open_in(&fs, path).unwrap();
        let info = log.info();
        assert_eq!((info.unique_id, info.previous_id), (guid(number), guid(number - 1)));
        assert_eq!((info.data_write_guid, info.modified, info.entries), (CONTENT, 130, 2));
        assert_eq!(info.created, if number == 1 { 100 } else { 130 });
    }
    assert_eq!(HrlReader::open_in(&fs, &path(4)).err().unwrap().kind(), ErrorKind::NotClosed);
}

#[test]
fn logs_are_applied_forward_in_the_order_of_their_writes() {
    let (fs, paths) = three();
    let (_, mut image) = disk();
    let logs = chain(&fs, &paths).unwrap();
    logs.check_disk(CONTENT).unwrap();
    assert_eq!(logs.apply(&mut *image).unwrap(), 6);
    // Each log wrote the first KiB; the first one then half of it over, the second one what lies behind.
    let mut want = vec![0; 1 << 20];
    want[..1024].fill(3);
    want[1024..1536].fill(2);
    want[1536..2048].fill(3);
    assert!(read_all(&*image) == want);
}

#[test]
fn a_gap_between_logs_is_found() {
    let (fs, paths) = three();
    let refused = chain(&fs, &[paths[0].clone(), paths[2].clone()]).err().unwrap();
    assert_eq!((refused.kind(), refused.path()), (ErrorKind::DiskMismatch, Some(paths[2].as_path())));
    assert!(refused.to_string().contains("PreviousUniqueId at offset 76"), "{refused}");
    // In the wrong order, without the first, and after another log than the one applied last.
    for paths in [[1, 0], [1, 2]].map(|order| order.map(|at: usize| paths[at].clone())) {
        assert_eq!(chain(&fs, &paths).err().unwrap().kind(), ErrorKind::DiskMismatch);
    }
    assert!(HrlChain::open_in(&fs, &paths[1..], guid(1)).is_ok());
    assert!(HrlChain::open_in(&fs, &paths[1..], guid(2)).is_err());
}

#[test]
fn a_log_that_was_not_closed_ends_a_chain() {
    let (fs, mut paths) = three();
    paths.push(path(4));
    let refused = chain(&fs, &paths).err().unwrap();
    assert_eq!((refused.kind(), refused.path()), (ErrorKind::NotClosed, Some(path(4).as_path())));
}

#[test]
fn a_swapped_disk_is_found_by_its_data_write_guid() {
    let fs = MemFs::new();
    let options = CreateOptions::vhdx(SIZE, seed(1));
    let mut image = create_in(&fs, Path::new("/d.vhdx"), &options).unwrap();
    image.write_at(0, &[1]).unwrap();
    image.close().unwrap();
    let guid_of = |name: &str| {
        open_in(&fs, Path::new(name), &OpenOptions::read_only()).unwrap().data_write_guid().unwrap()
    };
    let (logged, before) = (guid_of("/d.vhdx"), Guid::nil());
    let options = HrlOptions { unique_id: guid(1), previous_id: before, data_write_guid: logged, created: 1 };
    let mut log = HrlWriter::create_in(&fs, &path(1), &options).unwrap();
    log.append(0, &[2; 512], 2).unwrap();
    log.close(3).unwrap();
    let logs = chain(&fs, &[path(1)]).unwrap();
    logs.check_disk(guid_of("/d.vhdx")).unwrap();
    // Another disk, and the same one after a change that no log has.
    create_in(&fs, Path::new("/other.vhdx"), &CreateOptions::vhdx(SIZE, seed(2))).unwrap().close().unwrap();
    assert_eq!(logs.check_disk(guid_of("/other.vhdx")).unwrap_err().kind(), ErrorKind::DiskMismatch);
    let mut image = open_in(&fs, Path::new("/d.vhdx"), &OpenOptions::read_write(seed(3))).unwrap();
    image.write_at(0, &[3]).unwrap();
    image.close().unwrap();
    let refused = logs.check_disk(guid_of("/d.vhdx")).unwrap_err();
    assert_eq!((refused.kind(), refused.structure()), (ErrorKind::DiskMismatch, "Vhd2DataWriteGuid"));
}

#[test]
fn of_logs_with_a_bad_checksum_or_a_write_past_the_disk_nothing_is_applied() {
    let (fs, paths) = three();
    // The data of the last write of the last log: 4096 header, 4096 first block, 1024 bytes before it.
    fs.open(&paths[2], true).unwrap().write_at(8192 + 1024, &[9]).unwrap();
    let (_, mut image) = disk();
    let refused = chain(&fs, &paths).unwrap().apply(&mut *image).unwrap_err();
    assert_eq!((refused.kind(), refused.offset()), (ErrorKind::Corrupt, Some(9216)));
    assert!(read_all(&*image).iter().all(|byte| *byte == 0));

    let (fs, paths) = rotated(&[vec![(0, vec![1; 512])], vec![(SIZE - 1, vec![1; 2])]]);
    let refused = chain(&fs, &paths).unwrap().apply(&mut *image).unwrap_err();
    assert_eq!((refused.kind(), refused.path()), (ErrorKind::OutOfRange, Some(paths[1].as_path())));
    assert!(read_all(&*image).iter().all(|byte| *byte == 0));
}

#[test]
fn a_log_of_version_1_is_applied_and_tells_no_disk() {
    let (fs, paths) = three();
    let file = fs.open(&paths[0], true).unwrap();
    let mut header = vec![0; 4096];
    file.read_at(0, &mut header).unwrap();
    // Version, no DataWriteGuid, and the checksum anew.
    header[8..12].copy_from_slice(&0x0001_0000_u32.to_le_bytes());
    header[110..126].fill(0);
    header[40..44].fill(0);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[40..44].copy_from_slice(&(!sum).to_le_bytes());
    file.write_at(0, &header).unwrap();
    let logs = chain(&fs, &paths).unwrap();
    assert_eq!(logs.logs()[0].info().data_write_guid, Guid::nil());
    logs.check_disk(CONTENT).unwrap();
    assert_eq!(logs.check_disk(guid(1)).unwrap_err().path(), Some(paths[1].as_path()));
    let (_, mut image) = disk();
    assert_eq!(logs.apply(&mut *image).unwrap(), 6);
}

#[test]
fn a_rotation_onto_a_file_that_is_there_changes_nothing() {
    let (fs, paths) = three();
    let options =
        HrlOptions { unique_id: guid(7), previous_id: guid(3), data_write_guid: CONTENT, created: 100 };
    let mut log = HrlWriter::create_in(&fs, &path(7), &options).unwrap();
    log.append(0, &[1; 512], 101).unwrap();
    let refused = log.rotate_in(&fs, &paths[0], guid(8), CONTENT, 102).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Exists);
    log.append(512, &[2; 512], 103).unwrap();
    log.close(104).unwrap();
    let logs = HrlChain::open_in(&fs, &[paths[2].clone(), path(7)], guid(2)).unwrap();
    assert_eq!(logs.logs()[1].entries().count(), 2);
    assert_eq!(logs.logs()[0].entries().count(), 2, "the file in the way is as it was");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// A chain of logs of any writes makes of a copy what the writes made of the disk.
    #[test]
    fn any_writes_through_any_rotations(
        logs in prop::collection::vec(
            prop::collection::vec((0..SIZE - 5000, prop::collection::vec(any::<u8>(), 1..5000)), 0..30),
            1..5,
        ),
    ) {
        let (fs, paths) = rotated(&logs);
        let mut want = vec![0; 1 << 20];
        for (offset, data) in logs.iter().flatten() {
            let at = usize::try_from(*offset).unwrap();
            want[at..at + data.len()].copy_from_slice(data);
        }
        let (_, mut image) = disk();
        let count: usize = logs.iter().map(Vec::len).sum();
        prop_assert_eq!(chain(&fs, &paths).unwrap().apply(&mut *image).unwrap(), u64::try_from(count).unwrap());
        prop_assert!(read_all(&*image) == want);
    }
}
