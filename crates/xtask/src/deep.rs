//! The long checks, run by hand: too long for every change, and named so that a finding can be repeated.

use std::process::Command;

use anyhow::Result;

use crate::command::{self, Stop};
use crate::metadata::Metadata;
use crate::tools;

/// One long check.
struct Check {
    name: &'static str,
    what: &'static str,
    run: Run,
}

/// What a check does.
enum Run {
    /// A command of cargo with its environment.
    Cargo { args: &'static [&'static str], env: &'static [(&'static str, &'static str)] },
    /// So long on each fuzz target.
    Fuzz { each_s: u32 },
}

/// The fuzz targets, by the crate that they belong to.
const FUZZ_TARGETS: &[(&str, &str)] =
    &[("disk", "vhdx"), ("disk", "vhd"), ("disk", "hrl"), ("resync", "source"), ("resync", "target")];

const CHECKS: &[Check] = &[
    Check {
        name: "properties",
        what: "all tests with 5,000 cases for each property that does not fix its own number",
        run: Run::Cargo {
            args: &["test", "--workspace", "--locked", "--release", "--lib", "--bins", "--tests"],
            env: &[("PROPTEST_CASES", "5000")],
        },
    },
    Check {
        name: "release",
        what: "all tests as built for release: no result may depend on the build profile",
        run: Run::Cargo {
            args: &["test", "--workspace", "--locked", "--release", "--lib", "--bins", "--tests"],
            env: &[],
        },
    },
    Check {
        name: "walks",
        what: "2,000 random walks from each start over two hosts, and over three with extended replication",
        run: Run::Cargo {
            args: &["test", "--package", "hvrsim-sim", "--locked", "--release", "--test", "sim", "walks"],
            env: &[("HVRSIM_CASES", "2000")],
        },
    },
    Check {
        name: "histories",
        what: "power cuts over 20,000 histories of disk images, at every operation on a file",
        run: Run::Cargo { args: &disk_test("histories"), env: &[("HVRSIM_HISTORIES", "20000")] },
    },
    Check {
        name: "oracle",
        what: "what power cuts over 400 histories leave, read by other programs too",
        run: Run::Cargo { args: &disk_test("oracle"), env: &[("HVRSIM_HISTORIES", "400")] },
    },
    Check {
        name: "grid",
        what: "images of every kind up to 64 TiB, written here and read by other programs, and the reverse",
        run: Run::Cargo { args: &disk_test("grid"), env: &[] },
    },
    Check {
        name: "fuzz",
        what: "an hour of fuzzing: the readers of VHDX, VHD and HRL, both ends of the wire (needs a nightly tool chain)",
        run: Run::Fuzz { each_s: 720 },
    },
];

/// The disk crate's tests of one theme, the long ones included, with what they print.
const fn disk_test(theme: &'static str) -> [&'static str; 11] {
    [
        "test",
        "--package",
        "hvrsim-disk",
        "--locked",
        "--release",
        "--test",
        "disk",
        theme,
        "--",
        "--include-ignored",
        "--nocapture",
    ]
}

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
    match check.run {
        Run::Cargo { args, env } => {
            let mut cargo = command::cargo(&metadata.workspace_root, args);
            command::run(cargo.envs(env.iter().copied()), "see its output above")
        }
        Run::Fuzz { each_s } => fuzz(&metadata, each_s),
    }
}

/// Fuzzes one target after the other. What it finds on the way is kept under the target folder; the corpus in the
/// source tree stays small.
fn fuzz(metadata: &Metadata, each_s: u32) -> Result<()> {
    let programs = tools::cargo_fuzz(metadata)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path)))?;
    let found = metadata.target_directory.join("fuzz-corpus");
    for (owner, target) in FUZZ_TARGETS {
        let corpus = found.join(owner).join(target);
        std::fs::create_dir_all(&corpus)?;
        let mut cargo = Command::new("cargo");
        cargo.current_dir(metadata.workspace_root.join("crates").join(owner)).env("PATH", &path);
        cargo
            .args(["+nightly", "fuzz", "run", "--target-dir"])
            .arg(metadata.target_directory.join("fuzz").join(owner));
        cargo.arg(target).arg(corpus).arg(format!("fuzz/corpus/{target}"));
        cargo.args(["--", "-malloc_limit_mb=64", "-timeout=10", "-max_len=16384", "-print_final_stats=1"]);
        cargo.arg(format!("-max_total_time={each_s}"));
        let advice = format!("the input that did it stands under crates/{owner}/fuzz/artifacts");
        command::run(&mut cargo, &advice)?;
    }
    Ok(())
}

fn list() -> String {
    let lines: Vec<String> =
        CHECKS.iter().map(|check| format!("  {:12} {}", check.name, check.what)).collect();
    lines.join("\n")
}
