//! The writing session: what is written in which order, so that a power cut leaves the old or the new.
//!
//! 1. Before the first change of a sparse file a damaged front footer is written again from the rear one,
//!    then the rear one is brought to the end of the used space. From then on the front one is the truth.
//! 2. Data goes to its place at once: over sectors that are there, over sectors whose bit is not set, or into
//!    a new block at the end that nothing points at yet.
//! 3. Changes of bitmaps and table gather in memory until [`VhdImage::commit`]: bitmaps of new blocks and the
//!    rear footer go out, flush; then the bits of old blocks and the table, flush.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::SECTOR;
use super::footer::LEN as FOOTER;
use super::image::{ABSENT, VhdImage, by_block, runs};
use crate::bytes::{to_u64, to_usize};
use crate::error::{Error, ErrorKind};
use crate::file::read_structure;
use crate::image::Image;
use crate::raw::read_only;

/// Changed bitmaps gathered before they are committed without being asked.
const GATHER: usize = 1024;

/// The state of a writing session.
#[derive(Default)]
pub(super) struct Session {
    begun: bool,
    /// Bitmaps that were changed, by block.
    bitmaps: BTreeMap<u64, Vec<u8>>,
    /// Blocks that no table on the disk names yet.
    fresh: BTreeSet<u64>,
    /// Sectors of the table that were changed.
    table: BTreeSet<u64>,
    /// A write whose effect is not known has failed.
    failed: bool,
}

impl VhdImage {
    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("begin() has refused read-only images")
    }

    /// Starts the session with its first change.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        let Some(session) = &mut self.session else {
            return Err(read_only(&self.path));
        };
        if session.failed {
            return Err(Error::new(ErrorKind::Io, "image")
                .in_file(&self.path)
                .found("a change after a flush that failed")
                .remedy("mend the storage and open it again"));
        }
        if std::mem::replace(&mut session.begun, true) {
            return Ok(());
        }
        let mended = self.mend();
        self.note(mended, "VHD footer")
    }

    /// Brings both footers of a sparse file to where they belong.
    fn mend(&mut self) -> std::io::Result<()> {
        let Some(sparse) = &mut self.sparse else { return Ok(()) };
        if !sparse.front {
            self.file.write_at(0, self.footer.bytes())?;
            self.file.flush()?;
            sparse.front = true;
        }
        if !sparse.rear {
            // What lies behind the used space is nobody's, and must be zero when it is used.
            self.file.set_len(sparse.end)?;
            self.file.flush()?;
            self.file.write_at(sparse.end, self.footer.bytes())?;
            self.file.flush()?;
            sparse.rear = true;
        }
        Ok(())
    }

    /// Notes a failure of which it is not known what it left.
    pub(super) fn note(&mut self, result: std::io::Result<()>, what: &'static str) -> Result<(), Error> {
        self.session().failed |= result.is_err();
        result.map_err(|error| Error::io(what, error).in_file(&self.path))
    }

    /// The bitmap of a block, as changed; `None` for a block that is not there.
    pub(super) fn bitmap(&self, block: u64) -> Result<Option<Cow<'_, [u8]>>, Error> {
        if let Some(bitmap) = self.session.as_ref().and_then(|session| session.bitmaps.get(&block)) {
            return Ok(Some(Cow::Borrowed(bitmap)));
        }
        let Some(sparse) = &self.sparse else { return Ok(None) };
        let Some(at) = sparse.bitmap_at(block) else { return Ok(None) };
        let mut bitmap = vec![0; to_usize(sparse.bitmap_len())];
        let read = read_structure(&*self.file, "VHD sector bitmap", at, &mut bitmap);
        read.map_err(|error| error.in_file(&self.path))?;
        Ok(Some(Cow::Owned(bitmap)))
    }

    pub(super) fn write(&mut self, range: Range<u64>, data: &[u8]) -> Result<(), Error> {
        self.begin()?;
        let Some(sparse) = &self.sparse else {
            return self.put(range.start, data);
        };
        let start = range.start;
        for (block, part) in by_block(sparse.header.block_size(), range) {
            let data = &data[to_usize(part.start - start)..to_usize(part.end - start)];
            self.write_block(block, part, data)?;
        }
        self.commit_if_many()
    }

    fn put(&mut self, place: u64, data: &[u8]) -> Result<(), Error> {
        self.file.write_at(place, data).map_err(|error| self.fail("VHD block", place, error))
    }

    fn write_block(&mut self, block: u64, part: Range<u64>, data: &[u8]) -> Result<(), Error> {
        let (part, data) = self.whole_sectors(part, data)?;
        self.ensure(block)?;
        let place = self.sparse().place(part.start);
        self.put(place, &data)?;
        self.set_bits(block, part)
    }

    fn sparse(&self) -> &super::image::Sparse {
        self.sparse.as_ref().expect("only sparse files have blocks")
    }

    /// Widens a change to whole sectors, what surrounds it read from the chain.
    fn whole_sectors<'a>(
        &self,
        part: Range<u64>,
        data: &'a [u8],
    ) -> Result<(Range<u64>, Cow<'a, [u8]>), Error> {
        let whole = part.start / SECTOR * SECTOR..part.end.next_multiple_of(SECTOR);
        if whole == part {
            return Ok((part, Cow::Borrowed(data)));
        }
        let mut widened = vec![0; to_usize(whole.end - whole.start)];
        let edge = to_usize(SECTOR);
        self.read_at(whole.start, &mut widened[..edge])?;
        let last = widened.len() - edge;
        self.read_at(whole.end - SECTOR, &mut widened[last..])?;
        let from = to_usize(part.start - whole.start);
        widened[from..from + data.len()].copy_from_slice(data);
        Ok((whole, Cow::Owned(widened)))
    }

    /// Makes a block be there: a new one at the end of the file, its data zero. Over a parent it holds none
    /// of its sectors yet, else all: some readers never look at the bits of a dynamic disk.
    fn ensure(&mut self, block: u64) -> Result<(), Error> {
        let bits = if self.parent.is_some() { 0 } else { 0xFF };
        let sparse = self.sparse.as_mut().expect("only sparse files have blocks");
        if sparse.bitmap_at(block).is_some() {
            return Ok(());
        }
        let (at, bitmap_len) = (sparse.end, sparse.bitmap_len());
        let end = at + bitmap_len + sparse.header.block_size();
        let sector = u32::try_from(at / SECTOR).ok().filter(|sector| *sector != ABSENT).ok_or_else(|| {
            Error::new(ErrorKind::OutOfRange, "VHD block")
                .in_file(&self.path)
                .at(at)
                .requires("blocks to begin in the first 2 TiB of the file (VHD 1.0)")
        })?;
        self.file
            .set_len(end + FOOTER)
            .map_err(|error| Error::io("file length", error).in_file(&self.path))?;
        sparse.end = end;
        sparse.bat[to_usize(block)] = sector;
        let session = self.session.as_mut().expect("begin() has refused read-only images");
        session.table.insert(block * 4 / SECTOR);
        session.fresh.insert(block);
        session.bitmaps.insert(block, vec![bits; to_usize(bitmap_len)]);
        Ok(())
    }

    /// Notes that whole sectors are here now.
    fn set_bits(&mut self, block: u64, part: Range<u64>) -> Result<(), Error> {
        let start = block * self.sparse().header.block_size();
        let Some(bitmap) = self.bitmap(block)? else { return Ok(()) };
        if matches!(&runs(&bitmap, start, part.clone())[..], [(_, true)]) {
            return Ok(());
        }
        let mut bitmap = bitmap.into_owned();
        for sector in (part.start - start) / SECTOR..(part.end - start) / SECTOR {
            bitmap[to_usize(sector / 8)] |= 0x80 >> (sector % 8);
        }
        self.session().bitmaps.insert(block, bitmap);
        Ok(())
    }

    pub(super) fn zero(&mut self, range: Range<u64>) -> Result<(), Error> {
        self.begin()?;
        let Some(sparse) = &self.sparse else {
            return self.punch(range.start, range.end - range.start);
        };
        for (block, part) in by_block(sparse.header.block_size(), range) {
            self.zero_block(block, part)?;
        }
        self.commit_if_many()
    }

    fn punch(&mut self, place: u64, len: u64) -> Result<(), Error> {
        self.file.punch_hole(place, len).map_err(|error| self.fail("VHD block", place, error))
    }

    /// Whole sectors become holes of this file, the edges are written. Blocks are never given back: the
    /// format could not do so safely.
    fn zero_block(&mut self, block: u64, part: Range<u64>) -> Result<(), Error> {
        let absent = self.sparse().bitmap_at(block).is_none();
        if absent && !self.extents(part.clone())?.iter().any(crate::image::Extent::may_hold_data) {
            return Ok(());
        }
        let inner = part.start.next_multiple_of(SECTOR)..part.end / SECTOR * SECTOR;
        if inner.start >= inner.end {
            let zeros = vec![0; to_usize(part.end - part.start)];
            return self.write_block(block, part, &zeros);
        }
        for edge in [part.start..inner.start, inner.end..part.end] {
            if !edge.is_empty() {
                let zeros = vec![0; to_usize(edge.end - edge.start)];
                self.write_block(block, edge, &zeros)?;
            }
        }
        self.ensure(block)?;
        let place = self.sparse().place(inner.start);
        self.punch(place, inner.end - inner.start)?;
        self.set_bits(block, inner)
    }

    fn commit_if_many(&mut self) -> Result<(), Error> {
        if self.session().bitmaps.len() >= GATHER { self.commit() } else { Ok(()) }
    }

    /// Makes the gathered changes of bitmaps and table durable.
    fn commit(&mut self) -> Result<(), Error> {
        let done = self.commit_steps();
        self.note(done, "VHD bitmaps and BAT")
    }

    fn commit_steps(&mut self) -> std::io::Result<()> {
        let (Some(sparse), Some(session)) = (&self.sparse, &mut self.session) else {
            return self.file.flush();
        };
        let place = |block: &u64| sparse.bitmap_at(*block).unwrap_or_default();
        for block in &session.fresh {
            if let Some(bitmap) = session.bitmaps.remove(block) {
                self.file.write_at(place(block), &bitmap)?;
            }
        }
        if !session.fresh.is_empty() {
            self.file.write_at(sparse.end, self.footer.bytes())?;
        }
        self.file.flush()?;
        for (block, bitmap) in &session.bitmaps {
            self.file.write_at(place(block), bitmap)?;
        }
        for sector in &session.table {
            let first = to_usize(sector * SECTOR / 4);
            let entries = sparse.bat[first..].iter().take(to_usize(SECTOR / 4));
            let bytes: Vec<u8> = entries.flat_map(|entry| entry.to_be_bytes()).collect();
            self.file.write_at(sparse.header.bat_offset() + sector * SECTOR, &bytes)?;
        }
        if !session.bitmaps.is_empty() || !session.table.is_empty() {
            self.file.flush()?;
        }
        session.fresh.clear();
        session.bitmaps.clear();
        session.table.clear();
        Ok(())
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        if self.session.as_ref().is_none_or(|session| !session.begun) {
            return Ok(());
        }
        self.begin()?;
        self.commit()
    }

    /// The length of the file that the disk needs now, its rear footer included.
    pub(super) fn full_len(&self) -> u64 {
        FOOTER + self.sparse.as_ref().map_or(self.footer.size(), |sparse| sparse.end)
    }

    /// How many bytes a buffer of the table takes on the disk: whole sectors.
    pub(super) fn table_bytes(bat: &[u32]) -> Vec<u8> {
        let mut bytes: Vec<u8> = bat.iter().flat_map(|entry| entry.to_be_bytes()).collect();
        bytes.resize(bytes.len().next_multiple_of(to_usize(SECTOR)), 0xFF);
        debug_assert!(to_u64(bytes.len()).is_multiple_of(SECTOR));
        bytes
    }
}
