//! The state diagram with the way that copies went: as Mermaid text, and as SVG.

use std::collections::BTreeMap;
use std::fmt::Write;

use hvrsim_types::state::{Mode, ReplicationState};

use crate::coverage::{Coverage, State, Way};

fn name((mode, state): State) -> String {
    match mode {
        Mode::None => "not replicated".to_owned(),
        mode => format!("{mode} {}", state.powershell(mode)),
    }
}

fn words(way: &Way) -> String {
    let rules: Vec<&str> = way.rules.iter().map(String::as_str).collect();
    let times = if way.times > 1 { format!(" ×{}", way.times) } else { String::new() };
    format!("{}. {}{times}", way.order, rules.join(", "))
}

fn id((mode, state): State) -> String {
    format!("{}{}", mode.label(), state.number())
}

/// The visited part as a Mermaid state diagram.
#[must_use]
pub fn mermaid(coverage: &Coverage) -> String {
    let mut out = String::from("stateDiagram-v2\n    direction LR\n");
    for state in states(coverage) {
        let _ = writeln!(out, "    state \"{}\" as {}", name(state), id(state));
    }
    for ((from, to), way) in ordered(coverage) {
        let _ = writeln!(out, "    {} --> {} : {}", id(*from), id(*to), words(way));
    }
    out
}

fn ordered(coverage: &Coverage) -> Vec<(&(State, State), &Way)> {
    let mut ways: Vec<_> = coverage.ways().iter().collect();
    ways.sort_by_key(|(_, way)| way.order);
    ways
}

fn states(coverage: &Coverage) -> Vec<State> {
    let mut states: Vec<State> = coverage.ways().keys().flat_map(|(from, to)| [*from, *to]).collect();
    states.sort_by_key(|(mode, state)| {
        // A failover is under way before it has been done, whatever the numbers say.
        let before = *state == ReplicationState::FailoverInProgress;
        (*mode, if before { ReplicationState::SyncedReplicationComplete } else { *state }, *state)
    });
    states.dedup();
    states
}

/// Width and height of a state's box.
const BOX: (i64, i64) = (290, 36);
/// From one box to the next below.
const ROW: i64 = 84;
/// Left edges of the columns: primaries, replicas.
const COLUMNS: [i64; 2] = [170, 740];
const WIDTH: i64 = 1200;
const TOP: i64 = 90;

/// A state's place: its box's left upper corner, and its column if it has one.
#[derive(Clone, Copy)]
struct Node {
    x: i64,
    y: i64,
    column: Option<usize>,
}

impl Node {
    const fn middle(self) -> (i64, i64) {
        (self.x + BOX.0 / 2, self.y + BOX.1 / 2)
    }
}

fn layout(coverage: &Coverage) -> (BTreeMap<State, Node>, i64) {
    let mut nodes = BTreeMap::new();
    let mut rows = [0, 0];
    for state in states(coverage) {
        let column = match state.0 {
            Mode::None => None,
            Mode::Primary => Some(0),
            _ => Some(1),
        };
        let node = match column {
            None => Node { x: (WIDTH - BOX.0) / 2, y: 16, column },
            Some(at) => {
                let y = TOP + rows[at] * ROW;
                rows[at] += 1;
                Node { x: COLUMNS[at], y, column }
            }
        };
        nodes.insert(state, node);
    }
    (nodes, TOP + rows[0].max(rows[1]) * ROW)
}

/// The visited part as a drawing. Its colours come from custom properties where a page sets them.
#[must_use]
pub fn svg(coverage: &Coverage) -> String {
    let (nodes, height) = layout(coverage);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"diagram\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"state diagram with the visited path\"><style>{STYLE}</style><defs><marker id=\"tip\" \
         viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto-start-reverse\">\
         <path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>"
    );
    let mut labels = String::new();
    for (ends, way) in ordered(coverage) {
        if let (Some(from), Some(to)) = (nodes.get(&ends.0), nodes.get(&ends.1)) {
            arrow(&mut out, &mut labels, (*from, *to), way);
        }
    }
    for (state, node) in &nodes {
        let (x, y) = node.middle();
        let _ = write!(
            out,
            "<rect class=\"box m-{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"9\"/><text class=\"name\" \
             x=\"{x}\" y=\"{}\">{}</text>",
            state.0.label(),
            node.x,
            node.y,
            BOX.0,
            BOX.1,
            y + 5,
            name(*state),
        );
    }
    out + &labels + "</svg>"
}

/// A way as a curve: within a column on its outer side downwards and on its inner side upwards, else across.
fn arrow(out: &mut String, labels: &mut String, (from, to): (Node, Node), way: &Way) {
    let ((fx, fy), (tx, ty)) = (from.middle(), to.middle());
    let half = BOX.0 / 2;
    let (path, (lx, ly)) = if from.column == to.column {
        let outward = if from.column == Some(0) { -1 } else { 1 };
        let side = if ty > fy { outward } else { -outward };
        let bulge = 34 + 14 * ((ty - fy).abs() / ROW);
        let (x, c) = (fx + side * half, fx + side * (half + bulge));
        let (y0, y1) = (fy + 7 * (ty - fy).signum(), ty - 7 * (ty - fy).signum());
        // Labels of ways beside each other stand at different heights.
        let part = 4 + i64::try_from(way.order % 3).unwrap_or(0);
        let label = (fx + side * (half + bulge * 3 / 4), fy + (ty - fy) * part / 10);
        (format!("M{x} {y0}C{c} {y0} {c} {y1} {x} {y1}"), label)
    } else {
        let side = (tx - fx).signum();
        let (x0, x1) = (fx + side * half, tx - side * half);
        let (x0, x1) = if (x1 - x0) * side > 0 { (x0, x1) } else { (fx, tx) };
        let shift = if side > 0 { -5 } else { 5 };
        let (y0, y1) = (fy + shift, ty + shift);
        let c = (x0 + x1) / 2;
        // Labels of ways that cross stand at different parts of these.
        let part = 3 + i64::try_from(way.order % 4).unwrap_or(0);
        let at = |a: i64, b: i64| a + (b - a) * part / 9;
        (format!("M{x0} {y0}C{c} {y0} {c} {y1} {x1} {y1}"), (at(x0, x1), at(y0, y1)))
    };
    let _ = write!(out, "<path class=\"way\" d=\"{path}\" marker-end=\"url(#tip)\"/>");
    let _ = write!(labels, "<text class=\"rule\" x=\"{lx}\" y=\"{}\">{}</text>", ly + 4, words(way));
}

const STYLE: &str = "\
.diagram{font-family:system-ui,'Segoe UI','DejaVu Sans',sans-serif;font-size:14px}\
.diagram .way{fill:none;stroke:var(--accent,#1d5fd0);stroke-width:2}.diagram .tip{fill:var(--accent,#1d5fd0)}\
.diagram .box{fill:var(--card,#fff);stroke:var(--edge,#8a94a0);stroke-width:1.5}\
.diagram .m-Primary{stroke:var(--rep,#2f9e5b);stroke-width:2.5}\
.diagram .m-Replica,.diagram .m-ExtendedReplica{stroke:var(--back,#a482e8);stroke-width:2.5;stroke-dasharray:7 3}\
.diagram text{text-anchor:middle;fill:var(--ink,#16191d)}.diagram .name{font-weight:600;font-size:13px}\
.diagram .rule{font-size:12px;paint-order:stroke;stroke:var(--card,#fff);stroke-width:5px;stroke-linejoin:round}";

#[cfg(test)]
mod tests {
    use hvrsim_replica::exchange::Note;
    use hvrsim_sim::trace::{Record, What};
    use hvrsim_types::time::Instant;

    use super::*;
    use ReplicationState as S;

    #[test]
    fn the_way_is_told_in_order() {
        let mut coverage = Coverage::default();
        let ways = [
            ("EN-1", (Mode::None, S::Disabled), (Mode::Primary, S::ReadyForInitialReplication)),
            ("EN-9", (Mode::Primary, S::ReadyForInitialReplication), (Mode::Primary, S::Replicating)),
            ("XF-95", (Mode::Primary, S::Replicating), (Mode::None, S::Disabled)),
        ];
        let records = ways.map(|(rule, before, after)| {
            let what = What::Note(Note::Rule { rule: rule.to_owned(), before, after });
            Record { seq: 0, at: Instant::START, host: None, vm: None, what }
        });
        coverage.add(&records);
        assert_eq!(
            mermaid(&coverage),
            "stateDiagram-v2\n    direction LR\n    state \"not replicated\" as None0\n    \
             state \"Primary ReadyForInitialReplication\" as Primary1\n    \
             state \"Primary Replicating\" as Primary3\n    None0 --> Primary1 : 1. EN-1\n    \
             Primary1 --> Primary3 : 2. EN-9\n    Primary3 --> None0 : 3. XF-95\n"
        );
        let svg = svg(&coverage);
        assert_eq!((svg.matches("class=\"way\"").count(), svg.matches("class=\"box").count()), (3, 3));
        assert!(!svg.contains("src=") && !svg.contains("href"), "nothing from outside");
    }
}
