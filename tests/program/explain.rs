//! Questions to the rule table.

use super::Site;
use crate::golden;

fn explained(name: &str, word: &str, exit: i32) {
    let answer = Site::new().call(&["explain", word]);
    let said = format!("$ hvrsim explain {word}\nexit {}\n{}{}", answer.exit, answer.stdout, answer.stderr);
    assert_eq!(answer.exit, exit, "{said}");
    golden::check(&format!("explain/{name}.txt"), &said);
}

#[test]
fn a_state() {
    explained("state", "WaitingForFailback", 0);
}

#[test]
fn a_state_by_number() {
    let [number, name] = ["13", "WaitingForFailback"].map(|word| Site::new().call(&["explain", word]));
    assert_eq!(number, name);
}

#[test]
fn a_method() {
    explained("method", "InitiateFailback", 0);
    let full = Site::new().call(&["explain", "Msvm_ReplicationService.InitiateFailback"]);
    assert_eq!(full, Site::new().call(&["explain", "initiatefailback"]));
    assert_eq!(full.exit, 0);
}

#[test]
fn a_rule() {
    explained("rule", "PF-67", 0);
}

#[test]
fn a_cmdlet() {
    explained("cmdlet", "Start-VMFailover -Prepare", 0);
}

#[test]
fn a_wrong_word() {
    explained("wrong-word", "WaitingForFailbak", 2);
    explained("strange-word", "banana", 2);
}

#[test]
fn an_incident() {
    explained("incident", "replica-volume-full", 0);
}

#[test]
fn a_finding() {
    explained("finding", "test-failover-left-over", 0);
}

#[test]
fn an_event() {
    explained("event", "32086", 0);
}
