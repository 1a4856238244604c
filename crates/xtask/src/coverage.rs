//! Which rules of the life cycle the test suite takes, and which the shipped scenarios.
//!
//! The rules are those of `docs/reference/rules.md`, which a test keeps fresh. Scenarios tell in their event logs what
//! they took; the tests of `hvrsim-sim` tell by its feature `coverage`. A test of `tests/` runs every shipped scenario, so
//! what they take the suite takes, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command;
use crate::metadata::Metadata;

/// So many of a hundred rules must be taken.
const BY_THE_SUITE: usize = 100;
const BY_SCENARIOS: usize = 80;

/// `cargo xtask coverage`
pub(crate) fn coverage(arguments: &[&str]) -> Result<()> {
    if let [other, ..] = arguments {
        bail!(command::Stop::usage(format!("coverage takes no argument, found `{other}`")));
    }
    let metadata = Metadata::load()?;
    let root = &metadata.workspace_root;
    let all = rules(&root.join("docs/reference/rules.md"))?;
    let work = metadata.target_directory.join("xtask").join("coverage");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("cannot empty {}", work.display()))?;
    }
    fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
    let scenarios = by_scenarios(root, &work)?;
    let mut suite = by_tests(root, &work)?;
    suite.extend(scenarios.iter().cloned());
    let enough = [
        told("the test suite", &all, &suite, BY_THE_SUITE),
        told("the shipped scenarios", &all, &scenarios, BY_SCENARIOS),
    ];
    if enough.contains(&false) {
        bail!("too few rules are taken");
    }
    Ok(())
}

/// The ids in the first column of the page.
fn rules(page: &Path) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let id = |line: &str| {
        let cell = line.strip_prefix("| ")?.split(" | ").next()?;
        let (group, number) = cell.split_once('-')?;
        let fits = group.chars().all(|c| c.is_ascii_uppercase()) && !number.is_empty();
        fits.then(|| cell.to_owned())
    };
    let found: BTreeSet<String> = text.lines().filter_map(id).collect();
    if found.is_empty() {
        bail!("{} holds no rules: `cargo xtask docs` writes it", page.display());
    }
    Ok(found)
}

fn by_scenarios(root: &Path, work: &Path) -> Result<BTreeSet<String>> {
    let logs = work.join("logs");
    let mut run =
        command::cargo(root, &["run", "--locked", "--quiet", "--package", "hvrsim-cli", "--", "run", "-q"]);
    run.arg("scenarios").arg("--events").arg(&logs);
    // A lesson's broken half is red by intent; whether scenarios come out as they should is another step's question.
    let _red = run.status().context("cannot start cargo")?;
    let mut taken = BTreeSet::new();
    for entry in fs::read_dir(&logs).with_context(|| format!("cannot list {}", logs.display()))? {
        let text = fs::read_to_string(entry?.path())?;
        for line in text.lines() {
            let record: Value = serde_json::from_str(line)?;
            let what = &record["what"];
            let rule = what["Note"]["Rule"]["rule"].as_str().or_else(|| what["Refused"]["rule"].as_str());
            taken.extend(rule.map(str::to_owned));
        }
    }
    Ok(taken)
}

fn by_tests(root: &Path, work: &Path) -> Result<BTreeSet<String>> {
    let file = work.join("suite.txt");
    let mut test = command::cargo(
        root,
        &[
            "test",
            "--locked",
            "--quiet",
            "--package",
            "hvrsim-sim",
            "--features",
            "coverage",
            "--test",
            "sim",
        ],
    );
    test.env("HVRSIM_COVERAGE", &file);
    command::run(&mut test, "see the tests' output above")?;
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Tells how many rules were taken, and whether they are enough.
fn told(by: &str, all: &BTreeSet<String>, taken: &BTreeSet<String>, wanted: usize) -> bool {
    let missing: Vec<&str> = all.difference(taken).map(String::as_str).collect();
    let count = all.len() - missing.len();
    println!("{by}: {count} of {} rules ({} %)", all.len(), count * 100 / all.len().max(1));
    if !missing.is_empty() {
        println!("  not taken: {}", missing.join(", "));
    }
    count * 100 >= wanted * all.len()
}
