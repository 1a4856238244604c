//! Disk images as the engine's disks.

use hvrsim_disk::{Image, present_cells};
use hvrsim_types::size::CELL;

use crate::blocks::{BLOCK_CELLS, Blocks, BlocksMut, Digest};
use crate::runs::{self, Run, RunSet};

/// Bytes of a cell.
const CELL_BYTES: usize = 4096;

/// Why an image cannot be compared or written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The image failed.
    #[error(transparent)]
    Disk(#[from] hvrsim_disk::Error),
    /// Content of another length than its cells have.
    #[error("the other side sent {found} bytes for cells of {expected} bytes")]
    Payload {
        /// Bytes of the cells.
        expected: u64,
        /// Bytes of the content.
        found: u64,
    },
}

struct Disk {
    image: Box<dyn Image>,
    present: RunSet,
}

/// The images of one side, in the order in which both sides have them.
///
/// What is present is found once, by looking at the content; it is kept up while the engine writes.
pub struct ImageBlocks {
    disks: Vec<Disk>,
    key: [u8; 32],
}

impl ImageBlocks {
    /// Takes images over and finds what is present. Both sides must be given the same `key` for their digests.
    ///
    /// # Errors
    /// An image cannot be read.
    pub fn new(images: Vec<Box<dyn Image>>, key: [u8; 32]) -> Result<Self, ImageError> {
        let find = |image: Box<dyn Image>| {
            let mut present = RunSet::default();
            for range in present_cells(&*image, 4096)? {
                present.insert(Run::new(range.start / CELL, range.end.div_ceil(CELL)));
            }
            Ok(Disk { image, present })
        };
        Ok(Self { disks: images.into_iter().map(find).collect::<Result<_, ImageError>>()?, key })
    }

    /// Gives the images back.
    #[must_use]
    pub fn into_images(self) -> Vec<Box<dyn Image>> {
        self.disks.into_iter().map(|disk| disk.image).collect()
    }

    fn disk(&self, number: u8) -> &Disk {
        &self.disks[usize::from(number)]
    }

    fn hash(&self, content: &[u8]) -> Digest {
        let mut out = [0; 16];
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(content).finalize_xof().fill(&mut out);
        out
    }

    fn block(&self, disk: u8, block: u64) -> Result<Vec<u8>, ImageError> {
        let disk = self.disk(disk);
        let end = ((block + 1) * BLOCK_CELLS).min(disk.image.size().div_ceil(CELL));
        disk.read(Run::new(block * BLOCK_CELLS, end))
    }
}

impl Disk {
    /// Bytes of a run that the image has: its last cell may be cut.
    fn len(&self, run: Run) -> u64 {
        (run.end() * CELL).min(self.image.size()) - run.start * CELL
    }

    /// Reads whole cells; zeros stand behind the image's end.
    fn read(&self, run: Run) -> Result<Vec<u8>, ImageError> {
        let mut out = vec![0; bytes(run.len)];
        let len = usize::try_from(self.len(run)).unwrap_or(usize::MAX).min(out.len());
        self.image.read_at(run.start * CELL, &mut out[..len])?;
        Ok(out)
    }
}

/// Bytes of cells that are in memory.
fn bytes(cells: u64) -> usize {
    usize::try_from(cells).map_or(usize::MAX, |cells| cells.saturating_mul(CELL_BYTES))
}

impl Blocks for ImageBlocks {
    type Payload = Vec<u8>;
    type Error = ImageError;

    fn sizes(&self) -> Vec<u64> {
        self.disks.iter().map(|disk| disk.image.size().div_ceil(CELL)).collect()
    }

    fn present(&self, disk: u8, cells: Run) -> Result<Vec<Run>, ImageError> {
        Ok(self.disk(disk).present.within(cells))
    }

    fn next_present(&self, disk: u8, from: u64) -> Result<Option<u64>, ImageError> {
        Ok(self.disk(disk).present.next(from))
    }

    fn digest(&self, disk: u8, block: u64) -> Result<Digest, ImageError> {
        Ok(self.hash(&self.block(disk, block)?))
    }

    fn cell_digests(&self, disk: u8, block: u64) -> Result<Vec<Digest>, ImageError> {
        Ok(self.block(disk, block)?.chunks_exact(CELL_BYTES).map(|cell| self.hash(cell)).collect())
    }

    fn read(&self, disk: u8, cells: &[Run]) -> Result<Vec<u8>, ImageError> {
        let mut out = Vec::with_capacity(bytes(runs::total(cells)));
        for run in cells {
            out.extend(self.disk(disk).read(*run)?);
        }
        Ok(out)
    }
}

impl BlocksMut for ImageBlocks {
    fn write(&mut self, disk: u8, cells: &[Run], payload: &Vec<u8>) -> Result<(), ImageError> {
        let expected = CELL * runs::total(cells);
        let found = payload.len() as u64;
        if expected != found {
            return Err(ImageError::Payload { expected, found });
        }
        let disk = &mut self.disks[usize::from(disk)];
        let mut rest = &payload[..];
        for run in cells {
            let (part, left) = rest.split_at(bytes(run.len));
            let len = usize::try_from(disk.len(*run)).unwrap_or(part.len()).min(part.len());
            disk.image.write_at(run.start * CELL, &part[..len])?;
            disk.present.insert(*run);
            rest = left;
        }
        Ok(())
    }

    fn zero(&mut self, disk: u8, cells: &[Run]) -> Result<(), ImageError> {
        let disk = &mut self.disks[usize::from(disk)];
        for run in cells {
            let len = disk.len(*run);
            disk.image.zero_at(run.start * CELL, len)?;
            disk.present.remove(*run);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ImageError> {
        self.disks.iter_mut().try_for_each(|disk| Ok(disk.image.flush()?))
    }
}
