//! What a recovery point keeps once a newer one is there: it hardly ever changes again, so it is packed
//! into about seven bytes a run.

use hvrsim_resync::runs::Run;
use serde::{Deserialize, Serialize};

use crate::store::extents::Stamped;

/// Runs between two entries of the index.
const STRIDE: usize = 64;

/// A map from cells to stamps that only changes by being unpacked.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Frozen {
    /// For every [`STRIDE`]th run: the end of the run before it, and where it stands in `bytes`.
    index: Box<[(u64, u32)]>,
    /// For each run the distance from the end of the one before, its length and its stamp.
    bytes: Box<[u8]>,
}

impl Frozen {
    pub(super) fn new(map: &Stamped) -> Self {
        let (mut index, mut bytes, mut end) = (Vec::new(), Vec::new(), 0);
        for (at, (run, stamp)) in map.iter().enumerate() {
            if at.is_multiple_of(STRIDE) {
                index.push((end, u32::try_from(bytes.len()).expect("a packed map under 4 GiB")));
            }
            for number in [run.start - end, run.len, stamp] {
                put(&mut bytes, number);
            }
            end = run.end();
        }
        Self { index: index.into(), bytes: bytes.into() }
    }

    /// The map as it was.
    pub(super) fn thaw(&self) -> Stamped {
        let mut map = Stamped::default();
        for (run, stamp) in self.from(0) {
            map.set(run, stamp);
        }
        map
    }

    /// The runs in order from the one that holds `cell`, or earlier.
    pub(super) fn from(&self, cell: u64) -> impl Iterator<Item = (Run, u64)> + '_ {
        let at = self.index.partition_point(|(end, _)| *end <= cell).saturating_sub(1);
        let (mut end, start) = self.index.get(at).copied().unwrap_or_default();
        let mut rest = usize::try_from(start).ok().and_then(|start| self.bytes.get(start..)).unwrap_or(&[]);
        std::iter::from_fn(move || {
            let start = end + take(&mut rest)?;
            let run = Run { start, len: take(&mut rest)? };
            end = run.end();
            Some((run, take(&mut rest)?))
        })
    }

    /// The parts of `run` in order, with their stamps or `None` where the map has nothing.
    pub(super) fn segments(&self, run: Run) -> Vec<(Run, Option<u64>)> {
        let (mut out, mut at) = (Vec::new(), run.start);
        for (part, stamp) in self.from(run.start).take_while(|(part, _)| part.start < run.end()) {
            let Some(part) = part.overlap(run) else { continue };
            if part.start > at {
                out.push((Run::new(at, part.start), None));
            }
            out.push((part, Some(stamp)));
            at = part.end();
        }
        if at < run.end() {
            out.push((Run::new(at, run.end()), None));
        }
        out
    }
}

/// Appends a number in groups of seven bits, the lowest first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// Takes a number off the front.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_packed_map_answers_as_the_map(
            runs in prop::collection::vec((0u64..9000, 1u64..40, 0u64..1 << 40), 0..300), at in 0u64..9000
        ) {
            let mut map = Stamped::default();
            for (start, len, stamp) in runs {
                map.set(Run { start, len }, stamp);
            }
            let frozen = Frozen::new(&map);
            prop_assert_eq!(frozen.thaw(), map.clone());
            let cells = |segments: Vec<(Run, Option<u64>)>| -> Vec<Option<u64>> {
                segments.iter().flat_map(|(run, stamp)| (0..run.len).map(|_| *stamp)).collect()
            };
            let run = Run { start: at, len: 500 };
            prop_assert_eq!(cells(frozen.segments(run)), cells(map.segments(run).collect()));
        }
    }
}
