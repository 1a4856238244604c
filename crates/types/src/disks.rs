//! Sets of a machine's disks, by their numbers from 0.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which disks of a machine: any of its 256 at most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DiskSet([u64; 4]);

impl DiskSet {
    /// No disk.
    pub const NONE: Self = Self([0; 4]);
    /// Every disk that a machine can have.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// The first disks of a machine.
    #[must_use]
    pub fn first(count: usize) -> Self {
        (0..=u8::MAX).take(count).collect()
    }

    const fn place(disk: u8) -> (usize, u64) {
        ((disk >> 6) as usize, 1 << (disk & 63))
    }

    /// Whether the disk is in it.
    #[must_use]
    pub const fn contains(&self, disk: u8) -> bool {
        let (word, bit) = Self::place(disk);
        self.0[word] & bit != 0
    }

    /// Puts a disk in.
    pub const fn insert(&mut self, disk: u8) {
        let (word, bit) = Self::place(disk);
        self.0[word] |= bit;
    }

    /// Whether no disk is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    /// What is in either.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// What is in this one and not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }

    /// The disks, in order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |disk| self.contains(*disk))
    }
}

impl fmt::Debug for DiskSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL { f.write_str("all") } else { f.debug_set().entries(self.iter()).finish() }
    }
}

impl FromIterator<u8> for DiskSet {
    fn from_iter<I: IntoIterator<Item = u8>>(disks: I) -> Self {
        let mut set = Self::NONE;
        disks.into_iter().for_each(|disk| set.insert(disk));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let some: DiskSet = [0, 63, 64, 255].into_iter().collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), [0, 63, 64, 255]);
        assert!(!some.contains(1));
        assert_eq!(DiskSet::first(2).iter().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(DiskSet::first(1000), DiskSet::ALL);
        assert_eq!(DiskSet::ALL.without(DiskSet::first(255)).iter().collect::<Vec<_>>(), [255]);
        assert_eq!(some.and(DiskSet::first(64)).iter().collect::<Vec<_>>(), [0, 63]);
        assert!(some.without(DiskSet::ALL).is_empty());
    }
}
