//! Two buffers of the same place, compared in memory.

use std::ops::Range;

use hvrsim_types::size::{BLOCK, CELL};

/// A cell's bytes.
pub(crate) const CELL_BYTES: usize = 4096;
/// A block's bytes.
pub(crate) const BLOCK_BYTES: usize = 65_536;
const _: () = assert!(CELL_BYTES as u64 == CELL && BLOCK_BYTES as u64 == BLOCK);
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Whether there is nothing but zeros; `content` is at most a block.
pub(crate) fn is_zero(content: &[u8]) -> bool {
    content == &ZEROS[..content.len()]
}

/// What differs in a buffer, as runs of whole cells by their bytes in it. Kept between calls for its memory.
#[derive(Default)]
pub(super) struct Differences {
    /// The source holds something else than the target.
    pub write: Vec<Range<usize>>,
    /// The source holds zeros and the target does not.
    pub zero: Vec<Range<usize>>,
    /// Cells of blocks that hold something on both sides.
    pub compared_cells: u64,
    /// Cells in `write`.
    pub sent_cells: u64,
    /// Cells in `zero`.
    pub zeroed_cells: u64,
}

impl Differences {
    fn clear(&mut self) {
        self.write.clear();
        self.zero.clear();
        (self.compared_cells, self.sent_cells, self.zeroed_cells) = (0, 0, 0);
    }

    /// Compares two buffers of one length that begin at a block.
    pub(super) fn find(&mut self, source: &[u8], target: &[u8]) {
        self.clear();
        for (index, (mine, theirs)) in source.chunks(BLOCK_BYTES).zip(target.chunks(BLOCK_BYTES)).enumerate()
        {
            let holds = !is_zero(mine);
            if mine == theirs {
                self.count_compared(holds, mine.len());
                continue;
            }
            self.count_compared(holds && !is_zero(theirs), mine.len());
            self.cells(index * BLOCK_BYTES, mine, theirs);
        }
    }

    /// The source's cells that hold something, over a target that holds nothing.
    pub(super) fn find_over_nothing(&mut self, source: &[u8]) {
        self.clear();
        for (index, cell) in source.chunks(CELL_BYTES).enumerate() {
            if !is_zero(cell) {
                self.sent_cells += 1;
                push(&mut self.write, index * CELL_BYTES, cell.len());
            }
        }
    }

    fn count_compared(&mut self, both_hold: bool, bytes: usize) {
        if both_hold {
            self.compared_cells += bytes.div_ceil(CELL_BYTES) as u64;
        }
    }

    fn cells(&mut self, start: usize, source: &[u8], target: &[u8]) {
        for (index, (mine, theirs)) in source.chunks(CELL_BYTES).zip(target.chunks(CELL_BYTES)).enumerate() {
            if mine == theirs {
                continue;
            }
            let at = start + index * CELL_BYTES;
            if is_zero(mine) {
                self.zeroed_cells += 1;
                push(&mut self.zero, at, mine.len());
            } else {
                self.sent_cells += 1;
                push(&mut self.write, at, mine.len());
            }
        }
    }
}

fn push(runs: &mut Vec<Range<usize>>, start: usize, len: usize) {
    match runs.last_mut() {
        Some(last) if last.end == start => last.end += len,
        _ => runs.push(start..start + len),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_cells_are_told_apart() {
        let mut source = vec![0; 3 * BLOCK_BYTES - 1000];
        let mut target = source.clone();
        source[..5 * CELL_BYTES].fill(1);
        target[2 * CELL_BYTES..7 * CELL_BYTES].fill(1);
        source[3 * BLOCK_BYTES - 1001] = 9;
        let mut found = Differences::default();
        found.find(&source, &target);
        let end = source.len();
        assert_eq!(found.write, [0..2 * CELL_BYTES, 3 * BLOCK_BYTES - CELL_BYTES..end]);
        assert_eq!(found.zero, [Range { start: 5 * CELL_BYTES, end: 7 * CELL_BYTES }]);
        assert_eq!((found.compared_cells, found.sent_cells), (16, 3));
        found.find_over_nothing(&source);
        assert_eq!(found.sent_cells, 6);
    }
}
