//! Which parts of the file are free.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::bytes::{MIB, round_up};

/// Where a new object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub offset: u64,
    /// The space held something before: it must be cleared, and be durable, before anything points at it.
    pub reused: bool,
}

/// Words of a leaf.
const LEAF: u64 = 8;

/// A set of MiB of the file, one bit each, in leaves of 512: 8 to 16 MiB of memory for 64 TiB in use,
/// whatever the number of blocks.
#[derive(Debug, Clone, Default)]
struct Bits(BTreeMap<u64, [u64; 8]>);

/// The words that a range of bits touches: (leaf, word in it, mask).
fn words(range: Range<u64>) -> impl Iterator<Item = (u64, usize, u64)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let end = (at / 64 + 1).saturating_mul(64).min(range.end);
        let bits = end.checked_sub(at).filter(|bits| *bits > 0)?;
        let word = at / 64;
        let mask = (u64::MAX >> (64 - bits)) << (at % 64);
        at = end;
        Some((word / LEAF, crate::bytes::to_usize(word % LEAF), mask))
    })
}

impl Bits {
    /// Adds a range. Whether some of it was there already.
    fn set(&mut self, range: Range<u64>) -> bool {
        let mut there = false;
        for (leaf, word, mask) in words(range) {
            let word = &mut self.0.entry(leaf).or_default()[word];
            there |= *word & mask != 0;
            *word |= mask;
        }
        there
    }

    fn clear(&mut self, range: Range<u64>) {
        for (leaf, word, mask) in words(range) {
            if let Some(words) = self.0.get_mut(&leaf) {
                words[word] &= !mask;
                if *words == [0; 8] {
                    self.0.remove(&leaf);
                }
            }
        }
    }

    fn any(&self, range: Range<u64>) -> bool {
        words(range).any(|(leaf, word, mask)| self.0.get(&leaf).is_some_and(|words| words[word] & mask != 0))
    }

    /// The first MiB from `from` on that is in the set.
    fn next(&self, from: u64) -> Option<u64> {
        let first = from / 64;
        let mut words = self
            .0
            .range(first / LEAF..)
            .flat_map(|(leaf, words)| (leaf * LEAF..).zip(words))
            .skip_while(|(number, _)| *number < first)
            .map(|(number, word)| {
                (number, if number == first { word & (u64::MAX << (from % 64)) } else { *word })
            });
        let (number, word) = words.find(|(_, word)| *word != 0)?;
        Some(number * 64 + u64::from(word.trailing_zeros()))
    }

    /// The first MiB from `from` on that is not in the set.
    fn next_clear(&self, from: u64) -> u64 {
        let first = from / 64;
        let mut expected = first / LEAF;
        for (leaf, words) in self.0.range(first / LEAF..) {
            if *leaf != expected {
                break;
            }
            for (number, word) in (leaf * LEAF..).zip(words).filter(|(number, _)| *number >= first) {
                let below = if number == first { (1 << (from % 64)) - 1 } else { 0 };
                let clear = !(word | below);
                if clear != 0 {
                    return number * 64 + u64::from(clear.trailing_zeros());
                }
            }
            expected = leaf + 1;
        }
        from.max(expected * LEAF * 64)
    }
}

/// What is used of a file, in whole MiB.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    /// What objects stand on.
    used: Bits,
    /// Soft anchors (MS-VHDX 2.5.1.1): nothing is read from there, but nothing else is put there either.
    /// They may lie over used space, or over each other.
    anchored: Bits,
    end: u64,
    /// For each length that was asked for, the MiB below which no gap is large enough.
    searched: BTreeMap<u64, u64>,
}

fn mebibytes(offset: u64, len: u64) -> Range<u64> {
    offset / MIB..round_up(offset.saturating_add(len), MIB) / MIB
}

impl Space {
    /// A file of `file_len` bytes with nothing in it.
    pub(crate) fn new(file_len: u64) -> Self {
        Self {
            used: Bits::default(),
            anchored: Bits::default(),
            end: round_up(file_len, MIB) / MIB,
            searched: BTreeMap::new(),
        }
    }

    /// Notes an object. Whether some of the space had one already.
    pub(crate) fn claim(&mut self, offset: u64, len: u64) -> bool {
        let range = mebibytes(offset, len);
        self.end = self.end.max(range.end);
        self.used.set(range)
    }

    /// Notes a soft anchor.
    pub(crate) fn anchor(&mut self, offset: u64, len: u64) {
        self.anchored.set(self.within(offset, len));
    }

    fn within(&self, offset: u64, len: u64) -> Range<u64> {
        let range = mebibytes(offset, len);
        range.start.min(self.end)..range.end.min(self.end)
    }

    /// The length that the file needs for all that was allocated.
    pub(crate) fn end(&self) -> u64 {
        self.end * MIB
    }

    /// Takes `len` bytes (whole MiB): the lowest gap that is large enough, or new space at the end.
    pub(crate) fn alloc(&mut self, len: u64) -> Place {
        let count = len / MIB;
        let from = self.searched.get(&count).copied().unwrap_or(1);
        let gap = self.gap(from, count);
        let reused = gap < self.end;
        self.searched.insert(count, gap + count);
        self.end = self.end.max(gap + count);
        self.used.set(gap..gap + count);
        Place { offset: gap * MIB, reused }
    }

    /// The first gap of `count` MiB from `from` on; the file's end when there is none.
    fn gap(&self, from: u64, count: u64) -> u64 {
        let mut start = self.free_from(from);
        while start < self.end {
            let next = [self.used.next(start), self.anchored.next(start)];
            let taken = next.into_iter().flatten().min().unwrap_or(self.end).min(self.end);
            if taken - start >= count {
                return start;
            }
            start = self.free_from(taken);
        }
        self.end
    }

    fn free_from(&self, from: u64) -> u64 {
        let mut at = from;
        while at < self.end {
            let free = self.anchored.next_clear(self.used.next_clear(at));
            if free == at {
                break;
            }
            at = free;
        }
        at
    }

    /// Gives the space of an object back.
    pub(crate) fn release(&mut self, offset: u64, len: u64) {
        let range = self.within(offset, len);
        self.used.clear(range.clone());
        for (count, from) in &mut self.searched {
            *from = (*from).min(range.start.saturating_sub(*count)).max(1);
        }
    }

    /// Makes a soft anchor of an object.
    pub(crate) fn loosen(&mut self, offset: u64, len: u64) {
        let range = self.within(offset, len);
        self.used.clear(range.clone());
        self.anchored.set(range);
    }

    /// Gives a soft anchor up. Whether its space is the caller's to clear: it lies within the file, and no
    /// object stands there.
    pub(crate) fn release_anchor(&mut self, offset: u64, len: u64) -> bool {
        let range = self.within(offset, len);
        self.anchored.clear(range.clone());
        let free = range == mebibytes(offset, len) && !self.used.any(range);
        if free {
            self.release(offset, len);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_used_first_and_joined_when_released() {
        let mut space = Space::new(5 * MIB + 7);
        assert!(!space.claim(4 * MIB, MIB) && !space.claim(MIB, MIB));
        assert!(space.claim(4 * MIB, 2 * MIB), "the first half is taken");
        space.release(5 * MIB, MIB);
        assert_eq!(space.end(), 6 * MIB);
        assert_eq!(space.alloc(2 * MIB), Place { offset: 2 * MIB, reused: true });
        assert_eq!(space.alloc(MIB), Place { offset: 5 * MIB, reused: true });
        assert_eq!(space.alloc(MIB), Place { offset: 6 * MIB, reused: false });
        space.release(2 * MIB, MIB);
        space.release(4 * MIB, MIB);
        space.release(3 * MIB, MIB);
        assert_eq!(space.alloc(3 * MIB), Place { offset: 2 * MIB, reused: true });
    }

    #[test]
    fn an_anchor_gives_back_only_what_nobody_else_has() {
        let mut space = Space::new(10 * MIB);
        space.claim(MIB, 4 * MIB);
        for (offset, len) in [(3 * MIB, 2 * MIB), (6 * MIB, 2 * MIB), (6 * MIB, 2 * MIB), (9 * MIB, 8 * MIB)]
        {
            space.anchor(offset, len);
        }
        assert_eq!(space.alloc(2 * MIB).offset, 10 * MIB);
        assert!(!space.release_anchor(3 * MIB, 2 * MIB), "a block stands there");
        assert!(!space.release_anchor(9 * MIB, 8 * MIB), "past the file's end");
        assert!(!space.release_anchor(1 << 60, MIB), "far past the file's end");
        assert!(space.release_anchor(6 * MIB, 2 * MIB));
        assert_eq!(space.alloc(3 * MIB).offset, 5 * MIB);
        assert!(!space.release_anchor(6 * MIB, 2 * MIB), "the second anchor there, in use by now");
        assert_eq!(space.alloc(2 * MIB).offset, 8 * MIB);
    }

    /// Against a plain list of MiB.
    #[test]
    fn behaves_like_a_list() {
        let mut space = Space::new(3000 * MIB);
        let mut model = vec![false; 3000];
        model[0] = true;
        let mut held: Vec<(u64, u64)> = Vec::new();
        let mut state = 1_u64;
        for _ in 0..1500 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let dice = state >> 33;
            if dice.is_multiple_of(3) && !held.is_empty() {
                let (at, count) = held.swap_remove(crate::bytes::to_usize(dice) % held.len());
                space.release(at * MIB, count * MIB);
                model[crate::bytes::to_usize(at)..crate::bytes::to_usize(at + count)].fill(false);
                continue;
            }
            let count = [1, 2, 32, 200][crate::bytes::to_usize(dice / 3 % 4)];
            let free = |window: &[bool]| window.iter().all(|taken| !taken);
            let size = crate::bytes::to_usize(count);
            let want = model.windows(size).position(free).unwrap_or(model.len());
            model.resize(model.len().max(want + size), false);
            model[want..want + size].fill(true);
            let got = space.alloc(count * MIB).offset / MIB;
            assert_eq!(crate::bytes::to_usize(got), want);
            held.push((got, count));
        }
    }
}
