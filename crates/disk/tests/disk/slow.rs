//! Files that claim far more than they hold: opening them is bounded in reads and in memory by what is really
//! there.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hvrsim_disk::file::{BlockFile, FileSystem, MemFile, MemFs};
use hvrsim_disk::{CreateOptions, Error, ErrorKind, OpenOptions, create_in, open_in};

use crate::support::{BAT, DISK, METADATA, MIB, Victim, seed};

/// A file that counts what is read of it, and the most at once.
struct Counting {
    inner: Arc<dyn BlockFile>,
    read: AtomicU64,
    most: AtomicU64,
}

impl BlockFile for Counting {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let len = u64::try_from(buf.len()).unwrap();
        self.read.fetch_add(len, Ordering::Relaxed);
        self.most.fetch_max(len, Ordering::Relaxed);
        self.inner.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, data)
    }
    fn flush(&self) -> io::Result<()> {
        self.inner.flush()
    }
    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        self.inner.punch_hole(offset, len)
    }
    fn data_extents(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        self.inner.data_extents(range)
    }
}

/// Opens the file at `path` for reading; gives the outcome, the bytes read and the most of them at once.
fn opened(fs: &MemFs, path: &str) -> (Result<(), Error>, u64, u64) {
    let inner = fs.open(Path::new(path), true).unwrap();
    let file = Arc::new(Counting { inner, read: AtomicU64::new(0), most: AtomicU64::new(0) });
    let watched = MemFs::new();
    watched.insert(path, Arc::<Counting>::clone(&file));
    let done = open_in(&watched, Path::new(path), &OpenOptions::read_only()).map(drop);
    (done, file.read.load(Ordering::Relaxed), file.most.load(Ordering::Relaxed))
}

/// A disk whose headers name a log of 1 GiB behind everything else; all of it is a hole.
fn with_huge_log() -> (Victim, u64) {
    let victim = Victim::new();
    let at = victim.file.len().unwrap();
    victim.file.set_len(at + (1 << 30)).unwrap();
    victim.patch_headers(48, &[7; 16]);
    victim.patch_headers(68, &(1_u32 << 30).to_le_bytes());
    victim.patch_headers(72, &at.to_le_bytes());
    (victim, at)
}

/// The head of an entry that claims to be this long.
fn head(sequence: u64, length: u32, descriptors: u32) -> Vec<u8> {
    let mut head = vec![0; 64];
    head[..4].copy_from_slice(b"loge");
    head[8..12].copy_from_slice(&length.to_le_bytes());
    head[16..24].copy_from_slice(&sequence.to_le_bytes());
    head[24..28].copy_from_slice(&descriptors.to_le_bytes());
    head[32..48].copy_from_slice(&[7; 16]);
    head
}

#[test]
fn an_empty_log_of_a_gibibyte_is_not_read() {
    let (victim, _) = with_huge_log();
    let (done, read, most) = opened(&victim.fs, DISK);
    assert_eq!(done.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(read < 2 * MIB && most <= MIB, "{read} bytes, {most} at once");
}

#[test]
fn one_entry_that_claims_a_gibibyte_of_holes_is_not_read() {
    let (victim, log) = with_huge_log();
    victim.put(log, &head(1, 1 << 30, 0));
    let (done, read, most) = opened(&victim.fs, DISK);
    assert_eq!(done.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(read < 3 * MIB && most <= MIB, "{read} bytes, {most} at once");
}

#[test]
fn entries_that_claim_the_same_space_are_not_read_once_for_each() {
    let (victim, log) = with_huge_log();
    // A head in every sector of the first 8 MiB, each claiming hundreds of MiB.
    for sector in 0..2048 {
        victim.put(log + sector * 4096, &head(sector + 1, 512 << 20, 100_000));
    }
    let (done, read, most) = opened(&victim.fs, DISK);
    assert_eq!(done.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(read < 32 * MIB && most <= MIB, "{read} bytes, {most} at once");
}

#[test]
fn a_bat_of_millions_of_entries_in_a_small_file_is_refused_before_it_is_read() {
    let victim = Victim::new();
    // 64 TiB of 1 MiB blocks need 512 MiB of table; the region has 1 MiB.
    victim.put(METADATA + 65_536 + 8, &(64_u64 << 40).to_le_bytes());
    let (done, read, most) = opened(&victim.fs, DISK);
    let error = done.unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::Corrupt, Some(BAT)), "{error}");
    assert!(read < 2 * MIB && most <= MIB, "{read} bytes, {most} at once");
    // A region that claims the room leaves the file.
    victim.patch_regions(16 + 24, &(513_u32 << 20).to_le_bytes());
    let (done, read, most) = opened(&victim.fs, DISK);
    assert!(matches!(done.unwrap_err().kind(), ErrorKind::Truncated | ErrorKind::Corrupt));
    assert!(read < 2 * MIB && most <= MIB, "{read} bytes, {most} at once");
}

#[test]
fn a_vhd_that_claims_a_huge_table_is_refused_before_it_is_read() {
    let fs = MemFs::new();
    let options = CreateOptions::vhd(2040 << 30, seed(1)).block_size(512 << 10);
    create_in(&fs, Path::new("/d.vhd"), &options).unwrap().close().unwrap();
    let (done, read, most) = opened(&fs, "/d.vhd");
    done.unwrap();
    assert!(read <= 17 * MIB && most <= 16 * MIB, "{read} bytes, {most} at once: a table of 4 bytes a block");
    fs.open(Path::new("/d.vhd"), true).unwrap().set_len(8192).unwrap();
    let (done, read, most) = opened(&fs, "/d.vhd");
    assert_eq!(done.unwrap_err().kind(), ErrorKind::Truncated);
    assert!(read < MIB && most < MIB, "{read} bytes, {most} at once");
}

#[test]
fn a_locator_of_overlapping_texts_is_refused() {
    let victim = Victim::new();
    let options = hvrsim_disk::ChildOptions::new(seed(3));
    let path = Path::new("/c.avhdx");
    hvrsim_disk::create_child_in(&victim.fs, Path::new(DISK), path, &options).unwrap().close().unwrap();
    let file = victim.fs.open(path, true).unwrap();
    // 256 pairs of 60 KiB each, all in the same 61 KiB.
    let mut item = vec![0; 20 + 12 * 256];
    item[..16].copy_from_slice(
        &hvrsim_disk::Guid::from_u128(0xB04A_EFB7_D19E_4A81_B789_25B8_E944_5913).to_bytes_le(),
    );
    item[18..20].copy_from_slice(&256_u16.to_le_bytes());
    let first = u32::try_from(item.len()).unwrap();
    for (number, entry) in (0_u32..).zip(item[20..].chunks_mut(12)) {
        entry[..4].copy_from_slice(&(first + 2 * number).to_le_bytes());
        entry[4..8].copy_from_slice(&first.to_le_bytes());
        entry[8..10].copy_from_slice(&60_000_u16.to_le_bytes());
        entry[10..12].copy_from_slice(&60_000_u16.to_le_bytes());
    }
    item.extend([b'x', 0].repeat(31_000));
    file.write_at(METADATA + 131_072, &item).unwrap();
    let entry = METADATA + 32 + 5 * 32 + 16;
    file.write_at(entry, &131_072_u32.to_le_bytes()).unwrap();
    file.write_at(entry + 4, &u32::try_from(item.len()).unwrap().to_le_bytes()).unwrap();
    let (done, read, most) = opened(&victim.fs, "/c.avhdx");
    let error = done.unwrap_err();
    assert_eq!((error.kind(), error.structure()), (ErrorKind::Corrupt, "parent locator"), "{error}");
    assert!(read < 2 * MIB && most <= MIB, "{read} bytes, {most} at once");
}

#[test]
fn files_of_a_few_bytes_are_refused_by_name_and_length() {
    for (name, bytes, want) in [
        ("/d.vhdx", &b"vhdxfile"[..], "VHDX header at offset 65536: found the end of the file at 8"),
        ("/d.vhd", &b"conectix"[..], "VHD footer"),
        ("/d.vhdx", &b""[..], "file identifier"),
        ("/d.vhd", &b"x"[..], "VHD footer"),
        ("/d.img", &b"x"[..], "multiple of 512"),
    ] {
        let fs = MemFs::new();
        let file = MemFile::new();
        file.write_at(0, bytes).unwrap();
        fs.insert(name, Arc::new(file));
        let (done, read, _) = opened(&fs, name);
        let text = done.unwrap_err().to_string();
        assert!(text.contains(want) && !text.contains("whole buffer"), "{text}");
        assert!(read <= 8192);
    }
}
