//! The heat map of each disk that was resynchronized: unchanged, compared, sent, sent again.

use std::fmt::Write;

use hvrsim_resync::heat::HeatMap;
use hvrsim_types::size::Bytes;
use maud::{Markup, PreEscaped, html};

use super::Page;
use super::story::Resync;
use crate::heat::shown;

/// Tiles in a row.
const ROW: u64 = 64;
/// More maps than this are not drawn.
const MAPS: usize = 24;

const KINDS: &[(char, &str)] = &[
    ('u', "unchanged, not looked at"),
    ('c', "compared, equal"),
    ('s', "sent"),
    ('z', "zeroed"),
    ('r', "sent again"),
];

/// Patterns beside colours: dots, stripes, a cross.
const PATTERNS: &str = "<svg class=\"defs\" aria-hidden=\"true\" focusable=\"false\"><defs>\
<pattern id=\"h-c\" width=\"1\" height=\"1\" patternUnits=\"userSpaceOnUse\"><rect class=\"h-c\" width=\"1\" height=\"1\"/><circle class=\"ink\" cx=\".5\" cy=\".5\" r=\".14\"/></pattern>\
<pattern id=\"h-s\" width=\"1\" height=\"1\" patternUnits=\"userSpaceOnUse\"><rect class=\"h-s\" width=\"1\" height=\"1\"/></pattern>\
<pattern id=\"h-z\" width=\"1\" height=\"1\" patternUnits=\"userSpaceOnUse\"><rect class=\"h-z\" width=\"1\" height=\"1\"/><rect class=\"ink\" y=\".4\" width=\"1\" height=\".2\"/></pattern>\
<pattern id=\"h-r\" width=\"1\" height=\"1\" patternUnits=\"userSpaceOnUse\"><rect class=\"h-r\" width=\"1\" height=\"1\"/><path class=\"line\" d=\"M.2 .2L.8 .8M.8 .2L.2 .8\"/></pattern>\
</defs></svg>";

pub(super) fn panel(page: &Page<'_>) -> Markup {
    let all = &page.story.resyncs;
    page.thinned(all.len().saturating_sub(MAPS), "heat maps after the first");
    html! {
        section #resync .card aria-labelledby="resync-title" {
            h2 #resync-title { "Resynchronization, disk by disk" }
            (PreEscaped(PATTERNS))
            @if all.is_empty() { p .none { "Nothing was compared or sent block by block." } }
            @else {
                ul .legend {
                    @for (kind, words) in KINDS {
                        li { svg .key viewBox="0 0 1 1" aria-hidden="true" focusable="false" { rect .(format!("f-{kind}")) width="1" height="1" {} } (words) }
                    }
                }
                div .maps { @for resync in all.iter().take(MAPS) { (a_map(page, resync)) } }
            }
        }
    }
}

fn a_map(page: &Page<'_>, resync: &Resync) -> Markup {
    let map = &resync.map;
    let total = map.total();
    let kinds = kinds(map);
    let rows = u64::try_from(kinds.len()).unwrap_or(0).div_ceil(ROW).max(1);
    let (from, to) = (page.names.host(resync.source), page.names.host(resync.target.host));
    let figures = [
        ("compared", total.compared_bytes),
        ("sent", total.sent_bytes),
        ("zeroed", total.zeroed_bytes),
        ("sent again", total.resent_bytes),
    ];
    html! {
        figure .heat {
            figcaption {
                b { (page.names.vm(resync.target.vm)) ", disk " (resync.disk) } " " (from) " → " (to)
                span .what { (resync.job) ", done " (resync.at) ", a tile is " (Bytes(map.tile_bytes())) }
            }
            svg .map viewBox={"0 0 " (ROW) " " (rows)} role="img" aria-label={"heat map of " (page.names.vm(resync.target.vm)) ", disk " (resync.disk)}
                data-tile=(map.tile_bytes()) data-runs=(runs(&kinds)) {
                rect .f-u width=(ROW) height=(rows) {}
                @for (kind, _) in KINDS.iter().skip(1) {
                    @let path = path(&kinds, *kind);
                    @if !path.is_empty() { path .(format!("f-{kind}")) d=(path) {} }
                }
            }
            p .figures {
                @for (words, bytes) in figures { span { (words) " " b { (Bytes(bytes)) } } }
                span { "of " (Bytes(map.size_bytes())) }
                output .at aria-live="off" {}
            }
        }
    }
}

fn kinds(map: &HeatMap) -> Vec<char> {
    map.tiles().map(|tile| shown(&tile).0).collect()
}

/// Each kind with how many tiles of it follow one another.
fn runs(kinds: &[char]) -> String {
    let mut out = String::new();
    for run in kinds.chunk_by(|a, b| a == b) {
        let _ = write!(out, "{}{}", run[0], run.len());
    }
    out
}

/// All tiles of one kind, run by run within each row.
fn path(kinds: &[char], kind: char) -> String {
    let mut out = String::new();
    let row = usize::try_from(ROW).unwrap_or(1);
    for (y, tiles) in kinds.chunks(row).enumerate() {
        let mut x = 0;
        for run in tiles.chunk_by(|a, b| a == b) {
            if run[0] == kind {
                let _ = write!(out, "M{x} {y}h{}v1h-{}z", run.len(), run.len());
            }
            x += run.len();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_become_runs_that_do_not_cross_rows() {
        let mut kinds = vec!['u'; 60];
        kinds.extend(['s'; 10]);
        assert_eq!(runs(&kinds), "u60s10");
        assert_eq!(path(&kinds, 's'), "M60 0h4v1h-4zM0 1h6v1h-6z");
        assert_eq!(path(&kinds, 'r'), "");
    }
}
