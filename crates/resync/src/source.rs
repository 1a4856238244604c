//! The half at the disk where the content comes from.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use hvrsim_types::size::{BLOCK, CELL};
use serde::{Deserialize, Serialize};

use crate::blocks::{BLOCK_CELLS, Blocks, Digest};
use crate::direct::Summary;
use crate::direct::pieces::{WINDOW as MAP_WINDOW, whole_blocks};
use crate::error::Error;
use crate::frame::{Answer, Cells, Frame, Span, VERSION, ZEROS, cells_in, push_cells};
use crate::runs::{Run, RunSet};
use crate::target::{MAP_RUNS, PIECE, WINDOW};

/// Cells in a block, as pieces count them.
const CELLS_OF_BLOCK: u32 = 16;
const _: () = assert!(CELLS_OF_BLOCK as u64 == BLOCK_CELLS && PIECE / BLOCK == 32);

/// What was asked for and is not answered: content is read when the answer can go.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Todo {
    Open,
    Map { from: u64 },
    Ask { piece: Range<u64>, holds: u32, digests: Vec<Digest> },
    Cells { start: u64, digests: Vec<Digest> },
}

/// A piece whose cells are compared.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Refining {
    piece: Range<u64>,
    blocks: u32,
    compared: u32,
    zero: Vec<Cells>,
    /// Cells that are sent whatever the digests say.
    write: Vec<Cells>,
}

/// Where a guest's write to a block has to be kept while the source is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Route {
    /// The block is still to be read: the write is carried with it, and its bit among the candidates is enough.
    Bitmap,
    /// The block is done: the write goes to the running log, which the target applies afterwards.
    Log,
    /// The block is in hand: the write waits until another frame has been taken.
    Wait,
}

/// The half that reads.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Source {
    generation: [u8; 32],
    full: bool,
    begun: bool,
    todo: VecDeque<Todo>,
    refining: BTreeMap<u64, Refining>,
    /// In front of it the map was told, or the target need not be told: the watermark.
    mapped: u64,
    /// Blocks behind it that the target will ask for.
    to_come: RunSet,
    /// In front of it writes went to the log before an interruption, and have to go there ever after.
    logged: u64,
    sent_bytes: u64,
    read_bytes: u64,
    finished: Option<Summary>,
}

impl Source {
    /// A half that has said nothing yet. `generation` names the disk's content; `full`: nothing is compared, what is
    /// held is sent.
    #[must_use]
    pub fn new(generation: [u8; 32], full: bool) -> Self {
        Self {
            generation,
            full,
            begun: false,
            todo: VecDeque::from([Todo::Open]),
            refining: BTreeMap::new(),
            mapped: 0,
            to_come: RunSet::default(),
            logged: 0,
            sent_bytes: 0,
            read_bytes: 0,
            finished: None,
        }
    }

    /// Content put into answers, before compression, in whole cells.
    #[must_use]
    pub const fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Bytes read from the disk.
    #[must_use]
    pub const fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// What was done, once the target has said that everything is equal and durable.
    #[must_use]
    pub const fn finished(&self) -> Option<Summary> {
        self.finished
    }

    /// The connection broke: what was on its way is lost, and the work begins again with `Open`.
    pub fn interrupt(&mut self) {
        if self.finished.is_none() {
            let Self { generation, full, mapped, sent_bytes, read_bytes, .. } = *self;
            *self = Self { mapped, logged: mapped, sent_bytes, read_bytes, ..Self::new(generation, full) };
        }
    }

    /// Where a guest's write to a block of the disk is to be kept that comes now, if what is read is what the guest
    /// writes to. All of a log is applied after the work is done, in order; so every write is there, and without an
    /// interruption it crosses once.
    #[must_use]
    pub fn route(&self, block: u64) -> Route {
        let at = block * BLOCK;
        let asked = self.todo.iter().filter_map(|todo| match todo {
            Todo::Ask { piece, .. } => Some(piece),
            _ => None,
        });
        let mut in_hand = asked.chain(self.refining.values().map(|refining| &refining.piece));
        if in_hand.any(|piece| piece.contains(&at)) {
            return Route::Wait;
        }
        let comes = at >= self.mapped || self.to_come.contains(block);
        if comes && at >= self.logged { Route::Bitmap } else { Route::Log }
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// It does not fit.
    pub fn handle<B: Blocks>(&mut self, disk: &B, frame: Frame<B::Content>) -> Result<(), Error<B::Error>> {
        let wrong = Err(Error::Unexpected(frame.name()));
        let todo = match frame {
            Frame::Begin { done_to } if !self.begun => {
                self.begun = true;
                self.mapped = self.mapped.max(done_to);
                return Ok(());
            }
            Frame::WantMap { from } if self.begun => {
                let again = self.todo.iter().any(|todo| matches!(todo, Todo::Map { .. }));
                if again || !from.is_multiple_of(BLOCK) || from >= disk.size() {
                    return wrong;
                }
                Todo::Map { from }
            }
            Frame::Ask { start, len, holds, digests } if self.begun => {
                let Some(piece) = piece(start, len, disk.size()) else { return wrong };
                let blocks = (piece.end - piece.start).div_ceil(BLOCK);
                let known = holds.count_ones() as usize == digests.len() && u64::from(holds) >> blocks == 0;
                let asked = self.todo.iter().filter(|todo| matches!(todo, Todo::Ask { .. })).count();
                if !known || asked + self.refining.len() >= WINDOW {
                    return wrong;
                }
                self.to_come.remove(Run::new(piece.start / BLOCK, piece.end.div_ceil(BLOCK)));
                Todo::Ask { piece, holds, digests }
            }
            Frame::Cells { start, digests } => {
                let again = |todo: &Todo| matches!(todo, Todo::Cells { start: other, .. } if *other == start);
                let waits = self.refining.get(&start).is_some_and(|refining| {
                    let cells: u32 =
                        runs(refining.blocks).map(|run| cells_in(len(&part(&refining.piece, &run)))).sum();
                    cells as usize == digests.len()
                });
                if !waits || self.todo.iter().any(again) {
                    return wrong;
                }
                Todo::Cells { start, digests }
            }
            Frame::Finished { summary } if self.begun && self.refining.is_empty() && self.todo.is_empty() => {
                self.finished = Some(summary);
                return Ok(());
            }
            _ => return wrong,
        };
        self.todo.push_back(todo);
        Ok(())
    }

    /// The next frame to send; `None` until another one has come, and for ever when the work is done.
    ///
    /// # Errors
    /// The disk failed.
    pub fn next<B: Blocks>(&mut self, disk: &mut B) -> Result<Option<Frame<B::Content>>, Error<B::Error>> {
        let Some(todo) = self.todo.pop_front() else { return Ok(None) };
        let frame = match todo {
            Todo::Open => Frame::Open {
                version: VERSION,
                size: disk.size(),
                generation: self.generation,
                full: self.full,
            },
            Todo::Map { from } => {
                let (to, candidates, held) = map(disk, from)?;
                self.mapped = self.mapped.max(to);
                for &(first, count) in &held {
                    self.to_come.insert(Run { start: first, len: count });
                }
                Frame::Map { from, to, candidates, held }
            }
            Todo::Ask { piece, holds, digests } => self.ask(disk, piece, holds, &digests)?,
            Todo::Cells { start, digests } => self.cells(disk, start, &digests)?,
        };
        self.sent_bytes += frame.sent_bytes();
        Ok(Some(frame))
    }

    /// What a piece differs in by its blocks; where both hold something else, its cells are asked for.
    fn ask<B: Blocks>(
        &mut self,
        disk: &mut B,
        piece: Range<u64>,
        holds: u32,
        digests: &[Digest],
    ) -> Result<Frame<B::Content>, B::Error> {
        let start = piece.start;
        let all = u32::MAX >> (32 - (len(&piece).div_ceil(BLOCK)).clamp(1, 32));
        let mut found =
            Refining { piece: piece.clone(), blocks: 0, compared: 0, zero: Vec::new(), write: Vec::new() };
        let mut mine = if holds == 0 { Vec::new() } else { disk.digests(piece.clone(), holds)? }.into_iter();
        let mut theirs = digests.iter();
        for block in 0..32 {
            let place = part(&piece, &(block..block + 1));
            if holds >> block & 1 != 0 {
                let (first, cells) = (block * CELLS_OF_BLOCK, cells_in(len(&place)));
                let (mine, theirs) = (mine.next().flatten(), theirs.next());
                match mine {
                    None => push_cells(&mut found.zero, first, cells),
                    Some(mine) => {
                        found.compared += cells;
                        self.read_bytes += len(&place);
                        if Some(&mine) != theirs {
                            found.blocks |= 1 << block;
                        }
                    }
                }
            }
        }
        // What the target holds nothing over is sent without being compared.
        for run in runs(all & !holds) {
            for run in disk.filled(part(&piece, &run))? {
                let first = u32::try_from(run.start - start / CELL).unwrap_or(u32::MAX);
                let count = u32::try_from(run.len).unwrap_or(u32::MAX);
                self.read_bytes += run.len * CELL;
                push_cells(&mut found.write, first, count);
            }
        }
        if found.blocks == 0 {
            return answer(disk, found);
        }
        let blocks = found.blocks;
        self.refining.insert(start, found);
        Ok(Frame::Refine { start, blocks })
    }

    fn cells<B: Blocks>(
        &mut self,
        disk: &mut B,
        start: u64,
        digests: &[Digest],
    ) -> Result<Frame<B::Content>, Error<B::Error>> {
        let Some(mut found) = self.refining.remove(&start) else {
            return Err(Error::Unexpected("`cells`"));
        };
        let mut theirs = digests.iter();
        for run in runs(found.blocks) {
            let place = part(&found.piece, &run);
            self.read_bytes += len(&place);
            for (cell, mine) in (run.start * CELLS_OF_BLOCK..).zip(disk.cell_digests(place)?) {
                if theirs.next() != Some(&mine.unwrap_or(ZEROS)) {
                    let list = if mine.is_none() { &mut found.zero } else { &mut found.write };
                    list.push((cell, 1));
                }
            }
        }
        found.zero = joined(found.zero);
        found.write = joined(found.write);
        Ok(answer(disk, found)?)
    }
}

/// The map from a block on until something is held: where it ends, where to look, what is held.
fn map<B: Blocks>(disk: &mut B, from: u64) -> Result<(u64, Vec<Span>, Vec<Span>), B::Error> {
    let size = disk.size();
    let (mut looked_at, mut here): (Vec<Span>, Vec<Span>) = (Vec::new(), Vec::new());
    let mut to = from;
    // Stretches without anything here cost no frame of their own.
    while to < size && here.is_empty() && looked_at.len() < MAP_RUNS / 2 {
        let window = to..(to / MAP_WINDOW * MAP_WINDOW + MAP_WINDOW).min(size);
        to = window.end;
        for range in disk.candidates(window)? {
            push(&mut looked_at, &range);
            for held in whole_blocks(&disk.held(range)?, size) {
                push(&mut here, &held);
            }
        }
    }
    Ok((to, looked_at, here))
}

fn answer<B: Blocks>(disk: &mut B, found: Refining) -> Result<Frame<B::Content>, B::Error> {
    let Refining { piece, compared, zero, write, .. } = found;
    let content = disk.read(piece.start, &write)?;
    Ok(Frame::Answer(Answer { start: piece.start, compared, zero, write, content }))
}

/// A piece, if it lies on the disk and is as long as a piece may be.
fn piece(start: u64, len: u32, size: u64) -> Option<Range<u64>> {
    let end = start.checked_add(u64::from(len)).filter(|end| *end <= size)?;
    let whole = start.is_multiple_of(BLOCK) && (end.is_multiple_of(BLOCK) || end == size);
    (whole && len > 0 && u64::from(len) <= PIECE).then_some(start..end)
}

/// The bytes of a run of a piece's blocks.
pub(crate) fn part(piece: &Range<u64>, blocks: &Range<u32>) -> Range<u64> {
    let at = |block: u32| (piece.start + u64::from(block) * BLOCK).min(piece.end);
    at(blocks.start)..at(blocks.end)
}

/// The runs of bits that are set.
pub(crate) fn runs(bits: u32) -> impl Iterator<Item = Range<u32>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bits.checked_shr(at).filter(|rest| *rest != 0)?;
        let start = at + rest.trailing_zeros();
        at = start + (bits >> start).trailing_ones();
        Some(start..at)
    })
}

pub(crate) const fn len(range: &Range<u64>) -> u64 {
    range.end - range.start
}

fn push(runs: &mut Vec<Span>, range: &Range<u64>) {
    let (first, end) = (range.start / BLOCK, range.end.div_ceil(BLOCK));
    match runs.last_mut() {
        Some((start, count)) if *start + *count >= first => *count = end - *start,
        _ => runs.push((first, end - first)),
    }
}

/// Sorts runs that do not overlap, and joins those that touch.
fn joined(mut runs: Vec<Cells>) -> Vec<Cells> {
    runs.sort_unstable();
    let mut out = Vec::new();
    for (first, count) in runs {
        push_cells(&mut out, first, count);
    }
    out
}
