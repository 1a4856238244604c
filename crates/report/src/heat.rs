//! The map of a disk: where something was compared, sent, zeroed, as one HTML page without anything outside it.
//!
//! The disk is cut into at most [`TILES`] tiles, so that the page is as small for a disk of 64 TiB as for one of 4 GiB.

use std::fmt::Write;
use std::ops::Range;

/// The most tiles on a page.
pub const TILES: u64 = 2048;
/// No tile is smaller: what is told of a disk is told in parts of this size.
const SMALLEST_TILE: u64 = 256 << 10;

/// Bytes of what was done in a part of the disk. What is in none of these was not looked at: neither side holds
/// anything there, or it was no candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
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

impl Heat {
    fn add(&mut self, other: &Self) {
        self.compared_bytes += other.compared_bytes;
        self.sent_bytes += other.sent_bytes;
        self.zeroed_bytes += other.zeroed_bytes;
        self.resent_bytes += other.resent_bytes;
    }

    /// What the tile shows: the strongest thing that happened in it, and how much of the tile that is.
    const fn shown(&self) -> (&'static str, u64) {
        match self {
            Self { resent_bytes: 1.., .. } => ("r", self.resent_bytes),
            Self { sent_bytes: 1.., .. } => ("s", self.sent_bytes),
            Self { zeroed_bytes: 1.., .. } => ("z", self.zeroed_bytes),
            Self { compared_bytes: 1.., .. } => ("c", self.compared_bytes),
            _ => ("u", 0),
        }
    }
}

/// A disk's map, filled while the work goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeatMap {
    size: u64,
    tile: u64,
    tiles: Vec<Heat>,
}

impl HeatMap {
    /// The map of a disk of so many bytes, on which nothing was done yet.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let tile = size.div_ceil(TILES).next_multiple_of(SMALLEST_TILE).max(SMALLEST_TILE);
        let count = usize::try_from(size.div_ceil(tile)).unwrap_or(0);
        Self { size, tile, tiles: vec![Heat::default(); count] }
    }

    /// Bytes that a tile stands for.
    #[must_use]
    pub const fn tile_bytes(&self) -> u64 {
        self.tile
    }

    /// Something was done in a range of the disk. Where it lies in several tiles it counts evenly for all of them; what
    /// lies behind the disk's end is left out.
    pub fn add(&mut self, range: Range<u64>, heat: &Heat) {
        let whole = range.end.saturating_sub(range.start).max(1);
        let mut at = range.start;
        while at < range.end.min(self.size) {
            let end = (at / self.tile * self.tile + self.tile).min(range.end);
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
            let tile = usize::try_from(at / self.tile).ok().and_then(|index| self.tiles.get_mut(index));
            tile.into_iter().for_each(|tile| tile.add(&share));
            at = end;
        }
    }

    /// All of the disk.
    #[must_use]
    pub fn total(&self) -> Heat {
        let mut total = Heat::default();
        self.tiles.iter().for_each(|tile| total.add(tile));
        total
    }

    /// The page. `title` names the work, for instance both images; `facts` are further rows of the table.
    #[must_use]
    pub fn page(&self, title: &str, facts: &[(&str, String)]) -> String {
        let title = escaped(title);
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        self.table(&mut page, facts);
        let _ = writeln!(page, "<ul class=\"legend\">");
        for (class, word) in LEGEND {
            let _ = writeln!(page, "<li><i class=\"{class} p4\"></i>{word}</li>");
        }
        let _ = writeln!(
            page,
            "</ul>\n<p>A tile is {} of the disk, from the left to the right and downwards. It shows the strongest thing \
             that happened in it; the stronger the colour, the more of the tile. Point at one for its figures.</p>\n\
             <div class=\"map\" role=\"img\" aria-label=\"map of the disk\">",
            size(self.tile)
        );
        for (number, tile) in (0..).zip(&self.tiles) {
            self.tile(&mut page, number, tile);
        }
        page.push_str("\n</div>\n</body>\n</html>\n");
        page
    }

    fn table(&self, page: &mut String, facts: &[(&str, String)]) {
        let total = self.total();
        let own = [
            ("disk", size(self.size)),
            ("compared", size(total.compared_bytes)),
            ("sent", size(total.sent_bytes)),
            ("zeroed", size(total.zeroed_bytes)),
            ("sent again", size(total.resent_bytes)),
        ];
        let _ = writeln!(page, "<table>");
        for (name, value) in own.iter().chain(facts) {
            let _ = writeln!(
                page,
                "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
                escaped(name),
                escaped(value)
            );
        }
        let _ = writeln!(page, "</table>");
    }

    fn tile(&self, page: &mut String, number: u64, tile: &Heat) {
        let (class, bytes) = tile.shown();
        let start = number * self.tile;
        if bytes == 0 {
            let _ = write!(page, "<i class=\"u\" title=\"{}: not looked at\"></i>", size(start));
            return;
        }
        let len = self.tile.min(self.size - start).max(1);
        // Four steps: a trace, up to a quarter, up to a half, more.
        let step = match bytes.saturating_mul(16) / len {
            0 => 1,
            1..=4 => 2,
            5..=8 => 3,
            _ => 4,
        };
        let _ = write!(page, "<i class=\"{class} p{step}\" title=\"{}:", size(start));
        let parts = [
            ("compared", tile.compared_bytes),
            ("sent", tile.sent_bytes),
            ("zeroed", tile.zeroed_bytes),
            ("sent again", tile.resent_bytes),
        ];
        for (word, bytes) in parts.iter().filter(|(_, bytes)| *bytes > 0) {
            let _ = write!(page, " {word} {}", size(*bytes));
        }
        page.push_str("\"></i>");
    }
}

const LEGEND: [(&str, &str); 5] =
    [("u", "not looked at"), ("c", "compared, equal"), ("s", "sent"), ("z", "zeroed"), ("r", "sent again")];

const STYLE: &str = "\
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --line: #d5dae0; --u: #e9ecef; --c: 150 40% 45%; \
--s: 28 90% 48%; --z: 255 50% 60%; --r: 345 80% 48%; }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --ink: #e6e8ea; --line: #363c43; --u: #262b30; \
--c: 150 35% 50%; --s: 28 90% 58%; --z: 255 60% 72%; --r: 345 85% 62%; } }
body { margin: 0 auto; padding: 1rem; max-width: 120rem; background: var(--page); color: var(--ink); \
font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.25rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; }
th, td { padding: .15rem 1rem .15rem 0; text-align: left; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; list-style: none; }
.legend i { display: inline-block; width: .9em; height: .9em; margin-right: .4em; vertical-align: -.1em; }
.map { display: grid; grid-template-columns: repeat(auto-fill, minmax(clamp(9px, 1.2vw, 20px), 1fr)); gap: 1px; }
.map i { aspect-ratio: 1; }
.u { background: var(--u); } .c { --k: var(--c); } .s { --k: var(--s); } .z { --k: var(--z); } .r { --k: var(--r); }
.p1 { background: hsl(var(--k) / .5); } .p2 { background: hsl(var(--k) / .65); }
.p3 { background: hsl(var(--k) / .8); } .p4 { background: hsl(var(--k)); }
.u.p4 { background: var(--u); border: 1px solid var(--line); }
";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A number of bytes as people read it, in powers of 1,024 with one decimal, cut off.
fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let Some(power) = (1..=units.len()).rev().find(|power| bytes >> (10 * power) > 0) else {
        return format!("{bytes} B");
    };
    let tenths = (u128::from(bytes) * 10) >> (10 * power);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {}", units[power - 1]),
        (whole, tenth) => format!("{whole}.{tenth} {}", units[power - 1]),
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
            assert_eq!((map.tiles.len(), map.tile), (tiles, tile), "{bytes}");
        }
        let page = HeatMap::new(64 << 40).page("a disk", &[]);
        assert!(page.len() < 200 << 10, "{} bytes", page.len());
    }

    #[test]
    fn a_page_tells_what_happened_where() {
        let mut map = HeatMap::new(1 << 30);
        let compared_bytes = 512 << 10;
        let k = 512 << 10;
        map.add(0..k, &Heat { compared_bytes, ..Heat::default() });
        map.add(2 * k..3 * k, &Heat { compared_bytes, sent_bytes: 4096, ..Heat::default() });
        map.add((1 << 30) - k..1 << 30, &Heat { zeroed_bytes: k, ..Heat::default() });
        let page = map.page("a <b> & c", &[("took", "1.5 s".to_owned())]);
        assert!(page.contains("<h1>a &lt;b&gt; &amp; c</h1>") && page.contains("<td>1.5 s</td>"));
        assert!(page.contains("<i class=\"c p4\" title=\"0 B: compared 512 KiB\">"));
        assert!(page.contains("<i class=\"s p1\" title=\"1 MiB: compared 512 KiB sent 4 KiB\">"));
        assert!(page.contains("<i class=\"z p4\" title=\"1023.5 MiB: zeroed 512 KiB\">"));
        assert_eq!(page.matches("not looked at\"").count(), 2045);
        assert!(!page.contains("http") && !page.contains("src="), "nothing from outside");
        assert_eq!(map.total().compared_bytes, 1 << 20);
    }

    #[test]
    fn a_range_of_several_tiles_counts_for_each_and_no_byte_is_lost() {
        let mut map = HeatMap::new(1 << 30);
        let tile = map.tile_bytes();
        map.add(tile / 2..3 * tile + 1, &Heat { sent_bytes: 1_000_001, ..Heat::default() });
        assert_eq!(map.total().sent_bytes, 1_000_001);
        assert!(map.tiles[..3].iter().all(|tile| tile.sent_bytes > 0));
        assert_eq!(map.tiles[1].sent_bytes / 10, map.tiles[2].sent_bytes / 10);
        map.add(1 << 30..1 << 40, &Heat { sent_bytes: 5, ..Heat::default() });
        assert_eq!(map.total().sent_bytes, 1_000_001);
    }

    #[test]
    fn sizes_are_read_by_people() {
        for (bytes, told) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (32 << 30, "32 GiB")] {
            assert_eq!(size(bytes), told);
        }
    }
}
