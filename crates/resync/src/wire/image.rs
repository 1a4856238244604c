//! Disk images as the engine's disks, and how content is packed for the wire.

use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use hvrsim_disk::Image;
use hvrsim_disk::file::BlockFile;
use hvrsim_types::size::CELL;

use super::{Content, OpenCheckpoint};
use crate::blocks::{Blocks, BlocksMut, Digest};
use crate::buffer::Buffer;
use crate::checkpoint::{Checkpoint, Progress};
use crate::direct::compare::{BLOCK_BYTES, CELL_BYTES, is_zero};
use crate::direct::pieces::{candidates, held};
use crate::direct::{Error, Side};
use crate::frame::Cells;
use crate::runs::{self, Run};
use crate::target::PIECE;

/// Less content than this is not worth compressing.
const WORTH_PACKING: usize = 512;
/// Compression keeps up with a fast link at this level.
const LEVEL: i32 = 1;

/// What a side knows beside its image.
pub(super) trait Known {
    /// Where a difference may be.
    fn candidates(&self, range: Range<u64>) -> Result<Vec<Range<u64>>, Error> {
        Ok(vec![range])
    }
}

/// The source may have a bitmap.
impl Known for Option<Arc<dyn BlockFile>> {
    fn candidates(&self, range: Range<u64>) -> Result<Vec<Range<u64>>, Error> {
        candidates(self.as_deref(), range)
    }
}

/// The target may have a checkpoint, once it knows the source's generation.
pub(super) struct Notes<'a> {
    pub(super) open: OpenCheckpoint<'a>,
    pub(super) checkpoint: Option<Checkpoint>,
}

impl Known for Notes<'_> {}

/// An image, with what was read of it last.
pub(super) struct ImageDisk<I, K> {
    image: I,
    known: K,
    side: Side,
    key: [u8; 32],
    buffer: Buffer,
    /// What the buffer holds.
    loaded: Range<u64>,
}

impl<'a, I: Deref<Target = dyn Image + 'a>, K> ImageDisk<I, K> {
    pub(super) fn new(image: I, known: K, side: Side, key: [u8; 32]) -> Self {
        let buffer = Buffer::new(usize::try_from(PIECE).unwrap_or(0));
        Self { image, known, side, key, buffer, loaded: 0..0 }
    }

    fn failed(&self, error: hvrsim_disk::Error) -> Error {
        Error::of(self.side, error)
    }

    /// The content of a range of at most a piece.
    fn load(&mut self, range: Range<u64>) -> Result<&[u8], Error> {
        if range.start < self.loaded.start || range.end > self.loaded.end {
            let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            self.loaded = 0..0;
            let read = self.image.read_at(range.start, self.buffer.first(len));
            read.map_err(|error| self.failed(error))?;
            self.loaded = range.clone();
        }
        let place = |at: u64| usize::try_from(at - self.loaded.start).unwrap_or(usize::MAX);
        Ok(&self.buffer.first(place(range.end))[place(range.start)..])
    }
}

/// The bytes of a run of cells of the piece at `start`; the disk's last cell may be cut.
fn place(start: u64, (first, count): Cells, size: u64) -> Range<u64> {
    let first = start + u64::from(first) * CELL;
    first..(first + u64::from(count) * CELL).min(size)
}

impl<'a, I: Deref<Target = dyn Image + 'a>, K: Known> Blocks for ImageDisk<I, K> {
    type Content = Content;
    type Error = Error;

    fn size(&self) -> u64 {
        self.image.size()
    }

    fn candidates(&mut self, range: Range<u64>) -> Result<Vec<Range<u64>>, Error> {
        self.known.candidates(range)
    }

    fn held(&mut self, range: Range<u64>) -> Result<Vec<Range<u64>>, Error> {
        held(&*self.image, range, self.side)
    }

    fn filled(&mut self, range: Range<u64>) -> Result<Vec<Run>, Error> {
        let mut out = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let part = at..(at + PIECE).min(range.end);
            at = part.end;
            for (content, cell) in self.load(part.clone())?.chunks(CELL_BYTES).zip(part.start / CELL..) {
                if !is_zero(content) {
                    runs::push(&mut out, Run { start: cell, len: 1 });
                }
            }
        }
        Ok(out)
    }

    fn digests(&mut self, piece: Range<u64>, wanted: u32) -> Result<Vec<Option<Digest>>, Error> {
        let key = self.key;
        let content = self.load(piece)?.chunks(BLOCK_BYTES).zip(0u32..);
        let content = content.filter(|(_, block)| wanted >> block & 1 != 0);
        Ok(content.map(|(content, _)| digest(&key, content)).collect())
    }

    fn cell_digests(&mut self, piece: Range<u64>) -> Result<Vec<Option<Digest>>, Error> {
        let key = self.key;
        Ok(self.load(piece)?.chunks(CELL_BYTES).map(|content| digest(&key, content)).collect())
    }

    fn read(&mut self, start: u64, cells: &[Cells]) -> Result<Content, Error> {
        let (Some(&first), Some(&last)) = (cells.first(), cells.last()) else {
            return Ok(Content::default());
        };
        let size = self.size();
        let span = place(start, first, size).start..place(start, last, size).end;
        let content = self.load(span.clone())?;
        let mut bytes = Vec::new();
        for &run in cells {
            let range = place(start, run, size);
            let at = |at: u64| usize::try_from(at - span.start).unwrap_or(usize::MAX);
            bytes.extend_from_slice(&content[at(range.start)..at(range.end)]);
        }
        Ok(Content::pack(bytes))
    }
}

impl<'a, I: DerefMut<Target = dyn Image + 'a>> BlocksMut for ImageDisk<I, Notes<'_>> {
    fn found(&mut self, generation: [u8; 32]) -> Result<Option<Progress>, Error> {
        self.known.checkpoint = (self.known.open)(generation, &*self.image).map_err(Error::Checkpoint)?;
        Ok(self.known.checkpoint.as_ref().and_then(Checkpoint::found))
    }

    fn interval(&self) -> u64 {
        self.known.checkpoint.as_ref().map_or(u64::MAX, Checkpoint::sent_interval)
    }

    fn write(&mut self, start: u64, cells: &[Cells], content: &Content) -> Result<bool, Error> {
        let size = self.size();
        let ranges = || cells.iter().map(|run| place(start, *run, size));
        let expected: u64 = ranges().map(|range| range.end - range.start).sum();
        let Some(bytes) = content.unpack(usize::try_from(expected).unwrap_or(0)) else { return Ok(false) };
        let mut rest = &bytes[..];
        self.loaded = 0..0;
        for range in ranges() {
            let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let (part, left) = rest.split_at(len);
            self.image.write_at(range.start, part).map_err(Error::Target)?;
            rest = left;
        }
        Ok(true)
    }

    fn zero(&mut self, range: Range<u64>) -> Result<(), Error> {
        self.loaded = 0..0;
        self.image.zero_at(range.start, range.end - range.start).map_err(Error::Target)
    }

    fn keep(&mut self, progress: &Progress) -> Result<(), Error> {
        let Some(checkpoint) = &mut self.known.checkpoint else { return Ok(()) };
        self.image.flush().map_err(Error::Target)?;
        checkpoint.keep(progress, self.image.data_write_guid()).map_err(Error::Checkpoint)
    }

    fn finish(&mut self, changed: bool) -> Result<(), Error> {
        if changed {
            self.image.flush().map_err(Error::Target)?;
        }
        self.known.checkpoint.as_mut().map_or(Ok(()), Checkpoint::remove).map_err(Error::Checkpoint)
    }
}

/// The digest of content; none of zeros.
fn digest(key: &[u8; 32], content: &[u8]) -> Option<Digest> {
    (!is_zero(content)).then(|| {
        let mut out = [0; 16];
        out.copy_from_slice(&blake3::keyed_hash(key, content).as_bytes()[..16]);
        out
    })
}

impl Content {
    fn pack(bytes: Vec<u8>) -> Self {
        if bytes.len() >= WORTH_PACKING
            && let Ok(packed) = zstd::bulk::compress(&bytes, LEVEL)
            && packed.len() < bytes.len()
        {
            return Self { packed: true, bytes: packed };
        }
        Self { packed: false, bytes }
    }

    /// The bytes, if they are as many as expected.
    fn unpack(&self, expected: usize) -> Option<std::borrow::Cow<'_, [u8]>> {
        let bytes: std::borrow::Cow<'_, [u8]> = if self.packed {
            zstd::bulk::decompress(&self.bytes, expected).ok()?.into()
        } else {
            (&self.bytes[..]).into()
        };
        (bytes.len() == expected).then_some(bytes)
    }
}
