//! `hvrsim resync`: makes one disk image equal to another, on this machine or between two.

mod images;
mod local;
mod remote;
mod serve;
mod show;

use std::path::PathBuf;

use clap::Subcommand;

use crate::Exit;

/// Arguments of `resync`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    serve: Option<Server>,
    #[command(flatten)]
    pair: Option<Pair>,
}

#[derive(Subcommand)]
enum Server {
    /// Offer images to `hvrsim resync` on other machines. Both sides prove that they know the key and every byte is
    /// protected against change, but NOTHING IS ENCRYPTED: use a network that may see the disk's content
    Serve(serve::Arguments),
}

/// Two images.
#[derive(clap::Args)]
struct Pair {
    /// The image that is read: raw or VHDX, a differencing file with its parents; or tcp://HOST:PORT/NAME. It is
    /// never changed
    #[arg(value_name = "SOURCE", value_parser = place)]
    source: Place,
    /// The image that becomes equal, in place, only what differs is written; or tcp://HOST:PORT/NAME
    #[arg(value_name = "TARGET", value_parser = place)]
    target: Place,
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
    /// Write, or send, no more than this in any second, for instance 20MiB/s or 100Mbit/s; at least 64KiB/s. What
    /// another machine sends is limited there, by `serve --rate`
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<u64>,
    /// The key that both machines know, at least 16 bytes; needed with tcp://. The session is authenticated, not
    /// encrypted
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    /// Print nothing unless something is wrong
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

/// Where an image is.
#[derive(Clone)]
enum Place {
    Here(PathBuf),
    There { address: String, name: String },
}

fn place(text: &str) -> Result<Place, String> {
    let Some(rest) = text.strip_prefix("tcp://") else { return Ok(Place::Here(text.into())) };
    match rest.split_once('/') {
        Some((address, name)) if address.contains(':') && !name.is_empty() => {
            Ok(Place::There { address: address.to_owned(), name: name.to_owned() })
        }
        _ => Err("expected tcp://HOST:PORT/NAME, for instance tcp://hv2:7800/web01".to_owned()),
    }
}

/// Slower than this a single cell would be too much for a second's sixteenth.
const SLOWEST: u64 = 64 << 10;

fn rate(text: &str) -> Result<u64, String> {
    let hvrsim_types::size::Rate(rate) = hvrsim_types::size::Rate::parse(text)?;
    if rate >= SLOWEST { Ok(rate) } else { Err("at least 64KiB/s".to_owned()) }
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
    let done = match (&arguments.serve, &arguments.pair) {
        (Some(Server::Serve(serve)), _) => serve::run(serve),
        (None, Some(pair)) => one(pair),
        (None, None) => Err(Failure::input("SOURCE and TARGET are missing")),
    };
    match done {
        Ok(()) => Exit::Green,
        Err(failure) => {
            eprintln!("error: {}", failure.message);
            failure.exit
        }
    }
}

fn one(pair: &Pair) -> Result<(), Failure> {
    match (&pair.source, &pair.target) {
        (Place::Here(source), Place::Here(target)) => local::run(pair, source, target),
        (Place::Here(source), Place::There { address, name }) => remote::push(pair, source, address, name),
        (Place::There { address, name }, Place::Here(target)) => remote::pull(pair, target, address, name),
        (Place::There { .. }, Place::There { .. }) => {
            Err(Failure::input("one of the two images has to be on this machine"))
        }
    }
}
