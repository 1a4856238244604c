//! What must hold between the structures of a file: everything inside the file, nothing twice, states that
//! fit.

use std::fmt;
use std::ops::Range;

use super::bat::{BITMAP_BLOCK, Bat, Entry, Geometry, Slot, State};
use super::header::Header;
use super::metadata::Metadata;
use super::region::{self, Regions};
use super::space::Space;
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

impl From<Slot> for Owner {
    fn from(slot: Slot) -> Self {
        match slot {
            Slot::Payload(block) => Self::Payload(block),
            Slot::Bitmap(chunk) => Self::Bitmap(chunk),
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
    disjoint(used)
}

/// Checks every entry of the BAT, in one pass that keeps nothing of it, and returns what is used of the file.
pub(crate) fn blocks(
    header: &Header,
    all: &Regions,
    metadata: &Metadata,
    geometry: &Geometry,
    bat: &mut Bat,
    file_len: u64,
) -> Result<Space, Error> {
    let has_parent = metadata.parent.is_some();
    let mut space = Space::new(file_len);
    for (offset, len, _) in fixed_objects(header, all) {
        space.claim(offset, len);
    }
    // A partially present block whose chunk's sector bitmap, which follows, was not seen yet.
    let mut waiting: Option<(u64, Fault)> = None;
    bat.survey(|bat, index, entry| {
        let slot = geometry.slot(index);
        if matches!(slot, Slot::Payload(block) if block >= geometry.payload_blocks) {
            return Ok(());
        }
        let fault = Fault { at: bat.file_offset(index), slot, entry };
        let state = fault.state(has_parent)?;
        let chunk = match slot {
            Slot::Payload(block) => block / geometry.chunk_ratio,
            Slot::Bitmap(chunk) => chunk,
        };
        if let Some((_, before)) = waiting.take_if(|(of, _)| *of != chunk) {
            return Err(before.without_bitmap());
        }
        let (needed, len) = match (slot, state) {
            (Slot::Bitmap(_), State::Full) => {
                waiting = None;
                (BITMAP_BLOCK, BITMAP_BLOCK)
            }
            (Slot::Payload(block), State::Full | State::Partial) => {
                if state == State::Partial {
                    waiting.get_or_insert((chunk, fault));
                }
                // Some writers end a fixed file with the disk's last byte instead of the last block's.
                (geometry.block_size.min(metadata.size - block * geometry.block_size), geometry.block_size)
            }
            _ => {
                if entry.offset() != 0 && entry.offset() < file_len {
                    space.anchor(entry.offset(), geometry.block_size);
                }
                return Ok(());
            }
        };
        let (offset, owner) = (entry.offset(), Owner::from(slot));
        inside(offset, needed, file_len, owner)?;
        if space.claim(offset, len) {
            let other = holder(header, all, geometry, bat, offset..offset.saturating_add(len))?;
            return Err(overlap(owner, offset, other));
        }
        Ok(())
    })?;
    waiting.map_or(Ok(space), |(_, before)| Err(before.without_bitmap()))
}

/// The first owner of any of a range: what stands there apart from the BAT, else the first entry that names
/// it.
fn holder(
    header: &Header,
    all: &Regions,
    geometry: &Geometry,
    bat: &Bat,
    range: Range<u64>,
) -> Result<Option<Owner>, Error> {
    let overlaps = |offset: u64, len: u64| offset < range.end && offset.saturating_add(len) > range.start;
    let fixed = fixed_objects(header, all).into_iter().find(|(offset, len, _)| overlaps(*offset, *len));
    let mut found = fixed.map(|(_, _, owner)| owner);
    bat.for_each(|index, entry| {
        let slot = geometry.slot(index);
        let len = if matches!(slot, Slot::Bitmap(_)) { BITMAP_BLOCK } else { geometry.block_size };
        let here = matches!(entry.state(), Some(State::Full | State::Partial));
        if found.is_none() && here && overlaps(entry.offset(), len) {
            found = Some(slot.into());
        }
        Ok(())
    })?;
    Ok(found)
}

fn overlap(owner: Owner, at: u64, other: Option<Owner>) -> Error {
    let other = other.map_or_else(|| "another object".to_owned(), |other| other.to_string());
    Error::corrupt(owner.to_string())
        .at(at)
        .found(format!("space that {other} has too"))
        .requires("objects never to overlap (MS-VHDX 2.1)")
        .remedy("restore the file from a backup")
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

    fn without_bitmap(&self) -> Error {
        self.corrupt("a sector bitmap block that is present (MS-VHDX 2.5.1.1)")
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

/// Refuses ranges that overlap.
fn disjoint(mut used: Vec<Used>) -> Result<(), Error> {
    used.sort_unstable();
    for pair in used.windows(2) {
        let ((first, len, owner), (second, _, other)) = (pair[0], pair[1]);
        if first.saturating_add(len) > second {
            return Err(overlap(other, second, Some(owner)));
        }
    }
    Ok(())
}
