//! One of the two images is on another machine, where `resync serve` offers it.

use std::path::Path;
use std::time::{Duration, Instant};

use hvrsim_resync::direct::{Summary, Watch};
use hvrsim_resync::wire::{End, Error as WireError, Frame, SourceEnd, TargetEnd};
use hvrsim_transport::{Channel, Direction, Error, Key, Limits, Request, drive, request, runtime};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::show::{self, Screen};
use super::{Failure, Pair, images};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

pub(super) fn push(pair: &Pair, source: &Path, address: &str, name: &str) -> Result<(), Failure> {
    refuse_local_options(pair)?;
    let begun = Instant::now();
    let image = images::open(source, false)?;
    let bitmap = images::bitmap(pair.bitmap.as_deref(), image.size())?;
    let generation = images::generation(source, pair.bitmap.as_deref())
        .map_err(|error| Failure::environment(format!("{}: {error}", source.display())))?;
    let runtime = runtime().map_err(|error| Failure::environment(error.to_string()))?;
    let (mut channel, size) = connect(&runtime, pair, address, name, Direction::Push)?;
    if let Some(rate) = pair.rate {
        channel.limit(rate);
    }
    let here = source.display().to_string();
    images::refuse_sizes((&here, image.size()), (name, size))?;
    let traffic = channel.traffic.clone();
    let mut end = Shown::new(pair, size, SourceEnd::new(&*image, bitmap, channel.digest_key, generation));
    let done = drive(runtime.handle(), channel, &mut end, Limits::default());
    ended(pair, &end, done, size, traffic.wire_bytes(), begun)
}

pub(super) fn pull(pair: &Pair, target: &Path, address: &str, name: &str) -> Result<(), Failure> {
    refuse_local_options(pair)?;
    if pair.bitmap.is_some() {
        return Err(Failure::input("--bitmap is for the side of the source"));
    }
    if pair.rate.is_some() {
        return Err(Failure::input("what the other machine sends is limited there, by `serve --rate`"));
    }
    let begun = Instant::now();
    let mut image = images::open(target, true)?;
    let runtime = runtime().map_err(|error| Failure::environment(error.to_string()))?;
    let (channel, size) = connect(&runtime, pair, address, name, Direction::Pull)?;
    let here = target.display().to_string();
    images::refuse_sizes((name, size), (&here, image.size()))?;
    let path = pair.checkpoint.clone().unwrap_or_else(|| images::checkpoint_path(target));
    let traffic = channel.traffic.clone();
    let open = Box::new(move |generation, image: &dyn hvrsim_disk::Image| {
        images::checkpoint(path.clone(), generation, target, image).map(Some)
    });
    let mut end = Shown::new(pair, size, TargetEnd::new(&mut *image, channel.digest_key, open));
    let done = drive(runtime.handle(), channel, &mut end, Limits::default());
    ended(pair, &end, done, size, traffic.wire_bytes(), begun)?;
    drop(end);
    image.close().map_err(|error| images::refused(&error))
}

fn refuse_local_options(pair: &Pair) -> Result<(), Failure> {
    if pair.verify || pair.dry_run {
        return Err(Failure::input("--verify and --dry-run are for two images on this machine"));
    }
    Ok(())
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
        other => Failure::environment(format!("{address}: {other}")),
    })
}

/// Reads the key that both machines know.
pub(super) fn key(file: &Path) -> Result<Key, Failure> {
    let content = std::fs::read(file).map_err(|e| Failure::input(format!("{}: {e}", file.display())))?;
    Key::new(&content).map_err(|error| Failure::input(format!("{}: {error}", file.display())))
}

fn ended<E: End>(
    pair: &Pair,
    end: &Shown<E>,
    done: Result<(), Error>,
    size: u64,
    wire_bytes: u64,
    begun: Instant,
) -> Result<(), Failure> {
    end.screen.end();
    match (end.finished(), done) {
        (Some(summary), Ok(())) => {
            show::summary(pair, &summary, size, Some(wire_bytes), begun.elapsed());
            Ok(())
        }
        (_, Err(error)) => Err(Failure::environment(format!("{error}; the same command goes on from there"))),
        (None, Ok(())) => Err(Failure::environment("interrupted; the same command goes on from there")),
    }
}

/// An end whose progress is shown, and which Ctrl-C stops.
struct Shown<E> {
    end: E,
    screen: Screen,
}

impl<E: End> Shown<E> {
    fn new(pair: &Pair, size: u64, end: E) -> Self {
        Self { end, screen: Screen::new(size, pair.quiet || pair.json, None) }
    }

    fn look(&self, frame: &Frame) {
        if let Frame::Ask { start, .. } = frame {
            self.screen.progress(*start, &Summary::default());
        }
    }
}

impl<E: End> End for Shown<E> {
    fn handle(&mut self, frame: Frame) -> Result<(), WireError> {
        self.look(&frame);
        self.end.handle(frame)
    }

    fn next(&mut self) -> Result<Option<Frame>, WireError> {
        if self.screen.stop() {
            return Err(WireError::Stopped);
        }
        let frame = self.end.next()?;
        frame.iter().for_each(|frame| self.look(frame));
        Ok(frame)
    }

    fn finished(&self) -> Option<Summary> {
        self.end.finished()
    }

    fn interrupted(&mut self) -> Result<(), WireError> {
        self.end.interrupted()
    }
}
