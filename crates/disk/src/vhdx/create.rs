//! Creating VHDX files.

use std::path::PathBuf;

use uuid::Uuid;

use super::SIGNATURE;
use super::bat::{Entry, Geometry, Slot, State};
use super::header::{Header, OFFSETS as HEADERS};
use super::locator::Locator;
use super::metadata::{BLOCK_SIZES, DiskItem, MAX_DISK, Metadata};
use super::region::{self, Region, Regions};
use crate::bytes::{KIB, MIB, put, round_up, to_u64, to_usize};
use crate::error::{Error, ErrorKind};
use crate::file::BlockFile;
use crate::seed::{GuidSource, Seed};

/// Block size of a new dynamic disk, as Windows chooses it.
pub(crate) const DEFAULT_BLOCK: u64 = 32 * MIB;
/// Block size of a new differencing disk, as Windows chooses it.
pub(crate) const CHILD_BLOCK: u64 = 2 * MIB;
const LOG: Region = Region { id: Uuid::nil(), offset: MIB, length: MIB };
const METADATA_OFFSET: u64 = 2 * MIB;
const BAT_OFFSET: u64 = 3 * MIB;

/// What a new file is to be.
pub(crate) struct NewDisk {
    pub size: u64,
    pub block_size: u64,
    pub logical_sector: u32,
    pub physical_sector: u32,
    /// All blocks present from the beginning, and for ever.
    pub fixed: bool,
    pub seed: Seed,
    /// For a differencing file.
    pub parent: Option<NewParent>,
}

/// The parent of a new differencing file.
pub(crate) struct NewParent {
    pub disk_id: Uuid,
    pub data_write_guid: Uuid,
    /// What its metadata say of the disk.
    pub items: Vec<DiskItem>,
    /// The two absolute paths, of which the locator is made.
    pub child_path: PathBuf,
    pub path: PathBuf,
}

impl NewDisk {
    /// Refuses what the format does not allow.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let fault = |name: &'static str, found: String, requires: &'static str| {
            Err(Error::new(ErrorKind::InvalidOption, name).found(found).requires(requires))
        };
        if !BLOCK_SIZES.contains(&self.block_size) || !self.block_size.is_power_of_two() {
            let found = format!("{} bytes", self.block_size);
            return fault("block size", found, "a power of two from 1 to 256 MiB (MS-VHDX 2.6.2.1)");
        }
        for sector in [self.logical_sector, self.physical_sector] {
            if sector != 512 && sector != 4096 {
                return fault("sector size", format!("{sector} bytes"), "512 or 4096 (MS-VHDX 2.6.2.4)");
            }
        }
        let whole = self.size.is_multiple_of(u64::from(self.logical_sector));
        if self.size == 0 || self.size > MAX_DISK || !whole {
            let found = format!("{} bytes", self.size);
            return fault(
                "disk size",
                found,
                "whole logical sectors, at least one, at most 64 TiB (MS-VHDX 2.6.2.2)",
            );
        }
        Ok(())
    }

    /// Writes an empty disk into an empty file. The signature goes in last: a file whose creation was cut off
    /// is not taken for a disk.
    pub(crate) fn write(&self, file: &dyn BlockFile) -> Result<(), Error> {
        self.check()?;
        let parent_guid = self.parent.as_ref().map_or(Uuid::nil(), |parent| parent.data_write_guid);
        let mut guids = GuidSource::new(self.seed, &[b"vhdx create", parent_guid.as_bytes()]);
        let mut header = Header {
            sequence: 1,
            file_write_guid: guids.next(),
            data_write_guid: guids.next(),
            log_guid: Uuid::nil(),
            log_version: 0,
            version: 1,
            log_length: u32::try_from(LOG.length).expect("1 MiB"),
            log_offset: LOG.offset,
        };
        let metadata = self.metadata(guids.next());
        let geometry = Geometry::new(&metadata);
        let bat_len = round_up(geometry.entries * 8, MIB);
        let regions = Regions::encode(
            Region { id: region::BAT, offset: BAT_OFFSET, length: bat_len },
            Region { id: region::METADATA, offset: METADATA_OFFSET, length: MIB },
        );
        let carried = self.parent.as_ref().map_or(&[][..], |parent| &parent.items[..]);
        let content = metadata.encode(carried);
        if to_u64(content.len()) > MIB {
            return Err(Error::new(ErrorKind::Unsupported, "metadata region")
                .found(format!("{} bytes of items that the parent's disk brings along", content.len()))
                .requires("at most 1 MiB"));
        }
        let mut write = || -> std::io::Result<()> {
            file.set_len(BAT_OFFSET + bat_len)?;
            for at in HEADERS {
                file.write_at(at, &header.encode())?;
                header.sequence += 1;
            }
            for at in region::OFFSETS {
                file.write_at(at, &regions)?;
            }
            file.write_at(METADATA_OFFSET, &content)?;
            if self.fixed {
                allocate_all(file, &geometry, BAT_OFFSET + bat_len)?;
            }
            file.flush()?;
            file.write_at(0, &identifier())?;
            file.flush()
        };
        write().map_err(|error| Error::io("new VHDX file", error))
    }

    fn metadata(&self, new_id: Uuid) -> Metadata {
        Metadata {
            block_size: self.block_size,
            leave_allocated: self.fixed,
            size: self.size,
            disk_id: self.parent.as_ref().map_or(new_id, |parent| parent.disk_id),
            logical_sector: self.logical_sector,
            physical_sector: self.physical_sector,
            parent: self.parent.as_ref().map(NewParent::locator),
        }
    }
}

/// Lays all blocks of a fixed disk out behind each other from `first` on.
fn allocate_all(file: &dyn BlockFile, geometry: &Geometry, first: u64) -> std::io::Result<()> {
    let entry = |index| match geometry.slot(index) {
        Slot::Payload(block) => Entry::new(State::Full, first + block * geometry.block_size).0,
        Slot::Bitmap(_) => 0,
    };
    file.set_len(first + geometry.payload_blocks * geometry.block_size)?;
    let pieces = to_usize(MIB / 8);
    for start in (0..geometry.entries).step_by(pieces) {
        let end = geometry.entries.min(start + MIB / 8);
        let bytes: Vec<u8> = (start..end).flat_map(|index| entry(index).to_le_bytes()).collect();
        file.write_at(BAT_OFFSET + start * 8, &bytes)?;
    }
    Ok(())
}

impl NewParent {
    fn locator(&self) -> Locator {
        Locator::new(self.data_write_guid, &self.child_path, &self.path)
    }
}

/// The file identifier: signature and creator, 64 KiB with what is unused left zero.
fn identifier() -> Vec<u8> {
    let mut buf = vec![0; to_usize(4 * KIB)];
    put(&mut buf, 0, SIGNATURE);
    let creator: Vec<u8> =
        concat!("hvrsim ", env!("CARGO_PKG_VERSION")).encode_utf16().flat_map(u16::to_le_bytes).collect();
    put(&mut buf, 8, &creator);
    buf
}
