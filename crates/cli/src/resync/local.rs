//! Two images on this machine.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hvrsim_disk::file::{BlockFile, FileSystem, HostFile, HostFs};
use hvrsim_disk::{ErrorKind, Image, OpenOptions, Seed, open};
use hvrsim_resync::checkpoint::{Checkpoint, Identity};
use hvrsim_resync::direct::{Direct, Error, Options, Outcome, Summary, Watch};

use super::show::{self, Bar};
use super::{Arguments, Failure};

/// Comparing is bound by memory: more threads than this gain nothing.
const THREADS: usize = 2;

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let begun = Instant::now();
    let (source_path, target_path) = (&arguments.source, &arguments.target);
    refuse_one_file(source_path, target_path)?;
    let source = open(source_path, &OpenOptions::read_only()).map_err(|error| refused(&error))?;
    let access =
        if arguments.dry_run { OpenOptions::read_only() } else { OpenOptions::read_write(seed(target_path)) };
    let mut target = open(target_path, &access).map_err(|error| refused(&error))?;
    refuse_sizes(arguments, &*source, &*target)?;

    let kept = if arguments.dry_run { None } else { Some(checkpoint(arguments, &*source, &*target)?) };
    let resumed = kept.as_ref().and_then(Checkpoint::found);
    if !arguments.quiet {
        match &resumed {
            Some(found) => eprintln!("going on at {} of an interrupted run", show::bytes(found.done_to)),
            None if kept.as_ref().is_some_and(Checkpoint::is_stale) => {
                eprintln!(
                    "the checkpoint is of another run or an image changed since: comparing from the beginning"
                );
            }
            None => {}
        }
    }
    let options =
        Options { bitmap: bitmap(arguments, source.size())?, dry_run: arguments.dry_run, checkpoint: kept };
    let watch = Screen::new(source.size(), arguments.quiet || arguments.json);
    let outcome = compare(&*source, &mut *target, options, &watch)?;
    target.close().map_err(|error| refused(&error))?;
    watch.end();
    if !outcome.complete {
        return Err(Failure::environment(format!(
            "interrupted at {}; the same command goes on from there",
            show::bytes(outcome.done_to)
        )));
    }
    if arguments.verify && !arguments.dry_run {
        verify(arguments, &*source)?;
    }
    show::summary(arguments, &outcome.summary, source.size(), begun.elapsed());
    Ok(())
}

fn compare<W: Watch>(
    source: &dyn Image,
    target: &mut dyn Image,
    options: Options,
    watch: &W,
) -> Result<Outcome, Failure> {
    let pair = Direct::new(source, target, options, watch).map_err(|error| failed(&error))?;
    let worked = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..THREADS).map(|_| scope.spawn(|| pair.work())).collect();
        let own = pair.work();
        let others = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        others.fold(own, Result::and)
    });
    // What was done is kept even when something failed.
    let finished = pair.finish();
    worked.and(finished).map_err(|error| failed(&error))
}

fn verify(arguments: &Arguments, source: &dyn Image) -> Result<(), Failure> {
    let mut target = open(&arguments.target, &OpenOptions::read_only()).map_err(|error| refused(&error))?;
    let options = Options { dry_run: true, ..Options::default() };
    let outcome = compare(source, &mut *target, options, &())?;
    if outcome.summary.was_equal() {
        return Ok(());
    }
    Err(Failure::environment(format!(
        "verification: {} still differ; was one of the images written to meanwhile?",
        show::bytes(outcome.summary.sent_bytes + outcome.summary.zeroed_bytes)
    )))
}

/// The GUIDs that a VHDX gets in this session: other ones each time.
fn seed(target: &Path) -> Seed {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"hvrsim resync session");
    hasher.update(target.as_os_str().as_encoded_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    hasher.update(&now.as_nanos().to_le_bytes());
    Seed::new(*hasher.finalize().as_bytes())
}

fn refuse_one_file(source: &Path, target: &Path) -> Result<(), Failure> {
    let stat = |path: &Path| {
        std::fs::metadata(path).map_err(|error| Failure::input(format!("{}: {error}", path.display())))
    };
    let (a, b) = (stat(source)?, stat(target)?);
    if (a.dev(), a.ino()) == (b.dev(), b.ino()) {
        return Err(Failure::input(format!("{} and {} are one file", source.display(), target.display())));
    }
    Ok(())
}

fn refuse_sizes(arguments: &Arguments, source: &dyn Image, target: &dyn Image) -> Result<(), Failure> {
    if source.size() == target.size() {
        return Ok(());
    }
    Err(Failure::input(format!(
        "the disks differ in size: {} has {} bytes, {} has {}; make them equal first, the target is not resized",
        arguments.source.display(),
        source.size(),
        arguments.target.display(),
        target.size()
    )))
}

fn bitmap(arguments: &Arguments, size: u64) -> Result<Option<Arc<dyn BlockFile>>, Failure> {
    let Some(path) = &arguments.bitmap else { return Ok(None) };
    let file = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (len, file) = file.map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    let needed = size.div_ceil(hvrsim_types::size::BLOCK).div_ceil(8);
    if len < needed {
        return Err(Failure::input(format!(
            "{}: a bitmap of {len} bytes; this disk of {size} bytes needs {needed}, a bit for each 64 KiB",
            path.display()
        )));
    }
    Ok(Some(Arc::new(HostFile::new(file))))
}

fn checkpoint(arguments: &Arguments, source: &dyn Image, target: &dyn Image) -> Result<Checkpoint, Failure> {
    let path = arguments.checkpoint.clone().unwrap_or_else(|| {
        let mut name = arguments.target.clone().into_os_string();
        name.push(".hvrsim-resync");
        PathBuf::from(name)
    });
    let wrong = |error: std::io::Error| Failure::environment(format!("{}: {error}", path.display()));
    let identity = identity(arguments, source).map_err(wrong)?;
    let fs: Arc<dyn FileSystem> = Arc::new(HostFs);
    Checkpoint::open(fs, path.clone(), identity, target.data_write_guid()).map_err(wrong)
}

/// What must be the same for going on: the source as it stands, which file the target is, and where to look.
fn identity(arguments: &Arguments, source: &dyn Image) -> std::io::Result<Identity> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"hvrsim resync local 1");
    let mut file = |metadata: &Metadata| {
        hasher.update(&metadata.dev().to_le_bytes());
        hasher.update(&metadata.ino().to_le_bytes());
    };
    let stat = std::fs::metadata(&arguments.source)?;
    file(&stat);
    file(&std::fs::metadata(&arguments.target)?);
    hasher.update(&source.size().to_le_bytes());
    hasher.update(&stat.mtime().to_le_bytes());
    hasher.update(&stat.mtime_nsec().to_le_bytes());
    if let Some(bitmap) = &arguments.bitmap {
        hasher.update(b"bitmap");
        hasher.update_reader(File::open(bitmap)?)?;
    }
    Ok(*hasher.finalize().as_bytes())
}

/// An image that cannot be opened is a wrong input, unless the machine is at fault.
fn refused(error: &hvrsim_disk::Error) -> Failure {
    match error.kind() {
        ErrorKind::Io | ErrorKind::NoSpace => Failure::environment(error.to_string()),
        _ => Failure::input(error.to_string()),
    }
}

fn failed(error: &Error) -> Failure {
    Failure::environment(error.to_string())
}

/// Progress on a terminal, and Ctrl-C.
struct Screen {
    bar: Option<Bar>,
    stop: Arc<AtomicBool>,
}

impl Screen {
    fn new(size: u64, quiet: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        // A second Ctrl-C does not wait. Without a handler Ctrl-C ends the program at once, which is safe, too.
        let _ = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(crate::Exit::Environment as u8));
            }
        });
        Self { bar: (!quiet).then(|| Bar::new(size)).flatten(), stop }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.end();
        }
    }
}

impl Watch for Screen {
    fn progress(&self, done_to: u64, summary: &Summary) {
        if let Some(bar) = &self.bar {
            bar.at(done_to, summary);
        }
    }

    fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
