//! The state diagram: one list of steps, as Mermaid and as SVG.

use std::collections::{BTreeMap, BTreeSet};

use hvrsim_replica::rule::{Other, To};
use hvrsim_replica::table;
use hvrsim_types::state::{Mode, ReplicationState as S};

type Pair = (Mode, S);

/// A step from one mode and state to another.
pub(super) struct Step {
    pub(super) from: Pair,
    pub(super) to: Pair,
    /// The rules that take it.
    pub(super) rules: Vec<&'static str>,
}

/// Every step that changes mode or state, in order.
pub(super) fn steps() -> Vec<Step> {
    let mut all: BTreeMap<(Pair, Pair), Vec<&'static str>> = BTreeMap::new();
    for rule in table::rules() {
        let own = Other { modes: rule.modes, from: rule.from, to: rule.to };
        for side in [Some(own), rule.other].into_iter().flatten() {
            for (from, to) in moves(&side) {
                let rules = all.entry((from, to)).or_default();
                if !rules.contains(&rule.id) {
                    rules.push(rule.id);
                }
            }
        }
    }
    // A rule for any state names states that its mode never has: only what is reached counts.
    let mut reached = BTreeSet::from([(Mode::None, S::Disabled)]);
    while let Some((_, to)) = all.keys().find(|(from, to)| reached.contains(from) && !reached.contains(to)) {
        reached.insert(*to);
    }
    let steps = all.into_iter().filter(|((from, _), _)| reached.contains(from));
    steps.map(|((from, to), rules)| Step { from, to, rules }).collect()
}

fn moves(side: &Other) -> Vec<(Pair, Pair)> {
    let mut found = Vec::new();
    for mode in side.modes {
        for state in side.from {
            let from = (*mode, *state);
            match side.to {
                To::State(to) => found.push((from, (*mode, to))),
                To::Via(first, second) => {
                    found.push((from, (*mode, first)));
                    found.push(((*mode, first), (*mode, second)));
                }
                To::Become(mode, state) => found.push((from, (mode, state))),
                // The state is the extended relationship's, which is no part of the diagram.
                To::Stay | To::Before | To::Extends(_) | To::Mode(_) | To::Refused(_) => {}
            }
        }
    }
    found.retain(|(from, to)| from != to);
    found
}

fn name((mode, state): Pair) -> String {
    match mode {
        Mode::None => "not replicated".to_owned(),
        _ => state.powershell(mode).to_owned(),
    }
}

fn id((mode, state): Pair) -> String {
    format!("{}{}", mode.label(), state.number())
}

/// The steps that begin or end in a mode, as a Mermaid state diagram.
pub(super) fn mermaid(mode: Mode) -> String {
    let mut out = String::from("stateDiagram-v2\n");
    let steps: Vec<Step> =
        steps().into_iter().filter(|step| step.from.0 == mode || step.to.0 == mode).collect();
    let mut pairs: Vec<Pair> = steps.iter().flat_map(|step| [step.from, step.to]).collect();
    pairs.sort_unstable();
    pairs.dedup();
    for pair in pairs {
        let foreign =
            if pair.0 == mode || pair.0 == Mode::None { String::new() } else { format!("{} ", pair.0) };
        out += &format!("    {} : {foreign}{}\n", id(pair), name(pair));
    }
    for step in steps {
        out += &format!("    {} --> {} : {}\n", id(step.from), id(step.to), step.rules.join(", "));
    }
    out
}

const WIDTH: u32 = 190;
const HEIGHT: u32 = 34;
const ROW: u32 = 66;
const TOP: u32 = 60;
/// The left edge of each mode's column.
const COLUMNS: [(Mode, u32); 3] = [(Mode::None, 20), (Mode::Primary, 330), (Mode::Replica, 820)];

/// Both modes in one picture: a column each, an arrow a step, its rules where the pointer rests. That replication can be
/// removed in every state is said, not drawn.
pub(super) fn svg() -> String {
    let steps: Vec<Step> = steps().into_iter().filter(|step| step.to.0 != Mode::None).collect();
    let mut pairs: Vec<Pair> = steps.iter().flat_map(|step| [step.from, step.to]).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut places: BTreeMap<Pair, (u32, u32)> = BTreeMap::new();
    let mut height = 0;
    for (mode, x) in COLUMNS {
        for (row, pair) in (0..).zip(pairs.iter().filter(|pair| pair.0 == mode)) {
            let y = TOP + row * ROW;
            places.insert(*pair, (x, y));
            height = height.max(y + ROW);
        }
    }
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1200 {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Replication states and the rules that lead from one to another</title>\n\
         <style>path{{fill:none;stroke:#5b6b7b;stroke-opacity:.45}}path:hover{{stroke:#b5472b;stroke-opacity:1;stroke-width:2.5}}\
         rect{{fill:#eef3f8;stroke:#3b5876}}text{{fill:#1d2a36}}</style>\n\
         <defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
         <path d=\"M0 0L8 4L0 8Z\" style=\"fill:#5b6b7b;stroke:none\"/></marker></defs>\n"
    );
    for (mode, x) in COLUMNS {
        out += &format!("<text x=\"{x}\" y=\"36\" font-size=\"16\">{}</text>\n", mode.label());
    }
    out += "<text x=\"20\" y=\"120\">Remove-VMReplication leads</text>\n<text x=\"20\" y=\"136\">back here from any state.</text>\n";
    for (number, step) in (0..).zip(&steps) {
        if let (Some(from), Some(to)) = (places.get(&step.from), places.get(&step.to)) {
            let says = format!("{} to {}: {}", said(step.from), said(step.to), step.rules.join(", "));
            out += &format!(
                "<path d=\"{}\" marker-end=\"url(#a)\"><title>{says}</title></path>\n",
                curve(*from, *to, number)
            );
        }
    }
    for (pair, (x, y)) in &places {
        out += &format!("<rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>\n");
        out += &format!("<text x=\"{}\" y=\"{}\">{}</text>\n", x + 8, y + 22, name(*pair));
    }
    out += "</svg>\n";
    out
}

fn said(pair: Pair) -> String {
    if pair.0 == Mode::None { name(pair) } else { format!("{} {}", pair.0, name(pair)) }
}

/// Within a column around its side, the further the wider; between columns straight across.
fn curve(from: (u32, u32), to: (u32, u32), number: u32) -> String {
    let middle = |(_, y): (u32, u32)| y + HEIGHT / 2;
    if from.0 == to.0 {
        let down = from.1 < to.1;
        let out = 24 + from.1.abs_diff(to.1) / 6 + number % 5 * 4;
        // Downwards on the right side, upwards on the left.
        let (edge, bend) =
            if down { (from.0 + WIDTH, from.0 + WIDTH + out) } else { (from.0, from.0.saturating_sub(out)) };
        let (y1, y2) = (middle(from), middle(to));
        return format!("M{edge} {y1}C{bend} {y1} {bend} {y2} {edge} {y2}");
    }
    let (start, end) = if from.0 < to.0 { (from.0 + WIDTH, to.0) } else { (from.0, to.0 + WIDTH) };
    let half = start.midpoint(end);
    format!("M{start} {0}C{half} {0} {half} {1} {end} {1}", middle(from), middle(to))
}

#[cfg(test)]
mod tests {
    use hvrsim_replica::rule::Rule;

    use super::*;

    #[test]
    fn every_rule_that_moves_something_is_in_the_diagram() {
        let drawn: Vec<&str> = steps().iter().flat_map(|step| step.rules.clone()).collect();
        let moving = |rule: &&Rule| matches!(rule.to, To::State(_) | To::Via(..) | To::Become(..));
        let missing: Vec<&str> =
            table::rules().filter(moving).map(|rule| rule.id).filter(|id| !drawn.contains(id)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
