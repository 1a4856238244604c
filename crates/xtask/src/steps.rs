//! `cargo xtask ci`: the table of steps, and the loop that runs them and stops at the first failure.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{self, Output, Stop, exit_code};
use crate::metadata::Metadata;
use crate::{audit, files, layers, scenarios, tools, walls};

/// What a step may use.
struct Site {
    metadata: Metadata,
    /// Whether missing tools may be installed by a user who is not root.
    install: bool,
}

/// One step: its name on the command line, what it checks, and how. It gives back what is worth telling.
struct Step {
    name: &'static str,
    heading: &'static str,
    run: fn(&Site) -> Result<String>,
}

const STEPS: &[Step] = &[
    Step {
        name: "tools",
        heading: "outside tools that tests need",
        run: |site| tools::provide(&site.metadata, site.install),
    },
    Step { name: "fmt", heading: "formatting", run: fmt },
    Step { name: "clippy", heading: "lints", run: clippy },
    Step { name: "audit", heading: "dependencies: licences, sources, duplicates", run: audit_dependencies },
    Step { name: "layers", heading: "crates use lower crates only", run: crate_layers },
    Step { name: "files", heading: "source tree: nothing stray, too long or unfinished", run: source_tree },
    Step { name: "walls", heading: "determinism walls", run: |site| walls::check(&site.metadata) },
    Step { name: "test", heading: "tests", run: tests },
    Step { name: "doctest", heading: "examples in the documentation", run: doc_tests },
    Step {
        name: "scenarios",
        heading: "shipped scenarios on both stores",
        run: |site| scenarios::run_all(&site.metadata),
    },
    Step {
        name: "explore",
        heading: "every situation of small worlds, every rule at some time",
        run: explored,
    },
    Step { name: "benches", heading: "one round of every benchmark", run: benches },
];

/// Runs the named steps, or all.
pub(crate) fn ci(words: &[&str]) -> Result<()> {
    let (flags, names): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('-'));
    if let Some(flag) = flags.iter().find(|flag| **flag != "--install") {
        return Err(Stop::usage(format!("`cargo xtask ci` knows no option `{flag}`")).into());
    }
    if let Some(name) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        return Err(Stop::usage(format!("there is no step `{name}`, only\n{}", list())).into());
    }
    let chosen: Vec<&Step> =
        STEPS.iter().filter(|step| names.is_empty() || names.contains(&step.name)).collect();
    let site = Site { metadata: Metadata::load()?, install: !flags.is_empty() };
    let start = Instant::now();
    for (index, step) in chosen.iter().enumerate() {
        println!("\n== {}/{} {}: {}", index + 1, chosen.len(), step.name, step.heading);
        if let Err(error) = run(step, &site) {
            eprintln!("\n{error:#}");
            let text =
                format!("{index} steps passed, 1 failed: `cargo xtask ci {}` repeats it alone", step.name);
            return Err(Stop { code: exit_code(&error), text }.into());
        }
    }
    println!("\nall in {}\n{} steps passed, 0 failed", seconds(start.elapsed()), chosen.len());
    Ok(())
}

fn run(step: &Step, site: &Site) -> Result<()> {
    let start = Instant::now();
    let told = (step.run)(site);
    let elapsed = seconds(start.elapsed());
    match &told {
        Ok(text) => println!("   {text} ({elapsed})"),
        Err(_) => println!("   failed ({elapsed})"),
    }
    told.map(drop)
}

/// The table as lines for a reader.
pub(crate) fn list() -> String {
    let lines: Vec<String> =
        STEPS.iter().map(|step| format!("  {:10} {}", step.name, step.heading)).collect();
    lines.join("\n")
}

fn seconds(elapsed: Duration) -> String {
    format!("{}.{} s", elapsed.as_secs(), elapsed.subsec_millis() / 100)
}

fn cargo(site: &Site, args: &[&str], advice: &str) -> Result<()> {
    command::run(&mut command::cargo(&site.metadata.workspace_root, args), advice)
}

fn fmt(site: &Site) -> Result<String> {
    cargo(site, &["fmt", "--all", "--check"], "run `cargo fmt --all`")?;
    Ok("formatted".to_owned())
}

fn clippy(site: &Site) -> Result<String> {
    let args = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    cargo(site, &args, "mend what it reports above")?;
    Ok("no lint fires".to_owned())
}

fn audit_dependencies(site: &Site) -> Result<String> {
    none(&audit::findings(&site.metadata)?, "dependencies")?;
    Ok(format!("{} packages", site.metadata.packages.len()))
}

fn crate_layers(site: &Site) -> Result<String> {
    none(&layers::findings(&site.metadata), "the crates' layers")?;
    Ok(format!("{} crates of our own", site.metadata.members().count()))
}

fn source_tree(site: &Site) -> Result<String> {
    none(&files::findings(&site.metadata)?, "the source tree")?;
    Ok("tidy".to_owned())
}

fn none(found: &[String], about: &str) -> Result<()> {
    if !found.is_empty() {
        bail!("{} findings about {about}:\n  {}", found.len(), found.join("\n  "));
    }
    Ok(())
}

/// Every run of the suite draws the same samples of properties: a change is judged by what it does, not by its luck.
/// `cargo test` and `cargo xtask deep properties` draw new ones each time.
const SAMPLES: (&str, &str) = ("PROPTEST_RNG_SEED", "20260701");

fn tests(site: &Site) -> Result<String> {
    let advice = "mend the tests that failed above";
    let (seed, number) = SAMPLES;
    let root = &site.metadata.workspace_root;
    if command::found("cargo-nextest") {
        let args = ["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--status-level", "slow"];
        let summary = |line: &str| line.trim_start().starts_with("Summary");
        let kept = command::run_keeping(
            command::cargo(root, &args).env(seed, number),
            Output::Stderr,
            summary,
            advice,
        )?;
        return kept.last().cloned().context("nextest ended without a summary: did any test run?");
    }
    let args = ["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"];
    let summary = |line: &str| line.starts_with("test result:");
    let kept =
        command::run_keeping(command::cargo(root, &args).env(seed, number), Output::Stdout, summary, advice)?;
    Ok(format!("{} tests passed in {} binaries", passed(&kept), kept.len()))
}

/// The sum over the closing lines of test binaries: `test result: ok. 19 passed; 0 failed; ...`.
fn passed(closing: &[String]) -> u64 {
    let numbers = closing
        .iter()
        .filter_map(|line| line.split(" passed").next()?.rsplit(' ').next()?.parse::<u64>().ok());
    numbers.sum()
}

fn doc_tests(site: &Site) -> Result<String> {
    cargo(
        site,
        &["test", "--doc", "--workspace", "--locked", "--quiet"],
        "mend the examples that failed above",
    )?;
    Ok("examples hold".to_owned())
}

/// Spaces that are visited to their end, and those that are begun for rules that only they take.
const SPACES: &str = "runbooks,resync,faults,begin,days,test,failed-back,r2012,third,all,chain-all";

fn explored(site: &Site) -> Result<String> {
    cargo(
        site,
        &["build", "--release", "--locked", "--package", "hvrsim-cli"],
        "see the compiler's output above",
    )?;
    let program = site.metadata.target_directory.join("release").join("hvrsim");
    let mut command = Command::new(program);
    command.args(["explore", "--sometimes", "--space", SPACES]);
    let summary = |line: &str| line.contains(" situations, ");
    let kept = command::run_keeping(&mut command, Output::Stdout, summary, "see the traces above")?;
    let count = |line: &String| line.split(' ').nth(1)?.parse::<u64>().ok();
    Ok(format!("{} situations", kept.iter().filter_map(count).sum::<u64>()))
}

fn benches(site: &Site) -> Result<String> {
    if !site.metadata.has("hvrsim-benches") {
        return Ok("skipped: the package hvrsim-benches does not exist yet".to_owned());
    }
    let args = ["bench", "--package", "hvrsim-benches", "--locked", "--", "--test"];
    cargo(site, &args, "mend the benchmark that failed above")?;
    Ok("every benchmark runs".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{STEPS, ci, exit_code, passed};

    #[test]
    fn steps_have_names_of_their_own() {
        let mut names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }

    #[test]
    fn closing_lines_add_up() {
        let lines = [
            "test result: ok. 19 passed; 0 failed; 1 ignored",
            "test result: ok. 3 passed; 0 failed; 0 ignored",
        ];
        assert_eq!(passed(&lines.map(str::to_owned)), 22);
    }

    #[test]
    fn a_wrong_call_is_told_before_anything_runs() {
        for words in [["--instal"], ["formatting"]] {
            assert_eq!(exit_code(&ci(&words).unwrap_err()), 2);
        }
    }
}
