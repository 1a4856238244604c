//! `cargo xtask canaries`: the checks are checked. Each planted fault must be found; the build that has them is one of its
//! own, with the feature `canaries`.

use anyhow::Result;

use crate::command::{self, Stop};
use crate::metadata::Metadata;

/// Builds the program that plants the faults, and runs it.
pub(crate) fn canaries(words: &[&str]) -> Result<()> {
    let ([] | [_]) = words else {
        return Err(Stop::usage("usage: cargo xtask canaries [FOLDER]".to_owned()).into());
    };
    let metadata = Metadata::load()?;
    let args = [
        "run",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "hvrsim-check",
        "--features",
        "canaries",
        "--example",
        "canaries",
        "--",
    ];
    let mut cargo = command::cargo(&metadata.workspace_root, &args);
    command::run(cargo.args(words), "a check does not find what it is there for, or its trace is too long")
}
