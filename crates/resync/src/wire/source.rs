//! The end that reads.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use hvrsim_disk::Image;
use hvrsim_disk::file::BlockFile;
use hvrsim_types::size::BLOCK;

use super::{Answer, End, Error, Frame, MAP_RUNS, PIECE, Span, VERSION, WINDOW, digest};
use crate::blocks::Digest;
use crate::direct::compare::{BLOCK_BYTES, CELL_BYTES, is_zero};
use crate::direct::pieces::{WINDOW as MAP_WINDOW, candidates, held, whole_blocks};
use crate::direct::{Error as ImageError, Side, Summary};

/// Less content than this is not worth compressing.
const WORTH_PACKING: usize = 512;
/// Cells in a block, as pieces count them.
const CELLS_OF_BLOCK: u32 = 16;
const _: () = assert!(CELLS_OF_BLOCK as usize * CELL_BYTES == BLOCK_BYTES);
/// Compression keeps up with a fast link at this level.
const LEVEL: i32 = 1;

/// The end at the image that is read.
pub struct SourceEnd<'a> {
    image: &'a dyn Image,
    bitmap: Option<Arc<dyn BlockFile>>,
    key: [u8; 32],
    out: VecDeque<Frame>,
    begun: bool,
    refining: BTreeMap<u64, Refining>,
    buffer: Vec<u8>,
    sent_bytes: u64,
    finished: Option<Summary>,
}

/// A piece whose cells are compared.
struct Refining {
    len: usize,
    blocks: u32,
    answer: Answer,
    /// Cells that are sent whatever the digests say.
    sure: Vec<(u32, u32)>,
}

impl<'a> SourceEnd<'a> {
    /// An end that has said nothing yet. `key` is the session's, for digests; `generation` names the image's content.
    #[must_use]
    pub fn new(
        image: &'a dyn Image,
        bitmap: Option<Arc<dyn BlockFile>>,
        key: [u8; 32],
        generation: [u8; 32],
    ) -> Self {
        let open = Frame::Open { version: VERSION, size: image.size(), generation };
        Self {
            image,
            bitmap,
            key,
            out: VecDeque::from([open]),
            begun: false,
            refining: BTreeMap::new(),
            buffer: vec![0; usize::try_from(PIECE).unwrap_or(0)],
            sent_bytes: 0,
            finished: None,
        }
    }

    /// Content sent in this run, before compression.
    #[must_use]
    pub const fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    fn map(&mut self, from: u64) -> Result<Frame, Error> {
        let size = self.image.size();
        if !from.is_multiple_of(BLOCK) || from >= size {
            return Err(Error::Unexpected("`want map`"));
        }
        let (mut looked_at, mut here): (Vec<Span>, Vec<Span>) = (Vec::new(), Vec::new());
        let mut to = from;
        // Stretches without anything here cost no frame of their own.
        while to < size && here.is_empty() && looked_at.len() < MAP_RUNS / 2 {
            let window = to..(to / MAP_WINDOW * MAP_WINDOW + MAP_WINDOW).min(size);
            to = window.end;
            for range in candidates(self.bitmap.as_deref(), window)? {
                push(&mut looked_at, &range);
                for held in whole_blocks(&held(self.image, range, Side::Source)?, size) {
                    push(&mut here, &held);
                }
            }
        }
        Ok(Frame::Map { from, to, candidates: looked_at, held: here })
    }

    fn read(&mut self, start: u64, len: usize) -> Result<(), Error> {
        self.image.read_at(start, &mut self.buffer[..len]).map_err(|e| ImageError::Source(e).into())
    }

    /// What a piece differs in by its blocks; where both hold something, its cells are asked for.
    fn ask(&mut self, start: u64, len: u32, holds: u32, digests: &[Digest]) -> Result<Frame, Error> {
        let wrong = Error::Unexpected("`ask`");
        let bytes = usize::try_from(len).map_err(|_| Error::Garbage)?;
        let fits = start.checked_add(u64::from(len)).is_some_and(|end| end <= self.image.size());
        let blocks = u32::try_from(bytes.div_ceil(BLOCK_BYTES)).unwrap_or(u32::MAX);
        let known = holds.count_ones() as usize == digests.len() && (blocks >= 32 || holds >> blocks == 0);
        if !fits || len == 0 || u64::from(len) > PIECE || !start.is_multiple_of(BLOCK) || !known {
            return Err(wrong);
        }
        self.read(start, bytes)?;
        let mut answer = Answer { start, ..Answer::default() };
        let (mut refine, mut sure) = (0, Vec::new());
        let mut digests = digests.iter();
        for (block, content) in (0u32..).zip(self.buffer[..bytes].chunks(BLOCK_BYTES)) {
            let theirs = if holds >> block & 1 != 0 { digests.next() } else { None };
            let first = block * CELLS_OF_BLOCK;
            let cells = cells_in(content);
            match (is_zero(content), theirs) {
                (true, None) => {}
                (true, Some(_)) => push_cells(&mut answer.zero, first, cells),
                (false, None) => {
                    for (cell, _) in (first..).zip(content.chunks(CELL_BYTES)).filter(|(_, c)| !is_zero(c)) {
                        push_cells(&mut sure, cell, 1);
                    }
                }
                (false, Some(theirs)) => {
                    answer.compared += cells;
                    if digest(&self.key, content) != *theirs {
                        refine |= 1 << block;
                    }
                }
            }
        }
        if refine == 0 {
            answer.write = sure;
            return Ok(self.answer(answer));
        }
        if self.refining.len() >= WINDOW {
            return Err(wrong);
        }
        self.refining.insert(start, Refining { len: bytes, blocks: refine, answer, sure });
        Ok(Frame::Refine { start, blocks: refine })
    }

    fn cells(&mut self, start: u64, digests: &[Digest]) -> Result<Frame, Error> {
        let Some(Refining { len, blocks, mut answer, mut sure }) = self.refining.remove(&start) else {
            return Err(Error::Unexpected("`cells`"));
        };
        self.read(start, len)?;
        let mut theirs = digests.iter();
        for (block, content) in (0u32..).zip(self.buffer[..len].chunks(BLOCK_BYTES)) {
            if blocks >> block & 1 == 0 {
                continue;
            }
            let first = block * CELLS_OF_BLOCK;
            for (cell, content) in (first..).zip(content.chunks(CELL_BYTES)) {
                let Some(theirs) = theirs.next() else { return Err(Error::Unexpected("`cells`")) };
                if digest(&self.key, content) != *theirs {
                    let list = if is_zero(content) { &mut answer.zero } else { &mut sure };
                    list.push((cell, 1));
                }
            }
        }
        if theirs.next().is_some() {
            return Err(Error::Unexpected("`cells`"));
        }
        answer.zero = joined(answer.zero);
        answer.write = joined(sure);
        Ok(self.answer(answer))
    }

    /// Puts the content of the cells, which are in the buffer, into an answer.
    fn answer(&mut self, mut answer: Answer) -> Frame {
        for &(first, count) in &answer.write {
            let from = first as usize * CELL_BYTES;
            let to = from + count as usize * CELL_BYTES;
            // The disk's last cell may be cut.
            let end = usize::try_from(self.image.size() - answer.start).unwrap_or(usize::MAX).min(to);
            answer.content.extend(&self.buffer[from..end.min(to)]);
            self.sent_bytes += u64::from(count) * CELL_BYTES as u64;
        }
        if answer.content.len() >= WORTH_PACKING
            && let Ok(packed) = zstd::bulk::compress(&answer.content, LEVEL)
            && packed.len() < answer.content.len()
        {
            (answer.packed, answer.content) = (true, packed);
        }
        Frame::Answer(answer)
    }
}

impl End for SourceEnd<'_> {
    fn handle(&mut self, frame: Frame) -> Result<(), Error> {
        let name = frame.name();
        let answer = match frame {
            Frame::Begin { .. } if !self.begun => {
                self.begun = true;
                return Ok(());
            }
            Frame::WantMap { from } if self.begun => self.map(from)?,
            Frame::Ask { start, len, holds, digests } if self.begun => {
                self.ask(start, len, holds, &digests)?
            }
            Frame::Cells { start, digests } => self.cells(start, &digests)?,
            Frame::Finished { summary } if self.begun && self.refining.is_empty() => {
                self.finished = Some(summary);
                return Ok(());
            }
            _ => return Err(Error::Unexpected(name)),
        };
        self.out.push_back(answer);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Frame>, Error> {
        Ok(self.out.pop_front())
    }

    fn finished(&self) -> Option<Summary> {
        self.finished
    }

    fn interrupted(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

fn cells_in(content: &[u8]) -> u32 {
    u32::try_from(content.len().div_ceil(CELL_BYTES)).unwrap_or(u32::MAX)
}

fn push(runs: &mut Vec<Span>, range: &Range<u64>) {
    let (first, end) = (range.start / BLOCK, range.end.div_ceil(BLOCK));
    match runs.last_mut() {
        Some((start, count)) if *start + *count >= first => *count = end - *start,
        _ => runs.push((first, end - first)),
    }
}

fn push_cells(runs: &mut Vec<(u32, u32)>, first: u32, count: u32) {
    match runs.last_mut() {
        Some((start, len)) if *start + *len == first => *len += count,
        _ => runs.push((first, count)),
    }
}

/// Sorts runs that do not overlap, and joins those that touch.
fn joined(mut runs: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    runs.sort_unstable();
    let mut out = Vec::new();
    for (first, count) in runs {
        push_cells(&mut out, first, count);
    }
    out
}
