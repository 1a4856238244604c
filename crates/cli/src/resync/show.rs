//! What `resync` shows: a progress bar on a terminal, and the summary.

use std::io::IsTerminal;
use std::time::Duration;

use hvrsim_resync::direct::Summary;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;

use super::Arguments;
use crate::out::out;

/// A progress bar over the disk, with rate and remaining time.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// None unless standard error is a terminal.
    pub(super) fn new(size: u64) -> Option<Self> {
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

    pub(super) fn at(&self, done_to: u64, summary: &Summary) {
        self.0.set_position(done_to);
        let skipped = done_to.saturating_sub(summary.compared_bytes);
        self.0.set_message(format!("{} sent, {} skipped", bytes(summary.sent_bytes), bytes(skipped)));
    }

    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// A number of bytes as people read it.
pub(super) fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
}

pub(super) fn summary(arguments: &Arguments, summary: &Summary, size: u64, took: Duration) {
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
    out(format_args!(
        "{verdict}: {} compared, {} sent, {} zeroed, {} written in {:.2} s\n",
        bytes(summary.compared_bytes),
        bytes(summary.sent_bytes),
        bytes(summary.zeroed_bytes),
        bytes(summary.written_bytes),
        took.as_secs_f64(),
    ));
}
