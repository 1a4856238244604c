//! Which blocks a resynchronization looks at.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::blocks::{BLOCK_CELLS, Blocks, Position, REGION_CELLS};
use crate::runs::{self, Run};

/// Blocks per region.
const REGION_BLOCKS: u64 = REGION_CELLS / BLOCK_CELLS;

/// Which blocks a resynchronization looks at.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Candidates {
    /// Every block that is present on a side.
    Everything,
    /// These runs of blocks, by disk. They are compared, too, since tracking may name more than changed.
    Tracked(BTreeMap<u8, Vec<Run>>),
}

impl Candidates {
    /// Candidates from a set of (disk, block).
    #[must_use]
    pub fn tracked(blocks: &BTreeSet<(u8, u64)>) -> Self {
        let mut out = BTreeMap::<u8, Vec<Run>>::new();
        for &(disk, block) in blocks {
            runs::push(out.entry(disk).or_default(), Run { start: block, len: 1 });
        }
        Self::Tracked(out)
    }

    /// The candidate cells among `cells` of a disk.
    fn cells(&self, disk: u8, cells: Run) -> Vec<Run> {
        let Self::Tracked(tracked) = self else { return vec![cells] };
        let all = tracked.get(&disk).map_or(&[][..], Vec::as_slice);
        let first = all.partition_point(|run| run.end() * BLOCK_CELLS <= cells.start);
        all[first..]
            .iter()
            .take_while(|run| run.start * BLOCK_CELLS < cells.end())
            .filter_map(|run| Run::new(run.start * BLOCK_CELLS, run.end() * BLOCK_CELLS).overlap(cells))
            .collect()
    }

    /// The candidate cells of a region that are present.
    pub(crate) fn present<B: Blocks>(&self, disk: &B, at: Position, size: u64) -> Result<Vec<Run>, B::Error> {
        let mut out = Vec::new();
        for cells in self.cells(at.disk, at.cells(size)) {
            out.extend(disk.present(at.disk, cells)?);
        }
        Ok(out)
    }

    /// The first region at or behind `from` and in front of `limit` with present candidate cells, and these cells.
    pub(crate) fn next_region<B: Blocks>(
        &self,
        disk: &B,
        sizes: &[u64],
        from: Position,
        limit: Option<Position>,
    ) -> Result<Option<(Position, Vec<Run>)>, B::Error> {
        let mut at = from;
        while let Some(&size) = sizes.get(usize::from(at.disk)) {
            let cell = match self.next_block(at).map(|block| block * BLOCK_CELLS) {
                Some(cell) => disk.next_present(at.disk, cell)?,
                None => None,
            };
            let Some(cell) = cell else {
                at = Position { disk: at.disk + 1, region: 0 };
                continue;
            };
            at.region = cell / REGION_CELLS;
            if limit.is_some_and(|limit| at >= limit) {
                return Ok(None);
            }
            let present = self.present(disk, at, size)?;
            if !present.is_empty() {
                return Ok(Some((at, present)));
            }
            at = at.next();
        }
        Ok(None)
    }

    /// The first candidate block at or behind a region's start, on its disk.
    fn next_block(&self, at: Position) -> Option<u64> {
        let start = at.region * REGION_BLOCKS;
        let Self::Tracked(tracked) = self else { return Some(start) };
        let all = tracked.get(&at.disk)?;
        all.get(all.partition_point(|run| run.end() <= start)).map(|run| run.start.max(start))
    }

    /// Tracked blocks in the regions from `from` to in front of `to`; `None` when everything is looked at.
    pub(crate) fn tracked_between(&self, from: Position, to: Position) -> Option<u64> {
        let Self::Tracked(tracked) = self else { return None };
        let count = tracked.range(from.disk..=to.disk).map(|(&disk, all)| {
            let start = if disk == from.disk { from.region * REGION_BLOCKS } else { 0 };
            let end = if disk == to.disk { to.region * REGION_BLOCKS } else { u64::MAX };
            let first = all.partition_point(|run| run.end() <= start);
            let inside = all[first..].iter().take_while(|run| run.start < end);
            inside.map(|run| run.end().min(end) - run.start.max(start)).sum::<u64>()
        });
        Some(count.sum())
    }
}

/// How many candidate blocks a resynchronization has to go through: those given, or those present on a side.
///
/// # Errors
/// A disk failed.
pub fn candidate_blocks<S, T>(source: &S, target: &T, candidates: &Candidates) -> Result<u64, S::Error>
where
    S: Blocks,
    T: Blocks<Error = S::Error>,
{
    if let Candidates::Tracked(tracked) = candidates {
        return Ok(tracked.values().map(|blocks| runs::total(blocks)).sum());
    }
    let mut blocks = 0;
    for (disk, &cells) in (0u8..).zip(&source.sizes()) {
        let all = Run { start: 0, len: cells };
        let here = runs::blocks_of(&source.present(disk, all)?);
        let there = runs::blocks_of(&target.present(disk, all)?);
        blocks += runs::total(&runs::union(&here, &there));
    }
    Ok(blocks)
}
