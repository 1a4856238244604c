//! The conformance set: files made by hand from the published formats, each read as the table says.
#![allow(clippy::unwrap_used, reason = "tests")]

mod set;
mod third_party;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use hvrsim_disk::file::{FileSystem, MemFs};
use hvrsim_disk::hrl::HrlReader;
use hvrsim_disk::{Image, OpenOptions, Seed, open_in};

use set::MIB;

fn all_files() -> MemFs {
    let fs = MemFs::new();
    for (name, file) in set::files() {
        fs.insert(Path::new("/").join(name), Arc::new(file));
    }
    fs
}

fn open(fs: &MemFs, name: &str) -> Box<dyn Image> {
    open_in(fs, &Path::new("/").join(name), &OpenOptions::read_only()).unwrap()
}

fn read(image: &dyn Image, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xEE; len];
    image.read_at(at, &mut bytes).unwrap();
    bytes
}

#[test]
fn every_file_is_in_the_table_and_reads_as_it_says() {
    let made: BTreeSet<&str> = set::files().iter().map(|(name, _)| *name).collect();
    let listed: BTreeSet<&str> = set::expected().map(|(name, _)| name).collect();
    assert_eq!(made, listed);
    let fs = all_files();
    for (name, wanted) in set::expected() {
        let found = set::reading(&fs, Path::new("/"), name);
        assert!(set::fits(&found, wanted), "{name}: read {found}, wanted {wanted}");
    }
}

#[test]
fn reading_changes_no_file() {
    let fs = all_files();
    let bytes = |name: &str| {
        let file = fs.open(&Path::new("/").join(name), false).unwrap();
        let mut all = vec![0; usize::try_from(file.len().unwrap().min(8 * MIB)).unwrap()];
        file.read_at(0, &mut all).unwrap();
        (file.len().unwrap(), all)
    };
    for (name, _) in set::expected() {
        let before = bytes(name);
        set::reading(&fs, Path::new("/"), name);
        assert!(bytes(name) == before, "{name}");
    }
}

/// A dirty log replayed into the file gives what the replay into memory gave; a file that is refused for
/// reading is refused for writing and stays as it is.
#[test]
fn writers_see_what_readers_see() {
    for (name, wanted) in set::expected().filter(|(name, _)| !name.ends_with(".hrl")) {
        let fs = all_files();
        let path = Path::new("/").join(name);
        // Some of them stand over others beside them.
        let options = OpenOptions::read_write(Seed::new([1; 32])).under_children();
        let opened = open_in(&fs, &path, &options);
        assert_eq!(opened.is_err(), wanted == "refuse" || wanted.starts_with("error"), "{name}");
        if let Ok(image) = opened {
            image.close().unwrap();
        }
        assert!(set::fits(&set::reading(&fs, Path::new("/"), name), wanted), "{name} after writing");
    }
}

#[test]
fn sectors_of_children_come_from_where_their_bits_say() {
    let fs = all_files();
    let child = open(&fs, "child.avhdx");
    assert_eq!(read(&*child, MIB, 4096), [0xA2; 4096]);
    assert_eq!(read(&*child, MIB + 4096, 4096), [0xC1; 4096]);
    assert_eq!(read(&*child, MIB + 8192, 4096), [0xA2; 4096]);
    let child = open(&fs, "child.vhd");
    assert_eq!(read(&*child, 2 * MIB + 4095, 1), [0xA2]);
    assert_eq!(read(&*child, 2 * MIB + 4096, 4096), [0xC1; 4096]);
    assert_eq!(read(&*child, 2 * MIB + 8192, 1), [0xA2]);
    assert_eq!(read(&*child, 6 * MIB, 512), [0xC3; 512]);
    assert_eq!(read(&*child, 6 * MIB + 512, 512), [0xA3; 512]);
    let hole = open(&fs, "bitmap-hole.vhd");
    assert_eq!(read(&*hole, 0, 4096), [0; 4096]);
    assert_eq!(read(&*hole, 4096, 512), [0xA1; 512]);
    assert_eq!(open(&fs, "size-current.vhd").size(), 16 * MIB + 1536);
    assert_eq!(open(&fs, "size-geometry.vhd").size(), 16_746_496);
}

#[test]
fn a_log_is_applied_in_order() {
    let fs = all_files();
    let log = HrlReader::open_in(&fs, Path::new("/clean.hrl")).unwrap();
    let mut disk =
        open_in(&fs, Path::new("/plain.vhdx"), &OpenOptions::read_write(Seed::new([1; 32]))).unwrap();
    log.check_disk(disk.data_write_guid().unwrap()).unwrap();
    for entry in log.entries() {
        let entry = entry.unwrap();
        disk.write_at(entry.offset, &entry.data).unwrap();
    }
    let want = [(0, 0x11), (512, 0x33), (1024, 0x11), (4096, 0xA1), (8 * MIB, 0x22)];
    for (at, byte) in want.into_iter().chain([(8 * MIB + 4096, 0x44), (8 * MIB + 12_288, 0x22)]) {
        assert_eq!(read(&*disk, at, 512), [byte; 512], "{at}");
    }
}
