//! Sorted runs of cells or blocks: the language in which both halves speak of what is present.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::blocks::BLOCK_CELLS;

/// A run of consecutive cells (or blocks, where a name says so).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The first.
    pub start: u64,
    /// How many; never 0.
    pub len: u64,
}

impl Run {
    /// The run from `start` to in front of `end`.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Self {
        Self { start, len: end - start }
    }

    /// The first one behind the run.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.start + self.len
    }

    /// What two runs have in common.
    #[must_use]
    pub fn overlap(self, other: Self) -> Option<Self> {
        let (start, end) = (self.start.max(other.start), self.end().min(other.end()));
        (start < end).then(|| Self::new(start, end))
    }
}

/// How many cells or blocks all runs hold together.
#[must_use]
pub fn total(runs: &[Run]) -> u64 {
    runs.iter().map(|run| run.len).sum()
}

/// Adds a run that starts at or behind the last one's start, merging what touches.
pub fn push(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if run.start <= last.end() => last.len = last.end().max(run.end()) - last.start,
        _ => runs.push(run),
    }
}

/// What is in both.
#[must_use]
pub fn intersect(a: &[Run], b: &[Run]) -> Vec<Run> {
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        out.extend(x.overlap(*y));
        if x.end() <= y.end() {
            i += 1;
        } else {
            j += 1;
        }
    }
    out
}

/// What is in `a` and not in `b`.
#[must_use]
pub fn subtract(a: &[Run], b: &[Run]) -> Vec<Run> {
    let mut out = Vec::new();
    let mut j = 0;
    for run in a {
        let mut from = run.start;
        while b.get(j).is_some_and(|cut| cut.end() <= from) {
            j += 1;
        }
        let mut k = j;
        while let Some(cut) = b.get(k).filter(|cut| cut.start < run.end()) {
            if cut.start > from {
                out.push(Run::new(from, cut.start));
            }
            from = from.max(cut.end());
            k += 1;
        }
        if from < run.end() {
            out.push(Run::new(from, run.end()));
        }
    }
    out
}

/// What is in either.
#[must_use]
pub fn union(a: &[Run], b: &[Run]) -> Vec<Run> {
    let mut all: Vec<Run> = a.iter().chain(b).copied().collect();
    all.sort_unstable_by_key(|run| run.start);
    let mut out = Vec::with_capacity(all.len());
    for run in all {
        push(&mut out, run);
    }
    out
}

/// The runs of blocks that these runs of cells touch.
#[must_use]
pub fn blocks_of(cells: &[Run]) -> Vec<Run> {
    let mut out = Vec::new();
    for run in cells {
        push(&mut out, Run::new(run.start / BLOCK_CELLS, run.end().div_ceil(BLOCK_CELLS)));
    }
    out
}

/// The cells of these blocks, cut at the disk's end.
#[must_use]
pub fn cells_of(blocks: &[Run], disk_cells: u64) -> Vec<Run> {
    let cut = |run: &Run| Run::new(run.start * BLOCK_CELLS, (run.end() * BLOCK_CELLS).min(disk_cells));
    blocks.iter().map(cut).collect()
}

/// Every number in the runs.
pub fn each(runs: &[Run]) -> impl Iterator<Item = u64> + '_ {
    runs.iter().flat_map(|run| run.start..run.end())
}

/// A set of cells that changes, kept as runs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct RunSet {
    /// Start to end, neither overlapping nor touching.
    runs: BTreeMap<u64, u64>,
}

impl RunSet {
    /// Adds a run.
    pub fn insert(&mut self, run: Run) {
        let (mut start, mut end) = (run.start, run.end());
        while let Some((&s, &e)) = self.runs.range(..=end).next_back().filter(|(_, e)| **e >= start) {
            self.runs.remove(&s);
            (start, end) = (start.min(s), end.max(e));
        }
        self.runs.insert(start, end);
    }

    /// Takes a run out.
    pub fn remove(&mut self, run: Run) {
        while let Some((&s, &e)) = self.runs.range(..run.end()).next_back().filter(|(_, e)| **e > run.start) {
            self.runs.remove(&s);
            if s < run.start {
                self.runs.insert(s, run.start);
            }
            if e > run.end() {
                self.runs.insert(run.end(), e);
            }
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How many runs it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether a cell is in it.
    #[must_use]
    pub fn contains(&self, cell: u64) -> bool {
        self.runs.range(..=cell).next_back().is_some_and(|(_, end)| *end > cell)
    }

    /// Its runs in order.
    pub fn iter(&self) -> impl Iterator<Item = Run> + '_ {
        self.runs.iter().map(|(&start, &end)| Run::new(start, end))
    }

    /// What the set has inside the run.
    #[must_use]
    pub fn within(&self, run: Run) -> Vec<Run> {
        let from = self.runs.range(..=run.start).next_back().map_or(run.start, |(&s, _)| s);
        self.runs.range(from..run.end()).filter_map(|(&s, &e)| Run::new(s, e).overlap(run)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn from_set(set: &BTreeSet<u64>) -> Vec<Run> {
        let mut out = Vec::new();
        for &n in set {
            push(&mut out, Run { start: n, len: 1 });
        }
        out
    }

    proptest! {
        #[test]
        fn runs_behave_as_sets(a: BTreeSet<u8>, b: BTreeSet<u8>, cut in (0u8..250, 1u8..6)) {
            let a: BTreeSet<u64> = a.into_iter().map(u64::from).collect();
            let b: BTreeSet<u64> = b.into_iter().map(u64::from).collect();
            let (x, y) = (from_set(&a), from_set(&b));
            prop_assert_eq!(intersect(&x, &y), from_set(&a.intersection(&b).copied().collect()));
            prop_assert_eq!(subtract(&x, &y), from_set(&a.difference(&b).copied().collect()));
            prop_assert_eq!(union(&x, &y), from_set(&a.union(&b).copied().collect()));
            prop_assert_eq!(each(&x).collect::<BTreeSet<_>>(), a.clone());

            let run = Run { start: cut.0.into(), len: cut.1.into() };
            let mut set = RunSet::default();
            for one in a.iter().chain(&b) {
                set.insert(Run { start: *one, len: 1 });
            }
            set.remove(run);
            let left: BTreeSet<u64> =
                a.union(&b).copied().filter(|n| !(run.start..run.end()).contains(n)).collect();
            prop_assert_eq!(set.within(Run::new(0, 256)), from_set(&left));
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), from_set(&left));
            prop_assert_eq!(set.contains(run.start + 3), left.contains(&(run.start + 3)));
        }
    }
}
