//! The structures of a log on disk (MS-HRL 2.2), all integers little-endian.

use uuid::Uuid;

use super::HrlInfo;
use crate::bytes::{get_guid, get_u32, get_u64, put, to_usize};

pub(super) const HEADER: u64 = 4096;
/// Bytes of a metadata block where nothing else is asked for.
pub(super) const METADATA: u32 = 4096;
/// Bytes of a block's head, and of a slot.
pub(super) const SLOT: usize = 32;
/// Version 2, the one with the DataWriteGuid.
pub(super) const VERSION: u32 = 0x0002_0000;
/// Version 1, without it; read only.
pub(super) const VERSION_1: u32 = 0x0001_0000;
/// Where the header names the end of the log.
pub(super) const EOL_FIELD: u64 = 44;

const COOKIE: &[u8; 8] = b"msctlog ";
const CREATOR: &[u8; 4] = b"ct  ";
const CREATOR_VERSION: u32 = 0x000A_0000;
const HEADER_SUM: usize = 40;
const BLOCK_SUM: usize = 12;
const SLOT_SUM: usize = 8;
/// The only operation that the format knows.
const WRITE: u8 = 1;

/// One's complement of the sum of all bytes.
pub(super) fn sum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(0, |sum: u32, byte| sum.wrapping_add(u32::from(*byte)))
}

/// The same with a 4-byte field left out.
fn sum_without(bytes: &[u8], field: usize) -> u32 {
    let skipped = bytes[field..field + 4].iter().fold(0, |sum: u32, byte| sum + u32::from(*byte));
    sum(bytes).wrapping_add(skipped)
}

fn seal(bytes: &mut [u8], field: usize) {
    let sum = sum_without(bytes, field);
    put(bytes, field, &sum.to_le_bytes());
}

fn sealed(bytes: &[u8], field: usize) -> bool {
    get_u32(bytes, field) == sum_without(bytes, field)
}

/// The header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub info: HrlInfo,
    pub version: u32,
    /// End of the log, which is its size as well; 0 while it is open.
    pub end: u64,
    pub error: u32,
    pub metadata_size: u32,
}

/// Why a header is none.
pub(super) enum Bad {
    Cookie,
    Checksum,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let info = &self.info;
        let mut buf = vec![0; to_usize(HEADER)];
        put(&mut buf, 0, COOKIE);
        put(&mut buf, 8, &self.version.to_le_bytes());
        put(&mut buf, 12, &info.created.to_le_bytes());
        put(&mut buf, 16, CREATOR);
        put(&mut buf, 20, &CREATOR_VERSION.to_le_bytes());
        put(&mut buf, 32, &self.end.to_le_bytes());
        put(&mut buf, to_usize(EOL_FIELD), &self.end.to_le_bytes());
        put(&mut buf, 52, &self.error.to_le_bytes());
        put(&mut buf, 56, &self.metadata_size.to_le_bytes());
        put(&mut buf, 60, &info.unique_id.to_bytes_le());
        put(&mut buf, 76, &info.previous_id.to_bytes_le());
        put(&mut buf, 92, &info.modified.to_le_bytes());
        put(&mut buf, 96, &info.entries.to_le_bytes());
        put(&mut buf, 110, &info.data_write_guid.to_bytes_le());
        seal(&mut buf, HEADER_SUM);
        buf
    }

    pub(super) fn decode(buf: &[u8]) -> Result<Self, Bad> {
        if &buf[..8] != COOKIE {
            return Err(Bad::Cookie);
        }
        if !sealed(buf, HEADER_SUM) {
            return Err(Bad::Checksum);
        }
        Ok(Self {
            info: HrlInfo {
                unique_id: get_guid(buf, 60),
                previous_id: get_guid(buf, 76),
                data_write_guid: if get_u32(buf, 8) == VERSION_1 { Uuid::nil() } else { get_guid(buf, 110) },
                created: get_u32(buf, 12),
                modified: get_u32(buf, 92),
                entries: get_u64(buf, 96),
            },
            version: get_u32(buf, 8),
            end: get_u64(buf, to_usize(EOL_FIELD)),
            error: get_u32(buf, 52),
            metadata_size: get_u32(buf, 56),
        })
    }
}

/// One write as a metadata block describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub offset: u64,
    pub len: u32,
    pub time: u32,
    /// Of the data; 0 where the writer left it out, as Windows does.
    pub data_sum: u32,
}

impl Slot {
    fn encode(self) -> [u8; SLOT] {
        let mut buf = [0; SLOT];
        put(&mut buf, 0, &self.offset.to_le_bytes());
        put(&mut buf, 12, &self.len.to_le_bytes());
        put(&mut buf, 16, &self.time.to_le_bytes());
        buf[20] = WRITE;
        put(&mut buf, 21, &self.data_sum.to_le_bytes());
        seal(&mut buf, SLOT_SUM);
        buf
    }

    /// Reads a slot; tells what is wrong with it.
    pub(super) fn decode(buf: &[u8]) -> Result<Self, &'static str> {
        if !sealed(buf, SLOT_SUM) {
            return Err("a slot with a wrong checksum");
        }
        if buf[20] != WRITE {
            return Err("an operation other than 1, write");
        }
        if buf[25] != 0 {
            return Err("data at another location than in this log");
        }
        Ok(Self {
            offset: get_u64(buf, 0),
            len: get_u32(buf, 12),
            time: get_u32(buf, 16),
            data_sum: get_u32(buf, 21),
        })
    }
}

/// Slots that a block of this size holds.
pub(super) fn slots_in(metadata_size: u32) -> usize {
    to_usize(u64::from(metadata_size)) / SLOT - 1
}

/// A metadata block: the distance back to the one before (0 in the first) and the slots.
pub(super) fn encode_block(metadata_size: u32, distance: u64, slots: &[Slot]) -> Vec<u8> {
    let mut buf = vec![0; to_usize(u64::from(metadata_size))];
    let count = u32::try_from(slots.len()).expect("a block has far fewer slots");
    put(&mut buf, 0, &distance.to_le_bytes());
    put(&mut buf, 8, &count.to_le_bytes());
    seal(&mut buf[..SLOT], BLOCK_SUM);
    for (index, slot) in slots.iter().enumerate() {
        put(&mut buf, SLOT * (index + 1), &slot.encode());
    }
    buf
}

/// The head of a block: distance and number of slots; tells what is wrong with it.
pub(super) fn decode_block_head(buf: &[u8], metadata_size: u32) -> Result<(u64, usize), &'static str> {
    if !sealed(&buf[..SLOT], BLOCK_SUM) {
        return Err("a head with a wrong checksum");
    }
    let count = to_usize(u64::from(get_u32(buf, 8)));
    if count > slots_in(metadata_size) {
        return Err("more slots than the block holds");
    }
    Ok((get_u64(buf, 0), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_the_published_example() {
        // MS-HRL 3: a block 324096 bytes after the one before with 58 entries, and one of its slots.
        let block = encode_block(METADATA, 324_096, &[]);
        let mut head = block[..SLOT].to_vec();
        put(&mut head, 8, &58_u32.to_le_bytes());
        assert_eq!(sum_without(&head, BLOCK_SUM), 4_294_966_991);
        let slot = Slot { offset: 3_626_340_352, len: 4096, time: 539_842_382, data_sum: 0 };
        assert_eq!(get_u32(&slot.encode(), SLOT_SUM), 4_294_966_639);
    }

    #[test]
    fn default_block_has_127_slots() {
        assert_eq!(slots_in(METADATA), 127);
    }
}
