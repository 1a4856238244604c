//! The schema: fresh, valid for every shipped file, invalid for files with mistakes, and with the keys of the reader.

use std::collections::BTreeMap;
use std::fs;

use hvrsim_scenario::check::check;
use hvrsim_scenario::{Choices, Source, schema};
use serde_json::{Value, json};

use crate::golden;
use crate::root;
use crate::scenarios::shipped;

const HEADER: &str = "# yaml-language-server: $schema=";

fn value(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("it is YAML")
}

fn scenario_schema() -> Value {
    serde_json::from_str(&schema::scenario()).expect("it is JSON")
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&scenario_schema()).expect("it is a schema")
}

/// All YAML files below `scenarios/`.
fn files() -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join("scenarios")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "yaml") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn the_committed_schemas_are_fresh() {
    golden::check("../../scenarios/scenario.schema.json", &schema::scenario());
    golden::check("../../scenarios/topology.schema.json", &schema::topology());
}

#[test]
fn every_shipped_file_names_its_schema_and_is_valid() {
    for path in files() {
        let text = fs::read_to_string(&path).expect("it can be read");
        let first = text.lines().next().unwrap_or_default();
        let named =
            first.strip_prefix(HEADER).unwrap_or_else(|| panic!("{} lacks `{HEADER}`", path.display()));
        let file = path.parent().expect("it is in a folder").join(named);
        let schema: Value = serde_json::from_str(
            &fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{} names {}: {error}", path.display(), file.display())),
        )
        .expect("it is JSON");
        let validator = jsonschema::validator_for(&schema).expect("it is a schema");
        let errors: Vec<String> = validator
            .iter_errors(&value(&text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
    assert!(shipped().len() >= 8);
}

/// A scenario with something in place of one word.
fn changed(from: &str, to: &str) -> String {
    let good = fs::read_to_string(root().join("scenarios/failover/unplanned-failover.yaml"))
        .expect("it can be read");
    assert!(good.contains(from), "{from}");
    good.replacen(from, to, 1)
}

#[test]
fn mistakes_are_invalid() {
    let mistakes = [
        ("scenario:", "title:"),
        ("seed: 2", "seed: two"),
        ("links:", "link:"),
        ("rate: 10Mbit", "rate: quick"),
        ("latency: 20ms", "latency: 20"),
        ("size: 8GiB", "size: 8"),
        ("frequency: 5m", "frequency: 7m"),
        ("recovery-points: 2", "recovery-points: many"),
        ("replica: {", "replicas: {"),
        ("advance: 20m", "advance: 20 minutes"),
        ("advance: 20m", "wait: 20m"),
        ("power: lost", "power: gone"),
        ("fault: {", "note: x\n    fault: {"),
        ("expect:\n", "expect: all\n  - note:\n"),
        ("bytes: 0B", "bytes: none"),
        ("fails: {", "fail: {"),
        ("steps:", "stesp:"),
        ("health: Warning", "health: Bad"),
    ];
    let validator = validator();
    for (from, to) in mistakes {
        let text = changed(from, to);
        let Ok(found) = serde_saphyr::from_str::<Value>(&text) else { continue };
        assert!(!validator.is_valid(&found), "{to} is valid by the schema");
        let no = |path: &str| Err(format!("no file {path}"));
        let choices = Choices { params: &BTreeMap::new(), include: &no };
        let read = check(&Source::new("mistake.yaml", text), choices);
        assert!(read.scenarios.is_empty(), "{to} is taken by the reader");
    }
}

/// The keys that the reader says there are, when it meets one that nothing is near to.
fn keys_of_reader(text: &str) -> Vec<String> {
    let no = |path: &str| Err(format!("no file {path}"));
    let choices = Choices { params: &BTreeMap::new(), include: &no };
    let found = check(&Source::new("keys.yaml", text), choices).diagnostics;
    let help = found.iter().filter(|d| d.message.contains("`qqqqqqqqqqqq`")).find_map(|d| d.help.clone());
    let help = help.unwrap_or_else(|| panic!("the key is not refused: {found:?} in\n{text}"));
    let list = help.strip_prefix("its keys are ").unwrap_or_else(|| panic!("{help}"));
    let mut keys: Vec<String> = list.split(", ").map(|word| word.trim_matches('`').to_owned()).collect();
    keys.sort();
    keys
}

fn keys_of_schema(schema: &Value, name: &str) -> Vec<String> {
    let of = if name.is_empty() { schema } else { &schema["definitions"][name] };
    let properties = of["properties"].as_object().unwrap_or_else(|| panic!("{name} has no properties"));
    let mut keys: Vec<String> = properties.keys().cloned().collect();
    keys.sort();
    keys
}

/// A scenario with an unknown key at a place.
fn odd(front: &str, topology: &str, steps: &str) -> String {
    let topology = if topology.is_empty() {
        "{ hosts: { A: {}, B: {} }, links: { A-B: {} }, vms: { m: { host: A, disks: [ { size: 1GiB } ] } } }"
    } else {
        topology
    };
    format!("scenario: keys\n{front}topology: {topology}\nsteps:\n{steps}")
}

#[test]
fn the_schema_has_the_keys_of_the_reader() {
    const Q: &str = "qqqqqqqqqqqq: 1";
    let hosts = "hosts: { A: {}, B: {} }";
    let vm = |inside: &str| format!("{{ {hosts}, vms: {{ m: {{ host: A, {inside} }} }} }}");
    let step = |inside: &str| odd("", "", &format!("  - {inside}\n"));
    let cases = [
        ("", odd(&format!("{Q}\n"), "", "  - note: x\n")),
        ("Profile", odd(&format!("profile: {{ {Q} }}\n"), "", "  - note: x\n")),
        ("Never", odd(&format!("never: [ {{ {Q} }} ]\n"), "", "  - note: x\n")),
        ("Host", odd("", &format!("{{ hosts: {{ A: {{ {Q} }} }}, vms: {{}} }}"), "  - note: x\n")),
        ("Link", odd("", &format!("{{ {hosts}, links: {{ A-B: {{ {Q} }} }}, vms: {{}} }}"), "  - note: x\n")),
        ("Vm", odd("", &vm(&format!("disks: [ {{ size: 1GiB }} ], {Q}")), "  - note: x\n")),
        ("Disk", odd("", &vm(&format!("disks: [ {{ size: 1GiB, {Q} }} ]")), "  - note: x\n")),
        (
            "Replica",
            odd(
                "",
                &vm(&format!("disks: [ {{ size: 1GiB }} ], replica: {{ host: B, {Q} }}")),
                "  - note: x\n",
            ),
        ),
        (
            "Guest",
            odd(
                "",
                &vm(&format!("disks: [ {{ size: 1GiB }} ], guest: {{ churn: 1MiB/s, {Q} }}")),
                "  - note: x\n",
            ),
        ),
        ("Step", step(&format!("note: x\n    {Q}"))),
        ("Manager", step(&format!("manager: {{ failover: A/m, {Q} }}"))),
        ("Write", step(&format!("write: {{ vm: m, offset: 0B, bytes: 4KiB, {Q} }}"))),
        ("Fault", step(&format!("fault: {{ host: A, power: lost, {Q} }}"))),
        ("Repair", step(&format!("repair: {{ link: A-B, {Q} }}"))),
        ("Mark", step(&format!("mark: {{ point: A/m@-1, as: p, {Q} }}"))),
        ("Repeat", step(&format!("repeat: {{ times: 2, steps: [ {{ note: x }} ], {Q} }}"))),
        ("Fails", step(&format!("run: Stop-VM -Name m\n    host: A\n    fails: {{ code: 32775, {Q} }}"))),
        ("LostWrites", step(&format!("expect: [ {{ vm: m, lost: {{ bytes: 0B, {Q} }} }} ]"))),
    ];
    let schema = scenario_schema();
    for (name, text) in cases {
        assert_eq!(keys_of_schema(&schema, name), keys_of_reader(&text), "keys of {name}");
    }
    let all = |forms: &[&str]| {
        let mut keys: Vec<String> =
            forms.iter().flat_map(|form| keys_of_reader(&step(&form.replace('Q', Q)))).collect();
        keys.sort();
        keys.dedup();
        keys
    };
    let job = "run: Stop-VM -Name m\n    host: A\n    as: j\n  - ";
    let until = [
        format!("until: {{ vm: m, host: A, power: Running, {Q} }}"),
        format!("{job}until: {{ job: j, progress: 1, {Q} }}"),
    ];
    assert_eq!(keys_of_schema(&schema, "Until"), all(&until.each_ref().map(String::as_str)), "keys of Until");
    let expect = [
        "vm: m, host: A, power: Running",
        "lost: none, vm: m",
        "disks: identical, vm: m",
        "disk: A/m, same-as: B/m",
        "finding: split-brain, vm: m",
        "rpo: 5m, vm: m",
        "event: 32086",
    ]
    .map(|form| format!("expect: [ {{ {form}, {Q} }} ]"));
    let with_job = format!("{job}expect: [ {{ job: j, progress: 1, {Q} }} ]");
    let returned =
        "invoke: GetReplicationStatistics\n    host: A\n    with: { ComputerSystem: m }\n    as: v\n  - ";
    let with_value = format!("{returned}expect: [ {{ value: v, of: a, is: 1, {Q} }} ]");
    let forms: Vec<&str> = expect.iter().chain([&with_job, &with_value]).map(String::as_str).collect();
    assert_eq!(keys_of_schema(&schema, "Expectation"), all(&forms), "keys of Expectation");
}

/// A tool of YAML 1.1 reads such a key as true or false.
#[test]
fn no_key_is_a_boolean_elsewhere() {
    fn keys(value: &Value, found: &mut Vec<String>) {
        if let Some(properties) = value["properties"].as_object() {
            found.extend(properties.keys().cloned());
        }
        match value {
            Value::Object(map) => map.values().for_each(|value| keys(value, found)),
            Value::Array(items) => items.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    keys(&scenario_schema(), &mut found);
    assert!(found.len() > 100, "{}", found.len());
    let booleans = json!(["y", "n", "yes", "no", "on", "off", "true", "false"]);
    for key in found {
        assert!(!booleans.as_array().expect("it is a list").contains(&json!(key.to_lowercase())), "{key}");
    }
}
