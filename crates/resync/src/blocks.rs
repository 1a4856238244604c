//! What the engine needs of a disk, and the grains in which it works.

use hvrsim_types::size::{BLOCK, CELL};
use serde::{Deserialize, Serialize};

use crate::runs::Run;

/// Cells of 4 KiB in a block of 64 KiB.
pub const BLOCK_CELLS: u64 = BLOCK / CELL;
/// Cells in a region, the unit of work and of checkpoints: 16 MiB.
pub const REGION_CELLS: u64 = (16 << 20) / CELL;

/// A digest of content: two blocks or cells at one place are equal if their digests are.
pub type Digest = [u8; 16];

/// A place in the order of work: disk by disk, region by region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// The disk, by its place in the machine.
    pub disk: u8,
    /// The region of the disk, counted in [`REGION_CELLS`].
    pub region: u64,
}

impl Position {
    /// The position behind this region.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { disk: self.disk, region: self.region + 1 }
    }

    /// The region's cells on a disk of that many.
    #[must_use]
    pub fn cells(self, disk_cells: u64) -> Run {
        let start = self.region * REGION_CELLS;
        Run::new(start, (start + REGION_CELLS).min(disk_cells))
    }
}

/// The disks of one side, as they are read. Cells are 4 KiB; a disk's last cell may be cut and counts as a whole one.
///
/// *Present* is a cell that was ever written or is not all zeros; an absent cell reads as zeros.
pub trait Blocks {
    /// Content of cells on its way.
    type Payload;
    /// Why a disk failed.
    type Error;

    /// Cells of each disk.
    fn sizes(&self) -> Vec<u64>;
    /// The present cells inside a run, sorted, neither overlapping nor touching.
    ///
    /// # Errors
    /// The disk failed.
    fn present(&self, disk: u8, cells: Run) -> Result<Vec<Run>, Self::Error>;
    /// The first present cell at or behind `from`.
    ///
    /// # Errors
    /// The disk failed.
    fn next_present(&self, disk: u8, from: u64) -> Result<Option<u64>, Self::Error>;
    /// The digest of a 64 KiB block; absent cells count as zeros.
    ///
    /// # Errors
    /// The disk failed.
    fn digest(&self, disk: u8, block: u64) -> Result<Digest, Self::Error>;
    /// The digests of a block's cells, in order; as many as the block has on this disk.
    ///
    /// # Errors
    /// The disk failed.
    fn cell_digests(&self, disk: u8, block: u64) -> Result<Vec<Digest>, Self::Error>;
    /// The content of present cells.
    ///
    /// # Errors
    /// The disk failed.
    fn read(&self, disk: u8, cells: &[Run]) -> Result<Self::Payload, Self::Error>;
}

/// The disks of the side that is made equal.
pub trait BlocksMut: Blocks {
    /// Writes what the other side's `read` of the same cells gave.
    ///
    /// # Errors
    /// The disk failed, or the payload is not of these cells.
    fn write(&mut self, disk: u8, cells: &[Run], payload: &Self::Payload) -> Result<(), Self::Error>;
    /// Makes cells absent.
    ///
    /// # Errors
    /// The disk failed.
    fn zero(&mut self, disk: u8, cells: &[Run]) -> Result<(), Self::Error>;
    /// Makes what was written durable; it is called before a checkpoint moves.
    ///
    /// # Errors
    /// The disk failed.
    fn flush(&mut self) -> Result<(), Self::Error>;
}
