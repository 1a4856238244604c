//! The end that writes.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use hvrsim_disk::Image;
use hvrsim_types::size::{BLOCK, CELL};

use super::{Answer, End, Error, Frame, MAP_RUNS, PIECE, Span, VERSION, WINDOW, digest};
use crate::checkpoint::{Checkpoint, Progress};
use crate::direct::compare::{BLOCK_BYTES, CELL_BYTES, is_zero};
use crate::direct::pieces::{Kind, Piece, WINDOW as MAP_WINDOW, held, merge, whole_blocks};
use crate::direct::{Error as ImageError, Side, Summary};

/// Makes the checkpoint of a run, once the source's generation is known.
pub type OpenCheckpoint<'a> =
    Box<dyn FnMut([u8; 32], &dyn Image) -> std::io::Result<Option<Checkpoint>> + Send + 'a>;

/// The end at the image that is made equal.
pub struct TargetEnd<'a> {
    image: &'a mut dyn Image,
    open: OpenCheckpoint<'a>,
    checkpoint: Option<Checkpoint>,
    key: [u8; 32],
    opened: bool,
    out: VecDeque<Frame>,
    /// Maps that came and were not looked at, in order; and where the one that was asked for begins.
    maps: VecDeque<Map>,
    wanted: Option<u64>,
    pieces: VecDeque<Piece>,
    /// Everything in front of it is in `pieces`, on its way, or done.
    mapped: u64,
    outstanding: BTreeMap<u64, Outstanding>,
    summary: Summary,
    kept: Progress,
    buffer: Vec<u8>,
    finished: bool,
}

struct Map {
    range: Range<u64>,
    candidates: Vec<Span>,
    held: Vec<Span>,
}

struct Outstanding {
    len: u32,
    /// Blocks that hold something here and whose cells were not asked for.
    holds: u32,
}

impl<'a> TargetEnd<'a> {
    /// An end that has heard nothing yet. `key` is the session's, for digests.
    pub fn new(image: &'a mut dyn Image, key: [u8; 32], open: OpenCheckpoint<'a>) -> Self {
        Self {
            image,
            open,
            checkpoint: None,
            key,
            opened: false,
            out: VecDeque::new(),
            maps: VecDeque::new(),
            wanted: None,
            pieces: VecDeque::new(),
            mapped: 0,
            outstanding: BTreeMap::new(),
            summary: Summary::default(),
            kept: Progress::default(),
            buffer: vec![0; usize::try_from(PIECE).unwrap_or(0)],
            finished: false,
        }
    }

    /// Everything in front of it is done.
    #[must_use]
    pub fn done_to(&self) -> u64 {
        let waiting = self.pieces.front().map_or(self.mapped, |piece| piece.range.start);
        self.outstanding.keys().next().map_or(waiting, |first| waiting.min(*first))
    }

    fn opened(&mut self, version: u32, size: u64, generation: [u8; 32]) -> Result<(), Error> {
        if version != VERSION {
            return Err(Error::Version { theirs: version });
        }
        if size != self.image.size() {
            return Err(ImageError::Sizes { source_bytes: size, target_bytes: self.image.size() }.into());
        }
        self.checkpoint = (self.open)(generation, &*self.image).map_err(ImageError::Checkpoint)?;
        let begun = self.checkpoint.as_ref().and_then(Checkpoint::found).unwrap_or_default();
        (self.summary, self.kept) = (begun.summary, begun);
        self.mapped = begun.done_to.min(size) / BLOCK * BLOCK;
        if begun.done_to >= size {
            self.mapped = size;
        }
        self.opened = true;
        self.out.push_back(Frame::Begin { done_to: self.mapped });
        self.want_map(self.mapped);
        Ok(())
    }

    fn want_map(&mut self, from: u64) {
        self.wanted = (from < self.image.size()).then_some(from);
        if self.wanted.is_some() {
            self.out.push_back(Frame::WantMap { from });
        }
    }

    fn map(&mut self, range: Range<u64>, candidates: Vec<Span>, held: Vec<Span>) -> Result<(), Error> {
        let wrong = Err(Error::Unexpected("`map`"));
        let size = self.image.size();
        let whole = range.end == size || range.end.is_multiple_of(BLOCK);
        if self.wanted != Some(range.start) || range.end <= range.start || range.end > size || !whole {
            return wrong;
        }
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        for runs in [&candidates, &held] {
            if runs.len() > 2 * MAP_RUNS || !are_sorted(runs, &blocks) {
                return wrong;
            }
        }
        self.wanted = None;
        self.maps.push_back(Map { range, candidates, held });
        Ok(())
    }

    /// Cuts the next stretch of a map into pieces.
    fn look(&mut self) -> Result<(), Error> {
        let Some(map) = self.maps.front() else { return Ok(()) };
        let size = self.image.size();
        let window = self.mapped..(self.mapped / MAP_WINDOW * MAP_WINDOW + MAP_WINDOW).min(map.range.end);
        let theirs = within(&map.held, &window, size);
        let mut mine = Vec::new();
        for range in within(&map.candidates, &window, size) {
            mine.extend(whole_blocks(&held(&*self.image, range, Side::Target)?, size));
        }
        merge(&theirs, &mine, PIECE, &mut self.pieces);
        self.mapped = window.end;
        if window.end == map.range.end {
            self.maps.pop_front();
        }
        Ok(())
    }

    /// The next piece to ask for; what only this side holds is made zero on the way.
    fn ask(&mut self) -> Result<Option<Frame>, Error> {
        loop {
            if self.pieces.is_empty() {
                if self.maps.is_empty() {
                    return Ok(None);
                }
                // The next map comes while this one is worked on.
                if self.wanted.is_none() && self.maps.len() == 1 {
                    let next = self.maps[0].range.end;
                    if next < self.image.size() {
                        self.wanted = Some(next);
                        return Ok(Some(Frame::WantMap { from: next }));
                    }
                }
                self.look()?;
                continue;
            }
            let Some(piece) = self.pieces.pop_front() else { continue };
            if piece.kind == Kind::TargetOnly {
                self.zero_if_filled(&piece.range)?;
                continue;
            }
            return self.digests(&piece).map(Some);
        }
    }

    fn digests(&mut self, piece: &Piece) -> Result<Frame, Error> {
        let start = piece.range.start;
        let len = u32::try_from(piece.range.end - start).unwrap_or(u32::MAX);
        let (mut holds, mut digests) = (0, Vec::new());
        if piece.kind == Kind::Both {
            self.read(start, len as usize)?;
            for (block, content) in (0u32..).zip(self.buffer[..len as usize].chunks(BLOCK_BYTES)) {
                if !is_zero(content) {
                    holds |= 1 << block;
                    digests.push(digest(&self.key, content));
                }
            }
        }
        self.outstanding.insert(start, Outstanding { len, holds });
        Ok(Frame::Ask { start, len, holds, digests })
    }

    fn refine(&mut self, start: u64, blocks: u32) -> Result<(), Error> {
        let wrong = Error::Unexpected("`refine`");
        let Some(piece) = self.outstanding.get_mut(&start) else { return Err(wrong) };
        if blocks == 0 || blocks & !piece.holds != 0 {
            return Err(wrong);
        }
        // A second time is refused.
        piece.holds = 0;
        let len = piece.len as usize;
        self.read(start, len)?;
        let mut digests = Vec::new();
        for (block, content) in (0u32..).zip(self.buffer[..len].chunks(BLOCK_BYTES)) {
            if blocks >> block & 1 != 0 {
                digests.extend(content.chunks(CELL_BYTES).map(|cell| digest(&self.key, cell)));
            }
        }
        self.out.push_back(Frame::Cells { start, digests });
        Ok(())
    }

    fn answer(&mut self, answer: &Answer) -> Result<(), Error> {
        let wrong = || Error::Unexpected("`answer`");
        let piece = self.outstanding.get(&answer.start).ok_or_else(wrong)?;
        let len = piece.len as usize;
        let zero = places(&answer.zero, len).ok_or_else(wrong)?;
        let write = places(&answer.write, len).ok_or_else(wrong)?;
        let expected: usize = write.iter().map(Range::len).sum();
        let unpacked;
        let mut content = &answer.content[..];
        if answer.packed {
            unpacked = zstd::bulk::decompress(content, expected).map_err(|_| wrong())?;
            content = &unpacked;
        }
        if content.len() != expected {
            return Err(wrong());
        }
        for place in &zero {
            let at = answer.start + place.start as u64;
            self.image.zero_at(at, place.len() as u64).map_err(ImageError::Target)?;
            self.summary.zeroed_bytes += place.len() as u64;
        }
        for place in &write {
            let (part, rest) = content.split_at(place.len());
            self.image.write_at(answer.start + place.start as u64, part).map_err(ImageError::Target)?;
            content = rest;
        }
        self.summary.written_bytes += expected as u64;
        self.summary.sent_bytes +=
            answer.write.iter().map(|(_, count)| u64::from(*count) * CELL).sum::<u64>();
        self.summary.compared_bytes += u64::from(answer.compared) * CELL;
        self.outstanding.remove(&answer.start);
        self.keep_if_due()
    }

    fn zero_if_filled(&mut self, range: &Range<u64>) -> Result<(), Error> {
        let mut at = range.start;
        while at < range.end {
            let len =
                usize::try_from(range.end - at).map_or(self.buffer.len(), |len| len.min(self.buffer.len()));
            self.read(at, len)?;
            if !self.buffer[..len].chunks(BLOCK_BYTES).all(is_zero) {
                let len = range.end - range.start;
                self.image.zero_at(range.start, len).map_err(ImageError::Target)?;
                self.summary.zeroed_bytes += len;
                return Ok(());
            }
            at += len as u64;
        }
        Ok(())
    }

    fn read(&mut self, start: u64, len: usize) -> Result<(), Error> {
        self.image.read_at(start, &mut self.buffer[..len]).map_err(|e| ImageError::Target(e).into())
    }

    fn keep_if_due(&mut self) -> Result<(), Error> {
        let now = Progress { done_to: self.done_to(), summary: self.summary };
        if self.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.is_due(&self.kept, &now)) {
            self.interrupted()?;
        }
        Ok(())
    }

    /// Everything is asked for and answered.
    fn finish(&mut self) -> Result<Frame, Error> {
        if self.summary.written_bytes + self.summary.zeroed_bytes > 0 {
            self.image.flush().map_err(ImageError::Target)?;
        }
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.remove().map_err(ImageError::Checkpoint)?;
        }
        self.finished = true;
        Ok(Frame::Finished { summary: self.summary })
    }
}

impl End for TargetEnd<'_> {
    fn handle(&mut self, frame: Frame) -> Result<(), Error> {
        let name = frame.name();
        match frame {
            Frame::Open { version, size, generation } if !self.opened => {
                self.opened(version, size, generation)
            }
            Frame::Map { from, to, candidates, held } => self.map(from..to, candidates, held),
            Frame::Refine { start, blocks } => self.refine(start, blocks),
            Frame::Answer(answer) => self.answer(&answer),
            _ => Err(Error::Unexpected(name)),
        }
    }

    fn next(&mut self) -> Result<Option<Frame>, Error> {
        if let Some(frame) = self.out.pop_front() {
            return Ok(Some(frame));
        }
        if !self.opened || self.finished {
            return Ok(None);
        }
        if self.outstanding.len() < WINDOW
            && let Some(frame) = self.ask()?
        {
            return Ok(Some(frame));
        }
        let done = self.outstanding.is_empty() && self.pieces.is_empty() && self.mapped == self.image.size();
        if done { self.finish().map(Some) } else { Ok(None) }
    }

    fn finished(&self) -> Option<Summary> {
        self.finished.then_some(self.summary)
    }

    fn interrupted(&mut self) -> Result<(), Error> {
        let now = Progress { done_to: self.done_to(), summary: self.summary };
        if let Some(checkpoint) = self.checkpoint.as_mut().filter(|_| !self.finished) {
            self.image.flush().map_err(ImageError::Target)?;
            checkpoint.keep(&now, self.image.data_write_guid()).map_err(ImageError::Checkpoint)?;
            self.kept = now;
        }
        Ok(())
    }
}

/// Whether runs are in order, do not overlap and lie inside.
fn are_sorted(runs: &[Span], inside: &Range<u64>) -> bool {
    let mut at = inside.start;
    runs.iter().all(|&(first, count)| {
        let from = std::mem::replace(&mut at, first.saturating_add(count));
        first >= from && count > 0 && at <= inside.end
    })
}

/// Runs of blocks as ranges of bytes inside a window.
fn within(runs: &[Span], window: &Range<u64>, size: u64) -> Vec<Range<u64>> {
    let first = runs.partition_point(|(first, count)| (first + count) * BLOCK <= window.start);
    let inside = runs[first..].iter().take_while(|(first, _)| first * BLOCK < window.end);
    inside
        .map(|(first, count)| {
            let end = ((first + count) * BLOCK).min(size).min(window.end);
            (first * BLOCK).max(window.start)..end
        })
        .collect()
}

/// Runs of cells as places in a piece; none if they leave it, overlap or are out of order.
fn places(runs: &[(u32, u32)], len: usize) -> Option<Vec<Range<usize>>> {
    let mut at = 0;
    let place = |&(first, count): &(u32, u32)| {
        let from = (first as usize).checked_mul(CELL_BYTES)?;
        let to = from
            .checked_add((count as usize).checked_mul(CELL_BYTES)?)?
            .min(len.next_multiple_of(CELL_BYTES));
        let whole = count > 0 && from >= at && to == (first as usize + count as usize) * CELL_BYTES;
        at = to;
        whole.then(|| from..to.min(len))
    };
    runs.iter().map(place).collect()
}
