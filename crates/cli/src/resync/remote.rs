//! One of the two images is on another machine, where `resync serve` offers it.

use std::path::Path;
use std::time::{Duration, Instant};

use hvrsim_resync::direct::{Summary, Watch};
use hvrsim_resync::wire::{End, Error as WireError, Frame, SourceEnd, TargetEnd};
use hvrsim_transport::{
    Channel, Direction, Error, Key, Limits, Request, Settings, Traffic, drive, request, runtime,
};
use hvrsim_types::size::CELL;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::show::{self, Screen};
use super::{Failure, Pair, images};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

pub(super) fn push(pair: &Pair, source: &Path, address: &str, name: &str) -> Result<(), Failure> {
    refuse_local_options(pair)?;
    if pair.checkpoint.is_some() {
        return Err(Failure::input(
            "the checkpoint is kept by the side of the target: leave --checkpoint out",
        ));
    }
    let begun = Instant::now();
    let image = images::open(source, false)?;
    let bitmap = images::bitmap(pair.bitmap.as_deref(), image.size())?;
    let generation = images::generation(source, pair.bitmap.as_deref())
        .map_err(|error| Failure::environment(format!("{}: {error}", source.display())))?;
    let here = source.display().to_string();
    let runtime = runtime().map_err(|error| Failure::environment(error.to_string()))?;
    let mut shown = Shown::new(pair, image.size())?;
    shown.sessions(|shown| {
        let (mut channel, size) = connect(&runtime, pair, address, name, Direction::Push)?;
        images::refuse_sizes((&here, image.size()), (name, size))?;
        pace(pair, &mut channel);
        shown.traffic.push(channel.traffic.clone());
        let mut end = SourceEnd::new(&*image, bitmap.clone(), channel.digest_key, generation);
        Ok(shown.drive(&runtime, channel, &mut end))
    })?;
    shown.ended(&format!("{here} to {name} at {address}"), begun)
}

pub(super) fn pull(pair: &Pair, target: &Path, address: &str, name: &str) -> Result<(), Failure> {
    refuse_local_options(pair)?;
    if pair.bitmap.is_some() {
        return Err(Failure::input("--bitmap is for the side of the source"));
    }
    if pair.rate.is_some() || pair.fill_target.is_some() {
        return Err(Failure::input("what the other machine sends is limited there, by `serve --rate`"));
    }
    let begun = Instant::now();
    let mut image = images::open(target, true)?;
    let runtime = runtime().map_err(|error| Failure::environment(error.to_string()))?;
    let here = target.display().to_string();
    let path = pair.checkpoint.clone().unwrap_or_else(|| images::checkpoint_path(target));
    let mut shown = Shown::new(pair, image.size())?;
    let worked = shown.sessions(|shown| {
        let (channel, size) = connect(&runtime, pair, address, name, Direction::Pull)?;
        images::refuse_sizes((name, size), (&here, image.size()))?;
        shown.traffic.push(channel.traffic.clone());
        let open = Box::new(|generation, image: &dyn hvrsim_disk::Image| {
            images::checkpoint(path.clone(), generation, target, image).map(Some)
        });
        let mut end = TargetEnd::new(&mut *image, channel.digest_key, open);
        Ok(shown.drive(&runtime, channel, &mut end))
    });
    let closed = image.close().map_err(|error| images::refused(&error));
    worked.and(closed)?;
    shown.ended(&format!("{name} at {address} to {here}"), begun)
}

fn refuse_local_options(pair: &Pair) -> Result<(), Failure> {
    if pair.verify || pair.dry_run {
        return Err(Failure::input("--verify and --dry-run are for two images on this machine"));
    }
    Ok(())
}

/// Sets how fast this side sends.
fn pace<S: tokio::io::AsyncRead + tokio::io::AsyncWrite>(pair: &Pair, channel: &mut Channel<S>) {
    if let Some(rate) = pair.rate {
        channel.limit(rate);
    }
    if let Some(fill_target_bytes) = pair.fill_target {
        let max = pair.rate.unwrap_or(u64::MAX);
        channel.control(Settings {
            fill_target_bytes,
            plan_ahead_tenths: pair.plan_ahead,
            min_bytes_per_s: pair.min_rate.min(max),
            max_bytes_per_s: max,
        });
    }
}

fn connect(
    runtime: &Runtime,
    pair: &Pair,
    address: &str,
    name: &str,
    direction: Direction,
) -> Result<(Channel<TcpStream>, u64), Failure> {
    let Some(file) = &pair.key_file else {
        return Err(Failure::input("tcp:// needs --key-file, the key that the other machine serves with"));
    };
    let key = key(file)?;
    let asked = Request { name: name.to_owned(), direction };
    let connected = runtime.block_on(async {
        let stream = tokio::time::timeout(CONNECT, TcpStream::connect(address))
            .await
            .map_err(|_| Error::Silent(CONNECT))??;
        stream.set_nodelay(true)?;
        request(stream, &key, &asked, Limits::default()).await
    });
    connected.map_err(|error| match error {
        Error::Refused(why) => Failure::input(format!("{address}: {why}")),
        other => Failure::environment(format!("{address}: {other}{}", remedy(&other))),
    })
}

/// What to do about it.
fn remedy(error: &Error) -> &'static str {
    match error {
        Error::Io(_) | Error::Silent(_) => {
            "; is `hvrsim resync serve` running there, and may this machine reach it?"
        }
        Error::Key => "; the files of --key-file must be the same on both machines",
        Error::Forged | Error::TooLong(_) => "; is the same version of hvrsim on both machines?",
        Error::Refused(_) | Error::ShortKey(_) | Error::Engine(_) => "",
    }
}

/// Reads the key that both machines know.
pub(super) fn key(file: &Path) -> Result<Key, Failure> {
    let content = std::fs::read(file).map_err(|e| Failure::input(format!("{}: {e}", file.display())))?;
    Key::new(&content).map_err(|error| Failure::input(format!("{}: {error}", file.display())))
}

/// The sessions of a run, what is shown of them, and how Ctrl-C and the hours of work end one.
struct Shown<'a> {
    pair: &'a Pair,
    size: u64,
    screen: Screen,
    /// Of this run, whatever earlier ones did.
    counted: Summary,
    /// The disk is done up to here, about.
    at: u64,
    traffic: Vec<Traffic>,
    finished: Option<Summary>,
}

impl<'a> Shown<'a> {
    fn new(pair: &'a Pair, size: u64) -> Result<Self, Failure> {
        let screen = Screen::new(pair, size)?;
        Ok(Self {
            pair,
            size,
            screen,
            counted: Summary::default(),
            at: 0,
            traffic: Vec::new(),
            finished: None,
        })
    }

    /// One session after another: the end of the hours of work ends one, and the next goes on from its checkpoint.
    fn sessions(
        &mut self,
        mut session: impl FnMut(&mut Self) -> Result<Result<(), Error>, Failure>,
    ) -> Result<(), Failure> {
        let done = loop {
            self.screen.wait_for_hours();
            if self.screen.is_stopped() {
                break Err(Failure::environment(INTERRUPTED));
            }
            match session(self) {
                Err(failure) => break Err(failure),
                Ok(Ok(())) if self.finished.is_some() => break Ok(()),
                Ok(Err(Error::Engine(WireError::Stopped))) if !self.screen.is_stopped() => {}
                Ok(Err(Error::Engine(WireError::Stopped)) | Ok(())) => {
                    break Err(Failure::environment(INTERRUPTED));
                }
                Ok(Err(error)) => {
                    break Err(Failure::environment(format!("{error}; the same command goes on from there")));
                }
            }
        };
        self.screen.end();
        done
    }

    fn drive<E: End>(
        &mut self,
        runtime: &Runtime,
        channel: Channel<TcpStream>,
        end: &mut E,
    ) -> Result<(), Error> {
        let mut seen = Seen { end, shown: self };
        let done = drive(runtime.handle(), channel, &mut seen, Limits::default());
        self.finished = end.finished();
        done
    }

    fn ended(&self, title: &str, begun: Instant) -> Result<(), Failure> {
        self.screen.report(self.pair, title)?;
        let wire_bytes = self.traffic.iter().map(Traffic::wire_bytes).sum();
        if let Some(summary) = &self.finished {
            show::summary(self.pair, summary, self.size, Some(wire_bytes), begun.elapsed());
        }
        Ok(())
    }

    /// Counts what a frame says, whichever side sent it.
    fn look(&mut self, frame: &Frame) {
        match frame {
            Frame::Begin { done_to } => self.at = *done_to,
            Frame::Answer(answer) => {
                let total =
                    |runs: &[(u32, u32)]| runs.iter().map(|(_, count)| u64::from(*count) * CELL).sum();
                let part = Summary {
                    compared_bytes: u64::from(answer.compared) * CELL,
                    sent_bytes: total(&answer.write),
                    zeroed_bytes: total(&answer.zero),
                    written_bytes: total(&answer.write),
                };
                let range = answer.start..(answer.start + PIECE).min(self.size);
                self.screen.looked(range, &part);
                self.counted.compared_bytes += part.compared_bytes;
                self.counted.sent_bytes += part.sent_bytes;
                self.at = self.at.max(answer.start);
            }
            _ => return,
        }
        self.screen.progress(self.at, &self.counted);
    }
}

/// What an interrupted run says.
const INTERRUPTED: &str = "interrupted; the same command goes on from there";
/// The longest piece that an answer is about.
const PIECE: u64 = 2 << 20;

/// An end whose frames are looked at.
struct Seen<'s, 'p, 'e, E> {
    end: &'e mut E,
    shown: &'s mut Shown<'p>,
}

impl<E: End> End for Seen<'_, '_, '_, E> {
    fn handle(&mut self, frame: Frame) -> Result<(), WireError> {
        self.shown.look(&frame);
        self.end.handle(frame)
    }

    fn next(&mut self) -> Result<Option<Frame>, WireError> {
        if self.shown.screen.is_stopped() || !self.shown.screen.is_open() {
            return Err(WireError::Stopped);
        }
        let frame = self.end.next()?;
        frame.iter().for_each(|frame| self.shown.look(frame));
        Ok(frame)
    }

    fn finished(&self) -> Option<Summary> {
        self.end.finished()
    }

    fn interrupted(&mut self) -> Result<(), WireError> {
        self.end.interrupted()
    }
}
