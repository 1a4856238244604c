//! The header of sparse files: where the table stands, how large blocks are, and who the parent is.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::{SECTOR, checksum, get_u32, get_u64, seal};
use crate::bytes::{array, put, to_u64, to_usize};
use crate::error::{Error, ErrorKind};
use crate::file::{BlockFile, read_structure};

/// Bytes of the header.
pub(super) const LEN: u64 = 1024;
/// Block sizes that are read and written; others are known of no writer.
pub(super) const BLOCK_SIZES: std::ops::RangeInclusive<u64> = 512 << 10..=256 << 20;

const COOKIE: &[u8; 8] = b"cxsparse";
const CHECKSUM: usize = 36;
const NAME: std::ops::Range<usize> = 64..576;
const LOCATORS: usize = 576;
const LOCATOR: usize = 24;
/// A path of the host that is longer is none.
const MAX_PATH: u32 = 64 << 10;
const RELATIVE: &[u8; 4] = b"W2ru";
const ABSOLUTE: &[u8; 4] = b"W2ku";

/// The header, with the fields that mean nothing here kept as they were found.
#[derive(Debug, Clone)]
pub(super) struct SparseHeader(Vec<u8>);

/// A way to the parent: platform code, and where its text stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Locator {
    pub code: [u8; 4],
    pub len: u32,
    pub offset: u64,
}

impl SparseHeader {
    /// The header of a new file.
    pub(super) fn new(bat_offset: u64, entries: u32, block_size: u32) -> Self {
        let mut buf = vec![0; to_usize(LEN)];
        put(&mut buf, 0, COOKIE);
        put(&mut buf, 8, &[0xFF; 8]);
        put(&mut buf, 24, &0x0001_0000_u32.to_be_bytes());
        put(&mut buf, 32, &block_size.to_be_bytes());
        let mut header = Self(buf);
        header.set_table(bat_offset, entries);
        header
    }

    /// Reads and checks the header of a disk of `size` bytes.
    pub(super) fn read(file: &dyn BlockFile, at: u64, size: u64) -> Result<Self, Error> {
        let name = "VHD dynamic header";
        let mut buf = vec![0; to_usize(LEN)];
        read_structure(file, name, at, &mut buf)?;
        let fault = |kind, at: u64, found: String, requires: &'static str| {
            Err(Error::new(kind, name).at(at).found(found).requires(requires))
        };
        if &buf[..8] != COOKIE || get_u32(&buf, CHECKSUM) != checksum(&buf, CHECKSUM) {
            return Err(Error::corrupt(name)
                .at(at)
                .found("a wrong cookie or checksum")
                .requires("the cookie \"cxsparse\" and the checksum of its 1024 bytes")
                .remedy("restore the file from a backup"));
        }
        let header = Self(buf);
        let version = get_u32(&header.0, 24);
        if version >> 16 != 1 {
            let found = format!("version {version:#010x}");
            return fault(ErrorKind::Unsupported, at + 24, found, "version 0x00010000");
        }
        let block_size = header.block_size();
        if !block_size.is_power_of_two() || !BLOCK_SIZES.contains(&block_size) {
            let found = format!("blocks of {block_size} bytes");
            let requires = "a power of two from 512 KiB to 256 MiB";
            return fault(ErrorKind::Unsupported, at + 32, found, requires);
        }
        if header.entries() < size.div_ceil(block_size) {
            let found = format!("{} table entries", header.entries());
            return fault(ErrorKind::Corrupt, at + 28, found, "one for each block of the disk");
        }
        Ok(header)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn bat_offset(&self) -> u64 {
        get_u64(&self.0, 16)
    }

    /// Entries of the table.
    pub(super) fn entries(&self) -> u64 {
        u64::from(get_u32(&self.0, 28))
    }

    pub(super) fn block_size(&self) -> u64 {
        u64::from(get_u32(&self.0, 32))
    }

    /// Names another table. The fields, and the checksum, stand in the header's first sector.
    pub(super) fn set_table(&mut self, bat_offset: u64, entries: u32) {
        put(&mut self.0, 16, &bat_offset.to_be_bytes());
        put(&mut self.0, 28, &entries.to_be_bytes());
        seal(&mut self.0, CHECKSUM);
    }

    /// The identity of the parent.
    pub(super) fn parent_id(&self) -> Uuid {
        Uuid::from_bytes(array(&self.0, 40))
    }

    /// Names a parent: its identity, its time, its file name, and for each locator the code, the text's
    /// length in bytes and its place.
    pub(super) fn set_parent(&mut self, id: Uuid, time: u32, name: &str, locators: &[Locator]) {
        put(&mut self.0, 40, id.as_bytes());
        put(&mut self.0, 56, &time.to_be_bytes());
        self.0[NAME].fill(0);
        // The field keeps a terminating zero.
        let units = name.encode_utf16().take(NAME.len() / 2 - 1);
        let text: Vec<u8> = units.flat_map(u16::to_be_bytes).collect();
        put(&mut self.0, NAME.start, &text);
        self.0[LOCATORS..LOCATORS + 8 * LOCATOR].fill(0);
        for (index, locator) in locators.iter().enumerate() {
            let at = LOCATORS + LOCATOR * index;
            let space = locator.len.next_multiple_of(512);
            put(&mut self.0, at, &locator.code);
            put(&mut self.0, at + 4, &space.to_be_bytes());
            put(&mut self.0, at + 8, &locator.len.to_be_bytes());
            put(&mut self.0, at + 16, &locator.offset.to_be_bytes());
        }
        seal(&mut self.0, CHECKSUM);
    }

    /// The locators that are in use. Their space is told in bytes by some writers and in sectors by others:
    /// the length counts.
    pub(super) fn locators(&self) -> Vec<Locator> {
        let all = (0..8).map(|index| {
            let entry = &self.0[LOCATORS + LOCATOR * index..][..LOCATOR];
            Locator { code: array(entry, 0), len: get_u32(entry, 8), offset: get_u64(entry, 16) }
        });
        all.filter(|locator| locator.code != [0; 4] && locator.len > 0).collect()
    }

    /// The parts of the file that the locators' texts take.
    pub(super) fn locator_ranges(&self) -> impl Iterator<Item = (u64, u64)> {
        self.locators().into_iter().map(|locator| (locator.offset, u64::from(locator.len)))
    }

    /// The parent's file name, as the header tells it.
    pub(super) fn parent_name(&self) -> String {
        let units = self.0[NAME].chunks_exact(2).map(|pair| u16::from_be_bytes(array(pair, 0)));
        let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
        String::from_utf16_lossy(&units)
    }

    /// Host paths of the parent to try, the relative one first, the bare name beside the child last.
    pub(super) fn candidates(&self, file: &dyn BlockFile, child: &Path) -> Result<Vec<PathBuf>, Error> {
        let folder = child.parent().unwrap_or(Path::new(""));
        let mut paths = Vec::new();
        for code in [RELATIVE, ABSOLUTE] {
            for locator in self.locators().iter().filter(|locator| locator.code == *code) {
                let text = read_text(file, locator)?;
                paths.push(if code == RELATIVE {
                    folder.join(crate::paths::to_host(&text))
                } else {
                    crate::paths::absolute_to_host(&text)
                });
            }
        }
        if let Some(name) = crate::paths::to_host(&self.parent_name()).file_name() {
            paths.push(folder.join(name));
        }
        Ok(paths)
    }
}

/// The text of a locator: UTF-16, little-endian.
fn read_text(file: &dyn BlockFile, locator: &Locator) -> Result<String, Error> {
    let fault = |found: String| {
        Error::corrupt("VHD parent locator")
            .at(locator.offset)
            .found(found)
            .requires("a path in UTF-16 of at most 64 KiB")
    };
    if locator.len > MAX_PATH || !locator.len.is_multiple_of(2) {
        return Err(fault(format!("{} bytes", locator.len)));
    }
    let mut bytes = vec![0; to_usize(u64::from(locator.len))];
    read_structure(file, "VHD parent locator", locator.offset, &mut bytes)?;
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes(array(pair, 0))).collect();
    let text = String::from_utf16(&units).map_err(|_| fault("no UTF-16 text".into()))?;
    Ok(text.trim_end_matches('\0').to_owned())
}

/// The texts of the two locators of a parent, each with its code: the relative path and the absolute one.
pub(super) fn locator_texts(relative: &str, absolute: &str, at: u64) -> (Vec<Locator>, Vec<u8>) {
    let (mut locators, mut bytes) = (Vec::new(), Vec::new());
    for (code, text) in [(RELATIVE, relative), (ABSOLUTE, absolute)] {
        let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let len = u32::try_from(text.len()).expect("host paths have at most 4 KiB");
        locators.push(Locator { code: *code, len, offset: at + to_u64(bytes.len()) });
        bytes.extend_from_slice(&text);
        bytes.resize(bytes.len().next_multiple_of(to_usize(SECTOR)), 0);
    }
    (locators, bytes)
}
