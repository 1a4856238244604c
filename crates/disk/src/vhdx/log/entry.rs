//! One log entry (MS-VHDX 2.3.1): descriptor sectors, then a data sector for each data descriptor.

use uuid::Uuid;

use super::SECTOR;
use crate::bytes::{MIB, array, crc_without, get_guid, get_u32, get_u64, put, seal, to_u64, to_usize};

const HEAD: usize = 64;
const DESCRIPTOR: usize = 32;
const CHECKSUM: usize = 4;
/// Descriptors in the first descriptor sector, which also holds the head.
const IN_FIRST: u64 = 126;
/// Descriptors in each further one.
const IN_NEXT: u64 = 128;
/// Bytes of a data sector that stand in its descriptor: the first 8 and the last 4.
const LEADING: usize = 8;
const TRAILING: usize = 4;

/// What one descriptor asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// A sector of 4 KiB.
    Data { offset: u64, sector: Box<[u8]> },
    /// Zeros, in whole 4 KiB.
    Zero { offset: u64, len: u64 },
}

/// The head of an entry, as far as it matters once the entry is known to be valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of the entry.
    pub length: u64,
    /// Offset in the log of the first entry of the sequence.
    pub tail: u64,
    pub sequence: u64,
    pub log_guid: Uuid,
    /// The file is at least this long on the disk.
    pub flushed_len: u64,
    /// A length that holds every structure.
    pub last_len: u64,
}

/// Sectors of descriptors for `count` of them.
fn descriptor_sectors(count: u64) -> u64 {
    1 + count.saturating_sub(IN_FIRST).div_ceil(IN_NEXT)
}

/// The place of a descriptor in the entry.
fn descriptor_at(index: u64) -> usize {
    HEAD + DESCRIPTOR * to_usize(index)
}

/// Whether a sector begins like the head of an entry.
pub(crate) fn is_head(sector: &[u8]) -> bool {
    &sector[..4] == b"loge"
}

/// Reads the head of what may be an entry: enough to know how much more to read. `None` when it is no
/// entry, or one of more than `room` bytes.
pub(crate) fn peek(sector: &[u8], room: u64) -> Option<u64> {
    let length = u64::from(get_u32(sector, 8));
    let fits = length >= SECTOR && length <= room && length.is_multiple_of(SECTOR);
    (is_head(sector) && fits).then_some(length)
}

/// Reads an entry, `None` unless every field, every descriptor, every data sector and the checksum are right
/// and it belongs to the log of this GUID.
pub(crate) fn decode(bytes: &[u8], log_guid: Uuid, log_len: u64) -> Option<(Head, Vec<Change>)> {
    let length = peek(bytes, log_len)?;
    let head = Head {
        length,
        tail: u64::from(get_u32(bytes, 12)),
        sequence: get_u64(bytes, 16),
        log_guid: get_guid(bytes, 32),
        flushed_len: get_u64(bytes, 48),
        last_len: get_u64(bytes, 56),
    };
    let fields = head.sequence > 0
        && head.log_guid == log_guid
        && head.tail < log_len
        && head.tail.is_multiple_of(SECTOR)
        && head.flushed_len.is_multiple_of(MIB)
        && head.last_len.is_multiple_of(MIB);
    if !fields || to_u64(bytes.len()) != length || get_u32(bytes, CHECKSUM) != crc_without(bytes, CHECKSUM) {
        return None;
    }
    let count = u64::from(get_u32(bytes, 24));
    let mut data = descriptor_sectors(count);
    if data * SECTOR > length {
        return None;
    }
    let mut changes = Vec::new();
    for index in 0..count {
        let descriptor = &bytes[descriptor_at(index)..][..DESCRIPTOR];
        let sector = bytes.get(to_usize(data * SECTOR)..to_usize((data + 1) * SECTOR));
        let change = decode_descriptor(descriptor, sector, head.sequence)?;
        data += u64::from(matches!(change, Change::Data { .. }));
        changes.push(change);
    }
    Some((head, changes))
}

fn decode_descriptor(descriptor: &[u8], sector: Option<&[u8]>, sequence: u64) -> Option<Change> {
    let offset = get_u64(descriptor, 16);
    if get_u64(descriptor, 24) != sequence || !offset.is_multiple_of(SECTOR) {
        return None;
    }
    match &descriptor[..4] {
        b"zero" => {
            let len = get_u64(descriptor, 8);
            let good = len.is_multiple_of(SECTOR) && offset.checked_add(len).is_some();
            good.then_some(Change::Zero { offset, len })
        }
        b"desc" => {
            let sector = sector?;
            let end = to_usize(SECTOR) - TRAILING;
            let [high, low] = [get_u32(sector, 4), get_u32(sector, end)].map(u64::from);
            if &sector[..4] != b"data" || high << 32 | low != sequence {
                return None;
            }
            offset.checked_add(SECTOR)?;
            let mut restored = sector.to_vec();
            put(&mut restored, 0, &descriptor[8..8 + LEADING]);
            put(&mut restored, end, &descriptor[4..4 + TRAILING]);
            Some(Change::Data { offset, sector: restored.into() })
        }
        _ => None,
    }
}

/// The bytes of an entry. The length in `head` is computed here.
pub(crate) fn encode(head: &Head, changes: &[Change]) -> Vec<u8> {
    let count = to_u64(changes.len());
    let descriptors = descriptor_sectors(count);
    let mut bytes = vec![0; to_usize(descriptors * SECTOR)];
    for (index, change) in (0..).zip(changes) {
        let at = descriptor_at(index);
        let offset = match change {
            Change::Zero { offset, len } => {
                put(&mut bytes, at, b"zero");
                put(&mut bytes, at + 8, &len.to_le_bytes());
                offset
            }
            Change::Data { offset, sector } => {
                let end = to_usize(SECTOR) - TRAILING;
                put(&mut bytes, at, b"desc");
                put(&mut bytes, at + 4, &sector[end..]);
                put(&mut bytes, at + 8, &sector[..LEADING]);
                let stamp = head.sequence.to_le_bytes();
                bytes.extend_from_slice(b"data");
                bytes.extend_from_slice(&array::<4>(&stamp, 4));
                bytes.extend_from_slice(&sector[LEADING..end]);
                bytes.extend_from_slice(&array::<4>(&stamp, 0));
                offset
            }
        };
        put(&mut bytes, at + 16, &offset.to_le_bytes());
        put(&mut bytes, at + 24, &head.sequence.to_le_bytes());
    }
    let field = |value: u64| u32::try_from(value).expect("a log has at most 1 GiB").to_le_bytes();
    put(&mut bytes, 0, b"loge");
    let length = to_u64(bytes.len());
    put(&mut bytes, 8, &field(length));
    put(&mut bytes, 12, &field(head.tail));
    put(&mut bytes, 16, &head.sequence.to_le_bytes());
    put(&mut bytes, 24, &field(count));
    put(&mut bytes, 32, &head.log_guid.to_bytes_le());
    put(&mut bytes, 48, &head.flushed_len.to_le_bytes());
    put(&mut bytes, 56, &head.last_len.to_le_bytes());
    seal(&mut bytes, CHECKSUM);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: Uuid = Uuid::from_u128(7);

    fn head() -> Head {
        Head {
            length: 0,
            tail: 4096,
            sequence: 0x1_0000_0005,
            log_guid: GUID,
            flushed_len: MIB,
            last_len: 2 * MIB,
        }
    }

    fn changes(count: u64) -> Vec<Change> {
        let sector: Box<[u8]> = (0..SECTOR).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
        let data = (0..count).map(|index| Change::Data { offset: index * SECTOR, sector: sector.clone() });
        data.chain([Change::Zero { offset: MIB, len: 8192 }]).collect()
    }

    #[test]
    fn round_trip_over_several_descriptor_sectors() {
        for count in [0, 1, 125, 126, 127, 200, 254, 260] {
            let bytes = encode(&head(), &changes(count));
            let (read, found) = decode(&bytes, GUID, MIB << 1).unwrap();
            assert_eq!(found, changes(count));
            assert_eq!(read, Head { length: to_u64(bytes.len()), ..head() });
        }
    }

    #[test]
    fn any_changed_byte_makes_it_invalid() {
        let good = encode(&head(), &changes(1));
        for at in (0..good.len()).step_by(37) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(decode(&bad, GUID, MIB), None, "byte {at}");
        }
        assert_eq!(decode(&good, Uuid::from_u128(8), MIB), None);
    }

    #[test]
    fn fields_are_checked_even_under_a_right_checksum() {
        let good = encode(&head(), &changes(1));
        for (at, value) in [
            (12, 1_u8), // tail between sectors
            (14, 0x20), // tail past the log
            (24, 200),  // more descriptors than data sectors
            (48, 1),    // flushed length not in MiB
            (56, 1),    // last length not in MiB
            (64, b'x'), // descriptor signature
            (80, 1),    // offset between sectors
            (88, 9),    // sequence of the descriptor
            (4096, 0),  // signature of the data sector
            (4100, 9),  // sequence of the data sector, high half
            (8188, 9),  // low half
        ] {
            let mut bad = good.clone();
            bad[at] = value;
            seal(&mut bad, CHECKSUM);
            assert_eq!(decode(&bad, GUID, MIB), None, "byte {at}");
        }
    }
}
