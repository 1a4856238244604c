//! A map from cells to values that costs what was written: runs of cells in a tree.
//!
//! Two stores use it: with step 0 every cell of a run has the run's value (the number of a write);
//! with another step the value grows from cell to cell (a place in a file). The value 0 stands for an
//! absent cell and never grows.
//!
//! Runs that could be one are one, but none crosses a multiple of 64 GiB, so that a run packs into 16
//! bytes and equal maps are equal trees.

use std::collections::BTreeMap;

use hvrsim_resync::runs::Run;
use serde::{Deserialize, Serialize};

/// Bits of a packed run that hold its length less one.
const LEN_BITS: u32 = 24;
/// No run crosses a multiple of this many cells: 64 GiB.
const PAGE: u64 = 1 << LEN_BITS;
/// Values are below this.
const VALUE_LIMIT: u64 = 1 << (64 - LEN_BITS);

/// A run's length and value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Packed(u64);

impl Packed {
    /// # Panics
    /// A scenario with more than 2^40 writes.
    pub(super) fn new(len: u64, value: u64) -> Self {
        assert!(value < VALUE_LIMIT && (1..=PAGE).contains(&len), "a run of {len} cells with value {value}");
        Self((value << LEN_BITS) | (len - 1))
    }

    pub(super) const fn len(self) -> u64 {
        (self.0 & (PAGE - 1)) + 1
    }

    pub(super) const fn value(self) -> u64 {
        self.0 >> LEN_BITS
    }
}

/// Cuts a run at multiples of 64 GiB.
pub(super) fn pages(run: Run) -> impl Iterator<Item = Run> {
    let mut start = run.start;
    std::iter::from_fn(move || {
        (start < run.end()).then(|| {
            let page = Run::new(start, run.end().min((start / PAGE + 1) * PAGE));
            start = page.end();
            page
        })
    })
}

/// A map from cells to values.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Extents<const STEP: u64> {
    runs: BTreeMap<u64, Packed>,
    cells: u64,
}

/// Every cell of a run has the same value.
pub(super) type Stamped = Extents<0>;

impl<const STEP: u64> Extents<STEP> {
    /// The value `cells` behind one with `value`.
    const fn grown(value: u64, cells: u64) -> u64 {
        if value == 0 { 0 } else { value + STEP * cells }
    }

    /// Cells in the map.
    pub(super) const fn cells(&self) -> u64 {
        self.cells
    }

    /// Gives the run's cells values that start with `value`.
    pub(super) fn set(&mut self, run: Run, value: u64) {
        for page in pages(run) {
            self.set_page(page, Self::grown(value, page.start - run.start));
        }
    }

    fn set_page(&mut self, run: Run, value: u64) {
        if self.replace(run, value) {
            return;
        }
        self.clear(run);
        self.cells += run.len;
        let (mut start, mut end, mut value) = (run.start, run.end(), value);
        if !start.is_multiple_of(PAGE)
            && let Some((&s, &p)) = self.runs.range(..start).next_back()
            && s + p.len() == start
            && Self::grown(p.value(), p.len()) == value
        {
            (start, value) = (s, p.value());
        }
        if !end.is_multiple_of(PAGE)
            && let Some(p) = self.runs.get(&end).copied()
            && p.value() == Self::grown(value, end - start)
        {
            self.runs.remove(&end);
            end += p.len();
        }
        self.runs.insert(start, Packed::new(end - start, value));
    }

    /// The usual case in one walk: the run is in the map as it is, with another value, and cannot be joined with its neighbours.
    fn replace(&mut self, run: Run, value: u64) -> bool {
        let mut near = self.runs.range_mut(..=run.end());
        let mut last = near.next_back();
        if let Some((s, p)) = &last
            && **s == run.end()
        {
            if p.value() == Self::grown(value, run.len) {
                return false;
            }
            last = near.next_back();
        }
        let Some((&s, same)) = last.filter(|(s, p)| **s == run.start && p.len() == run.len) else {
            return false;
        };
        if let Some((&before, p)) = near.next_back()
            && before + p.len() == s
            && Self::grown(p.value(), p.len()) == value
        {
            return false;
        }
        *same = Packed::new(run.len, value);
        true
    }

    /// Takes the run's cells out.
    pub(super) fn clear(&mut self, run: Run) {
        while let Some((s, p)) = self.last_before(run.end())
            && s + p.len() > run.start
        {
            let end = s + p.len();
            if s < run.start {
                self.runs.insert(s, Packed::new(run.start - s, p.value()));
            } else {
                self.runs.remove(&s);
            }
            if end > run.end() {
                let value = Self::grown(p.value(), run.end() - s);
                self.runs.insert(run.end(), Packed::new(end - run.end(), value));
            }
            self.cells -= end.min(run.end()) - s.max(run.start);
        }
    }

    fn last_before(&self, cell: u64) -> Option<(u64, Packed)> {
        self.runs.range(..cell).next_back().map(|(&s, &p)| (s, p))
    }

    /// Every run with the value of its first cell.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Run, u64)> + '_ {
        self.runs.iter().map(|(&start, p)| (Run { start, len: p.len() }, p.value()))
    }

    /// The runs inside `run`, cut to it.
    pub(super) fn within(&self, run: Run) -> impl Iterator<Item = (Run, u64)> + '_ {
        let from = self.last_before(run.start + 1).map_or(run.start, |(s, _)| s);
        self.runs.range(from..run.end()).filter_map(move |(&start, p)| {
            let part = Run { start, len: p.len() }.overlap(run)?;
            Some((part, Self::grown(p.value(), part.start - start)))
        })
    }

    /// The parts of `run` in order, with their values or `None` where the map has nothing.
    pub(super) fn segments(&self, run: Run) -> Vec<(Run, Option<u64>)> {
        let (mut out, mut from) = (Vec::new(), run.start);
        for (part, value) in self.within(run) {
            if part.start > from {
                out.push((Run::new(from, part.start), None));
            }
            out.push((part, Some(value)));
            from = part.end();
        }
        if from < run.end() {
            out.push((Run::new(from, run.end()), None));
        }
        out
    }

    /// The parts of `run` that the map does not have.
    pub(super) fn gaps(&self, run: Run) -> impl Iterator<Item = Run> + use<STEP> {
        self.segments(run).into_iter().filter(|(_, value)| value.is_none()).map(|(part, _)| part)
    }

    /// The first cell of the map at or behind `from`.
    pub(super) fn next(&self, from: u64) -> Option<u64> {
        let inside = self.last_before(from + 1).filter(|(s, p)| s + p.len() > from).map(|_| from);
        inside.or_else(|| self.runs.range(from..).next().map(|(&s, _)| s))
    }

    /// Adds what `other` has and this map has not.
    pub(super) fn fill_from(&mut self, other: &Self) {
        for (run, value) in other.iter() {
            for gap in self.gaps(run) {
                self.set(gap, Self::grown(value, gap.start - run.start));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A place near a page's end, so that runs are cut there.
    const BASE: u64 = PAGE - 20;

    fn check<const STEP: u64>(steps: &[(u8, u8, Option<u8>)]) -> Result<(), TestCaseError> {
        let mut model = vec![None; 64];
        let mut map = Extents::<STEP>::default();
        for &(start, len, value) in steps {
            let run = Run { start: BASE + u64::from(start), len: len.into() };
            match value {
                Some(value) => map.set(run, value.into()),
                None => map.clear(run),
            }
            for (n, cell) in (0..len).zip(&mut model[start.into()..]) {
                *cell = value.map(|v| Extents::<STEP>::grown(v.into(), n.into()));
            }
        }
        let all = Run { start: BASE, len: 64 };
        let mut cells = Vec::new();
        for (part, value) in map.segments(all) {
            cells.extend((0..part.len).map(|n| value.map(|v| Extents::<STEP>::grown(v, n))));
        }
        prop_assert_eq!(&cells, &model);
        prop_assert_eq!(map.cells(), model.iter().flatten().count() as u64);
        let mut again = Extents::<STEP>::default();
        for (n, value) in model.iter().enumerate().rev() {
            if let Some(value) = value {
                again.set(Run { start: BASE + n as u64, len: 1 }, *value);
            }
        }
        prop_assert_eq!(&again, &map, "equal maps are equal trees");
        for from in 0..64 {
            let expected = (from..64).find(|n| model[*n].is_some()).map(|n| BASE + n as u64);
            prop_assert_eq!(map.next(BASE + from as u64), expected);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_map_behaves_as_a_vector(
            steps in prop::collection::vec((0u8..50, 1u8..14, prop::option::of(0u8..4)), 1..40)
        ) {
            check::<0>(&steps)?;
            check::<3>(&steps)?;
        }
    }
}
