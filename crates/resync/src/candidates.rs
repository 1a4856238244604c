//! Which blocks a resynchronization looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use hvrsim_types::size::BLOCK;
use serde::{Deserialize, Serialize};

use crate::runs::{self, Run};

/// Which blocks a resynchronization looks at.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Candidates {
    /// Every block that is held on a side.
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

    /// The candidates among the blocks of a range of a disk's bytes.
    #[must_use]
    pub fn within(&self, disk: u8, range: Range<u64>) -> Vec<Range<u64>> {
        let Self::Tracked(tracked) = self else { return vec![range] };
        let all = tracked.get(&disk).map_or(&[][..], Vec::as_slice);
        let first = all.partition_point(|run| run.end() * BLOCK <= range.start);
        all[first..]
            .iter()
            .take_while(|run| run.start * BLOCK < range.end)
            .map(|run| (run.start * BLOCK).max(range.start)..(run.end() * BLOCK).min(range.end))
            .collect()
    }
}
