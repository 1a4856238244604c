//! What `resync` shows: a progress bar on a terminal, and the summary.

use std::io::IsTerminal;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hvrsim_report::heat;
use hvrsim_resync::direct::{Summary, Watch};
use hvrsim_resync::heat::{Heat, HeatMap};
use hvrsim_resync::throttle::Throttle;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;

use super::hours::Hours;
use super::{Failure, Pair};
use crate::out::out;

/// Bytes of a cell, below which writes are not cut.
const CELL_BYTES: usize = 4096;
/// The longest write without a limit.
const LONGEST_WRITE: usize = 256 << 10;

/// A progress bar over the disk, with rate and remaining time.
struct Bar(ProgressBar);

impl Bar {
    /// None unless standard error is a terminal.
    fn new(size: u64) -> Option<Self> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let bar = ProgressBar::new(size);
        let style = "{bar:30} {percent:>3} %  {binary_bytes_per_sec}  {eta} left  {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Some(Self(bar))
    }

    fn at(&self, done_to: u64, summary: &Summary) {
        self.0.set_position(done_to);
        let skipped = done_to.saturating_sub(summary.compared_bytes);
        self.0.set_message(format!("{} sent, {} skipped", bytes(summary.sent_bytes), bytes(skipped)));
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// Progress on a terminal, Ctrl-C, the hours of work and the map.
pub(super) struct Screen {
    bar: Option<Bar>,
    stop: Arc<AtomicBool>,
    hours: Option<Hours>,
    begun: Instant,
    limit: Option<Mutex<Throttle>>,
    map: Option<Mutex<HeatMap>>,
}

impl Screen {
    /// The screen of a run on a disk of so many bytes.
    pub(super) fn new(arguments: &Pair, size: u64) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        // A second Ctrl-C does not wait. Without a handler Ctrl-C ends the program at once, which is safe, too.
        let _ = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(crate::Exit::Environment as u8));
            }
        });
        let quiet = arguments.quiet || arguments.json;
        Ok(Self {
            bar: (!quiet).then(|| Bar::new(size)).flatten(),
            stop,
            hours: Hours::new(arguments)?,
            begun: Instant::now(),
            limit: arguments.rate.map(|rate| Mutex::new(Throttle::new(rate))),
            map: arguments.report.is_some().then(|| Mutex::new(HeatMap::new(size))),
        })
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.end();
        }
    }

    /// Whether Ctrl-C was pressed.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether it is an hour of work.
    pub(super) fn is_open(&self) -> bool {
        self.hours.as_ref().is_none_or(Hours::are_open)
    }

    /// Returns in an hour of work, or after Ctrl-C.
    pub(super) fn wait_for_hours(&self) {
        if let Some(hours) = &self.hours {
            hours.wait(&self.stop);
        }
    }

    /// Writes the map where `--report` says.
    pub(super) fn report(&self, arguments: &Pair, title: &str) -> Result<(), Failure> {
        let (Some(path), Some(map)) = (&arguments.report, &self.map) else { return Ok(()) };
        let took = format!("{:.1} s", self.begun.elapsed().as_secs_f64());
        let page = heat::page(&lock(map), title, &[("took", took)]);
        crate::out::write_whole(path, page.as_bytes()).map_err(|error| {
            Failure::environment(format!(
                "{}: {error}; the resynchronization itself is done as told above",
                path.display()
            ))
        })
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch for Screen {
    fn progress(&self, done_to: u64, summary: &Summary) {
        if let Some(bar) = &self.bar {
            bar.at(done_to, summary);
        }
    }

    fn looked(&self, range: Range<u64>, part: &Summary) {
        let Some(map) = &self.map else { return };
        let heat = Heat {
            compared_bytes: part.compared_bytes,
            sent_bytes: part.sent_bytes,
            zeroed_bytes: part.zeroed_bytes,
            resent_bytes: 0,
        };
        lock(map).add(range, &heat);
    }

    fn pace(&self, bytes: u64) {
        let Some(limit) = &self.limit else { return };
        let now = |begun: Instant| u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let at = lock(limit).take(now(self.begun), bytes);
        std::thread::sleep(Duration::from_nanos(at.saturating_sub(now(self.begun))));
    }

    fn at_once(&self) -> usize {
        let Some(limit) = &self.limit else { return LONGEST_WRITE };
        let cells = usize::try_from(lock(limit).burst())
            .map_or(LONGEST_WRITE, |burst| burst / CELL_BYTES * CELL_BYTES);
        cells.clamp(CELL_BYTES, LONGEST_WRITE)
    }

    fn stop(&self) -> bool {
        self.wait_for_hours();
        self.is_stopped()
    }
}

/// A number of bytes as people read it.
pub(super) fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
}

/// The most memory that this process had; none where the system does not tell.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// The end of a run; `wire_bytes` is what went over the network.
pub(super) fn summary(
    arguments: &Pair,
    summary: &Summary,
    size: u64,
    wire_bytes: Option<u64>,
    took: Duration,
) {
    if arguments.quiet {
        return;
    }
    if arguments.json {
        let told = json!({
            "size": size,
            "compared_bytes": summary.compared_bytes,
            "sent_bytes": summary.sent_bytes,
            "zeroed_bytes": summary.zeroed_bytes,
            "written_bytes": summary.written_bytes,
            "wire_bytes": wire_bytes,
            "was_equal": summary.was_equal(),
            "dry_run": arguments.dry_run,
            "verified": arguments.verify && !arguments.dry_run,
            "peak_memory_bytes": peak_memory(),
            "milliseconds": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
        out(format_args!("{told}\n"));
        return;
    }
    let verdict = match (summary.was_equal(), arguments.dry_run) {
        (true, _) => "equal, nothing to write",
        (false, true) => "different, nothing written",
        (false, false) => "equal now",
    };
    let wire = wire_bytes.map_or_else(String::new, |count| format!(", {} over the network", bytes(count)));
    out(format_args!(
        "{verdict}: {} compared, {} sent, {} zeroed, {} written{wire} in {:.2} s\n",
        bytes(summary.compared_bytes),
        bytes(summary.sent_bytes),
        bytes(summary.zeroed_bytes),
        bytes(summary.written_bytes),
        took.as_secs_f64(),
    ));
}
