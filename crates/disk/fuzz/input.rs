//! What the fuzz targets and the test that replays their corpus share: a good file with an input's changes laid
//! over it, and how it is read. The two are apart so that a target can count what reading alone allocates.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use hvrsim_disk::file::{BlockFile, FileSystem, MemFile, MemFs};
use hvrsim_disk::hrl::{HrlOptions, HrlReader, HrlWriter};
use hvrsim_disk::{CreateOptions, Guid, OpenOptions, Seed, create_in, open_in};

/// The longest part of a disk that is read after opening.
const READ: u64 = 8 << 20;

/// A kind of file to fuzz: how an input becomes a file, and how that is read.
pub struct Target {
    /// The good file with the input's changes; none when it could not be made.
    pub prepare: fn(&[u8]) -> Option<MemFs>,
    /// Opens and reads it; errors are answers.
    pub read: fn(&MemFs),
}

/// VHDX, with a log to replay.
#[allow(dead_code, reason = "each target uses one of these")]
pub const VHDX: Target = Target { prepare: vhdx, read: |fs| open_and_read(fs, "/d.vhdx") };

/// Dynamic VHD.
#[allow(dead_code, reason = "each target uses one of these")]
pub const VHD: Target = Target { prepare: vhd, read: |fs| open_and_read(fs, "/d.vhd") };

/// A change log.
#[allow(dead_code, reason = "each target uses one of these")]
pub const HRL: Target = Target { prepare: hrl, read: read_log };

/// A file that was made once, as a copy of its own.
fn copy_of_good(
    good: &OnceLock<Option<MemFile>>,
    path: &Path,
    make: impl Fn(&MemFs) -> Option<()>,
) -> Option<(MemFs, Arc<MemFile>)> {
    let make = || {
        let fs = MemFs::new();
        make(&fs)?;
        let (made, copy) = (fs.open(path, false).ok()?, MemFile::new());
        let len = made.len().ok()?;
        copy.set_len(len).ok()?;
        for part in made.data_extents(0..len).ok()? {
            let bytes = get(&*made, part.start, usize::try_from(part.end - part.start).ok()?);
            copy.write_at(part.start, &bytes).ok()?;
        }
        Some(copy)
    };
    let (fs, file) = (MemFs::new(), Arc::new(good.get_or_init(make).clone()?));
    fs.insert(path, Arc::<MemFile>::clone(&file));
    Some((fs, file))
}

/// Lays an input's changes over a file: offset (4 bytes, little-endian), length (1 byte), so many bytes.
fn lay(file: &dyn BlockFile, mut input: &[u8]) {
    let len = file.len().unwrap_or(0);
    while let [a, b, c, d, count, rest @ ..] = input {
        let (bytes, tail) = rest.split_at(usize::from(*count).min(rest.len()));
        let at = u64::from(u32::from_le_bytes([*a, *b, *c, *d])) % len.max(1);
        let _ = file.write_at(at, bytes);
        input = tail;
    }
}

fn get(file: &dyn BlockFile, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let _ = file.read_at(at, &mut bytes);
    bytes
}

/// Mends a CRC-32C in the 4 bytes at offset 4 of a structure.
fn mend_crc(file: &dyn BlockFile, at: u64, len: usize) {
    let mut bytes = get(file, at, len);
    bytes[4..8].fill(0);
    let _ = file.write_at(at + 4, &crc32c::crc32c(&bytes).to_le_bytes());
}

/// The one's complement of the byte sum without the field.
fn byte_sum(bytes: &[u8], field: usize) -> u32 {
    let all = bytes.iter().enumerate().filter(|(n, _)| !(field..field + 4).contains(n));
    !all.fold(0_u32, |sum, (_, byte)| sum.wrapping_add(u32::from(*byte)))
}

/// Opens an image and reads all of a small disk, or both ends of a large one; errors are answers.
fn open_and_read(fs: &MemFs, path: &str) {
    let Ok(image) = open_in(fs, Path::new(path), &OpenOptions::read_only()) else { return };
    let size = image.size();
    let mut buf = vec![0; 1 << 20];
    for at in (0..size.min(READ)).step_by(1 << 20).chain([size.saturating_sub(1 << 20)]) {
        let len = usize::try_from((size - at).min(1 << 20)).unwrap_or(0);
        let _ = image.read_at(at, &mut buf[..len]);
    }
    let _ = image.extents(0..size.min(READ));
    let _ = image.details();
}

fn vhdx(input: &[u8]) -> Option<MemFs> {
    static GOOD: OnceLock<Option<MemFile>> = OnceLock::new();
    let path = Path::new("/d.vhdx");
    let (fs, file) = copy_of_good(&GOOD, path, |fs| {
        let options = CreateOptions::vhdx(8 << 20, Seed::new([1; 32])).block_size(1 << 20);
        let mut image = create_in(fs, path, &options).ok()?;
        image.write_at(1 << 20, &[1; 4096]).ok()?;
        // Flushed, but dropped without closing: there is a log to replay.
        image.flush().ok()
    })?;
    lay(&*file, input);
    for (at, len) in
        [(64 << 10, 4096), (128 << 10, 4096), (192 << 10, 65_536), (256 << 10, 65_536), (1 << 20, 8192)]
    {
        mend_crc(&*file, at, len);
    }
    Some(fs)
}

fn vhd(input: &[u8]) -> Option<MemFs> {
    static GOOD: OnceLock<Option<MemFile>> = OnceLock::new();
    let path = Path::new("/d.vhd");
    let (fs, file) = copy_of_good(&GOOD, path, |fs| {
        let mut image = create_in(fs, path, &CreateOptions::vhd(8 << 20, Seed::new([1; 32]))).ok()?;
        image.write_at(1 << 20, &[1; 4096]).ok()?;
        image.close().ok()
    })?;
    lay(&*file, input);
    for (at, len, field) in [(0, 512, 64_usize), (512, 1024, 36)] {
        let sum = byte_sum(&get(&*file, at, len), field);
        let _ = file.write_at(at + u64::try_from(field).unwrap_or(0), &sum.to_be_bytes());
    }
    Some(fs)
}

fn hrl(input: &[u8]) -> Option<MemFs> {
    static GOOD: OnceLock<Option<MemFile>> = OnceLock::new();
    let path = Path::new("/l.hrl");
    let (fs, file) = copy_of_good(&GOOD, path, |fs| {
        let options = HrlOptions {
            unique_id: Guid::from_u128(1),
            previous_id: Guid::nil(),
            data_write_guid: Guid::from_u128(2),
            created: 0,
        };
        let mut log = HrlWriter::create_in(fs, path, &options).ok()?;
        log.append(0, &[1; 1000], 1).ok()?;
        log.append(4096, &[2; 1000], 2).ok()?;
        log.close(3).ok().map(drop)
    })?;
    lay(&*file, input);
    let end = file.len().unwrap_or(4096);
    for (at, len, field) in [(0, 4096, 40_usize), (4096, 32, 12), (end - 4096, 32, 12), (end - 4064, 32, 8)] {
        let sum = byte_sum(&get(&*file, at, len), field);
        let _ = file.write_at(at + u64::try_from(field).unwrap_or(0), &sum.to_le_bytes());
    }
    Some(fs)
}

fn read_log(fs: &MemFs) {
    let Ok(log) = HrlReader::open_in(fs, Path::new("/l.hrl")) else { return };
    for entry in log.entries().take(1000) {
        let _ = entry;
    }
}
