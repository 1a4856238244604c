//! What a guest writes: content that is a function of the write and the place, never all zero, and that
//! no compression makes smaller.

use hvrsim_resync::runs::Run;
use hvrsim_types::size::CELL;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::store::WriteNo;

/// Bytes of a cell.
pub(super) const CELL_BYTES: usize = 4096;

/// The content of cells that a write touches, whole cells.
pub(super) fn cells(no: WriteNo, disk: u8, run: Run) -> Vec<u8> {
    let mut out = vec![0; bytes(run)];
    for (cell, part) in (run.start..).zip(out.chunks_exact_mut(CELL_BYTES)) {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&no.0.to_le_bytes());
        seed[8..16].copy_from_slice(&cell.to_le_bytes());
        seed[16] = disk;
        ChaCha8Rng::from_seed(seed).fill_bytes(part);
        part[0] |= 1;
    }
    out
}

/// Bytes of whole cells.
pub(super) fn bytes(run: Run) -> usize {
    usize::try_from(run.len * CELL).expect("content that fits in memory")
}

/// Whether a cell's content is all zeros, that is, absent.
pub(super) fn is_zero(cell: &[u8]) -> bool {
    cell.iter().all(|byte| *byte == 0)
}

/// Cuts a run into parts that fit in memory at once: 1 MiB.
pub(super) fn parts(run: Run) -> impl Iterator<Item = Run> {
    const PART: u64 = 256;
    (run.start..run.end()).step_by(256).map(move |start| Run::new(start, (start + PART).min(run.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_depends_on_write_disk_and_place_and_is_never_zero() {
        let one = Run { start: 7, len: 1 };
        let base = cells(WriteNo(5), 0, one);
        assert_eq!(CELL_BYTES as u64, CELL);
        assert_eq!(base.len(), CELL_BYTES);
        assert_eq!(base, cells(WriteNo(5), 0, Run { start: 6, len: 3 })[CELL_BYTES..2 * CELL_BYTES]);
        assert_ne!(base, cells(WriteNo(6), 0, one));
        assert_ne!(base, cells(WriteNo(5), 1, one));
        assert_ne!(base, cells(WriteNo(5), 0, Run { start: 8, len: 1 }));
        assert!(!is_zero(&base[..512]));
    }
}
