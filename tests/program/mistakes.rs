//! Ten mistakes that a newcomer makes in the file, each answered with line, mark, what was expected and the nearest right
//! word; and all of several mistakes at once.

use super::Site;
use super::bad_input::{GOOD, with};
use crate::golden;

/// What the program says of a file.
fn said(text: &str) -> String {
    let site = Site::new();
    site.write("two-hosts.yaml", "hosts: { HV1: {} }\n");
    site.write("first.yaml", text);
    let answer = site.call(&["check", "first.yaml"]);
    assert_eq!((answer.exit, answer.stdout.as_str()), (2, ""), "{text}");
    assert_eq!(site.call(&["run", "first.yaml"]), answer, "`run` finds the same");
    answer.stderr
}

/// Which of them the schema takes, so that an editor marks nothing: what it cannot see is whether a name is one, which
/// incident happens where, and what another file or a line of PowerShell holds.
fn taken_by_the_schema<'n>(mistakes: &[(&'n str, String)]) -> Vec<&'n str> {
    let schema = serde_json::from_str(&hvrsim_scenario::schema::scenario()).expect("it is JSON");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let is_valid = |text: &str| {
        serde_saphyr::from_str(text).is_ok_and(|value: serde_json::Value| validator.is_valid(&value))
    };
    mistakes.iter().filter(|(_, text)| is_valid(text)).map(|(name, _)| *name).collect()
}

fn mistake(name: &str, text: &str) {
    let said = said(text);
    for line in ["first.yaml:", ": error: ", "^"] {
        assert!(said.contains(line), "{name} lacks `{line}`: {said}");
    }
    for word in
        ["::", "hvrsim_", "serde", "struct", "variant", "Option", "Some(", "None)", "untagged", "u64", "Node"]
    {
        assert!(!said.contains(word), "{name} names an internal type, `{word}`: {said}");
    }
    golden::check(&format!("mistakes/{name}.txt"), &said);
}

/// The good scenario with another first step.
fn step(lines: &str) -> String {
    with("  - advance: 10m\n", lines)
}

#[test]
fn ten_mistakes_of_newcomers() {
    let mistakes = [
        ("1-tab", with("      host: HV1\n", "\thost: HV1\n")),
        ("2-misspelt-key", with("frequency: 5m", "frequncy: 5m")),
        ("3-map-for-a-list", step("  - expect:\n      vm: web01\n      host: HV1\n      power: Running\n")),
        ("4-two-actions-in-a-step", step("  - advance: 10m\n    note: a short wait\n")),
        ("5-on-which-host", step("  - run: Stop-VM -Name web01\n")),
        ("6-time-without-a-unit", step("  - advance: 600\n")),
        (
            "7-parameter-inside-of-a-text",
            format!("params: {{ vm: web01 }}\n{}", step("  - host: HV1\n    run: Stop-VM -Name ${vm}\n")),
        ),
        ("8-misspelt-state", step("  - until: { vm: web01, host: HV1, replication: Replicatng }\n")),
        (
            "9-time-out-beside-until",
            step("  - until: { vm: web01, host: HV1, health: Normal }\n    timeout: 2h\n"),
        ),
        ("10-misspelt-machine", with("Stop-VM -Name web01", "Stop-VM -Name web1")),
        ("11-misspelt-incident", step("  - fault: { incident: replica-volume-ful, at: HV2 }\n")),
        ("12-incident-elsewhere", step("  - fault: { incident: replica-volume-full, at: HV2/web01 }\n")),
        ("13-incident-that-does-not-last", step("  - repair: { incident: primary-host-crash, at: HV1 }\n")),
        (
            "14-incident-with-a-rate",
            step("  - fault: { incident: disk-missing, at: HV1/web01, rate: 1Mbit }\n"),
        ),
        ("15-misspelt-finding", step("  - expect: [ { finding: split-brian, vm: web01 } ]\n")),
        ("16-unknown-event", step("  - expect: [ { event: 32085 } ]\n")),
    ];
    for (name, text) in &mistakes {
        mistake(name, text);
    }
    assert_eq!(
        taken_by_the_schema(&mistakes),
        [
            "5-on-which-host",
            "7-parameter-inside-of-a-text",
            "10-misspelt-machine",
            "12-incident-elsewhere",
            "13-incident-that-does-not-last",
            "14-incident-with-a-rate",
        ]
    );
}

#[test]
fn mistakes_of_the_new_keys() {
    let topology = "topology:\n  include: two-host.yaml\n";
    let mistakes = [
        ("unknown-parameter", with("frequency: 5m", "frequency: \"${frequncy}\"")),
        (
            "matrix-without-a-list",
            format!("matrix: {{ frequency: 5m }}\n{}", with("5m }", "\"${frequency}\" }")),
        ),
        (
            "matrix-with-a-wrong-value",
            format!("matrix: {{ f: [ 5m, 7m ] }}\n{}", with("frequency: 5m", "frequency: \"${f}\"")),
        ),
        ("included-file-is-missing", with("topology:\n", topology)),
        ("included-name-twice", with("topology:\n", &topology.replace("host.yaml", "hosts.yaml"))),
        ("never-what", format!("never: [ runing-on-both ]\n{GOOD}")),
        ("never-without-a-time", format!("never: [ unprotected-longer-than ]\n{GOOD}")),
        ("bare-disk", with("disks: [ { size: 8GiB, used: 32MiB } ]", "disks: [ 8GiB ]")),
        ("bare-replica", with("replica: { host: HV2, frequency: 5m }", "replica: HV2")),
        ("bare-loss", step("  - expect: [ { lost: 16MiB, vm: web01 } ]\n")),
        ("misspelt-expectation", step("  - expect: [ { loss: none, vm: web01 } ]\n")),
        ("unknown-value", step("  - expect: [ { value: statistics, of: ReplicationHealth, is: 1 } ]\n")),
        ("never-too-young", format!("never: [ {{ rpo: \"< 5m\" }} ]\n{GOOD}")),
        ("golden-elsewhere", format!("golden: /etc/hosts\n{GOOD}")),
        ("golden-over-the-file", format!("golden: first.yaml\n{GOOD}")),
        ("repeat-never", step("  - repeat: { times: 0, steps: [ { advance: 5m } ] }\n")),
        ("one-operator", step("  - parallel: { north: [ { advance: 5m } ] }\n")),
        ("within-a-note", step("  - note: a word\n    within: 5m\n")),
        ("preset", with("frequency: 5m }", "state: failedover }")),
        ("several-at-once", {
            let text = with("frequency: 5m", "frequncy: 5m").replace("advance: 10m", "advance: 600");
            text.replace("Stop-VM", "Halt-VM").replace("size: 8GiB", "size: 8Gib")
        }),
    ];
    for (name, text) in &mistakes {
        mistake(name, text);
    }
    assert_eq!(
        taken_by_the_schema(&mistakes),
        [
            "unknown-parameter",
            "matrix-with-a-wrong-value",
            "included-file-is-missing",
            "included-name-twice",
            "unknown-value",
            "within-a-note",
        ]
    );
}
