//! A copy's disks as the resync engine sees them.

use std::ops::{Deref, DerefMut, Range};

use hvrsim_resync::runs::{self, Run};
use hvrsim_resync::{BLOCK_CELLS, Blocks, BlocksMut, Candidates, Cells, Digest};
use hvrsim_types::size::CELL;

use super::content::{self, CELL_BYTES};
use super::disk::Disk;
use crate::store::{Seen, StoreError, StoreResult, tally};

/// Bytes of a block.
const BLOCK_BYTES: usize = CELL_BYTES * 16;
const _: () = assert!(BLOCK_CELLS == 16);

/// A view of one of a copy's disks; through a mutable one the base is written.
pub(super) struct Side<'a, D> {
    pub(super) disk: D,
    /// Who looks.
    pub(super) seen: Seen,
    /// Where to look, and the disk's number there.
    pub(super) candidates: Option<(u8, &'a Candidates)>,
    /// The key of the digests.
    pub(super) key: [u8; 32],
}

fn cells(range: &Range<u64>) -> Run {
    tally::cells(range.start, range.end - range.start)
}

/// The digest of content; none of zeros.
fn digest(key: &[u8; 32], content: &[u8]) -> Option<Digest> {
    (!content::is_zero(content)).then(|| {
        let mut out = [0; 16];
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher.update(content).finalize_xof().fill(&mut out);
        out
    })
}

impl<D: Deref<Target = Disk>> Side<'_, D> {
    fn content(&self, run: Run) -> StoreResult<Vec<u8>> {
        let mut out = vec![0; content::bytes(run)];
        self.disk.read(self.seen, run, &mut out)?;
        Ok(out)
    }
}

impl<D: Deref<Target = Disk>> Blocks for Side<'_, D> {
    type Content = Vec<u8>;
    type Error = StoreError;

    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn candidates(&mut self, range: Range<u64>) -> StoreResult<Vec<Range<u64>>> {
        Ok(match self.candidates {
            Some((disk, candidates)) => candidates.within(disk, range),
            None => vec![range],
        })
    }

    fn held(&mut self, range: Range<u64>) -> StoreResult<Vec<Range<u64>>> {
        let size = self.disk.size();
        let bytes = |run: Run| run.start * CELL..(run.end() * CELL).min(size);
        Ok(self.disk.present(self.seen, cells(&range)).into_iter().map(bytes).collect())
    }

    fn filled(&mut self, range: Range<u64>) -> StoreResult<Vec<Run>> {
        Ok(self.disk.present(self.seen, cells(&range)))
    }

    fn digests(&mut self, piece: Range<u64>, wanted: u32) -> StoreResult<Vec<Option<Digest>>> {
        let content = self.content(cells(&piece))?;
        let blocks = content.chunks(BLOCK_BYTES).zip(0u32..).filter(|(_, block)| wanted >> block & 1 != 0);
        Ok(blocks.map(|(content, _)| digest(&self.key, content)).collect())
    }

    fn cell_digests(&mut self, piece: Range<u64>) -> StoreResult<Vec<Option<Digest>>> {
        let content = self.content(cells(&piece))?;
        Ok(content.chunks(CELL_BYTES).map(|content| digest(&self.key, content)).collect())
    }

    fn read(&mut self, start: u64, cells: &[Cells]) -> StoreResult<Vec<u8>> {
        let run = |&(first, count): &Cells| Run { start: start / CELL + u64::from(first), len: count.into() };
        let all: Vec<Run> = cells.iter().map(run).collect();
        let mut out = vec![0; content::bytes(Run { start: 0, len: runs::total(&all) })];
        let mut rest = &mut out[..];
        for run in all {
            let (part, left) = rest.split_at_mut(content::bytes(run));
            self.disk.read(self.seen, run, part)?;
            rest = left;
        }
        Ok(out)
    }
}

impl<D: DerefMut<Target = Disk>> BlocksMut for Side<'_, D> {
    fn write(&mut self, start: u64, cells: &[Cells], content: &Vec<u8>) -> StoreResult<bool> {
        let mut rest = &content[..];
        for &(first, count) in cells {
            let run = Run { start: start / CELL + u64::from(first), len: count.into() };
            let (part, left) = rest.split_at(content::bytes(run));
            self.disk.overwrite_mixed(run, part)?;
            rest = left;
        }
        Ok(true)
    }

    /// Only what is present: recovery points keep what changes.
    fn zero(&mut self, range: Range<u64>) -> StoreResult<()> {
        let present = self.disk.present(Seen::Guest, cells(&range));
        present.into_iter().try_for_each(|run| self.disk.overwrite(run, None))
    }
}
