//! `hvrsim resync serve`: offers images to other machines, a thread for each session.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hvrsim_resync::wire::{End, SourceEnd, TargetEnd};
use hvrsim_transport::{Direction, Limits, Session, accept, drive, runtime};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::{Failure, images, remote, show};
use crate::out::out;

/// Arguments of `serve`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Where to listen; port 0 takes a free one, which is told
    #[arg(long, value_name = "ADDR:PORT")]
    listen: String,
    /// An image, and the name under which others ask for it
    #[arg(long = "export", required = true, value_name = "NAME=IMAGE", value_parser = export)]
    exports: Vec<(String, PathBuf)>,
    /// Others may make the images equal to theirs; without it they may only read
    #[arg(long)]
    write: bool,
    /// The key that both machines know, at least 16 bytes
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// Send no more than this in any second, for instance 20MiB/s or 100Mbit/s; at least 64KiB/s
    #[arg(long, value_name = "RATE", value_parser = super::rate)]
    rate: Option<u64>,
    /// End after one session
    #[arg(long)]
    once: bool,
}

fn export(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, image)) if !name.is_empty() && !image.is_empty() => Ok((name.to_owned(), image.into())),
        _ => Err("expected NAME=IMAGE, for instance web01=web01.vhdx".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let key = remote::key(&arguments.key_file)?;
    for (_, image) in &arguments.exports {
        images::open(image, false)?;
    }
    let runtime = runtime().map_err(|error| Failure::environment(error.to_string()))?;
    let listener = runtime
        .block_on(TcpListener::bind(&arguments.listen))
        .map_err(|error| {
            Failure::environment(format!(
                "{}: {error}; --listen takes an address of this machine and a free port, for instance 0.0.0.0:7800",
                arguments.listen
            ))
        })?;
    let address = listener.local_addr().map_err(|error| Failure::environment(error.to_string()))?;
    out(format_args!("listening on {address}; authenticated, not encrypted\n"));
    let (told, mut sessions) = mpsc::channel(1);
    runtime.spawn(accept(listener, key, Limits::default(), told));
    let exports = Exports::default();
    std::thread::scope(|scope| {
        while let Some(session) = sessions.blocking_recv() {
            let session = match session {
                Ok(session) => session,
                Err(error) => {
                    eprintln!("a connection was turned away: {error}");
                    continue;
                }
            };
            if arguments.once {
                return serve(arguments, &runtime, &exports, session);
            }
            let (runtime, exports) = (&runtime, &exports);
            scope.spawn(move || {
                if let Err(failure) = serve(arguments, runtime, exports, session) {
                    eprintln!("error: {}", failure.message);
                }
            });
        }
        Ok(())
    })
}

/// Sessions at work at once; each takes up to 25 MiB.
const SESSIONS: usize = 16;

/// How long a session waits for an image that another one writes. Whoever goes on after a cut comes back before the
/// server has made durable what came over the earlier connection.
const PATIENCE: Duration = Duration::from_secs(8);

/// Which exports are in use, by path: two names may stand for one image.
#[derive(Default)]
struct Exports {
    in_use: Mutex<BTreeMap<PathBuf, Uses>>,
    given_back: Condvar,
}

/// Who uses an image.
#[derive(Default)]
struct Uses {
    readers: usize,
    writer: bool,
}

/// An image in use, until it is dropped.
struct Use<'a> {
    exports: &'a Exports,
    path: PathBuf,
    write: bool,
}

impl Exports {
    /// Takes an image in use: one writer, or any number of readers.
    fn take(&self, path: &Path, write: bool) -> Result<Use<'_>, &'static str> {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let end = Instant::now() + PATIENCE;
        let mut all = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(why) = occupied(&all, &path, write) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || why != BEING_WRITTEN {
                return Err(why);
            }
            all = self.given_back.wait_timeout(all, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let uses = all.entry(path.clone()).or_default();
        if write {
            uses.writer = true;
        } else {
            uses.readers += 1;
        }
        Ok(Use { exports: self, path, write })
    }
}

const BEING_WRITTEN: &str = "another session is writing it; try again when that one has ended";

/// Why an image cannot be taken in use now.
fn occupied(all: &BTreeMap<PathBuf, Uses>, path: &Path, write: bool) -> Option<&'static str> {
    if all.values().map(|uses| uses.readers + usize::from(uses.writer)).sum::<usize>() >= SESSIONS {
        return Some("there are too many sessions; try again when one has ended");
    }
    match all.get(path) {
        Some(uses) if uses.writer => Some(BEING_WRITTEN),
        Some(uses) if write && uses.readers > 0 => {
            Some("another session is reading it; try again when that one has ended")
        }
        _ => None,
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        let mut all = self.exports.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(uses) = all.get_mut(&self.path) else { return };
        if self.write {
            uses.writer = false;
        } else {
            uses.readers -= 1;
        }
        self.exports.given_back.notify_all();
    }
}

fn serve(
    arguments: &Arguments,
    runtime: &Runtime,
    exports: &Exports,
    session: Session,
) -> Result<(), Failure> {
    let (name, direction) = (session.request.name.clone(), session.request.direction);
    let push = direction == Direction::Push;
    match open(arguments, exports, &name, push) {
        Err(why) => {
            let _ = runtime.block_on(session.refuse(why.clone()));
            Err(Failure::environment(why))
        }
        Ok((path, image, _in_use)) if push => receive(runtime, session, &name, path, image),
        Ok((path, image, _in_use)) => send(runtime, session, (&name, path), &*image, arguments.rate),
    }
}

type Opened<'a> = (&'a Path, Box<dyn hvrsim_disk::Image>, Use<'a>);

/// Opens an export, or says why not.
fn open<'a>(
    arguments: &'a Arguments,
    exports: &'a Exports,
    name: &str,
    push: bool,
) -> Result<Opened<'a>, String> {
    let Some((_, path)) = arguments.exports.iter().find(|(own, _)| own == name) else {
        return Err(format!("there is no export `{name}`; the server was started without it"));
    };
    if push && !arguments.write {
        return Err(format!("`{name}` may only be read: the server was started without --write"));
    }
    let in_use = exports.take(path, push).map_err(|why| format!("`{name}`: {why}"))?;
    match images::open(path, push) {
        Ok(image) => Ok((path, image, in_use)),
        Err(failure) => Err(format!("`{name}` cannot be opened: {}", failure.message)),
    }
}

fn receive(
    runtime: &Runtime,
    session: Session,
    name: &str,
    path: &Path,
    mut image: Box<dyn hvrsim_disk::Image>,
) -> Result<(), Failure> {
    let channel = runtime.block_on(session.accept(image.size())).map_err(|error| failed(&error))?;
    let open = Box::new(move |generation, image: &dyn hvrsim_disk::Image| {
        images::checkpoint(images::checkpoint_path(path), generation, path, image).map(Some)
    });
    let mut end = TargetEnd::new(&mut *image, channel.digest_key, open);
    let done = drive(runtime.handle(), channel, &mut end, Limits::default());
    let finished = end.finished();
    drop(end);
    image.close().map_err(|error| images::refused(&error))?;
    done.map_err(|error| failed(&error))?;
    if let Some(summary) = finished {
        out(format_args!("{name} is equal now: {} received\n", show::bytes(summary.sent_bytes)));
    }
    Ok(())
}

fn send(
    runtime: &Runtime,
    session: Session,
    (name, path): (&str, &Path),
    image: &dyn hvrsim_disk::Image,
    rate: Option<u64>,
) -> Result<(), Failure> {
    let generation = images::generation(path, None).map_err(|e| Failure::environment(e.to_string()))?;
    let mut channel = runtime.block_on(session.accept(image.size())).map_err(|error| failed(&error))?;
    if let Some(rate) = rate {
        channel.limit(rate);
    }
    let mut end = SourceEnd::new(image, None, channel.digest_key, generation);
    drive(runtime.handle(), channel, &mut end, Limits::default()).map_err(|error| failed(&error))?;
    out(format_args!("{name}: {} sent\n", show::bytes(end.sent_bytes())));
    Ok(())
}

fn failed(error: &hvrsim_transport::Error) -> Failure {
    Failure::environment(error.to_string())
}
