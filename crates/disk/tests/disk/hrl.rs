//! Change logs: round trip, and every way in which a log is unusable.

use std::path::Path;

use hvrsim_disk::file::{BlockFile, FileSystem, MemFs};
use hvrsim_disk::hrl::{HrlOptions, HrlReader, HrlWriter};
use hvrsim_disk::{Error, ErrorKind, Guid};
use proptest::prelude::*;

const SIZE: u64 = 1 << 30;
const LOG: &str = "/d.hrl";

fn guid(value: u128) -> Guid {
    Guid::from_u128(value)
}

fn options() -> HrlOptions {
    HrlOptions { unique_id: guid(2), previous_id: guid(1), data_write_guid: guid(9), created: 820_000_000 }
}

/// A log with these (offset, data) writes, its size as told by the writer.
fn write(writes: &[(u64, Vec<u8>)]) -> (MemFs, u64) {
    let fs = MemFs::new();
    let mut log = HrlWriter::create_in(&fs, Path::new(LOG), &options()).unwrap();
    for (index, (offset, data)) in writes.iter().enumerate() {
        log.append(*offset, data, u32::try_from(index).unwrap()).unwrap();
    }
    let told = log.size();
    let closed = log.close(820_000_030).unwrap();
    assert_eq!(told, closed);
    (fs, closed)
}

fn open(fs: &MemFs) -> Result<HrlReader, Error> {
    HrlReader::open_in(fs, Path::new(LOG))
}

fn kind(result: Result<HrlReader, Error>) -> ErrorKind {
    result.err().expect("the log must be refused").kind()
}

fn file(fs: &MemFs) -> std::sync::Arc<dyn BlockFile> {
    fs.open(Path::new(LOG), true).unwrap()
}

fn flip(fs: &MemFs, at: u64) {
    let mut byte = [0];
    file(fs).read_at(at, &mut byte).unwrap();
    file(fs).write_at(at, &[byte[0] ^ 0x40]).unwrap();
}

/// Rewrites bytes of the header and its checksum.
fn patch_header(fs: &MemFs, at: u64, bytes: &[u8]) {
    let mut header = vec![0; 4096];
    file(fs).write_at(at, bytes).unwrap();
    file(fs).write_at(40, &[0; 4]).unwrap();
    file(fs).read_at(0, &mut header).unwrap();
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    file(fs).write_at(40, &(!sum).to_le_bytes()).unwrap();
}

fn some_writes(count: u64) -> Vec<(u64, Vec<u8>)> {
    (0..count).map(|n| (n * 4096 % 65_536, vec![u8::try_from(n % 250 + 1).unwrap(); 512])).collect()
}

#[test]
fn size_is_header_data_and_a_block_for_127_writes() {
    for (count, blocks) in [(0, 1), (1, 2), (127, 2), (128, 3), (254, 3), (255, 4)] {
        let (fs, size) = write(&some_writes(count));
        assert_eq!(size, 4096 + 4096 * blocks + 512 * count);
        let log = open(&fs).unwrap();
        assert_eq!(log.info().entries, count);
        let entries: Vec<_> =
            log.entries().map(Result::unwrap).map(|entry| (entry.offset, entry.data)).collect();
        assert_eq!(entries, some_writes(count));
    }
}

#[test]
fn header_says_whose_log_it_is() {
    let (fs, _) = write(&some_writes(3));
    let log = open(&fs).unwrap();
    assert_eq!((log.info().created, log.info().modified), (820_000_000, 820_000_030));
    log.check_disk(guid(9)).unwrap();
    log.check_follows(guid(1)).unwrap();
    assert_eq!(log.check_disk(guid(8)).unwrap_err().kind(), ErrorKind::DiskMismatch);
    assert_eq!(log.check_follows(guid(2)).unwrap_err().kind(), ErrorKind::DiskMismatch);
    assert_eq!(log.entries().map(|entry| entry.unwrap().time).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_log_that_was_not_closed_is_refused() {
    let fs = MemFs::new();
    let mut log = HrlWriter::create_in(&fs, Path::new(LOG), &options()).unwrap();
    log.append(0, &[1; 512], 0).unwrap();
    drop(log);
    assert_eq!(kind(open(&fs)), ErrorKind::NotClosed);
}

#[test]
fn a_log_with_an_error_code_is_refused() {
    let (fs, _) = write(&some_writes(3));
    patch_header(&fs, 52, &0xC03A_0021_u32.to_le_bytes());
    assert_eq!(kind(open(&fs)), ErrorKind::NotClosed);
}

#[test]
fn version_1_names_no_content_and_others_are_refused() {
    let (fs, _) = write(&some_writes(3));
    patch_header(&fs, 8, &0x0001_0000_u32.to_le_bytes());
    let log = open(&fs).unwrap();
    assert_eq!(log.info().data_write_guid, Guid::nil());
    log.check_disk(guid(99)).unwrap();
    assert_eq!(log.entries().count(), 3);
    patch_header(&fs, 8, &0x0003_0000_u32.to_le_bytes());
    assert_eq!(kind(open(&fs)), ErrorKind::Unsupported);
}

#[test]
fn damage_is_found() {
    // Header cookie and body; head and slots of the last block, distance; the first block.
    let (_, size) = write(&some_writes(3));
    for at in [0, 30, 3000, size - 4096, size - 4088, size - 4096 + 32, size - 4096 + 44, 4096] {
        let (fs, _) = write(&some_writes(3));
        flip(&fs, at);
        assert_eq!(kind(open(&fs)), ErrorKind::Corrupt, "byte {at}");
    }
}

#[test]
fn damaged_data_is_found_and_nothing_follows_it() {
    let (fs, _) = write(&some_writes(3));
    flip(&fs, 8192 + 512);
    let log = open(&fs).unwrap();
    let entries: Vec<_> = log.entries().collect();
    assert_eq!(entries.len(), 2);
    assert!(entries[0].is_ok());
    assert_eq!(entries[1].as_ref().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn ends_and_sizes_that_cannot_be_are_refused() {
    for (at, bytes, want) in [
        (44, 100_u64.to_le_bytes().to_vec(), ErrorKind::Corrupt),
        (44, (1_u64 << 40).to_le_bytes().to_vec(), ErrorKind::Truncated),
        (56, 0_u32.to_le_bytes().to_vec(), ErrorKind::Corrupt),
        (56, 500_u32.to_le_bytes().to_vec(), ErrorKind::Corrupt),
        (96, 7_u64.to_le_bytes().to_vec(), ErrorKind::Corrupt),
    ] {
        let (fs, _) = write(&some_writes(3));
        patch_header(&fs, at, &bytes);
        assert_eq!(kind(open(&fs)), want, "field {at}");
    }
    let (fs, size) = write(&some_writes(3));
    file(&fs).set_len(size - 1).unwrap();
    assert_eq!(kind(open(&fs)), ErrorKind::Truncated);
}

#[test]
fn a_write_past_every_disk_is_refused() {
    let mut log = HrlWriter::create_in(&MemFs::new(), Path::new(LOG), &options()).unwrap();
    assert_eq!(log.append(u64::MAX, &[0; 2], 0).unwrap_err().kind(), ErrorKind::OutOfRange);
    assert_eq!(log.entries(), 0);
}

fn any_write() -> impl Strategy<Value = (u64, Vec<u8>)> {
    (0..SIZE - 5000, prop::collection::vec(any::<u8>(), 1..5000))
}

proptest! {
    #[test]
    fn round_trip(writes in prop::collection::vec(any_write(), 0..400)) {
        let (fs, _) = write(&writes);
        let log = open(&fs).unwrap();
        let read: Vec<_> = log.entries().map(|entry| entry.map(|e| (e.offset, e.data)).unwrap()).collect();
        prop_assert!(read == writes);
    }
}
