//! Comparing two disks by what a guest sees, whatever their formats and histories.

use crate::bytes::{MIB, to_u64, to_usize};
use crate::error::Error;
use crate::image::{Extent, Image};

/// Differences are counted in cells of this many bytes.
const CELL: usize = 4096;

/// How two disks differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Comparison {
    /// The sizes, where they differ. What lies behind the smaller one is not compared.
    pub sizes: Option<(u64, u64)>,
    /// The first byte that differs.
    pub first: Option<u64>,
    /// Bytes in cells of 4 KiB that differ.
    pub differing: u64,
}

impl Comparison {
    /// Whether the disks are the same.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.sizes.is_none() && self.first.is_none()
    }
}

/// Compares two disks. What both know to be zero is not read. `reached` is told how far it has come.
///
/// # Errors
/// Those of reading the images.
pub fn compare(
    left: &dyn Image,
    right: &dyn Image,
    reached: &mut dyn FnMut(u64),
) -> Result<Comparison, Error> {
    let size = left.size().min(right.size());
    let mut found = Comparison {
        sizes: (left.size() != right.size()).then(|| (left.size(), right.size())),
        ..Comparison::default()
    };
    let (mut first, mut second) = (vec![0; to_usize(MIB)], vec![0; to_usize(MIB)]);
    let mut next = 0;
    for (start, end) in worth_reading(&[left.extents(0..size)?, right.extents(0..size)?]) {
        // Whole MiB from the disk's start, so that cells are counted once.
        let mut at = (start / MIB * MIB).max(next);
        while at < end {
            let len = to_usize((size - at).min(MIB));
            left.read_at(at, &mut first[..len])?;
            right.read_at(at, &mut second[..len])?;
            if first[..len] != second[..len] {
                note(&mut found, at, &first[..len], &second[..len]);
            }
            at += to_u64(len);
            reached(at);
        }
        next = next.max(at);
    }
    Ok(found)
}

fn note(found: &mut Comparison, at: u64, first: &[u8], second: &[u8]) {
    for (cell, (a, b)) in first.chunks(CELL).zip(second.chunks(CELL)).enumerate() {
        if let Some(byte) = a.iter().zip(b).position(|(a, b)| a != b) {
            found.first.get_or_insert(at + to_u64(cell * CELL + byte));
            found.differing += to_u64(a.len());
        }
    }
}

/// The ranges in which at least one of the disks may hold data, in order.
fn worth_reading(lists: &[Vec<Extent>]) -> Vec<(u64, u64)> {
    let all = lists.iter().flatten().filter(|extent| extent.may_hold_data());
    let mut ranges: Vec<(u64, u64)> = all.map(|extent| (extent.start, extent.end())).collect();
    ranges.sort_unstable();
    ranges
}
