//! What the language can say, through the program.

use super::Site;
use super::bad_input::{GOOD, with};
use crate::golden;

/// The good scenario with other steps, and keys in front.
fn scenario(front: &str, steps: &str) -> String {
    let (head, _) = GOOD.split_once("steps:\n").expect("it has steps");
    format!("{front}{head}steps:\n{steps}")
}

/// Runs it; gives back exit code and both outputs, and holds them against a golden.
fn run(name: &str, text: &str, exit: i32) -> String {
    let site = Site::new();
    site.write("scenario.yaml", text);
    let answer = site.call(&["run", "scenario.yaml"]);
    let said = format!("{}{}", answer.stdout, answer.stderr);
    assert_eq!(answer.exit, exit, "{name}: {said}");
    golden::check(&format!("language/{name}.txt"), &said);
    said
}

const SPLIT: &str = "  - fault: { host: HV1, power: lost }\n  - host: HV2\n    run: |\n      \
    Start-VMFailover -VMName web01 -Confirm:$false\n      Start-VM -Name web01\n  - fault: { host: HV1, power: back }\n";

#[test]
fn running_on_both_is_seen_at_its_event() {
    let steps =
        format!("{SPLIT}  - host: HV1\n    run: Start-VM -Name web01\n  - note: this is not reached\n");
    let said = run("never-running-on-both", &scenario("never: [ running-on-both ]\n", &steps), 1);
    assert!(said.contains("web01 runs on HV1 and on HV2"), "{said}");
    assert!(!said.contains("this is not reached\n  +"), "{said}");
}

#[test]
fn being_unprotected_is_limited() {
    let steps = format!("{SPLIT}  - advance: 3h\n");
    let front = "never:\n  - unprotected-longer-than: 1h\n";
    let said = run("never-unprotected", &scenario(front, &steps), 1);
    assert!(said.contains("web01 has not been protected for 1h"), "{said}");
    run("never-kept", &scenario(front, "  - advance: 3h\n"), 0);
}

#[test]
fn the_rpo_is_limited() {
    let front = "never: [ { rpo: \"> 15m\", vm: web01 } ]\n";
    let said =
        run("never-rpo", &scenario(front, "  - fault: { link: HV1-HV2, cut: 2h }\n  - advance: 2h\n"), 1);
    assert!(said.contains("RPO of web01: must never be > 15m, found 15m"), "{said}");
    run(
        "rpo-kept",
        &scenario(front, "  - advance: 2h\n  - expect: [ { vm: web01, rpo: 6m, protected: true } ]\n"),
        0,
    );
}

#[test]
fn cleanup_is_carried_out_in_any_case() {
    let cleanup =
        "cleanup:\n  - expect: [ { vm: web01, host: HV1, health: Critical } ]\n  - note: the last word\n";
    let red = "  - expect: [ { vm: web01, host: HV1, power: \"Off\" } ]\n";
    let said = run("cleanup-after-red", &scenario(cleanup, red), 1);
    assert!(said.contains("the last word"), "{said}");
    assert_eq!(said.matches(": error: ").count(), 2, "the step's failure and that of the cleanup: {said}");
}

#[test]
fn a_step_has_a_time_limit() {
    let wait = "  - until: { vm: web01, host: HV2, mode: Replica, replication: FailedOver, timeout: 1m }\n";
    let steps = |within: &str| {
        format!("  - within: {within}\n    repeat:\n      times: 3\n      steps: [ {{ advance: 4m }} ]\n")
    };
    run("within-met", &scenario("", &steps("12m")), 0);
    let said = run("within-missed", &scenario("", &steps("11m")), 1);
    assert!(said.contains("this took 12m, at most 11m was allowed"), "{said}");
    let said = run("until-time-out", &scenario("", wait), 1);
    assert!(said.contains("not within 1m"), "{said}");
}

#[test]
fn presets_are_built_by_ordinary_operations() {
    for (preset, home, away) in [
        ("suspended", "Suspended", "Replicating"),
        ("prepared-for-failover", "PreparedForFailover", "Replicating"),
        ("failed-over-waiting-completion", "PreparedForFailover", "FailedOverWaitingCompletion"),
        ("failed-over", "PreparedForFailover", "FailedOver"),
        ("reversed", "Replicating", "Replicating"),
    ] {
        let text = with("frequency: 5m }", &format!("state: {preset} }}"));
        let (head, _) = text.split_once("steps:\n").expect("it has steps");
        let steps = format!(
            "steps:\n  - expect:\n      - {{ vm: web01, host: HV1, replication: {home} }}\n      \
             - {{ vm: web01, host: HV2, replication: {away} }}\n"
        );
        let site = Site::new();
        site.write("scenario.yaml", format!("{head}{steps}"));
        let answer = site.call(&["run", "scenario.yaml"]);
        assert_eq!(answer.exit, 0, "{preset}: {}{}", answer.stdout, answer.stderr);
        assert!(answer.stdout.contains("  > "), "the operations stand in the timeline: {}", answer.stdout);
    }
}

#[test]
fn findings_and_points_are_expected_or_not() {
    let steps = "  - advance: 2h10m\n  - expect:\n      - { not: split-brain, vm: web01 }\n      \
                 - { vm: web01, host: HV2, recovery-points: \">= 1\" }\n      - { vm: web01, host: HV2, recovery-points: \"> 9\" }\n";
    let text = scenario("", steps).replace("frequency: 5m", "frequency: 5m, recovery-points: 1");
    let said = run("points", &text, 1);
    assert!(said.contains("recovery points of web01 on HV2: expected > 9, found"), "{said}");
}

#[test]
fn what_a_method_returns_is_named_and_expected() {
    let steps = |expected: &str| {
        format!(
            "  - advance: 20m\n  - invoke: Msvm_ReplicationService.GetReplicationStatistics\n    host: HV1\n    \
             with: {{ ComputerSystem: web01 }}\n    as: statistics\n  - expect:\n{expected}"
        )
    };
    let entry = |of: &str, is: &str| {
        format!("      - {{ value: statistics, of: \"ReplicationStatistics[0].{of}\", is: {is} }}\n")
    };
    let held = [
        entry("ReplicationHealth", "1"),
        entry("replicationsuccesscount", "\">= 3\""),
        entry("LastTestFailoverTime", "\"Null\""),
    ];
    run("value", &scenario("", &steps(&held.concat())), 0);
    let other = [
        entry("ReplicationHealth", "3"),
        entry("PendingReplicationSiez", "0"),
        entry("EndStatisticTime", "\"> 5\""),
    ];
    let said = run("value-other", &scenario("", &steps(&other.concat())), 1);
    for part in [
        "ReplicationStatistics[0].ReplicationHealth: expected 3, found 1",
        "was not returned; did you mean `ReplicationStatistics[0].PendingReplicationSize`?",
        "expected > 5, found 2026",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn operators_wait_for_themselves_only() {
    let steps = "  - parallel:\n      slow: [ { advance: 10m }, { note: slow is back } ]\n      \
                 quick: [ { advance: 1m }, { note: quick is back }, { advance: 1m }, { note: quick again } ]\n";
    let said = run("parallel", &scenario("", steps), 0);
    let at = |word: &str| said.find(&format!("  {word}")).unwrap_or_else(|| panic!("{word}: {said}"));
    assert!(at("quick is back") < at("quick again") && at("quick again") < at("slow is back"), "{said}");
}
