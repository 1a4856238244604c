//! The page of a disk's heat map: where something was compared, sent, zeroed, as HTML without anything outside it.

use std::fmt::Write;

use hvrsim_resync::heat::{Heat, HeatMap};

/// What a tile shows: the strongest thing that happened in it, and how much of the tile that is.
pub(crate) const fn shown(heat: &Heat) -> (char, u64) {
    match heat {
        Heat { resent_bytes: 1.., .. } => ('r', heat.resent_bytes),
        Heat { sent_bytes: 1.., .. } => ('s', heat.sent_bytes),
        Heat { zeroed_bytes: 1.., .. } => ('z', heat.zeroed_bytes),
        Heat { compared_bytes: 1.., .. } => ('c', heat.compared_bytes),
        _ => ('u', 0),
    }
}

/// How much of a tile something is, in four steps: a trace, up to a quarter, up to a half, more.
pub(crate) const fn step(bytes: u64, of_bytes: u64) -> u8 {
    match bytes.saturating_mul(16) / of_bytes {
        0 => 1,
        1..=4 => 2,
        5..=8 => 3,
        _ => 4,
    }
}

/// The page. `title` names the work, for instance both images; `facts` are further rows of the table.
#[must_use]
pub fn page(map: &HeatMap, title: &str, facts: &[(&str, String)]) -> String {
    let title = escaped(title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    table(map, &mut page, facts);
    let _ = writeln!(page, "<ul class=\"legend\">");
    for (class, word) in LEGEND {
        let _ = writeln!(page, "<li><i class=\"{class} p4\"></i>{word}</li>");
    }
    let _ = writeln!(
        page,
        "</ul>\n<p>A tile is {} of the disk, from the left to the right and downwards. It shows the strongest thing \
             that happened in it; the stronger the colour, the more of the tile. Point at one for its figures.</p>\n\
             <div class=\"map\" role=\"img\" aria-label=\"map of the disk\">",
        size(map.tile_bytes())
    );
    for (number, heat) in (0..).zip(map.tiles()) {
        tile(map, &mut page, number, &heat);
    }
    page.push_str("\n</div>\n</body>\n</html>\n");
    page
}

fn table(map: &HeatMap, page: &mut String, facts: &[(&str, String)]) {
    let total = map.total();
    let own = [
        ("disk", size(map.size_bytes())),
        ("compared", size(total.compared_bytes)),
        ("sent", size(total.sent_bytes)),
        ("zeroed", size(total.zeroed_bytes)),
        ("sent again", size(total.resent_bytes)),
    ];
    let _ = writeln!(page, "<table>");
    for (name, value) in own.iter().chain(facts) {
        let _ =
            writeln!(page, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escaped(name), escaped(value));
    }
    let _ = writeln!(page, "</table>");
}

fn tile(map: &HeatMap, page: &mut String, number: u64, tile: &Heat) {
    let (class, bytes) = shown(tile);
    let start = number * map.tile_bytes();
    if bytes == 0 {
        let _ = write!(page, "<i class=\"u\" title=\"{}: not looked at\"></i>", size(start));
        return;
    }
    let len = map.tile_bytes().min(map.size_bytes() - start).max(1);
    let step = step(bytes, len);
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
    fn a_page_is_small_for_any_disk() {
        let page = page(&HeatMap::new(64 << 40), "a disk", &[]);
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
        let page = page(&map, "a <b> & c", &[("took", "1.5 s".to_owned())]);
        assert!(page.contains("<h1>a &lt;b&gt; &amp; c</h1>") && page.contains("<td>1.5 s</td>"));
        assert!(page.contains("<i class=\"c p4\" title=\"0 B: compared 512 KiB\">"));
        assert!(page.contains("<i class=\"s p1\" title=\"1 MiB: compared 512 KiB sent 4 KiB\">"));
        assert!(page.contains("<i class=\"z p4\" title=\"1023.5 MiB: zeroed 512 KiB\">"));
        assert_eq!(page.matches("not looked at\"").count(), 2045);
        assert!(!page.contains("http") && !page.contains("src="), "nothing from outside");
        assert_eq!(map.total().compared_bytes, 1 << 20);
    }

    #[test]
    fn sizes_are_read_by_people() {
        for (bytes, told) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (32 << 30, "32 GiB")] {
            assert_eq!(size(bytes), told);
        }
    }
}
