//! Every incident of the catalogue has its scenario, which shows the rules that the catalogue names.

use std::collections::{BTreeMap, BTreeSet};

use hvrsim_scenario::run::Options;
use hvrsim_sim::incident::table::INCIDENTS;
use serde_json::Value;

use crate::scenarios::{on_stamps, shipped};

/// The name of an incident that a record tells of, and the rule that it was taken by, or refused with.
fn told(line: &str) -> (Option<String>, Option<String>) {
    let record: Value = serde_json::from_str(line).expect("it is JSON");
    let what = &record["what"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let rule = text(&what["Note"]["Rule"]["rule"]).or_else(|| text(&what["Refused"]["rule"]));
    (text(&what["Incident"]["name"]), rule)
}

#[test]
fn every_incident_has_a_scenario_that_takes_its_rules() {
    let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for scenario in shipped().iter().filter(|scenario| scenario.name.starts_with("disasters/")) {
        let loaded = scenario.load();
        let came = on_stamps(&loaded, &Options { folder: scenario.folder(), ..Options::default() });
        let all: Vec<_> = came.events.iter().map(|line| told(line)).collect();
        let rules: BTreeSet<String> = all.iter().filter_map(|(_, rule)| rule.clone()).collect();
        for name in all.into_iter().filter_map(|(name, _)| name) {
            shown.entry(name).or_default().extend(rules.iter().cloned());
        }
    }
    let mut wrong = Vec::new();
    for incident in INCIDENTS {
        let Some(rules) = shown.get(incident.name) else {
            wrong.push(format!("{} happens in no scenario of disasters/", incident.name));
            continue;
        };
        let missing = incident.rules.iter().filter(|rule| !rules.contains(**rule));
        wrong.extend(missing.map(|rule| format!("no scenario of {} takes {rule}", incident.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
