//! The block allocation table (MS-VHDX 2.5): its geometry, its entries, and the part of it that is in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::metadata::Metadata;
use crate::bytes::{MIB, get_u64, to_u64, to_usize};
use crate::error::Error;
use crate::file::BlockFile;

/// Bytes of a sector bitmap block: one bit for each of the 2^23 sectors of a chunk.
pub(crate) const BITMAP_BLOCK: u64 = MIB;
/// Sectors of a chunk.
const CHUNK_SECTORS: u64 = 1 << 23;
/// Bytes of a page, the unit in which the log carries changes of the table.
pub(crate) const PAGE: u64 = 4096;
const PAGE_BYTES: usize = 4096;
const PAGE_ENTRIES: usize = PAGE_BYTES / 8;
/// Pages that are kept in memory after they were read: 1 MiB, the table of 128 GiB in the smallest blocks.
const SLOTS: usize = 256;
/// Pages that are read at once when the whole table is looked at.
const STRETCH: u64 = 256;

/// How blocks and sector bitmaps are laid out over the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub block_size: u64,
    /// Payload blocks per sector bitmap block.
    pub chunk_ratio: u64,
    pub payload_blocks: u64,
    /// Entries of the table.
    pub entries: u64,
    /// Block size and chunk ratio are powers of two: their logarithms.
    block_shift: u32,
    chunk_shift: u32,
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
        Self {
            block_size: metadata.block_size,
            chunk_ratio,
            payload_blocks,
            entries,
            block_shift: metadata.block_size.trailing_zeros(),
            chunk_shift: chunk_ratio.trailing_zeros(),
        }
    }

    /// The payload block of a byte of the disk.
    pub(crate) fn block(&self, at: u64) -> u64 {
        at >> self.block_shift
    }

    /// The bytes between the front of its block and a byte of the disk.
    pub(crate) fn within(&self, at: u64) -> u64 {
        at & (self.block_size - 1)
    }

    /// The table index of a payload block.
    pub(crate) fn payload_index(&self, block: u64) -> u64 {
        block + (block >> self.chunk_shift)
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

/// Entries of a page.
type Page = [u64; PAGE_ENTRIES];

/// A page as it is in the file, with its number.
type Recent = Option<(u64, Box<Page>)>;

/// The table, loaded in pages of 512 entries as they are asked for. What stays in memory is bounded: one bit
/// for each page (16 KiB for the largest table), [`SLOTS`] pages that were read lately, and the pages changed
/// since the last [`Bat::settle`].
pub(crate) struct Bat {
    file: Arc<dyn BlockFile>,
    offset: u64,
    entries: u64,
    /// One bit for each page: whether it may hold anything. A page that does not is never read.
    filled: Vec<u64>,
    dirty: BTreeMap<u64, Box<Page>>,
    /// Pages as they are in the file, each at its number modulo [`SLOTS`].
    recent: Mutex<Vec<Recent>>,
}

impl Bat {
    /// The table of `entries` entries at `offset`. Nothing is read yet; holes of the host's file never will
    /// be.
    pub(crate) fn open(file: Arc<dyn BlockFile>, offset: u64, entries: u64) -> Result<Self, Error> {
        let end = offset + entries * 8;
        let parts = file.data_extents(offset..end).map_err(|error| Error::io("BAT", error).at(offset))?;
        let recent = Mutex::new(std::iter::repeat_with(|| None).take(SLOTS).collect());
        let mut bat = Self { file, offset, entries, filled: Vec::new(), dirty: BTreeMap::new(), recent };
        for part in parts {
            for page in (part.start - offset) / PAGE..(part.end - offset).div_ceil(PAGE) {
                bat.mark(page);
            }
        }
        Ok(bat)
    }

    fn mark(&mut self, page: u64) {
        let word = to_usize(page / 64);
        if word >= self.filled.len() {
            self.filled.resize(word + 1, 0);
        }
        self.filled[word] |= 1 << (page % 64);
    }

    /// The first page from `page` on that may hold anything.
    fn next_filled(&self, page: u64) -> Option<u64> {
        let first = to_usize(page / 64);
        let word = self.filled.get(first)? & (u64::MAX << (page % 64));
        let rest = self.filled[first + 1..].iter().copied();
        let (at, word) = (first..).zip(std::iter::once(word).chain(rest)).find(|(_, word)| *word != 0)?;
        Some(to_u64(at) * 64 + u64::from(word.trailing_zeros()))
    }

    /// Visits all entries that are not zero, in order, page by page through the file: once, to be checked.
    /// Pages that turn out to be empty are not looked at again.
    pub(crate) fn survey(
        &mut self,
        mut visit: impl FnMut(&Self, u64, Entry) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut empty = Vec::new();
        self.each_page(|number, page| {
            if page.iter().all(|entry| *entry == 0) {
                empty.push(number);
                return Ok(());
            }
            filled_entries(number, page).try_for_each(|(index, entry)| visit(self, index, entry))
        })?;
        for page in empty {
            self.filled[to_usize(page / 64)] &= !(1 << (page % 64));
        }
        Ok(())
    }

    /// Visits all entries that are not zero, in order.
    pub(crate) fn for_each(
        &self,
        mut visit: impl FnMut(u64, Entry) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.each_page(|number, page| {
            filled_entries(number, page).try_for_each(|(index, entry)| visit(index, entry))
        })
    }

    /// Visits the pages that may hold anything, in order; none of them stays in memory.
    fn each_page(&self, mut visit: impl FnMut(u64, &Page) -> Result<(), Error>) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let mut page = [0; PAGE_ENTRIES];
        let mut next = 0;
        while let Some(first) = self.next_filled(next) {
            let mut end = first + 1;
            while end < first + STRETCH && self.next_filled(end) == Some(end) {
                end += 1;
            }
            bytes.resize(to_usize((end - first) * PAGE), 0);
            self.read_pages(first, &mut bytes)?;
            for (number, bytes) in (first..).zip(bytes.chunks_exact(to_usize(PAGE))) {
                match self.dirty.get(&number) {
                    Some(changed) => visit(number, changed)?,
                    None => {
                        decode(bytes, &mut page);
                        visit(number, &page)?;
                    }
                }
            }
            next = end;
        }
        Ok(())
    }

    /// Fills whole pages from the file. What lies behind the table's last entry means nothing and is zero.
    fn read_pages(&self, first: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let at = self.offset + first * PAGE;
        let valid = (self.entries * 8).saturating_sub(first * PAGE).min(to_u64(bytes.len()));
        let (read, behind) = bytes.split_at_mut(to_usize(valid));
        behind.fill(0);
        self.file.read_at(at, read).map_err(|error| Error::io("BAT", error).at(at))
    }

    fn load(&self, number: u64, page: &mut Page) -> Result<(), Error> {
        let mut bytes = [0; PAGE_BYTES];
        self.read_pages(number, &mut bytes)?;
        decode(&bytes, page);
        Ok(())
    }

    /// Calls `look` with a page that may hold something and has no changes.
    fn with_clean<T>(&self, number: u64, look: impl FnOnce(&Page) -> T) -> Result<T, Error> {
        let mut slots = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut slots[slot(number)];
        if let Some((held, page)) = slot
            && *held == number
        {
            return Ok(look(page));
        }
        // Taken out first: a page that could be read in part only must not stay.
        let mut page = slot.take().map_or_else(|| Box::new([0; PAGE_ENTRIES]), |(_, page)| page);
        self.load(number, &mut page)?;
        let (_, page) = slot.insert((number, page));
        Ok(look(page))
    }

    fn may_hold(&self, page: u64) -> bool {
        self.filled.get(to_usize(page / 64)).is_some_and(|word| word >> (page % 64) & 1 != 0)
    }

    pub(crate) fn get(&self, index: u64) -> Result<Entry, Error> {
        let (number, within) = (index / to_u64(PAGE_ENTRIES), to_usize(index % to_u64(PAGE_ENTRIES)));
        if !self.may_hold(number) {
            return Ok(Entry(0));
        }
        match self.dirty.get(&number) {
            Some(page) => Ok(Entry(page[within])),
            None => self.with_clean(number, |page| Entry(page[within])),
        }
    }

    pub(crate) fn set(&mut self, index: u64, entry: Entry) -> Result<(), Error> {
        self.page_mut(index)?[to_usize(index % to_u64(PAGE_ENTRIES))] = entry.0;
        Ok(())
    }

    /// Makes the page of an entry one that will be written, changed or not.
    pub(crate) fn touch(&mut self, index: u64) -> Result<(), Error> {
        self.page_mut(index).map(drop)
    }

    fn page_mut(&mut self, index: u64) -> Result<&mut Page, Error> {
        let number = index / to_u64(PAGE_ENTRIES);
        if !self.dirty.contains_key(&number) {
            let held = self.may_hold(number).then(|| self.with_clean(number, |page| *page));
            self.dirty.insert(number, Box::new(held.transpose()?.unwrap_or([0; PAGE_ENTRIES])));
            self.mark(number);
        }
        Ok(self.dirty.get_mut(&number).expect("inserted above"))
    }

    /// Where an entry stands in the file.
    pub(crate) fn file_offset(&self, index: u64) -> u64 {
        self.offset + index * 8
    }

    /// The end of the run of blocks from `block` on whose entries are surely all zero: `block` itself when it
    /// is not.
    pub(crate) fn absent_until(&self, geometry: &Geometry, block: u64) -> u64 {
        let page = geometry.payload_index(block) / to_u64(PAGE_ENTRIES);
        match self.next_filled(page) {
            Some(found) if found == page => block,
            Some(found) => geometry.block_from(found * to_u64(PAGE_ENTRIES)).min(geometry.payload_blocks),
            None => geometry.payload_blocks,
        }
    }

    /// Gives the table another number of entries. Those that are added are zero, whatever the file holds
    /// there.
    pub(crate) fn set_entries(&mut self, entries: u64) {
        self.entries = entries;
    }

    /// Empties everything from an index on; whole pages of that must be zero in the file by now.
    pub(crate) fn clear_from(&mut self, entries: u64) -> Result<(), Error> {
        let keep = (entries - 1) % to_u64(PAGE_ENTRIES) + 1;
        self.page_mut(entries - 1)?[to_usize(keep)..].fill(0);
        let behind = (entries - 1) / to_u64(PAGE_ENTRIES) + 1;
        self.dirty.split_off(&behind);
        while let Some(page) = self.next_filled(behind) {
            self.filled[to_usize(page / 64)] &= !(1 << (page % 64));
        }
        Ok(())
    }

    /// Copies the table to another place that reads as zeros, and uses it from there on. Changes that are not
    /// settled are to be written there.
    pub(crate) fn move_to(&mut self, offset: u64) -> Result<(), Error> {
        let fail = |at, error| Error::io("BAT", error).at(at);
        self.each_page(|number, page| {
            let at = offset + number * PAGE;
            self.file.write_at(at, &encode(page)).map_err(|error| fail(at, error))
        })?;
        self.offset = offset;
        Ok(())
    }

    /// How many pages were changed since [`Bat::settle`].
    pub(crate) fn dirty_pages(&self) -> usize {
        self.dirty.len()
    }

    /// The changed pages with their file offsets, the highest first. A payload entry and the entry of its
    /// sector bitmap may lie in different pages, the bitmap's never in the lower one: in this order no prefix
    /// of the changes names a partially present block before its bitmap.
    pub(crate) fn changes(&self) -> Vec<(u64, Vec<u8>)> {
        let place = |number: &u64| self.offset + number * PAGE;
        self.dirty.iter().rev().map(|(number, page)| (place(number), encode(page))).collect()
    }

    /// Notes that all changed pages are in the file. Until then they stay in memory: after a write that
    /// failed, they are what counts.
    pub(crate) fn settle(&mut self) {
        let slots = self.recent.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (number, page) in std::mem::take(&mut self.dirty) {
            slots[slot(number)] = Some((number, page));
        }
    }
}

fn slot(page: u64) -> usize {
    to_usize(page % to_u64(SLOTS))
}

fn filled_entries(number: u64, page: &Page) -> impl Iterator<Item = (u64, Entry)> {
    let first = number * to_u64(PAGE_ENTRIES);
    (first..).zip(page).filter(|(_, entry)| **entry != 0).map(|(index, entry)| (index, Entry(*entry)))
}

fn decode(bytes: &[u8], page: &mut Page) {
    for (entry, bytes) in page.iter_mut().zip(bytes.chunks_exact(8)) {
        *entry = get_u64(bytes, 0);
    }
}

fn encode(page: &Page) -> Vec<u8> {
    page.iter().flat_map(|entry| entry.to_le_bytes()).collect()
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
        let file = Arc::new(MemFile::new());
        file.set_len(geometry.entries * 8).unwrap();
        let mut bat = Bat::open(file, 0, geometry.entries).unwrap();
        assert_eq!(bat.absent_until(&geometry, 0), geometry.payload_blocks);
        bat.set(geometry.payload_index(1 << 20), Entry::new(State::Zero, 0)).unwrap();
        let until = bat.absent_until(&geometry, 5);
        assert!(until <= 1 << 20 && until > (1 << 20) - 512);
        assert_eq!(bat.absent_until(&geometry, 1 << 20), 1 << 20);
        let mut found = 0;
        bat.for_each(|_, _| {
            found += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(found, 1);
    }

    #[test]
    fn changed_pages_come_highest_first_and_stay_until_they_are_settled() {
        let mut bat = Bat::open(Arc::new(MemFile::new()), MIB, 4096).unwrap();
        for index in [5, 2000, 600, 7] {
            bat.set(index, Entry::new(State::Full, index * MIB)).unwrap();
        }
        let pages = bat.changes();
        let offsets: Vec<u64> = pages.iter().map(|(offset, _)| offset - MIB).collect();
        assert_eq!(offsets, [3 * PAGE, PAGE, 0]);
        assert_eq!(get_u64(&pages[2].1, 40), (5 * MIB) | 6);
        assert_eq!(bat.dirty_pages(), 3);
        bat.settle();
        assert_eq!(bat.dirty_pages(), 0);
    }

    /// A table of more pages than stay in memory, its pages hit in an order that makes them drive each other
    /// out, against a plain list.
    #[test]
    fn pages_that_were_driven_out_are_read_again() {
        let entries = 3 * to_u64(SLOTS * PAGE_ENTRIES) + 17;
        let file = Arc::new(MemFile::new());
        file.set_len(entries * 8 + PAGE).unwrap();
        // What lies behind the last entry is not of the table.
        file.write_at(entries * 8, &[0xFF; 64]).unwrap();
        let mut bat = Bat::open(Arc::<MemFile>::clone(&file), 0, entries).unwrap();
        let mut want = vec![0; to_usize(entries)];
        for step in 0..5000_u64 {
            let index = step * 7_919 * 64 % entries;
            assert_eq!(bat.get(index).unwrap().0, want[to_usize(index)], "step {step}");
            if step % 3 == 0 {
                want[to_usize(index)] = (step << 20) | 6;
                bat.set(index, Entry((step << 20) | 6)).unwrap();
            }
            if step % 100 == 99 {
                for (at, page) in bat.changes() {
                    file.write_at(at, &page).unwrap();
                }
                bat.settle();
            }
        }
        let mut seen = vec![0; to_usize(entries)];
        bat.survey(|_, index, entry| {
            seen[to_usize(index)] = entry.0;
            Ok(())
        })
        .unwrap();
        assert!(seen == want);
        let kept = bat.recent.get_mut().unwrap().iter().flatten().count();
        assert!(kept <= SLOTS && bat.filled.len() <= 13);
    }
}
