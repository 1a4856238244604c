//! The half at the disk that is made equal.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use hvrsim_types::size::{BLOCK, CELL};
use serde::{Deserialize, Serialize};

use crate::blocks::BlocksMut;
use crate::checkpoint::{Checkpoint, Progress};
use crate::direct::Summary;
use crate::direct::pieces::{Kind, Piece, WINDOW as MAP_WINDOW, merge, whole_blocks};
use crate::error::Error;
use crate::frame::{Answer, Cells, Frame, Span, VERSION, ZEROS, cells_in};
use crate::runs::{self, Run};
use crate::source::{len, part, runs as bits};

/// Pieces that are asked for and not answered: what a long way costs is paid once for all of them.
pub const WINDOW: usize = 16;
/// The longest piece.
pub const PIECE: u64 = 2 << 20;
/// Runs in a map, at most.
pub(crate) const MAP_RUNS: usize = 16_384;

/// What the target's end says without having been asked for a piece.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Todo {
    Begin,
    WantMap { from: u64 },
    Cells { start: u64, blocks: u32 },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Map {
    range: Range<u64>,
    candidates: Vec<Span>,
    held: Vec<Span>,
}

/// A piece that was asked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Outstanding {
    len: u64,
    /// Blocks that hold something here and whose cells were not asked for.
    holds: u32,
    /// In a copy: what is here and does not come has to go.
    replaced: bool,
}

/// The half that writes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Target {
    piece: u64,
    opened: bool,
    full: bool,
    todo: VecDeque<Todo>,
    /// Maps that came and were not looked at, in order; and where the one that was asked for begins.
    maps: VecDeque<Map>,
    wanted: Option<u64>,
    pieces: VecDeque<Piece>,
    /// Everything in front of it is in `pieces`, on its way, or done.
    mapped: u64,
    outstanding: BTreeMap<u64, Outstanding>,
    /// A stretch to be made zero that may go on: a format gives back the space of whole blocks only, which may be
    /// longer than a piece.
    zeroing: Range<u64>,
    summary: Summary,
    kept: Progress,
    read_bytes: u64,
    finished: bool,
}

impl Default for Target {
    fn default() -> Self {
        Self::new()
    }
}

impl Target {
    /// A half that has heard nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::of_pieces(PIECE)
    }

    /// A half that asks for pieces of at most so many bytes, a multiple of 64 KiB up to [`PIECE`].
    #[must_use]
    pub fn of_pieces(bytes: u64) -> Self {
        Self {
            piece: (bytes / BLOCK * BLOCK).clamp(BLOCK, PIECE),
            opened: false,
            full: false,
            todo: VecDeque::new(),
            maps: VecDeque::new(),
            wanted: None,
            pieces: VecDeque::new(),
            mapped: 0,
            outstanding: BTreeMap::new(),
            zeroing: 0..0,
            summary: Summary::default(),
            kept: Progress::default(),
            read_bytes: 0,
            finished: false,
        }
    }

    /// Everything in front of this byte is done.
    #[must_use]
    pub fn done_to(&self) -> u64 {
        let waiting = self.pieces.front().map_or(self.mapped, |piece| piece.range.start);
        self.outstanding.keys().next().map_or(waiting, |first| waiting.min(*first))
    }

    /// What was done so far.
    #[must_use]
    pub const fn summary(&self) -> Summary {
        self.summary
    }

    /// Bytes read from the disk.
    #[must_use]
    pub const fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// What was done, once everything is equal and durable.
    #[must_use]
    pub fn finished(&self) -> Option<Summary> {
        self.finished.then_some(self.summary)
    }

    /// The connection broke: progress is kept, and the next `Open` goes on from it.
    ///
    /// # Errors
    /// The disk failed.
    pub fn interrupt<B: BlocksMut>(&mut self, disk: &mut B) -> Result<(), B::Error> {
        if !self.opened {
            return Ok(());
        }
        if self.finished {
            self.kept = self.progress();
        } else {
            self.keep(disk)?;
        }
        let Self { piece, summary, kept, read_bytes, .. } = *self;
        *self = Self { summary, kept, read_bytes, mapped: kept.done_to, ..Self::of_pieces(piece) };
        Ok(())
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// The disk failed, or the frame does not fit.
    pub fn handle<B: BlocksMut>(
        &mut self,
        disk: &mut B,
        frame: Frame<B::Content>,
    ) -> Result<(), Error<B::Error>> {
        let name = frame.name();
        match frame {
            Frame::Open { version, size, generation, full } if !self.opened => {
                if version != VERSION {
                    return Err(Error::Version { theirs: version });
                }
                if size != disk.size() {
                    return Err(Error::Sizes { source_bytes: size, target_bytes: disk.size() });
                }
                self.full = full;
                self.open(disk, generation)?;
                Ok(())
            }
            Frame::Map { from, to, candidates, held } => self.map(from..to, candidates, held, disk.size()),
            Frame::Refine { start, blocks } => self.refine(start, blocks),
            Frame::Answer(answer) => self.answer(disk, &answer),
            _ => Err(Error::Unexpected(name)),
        }
    }

    /// The next frame to send; `None` until another one has come, and for ever when the work is done.
    ///
    /// # Errors
    /// The disk failed.
    pub fn next<B: BlocksMut>(&mut self, disk: &mut B) -> Result<Option<Frame<B::Content>>, Error<B::Error>> {
        if let Some(todo) = self.todo.pop_front() {
            return Ok(Some(match todo {
                Todo::Begin => Frame::Begin { done_to: self.mapped },
                Todo::WantMap { from } => Frame::WantMap { from },
                Todo::Cells { start, blocks } => self.cells(disk, start, blocks)?,
            }));
        }
        if !self.opened || self.finished {
            return Ok(None);
        }
        if self.outstanding.len() < WINDOW
            && let Some(frame) = self.ask(disk)?
        {
            return Ok(Some(frame));
        }
        let done = self.outstanding.is_empty() && self.pieces.is_empty() && self.mapped == disk.size();
        if !done {
            return Ok(None);
        }
        self.zero_pending(disk)?;
        disk.finish(self.summary.written_bytes + self.summary.zeroed_bytes > 0)?;
        self.finished = true;
        Ok(Some(Frame::Finished { summary: self.summary }))
    }

    fn open<B: BlocksMut>(&mut self, disk: &mut B, generation: [u8; 32]) -> Result<(), B::Error> {
        let size = disk.size();
        if let Some(found) = disk.found(generation)? {
            (self.summary, self.kept) = (found.summary, found);
        }
        let done_to = self.kept.done_to.min(size);
        self.mapped = if done_to == size { size } else { done_to / BLOCK * BLOCK };
        self.opened = true;
        self.todo.push_back(Todo::Begin);
        if self.mapped < size {
            self.want_map(self.mapped);
        }
        Ok(())
    }

    fn want_map(&mut self, from: u64) {
        self.wanted = Some(from);
        self.todo.push_back(Todo::WantMap { from });
    }

    fn map<E>(
        &mut self,
        range: Range<u64>,
        candidates: Vec<Span>,
        held: Vec<Span>,
        size: u64,
    ) -> Result<(), Error<E>> {
        let wrong = Err(Error::Unexpected("`map`"));
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
    fn look<B: BlocksMut>(&mut self, disk: &mut B) -> Result<(), B::Error> {
        let Some(map) = self.maps.front() else { return Ok(()) };
        let size = disk.size();
        let window = self.mapped..(self.mapped / MAP_WINDOW * MAP_WINDOW + MAP_WINDOW).min(map.range.end);
        let theirs = within(&map.held, &window, size);
        let mut mine = Vec::new();
        for range in within(&map.candidates, &window, size) {
            mine.extend(whole_blocks(&disk.held(range)?, size));
        }
        merge(&theirs, &mine, self.piece, &mut self.pieces);
        self.mapped = window.end;
        if window.end == map.range.end {
            self.maps.pop_front();
        }
        Ok(())
    }

    /// The next piece to ask for; what only this side holds is made zero on the way.
    fn ask<B: BlocksMut>(&mut self, disk: &mut B) -> Result<Option<Frame<B::Content>>, B::Error> {
        loop {
            let Some(piece) = self.pieces.front() else {
                let Some(map) = self.maps.front() else { return Ok(None) };
                // The next map comes while this one is worked on.
                let next = map.range.end;
                if self.wanted.is_none() && self.maps.len() == 1 && next < disk.size() {
                    self.wanted = Some(next);
                    return Ok(Some(Frame::WantMap { from: next }));
                }
                self.look(disk)?;
                continue;
            };
            if piece.kind != Kind::TargetOnly && !self.has_room(disk, len(&piece.range))? {
                return Ok(None);
            }
            let Some(Piece { range, kind }) = self.pieces.pop_front() else { continue };
            if kind == Kind::TargetOnly {
                self.zero_filled(disk, range)?;
                continue;
            }
            let (mut holds, mut digests) = (0, Vec::new());
            if kind == Kind::Both && !self.full {
                self.read_bytes += len(&range);
                for (block, digest) in disk.digests(range.clone(), u32::MAX)?.into_iter().enumerate() {
                    if let Some(digest) = digest {
                        holds |= 1 << block;
                        digests.push(digest);
                    }
                }
            }
            let replaced = kind == Kind::Both && self.full;
            let (start, len) = (range.start, len(&range));
            self.outstanding.insert(start, Outstanding { len, holds, replaced });
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            return Ok(Some(Frame::Ask { start, len, holds, digests }));
        }
    }

    /// Whether a piece may be asked for: what came since the last progress was kept, and what may come, would have to
    /// be sent again after a crash.
    fn has_room<B: BlocksMut>(&mut self, disk: &mut B, bytes: u64) -> Result<bool, B::Error> {
        let asked: u64 = self.outstanding.values().map(|piece| piece.len).sum();
        let may_come = (asked + bytes).next_multiple_of(CELL);
        let unkept = self.summary.sent_bytes - self.kept.summary.sent_bytes;
        if unkept + may_come <= disk.interval() {
            return Ok(true);
        }
        if unkept > 0 {
            self.keep(disk)?;
        }
        Ok(asked == 0 || may_come <= disk.interval())
    }

    fn refine<E>(&mut self, start: u64, blocks: u32) -> Result<(), Error<E>> {
        let wrong = Error::Unexpected("`refine`");
        let Some(piece) = self.outstanding.get_mut(&start) else { return Err(wrong) };
        if blocks == 0 || blocks & !piece.holds != 0 {
            return Err(wrong);
        }
        // A second time is refused.
        piece.holds = 0;
        self.todo.push_back(Todo::Cells { start, blocks });
        Ok(())
    }

    fn cells<B: BlocksMut>(
        &mut self,
        disk: &mut B,
        start: u64,
        blocks: u32,
    ) -> Result<Frame<B::Content>, B::Error> {
        let piece = start..start + self.outstanding.get(&start).map_or(0, |piece| piece.len);
        let mut digests = Vec::new();
        for run in bits(blocks) {
            let place = part(&piece, &run);
            self.read_bytes += len(&place);
            digests.extend(disk.cell_digests(place)?.into_iter().map(|digest| digest.unwrap_or(ZEROS)));
        }
        Ok(Frame::Cells { start, digests })
    }

    fn answer<B: BlocksMut>(
        &mut self,
        disk: &mut B,
        answer: &Answer<B::Content>,
    ) -> Result<(), Error<B::Error>> {
        let wrong = || Error::Unexpected("`answer`");
        let start = answer.start;
        let Outstanding { len, replaced, .. } = *self.outstanding.get(&start).ok_or_else(wrong)?;
        let cells = cells_in(len);
        let waits =
            self.todo.iter().any(|todo| matches!(todo, Todo::Cells { start: at, .. } if *at == start));
        if waits
            || answer.compared > cells
            || !are_inside(&answer.zero, cells)
            || !are_inside(&answer.write, cells)
        {
            return Err(wrong());
        }
        let place = |(first, count): Cells| {
            let first = start + u64::from(first) * CELL;
            first..(first + u64::from(count) * CELL).min(start + len)
        };
        if replaced {
            for gone in self.not_written(disk, start..start + len, &answer.write)? {
                self.summary.zeroed_bytes += gone.len * CELL;
                disk.zero(gone.start * CELL..(gone.end() * CELL).min(start + len))?;
            }
        }
        if !answer.write.is_empty() {
            if !disk.write(start, &answer.write, &answer.content)? {
                return Err(wrong());
            }
            self.summary.written_bytes +=
                answer.write.iter().map(|run| crate::source::len(&place(*run))).sum::<u64>();
        }
        for run in &answer.zero {
            self.zero_filled(disk, place(*run))?;
        }
        self.summary.sent_bytes += answer.sent_bytes();
        self.summary.compared_bytes += u64::from(answer.compared) * CELL;
        self.outstanding.remove(&start);
        let now = self.progress();
        if now.done_to.saturating_sub(self.kept.done_to) >= Checkpoint::DISK_INTERVAL {
            self.keep(disk)?;
        }
        Ok(())
    }

    /// Cells of a piece that hold something and that no answer writes.
    fn not_written<B: BlocksMut>(
        &mut self,
        disk: &mut B,
        piece: Range<u64>,
        write: &[Cells],
    ) -> Result<Vec<Run>, B::Error> {
        let first = piece.start / CELL;
        self.read_bytes += len(&piece);
        let comes = |&(start, count): &Cells| Run { start: first + u64::from(start), len: u64::from(count) };
        let comes: Vec<Run> = write.iter().map(comes).collect();
        Ok(runs::subtract(&disk.filled(piece)?, &comes))
    }

    /// Makes a range zero, unless it holds nothing but zeros.
    fn zero_filled<B: BlocksMut>(&mut self, disk: &mut B, range: Range<u64>) -> Result<(), B::Error> {
        self.read_bytes += len(&range);
        let filled = runs::total(&disk.filled(range.clone())?);
        if filled == 0 {
            return Ok(());
        }
        self.summary.zeroed_bytes += filled * CELL;
        if self.zeroing.end != range.start {
            self.zero_pending(disk)?;
            self.zeroing.start = range.start;
        }
        self.zeroing.end = range.end;
        Ok(())
    }

    /// Makes zero what was to be made so.
    fn zero_pending<B: BlocksMut>(&mut self, disk: &mut B) -> Result<(), B::Error> {
        match std::mem::replace(&mut self.zeroing, 0..0) {
            none if none.is_empty() => Ok(()),
            range => disk.zero(range),
        }
    }

    fn progress(&self) -> Progress {
        Progress { done_to: self.done_to(), summary: self.summary }
    }

    fn keep<B: BlocksMut>(&mut self, disk: &mut B) -> Result<(), B::Error> {
        self.zero_pending(disk)?;
        let now = self.progress();
        disk.keep(&now)?;
        self.kept = now;
        Ok(())
    }
}

/// Whether runs of blocks are in order, do not overlap and lie inside.
fn are_sorted(runs: &[Span], inside: &Range<u64>) -> bool {
    let mut at = inside.start;
    runs.iter().all(|&(first, count)| {
        let from = std::mem::replace(&mut at, first.saturating_add(count));
        first >= from && count > 0 && at <= inside.end
    })
}

/// Whether runs of cells are in order, do not overlap and lie in a piece of so many.
fn are_inside(runs: &[Cells], cells: u32) -> bool {
    let mut at = 0;
    runs.iter().all(|&(first, count)| {
        let from = std::mem::replace(&mut at, first.saturating_add(count));
        first >= from && count > 0 && at <= cells
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
