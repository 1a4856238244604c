//! The gallery of shipped scenarios: folders by theme, each file with its reason, lessons that teach what they say, and
//! an index.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use hvrsim_scenario::run::Options;

use crate::golden;
use crate::scenarios::{Outcome, Shipped, on_stamps, shipped};

/// Every theme, and what its scenarios are about.
const THEMES: &[(&str, &str)] = &[
    ("basics", "Protection: setting it up, keeping it, what it is worth."),
    ("failover", "Over to the other side: planned, unplanned, as a test, in the wrong order."),
    ("failback", "And home again."),
    ("resync", "When tracking is lost, and only a comparison of both sides helps."),
    ("extended", "A third site."),
    ("cluster", "Failover clusters and the Hyper-V Replica Broker."),
    ("disasters", "One for each thing that breaks: what follows, what helps."),
    ("runbooks", "Procedures that do not go straight."),
    (
        "corpus",
        "Traces that checks have found, made short: each showed an error once, of the program or of a check. \
         `hvrsim run --recover` holds every claim against them.",
    ),
    (
        "lessons",
        "Broken runbooks. Run `broken.yaml`, read what it says, mend it by yourself, and compare with `fixed.yaml`; \
         the file's description has a hint.",
    ),
];

/// What stands before the first key: the reason why the file exists.
fn opening(text: &str) -> String {
    let comments = text.lines().skip(1).take_while(|line| line.starts_with('#'));
    let words: Vec<&str> = comments.map(|line| line.trim_start_matches('#').trim()).collect();
    words.join(" ")
}

fn theme(scenario: &Shipped) -> Option<&str> {
    scenario.name.split_once('/').map(|(theme, _)| theme)
}

#[test]
fn every_scenario_stands_in_a_theme_and_opens_with_its_reason() {
    let all = shipped();
    assert!(all.len() >= 25, "{} scenarios", all.len());
    let mut wrong = Vec::new();
    for scenario in &all {
        match theme(scenario) {
            None if scenario.name == "failback.yaml" => {}
            Some(theme) if THEMES.iter().any(|(name, _)| *name == theme) => {}
            _ => wrong.push(format!("{} stands in no theme", scenario.name)),
        }
        let reason = opening(&scenario.text());
        if reason.split_whitespace().count() < 8 {
            wrong.push(format!("{} does not open with why it exists: `{reason}`", scenario.name));
        }
    }
    let titles: Vec<String> = all.iter().map(|scenario| scenario.load().title.value).collect();
    let different: BTreeSet<&String> = titles.iter().collect();
    if different.len() < titles.len() {
        let twice = titles.iter().filter(|title| titles.iter().filter(|other| other == title).count() > 1);
        wrong.push(format!("titles that stand twice: {:?}", twice.collect::<BTreeSet<_>>()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_index_is_fresh() {
    let mut text = String::from(
        "<!-- Made by the tests out of the scenarios; changes here are lost. -->\n\n# The scenarios\n\n\
         `hvrsim run FILE` runs one, `hvrsim run scenarios/basics` a folder. `../docs/guide/` begins with them.\n\n\
         [failback.yaml](failback.yaml) is the whole way back after a planned failover, with a link that is cut on the \
         way; the others stand in folders by theme.\n",
    );
    let mut by_theme: BTreeMap<&str, Vec<&Shipped>> = BTreeMap::new();
    let all = shipped();
    for scenario in &all {
        by_theme.entry(theme(scenario).unwrap_or_default()).or_default().push(scenario);
    }
    for (name, about) in THEMES {
        let _ = write!(text, "\n## {name}\n\n{about}\n\n");
        for scenario in by_theme.get(name).into_iter().flatten() {
            let _ =
                writeln!(text, "- [{}]({}): {}", scenario.name, scenario.name, scenario.load().title.value);
        }
    }
    golden::check("../../scenarios/README.md", &text);
}

/// The two halves of each lesson by its name.
fn lessons() -> BTreeMap<String, BTreeMap<String, Shipped>> {
    let mut found: BTreeMap<String, BTreeMap<String, Shipped>> = BTreeMap::new();
    for scenario in shipped() {
        let parts: Vec<String> = scenario.name.split('/').map(str::to_owned).collect();
        if let [theme, lesson, half] = parts.as_slice()
            && theme == "lessons"
        {
            found.entry(lesson.clone()).or_default().insert(half.clone(), scenario);
        }
    }
    found
}

fn came(scenario: &Shipped) -> Outcome {
    on_stamps(&scenario.load(), &Options { folder: scenario.folder(), ..Options::default() })
}

#[test]
fn a_broken_runbook_fails_as_its_lesson_says_and_the_fixed_one_does_not() {
    let lessons = lessons();
    assert!(lessons.len() >= 10, "{} lessons", lessons.len());
    let mut wrong = Vec::new();
    for (name, halves) in &lessons {
        let (Some(broken), Some(fixed)) = (halves.get("broken.yaml"), halves.get("fixed.yaml")) else {
            wrong.push(format!("{name} has not both halves: {:?}", halves.keys()));
            continue;
        };
        let text = broken.text();
        let red = text.lines().find_map(|line| line.strip_prefix("# It ends red: "));
        let Some(red) = red.filter(|words| words.len() > 10) else {
            wrong.push(format!("{name} does not say how it ends"));
            continue;
        };
        let failures = came(broken).failures;
        if !failures.contains(red) {
            wrong.push(format!("{name} says it ends with `{red}`, and ends with\n{failures}"));
        }
        if !broken.load().description.starts_with("Hint: ") {
            wrong.push(format!("{name} has no hint"));
        }
        let failures = came(fixed).failures;
        if !failures.is_empty() {
            wrong.push(format!("{name} is not mended:\n{failures}"));
        }
        let asks = |scenario: &Shipped| scenario.text().contains("expect:");
        if !asks(fixed) {
            wrong.push(format!("{name}: the fixed half expects nothing"));
        }
        let topology = |text: &str| {
            let (_, rest) = text.split_once("topology:").expect("it has a topology");
            rest.split_once("steps:").expect("it has steps").0.to_owned()
        };
        if topology(&text) != topology(&fixed.text()) {
            wrong.push(format!(
                "{name}: the halves have other sites, so that it is not the runbook that is mended"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
