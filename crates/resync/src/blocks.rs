//! What the engine needs of a disk, and the grains in which it works.

use std::ops::Range;

use hvrsim_types::size::{BLOCK, CELL};

use crate::checkpoint::Progress;
use crate::frame::Cells;
use crate::runs::Run;

/// Cells of 4 KiB in a block of 64 KiB.
pub const BLOCK_CELLS: u64 = BLOCK / CELL;

/// A digest of content: two blocks or cells at one place are equal if their digests are.
pub type Digest = [u8; 16];

/// A disk of one side, as it is read. Ranges are bytes that begin at a block and end at one or at the disk's end; the
/// disk's last cell may be cut and counts as a whole one. A *piece* is such a range of at most 32 blocks.
///
/// A disk may be handed in anew for each call, so a simulation need not keep it borrowed.
pub trait Blocks {
    /// Content of cells on its way.
    type Content;
    /// Why the disk failed.
    type Error;

    /// Bytes of the disk.
    fn size(&self) -> u64;
    /// The parts of a range where a difference may be, as far as is known beforehand. Only the source is asked.
    ///
    /// # Errors
    /// What is known beforehand cannot be read.
    fn candidates(&mut self, range: Range<u64>) -> Result<Vec<Range<u64>>, Self::Error> {
        Ok(vec![range])
    }
    /// The parts of a range that may hold something, sorted, from what is known without reading content. The ends
    /// need not lie at blocks.
    ///
    /// # Errors
    /// The disk failed.
    fn held(&mut self, range: Range<u64>) -> Result<Vec<Range<u64>>, Self::Error>;
    /// The cells of a range that are not all zeros, sorted, neither overlapping nor touching.
    ///
    /// # Errors
    /// The disk failed.
    fn filled(&mut self, range: Range<u64>) -> Result<Vec<Run>, Self::Error>;
    /// The digests of those blocks of a piece whose bits are set; none for a block of zeros.
    ///
    /// # Errors
    /// The disk failed.
    fn digests(&mut self, piece: Range<u64>, wanted: u32) -> Result<Vec<Option<Digest>>, Self::Error>;
    /// The digests of all cells of a piece; none for a cell of zeros.
    ///
    /// # Errors
    /// The disk failed.
    fn cell_digests(&mut self, piece: Range<u64>) -> Result<Vec<Option<Digest>>, Self::Error>;
    /// The content of cells of the piece that begins at `start`.
    ///
    /// # Errors
    /// The disk failed.
    fn read(&mut self, start: u64, cells: &[Cells]) -> Result<Self::Content, Self::Error>;
}

/// The disk of the side that is made equal.
pub trait BlocksMut: Blocks {
    /// Progress that was kept of an earlier run from a source with this content.
    ///
    /// # Errors
    /// It cannot be read.
    fn found(&mut self, _generation: [u8; 32]) -> Result<Option<Progress>, Self::Error> {
        Ok(None)
    }
    /// Progress is to be kept before more content than this, in bytes, would have to be sent again.
    fn interval(&self) -> u64 {
        u64::MAX
    }
    /// Writes what the other side's `read` of the same cells gave; says whether that was content of these cells.
    ///
    /// # Errors
    /// The disk failed.
    fn write(&mut self, start: u64, cells: &[Cells], content: &Self::Content) -> Result<bool, Self::Error>;
    /// Makes a range of whole cells zero; it may give up the space.
    ///
    /// # Errors
    /// The disk failed.
    fn zero(&mut self, range: Range<u64>) -> Result<(), Self::Error>;
    /// Makes durable what was written, then notes the progress.
    ///
    /// # Errors
    /// The disk, or what progress is noted in, failed.
    fn keep(&mut self, _progress: &Progress) -> Result<(), Self::Error> {
        Ok(())
    }
    /// Everything is equal: makes it durable (if anything was `changed`) and forgets the progress.
    ///
    /// # Errors
    /// The disk, or what progress is noted in, failed.
    fn finish(&mut self, _changed: bool) -> Result<(), Self::Error> {
        Ok(())
    }
}
