//! A copy's disks as the resync engine sees them.

use hvrsim_resync::runs::{self, Run};
use hvrsim_resync::{BLOCK_CELLS, Blocks, BlocksMut, Digest};

use super::disk::{Disk, Part};
use crate::store::{StoreError, StoreResult};

/// A view of a copy's disks; through a mutable one the base is written.
pub(super) struct Side<D> {
    pub(super) disks: D,
    /// The place of the recovery point looked at; `None` for what the guest sees.
    pub(super) point: Option<usize>,
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

impl<D: AsRef<[Disk]>> Side<D> {
    fn disk(&self, number: u8) -> &Disk {
        &self.disks.as_ref()[usize::from(number)]
    }

    fn block(&self, disk: u8, block: u64) -> Run {
        Run::new(block * BLOCK_CELLS, ((block + 1) * BLOCK_CELLS).min(self.disk(disk).cells()))
    }
}

impl<D: AsRef<[Disk]>> Blocks for Side<D> {
    type Payload = Vec<Part>;
    type Error = StoreError;

    fn sizes(&self) -> Vec<u64> {
        self.disks.as_ref().iter().map(Disk::cells).collect()
    }

    fn present(&self, disk: u8, cells: Run) -> StoreResult<Vec<Run>> {
        let mut out = Vec::new();
        for (run, _) in self.disk(disk).view(self.point, cells) {
            runs::push(&mut out, run);
        }
        Ok(out)
    }

    fn next_present(&self, disk: u8, from: u64) -> StoreResult<Option<u64>> {
        Ok(self.disk(disk).next_present(self.point, from))
    }

    fn digest(&self, disk: u8, block: u64) -> StoreResult<Digest> {
        let run = self.block(disk, block);
        if let Some(stamp) = self.disk(disk).plain_stamp(self.point, run) {
            return Ok(one(stamp));
        }
        let parts = self.disk(disk).view(self.point, run);
        Ok(match parts[..] {
            [] => one(0),
            [(whole, stamp)] if whole == run => one(stamp),
            _ => mixed(&parts),
        })
    }

    fn cell_digests(&self, disk: u8, block: u64) -> StoreResult<Vec<Digest>> {
        let run = self.block(disk, block);
        let parts = self.disk(disk).view(self.point, run);
        let stamp = |cell| parts.iter().find(|(part, _)| (part.start..part.end()).contains(&cell));
        Ok((run.start..run.end()).map(|cell| one(stamp(cell).map_or(0, |(_, stamp)| *stamp))).collect())
    }

    fn read(&self, disk: u8, cells: &[Run]) -> StoreResult<Vec<Part>> {
        Ok(cells.iter().flat_map(|run| self.disk(disk).view(self.point, *run)).collect())
    }
}

impl BlocksMut for Side<&mut [Disk]> {
    fn write(&mut self, disk: u8, _: &[Run], payload: &Vec<Part>) -> StoreResult<()> {
        for (run, stamp) in payload {
            self.disks[usize::from(disk)].overwrite(*run, *stamp);
        }
        Ok(())
    }

    fn zero(&mut self, disk: u8, cells: &[Run]) -> StoreResult<()> {
        for run in cells {
            self.disks[usize::from(disk)].overwrite(*run, 0);
        }
        Ok(())
    }

    fn flush(&mut self) -> StoreResult<()> {
        Ok(())
    }
}
