//! The conformance set: files made by hand, what each must read as, and what the library reads.

mod hrl;
mod vhd;
mod vhdx;

use std::path::Path;

use hvrsim_disk::file::{FileSystem, MemFile};
use hvrsim_disk::hrl::HrlReader;
use hvrsim_disk::{ErrorKind, Guid, Image, OpenOptions, open_in};

pub const MIB: u64 = 1 << 20;

/// What every file must read as: name, first byte of every MiB (every 2 MiB of a VHD, every 32 MiB of
/// `big.vhdx`), runs written as `00x12`, and a note.
const EXPECTED: &str = include_str!("expected.tsv");

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap()
}

/// A GUID made from a name, in Windows' order.
fn named(name: &str) -> [u8; 16] {
    Guid::new_v5(&Guid::NAMESPACE_OID, name.as_bytes()).to_bytes_le()
}

/// One's complement of the sum of all bytes.
fn byte_sum(bytes: &[u8]) -> u32 {
    !bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>()
}

/// All files of the set.
pub fn files() -> Vec<(&'static str, MemFile)> {
    [vhdx::all(), vhd::all(), hrl::all()].concat()
}

/// The table's rows: name and reading.
pub fn expected() -> impl Iterator<Item = (&'static str, &'static str)> {
    EXPECTED.lines().skip(1).map(|line| {
        let mut fields = line.split('\t');
        (fields.next().unwrap(), fields.next().unwrap())
    })
}

/// What the library reads from the file `name` in `folder`: written as in the table.
pub fn reading(fs: &dyn FileSystem, folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    if name.ends_with(".hrl") {
        return log_reading(fs, &path).unwrap_or_else(|_| "refuse".to_owned());
    }
    match open_in(fs, &path, &OpenOptions::read_only()) {
        Ok(image) => firsts(&*image, step(name)),
        Err(error) if error.kind() == ErrorKind::NotFound => "missing".to_owned(),
        Err(_) => "refuse".to_owned(),
    }
}

fn step(name: &str) -> u64 {
    match name {
        "big.vhdx" => 32 * MIB,
        name if name.ends_with(".vhd") => 2 * MIB,
        _ => MIB,
    }
}

/// A log is read as a replica would: for the disk `plain.vhdx` beside it.
fn log_reading(fs: &dyn FileSystem, path: &Path) -> Result<String, hvrsim_disk::Error> {
    let disk = open_in(fs, &path.with_file_name("plain.vhdx"), &OpenOptions::read_only())?;
    let log = HrlReader::open_in(fs, path)?;
    log.check_disk(disk.data_write_guid().unwrap_or_default())?;
    let entries: Result<Vec<_>, _> = log.entries().collect();
    Ok(format!("{} writes", entries?.len()))
}

fn firsts(image: &dyn Image, step: u64) -> String {
    let mut runs: Vec<(u8, u32)> = Vec::new();
    for at in (0..image.size()).step_by(size(step)) {
        let mut byte = [0];
        if image.read_at(at, &mut byte).is_err() {
            return format!("error at {} MiB", at / MIB);
        }
        match runs.last_mut() {
            Some((last, count)) if *last == byte[0] => *count += 1,
            _ => runs.push((byte[0], 1)),
        }
    }
    let run = |(byte, count): &(u8, u32)| match count {
        1 => format!("{byte:02X}"),
        _ => format!("{byte:02X}x{count}"),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(" ")
}

/// Whether a reading is what the table asks for: refusing the whole file is as good as an error at the place.
pub fn fits(found: &str, wanted: &str) -> bool {
    found == wanted || (found == "refuse" && wanted.starts_with("error"))
}
