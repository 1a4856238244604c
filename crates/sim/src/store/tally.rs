//! How large a change log is: the one count for both stores.

use hvrsim_resync::runs::Run;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::size::{BLOCK, CELL};
use serde::{Deserialize, Serialize};

use super::LogStats;

/// Entries that a metadata block of the log's layout describes.
const ENTRIES: u64 = 127;

/// Writes and bytes of one log, by disk; `None` for a disk that it does not take.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Tally(Box<[Option<(u64, u64)>]>);

impl Tally {
    /// Of a copy with that many disks, of which the log takes these.
    pub(super) fn new(count: u8, disks: DiskSet) -> Self {
        Self((0..count).map(|disk| disks.contains(disk).then_some((0, 0))).collect())
    }

    /// From now on the log takes these disks; what it has of others is dropped.
    pub(super) fn choose(&mut self, count: u8, disks: DiskSet) {
        let mut chosen = Self::new(count, disks);
        for (sum, old) in chosen.0.iter_mut().zip(&self.0) {
            *sum = sum.map(|none| old.unwrap_or(none));
        }
        *self = chosen;
    }

    /// Adds a write of that many bytes.
    pub(super) fn add(&mut self, disk: u8, bytes: u64) {
        let (writes, sum) = self.0[usize::from(disk)].as_mut().expect("the log takes the disk");
        *writes += 1;
        *sum += bytes;
    }

    /// Adds all of another count.
    pub(super) fn append(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            if let (Some((writes, bytes)), Some((more_writes, more))) = (sum, more) {
                *writes += more_writes;
                *bytes += more;
            }
        }
    }

    pub(super) fn stats(&self) -> LogStats {
        let mut stats = LogStats::default();
        for (writes, bytes) in self.0.iter().flatten() {
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
