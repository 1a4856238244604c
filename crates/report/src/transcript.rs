//! A run's timeline without places in the file: what a golden holds, and what two runs are compared by.

use hvrsim_sim::trace::{Record, What};
use similar::{Algorithm, ChangeTag, DiffTag, TextDiff, capture_diff_slices};

use crate::names::Names;
use crate::timeline::Timeline;

/// A timeline that remembers to which step of the file each of its lines belongs.
pub struct Transcript {
    timeline: Timeline,
    text: String,
    /// For each line the line of its step in the scenario.
    steps: Vec<u32>,
    step: u32,
}

impl Transcript {
    /// An empty one.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self { timeline: Timeline::without_places(names), text: String::new(), steps: Vec::new(), step: 0 }
    }

    /// Adds records.
    pub fn add(&mut self, records: &[Record]) {
        for record in records {
            if matches!(record.what, What::Step { .. }) {
                // What is still counted belongs to the step before.
                let rest = self.timeline.rest();
                self.push(&rest);
            }
            if let What::Step { line, .. } = record.what {
                self.step = line;
            }
            let lines = self.timeline.lines(std::slice::from_ref(record));
            self.push(&lines);
        }
    }

    /// Adds what is still counted, and a text of its own.
    pub fn finish(&mut self, standing: &str) {
        let rest = self.timeline.rest();
        self.push(&rest);
        self.push(standing);
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.steps.extend(text.lines().map(|_| self.step));
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it differs from a recorded text: hunks, each headed by the step's line in the scenario `name`; `None` if it
    /// does not.
    #[must_use]
    pub fn difference(&self, recorded: &str, name: &str) -> Option<String> {
        if self.text == recorded {
            return None;
        }
        let diff = TextDiff::from_lines(recorded, self.text.as_str());
        let mut out = String::new();
        for group in diff.grouped_ops(2) {
            let changed = group.iter().find(|op| op.tag() != DiffTag::Equal);
            let at = changed.map_or(0, |op| op.new_range().start);
            match self.steps.get(at).or(self.steps.last()) {
                Some(0) | None => out.push_str(&format!("@@ {name}: before the first step\n")),
                Some(line) => out.push_str(&format!("@@ {name}:{line}\n")),
            }
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let sign = match change.tag() {
                    ChangeTag::Equal => ' ',
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                };
                out.push_str(&format!("{sign}{}\n", change.value().trim_end_matches('\n')));
            }
        }
        Some(out)
    }
}

/// Two timelines side by side, `width` columns each: lines that only one has are marked `<` and `>`, lines that
/// differ `|`, lines that differ only in time `~`. Tells whether they are the same.
#[must_use]
pub fn side_by_side(left: &str, right: &str, width: usize) -> (String, bool) {
    let (left, right): (Vec<&str>, Vec<&str>) = (left.lines().collect(), right.lines().collect());
    let timeless = |lines: &[&str]| lines.iter().map(|line| without_time(line)).collect::<Vec<String>>();
    let ops = capture_diff_slices(Algorithm::Myers, &timeless(&left), &timeless(&right));
    let mut out = String::new();
    for op in ops {
        let (old, new) = (op.old_range(), op.new_range());
        for n in 0..old.len().max(new.len()) {
            let a = old.clone().nth(n).map(|index| left[index]);
            let b = new.clone().nth(n).map(|index| right[index]);
            let mark = match (a, b) {
                (Some(a), Some(b)) if a == b => ' ',
                (Some(_), Some(_)) if op.tag() == DiffTag::Equal => '~',
                (Some(_), Some(_)) => '|',
                (Some(_), None) => '<',
                (None, _) => '>',
            };
            let a = cut(a.unwrap_or(""), width);
            let b = cut(b.unwrap_or(""), width);
            out.push_str(format!("{a:<width$} {mark} {b}").trim_end());
            out.push('\n');
        }
    }
    (out, left == right)
}

fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let kept: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The line without the time in front, and without its number if it is a step's.
fn without_time(line: &str) -> String {
    let trimmed = line.trim_start();
    let day = trimmed.split_once(' ').filter(|(word, _)| word.starts_with('+') && word.ends_with('d'));
    let rest = day.map_or(trimmed, |(_, rest)| rest);
    if rest.starts_with('+') || day.is_some() {
        return rest.split_once(' ').map_or("", |(_, rest)| rest).trim_start().to_owned();
    }
    match rest.split_once(". ") {
        Some((number, text)) if number.bytes().all(|b| b.is_ascii_digit()) => text.to_owned(),
        _ => rest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_timelines_stand_side_by_side() {
        let left = "1. stop\n  +00:00:01.000 HV1 off\n  +00:00:02.000 HV1 gone\n";
        let right = "1. wait\n2. stop\n  +00:00:09.000 HV1 off\n";
        let (text, same) = side_by_side(left, right, 26);
        assert!(!same);
        let shown: Vec<&str> = text.lines().collect();
        assert_eq!(
            shown,
            [
                "                           > 1. wait",
                "1. stop                    ~ 2. stop",
                "  +00:00:01.000 HV1 off    ~   +00:00:09.000 HV1 off",
                "  +00:00:02.000 HV1 gone   <",
            ]
        );
        assert!(side_by_side(left, left, 40).1);
    }
}
