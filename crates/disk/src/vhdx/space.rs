//! Which parts of the file are free.

use std::collections::BTreeMap;

use crate::bytes::{MIB, round_up};

/// Where a new object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub offset: u64,
    /// The space held something before: it must be cleared, and be durable, before anything points at it.
    pub reused: bool,
}

/// Free ranges of the file, in whole MiB.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    /// Start to end; ranges neither overlap nor touch.
    free: BTreeMap<u64, u64>,
    end: u64,
}

impl Space {
    /// The gaps between `used` ranges (offset, length), which may overlap and come in any order, in a file of
    /// `file_len` bytes.
    pub(crate) fn new(mut used: Vec<(u64, u64)>, file_len: u64) -> Self {
        used.sort_unstable();
        let mut space = Self { free: BTreeMap::new(), end: round_up(file_len, MIB) };
        let mut at = MIB;
        for (offset, len) in used {
            if offset > at {
                space.free.insert(at, offset);
            }
            at = at.max(round_up(offset + len, MIB));
        }
        if at < space.end {
            space.free.insert(at, space.end);
        }
        space.end = space.end.max(at);
        space
    }

    /// The length that the file needs for all that was allocated.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Takes `len` bytes (whole MiB): the lowest gap that is large enough, or new space at the end.
    pub(crate) fn alloc(&mut self, len: u64) -> Place {
        let gap =
            self.free.iter().find(|(start, end)| *end - *start >= len).map(|(start, end)| (*start, *end));
        if let Some((start, end)) = gap {
            self.free.remove(&start);
            if start + len < end {
                self.free.insert(start + len, end);
            }
            return Place { offset: start, reused: true };
        }
        let offset = self.end;
        self.end += len;
        Place { offset, reused: false }
    }

    /// Gives a range back.
    pub(crate) fn release(&mut self, offset: u64, len: u64) {
        let (mut start, mut end) = (offset, offset + len);
        if let Some((before, before_end)) = self.free.range(..start).next_back().map(|(a, b)| (*a, *b))
            && before_end == start
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(after_end) = self.free.remove(&end) {
            end = after_end;
        }
        self.free.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_used_first_and_joined_when_released() {
        let mut space = Space::new(vec![(4 * MIB, MIB), (MIB, MIB)], 5 * MIB + 7);
        assert_eq!(space.end(), 6 * MIB);
        assert_eq!(space.alloc(2 * MIB), Place { offset: 2 * MIB, reused: true });
        assert_eq!(space.alloc(MIB), Place { offset: 5 * MIB, reused: true });
        assert_eq!(space.alloc(MIB), Place { offset: 6 * MIB, reused: false });
        space.release(2 * MIB, MIB);
        space.release(4 * MIB, MIB);
        space.release(3 * MIB, MIB);
        assert_eq!(space.alloc(3 * MIB), Place { offset: 2 * MIB, reused: true });
    }
}
