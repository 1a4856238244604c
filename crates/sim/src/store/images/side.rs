//! A copy's disks as the resync engine sees them.

use hvrsim_resync::runs::{self, Run};
use hvrsim_resync::{BLOCK_CELLS, Blocks, BlocksMut, Digest};

use super::content::{self, CELL_BYTES};
use super::disk::Disk;
use crate::store::{StoreError, StoreResult};

/// A view of a copy's disks; through a mutable one the base is written.
pub(super) struct Side<D> {
    pub(super) disks: D,
    /// The place of the recovery point looked at; `None` for what the guest sees.
    pub(super) point: Option<usize>,
    /// The key of the digests.
    pub(super) key: [u8; 32],
}

impl<D: AsRef<[Disk]>> Side<D> {
    fn disk(&self, number: u8) -> &Disk {
        &self.disks.as_ref()[usize::from(number)]
    }

    fn block(&self, disk: u8, block: u64) -> StoreResult<Vec<u8>> {
        let disk = self.disk(disk);
        let run = Run::new(block * BLOCK_CELLS, ((block + 1) * BLOCK_CELLS).min(disk.cells()));
        let mut out = vec![0; content::bytes(run)];
        disk.read(self.point, run, &mut out)?;
        Ok(out)
    }

    fn hash(&self, content: &[u8]) -> Digest {
        let mut out = [0; 16];
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(content).finalize_xof().fill(&mut out);
        out
    }
}

impl<D: AsRef<[Disk]>> Blocks for Side<D> {
    type Payload = Vec<u8>;
    type Error = StoreError;

    fn sizes(&self) -> Vec<u64> {
        self.disks.as_ref().iter().map(Disk::cells).collect()
    }

    fn present(&self, disk: u8, cells: Run) -> StoreResult<Vec<Run>> {
        Ok(self.disk(disk).present(self.point, cells))
    }

    fn next_present(&self, disk: u8, from: u64) -> StoreResult<Option<u64>> {
        Ok(self.disk(disk).next_present(self.point, from))
    }

    fn digest(&self, disk: u8, block: u64) -> StoreResult<Digest> {
        Ok(self.hash(&self.block(disk, block)?))
    }

    fn cell_digests(&self, disk: u8, block: u64) -> StoreResult<Vec<Digest>> {
        Ok(self.block(disk, block)?.chunks_exact(CELL_BYTES).map(|cell| self.hash(cell)).collect())
    }

    fn read(&self, disk: u8, cells: &[Run]) -> StoreResult<Vec<u8>> {
        let mut out = vec![0; content::bytes(Run { start: 0, len: runs::total(cells) })];
        let mut rest = &mut out[..];
        for run in cells {
            let (part, left) = rest.split_at_mut(content::bytes(*run));
            self.disk(disk).read(self.point, *run, part)?;
            rest = left;
        }
        Ok(out)
    }
}

impl BlocksMut for Side<&mut [Disk]> {
    fn write(&mut self, disk: u8, cells: &[Run], payload: &Vec<u8>) -> StoreResult<()> {
        let mut rest = &payload[..];
        for run in cells {
            let (part, left) = rest.split_at(content::bytes(*run));
            self.disks[usize::from(disk)].overwrite_mixed(*run, part)?;
            rest = left;
        }
        Ok(())
    }

    fn zero(&mut self, disk: u8, cells: &[Run]) -> StoreResult<()> {
        cells.iter().try_for_each(|run| self.disks[usize::from(disk)].overwrite(*run, None))
    }

    fn flush(&mut self) -> StoreResult<()> {
        Ok(())
    }
}
