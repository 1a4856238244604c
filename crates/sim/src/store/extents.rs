//! A map from cells to values that costs what was written.
//!
//! Two stores use it: with step 0 every cell of a run has the run's value (the number of a write);
//! with another step the value grows from cell to cell (a place in a file). The value 0 stands for an
//! absent cell and never grows.
//!
//! The tree holds chunks of 16 MiB: a span of chunks whose cells make one run is one entry, and a chunk
//! with several runs has a sorted list of them, 8 bytes each. A hot spot of small writes so costs little
//! more than the numbers in it and is found with one short walk. Equal maps are equal trees.

use std::collections::BTreeMap;

use hvrsim_resync::runs::Run;
use serde::{Deserialize, Serialize};

/// Cells of a chunk: 16 MiB.
const CHUNK: u64 = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 12;
/// Bits of an entry that hold the value, below the place in the chunk.
const VALUE_BITS: u32 = 64 - CHUNK_BITS;
/// Stands in a list for cells that are not in the map.
const NOTHING: u64 = (1 << VALUE_BITS) - 1;

/// What a span of chunks holds.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Span {
    /// That many chunks are one run.
    Same(u32, u64),
    /// One chunk of several runs, each to the start of the next: place in the chunk and value in one number.
    Mixed(Vec<u64>),
}

/// A map from cells to values.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Extents<const STEP: u64> {
    /// By the first chunk.
    spans: BTreeMap<u64, Span>,
    cells: u64,
}

/// Every cell of a run has the same value.
pub(super) type Stamped = Extents<0>;

const fn pack(place: u64, value: u64) -> u64 {
    (place << VALUE_BITS) | value
}

const fn place(entry: u64) -> u64 {
    entry >> VALUE_BITS
}

const fn value(entry: u64) -> u64 {
    entry & NOTHING
}

/// The place behind the run at `index` of a chunk's list.
fn end_of(list: &[u64], index: usize) -> u64 {
    list.get(index + 1).map_or(CHUNK, |entry| place(*entry))
}

/// The index of the run that holds a place of the chunk. Guesses from the place first: a walk of a few
/// neighbours costs less than the scattered looks of a binary search.
fn index_of(list: &[u64], at: u64) -> usize {
    const NEAR: usize = 12;
    let starts = |index: usize| place(list[index]) <= at;
    let guess = usize::try_from((at * list.len() as u64) >> CHUNK_BITS).unwrap_or(0);
    let mut index = guess;
    if starts(guess) {
        while index < guess + NEAR {
            if index + 1 == list.len() || !starts(index + 1) {
                return index;
            }
            index += 1;
        }
    } else {
        while index + NEAR > guess {
            index -= 1;
            if starts(index) {
                return index;
            }
        }
    }
    list.partition_point(|entry| place(*entry) <= at) - 1
}

impl<const STEP: u64> Extents<STEP> {
    /// The value `cells` behind one with `value`.
    const fn grown(value: u64, cells: u64) -> u64 {
        if value == 0 || value == NOTHING { value } else { value + STEP * cells }
    }

    /// Cells in the map.
    pub(super) const fn cells(&self) -> u64 {
        self.cells
    }

    /// Gives the run's cells values that start with `value`.
    ///
    /// # Panics
    /// A value of 2^52 - 1 or more.
    pub(super) fn set(&mut self, run: Run, value: u64) {
        assert!(value < NOTHING, "value {value} in a map of cells");
        self.put(run, value);
    }

    /// Takes the run's cells out.
    pub(super) fn clear(&mut self, run: Run) {
        self.put(run, NOTHING);
    }

    fn put(&mut self, run: Run, value: u64) {
        let mut start = run.start;
        while start < run.end() {
            let chunk = start >> CHUNK_BITS;
            let whole = (run.end() >> CHUNK_BITS).saturating_sub(chunk);
            let here = Self::grown(value, start - run.start);
            if start.is_multiple_of(CHUNK) && whole > 0 {
                self.put_chunks(chunk, whole, here);
                start += whole * CHUNK;
            } else {
                let end = run.end().min((chunk + 1) * CHUNK);
                self.put_part(chunk, start % CHUNK, end - chunk * CHUNK, here);
                start = end;
            }
        }
    }

    /// Changes a part of one chunk.
    fn put_part(&mut self, chunk: u64, start: u64, end: u64, value: u64) {
        if let Some(Span::Mixed(list)) = self.spans.get_mut(&chunk) {
            let (before, after) = Self::edit(list, start, end, value);
            self.cells = self.cells - before + after;
            if let [one] = list[..] {
                self.spans.remove(&chunk);
                self.join(chunk, 1, self::value(one));
            }
            return;
        }
        let now = self.chunk_value(chunk);
        if Self::grown(now, start) == value {
            return;
        }
        self.cut(chunk);
        self.cut(chunk + 1);
        let mut list = vec![pack(0, now)];
        let (before, after) = Self::edit(&mut list, start, end, value);
        self.cells = self.cells - before + after;
        self.spans.insert(chunk, Span::Mixed(list));
    }

    /// Changes a chunk's list. Returns how many cells of the part were in the map, and are now.
    fn edit(list: &mut Vec<u64>, start: u64, end: u64, value: u64) -> (u64, u64) {
        let first = index_of(list, start);
        let mut last = first;
        let mut before = 0;
        loop {
            let until = end_of(list, last);
            if self::value(list[last]) != NOTHING {
                before += until.min(end) - place(list[last]).max(start);
            }
            if until >= end {
                break;
            }
            last += 1;
        }
        let after = if value == NOTHING { 0 } else { end - start };

        // A guest mostly overwrites what one write of the same size wrote: then only the value changes.
        let is_same = place(list[first]) == start && end_of(list, first) == end;
        let follows = |e: u64| Self::grown(self::value(e), start - place(e)) == value;
        let goes_on = |e: u64| self::value(e) == Self::grown(value, end - start);
        if is_same
            && !first.checked_sub(1).is_some_and(|at| follows(list[at]))
            && !list.get(first + 1).is_some_and(|next| goes_on(*next))
        {
            list[first] = pack(start, value);
            return (before, after);
        }

        let mut fresh = [0; 3];
        let mut count = 0;
        let mut add = |place_of: u64, value: u64, from: Option<u64>| {
            let before = if count == 0 { from } else { Some(fresh[count - 1]) };
            let joins = |e: u64| Self::grown(self::value(e), place_of - place(e)) == value;
            if !before.is_some_and(joins) {
                fresh[count] = pack(place_of, value);
                count += 1;
            }
        };
        let head = list[first];
        let mut from = first.checked_sub(1).map(|at| list[at]);
        if place(head) < start {
            add(place(head), self::value(head), from);
            from = None;
        }
        add(start, value, from);
        let mut next = last + 1;
        if end < end_of(list, last) {
            let tail = list[last];
            add(end, Self::grown(self::value(tail), end - place(tail)), from);
        } else if let Some(&tail) = list.get(next) {
            add(end, self::value(tail), from);
            next += 1;
        }
        let fresh = &fresh[..count];
        if fresh.len() == next - first {
            list[first..next].copy_from_slice(fresh);
        } else {
            // Grown by a fourth: doubling would waste more than most lists hold.
            if fresh.len() > next - first && list.capacity() < list.len() + 2 {
                list.reserve_exact(6 + list.len() / 4);
            }
            list.splice(first..next, fresh.iter().copied());
        }
        (before, after)
    }

    /// Gives whole chunks one run.
    fn put_chunks(&mut self, chunk: u64, chunks: u64, value: u64) {
        self.cut(chunk);
        self.cut(chunk + chunks);
        while let Some((&at, span)) = self.spans.range(chunk..chunk + chunks).next() {
            self.cells -= Self::cells_of(span);
            self.spans.remove(&at);
        }
        if value != NOTHING {
            self.cells += chunks * CHUNK;
        }
        self.join(chunk, chunks, value);
    }

    fn cells_of(span: &Span) -> u64 {
        match span {
            Span::Same(chunks, _) => u64::from(*chunks) * CHUNK,
            Span::Mixed(list) => {
                let held = list.iter().enumerate().filter(|(_, entry)| value(**entry) != NOTHING);
                held.map(|(at, entry)| end_of(list, at) - place(*entry)).sum()
            }
        }
    }

    /// Enters chunks of one run that the tree does not have, joined with equal neighbours.
    fn join(&mut self, chunk: u64, chunks: u64, value: u64) {
        if value == NOTHING {
            return;
        }
        let (mut start, mut count, mut value) = (chunk, chunks, value);
        if let Some((&at, &Span::Same(n, v))) = self.spans.range(..chunk).next_back()
            && at + u64::from(n) == chunk
            && Self::grown(v, u64::from(n) * CHUNK) == value
        {
            (start, count, value) = (at, count + u64::from(n), v);
        }
        if let Some(&Span::Same(n, v)) = self.spans.get(&(chunk + chunks))
            && v == Self::grown(value, count * CHUNK)
        {
            self.spans.remove(&(chunk + chunks));
            count += u64::from(n);
        }
        let count = u32::try_from(count).expect("a disk of at most 2^32 chunks");
        self.spans.insert(start, Span::Same(count, value));
    }

    /// Makes a chunk the start of its span.
    fn cut(&mut self, chunk: u64) {
        let Some((&at, span)) = self.spans.range_mut(..chunk).next_back() else { return };
        let Span::Same(count, value) = span else { return };
        let end = at + u64::from(*count);
        if end > chunk {
            let value = Self::grown(*value, (chunk - at) * CHUNK);
            let fits = "a part of a span";
            *count = u32::try_from(chunk - at).expect(fits);
            self.spans.insert(chunk, Span::Same(u32::try_from(end - chunk).expect(fits), value));
        }
    }

    /// The value of a chunk's first cell, if the chunk is in a span of one run.
    fn chunk_value(&self, chunk: u64) -> u64 {
        match self.spans.range(..=chunk).next_back() {
            Some((&at, &Span::Same(count, value))) if chunk < at + u64::from(count) => {
                Self::grown(value, (chunk - at) * CHUNK)
            }
            _ => NOTHING,
        }
    }

    /// The value at a cell, and where the run of which that is true ends, as far as one look tells.
    pub(super) fn run_at(&self, cell: u64) -> (u64, Option<u64>) {
        let chunk = cell >> CHUNK_BITS;
        if let Some(Span::Mixed(list)) = self.spans.get(&chunk) {
            let index = index_of(list, cell % CHUNK);
            let value = Self::grown(value(list[index]), cell % CHUNK - place(list[index]));
            return (chunk * CHUNK + end_of(list, index), (value != NOTHING).then_some(value));
        }
        let (end, value) = match self.spans.range(..=chunk).next_back() {
            Some((&at, &Span::Same(count, value))) if chunk < at + u64::from(count) => {
                ((at + u64::from(count)) * CHUNK, Self::grown(value, cell - at * CHUNK))
            }
            _ => {
                let next = self.spans.range(chunk..).next();
                (next.map_or(u64::MAX, |(at, _)| at * CHUNK), NOTHING)
            }
        };
        (end, (value != NOTHING).then_some(value))
    }

    /// The parts of `run` in order, with the value of their first cell or `None` where the map has nothing.
    pub(super) fn segments(&self, run: Run) -> impl Iterator<Item = (Run, Option<u64>)> + '_ {
        let mut at = run.start;
        std::iter::from_fn(move || {
            (at < run.end()).then(|| {
                let (end, value) = self.run_at(at);
                let part = Run::new(at, end.min(run.end()));
                at = part.end();
                (part, value)
            })
        })
    }

    /// The runs inside `run`, cut to it.
    pub(super) fn within(&self, run: Run) -> impl Iterator<Item = (Run, u64)> + '_ {
        self.segments(run).filter_map(|(part, value)| Some((part, value?)))
    }

    /// Every run with the value of its first cell.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Run, u64)> + '_ {
        let end = self.spans.last_key_value().map_or(0, |(&at, span)| match span {
            Span::Same(count, _) => at + u64::from(*count),
            Span::Mixed(_) => at + 1,
        });
        self.within(Run { start: 0, len: end * CHUNK })
    }

    /// Adds what `other` has in a run and this map has not, as 0 where the other has nothing.
    pub(super) fn keep(&mut self, other: &Self, run: Run) {
        let mut at = run.start;
        while at < run.end() {
            let (end, known) = self.run_at(at);
            let end = end.min(run.end());
            while known.is_none() && at < end {
                let (until, value) = other.run_at(at);
                let part = Run::new(at, until.min(end));
                self.set(part, value.unwrap_or(0));
                at = part.end();
            }
            at = end;
        }
    }

    /// Gives those of the run's cells that the map has not values that start with `value`.
    pub(super) fn fill(&mut self, run: Run, value: u64) {
        let mut at = run.start;
        while at < run.end() {
            let (end, known) = self.run_at(at);
            let part = Run::new(at, end.min(run.end()));
            if known.is_none() {
                self.set(part, Self::grown(value, at - run.start));
            }
            at = part.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A place near a chunk's end, so that runs are cut there.
    const BASE: u64 = CHUNK - 20;

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
