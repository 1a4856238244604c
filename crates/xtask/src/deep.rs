//! The long checks, run by hand: too long for every change, and named so that a finding can be repeated.

use anyhow::Result;

use crate::command::{self, Stop};
use crate::metadata::Metadata;

/// One long check: a command of cargo with its environment.
struct Check {
    name: &'static str,
    what: &'static str,
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

const CHECKS: &[Check] = &[
    Check {
        name: "properties",
        what: "all tests with 5,000 cases for each property that does not fix its own number",
        args: &["test", "--workspace", "--locked", "--release", "--lib", "--bins", "--tests"],
        env: &[("PROPTEST_CASES", "5000")],
    },
    Check {
        name: "release",
        what: "all tests as built for release: no result may depend on the build profile",
        args: &["test", "--workspace", "--locked", "--release", "--lib", "--bins", "--tests"],
        env: &[],
    },
];

/// Runs the named check, or lists them all.
pub(crate) fn deep(words: &[&str]) -> Result<()> {
    let [name] = words else {
        println!("long checks, run one with `cargo xtask deep NAME`:\n{}", list());
        return Ok(());
    };
    let Some(check) = CHECKS.iter().find(|check| check.name == *name) else {
        return Err(Stop::usage(format!("there is no long check `{name}`, only\n{}", list())).into());
    };
    let metadata = Metadata::load()?;
    let mut cargo = command::cargo(&metadata.workspace_root, check.args);
    cargo.envs(check.env.iter().copied());
    command::run(&mut cargo, "see its output above")
}

fn list() -> String {
    let lines: Vec<String> =
        CHECKS.iter().map(|check| format!("  {:12} {}", check.name, check.what)).collect();
    lines.join("\n")
}
