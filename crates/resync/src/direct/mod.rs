//! Two images in one place: both are read, compared in memory, and what differs is written.
//!
//! Nothing has to be hashed here, and no messages are needed; what counts as compared and sent is what the two halves
//! of the protocol would count. A [`Direct`] is shared between as many threads as its caller likes: each calls
//! [`Direct::work`], which takes pieces of the disk until none is left. The maps of both images come first: what
//! neither side holds is never read.
//!
//! The target is only written where it differs, so that an equal pair keeps its times.

pub(crate) mod compare;
pub(crate) mod pieces;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hvrsim_disk::Image;
use hvrsim_disk::file::BlockFile;
use hvrsim_types::size::{BLOCK, CELL};
use serde::{Deserialize, Serialize};

use self::compare::{CELL_BYTES, Differences, is_zero};
use self::pieces::{Kind, Piece, Pieces, held};
use crate::buffer::Buffer;
use crate::checkpoint::{Checkpoint, Progress};
use crate::runs::{Run, RunSet};

/// Bytes read at once; two such buffers of a thread stay in the processor's cache.
const BUFFER: usize = 256 << 10;
/// How many stretches wait to be made zero at most.
const WAITING: usize = 4096;

/// Which image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The image that is read.
    Source,
    /// The image that is made equal.
    Target,
}

/// Why two images could not be made equal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source failed.
    #[error("the source: {0}")]
    Source(hvrsim_disk::Error),
    /// The target failed.
    #[error("the target: {0}")]
    Target(hvrsim_disk::Error),
    /// The images are not of one size.
    #[error("the sizes differ: the source has {source_bytes} bytes, the target {target_bytes}")]
    Sizes {
        /// Bytes of the source's disk.
        source_bytes: u64,
        /// Bytes of the target's disk.
        target_bytes: u64,
    },
    /// The bitmap cannot be read.
    #[error("the bitmap: {0}")]
    Bitmap(io::Error),
    /// The checkpoint cannot be written.
    #[error("the checkpoint: {0}")]
    Checkpoint(io::Error),
}

impl Error {
    pub(crate) fn of(side: Side, error: hvrsim_disk::Error) -> Self {
        match side {
            Side::Source => Self::Source(error),
            Side::Target => Self::Target(error),
        }
    }
}

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Bytes in 64 KiB blocks that hold something on both sides, and were compared.
    pub compared_bytes: u64,
    /// Content that had to go to the target, in cells of 4 KiB.
    pub sent_bytes: u64,
    /// Cells of the target, in bytes, that held something and were made zero.
    pub zeroed_bytes: u64,
    /// Bytes of content written into the target.
    pub written_bytes: u64,
}

impl Summary {
    /// Whether the target was equal as it stood.
    #[must_use]
    pub const fn was_equal(&self) -> bool {
        self.sent_bytes == 0 && self.zeroed_bytes == 0
    }

    fn add(&mut self, other: &Self) {
        self.compared_bytes += other.compared_bytes;
        self.sent_bytes += other.sent_bytes;
        self.zeroed_bytes += other.zeroed_bytes;
        self.written_bytes += other.written_bytes;
    }
}

/// What a caller may want to see and hold up.
pub trait Watch: Sync {
    /// Everything in front of `done_to` is done.
    fn progress(&self, _done_to: u64, _summary: &Summary) {}
    /// A part of the disk is done; `part` counts what was done in it.
    fn looked(&self, _range: Range<u64>, _part: &Summary) {}
    /// So many bytes are about to be written; returning late makes the work slower.
    fn pace(&self, _bytes: u64) {}
    /// The most bytes that [`Watch::pace`] is to be told of at once: whole cells.
    fn at_once(&self) -> usize {
        BUFFER
    }
    /// Whether to stop at the next piece. Returning late holds the work up.
    fn stop(&self) -> bool {
        false
    }
}

/// A watch that never looks.
impl Watch for () {}

/// What is to be done.
#[derive(Default)]
pub struct Options {
    /// A raw bitmap of the 64 KiB blocks to look at, lowest bit first; without it everything is looked at.
    pub bitmap: Option<Arc<dyn BlockFile>>,
    /// Nothing is written.
    pub dry_run: bool,
    /// Where progress is kept; it also says where to begin.
    pub checkpoint: Option<Checkpoint>,
}

/// How the work ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Outcome {
    /// What was done, in earlier runs that this one went on from too.
    pub summary: Summary,
    /// Whether the target is equal now; if not, the work was stopped.
    pub complete: bool,
    /// Everything in front of it is done and durable.
    pub done_to: u64,
}

/// A pair of images and what is left to do on it.
pub struct Direct<'a, W: Watch> {
    source: &'a dyn Image,
    target: RwLock<&'a mut dyn Image>,
    bitmap: Option<Arc<dyn BlockFile>>,
    dry_run: bool,
    state: Mutex<State>,
    checkpoint: Mutex<Option<Checkpoint>>,
    /// A thread failed or was told to stop: the others stop, too.
    halt: AtomicBool,
    watch: &'a W,
}

struct State {
    pieces: Pieces,
    summary: Summary,
    /// Cells to be made zero. They wait for their neighbours: a format gives back the space of whole blocks only, which
    /// may be longer than a piece.
    zeros: RunSet,
    /// Where the last checkpoint was due.
    kept: Progress,
}

impl State {
    fn progress(&self) -> Progress {
        Progress { done_to: self.pieces.done_to(), summary: self.summary }
    }
}

impl<'a, W: Watch> Direct<'a, W> {
    /// Takes a pair in hand; nothing is read of the disks yet.
    ///
    /// # Errors
    /// The disks differ in size.
    pub fn new(
        source: &'a dyn Image,
        target: &'a mut dyn Image,
        options: Options,
        watch: &'a W,
    ) -> Result<Self, Error> {
        let (source_bytes, target_bytes) = (source.size(), target.size());
        if source_bytes != target_bytes {
            return Err(Error::Sizes { source_bytes, target_bytes });
        }
        let begun = options.checkpoint.as_ref().and_then(Checkpoint::found).unwrap_or_default();
        let summary = begun.summary;
        let state = State {
            pieces: Pieces::new(source_bytes, begun.done_to.min(source_bytes) / BLOCK * BLOCK),
            summary,
            zeros: RunSet::default(),
            kept: begun,
        };
        Ok(Self {
            source,
            target: RwLock::new(target),
            bitmap: options.bitmap,
            dry_run: options.dry_run,
            state: Mutex::new(state),
            checkpoint: Mutex::new(options.checkpoint),
            halt: AtomicBool::new(false),
            watch,
        })
    }

    /// Works until nothing is left. Call it from several threads at once to go faster.
    ///
    /// # Errors
    /// What failed first; the other threads stop.
    pub fn work(&self) -> Result<(), Error> {
        let mut hands = Hands::new();
        let done = self.pieces(&mut hands);
        if done.is_err() {
            self.halt.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Makes everything durable, once all threads are through, and puts the checkpoint away when nothing is left.
    ///
    /// # Errors
    /// The target or the checkpoint failed.
    pub fn finish(self) -> Result<Outcome, Error> {
        let done_to = self.state().pieces.done_to();
        let complete = done_to == self.source.size();
        if complete {
            self.zero_waiting()?;
            let summary = self.state().summary;
            if summary.written_bytes + summary.zeroed_bytes > 0 && !self.dry_run {
                self.target_mut().flush().map_err(Error::Target)?;
            }
            if let Some(checkpoint) = &mut *self.checkpoint_slot() {
                checkpoint.remove().map_err(Error::Checkpoint)?;
            }
        } else {
            self.keep()?;
        }
        let summary = self.state().summary;
        Ok(Outcome { summary, complete, done_to })
    }

    fn pieces(&self, hands: &mut Hands) -> Result<(), Error> {
        let held_there = |range: Range<u64>| held(&**self.target(), range, Side::Target);
        loop {
            if self.watch.stop() {
                self.halt.store(true, Ordering::Relaxed);
            }
            if self.halt.load(Ordering::Relaxed) {
                return Ok(());
            }
            let taken = self.state().pieces.take(self.source, &held_there, self.bitmap.as_deref())?;
            let Some(piece) = taken else { return Ok(()) };
            let mut summary = Summary::default();
            self.piece(&piece, hands, &mut summary)?;
            let now = self.done(&piece, &summary);
            if self.state().zeros.len() > WAITING {
                let _no_checkpoint_meanwhile = self.checkpoint_slot();
                self.zero_waiting()?;
            }
            self.watch.progress(now.done_to, &now.summary);
            if self.is_due(&now) {
                self.keep()?;
            }
        }
    }

    fn done(&self, piece: &Piece, summary: &Summary) -> Progress {
        let mut state = self.state();
        state.pieces.finish(piece);
        state.summary.add(summary);
        state.progress()
    }

    /// Whether a checkpoint is due; one thread is told so.
    fn is_due(&self, now: &Progress) -> bool {
        let slot = self.checkpoint_slot();
        let Some(checkpoint) = &*slot else { return false };
        let mut state = self.state();
        let due = !self.dry_run && checkpoint.is_due(&state.kept, now);
        if due {
            state.kept = *now;
        }
        due
    }

    fn piece(&self, piece: &Piece, hands: &mut Hands, summary: &mut Summary) -> Result<(), Error> {
        if piece.kind == Kind::TargetOnly {
            summary.zeroed_bytes += self.zero_if_filled(piece.range.clone(), hands)?;
            return Ok(());
        }
        let mut at = piece.range.start;
        while at < piece.range.end {
            let len = (piece.range.end - at).min(BUFFER as u64);
            let bytes = usize::try_from(len).unwrap_or(BUFFER);
            let Hands { mine, theirs, found } = hands;
            let mine = mine.first(bytes);
            self.source.read_at(at, mine).map_err(Error::Source)?;
            if piece.kind == Kind::Both {
                let theirs = theirs.first(bytes);
                self.target().read_at(at, theirs).map_err(Error::Target)?;
                found.find(mine, theirs);
            } else {
                found.find_over_nothing(mine);
            }
            let part = self.apply(at, mine, found)?;
            self.watch.looked(at..at + len, &part);
            summary.add(&part);
            at += len;
        }
        Ok(())
    }

    fn apply(&self, at: u64, source: &[u8], found: &Differences) -> Result<Summary, Error> {
        let total = |runs: &[Range<usize>]| runs.iter().map(|run| (run.end - run.start) as u64).sum::<u64>();
        let written = total(&found.write);
        let mut part = Summary {
            compared_bytes: CELL * found.compared_cells,
            sent_bytes: CELL * found.sent_cells,
            zeroed_bytes: CELL * found.zeroed_cells,
            written_bytes: 0,
        };
        if found.write.is_empty() && found.zero.is_empty() || self.dry_run {
            return Ok(part);
        }
        part.written_bytes = written;
        for run in &found.write {
            let (start, mut at) = (at + run.start as u64, at + run.start as u64);
            for part in source[run.clone()].chunks(self.watch.at_once()) {
                self.watch.pace(part.len() as u64);
                self.target_mut().write_at(at, part).map_err(Error::Target)?;
                at += part.len() as u64;
            }
            // The host writes while the rest is compared: the flush at the end finds little left to do.
            self.target().begin_flush(start..at);
        }
        for run in &found.zero {
            self.zero_later(at + run.start as u64..at + run.end as u64);
        }
        Ok(part)
    }

    /// Whole cells, but for the last of the disk.
    fn zero_later(&self, range: Range<u64>) {
        self.state().zeros.insert(Run::new(range.start / CELL, range.end.div_ceil(CELL)));
    }

    /// Makes zero what waits for it. No checkpoint may be noted meanwhile.
    fn zero_waiting(&self) -> Result<(), Error> {
        // Not under the target's lock: whoever holds the state may be waiting for the target.
        let zeros = std::mem::take(&mut self.state().zeros);
        let mut target = self.target_mut();
        for run in zeros.iter() {
            let (start, end) = (run.start * CELL, (run.end() * CELL).min(target.size()));
            target.zero_at(start, end - start).map_err(Error::Target)?;
        }
        Ok(())
    }

    /// Zeroes a stretch that only the target holds, unless it holds zeros; gives the bytes that were made zero.
    fn zero_if_filled(&self, range: Range<u64>, hands: &mut Hands) -> Result<u64, Error> {
        let (mut at, mut zeroed_bytes) = (range.start, 0);
        while at < range.end {
            let len = (range.end - at).min(BUFFER as u64);
            let theirs = hands.theirs.first(usize::try_from(len).unwrap_or(BUFFER));
            self.target().read_at(at, theirs).map_err(Error::Target)?;
            let filled = CELL * theirs.chunks(CELL_BYTES).filter(|cell| !is_zero(cell)).count() as u64;
            self.watch.looked(at..at + len, &Summary { zeroed_bytes: filled, ..Summary::default() });
            zeroed_bytes += filled;
            at += len;
        }
        if zeroed_bytes > 0 && !self.dry_run {
            self.zero_later(range);
        }
        Ok(zeroed_bytes)
    }

    /// Makes durable what is done and notes it: data, flush, slot, flush.
    fn keep(&self) -> Result<(), Error> {
        let mut slot = self.checkpoint_slot();
        let Some(checkpoint) = slot.as_mut().filter(|_| !self.dry_run) else { return Ok(()) };
        // What is done now is written; what is done while the lock is awaited is only durable earlier than noted.
        let now = self.state().progress();
        self.zero_waiting()?;
        let mut target = self.target_mut();
        target.flush().map_err(Error::Target)?;
        checkpoint.keep(&now, target.data_write_guid()).map_err(Error::Checkpoint)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checkpoint_slot(&self) -> MutexGuard<'_, Option<Checkpoint>> {
        self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn target(&self) -> RwLockReadGuard<'_, &'a mut dyn Image> {
        self.target.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn target_mut(&self) -> RwLockWriteGuard<'_, &'a mut dyn Image> {
        self.target.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a thread keeps from piece to piece.
struct Hands {
    mine: Buffer,
    theirs: Buffer,
    found: Differences,
}

impl Hands {
    fn new() -> Self {
        Self { mine: Buffer::new(BUFFER), theirs: Buffer::new(BUFFER), found: Differences::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hvrsim_disk::file::MemFs;
    use hvrsim_disk::{CreateOptions, Image, create_in};

    /// A raw image of 64 MiB in memory with nonzero content in these ranges (offset, length).
    pub(super) fn image(filled: &[(u64, u64)]) -> Box<dyn Image> {
        let mut image = create_in(&MemFs::new(), Path::new("/image"), &CreateOptions::raw(64 << 20)).unwrap();
        for (at, len) in filled {
            image.write_at(*at, &vec![1; usize::try_from(*len).unwrap()]).unwrap();
        }
        image
    }
}
