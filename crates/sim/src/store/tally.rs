//! How large a change log is: the one count for both stores.

use hvrsim_resync::runs::Run;
use hvrsim_types::size::{BLOCK, CELL};
use serde::{Deserialize, Serialize};

use super::LogStats;

/// Entries that a metadata block of the log's layout describes.
const ENTRIES: u64 = 127;

/// Writes and bytes of one log, by disk.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Tally(Box<[(u64, u64)]>);

impl Tally {
    pub(super) fn new(disks: usize) -> Self {
        Self(vec![(0, 0); disks].into())
    }

    /// Adds a write of that many bytes.
    pub(super) fn add(&mut self, disk: u8, bytes: u64) {
        let (writes, sum) = &mut self.0[usize::from(disk)];
        *writes += 1;
        *sum += bytes;
    }

    /// Adds all of another count.
    pub(super) fn append(&mut self, other: &Self) {
        for ((writes, sum), (more_writes, more)) in self.0.iter_mut().zip(&other.0) {
            *writes += more_writes;
            *sum += more;
        }
    }

    pub(super) fn stats(&self) -> LogStats {
        let mut stats = LogStats::default();
        for (writes, bytes) in &self.0 {
            stats.writes += writes;
            stats.bytes += CELL + bytes + CELL * writes.div_ceil(ENTRIES);
        }
        stats
    }
}

/// The cells that a range of bytes touches.
pub(super) fn cells(offset: u64, len: u64) -> Run {
    Run::new(offset / CELL, (offset + len).div_ceil(CELL))
}

/// The bytes of a run on a disk of that size.
pub(super) fn bytes(run: Run, size: u64) -> u64 {
    (run.end() * CELL).min(size) - run.start * CELL
}

/// The cells of a block on a disk of that size.
pub(super) fn block(number: u64, size: u64) -> Run {
    cells(number * BLOCK, BLOCK.min(size - number * BLOCK))
}

/// Cuts runs at the borders of blocks: content that is added to a log is one write a piece.
pub(super) fn pieces(runs: &[Run]) -> impl Iterator<Item = Run> + '_ {
    let per = BLOCK / CELL;
    runs.iter().flat_map(move |run| {
        let blocks = run.start / per..run.end().div_ceil(per);
        blocks.filter_map(move |block| run.overlap(Run { start: block * per, len: per }))
    })
}
