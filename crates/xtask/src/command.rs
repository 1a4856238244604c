//! Running other programs, and how a task ends when it does not succeed.

use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// An end with an exit code of its own.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) code: u8,
    pub(crate) text: String,
}

impl Stop {
    pub(crate) fn usage(text: String) -> Stop {
        Stop { code: 2, text }
    }

    pub(crate) fn environment(text: String) -> Stop {
        Stop { code: 3, text }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Stop {}

/// 2 for a wrong call, 3 for a lacking environment, 1 for a failed check: as `hvrsim` itself does.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<Stop>().map_or(1, |stop| stop.code)
}

/// The cargo that runs us, so that a pinned tool chain stays pinned.
pub(crate) fn cargo(root: &Path, args: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root).args(args);
    command
}

/// Runs a command to its end with our own output; `advice` tells what to do when it fails.
pub(crate) fn run(command: &mut Command, advice: &str) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status}): {advice}");
    }
    Ok(())
}

/// Runs a command, passes on each line of one of its outputs, and gives back those that `keep` chooses.
pub(crate) fn run_keeping(
    command: &mut Command,
    output: Output,
    keep: fn(&str) -> bool,
    advice: &str,
) -> Result<Vec<String>> {
    let shown = shown(command);
    match output {
        Output::Stdout => command.stdout(Stdio::piped()),
        Output::Stderr => command.stderr(Stdio::piped()),
    };
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let kept = match (child.stdout.take(), child.stderr.take()) {
        (Some(pipe), _) => pass_on(BufReader::new(pipe), keep)?,
        (None, Some(pipe)) => pass_on(BufReader::new(pipe), keep)?,
        (None, None) => Vec::new(),
    };
    let status = child.wait()?;
    if !status.success() {
        bail!("`{shown}` failed ({status}): {advice}");
    }
    Ok(kept)
}

/// Which output of a program [`run_keeping`] reads.
#[derive(Clone, Copy)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

fn pass_on(lines: impl BufRead, keep: fn(&str) -> bool) -> Result<Vec<String>> {
    let mut kept = Vec::new();
    for line in lines.lines() {
        let line = line?;
        println!("{line}");
        if keep(&line) {
            kept.push(line.trim().to_owned());
        }
    }
    Ok(kept)
}

/// Whether a program of this name can be started.
pub(crate) fn found(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// What a command prints, when it succeeds.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed ({})", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed bytes that are not UTF-8"))
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
