//! What must hold between the structures of a file: everything inside the file, nothing twice, states that
//! fit.

use std::fmt;

use super::bat::{BITMAP_BLOCK, Bat, Entry, Geometry, Slot, State};
use super::header::Header;
use super::metadata::Metadata;
use super::region::{self, Regions};
use crate::bytes::MIB;
use crate::error::{Error, ErrorKind};

/// What a part of the file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Header,
    Log,
    Bat,
    Metadata,
    Region,
    Payload(u64),
    Bitmap(u64),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("the header section"),
            Self::Log => f.write_str("the log"),
            Self::Bat => f.write_str("the BAT"),
            Self::Metadata => f.write_str("the metadata region"),
            Self::Region => f.write_str("another region"),
            Self::Payload(block) => write!(f, "payload block {block}"),
            Self::Bitmap(chunk) => write!(f, "the sector bitmap of chunk {chunk}"),
        }
    }
}

type Used = (u64, u64, Owner);

/// Checks where log and regions stand; to be done before anything in them is read.
pub(crate) fn regions(header: &Header, regions: &Regions, file_len: u64) -> Result<(), Error> {
    let used = fixed_objects(header, regions);
    for (offset, len, owner) in &used {
        inside(*offset, *len, file_len, *owner)?;
    }
    disjoint(used).map(drop)
}

/// Checks every entry of the BAT and returns all used ranges of the file (offset, length).
pub(crate) fn blocks(
    header: &Header,
    all: &Regions,
    metadata: &Metadata,
    geometry: &Geometry,
    bat: &Bat,
    file_len: u64,
) -> Result<Vec<(u64, u64)>, Error> {
    let mut used = fixed_objects(header, all);
    let mut anchors = Vec::new();
    for (index, entry) in bat.filled() {
        let slot = geometry.slot(index);
        if matches!(slot, Slot::Payload(block) if block >= geometry.payload_blocks) {
            continue;
        }
        let fault = Fault { at: bat.file_offset(index), slot, entry };
        let state = fault.state(metadata.parent.is_some())?;
        match (slot, state) {
            (Slot::Bitmap(chunk), State::Full) => {
                let owner = Owner::Bitmap(chunk);
                inside(entry.offset(), BITMAP_BLOCK, file_len, owner)?;
                used.push((entry.offset(), BITMAP_BLOCK, owner));
            }
            (Slot::Payload(block), State::Full | State::Partial) => {
                let bitmap = bat.get(geometry.bitmap_index(block / geometry.chunk_ratio));
                if state == State::Partial && bitmap.state() != Some(State::Full) {
                    return Err(fault.corrupt("a sector bitmap block that is present (MS-VHDX 2.5.1.1)"));
                }
                // Some writers end a fixed file with the disk's last byte instead of the last block's.
                let needed = geometry.block_size.min(metadata.size - block * geometry.block_size);
                inside(entry.offset(), needed, file_len, Owner::Payload(block))?;
                used.push((entry.offset(), geometry.block_size, Owner::Payload(block)));
            }
            _ if entry.offset() != 0 && entry.offset() < file_len => {
                // A soft anchor: nothing is read from there, but nothing else is put there either.
                anchors.push((entry.offset(), geometry.block_size));
            }
            _ => {}
        }
    }
    let mut ranges = disjoint(used)?;
    ranges.append(&mut anchors);
    Ok(ranges)
}

/// An entry with what a message about it needs.
struct Fault {
    at: u64,
    slot: Slot,
    entry: Entry,
}

impl Fault {
    fn corrupt(&self, requires: &'static str) -> Error {
        let name = match self.slot {
            Slot::Payload(block) => format!("BAT entry of payload block {block}"),
            Slot::Bitmap(chunk) => format!("BAT entry of the sector bitmap of chunk {chunk}"),
        };
        Error::corrupt(name)
            .at(self.at)
            .found(format!("state {} and file offset {}", self.entry.0 & 7, self.entry.offset()))
            .requires(requires)
            .remedy("restore the file from a backup")
    }

    /// The state, where it is one that may stand here.
    fn state(&self, has_parent: bool) -> Result<State, Error> {
        let state = self
            .entry
            .state()
            .ok_or_else(|| self.corrupt("state 0..3, 6 or 7; 4 and 5 are reserved (MS-VHDX 2.5.1.1)"))?;
        if self.entry.reserved() {
            return Err(self.corrupt("bits 3..19 to be zero (MS-VHDX 2.5.1)"));
        }
        match (self.slot, state) {
            (Slot::Bitmap(_), State::Full | State::NotPresent) if has_parent => {}
            (Slot::Bitmap(_), State::NotPresent) => {}
            (Slot::Bitmap(_), _) if has_parent => {
                return Err(self.corrupt("state 0 or 6 (MS-VHDX 2.5.1.2)"));
            }
            (Slot::Bitmap(_), _) => {
                return Err(self.corrupt("state 0 in a file without a parent (MS-VHDX 2.5.1.2)"));
            }
            (Slot::Payload(_), State::Partial) if !has_parent => {
                return Err(self.corrupt("state 7 in differencing files only (MS-VHDX 2.5.1.1)"));
            }
            _ => {}
        }
        Ok(state)
    }
}

fn fixed_objects(header: &Header, regions: &Regions) -> Vec<Used> {
    let mut used = vec![(0, MIB, Owner::Header)];
    if header.log_length > 0 {
        used.push((header.log_offset, u64::from(header.log_length), Owner::Log));
    }
    used.extend(regions.all.iter().map(|found| {
        let owner = match found.id {
            region::BAT => Owner::Bat,
            region::METADATA => Owner::Metadata,
            _ => Owner::Region,
        };
        (found.offset, found.length, owner)
    }));
    used
}

fn inside(offset: u64, len: u64, file_len: u64, owner: Owner) -> Result<(), Error> {
    if owner == Owner::Header || offset.checked_add(len).is_some_and(|end| end <= file_len) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Truncated, owner.to_string())
        .at(offset)
        .found(format!("{len} bytes in a file of {file_len}"))
        .requires("every object to lie within the file (MS-VHDX 2.1)")
        .remedy("restore the file from a complete copy"))
}

/// Refuses ranges that overlap; gives them back in order.
fn disjoint(mut used: Vec<Used>) -> Result<Vec<(u64, u64)>, Error> {
    used.sort_unstable();
    for pair in used.windows(2) {
        let ((first, len, owner), (second, _, other)) = (pair[0], pair[1]);
        if first.saturating_add(len) > second {
            return Err(Error::corrupt(other.to_string())
                .at(second)
                .found(format!("space that {owner} has too"))
                .requires("objects never to overlap (MS-VHDX 2.1)")
                .remedy("restore the file from a backup"));
        }
    }
    Ok(used.into_iter().map(|(offset, len, _)| (offset, len)).collect())
}
