//! `hvrsim resync`: makes one disk image equal to another, on this machine or between two.

mod hours;
mod images;
mod local;
mod remote;
mod serve;
mod show;

use std::path::PathBuf;

use clap::Subcommand;
use hvrsim_resync::throttle::Window;
use hvrsim_types::size::{Bytes, Rate};
use hvrsim_types::time::Span;

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
    /// The image that is read: raw, VHD or VHDX, a differencing file with its parents; or tcp://HOST:PORT/NAME. It is
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
    /// Keep so much on its way to the other machine, sent and not acknowledged, for instance 4MiB: the rate is found by
    /// what the way takes, between --min-rate and --rate. For tcp:// as the target
    #[arg(long, value_name = "SIZE", value_parser = size)]
    fill_target: Option<u64>,
    /// Spread a correction of the rate over this time, 0.1 s to 60 s; at least five round trips
    #[arg(long, value_name = "TIME", value_parser = plan_ahead, default_value = "2s", requires = "fill_target")]
    plan_ahead: u32,
    /// Go no slower than this, whatever the way does
    #[arg(long, value_name = "RATE", value_parser = rate, requires = "fill_target", default_value = "256KiB/s")]
    min_rate: u64,
    /// Work only at these hours, local time, for instance 18:30-06:00; outside them it pauses and says when it goes on
    #[arg(long, value_name = "HH:MM-HH:MM", value_parser = Window::parse)]
    window: Option<Window>,
    /// The time zone of --window, for instance Europe/Berlin [default: the machine's]
    #[arg(long, value_name = "NAME", requires = "window")]
    time_zone: Option<String>,
    /// Write a map of the disk, of what was compared, sent and zeroed where, as an HTML page
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
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
    let Rate(rate) = Rate::parse(text)?;
    if rate >= SLOWEST { Ok(rate) } else { Err("at least 64KiB/s".to_owned()) }
}

fn size(text: &str) -> Result<u64, String> {
    let Bytes(size) = Bytes::parse(text)?;
    if size >= SLOWEST { Ok(size) } else { Err("at least 64KiB".to_owned()) }
}

/// In tenths of a second.
fn plan_ahead(text: &str) -> Result<u32, String> {
    let Span(nanos) = Span::parse(text)?;
    let tenths = u32::try_from(nanos / 100_000_000).unwrap_or(u32::MAX);
    if (1..=600).contains(&tenths) { Ok(tenths) } else { Err("100ms to 60s".to_owned()) }
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
