//! The writing session (MS-VHDX 2.2.2, 2.3): what is written in which order, so that a power cut at any
//! moment leaves either the old or the new.
//!
//! 1. The first change of a session replaces both headers (new FileWriteGuid and DataWriteGuid).
//! 2. Payload goes to its place at once: into blocks that are present, or into space that nothing points at
//!    yet.
//! 3. Changes of the BAT and of sector bitmaps gather in memory until [`VhdxImage::commit`]: payload is
//!    flushed where pointing at it early would show something else than the old or the new; the changes go
//!    into the log; flush; then to their places. The first entry of a session is durable before the headers
//!    name its log, since a header that names a log without an entry makes the file unreadable.
//! 4. Space that was given up is cleared and used again only after the commit that gave it up.
//! 5. Closing flushes all, then takes the log's name out of the headers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use uuid::Uuid;

use super::bat::{BITMAP_BLOCK, Entry, PAGE, State};
use super::image::VhdxImage;
use super::log::{BATCH, LogWriter};
use super::space::Space;
use crate::bytes::to_usize;
use crate::error::{Error, ErrorKind};
use crate::image::Image;
use crate::raw::read_only;
use crate::seed::GuidSource;

/// Metadata pages gathered before they are committed without being asked.
pub(super) const GATHER: usize = 8 * BATCH;

/// Space that is free after the next commit.
pub(super) enum GivenUp {
    /// Of an object: offset and length.
    Object(u64, u64),
    /// Of a soft anchor, which others may have too.
    Anchor(u64, u64),
}

/// The state of a writing session.
pub(super) struct Session {
    guids: GuidSource,
    space: Space,
    /// Whether the headers carry the session's FileWriteGuid, and its DataWriteGuid.
    begun: bool,
    content_begun: bool,
    /// The DataWriteGuid that the session will bring, where it was asked for beforehand.
    planned: Option<Uuid>,
    /// There from the first commit on.
    log: Option<LogWriter>,
    /// Changed pages of sector bitmaps, by file offset.
    pub(super) bitmaps: BTreeMap<u64, Vec<u8>>,
    /// Space given up by changes that are not committed.
    pub(super) given_up: Vec<GivenUp>,
    /// Payload must be durable before the gathered changes enter the log.
    barrier: bool,
    /// Length of the file that is surely on the disk, and the present one.
    flushed_len: u64,
    len: u64,
    /// A write whose effect is not known has failed.
    failed: bool,
}

impl Session {
    /// A session over a file of `len` bytes. Nothing is written before the first change.
    pub(super) fn new(guids: GuidSource, space: Space, len: u64) -> Self {
        Self {
            guids,
            space,
            begun: false,
            content_begun: false,
            planned: None,
            log: None,
            bitmaps: BTreeMap::new(),
            given_up: Vec::new(),
            barrier: false,
            flushed_len: 0,
            len,
            failed: false,
        }
    }
}

impl VhdxImage {
    pub(super) fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("begin() has refused read-only images")
    }

    /// The DataWriteGuid that the first change of content will bring: children can be told of it before.
    pub(crate) fn plan_content(&mut self) -> Result<Uuid, Error> {
        let Some(session) = &mut self.session else {
            return Err(read_only(&self.path));
        };
        Ok(*session.planned.get_or_insert_with(|| session.guids.next()))
    }

    /// Starts the session with its first change of what a guest can see.
    fn begin(&mut self) -> Result<(), Error> {
        self.begin_as(true)
    }

    /// Starts the session. A change that no guest can see keeps the DataWriteGuid, and with it the children.
    pub(super) fn begin_as(&mut self, content: bool) -> Result<(), Error> {
        let Some(session) = &mut self.session else {
            return Err(read_only(&self.path));
        };
        if session.failed {
            return Err(Error::new(ErrorKind::Io, "image")
                .in_file(&self.path)
                .found("a change after a flush that failed")
                .remedy("mend the storage and open it again: the log holds what was flushed"));
        }
        if session.begun && (session.content_begun || !content) {
            return Ok(());
        }
        let file_write_guid = (!session.begun).then(|| session.guids.next());
        let planned = session.planned.take();
        let data_write_guid = content.then(|| planned.unwrap_or_else(|| session.guids.next()));
        session.begun = true;
        session.content_begun |= content;
        self.update_headers(|header| {
            header.file_write_guid = file_write_guid.unwrap_or(header.file_write_guid);
            header.data_write_guid = data_write_guid.unwrap_or(header.data_write_guid);
        })?;
        // A last block that some writer cut short becomes whole.
        self.grow()
    }

    /// Replaces both headers; a flush of the file on the way. A failure ends the session.
    fn update_headers(&mut self, change: impl FnOnce(&mut super::header::Header)) -> Result<(), Error> {
        let result = self.current.update(&*self.file, change).map_err(|error| error.in_file(&self.path));
        self.session().failed |= result.is_err();
        result
    }

    /// Flushes the file. A failure ends the session: what the disk holds is not known any more.
    pub(super) fn flush_file(&mut self) -> Result<(), Error> {
        let result = self.file.flush().map_err(|error| self.fail("flush", 0, error));
        let session = self.session();
        match &result {
            Ok(()) => session.flushed_len = session.len,
            Err(_) => session.failed = true,
        }
        result
    }

    /// Ends the session: what memory and file hold does not fit any more.
    pub(super) fn give_up_session(&mut self) {
        self.session().failed = true;
    }

    /// Makes the file as long as the allocated space needs.
    fn grow(&mut self) -> Result<(), Error> {
        let session = self.session();
        let end = session.space.end();
        if session.len < end {
            self.file.set_len(end).map_err(|error| self.fail("file length", end, error))?;
            self.session().len = end;
        }
        Ok(())
    }

    /// Space for an object, reading as zeros.
    pub(super) fn alloc(&mut self, len: u64) -> Result<u64, Error> {
        let place = self.session().space.alloc(len);
        self.session().barrier |= place.reused;
        let cleared = self.grow().and_then(|()| {
            let punched = if place.reused { self.file.punch_hole(place.offset, len) } else { Ok(()) };
            punched.map_err(|error| self.fail("free space", place.offset, error))
        });
        if cleared.is_err() {
            self.session().space.release(place.offset, len);
        }
        cleared.map(|()| place.offset)
    }

    /// Gives a block another state. A soft anchor that is left behind becomes free space.
    pub(super) fn set_block(&mut self, block: u64, state: State, offset: u64) -> Result<(), Error> {
        let (old, block_size) = (self.payload(block)?, self.geometry.block_size);
        self.set_entry(self.geometry.payload_index(block), Entry::new(state, offset))?;
        if old.state() == Some(State::Unmapped) && old.offset() != 0 && old.offset() != offset {
            self.session().given_up.push(GivenUp::Anchor(old.offset(), block_size));
        }
        if state == State::Unmapped {
            self.session().space.loosen(offset, block_size);
        }
        Ok(())
    }

    /// Changes an entry of the BAT in memory.
    pub(super) fn set_entry(&mut self, index: u64, entry: Entry) -> Result<(), Error> {
        self.bat.set(index, entry).map_err(|error| error.in_file(&self.path))
    }

    pub(super) fn write(&mut self, range: Range<u64>, data: &[u8]) -> Result<(), Error> {
        self.begin()?;
        for (block, part) in self.by_block(range.clone()) {
            let source = &data[to_usize(part.start - range.start)..to_usize(part.end - range.start)];
            self.write_block(block, part, source)?;
        }
        self.commit_if_many()
    }

    fn write_block(&mut self, block: u64, part: Range<u64>, data: &[u8]) -> Result<(), Error> {
        let entry = self.payload(block)?;
        let by_sectors = match entry.state() {
            // The way of most writes, with one look at the table.
            Some(State::Full) => return self.write_payload(self.place_in(entry, part.start), data),
            Some(State::Partial) => true,
            Some(State::NotPresent) => self.parent.is_some() && !self.covers_block(block, &part),
            _ => false,
        };
        if by_sectors {
            let (part, data) = self.whole_sectors(part, data)?;
            self.ensure_partial(block)?;
            self.write_payload(self.place(part.start)?, &data)?;
            return self.set_bits(block, part);
        }
        let offset = self.alloc(self.geometry.block_size)?;
        self.set_block(block, State::Full, offset)?;
        self.session().barrier |= self.parent.is_some();
        self.write_payload(offset + self.geometry.within(part.start), data)
    }

    /// Whether a range holds all of a block that lies on the disk.
    pub(super) fn covers_block(&self, block: u64, part: &Range<u64>) -> bool {
        let start = block * self.geometry.block_size;
        part.start == start && part.end == (start + self.geometry.block_size).min(self.metadata.size)
    }

    fn write_payload(&mut self, place: u64, data: &[u8]) -> Result<(), Error> {
        self.file.write_at(place, data).map_err(|error| self.fail("payload block", place, error))
    }

    /// Widens a change to whole sectors, what surrounds it read from the chain.
    fn whole_sectors<'a>(
        &self,
        part: Range<u64>,
        data: &'a [u8],
    ) -> Result<(Range<u64>, Cow<'a, [u8]>), Error> {
        let sector = u64::from(self.metadata.logical_sector);
        let whole = part.start / sector * sector..part.end.next_multiple_of(sector);
        if whole == part {
            return Ok((part, Cow::Borrowed(data)));
        }
        let mut widened = vec![0; to_usize(whole.end - whole.start)];
        let edge = to_usize(sector);
        self.read_at(whole.start, &mut widened[..edge])?;
        let last = widened.len() - edge;
        self.read_at(whole.end - sector, &mut widened[last..])?;
        let from = to_usize(part.start - whole.start);
        widened[from..from + data.len()].copy_from_slice(data);
        Ok((whole, Cow::Owned(widened)))
    }

    /// Makes a block of a differencing file present with none of its sectors, unless it is partially present
    /// already.
    fn ensure_partial(&mut self, block: u64) -> Result<(), Error> {
        if self.state(block)? == State::Partial {
            return Ok(());
        }
        let bitmap = self.geometry.bitmap_index(block / self.geometry.chunk_ratio);
        if self.entry(bitmap)?.state() != Some(State::Full) {
            let offset = self.alloc(BITMAP_BLOCK)?;
            self.set_entry(bitmap, Entry::new(State::Full, offset))?;
        }
        let offset = self.alloc(self.geometry.block_size)?;
        // Bits that an earlier life of the block left behind mean nothing; they must not begin to.
        let start = block * self.geometry.block_size;
        self.fill_bits(block, start..start + self.geometry.block_size, false)?;
        self.set_block(block, State::Partial, offset)
    }

    /// Notes that sectors are here now. A block with all of them becomes fully present.
    fn set_bits(&mut self, block: u64, part: Range<u64>) -> Result<(), Error> {
        self.session().barrier = true;
        self.fill_bits(block, part, true)?;
        let start = block * self.geometry.block_size;
        let end = (start + self.geometry.block_size).min(self.metadata.size);
        if matches!(&self.sector_runs(block, start..end)?[..], [(_, true)]) {
            let offset = self.place(start)?;
            self.set_block(block, State::Full, offset)?;
        }
        Ok(())
    }

    /// Sets or clears the bits of a range of whole sectors within one block.
    fn fill_bits(&mut self, block: u64, part: Range<u64>, value: bool) -> Result<(), Error> {
        let sectors = (part.end - part.start) / u64::from(self.metadata.logical_sector);
        let (first, first_bit) = self.bit_place(block, part.start)?;
        let len = (first_bit + sectors).div_ceil(8);
        let mut bytes = self.bitmap_bytes(first, len)?;
        let old = bytes.clone();
        for bit in first_bit..first_bit + sectors {
            let mask = 1 << (bit % 8);
            let byte = &mut bytes[to_usize(bit / 8)];
            *byte = if value { *byte | mask } else { *byte & !mask };
        }
        if bytes == old {
            return Ok(());
        }
        let mut page = first / PAGE * PAGE;
        while page < first + len {
            if !self.session().bitmaps.contains_key(&page) {
                let content = self.bitmap_bytes(page, PAGE)?;
                self.session().bitmaps.insert(page, content);
            }
            let content = self.session().bitmaps.get_mut(&page).expect("inserted above");
            let (from, to) = (first.max(page), (first + len).min(page + PAGE));
            content[to_usize(from - page)..to_usize(to - page)]
                .copy_from_slice(&bytes[to_usize(from - first)..to_usize(to - first)]);
            page += PAGE;
        }
        Ok(())
    }

    pub(super) fn zero(&mut self, range: Range<u64>) -> Result<(), Error> {
        self.begin()?;
        let mut at = range.start;
        while at < range.end {
            let block = at / self.geometry.block_size;
            // Without a parent, blocks that were never present are zero as they are.
            let absent =
                if self.parent.is_none() { self.bat.absent_until(&self.geometry, block) } else { block };
            let end = (absent.max(block + 1) * self.geometry.block_size).min(range.end);
            if absent <= block {
                self.zero_block(block, at..end)?;
            }
            at = end;
        }
        self.commit_if_many()
    }

    fn zero_block(&mut self, block: u64, part: Range<u64>) -> Result<(), Error> {
        let state = self.state(block)?;
        let whole = self.covers_block(block, &part) && !self.metadata.leave_allocated;
        match state {
            State::NotPresent if self.parent.is_none() => {}
            State::Zero => {}
            State::Undefined | State::Unmapped if !whole => {}
            State::Full | State::Partial if whole => {
                let place = self.payload(block)?.offset();
                self.set_block(block, State::Zero, 0)?;
                let given_up = GivenUp::Object(place, self.geometry.block_size);
                self.session().given_up.push(given_up);
            }
            State::Full => self.punch(part)?,
            _ if whole => self.set_block(block, State::Zero, 0)?,
            _ => self.zero_sectors(block, part)?,
        }
        Ok(())
    }

    fn punch(&mut self, part: Range<u64>) -> Result<(), Error> {
        let place = self.place(part.start)?;
        let punched = self.file.punch_hole(place, part.end - part.start);
        punched.map_err(|error| self.fail("payload block", place, error))
    }

    /// Zeros over a parent for less than a block: whole sectors become holes of this file, the edges are
    /// written.
    fn zero_sectors(&mut self, block: u64, part: Range<u64>) -> Result<(), Error> {
        let sector = u64::from(self.metadata.logical_sector);
        let inner = part.start.next_multiple_of(sector)..part.end / sector * sector;
        if inner.start > inner.end {
            let zeros = vec![0; to_usize(part.end - part.start)];
            return self.write_block(block, part, &zeros);
        }
        for edge in [part.start..inner.start, inner.end..part.end] {
            if !edge.is_empty() {
                let zeros = vec![0; to_usize(edge.end - edge.start)];
                self.write_block(block, edge, &zeros)?;
            }
        }
        if inner.is_empty() {
            return Ok(());
        }
        self.ensure_partial_or_full(block)?;
        self.punch(inner.clone())?;
        if self.state(block)? == State::Partial { self.set_bits(block, inner) } else { Ok(()) }
    }

    /// The edges may just have made the block fully present.
    fn ensure_partial_or_full(&mut self, block: u64) -> Result<(), Error> {
        if self.state(block)? == State::Full { Ok(()) } else { self.ensure_partial(block) }
    }

    pub(super) fn commit_if_many(&mut self) -> Result<(), Error> {
        let gathered = self.bat.dirty_pages() + self.session().bitmaps.len();
        if gathered >= GATHER { self.commit() } else { Ok(()) }
    }

    /// Makes the gathered changes of BAT and sector bitmaps durable, in the log at least.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        if self.bat.dirty_pages() == 0 && self.session().bitmaps.is_empty() {
            return Ok(());
        }
        if self.session().barrier {
            self.flush_file()?;
            if let Some(log) = &mut self.session().log {
                log.settled();
            }
        }
        let mut changes: Vec<(u64, Vec<u8>)> = self.session().bitmaps.clone().into_iter().collect();
        changes.extend(self.bat.changes());
        for batch in changes.chunks(BATCH) {
            self.commit_batch(batch)?;
        }
        self.bat.settle();
        let session = self.session();
        session.bitmaps.clear();
        session.barrier = false;
        for given_up in std::mem::take(&mut session.given_up) {
            let space = &mut self.session().space;
            let (offset, len) = match given_up {
                GivenUp::Object(offset, len) => {
                    space.release(offset, len);
                    (offset, len)
                }
                GivenUp::Anchor(offset, len) if space.release_anchor(offset, len) => (offset, len),
                GivenUp::Anchor(..) => continue,
            };
            self.file.punch_hole(offset, len).map_err(|error| self.fail("free space", offset, error))?;
        }
        Ok(())
    }

    pub(super) fn commit_batch(&mut self, batch: &[(u64, Vec<u8>)]) -> Result<(), Error> {
        let (log_offset, log_len) =
            (self.current.header.log_offset, u64::from(self.current.header.log_length));
        let session = self.session.as_mut().expect("begin() has refused read-only images");
        let first = session.log.is_none();
        let log =
            session.log.get_or_insert_with(|| LogWriter::new(log_offset, log_len, session.guids.next()));
        let log_guid = log.guid();
        let written = log.write(&*self.file, batch, session.flushed_len, session.len);
        session.failed |= written.is_err();
        written.map_err(|error| self.fail("log", log_offset, error))?;
        self.flush_file()?;
        if first {
            self.update_headers(|header| header.log_guid = log_guid)?;
        }
        for (offset, page) in batch {
            let placed = self.file.write_at(*offset, page);
            self.session().failed |= placed.is_err();
            placed.map_err(|error| self.fail("BAT or sector bitmap", *offset, error))?;
        }
        Ok(())
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        if self.session.as_ref().is_none_or(|session| !session.begun) {
            return Ok(());
        }
        self.begin_as(false)?;
        let gathered = self.bat.dirty_pages() > 0 || !self.session().bitmaps.is_empty();
        if gathered {
            // The commit's last flush covers the payload as well.
            return self.commit();
        }
        self.flush_file()?;
        if let Some(log) = &mut self.session().log {
            log.settled();
        }
        Ok(())
    }

    /// Ends the session: everything durable and at its place, no log to replay.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.sync()?;
        if !self.current.header.log_guid.is_nil() && self.session.is_some() {
            self.flush_file()?;
            self.update_headers(|header| header.log_guid = Uuid::nil())?;
        }
        Ok(())
    }
}
