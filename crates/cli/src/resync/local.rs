//! Two images on this machine.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use hvrsim_disk::Image;
use hvrsim_resync::checkpoint::Checkpoint;
use hvrsim_resync::direct::{Direct, Error, Options, Outcome, Watch};

use super::show::{self, Screen};
use super::{Failure, Pair, images};

/// Comparing is bound by memory: more threads than this gain nothing.
const THREADS: usize = 2;

pub(super) fn run(arguments: &Pair, source_path: &Path, target_path: &Path) -> Result<(), Failure> {
    let begun = Instant::now();
    refuse_one_file(source_path, target_path)?;
    if arguments.fill_target.is_some() {
        return Err(Failure::input(
            "--fill-target is for a target on another machine; here --rate is the limit",
        ));
    }
    let source = images::open(source_path, false)?;
    let mut target = images::open(target_path, !arguments.dry_run)?;
    let names = (source_path.display().to_string(), target_path.display().to_string());
    images::refuse_sizes((&names.0, source.size()), (&names.1, target.size()))?;

    let kept = if arguments.dry_run {
        None
    } else {
        Some(checkpoint(arguments, source_path, target_path, &*target)?)
    };
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
    let options = Options {
        bitmap: images::bitmap(arguments.bitmap.as_deref(), source.size())?,
        dry_run: arguments.dry_run,
        checkpoint: kept,
    };
    let watch = Screen::new(arguments, source.size())?;
    let outcome = compare(&*source, &mut *target, options, &watch)?;
    target.close().map_err(|error| images::refused(&error))?;
    watch.end();
    watch.report(arguments, &format!("{} to {}", names.0, names.1))?;
    if !outcome.complete {
        return Err(Failure::environment(format!(
            "interrupted at {}; the same command goes on from there",
            show::bytes(outcome.done_to)
        )));
    }
    if arguments.verify && !arguments.dry_run {
        verify(target_path, &*source)?;
    }
    show::summary(arguments, &outcome.summary, source.size(), None, begun.elapsed());
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

fn verify(target: &Path, source: &dyn Image) -> Result<(), Failure> {
    let mut target = images::open(target, false)?;
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

fn checkpoint(
    arguments: &Pair,
    source: &Path,
    target: &Path,
    image: &dyn Image,
) -> Result<Checkpoint, Failure> {
    let path = arguments.checkpoint.clone().unwrap_or_else(|| images::checkpoint_path(target));
    let wrong = |error: std::io::Error| Failure::environment(format!("{}: {error}", path.display()));
    let generation = images::generation(source, arguments.bitmap.as_deref()).map_err(wrong)?;
    images::checkpoint(path.clone(), generation, target, image).map_err(wrong)
}

fn failed(error: &Error) -> Failure {
    Failure::environment(error.to_string())
}
