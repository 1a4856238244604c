//! `hvrsim resync`: makes one disk image equal to another.

mod local;
mod show;

use std::path::PathBuf;

use crate::Exit;

/// Arguments of `resync`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The image that is read: raw or VHDX, a differencing file with its parents. It is never changed
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// The image that becomes equal, in place; only what differs is written
    #[arg(value_name = "TARGET")]
    target: PathBuf,
    /// Look only at the 64 KiB blocks whose bits are set: a raw bitmap, bit n (lowest first) for block n; read only
    #[arg(long, value_name = "FILE")]
    bitmap: Option<PathBuf>,
    /// Compare again at the end, and fail if anything differs
    #[arg(long)]
    verify: bool,
    /// Compare and count, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Where progress is kept for going on after an interruption [default: TARGET.hvrsim-resync]
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    /// Print nothing unless something is wrong
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
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

    fn environment(message: impl Into<String>) -> Self {
        Self { exit: Exit::Environment, message: message.into() }
    }
}

pub(crate) fn resync(arguments: &Arguments) -> Exit {
    match local::run(arguments) {
        Ok(()) => Exit::Green,
        Err(failure) => {
            eprintln!("error: {}", failure.message);
            failure.exit
        }
    }
}
