//! Processes agree byte for byte, whatever their surroundings.

use std::fs;

use super::{Site, answer};
use crate::root;

/// The event log of a run of `failback.yaml` in another process.
fn log(args: &[&str], environment: &[(&str, &str)]) -> String {
    let site = Site::new();
    let scenario = root().join("scenarios/failback.yaml");
    let mut command = site.command(&["run", "--quiet", "--events", "log.jsonl"]);
    command.args(args).arg(scenario).envs(environment.iter().copied());
    let answer = answer(&mut command);
    assert_eq!((answer.exit, answer.stderr.as_str()), (0, ""), "{}", answer.stdout);
    String::from_utf8(site.read("log.jsonl")).expect("it is text")
}

#[test]
fn neither_surroundings_nor_store_matter() {
    let usual = log(&[], &[]);
    let far = [
        ("TZ", "Pacific/Kiritimati"),
        ("LANG", "tr_TR.UTF-8"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("HOME", "/nowhere"),
        ("COLUMNS", "20"),
        ("CLICOLOR_FORCE", "1"),
    ];
    assert!(usual == log(&[], &far), "the surroundings show in the log");
    assert!(usual == log(&["--store", "images"], &[]), "the store shows in the log");
    assert!(usual == log(&["--seed", "7"], &[]), "the scenario's own seed, given, shows in the log");
    assert!(usual != log(&["--seed", "8"], &[]), "another seed gives the same log");

    let footer: serde_json::Value =
        serde_json::from_str(usual.lines().last().expect("it has lines")).expect("it is JSON");
    let digest = footer["digest"].as_str().expect("it has a digest");
    let recorded = fs::read_to_string(root().join("tests/goldens/digests.txt")).expect("it is recorded");
    let line = recorded.lines().find(|line| line.ends_with(" failback.yaml")).expect("it is recorded");
    assert!(line.starts_with(digest), "the program gives {digest}, the library gave {line}");
}

#[test]
fn output_is_the_same_in_every_process() {
    let site = Site::with("failback.yaml");
    let one = site.call(&["run", "failback.yaml"]);
    let other = answer(site.command(&["run", "failback.yaml"]).env("TZ", "America/Caracas"));
    assert_eq!(one, other);
}
