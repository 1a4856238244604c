//! `run`: the timeline, red ends, several scenarios.

use super::Site;
use super::bad_input::with;
use crate::golden;

#[test]
fn the_timeline_of_a_failback() {
    let answer = Site::with("failback.yaml").call(&["run", "failback.yaml"]);
    assert_eq!((answer.exit, answer.stderr.as_str()), (0, ""), "{}", answer.stdout);
    golden::check("run/failback.txt", &answer.stdout);
}

/// A red end names the place, what was expected and what was found.
fn red(name: &str, steps: &str) {
    let site = Site::new();
    site.write("red.yaml", with("  - advance: 10m\n", steps));
    let answer = site.call(&["run", "red.yaml", "--quiet"]);
    assert_eq!(answer.exit, 1, "{}", answer.stdout);
    assert!(answer.stderr.starts_with("red.yaml:"), "{}", answer.stderr);
    let said = format!("exit {}\n{}{}", answer.exit, answer.stderr, answer.stdout);
    golden::check(&format!("run/{name}.txt"), &said);
}

#[test]
fn an_expectation_that_is_not_met() {
    red(
        "red-expectation",
        "  - expect:\n      - { vm: web01, host: HV2, mode: Replica, replication: FailedOver, power: Running }\n",
    );
}

#[test]
fn a_refusal_that_nobody_expected() {
    red("red-refusal", "  - host: HV2\n    run: Start-VMFailover -VMName web01 -Prepare -Confirm:$false\n");
}

#[test]
fn an_expected_refusal_that_does_not_come() {
    red("red-accepted", "  - host: HV1\n    run: Stop-VM -Name web01\n    fails: { code: 32775 }\n");
}

#[test]
fn another_refusal_than_the_expected() {
    let call =
        "    run: Start-VMFailover -VMName web01 -Prepare -Confirm:$false\n    fails: { rule: PF-69 }\n";
    red("red-other-rule", &format!("  - host: HV1\n{call}"));
}

#[test]
fn waiting_in_vain() {
    red("red-until", "  - until: { vm: web01, host: HV1, replication: Error, timeout: 1h }\n");
}

#[test]
fn a_loss_that_was_not_expected() {
    red(
        "red-loss",
        "  - write: { vm: web01, offset: 1GiB, bytes: 4MiB, tag: orders }\n  - fault: { host: HV1, power: lost }\n\
         \x20 - host: HV2\n    run: |\n      Start-VMFailover -VMName web01 -Confirm:$false\n\
         \x20     Complete-VMFailover -VMName web01 -Confirm:$false\n  - expect:\n      - { lost: none, vm: web01 }\n",
    );
}

#[test]
fn several_are_a_line_each() {
    let site = Site::with("failback.yaml");
    let red = "  - expect:\n      - { vm: web01, host: HV1, health: Critical }\n";
    site.write("red.yaml", with("  - advance: 10m\n", red));
    site.write("wrong.yaml", with("advance: 10m", "advance: soon"));
    let answer = site.call(&["run", "failback.yaml", "red.yaml", "wrong.yaml"]);
    assert_eq!(answer.exit, 2, "the worst decides: {}", answer.stderr);
    golden::check("run/several.txt", &format!("{}{}", answer.stdout, answer.stderr));
    assert_eq!(answer.stdout.lines().count(), 2, "{}", answer.stdout);
    assert_eq!(site.call(&["run", "failback.yaml", "red.yaml"]).exit, 1);
}
