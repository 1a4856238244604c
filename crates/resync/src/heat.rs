//! The heat map of a disk: what a resynchronization did where, in at most [`TILES`] tiles, so that it is as small for a
//! disk of 64 TiB as for one of 4 GiB.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The most tiles of a map.
pub const TILES: u64 = 2048;
/// No tile is smaller: what is told of a disk is told in parts of this size.
const SMALLEST_TILE: u64 = 256 << 10;

/// Bytes of what was done in a part of the disk. What is in none of these was not looked at: neither side holds
/// anything there, or it was no candidate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(from = "[u64; 4]", into = "[u64; 4]")]
pub struct Heat {
    /// Compared and found equal, or about to be counted below, too.
    pub compared_bytes: u64,
    /// Sent because the sides differed.
    pub sent_bytes: u64,
    /// Made zero.
    pub zeroed_bytes: u64,
    /// Sent once more, after an interruption or because a guest wrote meanwhile.
    pub resent_bytes: u64,
}

/// In a log a tile is four numbers, since there may be thousands of them.
impl From<[u64; 4]> for Heat {
    fn from([compared_bytes, sent_bytes, zeroed_bytes, resent_bytes]: [u64; 4]) -> Self {
        Self { compared_bytes, sent_bytes, zeroed_bytes, resent_bytes }
    }
}

impl From<Heat> for [u64; 4] {
    fn from(heat: Heat) -> Self {
        [heat.compared_bytes, heat.sent_bytes, heat.zeroed_bytes, heat.resent_bytes]
    }
}

impl Heat {
    /// Adds what was done elsewhere, or later.
    pub const fn add(&mut self, other: &Self) {
        self.compared_bytes += other.compared_bytes;
        self.sent_bytes += other.sent_bytes;
        self.zeroed_bytes += other.zeroed_bytes;
        self.resent_bytes += other.resent_bytes;
    }
}

/// A disk's map, filled while the work goes on.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct HeatMap {
    size_bytes: u64,
    tile_bytes: u64,
    /// Tiles in which something was done.
    tiles: BTreeMap<u64, Heat>,
}

impl HeatMap {
    /// The map of a disk of so many bytes, on which nothing was done yet.
    #[must_use]
    pub fn new(size_bytes: u64) -> Self {
        let tile_bytes = size_bytes.div_ceil(TILES).next_multiple_of(SMALLEST_TILE).max(SMALLEST_TILE);
        Self { size_bytes, tile_bytes, tiles: BTreeMap::new() }
    }

    /// Bytes of the disk.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Bytes that a tile stands for.
    #[must_use]
    pub const fn tile_bytes(&self) -> u64 {
        self.tile_bytes
    }

    /// All tiles, in the order of the disk.
    pub fn tiles(&self) -> impl Iterator<Item = Heat> + '_ {
        let count = self.size_bytes.div_ceil(self.tile_bytes.max(1));
        (0..count).map(|index| self.tiles.get(&index).copied().unwrap_or_default())
    }

    /// Something was done in a range of the disk. Where it lies in several tiles it counts evenly for all of them; what
    /// lies behind the disk's end is left out.
    pub fn add(&mut self, range: Range<u64>, heat: &Heat) {
        let whole = range.end.saturating_sub(range.start).max(1);
        let mut at = range.start;
        while at < range.end.min(self.size_bytes) {
            let end = (at / self.tile_bytes * self.tile_bytes + self.tile_bytes).min(range.end);
            // By differences of what lies in front, so that no byte is lost to rounding.
            let part = |bytes: u64| {
                let up_to =
                    |place: u64| u128::from(bytes) * u128::from(place - range.start) / u128::from(whole);
                u64::try_from(up_to(end) - up_to(at)).unwrap_or(u64::MAX)
            };
            let share = Heat {
                compared_bytes: part(heat.compared_bytes),
                sent_bytes: part(heat.sent_bytes),
                zeroed_bytes: part(heat.zeroed_bytes),
                resent_bytes: part(heat.resent_bytes),
            };
            self.tiles.entry(at / self.tile_bytes).or_default().add(&share);
            at = end;
        }
    }

    /// All of the disk.
    #[must_use]
    pub fn total(&self) -> Heat {
        let mut total = Heat::default();
        self.tiles.values().for_each(|tile| total.add(tile));
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_few_for_any_disk() {
        for (bytes, tiles, tile) in
            [(0, 0, 256 << 10), (512, 1, 256 << 10), (4 << 30, 2048, 2 << 20), (64 << 40, 2048, 32 << 30)]
        {
            let map = HeatMap::new(bytes);
            assert_eq!((map.tiles().count(), map.tile_bytes()), (tiles, tile), "{bytes}");
        }
    }

    #[test]
    fn a_range_of_several_tiles_counts_for_each_and_no_byte_is_lost() {
        let mut map = HeatMap::new(1 << 30);
        let tile = map.tile_bytes();
        map.add(tile / 2..3 * tile + 1, &Heat { sent_bytes: 1_000_001, ..Heat::default() });
        assert_eq!(map.total().sent_bytes, 1_000_001);
        let tiles: Vec<Heat> = map.tiles().take(4).collect();
        assert!(tiles[..3].iter().all(|tile| tile.sent_bytes > 0));
        assert_eq!(tiles[1].sent_bytes / 10, tiles[2].sent_bytes / 10);
        map.add(1 << 30..1 << 40, &Heat { sent_bytes: 5, ..Heat::default() });
        assert_eq!(map.total().sent_bytes, 1_000_001);
    }
}
