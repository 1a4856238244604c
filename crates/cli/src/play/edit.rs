//! Steps put into a scenario's text, and cut off behind the last one that was played. What is played is always a
//! scenario, so that what is recorded plays the same.

use hvrsim_scenario::Scenario;
use hvrsim_scenario::model::step::Step;

/// The byte at which a step's item of the list begins, and the blanks in front of its dash; none where the list is
/// written in one line.
fn item(text: &str, step: &Step) -> Option<(usize, String)> {
    let place = step.place;
    let column = usize::try_from(place.column).ok()?.checked_sub(1)?;
    let mut end = usize::try_from(place.start).ok()?;
    let mut first = true;
    loop {
        let start = text[..end].rfind('\n').map_or(0, |at| at + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        let blanks = line.len() - line.trim_start().len();
        if let Some(behind) = line.trim_start().strip_prefix('-') {
            let key = blanks + 1 + (behind.len() - behind.trim_start().len());
            if key == column || first {
                return Some((start, " ".repeat(blanks)));
            }
        }
        first = false;
        end = start.checked_sub(1)?;
    }
}

/// Where the list of steps ends: behind the last line that is indented as its items are.
fn end_of_list(text: &str, last: usize, indent: &str) -> usize {
    let mut end = last;
    let mut first = true;
    for line in text[last..].split_inclusive('\n') {
        let blanks = line.len() - line.trim_start().len();
        let is_ours = first || line.trim().is_empty() || blanks > indent.len();
        if !is_ours {
            break;
        }
        first = false;
        end += line.len();
    }
    // What is blank at the end belongs to what follows.
    last + text[last..end].trim_end().len()
}

/// The text with a step put in front of step `at`, counted from 0.
pub(super) fn insert(scenario: &Scenario, at: usize, step: &str) -> Result<String, String> {
    let text = &scenario.source.text;
    let flow = || "the steps of this file are written in one line; write one below the other".to_owned();
    if let Some(next) = scenario.steps.get(at) {
        let (start, indent) = item(text, next).ok_or_else(flow)?;
        return Ok(format!("{}{indent}- {step}\n{}", &text[..start], &text[start..]));
    }
    let (start, indent) = scenario.steps.last().and_then(|last| item(text, last)).ok_or_else(flow)?;
    let end = end_of_list(text, start, &indent);
    Ok(format!("{}\n{indent}- {step}{}", &text[..end], &text[end..]))
}

/// The text with its first `count` steps only; there is at least one.
pub(super) fn cut(scenario: &Scenario, count: usize) -> Result<String, String> {
    let text = &scenario.source.text;
    let flow = || "the steps of this file are written in one line; write one below the other".to_owned();
    let (Some(next), Some(last)) = (scenario.steps.get(count), scenario.steps.last()) else {
        return Ok(text.clone());
    };
    let (from, indent) = item(text, next).ok_or_else(flow)?;
    let (last, _) = item(text, last).ok_or_else(flow)?;
    let to = end_of_list(text, last, &indent);
    let kept = text[..from].trim_end();
    Ok(format!("{kept}{}", &text[to..]))
}

#[cfg(test)]
mod tests {
    use hvrsim_scenario::{Source, check::load};

    use super::*;

    const TEXT: &str = "\
scenario: Edited
topology: { hosts: { HV1: {} }, vms: { web01: { host: HV1, disks: [ { size: 1GiB } ] } } }
steps:
  - note: one   # the first
  # the second
  - name: two
    parallel:
      left:
        - note: inside
      right: [ { note: beside } ]
  - { note: three }

cleanup:
  - note: at the end
";

    fn scenario(text: &str) -> Scenario {
        load(&Source::new("edited.yaml", text)).unwrap_or_else(|found| {
            panic!("{text}\n{}", found.iter().map(|one| one.render(false)).collect::<String>())
        })
    }

    fn notes(text: &str) -> Vec<String> {
        let scenario = scenario(text);
        scenario.steps.iter().map(|step| scenario.words(step)).collect()
    }

    #[test]
    fn a_step_is_put_in_front_of_any_other_and_behind_the_last() {
        let whole = ["note: one   # the first", "two", "{ note: three }"];
        assert_eq!(notes(TEXT), whole);
        for at in 0..=3 {
            let text = insert(&scenario(TEXT), at, "note: new").expect("it can be put in");
            let mut expected = whole.to_vec();
            expected.insert(at, "note: new");
            assert_eq!(notes(&text), expected, "{text}");
            assert!(text.contains("\ncleanup:\n"), "{text}");
        }
    }

    #[test]
    fn what_was_not_played_is_cut_off() {
        for count in 1..=3 {
            let text = cut(&scenario(TEXT), count).expect("it can be cut");
            assert_eq!(notes(&text).len(), count, "{text}");
            assert_eq!(scenario(&text).cleanup.len(), 1, "{text}");
        }
    }

    #[test]
    fn steps_in_one_line_are_told() {
        let text = TEXT.split("steps:").next().expect("it has steps").to_owned()
            + "steps: [ { note: one }, { note: two } ]\n";
        let refused = insert(&scenario(&text), 0, "note: new").expect_err("it cannot be put in");
        assert!(refused.contains("one below the other"));
    }
}
