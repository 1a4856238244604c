//! What `resync` shows: a progress bar on a terminal, and the summary.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hvrsim_resync::direct::{Summary, Watch};
use hvrsim_resync::throttle::Throttle;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;

use super::Pair;
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

/// Progress on a terminal, and Ctrl-C.
pub(super) struct Screen {
    bar: Option<Bar>,
    stop: Arc<AtomicBool>,
    begun: Instant,
    limit: Option<Mutex<Throttle>>,
}

impl Screen {
    pub(super) fn new(size: u64, quiet: bool, rate: Option<u64>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        // A second Ctrl-C does not wait. Without a handler Ctrl-C ends the program at once, which is safe, too.
        let _ = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(crate::Exit::Environment as u8));
            }
        });
        let limit = rate.map(|rate| Mutex::new(Throttle::new(rate)));
        Self { bar: (!quiet).then(|| Bar::new(size)).flatten(), stop, begun: Instant::now(), limit }
    }

    pub(super) fn end(&self) {
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

    fn pace(&self, bytes: u64) {
        let Some(limit) = &self.limit else { return };
        let now = |begun: Instant| u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let at = limit.lock().unwrap_or_else(PoisonError::into_inner).take(now(self.begun), bytes);
        std::thread::sleep(Duration::from_nanos(at.saturating_sub(now(self.begun))));
    }

    fn at_once(&self) -> usize {
        let Some(limit) = &self.limit else { return LONGEST_WRITE };
        let burst = limit.lock().unwrap_or_else(PoisonError::into_inner).burst();
        let cells = usize::try_from(burst).map_or(LONGEST_WRITE, |burst| burst / CELL_BYTES * CELL_BYTES);
        cells.clamp(CELL_BYTES, LONGEST_WRITE)
    }

    fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A number of bytes as people read it.
pub(super) fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
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
