//! The work cut into pieces: what both sides may hold, block by block, from the maps of the two images.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use hvrsim_disk::Image;
use hvrsim_disk::file::BlockFile;
use hvrsim_types::size::BLOCK;
use serde::{Deserialize, Serialize};

use super::{Error, Side};

/// How much of the maps is looked at in one go. It bounds the memory that maps take, whatever the disk's size, and is
/// a multiple of every block size that a format has.
pub(crate) const WINDOW: u64 = 1 << 30;
/// The longest piece of which content is read on both sides.
const LONGEST: u64 = 2 << 20;

/// Which sides may hold something in a piece.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) enum Kind {
    Both,
    SourceOnly,
    TargetOnly,
}

/// A stretch of whole blocks (cut at the disk's end) of one kind.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub range: Range<u64>,
    pub kind: Kind,
}

/// Pieces in order, handed out one by one, and how far all of them are done.
pub(super) struct Pieces {
    size: u64,
    /// Where the next window begins.
    next: u64,
    found: VecDeque<Piece>,
    in_hand: BTreeSet<u64>,
}

impl Pieces {
    /// The pieces of a disk from a block's start on.
    pub(super) fn new(size: u64, from: u64) -> Self {
        Self { size, next: from, found: VecDeque::new(), in_hand: BTreeSet::new() }
    }

    /// Everything in front of it is done.
    pub(super) fn done_to(&self) -> u64 {
        let waiting = self.found.front().map_or(self.next, |piece| piece.range.start);
        self.in_hand.first().map_or(waiting, |first| waiting.min(*first))
    }

    /// The next piece; it counts as undone until [`Pieces::finish`].
    pub(super) fn take(
        &mut self,
        source: &dyn Image,
        target: &dyn Fn(Range<u64>) -> Result<Vec<Range<u64>>, Error>,
        bitmap: Option<&dyn BlockFile>,
    ) -> Result<Option<Piece>, Error> {
        while self.found.is_empty() && self.next < self.size {
            let window = self.next..(self.next / WINDOW * WINDOW + WINDOW).min(self.size);
            self.look(window, source, target, bitmap)?;
        }
        let piece = self.found.pop_front();
        if let Some(piece) = &piece {
            self.in_hand.insert(piece.range.start);
        }
        Ok(piece)
    }

    pub(super) fn finish(&mut self, piece: &Piece) {
        self.in_hand.remove(&piece.range.start);
    }

    fn look(
        &mut self,
        window: Range<u64>,
        source: &dyn Image,
        target: &dyn Fn(Range<u64>) -> Result<Vec<Range<u64>>, Error>,
        bitmap: Option<&dyn BlockFile>,
    ) -> Result<(), Error> {
        let end = window.end;
        for candidates in candidates(bitmap, window)? {
            let here = whole_blocks(&held(source, candidates.clone(), Side::Source)?, self.size);
            let there = whole_blocks(&target(candidates)?, self.size);
            merge(&here, &there, LONGEST, &mut self.found);
        }
        self.next = end;
        Ok(())
    }
}

/// The parts of a range that an image may hold something in.
pub(crate) fn held(image: &dyn Image, range: Range<u64>, side: Side) -> Result<Vec<Range<u64>>, Error> {
    let extents = image.extents(range).map_err(|error| Error::of(side, error))?;
    Ok(extents.iter().filter(|extent| extent.may_hold_data()).map(|e| e.start..e.end()).collect())
}

/// The runs of blocks of a window whose bits are set; all of it without a bitmap. Bits behind its end are not set.
pub(crate) fn candidates(
    bitmap: Option<&dyn BlockFile>,
    window: Range<u64>,
) -> Result<Vec<Range<u64>>, Error> {
    let Some(bitmap) = bitmap else { return Ok(vec![window]) };
    let (first, last) = (window.start / BLOCK, window.end.div_ceil(BLOCK));
    let len = bitmap.len().map_err(Error::Bitmap)?;
    let (from, to) = ((first / 8).min(len), last.div_ceil(8).min(len));
    let mut bytes = [0; (WINDOW / BLOCK / 8) as usize + 1];
    let bytes = &mut bytes[..usize::try_from(to - from).unwrap_or(usize::MAX)];
    bitmap.read_at(from, bytes).map_err(Error::Bitmap)?;
    let mut runs: Vec<Range<u64>> = Vec::new();
    for (byte, at) in bytes.iter().zip(from..).filter(|(byte, _)| **byte != 0) {
        for block in (0..8).filter(|bit| byte >> bit & 1 != 0).map(|bit| at * 8 + bit) {
            if (first..last).contains(&block) {
                extend(&mut runs, block * BLOCK..((block + 1) * BLOCK).min(window.end));
            }
        }
    }
    Ok(runs)
}

/// Widens ranges to whole blocks.
pub(crate) fn whole_blocks(ranges: &[Range<u64>], size: u64) -> Vec<Range<u64>> {
    let mut out = Vec::new();
    for range in ranges {
        let end = range.end.next_multiple_of(BLOCK).min(size);
        extend(&mut out, range.start / BLOCK * BLOCK..end);
    }
    out
}

fn extend(runs: &mut Vec<Range<u64>>, range: Range<u64>) {
    match runs.last_mut() {
        Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
        _ => runs.push(range),
    }
}

/// Cuts two sorted lists into pieces.
pub(crate) fn merge(source: &[Range<u64>], target: &[Range<u64>], longest: u64, out: &mut VecDeque<Piece>) {
    let (mut here, mut there) = (source.iter().peekable(), target.iter().peekable());
    let mut at = 0;
    loop {
        while here.next_if(|range| range.end <= at).is_some() {}
        while there.next_if(|range| range.end <= at).is_some() {}
        let next = [here.peek(), there.peek()].into_iter().flatten().map(|range| range.start.max(at)).min();
        let Some(start) = next else { return };
        let inside = |range: Option<&&Range<u64>>| range.is_some_and(|range| range.start <= start);
        // Up to the nearest place where a side changes.
        let edge = |range: Option<&&Range<u64>>| match range {
            Some(range) if range.start <= start => range.end,
            Some(range) => range.start,
            None => u64::MAX,
        };
        let end = edge(here.peek()).min(edge(there.peek()));
        let kind = match (inside(here.peek()), inside(there.peek())) {
            (true, true) => Kind::Both,
            (true, false) => Kind::SourceOnly,
            _ => Kind::TargetOnly,
        };
        cut(start..end, kind, longest, out);
        at = end;
    }
}

/// What is only zeroed stays whole: a format gives back the space of whole blocks only.
fn cut(range: Range<u64>, kind: Kind, longest: u64, out: &mut VecDeque<Piece>) {
    if kind == Kind::TargetOnly {
        out.push_back(Piece { range, kind });
        return;
    }
    let mut at = range.start;
    while at < range.end {
        let end = (at / longest * longest + longest).min(range.end);
        out.push_back(Piece { range: at..end, kind });
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_merged_by_block() {
        let mut out = VecDeque::new();
        let k = 64 << 10;
        merge(&[0..3 * k, 8 * k..9 * k], &[k..2 * k, 5 * k..6 * k, 9 * k..10 * k], LONGEST, &mut out);
        let told: Vec<_> = out.iter().map(|p| (p.range.start / k, p.range.end / k, p.kind)).collect();
        assert_eq!(
            told,
            [
                (0, 1, Kind::SourceOnly),
                (1, 2, Kind::Both),
                (2, 3, Kind::SourceOnly),
                (5, 6, Kind::TargetOnly),
                (8, 9, Kind::SourceOnly),
                (9, 10, Kind::TargetOnly),
            ]
        );
    }

    #[test]
    fn a_bitmap_names_blocks_lowest_bit_first() {
        let bitmap = hvrsim_disk::file::MemFile::new();
        bitmap.write_at(0, &[0b0000_0110, 0, 0x80]).unwrap();
        let runs = candidates(Some(&bitmap), 0..1 << 30).unwrap();
        assert_eq!(runs, [BLOCK..3 * BLOCK, 23 * BLOCK..24 * BLOCK]);
        assert_eq!(candidates(Some(&bitmap), 1 << 30..2 << 30).unwrap(), []);
        assert_eq!(candidates(Some(&bitmap), 2 * BLOCK..(5 << 20)).unwrap().len(), 2);
    }

    #[test]
    fn nothing_in_front_of_a_piece_in_hand_is_done_before_it() {
        let image = crate::direct::tests::image(&[(0, 8 << 20)]);
        let all = |range: Range<u64>| Ok(vec![range]);
        let mut pieces = Pieces::new(8 << 20, 0);
        let a = pieces.take(&*image, &all, None).unwrap().unwrap();
        let b = pieces.take(&*image, &all, None).unwrap().unwrap();
        pieces.finish(&b);
        assert_eq!(pieces.done_to(), 0);
        pieces.finish(&a);
        assert_eq!(pieces.done_to(), b.range.end);
    }
}
