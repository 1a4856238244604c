//! `hvrsim disk`: virtual disk images, looked at, made, changed.
//!
//! ```text
//!   look     info, check, map, log
//!   make     create, convert, snapshot
//!   change   merge, resize
//!   compare  two disks
//!   size     sizes as people write them
//! ```

mod change;
mod compare;
mod look;
mod make;
mod size;

use std::io::IsTerminal;
use std::path::Path;

use hvrsim_disk::{Error, ErrorKind, Seed};
use indicatif::{ProgressBar, ProgressStyle};

use crate::Exit;

/// Arguments of `disk`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// What the files of an image say of themselves, the parents included
    Info(look::Info),
    /// Whether an image and its parents are sound; exit code 1 when not
    Check(look::Check),
    /// Create an empty disk; the format follows from the file's ending
    Create(make::Create),
    /// Copy an image into another format; what is zero takes no space, a chain becomes one file
    Convert(make::Convert),
    /// Compare what two disks hold, whatever their formats; exit code 1 when they differ
    Compare(compare::Arguments),
    /// Where the content of each range comes from, without reading it
    Map(look::Map),
    /// Create a differencing file over an image
    Snapshot(make::Snapshot),
    /// Merge a differencing file into its parent, and remove it
    Merge(change::Merge),
    /// Give a disk another size, in place
    Resize(change::Resize),
    /// What a change log (.hrl) holds
    Log(look::Log),
}

/// Why a command ends without having done its work.
struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    fn input(message: impl Into<String>) -> Self {
        Self { exit: Exit::Input, message: message.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Io | ErrorKind::NoSpace | ErrorKind::ReadOnly => Exit::Environment,
            _ => Exit::Input,
        };
        Self { exit, message: error.to_string() }
    }
}

pub(crate) fn disk(arguments: &Arguments) -> Exit {
    let done = match &arguments.command {
        Command::Info(arguments) => look::info(arguments),
        Command::Check(arguments) => look::check(arguments),
        Command::Create(arguments) => make::create(arguments),
        Command::Convert(arguments) => make::convert(arguments),
        Command::Compare(arguments) => compare::compare(arguments),
        Command::Map(arguments) => look::map(arguments),
        Command::Snapshot(arguments) => make::snapshot(arguments),
        Command::Merge(arguments) => change::merge(arguments),
        Command::Resize(arguments) => change::resize(arguments),
        Command::Log(arguments) => look::log(arguments),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("error: {}", failure.message);
        failure.exit
    })
}

/// A seed for the identifiers of a file: another one at every call, since two disks must never share one.
fn seed(path: &Path) -> Seed {
    use std::hash::BuildHasher;
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.as_os_str().as_encoded_bytes());
    // The standard library's hash keys are random.
    for _ in 0..4 {
        hasher.update(&std::hash::RandomState::new().hash_one(std::process::id()).to_le_bytes());
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    hasher.update(&now.unwrap_or_default().as_nanos().to_le_bytes());
    Seed::new(*hasher.finalize().as_bytes())
}

/// Refuses to replace a file that is there.
fn may_write(path: &Path, force: bool) -> Result<(), Failure> {
    if path.exists() && !path.is_file() {
        return Err(Failure::input(format!(
            "{}: a folder or a device is in the way; choose another name",
            path.display()
        )));
    }
    if !force && path.exists() {
        return Err(Failure::input(format!(
            "{}: the file is there already; --force replaces it",
            path.display()
        )));
    }
    Ok(())
}

/// Whether two paths lead to one file.
fn same_file(left: &Path, right: &Path) -> bool {
    match (left.canonicalize(), right.canonicalize()) {
        (Ok(left), Ok(right)) => left == right,
        _ => left == right,
    }
}

/// A progress bar over a disk of this size; on a terminal only.
fn bar(size: u64, json: bool) -> ProgressBar {
    if json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    ProgressBar::new(size)
        .with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
