//! An open VHDX file with its parents: opening, reading, and what its ranges consist of.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::bat::{Bat, Entry, Geometry, PAGE, Slot, State};
use super::header::{Current, Header};
use super::log::Sequence;
use super::metadata::Metadata;
use super::region::Regions;
use super::write::Session;
use super::{SIGNATURE, check};
use crate::bytes::{array, to_u64, to_usize};
use crate::details::{Details, Kind};
use crate::error::{Error, ErrorKind};
use crate::file::{BlockFile, FileSystem, open_file, read_structure};
use crate::image::{Extent, ExtentKind, Format, Image, Level, Trim, check_range, push_extent, push_stored};
use crate::parent;
use crate::seed::{GuidSource, Seed};

/// An open VHDX file and, for a differencing one, its parents.
pub(crate) struct VhdxImage {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn BlockFile>,
    pub(super) current: Current,
    pub(super) metadata: Metadata,
    pub(super) geometry: Geometry,
    pub(super) bat: Bat,
    pub(super) parent: Option<Box<VhdxImage>>,
    /// There when the image was opened for writing.
    pub(super) session: Option<Session>,
}

impl VhdxImage {
    /// Opens a file, for writing when a seed is given, and the chain of its parents read-only.
    ///
    /// A log that is to be replayed is replayed into memory for reading and into the file for writing.
    pub(crate) fn open(fs: &dyn FileSystem, path: &Path, seed: Option<Seed>) -> Result<Self, Error> {
        Self::open_link(fs, path, seed, 1)
    }

    fn open_link(fs: &dyn FileSystem, path: &Path, seed: Option<Seed>, depth: usize) -> Result<Self, Error> {
        let file = open_file(fs, path, "image", seed.is_some())?;
        let mut image = Self::open_file(path, file, seed).map_err(|error| error.in_file(path))?;
        if let Some(locator) = &image.metadata.parent {
            let paths = locator.candidates(fs, path);
            let found = parent::find(fs, path, &paths, depth)?;
            let parent = Self::open_link(fs, &found, None, depth + 1)?;
            image.check_parent(&parent)?;
            let stale = paths.first() != Some(&found);
            image.parent = Some(Box::new(parent));
            if stale && image.session.is_some() {
                image.repoint(fs, &found)?;
            }
        }
        Ok(image)
    }

    fn open_file(path: &Path, file: Arc<dyn BlockFile>, seed: Option<Seed>) -> Result<Self, Error> {
        let mut signature = [0; 8];
        read_structure(&*file, "file identifier", 0, &mut signature)?;
        if &signature != SIGNATURE {
            return Err(Error::corrupt("file identifier")
                .at(0)
                .found("another signature")
                .requires("the signature \"vhdxfile\" (MS-VHDX 2.2.1)")
                .remedy("check that the file is a VHDX and was created completely"));
        }
        let mut current = Current::read(&*file)?;
        if seed.is_some() && current.header.log_length == 0 {
            return Err(Error::new(ErrorKind::Unsupported, "VHDX header")
                .found("no log")
                .requires("a log of at least 1 MiB for writing (MS-VHDX 2.2.2)")
                .remedy("open it read-only, or copy it into a new file"));
        }
        let mut guids = seed.map(|seed| guid_source(seed, &current.header));
        let file = replay(file, &mut current, guids.as_mut())?;
        let file_len = file.len().map_err(|error| Error::io("file", error))?;
        let regions = Regions::read(&*file)?;
        check::regions(&current.header, &regions, file_len)?;
        let metadata = Metadata::read(&*file, regions.metadata)?;
        let geometry = Geometry::new(&metadata);
        if geometry.entries * 8 > regions.bat.length {
            return Err(Error::corrupt("BAT")
                .at(regions.bat.offset)
                .found(format!("a region of {} bytes", regions.bat.length))
                .requires(format!("room for {} entries of 8 bytes (MS-VHDX 2.5)", geometry.entries)));
        }
        let mut bat = Bat::open(Arc::clone(&file), regions.bat.offset, geometry.entries)?;
        let space = check::blocks(&current.header, &regions, &metadata, &geometry, &mut bat, file_len)?;
        let session = guids.map(|guids| Session::new(guids, space, file_len));
        Ok(Self { path: path.to_path_buf(), file, current, metadata, geometry, bat, parent: None, session })
    }

    fn check_parent(&self, parent: &Self) -> Result<(), Error> {
        let locator = self.metadata.parent.as_ref().expect("only a file with a locator has a parent");
        let guid = parent.write_guid();
        if !locator.accepts(guid) {
            return Err(Error::new(ErrorKind::ParentMismatch, "parent locator")
                .in_file(&self.path)
                .found(format!("parent {} with DataWriteGuid {}", parent.path.display(), guid.braced()))
                .requires(format!("{}, the parent as it was when the child was made", locator.linkage()))
                .remedy("bring back the parent as it was: one that was written to fits no child any more"));
        }
        let (own, others) = (self.metadata.logical_sector, parent.metadata.logical_sector);
        if own != others {
            return Err(Error::new(ErrorKind::ParentMismatch, "logical sector size item")
                .in_file(&self.path)
                .found(format!("{own} bytes over a parent of {others}"))
                .requires("the same in the whole chain (MS-VHDX 2.6.2.4)"));
        }
        Ok(())
    }

    /// The GUID that names the present content of the disk.
    pub(crate) fn write_guid(&self) -> Uuid {
        self.current.header.data_write_guid
    }

    /// The SCSI page 83 identity of the disk.
    pub(crate) fn disk_id(&self) -> Uuid {
        self.metadata.disk_id
    }

    /// Physical sector size in bytes.
    pub(crate) fn physical_sector(&self) -> u32 {
        self.metadata.physical_sector
    }

    /// An entry of the BAT.
    pub(super) fn entry(&self, index: u64) -> Result<Entry, Error> {
        self.bat.get(index).map_err(|error| error.in_file(&self.path))
    }

    /// The entry of a payload block.
    pub(super) fn payload(&self, block: u64) -> Result<Entry, Error> {
        self.entry(self.geometry.payload_index(block))
    }

    /// The state of a payload block; opening has refused the states that are not.
    pub(super) fn state(&self, block: u64) -> Result<State, Error> {
        Ok(self.payload(block)?.state().unwrap_or(State::NotPresent))
    }

    /// Where a byte of the disk stands in the file, for a block that is present.
    pub(super) fn place(&self, at: u64) -> Result<u64, Error> {
        let block = self.geometry.block(at);
        Ok(self.place_in(self.payload(block)?, at))
    }

    /// Where a byte of the disk stands in the file, by the entry of its block.
    pub(super) fn place_in(&self, entry: Entry, at: u64) -> u64 {
        entry.offset().saturating_add(self.geometry.within(at))
    }

    /// The parts of a range of the disk by block.
    pub(super) fn by_block(&self, range: Range<u64>) -> impl Iterator<Item = (u64, Range<u64>)> + use<> {
        let geometry = self.geometry;
        let mut at = range.start;
        std::iter::from_fn(move || {
            let block = geometry.block(at);
            let part = at..((block + 1) * geometry.block_size).min(range.end);
            at = part.end;
            (!part.is_empty()).then_some((block, part))
        })
    }

    pub(super) fn fail(&self, what: &'static str, at: u64, error: std::io::Error) -> Error {
        Error::io(what, error).at(at).in_file(&self.path)
    }

    fn read_file(&self, what: &'static str, at: u64, buf: &mut [u8]) -> Result<(), Error> {
        read_structure(&*self.file, what, at, buf).map_err(|error| error.in_file(&self.path))
    }

    /// Reads what this file does not hold: from the parent as far as it goes, zeros past it.
    fn read_below(&self, at: u64, buf: &mut [u8]) -> Result<(), Error> {
        let Some(parent) = &self.parent else {
            buf.fill(0);
            return Ok(());
        };
        let inside = parent.metadata.size.saturating_sub(at).min(to_u64(buf.len()));
        let (head, tail) = buf.split_at_mut(to_usize(inside));
        tail.fill(0);
        if head.is_empty() { Ok(()) } else { parent.read_at(at, head) }
    }

    fn read_block(&self, block: u64, at: u64, buf: &mut [u8]) -> Result<(), Error> {
        let entry = self.payload(block)?;
        match entry.state().unwrap_or(State::NotPresent) {
            State::NotPresent => self.read_below(at, buf),
            State::Undefined | State::Zero | State::Unmapped => {
                buf.fill(0);
                Ok(())
            }
            State::Full => self.read_file("payload block", self.place_in(entry, at), buf),
            State::Partial => {
                for (part, here) in self.sector_runs(block, at..at + to_u64(buf.len()))? {
                    let target = &mut buf[to_usize(part.start - at)..to_usize(part.end - at)];
                    if here {
                        self.read_file("payload block", self.place_in(entry, part.start), target)?;
                    } else {
                        self.read_below(part.start, target)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Where in the file the sector bit of a byte of the disk stands: (byte offset, bit).
    pub(super) fn bit_place(&self, block: u64, at: u64) -> Result<(u64, u64), Error> {
        let chunk = block / self.geometry.chunk_ratio;
        let chunk_start = chunk * self.geometry.chunk_ratio * self.geometry.block_size;
        let bit = (at - chunk_start) / u64::from(self.metadata.logical_sector);
        let bitmap = self.entry(self.geometry.bitmap_index(chunk))?;
        Ok((bitmap.offset().saturating_add(bit / 8), bit % 8))
    }

    /// The runs of a range within one partially present block: here, or in the parent.
    pub(super) fn sector_runs(
        &self,
        block: u64,
        range: Range<u64>,
    ) -> Result<Vec<(Range<u64>, bool)>, Error> {
        let sector = u64::from(self.metadata.logical_sector);
        let (first, first_bit) = self.bit_place(block, range.start)?;
        let (last, _) = self.bit_place(block, range.end - 1)?;
        let bytes = self.bitmap_bytes(first, last + 1 - first)?;
        let mut runs: Vec<(Range<u64>, bool)> = Vec::new();
        let (mut at, mut bit) = (range.start, first_bit);
        while at < range.end {
            let end = ((at / sector + 1) * sector).min(range.end);
            let here = bytes[to_usize(bit / 8)] >> (bit % 8) & 1 != 0;
            match runs.last_mut() {
                Some((run, kind)) if *kind == here => run.end = end,
                _ => runs.push((at..end, here)),
            }
            (at, bit) = (end, bit + 1);
        }
        Ok(runs)
    }

    /// Bytes of sector bitmaps, with the session's changes that are not in the file yet.
    pub(super) fn bitmap_bytes(&self, at: u64, len: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; to_usize(len)];
        self.read_file("sector bitmap", at, &mut bytes)?;
        let Some(session) = &self.session else {
            return Ok(bytes);
        };
        for (page, content) in session.bitmaps.range(at / PAGE * PAGE..at + len) {
            let (from, to) = (at.max(*page), (at + len).min(page + PAGE));
            bytes[to_usize(from - at)..to_usize(to - at)]
                .copy_from_slice(&content[to_usize(from - page)..to_usize(to - page)]);
        }
        Ok(bytes)
    }

    /// Appends what a range is made of that this file does not hold.
    fn extents_below(&self, range: Range<u64>, level: Level, list: &mut Vec<Extent>) -> Result<(), Error> {
        let parent_size = self.parent.as_ref().map_or(0, |parent| parent.metadata.size);
        let split = parent_size.clamp(range.start, range.end);
        if let Some(parent) = self.parent.as_ref().filter(|_| split > range.start) {
            for extent in parent.extents_at(range.start..split, level)? {
                let kind = if extent.kind == ExtentKind::Data { ExtentKind::Parent } else { extent.kind };
                push_extent(list, extent.start, extent.len, kind);
            }
        }
        push_extent(list, split, range.end - split, ExtentKind::Absent);
        Ok(())
    }

    /// Appends what a range that stands at `place` is made of: data, or zeros over holes of the host's file.
    fn extents_here(
        &self,
        range: Range<u64>,
        place: u64,
        level: Level,
        list: &mut Vec<Extent>,
    ) -> Result<(), Error> {
        push_stored(list, range, (&*self.file, place), level, ExtentKind::Zero)
            .map_err(|error| error.in_file(&self.path))
    }

    /// Appends what the front of a range is made of, as far as one look goes; gives the end of that.
    fn extents_from(&self, range: Range<u64>, level: Level, list: &mut Vec<Extent>) -> Result<u64, Error> {
        let block_size = self.geometry.block_size;
        let block = range.start / block_size;
        let absent = self.bat.absent_until(&self.geometry, block);
        let end = (absent.max(block + 1) * block_size).min(range.end);
        if absent > block {
            return self.extents_below(range.start..end, level, list).map(|()| end);
        }
        let entry = self.payload(block)?;
        match entry.state().unwrap_or(State::NotPresent) {
            State::NotPresent => self.extents_below(range.start..end, level, list)?,
            State::Undefined | State::Zero | State::Unmapped => {
                push_extent(list, range.start, end - range.start, ExtentKind::Zero);
            }
            State::Full => {
                let end = self.straight_until(entry, range.clone())?;
                return self
                    .extents_here(range.start..end, self.place_in(entry, range.start), level, list)
                    .map(|()| end);
            }
            State::Partial => {
                for (part, here) in self.sector_runs(block, range.start..end)? {
                    if here {
                        let place = self.place_in(entry, part.start);
                        self.extents_here(part, place, level, list)?;
                    } else {
                        self.extents_below(part, level, list)?;
                    }
                }
            }
        }
        Ok(end)
    }

    /// How far blocks that are present as a whole stand behind each other in the file.
    fn straight_until(&self, first: Entry, range: Range<u64>) -> Result<u64, Error> {
        let block_size = self.geometry.block_size;
        let mut block = range.start / block_size + 1;
        let mut next = first.offset().saturating_add(block_size);
        while block * block_size < range.end {
            let entry = self.payload(block)?;
            if entry.state() != Some(State::Full) || entry.offset() != next {
                break;
            }
            block += 1;
            next = next.saturating_add(block_size);
        }
        Ok((block * block_size).min(range.end))
    }
}

/// GUIDs of a session: a function of the seed and of the state that the session starts from.
fn guid_source(seed: Seed, header: &Header) -> GuidSource {
    let start = header.sequence.to_le_bytes();
    let guids = [header.file_write_guid.as_bytes(), header.data_write_guid.as_bytes()];
    GuidSource::new(seed, &[b"vhdx session", &start, guids[0], guids[1]])
}

/// Replays the log where there is one: into the file when `guids` are there for the headers, else into
/// memory.
fn replay(
    file: Arc<dyn BlockFile>,
    current: &mut Current,
    guids: Option<&mut GuidSource>,
) -> Result<Arc<dyn BlockFile>, Error> {
    let log_guid = current.header.log_guid;
    if log_guid.is_nil() {
        return Ok(file);
    }
    let sequence =
        Sequence::find(&*file, current.header.log_offset, u64::from(current.header.log_length), log_guid)?;
    let Some(guids) = guids else {
        return Ok(Arc::new(sequence.overlay(file)?));
    };
    let file_write_guid = guids.next();
    sequence.check_len(&*file)?;
    current.update(&*file, |header| header.file_write_guid = file_write_guid)?;
    sequence.apply(&*file)?;
    current.update(&*file, |header| header.log_guid = Uuid::nil())?;
    Ok(file)
}

/// Whether a file begins like a VHDX.
pub(crate) fn is_vhdx(head: &[u8]) -> bool {
    head.len() >= SIGNATURE.len() && &array::<8>(head, 0) == SIGNATURE
}

impl Image for VhdxImage {
    fn size(&self) -> u64 {
        self.metadata.size
    }

    fn logical_sector(&self) -> u32 {
        self.metadata.logical_sector
    }

    fn format(&self) -> Format {
        Format::Vhdx
    }

    fn data_write_guid(&self) -> Option<Uuid> {
        Some(self.write_guid())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let end = self.check(offset, to_u64(buf.len()))?;
        let block = self.geometry.block(offset);
        if end <= (block + 1) * self.geometry.block_size {
            return self.read_block(block, offset, buf);
        }
        for (block, part) in self.by_block(offset..end) {
            let target = &mut buf[to_usize(part.start - offset)..to_usize(part.end - offset)];
            self.read_block(block, part.start, target)?;
        }
        Ok(())
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let end = self.check(offset, to_u64(data.len()))?;
        self.write(offset..end, data)
    }

    fn zero_at(&mut self, offset: u64, len: u64) -> Result<(), Error> {
        let end = self.check(offset, len)?;
        self.zero(offset..end)
    }

    fn trim(&mut self, offset: u64, len: u64, how: Trim) -> Result<(), Error> {
        let end = self.check(offset, len)?;
        self.give_up_blocks(offset..end, how)
    }

    fn resize(&mut self, size: u64) -> Result<(), Error> {
        self.set_size(size)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.sync()
    }

    fn begin_flush(&self, range: Range<u64>) {
        let end = range.end.min(self.metadata.size);
        for (block, part) in self.by_block(range.start.min(end)..end) {
            // A table that cannot be read is for the next one to tell who needs it.
            if let Ok(entry) = self.payload(block)
                && matches!(entry.state(), Some(State::Full | State::Partial))
            {
                let place = self.place_in(entry, part.start);
                self.file.begin_flush(place..place.saturating_add(part.end - part.start));
            }
        }
    }

    fn extents_at(&self, range: Range<u64>, level: Level) -> Result<Vec<Extent>, Error> {
        self.check(range.start, range.end.saturating_sub(range.start))?;
        let mut list = Vec::new();
        let mut at = range.start;
        while at < range.end {
            at = self.extents_from(at..range.end, level, &mut list)?;
        }
        Ok(list)
    }

    fn details(&self) -> Result<Details, Error> {
        let header = &self.current.header;
        let kind = match &self.metadata {
            metadata if metadata.parent.is_some() => Kind::Differencing,
            metadata if metadata.leave_allocated => Kind::Fixed,
            _ => Kind::Dynamic,
        };
        let mut present = 0;
        self.bat
            .for_each(|index, entry| {
                let payload = matches!(self.geometry.slot(index), Slot::Payload(_));
                let here = matches!(entry.state(), Some(State::Full | State::Partial));
                present += u64::from(payload && here);
                Ok(())
            })
            .map_err(|error| error.in_file(&self.path))?;
        Ok(Details {
            path: self.path.clone(),
            format: Format::Vhdx,
            kind,
            size: self.metadata.size,
            file_len: self.file.len().map_err(|error| self.fail("file", 0, error))?,
            block_size: Some(self.geometry.block_size),
            present_blocks: Some(present),
            logical_sector: self.metadata.logical_sector,
            physical_sector: Some(self.metadata.physical_sector),
            id: Some(self.metadata.disk_id),
            file_write_guid: Some(header.file_write_guid),
            data_write_guid: Some(header.data_write_guid),
            geometry: None,
            creator: None,
            log_to_replay: !header.log_guid.is_nil() && self.session.is_none(),
            weak: self.weak_points()?,
            parent: self.parent.as_ref().map(|parent| parent.details().map(Box::new)).transpose()?,
        })
    }

    fn repair(&mut self) -> Result<(), Error> {
        self.mend()
    }

    fn close(mut self: Box<Self>) -> Result<(), Error> {
        self.finish()
    }
}

impl VhdxImage {
    /// Refuses a range that leaves the disk; gives its end.
    fn check(&self, offset: u64, len: u64) -> Result<u64, Error> {
        check_range(self.metadata.size, offset, len).map_err(|error| error.in_file(&self.path))?;
        Ok(offset + len)
    }
}
