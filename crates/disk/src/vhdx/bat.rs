//! The block allocation table (MS-VHDX 2.5): its geometry, its entries, and the table in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::metadata::Metadata;
use crate::bytes::{MIB, get_u64, is_zero, to_u64, to_usize};
use crate::error::Error;
use crate::file::BlockFile;

/// Bytes of a sector bitmap block: one bit for each of the 2^23 sectors of a chunk.
pub(crate) const BITMAP_BLOCK: u64 = MIB;
/// Sectors of a chunk.
const CHUNK_SECTORS: u64 = 1 << 23;
/// Entries in 4 KiB, the unit in which the log carries changes of the table.
const PAGE_ENTRIES: u64 = 512;
/// Bytes of such a page.
pub(crate) const PAGE: u64 = 4096;

/// How blocks and sector bitmaps are laid out over the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub block_size: u64,
    /// Payload blocks per sector bitmap block.
    pub chunk_ratio: u64,
    pub payload_blocks: u64,
    /// Entries of the table.
    pub entries: u64,
}

/// What an entry of the table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Payload(u64),
    Bitmap(u64),
}

impl Geometry {
    pub(crate) fn new(metadata: &Metadata) -> Self {
        let chunk_ratio = CHUNK_SECTORS * u64::from(metadata.logical_sector) / metadata.block_size;
        let payload_blocks = metadata.size.div_ceil(metadata.block_size);
        let entries = if metadata.parent.is_some() {
            payload_blocks.div_ceil(chunk_ratio) * (chunk_ratio + 1)
        } else {
            payload_blocks + (payload_blocks - 1) / chunk_ratio
        };
        Self { block_size: metadata.block_size, chunk_ratio, payload_blocks, entries }
    }

    /// The table index of a payload block.
    pub(crate) fn payload_index(&self, block: u64) -> u64 {
        block + block / self.chunk_ratio
    }

    /// The table index of the sector bitmap of a chunk.
    pub(crate) fn bitmap_index(&self, chunk: u64) -> u64 {
        chunk * (self.chunk_ratio + 1) + self.chunk_ratio
    }

    /// What stands at a table index.
    pub(crate) fn slot(&self, index: u64) -> Slot {
        let (chunk, within) = (index / (self.chunk_ratio + 1), index % (self.chunk_ratio + 1));
        if within == self.chunk_ratio {
            Slot::Bitmap(chunk)
        } else {
            Slot::Payload(chunk * self.chunk_ratio + within)
        }
    }

    /// The first payload block whose table index is at least `index`.
    fn block_from(&self, index: u64) -> u64 {
        let (chunk, within) = (index / (self.chunk_ratio + 1), index % (self.chunk_ratio + 1));
        chunk * self.chunk_ratio + within.min(self.chunk_ratio)
    }
}

/// The state of a payload block (MS-VHDX 2.5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    NotPresent,
    Undefined,
    Zero,
    Unmapped,
    Full,
    Partial,
}

/// One entry: state in bits 0..2, file offset in bits 20..63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry(pub u64);

impl Entry {
    pub(crate) fn new(state: State, offset: u64) -> Self {
        debug_assert!(offset.is_multiple_of(MIB));
        let bits = match state {
            State::NotPresent => 0,
            State::Undefined => 1,
            State::Zero => 2,
            State::Unmapped => 3,
            State::Full => 6,
            State::Partial => 7,
        };
        Self(offset | bits)
    }

    /// The state, or `None` for the reserved values 4 and 5.
    pub(crate) fn state(self) -> Option<State> {
        Some(match self.0 & 7 {
            0 => State::NotPresent,
            1 => State::Undefined,
            2 => State::Zero,
            3 => State::Unmapped,
            6 => State::Full,
            7 => State::Partial,
            _ => return None,
        })
    }

    /// The byte offset in the file.
    pub(crate) fn offset(self) -> u64 {
        self.0 & !(MIB - 1)
    }

    /// Whether bits that the format reserves are set.
    pub(crate) fn reserved(self) -> bool {
        self.0 & 0xF_FFF8 != 0
    }
}

/// The table in memory: pages of 512 entries, only those that are not all zero.
#[derive(Debug, Clone)]
pub(crate) struct Bat {
    offset: u64,
    pages: BTreeMap<u64, Box<[u64]>>,
    dirty: BTreeSet<u64>,
}

impl Bat {
    /// Reads `entries` entries from `offset`; holes of the host's file are not read.
    pub(crate) fn read(file: &dyn BlockFile, offset: u64, entries: u64) -> Result<Self, Error> {
        let fail = |error| Error::io("BAT", error).at(offset);
        let end = offset + entries * 8;
        let mut bat = Self { offset, pages: BTreeMap::new(), dirty: BTreeSet::new() };
        let mut buf = vec![0; to_usize(MIB)];
        let mut next = offset;
        for part in file.data_extents(offset..end).map_err(fail)? {
            let mut at = (part.start / PAGE * PAGE).max(next);
            while at < part.end {
                let len = (part.end.next_multiple_of(PAGE) - at).min(MIB);
                // Entries past the table's end stay zero.
                let read = &mut buf[..to_usize(len.min(end - at))];
                file.read_at(at, read).map_err(fail)?;
                for (index, page) in read.chunks(to_usize(PAGE)).enumerate() {
                    bat.load((at - offset) / PAGE + to_u64(index), page);
                }
                at += len;
            }
            next = at.max(next);
        }
        Ok(bat)
    }

    fn load(&mut self, page: u64, bytes: &[u8]) {
        if !is_zero(bytes) {
            let mut entries = vec![0; to_usize(PAGE_ENTRIES)];
            for (entry, bytes) in entries.iter_mut().zip(bytes.chunks_exact(8)) {
                *entry = get_u64(bytes, 0);
            }
            self.pages.insert(page, entries.into());
        }
    }

    pub(crate) fn get(&self, index: u64) -> Entry {
        let page = self.pages.get(&(index / PAGE_ENTRIES));
        Entry(page.map_or(0, |page| page[to_usize(index % PAGE_ENTRIES)]))
    }

    pub(crate) fn set(&mut self, index: u64, entry: Entry) {
        let page = index / PAGE_ENTRIES;
        let entries = self.pages.entry(page).or_insert_with(|| vec![0; to_usize(PAGE_ENTRIES)].into());
        entries[to_usize(index % PAGE_ENTRIES)] = entry.0;
        self.dirty.insert(page);
    }

    /// Where an entry stands in the file.
    pub(crate) fn file_offset(&self, index: u64) -> u64 {
        self.offset + index * 8
    }

    /// All entries that are not zero, in order.
    pub(crate) fn filled(&self) -> impl Iterator<Item = (u64, Entry)> {
        self.pages.iter().flat_map(|(page, entries)| {
            let first = page * PAGE_ENTRIES;
            let indexed =
                entries.iter().enumerate().map(move |(at, entry)| (first + to_u64(at), Entry(*entry)));
            indexed.filter(|(_, entry)| entry.0 != 0)
        })
    }

    /// The end of the run of blocks from `block` on whose entries are surely all zero: `block` itself when it
    /// is not.
    pub(crate) fn absent_until(&self, geometry: &Geometry, block: u64) -> u64 {
        let page = geometry.payload_index(block) / PAGE_ENTRIES;
        match self.pages.range(page..).next() {
            Some((found, _)) if *found == page => block,
            Some((found, _)) => geometry.block_from(found * PAGE_ENTRIES).min(geometry.payload_blocks),
            None => geometry.payload_blocks,
        }
    }

    /// Makes the page of an entry one that will be written, changed or not.
    pub(crate) fn touch(&mut self, index: u64) {
        self.set(index, self.get(index));
    }

    /// Puts the table elsewhere; all of it will have to be written there.
    pub(crate) fn move_to(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// All pages that hold anything, with their file offsets.
    pub(crate) fn all_pages(&self) -> Vec<(u64, Vec<u8>)> {
        let encode = |entries: &[u64]| entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        self.pages.iter().map(|(page, entries)| (self.offset + page * PAGE, encode(entries))).collect()
    }

    /// How many pages were changed since [`Bat::take_dirty`].
    pub(crate) fn dirty_pages(&self) -> usize {
        self.dirty.len()
    }

    /// The changed pages with their file offsets, the highest first. A payload entry and the entry of its
    /// sector bitmap may lie in different pages, the bitmap's never in the lower one: in this order no prefix
    /// of the changes names a partially present block before its bitmap.
    pub(crate) fn take_dirty(&mut self) -> Vec<(u64, Vec<u8>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let encode = |page: u64| {
            let entries = self.pages.get(&page).map(|page| &page[..]).unwrap_or_default();
            (self.offset + page * PAGE, entries.iter().flat_map(|entry| entry.to_le_bytes()).collect())
        };
        dirty.into_iter().rev().map(encode).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::MemFile;

    fn metadata(size: u64, block_size: u64, logical_sector: u32) -> Metadata {
        Metadata {
            block_size,
            leave_allocated: false,
            size,
            disk_id: uuid::Uuid::nil(),
            logical_sector,
            physical_sector: 4096,
            parent: None,
        }
    }

    #[test]
    fn chunk_ratios_of_the_specification() {
        for (block, sector, ratio) in [
            (1, 512, 4096),
            (2, 512, 2048),
            (32, 512, 128),
            (256, 512, 16),
            (1, 4096, 32_768),
            (256, 4096, 128),
        ] {
            assert_eq!(Geometry::new(&metadata(MIB, block * MIB, sector)).chunk_ratio, ratio);
        }
    }

    #[test]
    fn index_and_slot_are_inverse() {
        let geometry = Geometry::new(&metadata(20 << 30, 32 * MIB, 512));
        assert_eq!(geometry.entries, 640 + 4);
        for block in 0..geometry.payload_blocks {
            let index = geometry.payload_index(block);
            assert_eq!(geometry.slot(index), Slot::Payload(block));
            assert_eq!(geometry.block_from(index), block);
        }
        for chunk in 0..5 {
            let index = geometry.bitmap_index(chunk);
            assert_eq!(geometry.slot(index), Slot::Bitmap(chunk));
            assert_eq!(geometry.block_from(index), (chunk + 1) * 128);
        }
    }

    #[test]
    fn empty_runs_are_skipped_by_page() {
        let geometry = Geometry::new(&metadata(64 << 40, MIB, 512));
        let mut bat = Bat::read(&MemFile::new(), 0, geometry.entries).unwrap();
        assert_eq!(bat.absent_until(&geometry, 0), geometry.payload_blocks);
        bat.set(geometry.payload_index(1 << 20), Entry::new(State::Zero, 0));
        let until = bat.absent_until(&geometry, 5);
        assert!(until <= 1 << 20 && until > (1 << 20) - 512);
        assert_eq!(bat.absent_until(&geometry, 1 << 20), 1 << 20);
        assert_eq!(bat.filled().count(), 1);
    }

    #[test]
    fn changed_pages_come_highest_first() {
        let mut bat = Bat::read(&MemFile::new(), MIB, 4096).unwrap();
        for index in [5, 2000, 600, 7] {
            bat.set(index, Entry::new(State::Full, index * MIB));
        }
        let pages = bat.take_dirty();
        let offsets: Vec<u64> = pages.iter().map(|(offset, _)| offset - MIB).collect();
        assert_eq!(offsets, [3 * PAGE, PAGE, 0]);
        assert_eq!(get_u64(&pages[2].1, 40), (5 * MIB) | 6);
        assert_eq!(bat.dirty_pages(), 0);
    }
}
