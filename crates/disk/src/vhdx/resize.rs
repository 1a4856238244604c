//! Another size in place, other items of the metadata, and blocks given up: all through the log.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use uuid::Uuid;

use super::bat::{Entry, Geometry, PAGE, State};
use super::header::Header;
use super::image::VhdxImage;
use super::locator::Locator;
use super::log::BATCH;
use super::metadata::{DISK_SIZE, MAX_DISK, Metadata, PARENT_LOCATOR, replace_item};
use super::region::{self, Region, Regions};
use super::write::{GATHER, GivenUp};
use crate::bytes::{MIB, round_up, to_u64, to_usize};
use crate::error::{Error, ErrorKind};
use crate::file::{FileSystem, read_structure};
use crate::image::{Image, Trim};

/// Changes of the file that become durable together: pages of 4 KiB by file offset.
type Pages = Vec<(u64, Vec<u8>)>;

impl VhdxImage {
    /// Lays small changes (file offset, bytes) over the pages of the file.
    pub(super) fn pages_with(&self, changes: &[(u64, Vec<u8>)]) -> Result<Pages, Error> {
        let mut pages: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for (at, bytes) in changes {
            let end = at + to_u64(bytes.len());
            for page in (at / PAGE * PAGE..end).step_by(to_usize(PAGE)) {
                if let std::collections::btree_map::Entry::Vacant(slot) = pages.entry(page) {
                    let mut content = vec![0; to_usize(PAGE)];
                    let read = read_structure(&*self.file, "metadata", page, &mut content);
                    read.map_err(|error| error.in_file(&self.path))?;
                    slot.insert(content);
                }
                let (from, to) = ((*at).max(page), end.min(page + PAGE));
                let content = pages.get_mut(&page).expect("inserted above");
                content[to_usize(from - page)..to_usize(to - page)]
                    .copy_from_slice(&bytes[to_usize(from - at)..to_usize(to - at)]);
            }
        }
        Ok(pages.into_iter().collect())
    }

    /// The region table that counts.
    pub(super) fn regions(&self) -> Result<Regions, Error> {
        Regions::read(&*self.file).map_err(|error| error.in_file(&self.path))
    }

    fn item_changes(&self, id: Uuid, content: &[u8]) -> Result<Pages, Error> {
        let regions = self.regions()?;
        replace_item(&*self.file, regions.metadata, id, content).map_err(|error| error.in_file(&self.path))
    }

    /// Makes changes durable together, in the log at least; what they rest on is durable before.
    pub(super) fn commit_together(&mut self, pages: &[(u64, Vec<u8>)]) -> Result<(), Error> {
        if pages.len() > BATCH {
            return Err(Error::new(ErrorKind::Unsupported, "metadata")
                .in_file(&self.path)
                .found(format!("a change of {} sectors of 4 KiB at once", pages.len()))
                .requires(format!("at most {BATCH}, what goes into one entry of the log"))
                .remedy("copy the disk into a new file"));
        }
        self.flush_file()?;
        self.commit_batch(pages)
    }

    /// Replaces the parent locator. The content stays what it is: the DataWriteGuid is kept.
    pub(super) fn set_locator(&mut self, locator: Locator) -> Result<(), Error> {
        self.begin_as(false)?;
        self.commit()?;
        let changes = self.item_changes(PARENT_LOCATOR, &locator.encode())?;
        let pages = self.pages_with(&changes)?;
        self.commit_together(&pages)?;
        self.metadata.parent = Some(locator);
        Ok(())
    }

    /// The contents of both region tables.
    fn region_tables(&self) -> Result<[Vec<u8>; 2], Error> {
        let mut tables = [vec![0; to_usize(region::LEN)], vec![0; to_usize(region::LEN)]];
        for (table, at) in tables.iter_mut().zip(region::OFFSETS) {
            let read = read_structure(&*self.file, "region table", at, table);
            read.map_err(|error| error.in_file(&self.path))?;
        }
        Ok(tables)
    }

    /// What is damaged though the file can be read.
    pub(super) fn weak_points(&self) -> Result<Vec<String>, Error> {
        let mut weak = Vec::new();
        for (number, at) in (1..).zip(super::header::OFFSETS) {
            let mut buf = vec![0; to_usize(super::header::LEN)];
            let read = read_structure(&*self.file, "VHDX header", at, &mut buf);
            read.map_err(|error| error.in_file(&self.path))?;
            if Header::decode(&buf).is_none() {
                weak.push(format!("header {number} at offset {at} has no valid signature and checksum"));
            }
        }
        let [first, second] = self.region_tables()?;
        if first != second {
            weak.push("the two region tables differ".to_owned());
        }
        Ok(weak)
    }

    /// Writes both headers anew, and a region table that differs from the one that counts.
    pub(super) fn mend(&mut self) -> Result<(), Error> {
        if self.weak_points()?.is_empty() {
            return Ok(());
        }
        self.begin_as(false)?;
        self.commit()?;
        let [first, second] = self.region_tables()?;
        if first != second {
            let bat = self.regions()?.bat;
            let table = region::with_bat(&*self.file, bat.offset, bat.length);
            let table = table.map_err(|error| error.in_file(&self.path))?;
            let pages = self.pages_with(&region::OFFSETS.map(|at| (at, table.clone())))?;
            self.commit_together(&pages)?;
        }
        Ok(())
    }

    /// Lets the file also fit a parent that will have this DataWriteGuid.
    pub(crate) fn accept_parent(&mut self, coming: Uuid) -> Result<(), Error> {
        match (&self.metadata.parent, &self.parent) {
            (Some(locator), Some(parent)) => self.set_locator(locator.accepting(parent.write_guid(), coming)),
            _ => Ok(()),
        }
    }

    /// Puts the file over another parent, which must have the content of the one before.
    pub(crate) fn stand_over(&mut self, fs: &dyn FileSystem, parent: &Path, guid: Uuid) -> Result<(), Error> {
        let absolute =
            |path: &Path| fs.absolute(path).map_err(|error| Error::io("path", error).in_file(path));
        self.set_locator(Locator::new(guid, &absolute(&self.path)?, &absolute(parent)?))
    }

    /// Brings the paths in the parent locator to where the parent was found.
    pub(super) fn repoint(&mut self, fs: &dyn FileSystem, parent: &Path) -> Result<(), Error> {
        let absolute =
            |path: &Path| fs.absolute(path).map_err(|error| Error::io("path", error).in_file(path));
        match &self.metadata.parent {
            Some(locator) => self.set_locator(locator.repointed(&absolute(&self.path)?, &absolute(parent)?)),
            None => Ok(()),
        }
    }

    /// Grows or shrinks the disk.
    pub(super) fn set_size(&mut self, size: u64) -> Result<(), Error> {
        let sector = u64::from(self.metadata.logical_sector);
        if size == 0 || size > MAX_DISK || !size.is_multiple_of(sector) {
            return Err(Error::new(ErrorKind::InvalidOption, "disk size")
                .in_file(&self.path)
                .found(format!("{size} bytes"))
                .requires("whole logical sectors, at least one, at most 64 TiB (MS-VHDX 2.6.2.2)"));
        }
        if size == self.metadata.size {
            return Ok(());
        }
        self.begin_as(true)?;
        self.commit()?;
        let geometry = Geometry::new(&Metadata { size, ..self.metadata.clone() });
        if size < self.metadata.size { self.shrink(size, geometry) } else { self.enlarge(size, geometry) }
    }

    /// Tells the new size in one log entry; blocks behind the end are given up after that.
    fn shrink(&mut self, size: u64, geometry: Geometry) -> Result<(), Error> {
        self.tell_size(size, Pages::new())?;
        self.metadata.size = size;
        let old = std::mem::replace(&mut self.geometry, geometry);
        let chunks = |geometry: &Geometry| geometry.payload_blocks.div_ceil(geometry.chunk_ratio);
        let mut block = geometry.payload_blocks;
        while block < old.payload_blocks {
            let absent = self.bat.absent_until(&old, block);
            if absent == block {
                self.give_up(old.payload_index(block), old.block_size)?;
                self.commit_if_many()?;
            }
            block = absent.max(block + 1);
        }
        if self.parent.is_some() {
            for chunk in chunks(&geometry)..chunks(&old) {
                self.give_up(old.bitmap_index(chunk), MIB)?;
            }
        }
        self.commit()
    }

    /// Empties an entry of the BAT; its space is free after the next commit.
    fn give_up(&mut self, index: u64, len: u64) -> Result<(), Error> {
        let entry = self.entry(index)?;
        if entry.0 == 0 {
            return Ok(());
        }
        self.set_entry(index, Entry(0))?;
        match entry.state() {
            Some(State::Full | State::Partial) => {
                self.session().given_up.push(GivenUp::Object(entry.offset(), len));
            }
            _ if entry.offset() != 0 => self.session().given_up.push(GivenUp::Anchor(entry.offset(), len)),
            _ => {}
        }
        Ok(())
    }

    /// Prepares what lies behind the old end, then tells the new size in one log entry.
    fn enlarge(&mut self, size: u64, geometry: Geometry) -> Result<(), Error> {
        self.clear_last_block()?;
        let old = self.regions()?.bat;
        if geometry.entries * 8 <= old.length {
            self.clear_tail(old)?;
            self.bat.set_entries(geometry.entries);
            self.prepare_blocks(&geometry, size, Self::commit_if_many)?;
            self.commit()?;
            self.tell_size(size, Pages::new())?;
        } else {
            let moved = self.enlarge_elsewhere(size, &geometry);
            // The table in memory may be another than the one that the file names.
            moved.inspect_err(|_| self.give_up_session())?;
            self.session().given_up.push(GivenUp::Object(old.offset, old.length));
        }
        self.metadata.size = size;
        self.geometry = geometry;
        self.touch(0)?;
        self.commit()
    }

    /// Gives the table more room than it has where it stands.
    fn enlarge_elsewhere(&mut self, size: u64, geometry: &Geometry) -> Result<(), Error> {
        let tables = self.move_bat(round_up(geometry.entries * 8, MIB))?;
        self.bat.set_entries(geometry.entries);
        self.prepare_blocks(geometry, size, Self::place_if_many)?;
        self.place_changes()?;
        self.tell_size(size, tables)
    }

    /// Makes the new size durable, with other changes of the metadata.
    fn tell_size(&mut self, size: u64, mut changes: Pages) -> Result<(), Error> {
        changes.extend(self.item_changes(DISK_SIZE, &size.to_le_bytes())?);
        let pages = self.pages_with(&changes)?;
        self.commit_together(&pages)
    }

    fn touch(&mut self, index: u64) -> Result<(), Error> {
        self.bat.touch(index).map_err(|error| error.in_file(&self.path))
    }

    /// Entries that an earlier, larger disk left behind mean nothing. They must not begin to.
    fn clear_tail(&mut self, region: Region) -> Result<(), Error> {
        let used = round_up(region.offset + self.geometry.entries * 8, PAGE);
        let end = region.offset + region.length;
        let cleared = self.file.punch_hole(used, end - used);
        cleared.map_err(|error| self.fail("BAT", used, error))?;
        self.bat.clear_from(self.geometry.entries).map_err(|error| error.in_file(&self.path))
    }

    /// Writes changes of a table that nothing names yet to their places.
    fn place_changes(&mut self) -> Result<(), Error> {
        for (at, page) in self.bat.changes() {
            self.file.write_at(at, &page).map_err(|error| self.fail("BAT", at, error))?;
        }
        self.bat.settle();
        Ok(())
    }

    fn place_if_many(&mut self) -> Result<(), Error> {
        if self.bat.dirty_pages() >= GATHER { self.place_changes() } else { Ok(()) }
    }

    /// Makes what the last block holds behind the disk's end zero. Over a parent that goes on there, the block
    /// becomes wholly present: its sectors must not show the parent.
    fn clear_last_block(&mut self) -> Result<(), Error> {
        let (size, block_size) = (self.metadata.size, self.geometry.block_size);
        let last = self.geometry.payload_blocks - 1;
        let start = last * block_size;
        let hides = self.parent.as_ref().is_some_and(|parent| parent.metadata.size > size);
        if hides
            && size < start + block_size
            && matches!(self.state(last)?, State::NotPresent | State::Partial)
        {
            let mut content = vec![0; to_usize(size - start)];
            self.read_at(start, &mut content)?;
            let offset = self.alloc(block_size)?;
            self.file
                .write_at(offset, &content)
                .map_err(|error| self.fail("payload block", offset, error))?;
            let old = self.payload(last)?;
            self.set_block(last, State::Full, offset)?;
            if old.state() == Some(State::Partial) {
                self.session().given_up.push(GivenUp::Object(old.offset(), block_size));
            }
            self.flush_file()?;
            self.commit()?;
        }
        if matches!(self.state(last)?, State::Full | State::Partial) {
            let place = self.place(start)? + (size - start);
            let cleared = self.file.punch_hole(place, start + block_size - size);
            cleared.map_err(|error| self.fail("payload block", place, error))?;
        }
        Ok(())
    }

    /// Sets the entries of the blocks to come: zero over a parent that goes on there, present in a fixed file.
    /// `breathe` is called now and then, to bring the changes out of memory.
    fn prepare_blocks(
        &mut self,
        geometry: &Geometry,
        size: u64,
        breathe: fn(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let below = self.parent.as_ref().map_or(0, |parent| parent.metadata.size.min(size));
        for block in self.geometry.payload_blocks..geometry.payload_blocks {
            let entry = if self.metadata.leave_allocated {
                Entry::new(State::Full, self.alloc(geometry.block_size)?)
            } else if block * geometry.block_size < below {
                Entry::new(State::Zero, 0)
            } else {
                break;
            };
            self.set_entry(geometry.payload_index(block), entry)?;
            breathe(self)?;
        }
        Ok(())
    }

    /// Moves the table to new space; gives what has to change in the region tables.
    fn move_bat(&mut self, length: u64) -> Result<Pages, Error> {
        let offset = self.alloc(length)?;
        let table =
            region::with_bat(&*self.file, offset, length).map_err(|error| error.in_file(&self.path))?;
        self.bat.move_to(offset).map_err(|error| error.in_file(&self.path))?;
        Ok(region::OFFSETS.map(|at| (at, table.clone())).into())
    }

    /// Gives up the blocks that lie wholly in a range.
    pub(super) fn give_up_blocks(&mut self, range: Range<u64>, how: Trim) -> Result<(), Error> {
        if how == Trim::Transparent && self.parent.is_none() {
            return Err(Error::new(ErrorKind::Unsupported, "trim")
                .in_file(&self.path)
                .found("a request to show the parent's content again")
                .requires("a differencing file (MS-VHDX 2.5.1.1)"));
        }
        if how == Trim::Zero || self.metadata.leave_allocated {
            return self.zero_at(range.start, range.end - range.start);
        }
        self.begin_as(true)?;
        let block_size = self.geometry.block_size;
        for (block, part) in self.by_block(range) {
            let entry = self.payload(block)?;
            let here = matches!(entry.state(), Some(State::Full | State::Partial));
            let anchored = entry.state() != Some(State::NotPresent) && how == Trim::Transparent;
            if !self.covers_block(block, &part) || !(here || anchored) {
                continue;
            }
            match how {
                Trim::FileSpace => self.set_block(block, State::Unmapped, entry.offset())?,
                _ => {
                    let state = if how == Trim::FreeSpace { State::Undefined } else { State::NotPresent };
                    self.set_block(block, state, 0)?;
                    if here {
                        self.session().given_up.push(GivenUp::Object(entry.offset(), block_size));
                    }
                }
            }
        }
        self.commit_if_many()
    }
}
