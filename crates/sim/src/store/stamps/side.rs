//! A copy's disks as the resync engine sees them.

use std::ops::{Deref, DerefMut, Range};

use hvrsim_resync::runs::{self, Run};
use hvrsim_resync::{BLOCK_CELLS, Blocks, BlocksMut, Candidates, Cells, Digest};
use hvrsim_types::size::CELL;

use super::disk::{Disk, Part};
use crate::store::{Seen, StoreError, StoreResult, tally};

/// A view of one of a copy's disks; through a mutable one the base is written.
pub(super) struct Side<'a, D> {
    pub(super) disk: D,
    /// Who looks.
    pub(super) seen: Seen,
    /// Where to look, and the disk's number there.
    pub(super) candidates: Option<(u8, &'a Candidates)>,
}

/// The digest of a cell or of a block of cells with one stamp.
fn one(stamp: u64) -> Digest {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&stamp.to_le_bytes());
    out
}

/// The digest of a block that was written by several writes, or in part.
fn mixed(parts: &[Part]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for (run, stamp) in parts {
        for number in [run.start % BLOCK_CELLS, run.len, *stamp] {
            hasher.update(&number.to_le_bytes());
        }
    }
    let mut out = [0; 16];
    hasher.finalize_xof().fill(&mut out);
    // Set apart from digests of one stamp.
    out[15] |= 1;
    out
}

fn cells(range: &Range<u64>) -> Run {
    tally::cells(range.start, range.end - range.start)
}

impl<D: Deref<Target = Disk>> Side<'_, D> {
    fn filled_cells(&self, run: Run) -> Vec<Run> {
        let mut out = Vec::new();
        for (run, _) in self.disk.view(self.seen, run) {
            runs::push(&mut out, run);
        }
        out
    }

    fn digest(&self, run: Run) -> Option<Digest> {
        if let Some(stamp) = self.disk.plain_stamp(self.seen, run) {
            return (stamp != 0).then(|| one(stamp));
        }
        let parts = self.disk.view(self.seen, run);
        match parts[..] {
            [] => None,
            [(whole, stamp)] if whole == run => Some(one(stamp)),
            _ => Some(mixed(&parts)),
        }
    }
}

impl<D: Deref<Target = Disk>> Blocks for Side<'_, D> {
    type Content = Vec<Part>;
    type Error = StoreError;

    fn size(&self) -> u64 {
        self.disk.size
    }

    fn candidates(&mut self, range: Range<u64>) -> StoreResult<Vec<Range<u64>>> {
        Ok(match self.candidates {
            Some((disk, candidates)) => candidates.within(disk, range),
            None => vec![range],
        })
    }

    fn held(&mut self, range: Range<u64>) -> StoreResult<Vec<Range<u64>>> {
        let size = self.disk.size;
        let bytes = |run: Run| run.start * CELL..(run.end() * CELL).min(size);
        Ok(self.filled_cells(cells(&range)).into_iter().map(bytes).collect())
    }

    fn filled(&mut self, range: Range<u64>) -> StoreResult<Vec<Run>> {
        Ok(self.filled_cells(cells(&range)))
    }

    fn digests(&mut self, piece: Range<u64>, wanted: u32) -> StoreResult<Vec<Option<Digest>>> {
        let piece = cells(&piece);
        let blocks = (0..piece.len.div_ceil(BLOCK_CELLS)).filter(|block| wanted >> block & 1 != 0);
        let run = |block: u64| {
            let start = piece.start + block * BLOCK_CELLS;
            Run::new(start, (start + BLOCK_CELLS).min(piece.end()))
        };
        Ok(blocks.map(|block| self.digest(run(block))).collect())
    }

    fn cell_digests(&mut self, piece: Range<u64>) -> StoreResult<Vec<Option<Digest>>> {
        let run = cells(&piece);
        let mut out = Vec::new();
        let mut at = run.start;
        for (part, stamp) in self.disk.view(self.seen, run) {
            out.extend((at..part.start).map(|_| None));
            out.extend((0..part.len).map(|_| Some(one(stamp))));
            at = part.end();
        }
        out.extend((at..run.end()).map(|_| None));
        Ok(out)
    }

    fn read(&mut self, start: u64, cells: &[Cells]) -> StoreResult<Vec<Part>> {
        let run = |&(first, count): &Cells| Run { start: start / CELL + u64::from(first), len: count.into() };
        Ok(cells.iter().flat_map(|cells| self.disk.view(self.seen, run(cells))).collect())
    }
}

impl<D: DerefMut<Target = Disk>> BlocksMut for Side<'_, D> {
    fn write(&mut self, _: u64, _: &[Cells], content: &Vec<Part>) -> StoreResult<bool> {
        for (run, stamp) in content {
            self.disk.overwrite(*run, *stamp);
        }
        Ok(true)
    }

    /// Only what is present: recovery points keep what changes.
    fn zero(&mut self, range: Range<u64>) -> StoreResult<()> {
        for run in self.filled_cells(cells(&range)) {
            self.disk.overwrite(run, 0);
        }
        Ok(())
    }
}
