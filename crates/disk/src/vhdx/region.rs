//! The region tables (MS-VHDX 2.2.3): where the BAT and the metadata stand.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::bytes::{KIB, MIB, crc_without, get_guid, get_u32, get_u64, put, seal, to_usize};
use crate::error::{Error, ErrorKind};
use crate::file::{BlockFile, read_structure};

/// Where the two copies of the table stand.
pub(crate) const OFFSETS: [u64; 2] = [192 * KIB, 256 * KIB];
/// Bytes of one table.
pub(crate) const LEN: u64 = 64 * KIB;
/// The region that holds the block allocation table.
pub(crate) const BAT: Uuid = Uuid::from_u128(0x2DC2_7766_F623_4200_9D64_115E_9BFD_4A08);
/// The region that holds the metadata.
pub(crate) const METADATA: Uuid = Uuid::from_u128(0x8B7C_A206_4790_4B9A_B8FE_575F_050F_886E);
const CHECKSUM: usize = 4;
const MAX_ENTRIES: u32 = 2047;

/// A contiguous part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub id: Uuid,
    pub offset: u64,
    pub length: u64,
}

/// The regions of a file: the two that are needed, and all (unknown optional ones too, whose space stays
/// taken).
#[derive(Debug, Clone)]
pub(crate) struct Regions {
    pub bat: Region,
    pub metadata: Region,
    pub all: Vec<Region>,
}

impl Regions {
    /// Reads table 1, or table 2 where the first fails its checksum.
    pub(crate) fn read(file: &dyn BlockFile) -> Result<Self, Error> {
        for at in OFFSETS {
            let mut buf = vec![0; to_usize(LEN)];
            read_structure(file, "region table", at, &mut buf)?;
            if &buf[..4] == b"regi" && get_u32(&buf, CHECKSUM) == crc_without(&buf, CHECKSUM) {
                return Self::decode(&buf, at);
            }
        }
        Err(Error::corrupt("region tables")
            .at(OFFSETS[0])
            .found("no valid signature and checksum in either table")
            .requires("at least one valid table (MS-VHDX 2.2.3)")
            .remedy("restore the file from a backup"))
    }

    fn decode(buf: &[u8], table: u64) -> Result<Self, Error> {
        let count = get_u32(buf, 8);
        if count > MAX_ENTRIES {
            return Err(Error::corrupt("region table")
                .at(table + 8)
                .found(format!("{count} entries"))
                .requires("at most 2047 (MS-VHDX 2.2.3.1)"));
        }
        let mut all = Vec::new();
        let mut ids = BTreeSet::new();
        for index in 0..count {
            let at = 16 + 32 * u64::from(index);
            let entry = &buf[to_usize(at)..to_usize(at) + 32];
            let (region, required) = decode_entry(entry, table + at)?;
            if !ids.insert(region.id) {
                return Err(Error::corrupt("region table entry")
                    .at(table + at)
                    .found(format!("region {} a second time", region.id))
                    .requires("every region once (MS-VHDX 2.2.3.2)"));
            }
            if required && region.id != BAT && region.id != METADATA {
                return Err(Error::new(ErrorKind::Unsupported, "region table entry")
                    .at(table + at)
                    .found(format!("the unknown region {}, marked as required", region.id))
                    .requires("a reader to know every required region (MS-VHDX 2.2.3.2)")
                    .remedy("convert the disk with the tool that made it"));
            }
            all.push(region);
        }
        let find = |id, name| {
            all.iter().copied().find(|region: &Region| region.id == id).ok_or_else(|| {
                Error::corrupt("region table")
                    .at(table)
                    .found(format!("no {name} region"))
                    .requires("a BAT and a metadata region (MS-VHDX 2.2.3.2)")
            })
        };
        Ok(Self { bat: find(BAT, "BAT")?, metadata: find(METADATA, "metadata")?, all })
    }

    /// One table with the BAT and the metadata, for a new file.
    pub(crate) fn encode(bat: Region, metadata: Region) -> Vec<u8> {
        let mut buf = vec![0; to_usize(LEN)];
        put(&mut buf, 0, b"regi");
        put(&mut buf, 8, &2_u32.to_le_bytes());
        for (region, at) in [(bat, 16), (metadata, 48)] {
            let length = u32::try_from(region.length).expect("a region of a new file is at most 1 GiB");
            put(&mut buf, at, &region.id.to_bytes_le());
            put(&mut buf, at + 16, &region.offset.to_le_bytes());
            put(&mut buf, at + 24, &length.to_le_bytes());
            put(&mut buf, at + 28, &1_u32.to_le_bytes());
        }
        seal(&mut buf, CHECKSUM);
        buf
    }
}

/// The valid table with the BAT elsewhere; everything else in it is kept.
pub(super) fn with_bat(file: &dyn BlockFile, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
    let length = u32::try_from(length).expect("a BAT has at most 1 GiB");
    for at in OFFSETS {
        let mut buf = vec![0; to_usize(LEN)];
        read_structure(file, "region table", at, &mut buf)?;
        if &buf[..4] != b"regi" || get_u32(&buf, CHECKSUM) != crc_without(&buf, CHECKSUM) {
            continue;
        }
        for index in 0..to_usize(u64::from(get_u32(&buf, 8).min(MAX_ENTRIES))) {
            let entry = 16 + 32 * index;
            if get_guid(&buf, entry) == BAT {
                put(&mut buf, entry + 16, &offset.to_le_bytes());
                put(&mut buf, entry + 24, &length.to_le_bytes());
            }
        }
        seal(&mut buf, CHECKSUM);
        return Ok(buf);
    }
    Err(Error::corrupt("region tables").at(OFFSETS[0]).found("no valid table any more"))
}

fn decode_entry(entry: &[u8], at: u64) -> Result<(Region, bool), Error> {
    let region =
        Region { id: get_guid(entry, 0), offset: get_u64(entry, 16), length: u64::from(get_u32(entry, 24)) };
    let aligned = region.offset.is_multiple_of(MIB) && region.length.is_multiple_of(MIB);
    if !aligned || region.offset < MIB || region.length == 0 {
        return Err(Error::corrupt("region table entry")
            .at(at)
            .found(format!("region {} of {} bytes at {}", region.id, region.length, region.offset))
            .requires("length and offset in whole MiB, each at least 1 MiB (MS-VHDX 2.2.3.2)"));
    }
    Ok((region, get_u32(entry, 28) & 1 != 0))
}
