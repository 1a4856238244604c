//! Writes timeline, transcript, event log and trace while a scenario runs.

use std::io::IsTerminal;
use std::time::{Duration, Instant as Clock};

use hvrsim_report::coverage::Coverage;
use hvrsim_report::events::{self, Log};
use hvrsim_report::html;
use hvrsim_report::names::Names;
use hvrsim_report::timeline::Timeline;
use hvrsim_report::transcript::Transcript;
use hvrsim_scenario::Scenario;
use hvrsim_scenario::run::{Ended, Observer};
use hvrsim_sim::Look;
use hvrsim_sim::trace::Record;
use hvrsim_types::time::Instant;
use indicatif::ProgressBar;

use super::job::{Broken, Job};
use super::log::{EventLog, footer, header};
use crate::Exit;
use crate::input;
use crate::out::out;
use crate::report;

/// The names that a scenario's world will have.
pub(super) fn names_of(scenario: &Scenario) -> Names {
    let hosts = scenario.topology.hosts.iter().map(|host| host.name.value.clone()).collect();
    let vms = scenario.topology.vms.iter().map(|vm| vm.name.value.clone()).collect();
    Names::new(hosts, vms)
}

/// Follows a run.
pub(super) struct Watcher<'a> {
    job: &'a Job,
    names: Names,
    timeline: Option<Timeline>,
    transcript: Option<Transcript>,
    log: Option<EventLog>,
    /// All records, if a trace or a report is made of them.
    records: Option<Vec<Record>>,
    pub(super) coverage: Coverage,
    progress: Progress,
    titled: bool,
    failed: Option<String>,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(job: &'a Job, timeline: bool, log: Option<EventLog>) -> Self {
        let names = names_of(&job.scenario);
        Self {
            job,
            timeline: timeline.then(|| Timeline::new(names.clone())),
            transcript: job.golden.is_some().then(|| Transcript::new(names.clone())),
            names,
            log,
            records: (job.trace.is_some() || job.report.is_some()).then(Vec::new),
            coverage: Coverage::default(),
            progress: Progress::new(),
            titled: false,
            failed: None,
        }
    }

    /// Once there is something to tell.
    fn title(&mut self) {
        if self.timeline.is_some() && !std::mem::replace(&mut self.titled, true) {
            let scenario = &self.job.scenario;
            let start = scenario.calendar.show(Instant::START);
            out(format_args!("{}  (seed {}, from {start})\n", scenario.full_title(), self.job.seed()));
        }
    }

    pub(super) fn end(&mut self, ended: &Ended, ending: &str) -> Result<(), Broken> {
        self.progress.end();
        self.title();
        if let Some(timeline) = &mut self.timeline {
            out(timeline.rest());
            out(ending);
        }
        let environment =
            |message: String| Broken { exit: Exit::Environment, message: format!("{message}\n") };
        if let Some(failed) = self.failed.take() {
            return Err(environment(failed));
        }
        if let Some(log) = self.log.take() {
            log.finish(&self.names, ended).map_err(environment)?;
        }
        let Some(records) = self.records.take() else { return Ok(()) };
        if let Some(path) = &self.job.trace {
            let text = hvrsim_report::chrome::document(&self.names, &records, ended.at);
            input::write_whole(path, &text).map_err(|error| {
                environment(format!("{}: error: the trace cannot be written: {error}", path.display()))
            })?;
        }
        if let Some(path) = &self.job.report {
            let header = header(self.job).map_err(environment)?;
            let log = Log { header, records, footer: footer(&self.names, ended) };
            let about = report::about(&self.job.scenario, self.job.command());
            report::write(path, &html::page(&log, &about)).map_err(environment)?;
        }
        Ok(())
    }

    /// The whole transcript, if a golden needs one.
    pub(super) fn transcript(&mut self, ending: &str) -> Option<Transcript> {
        let mut transcript = self.transcript.take()?;
        transcript.finish(ending);
        Some(transcript)
    }
}

impl Observer for Watcher<'_> {
    fn records(&mut self, _: &dyn Look, records: &[Record], now: Instant) {
        if !records.is_empty() {
            self.title();
        }
        if let Some(timeline) = &mut self.timeline
            && !records.is_empty()
        {
            out(timeline.lines(records));
        }
        if self.job.coverage {
            self.coverage.add(records);
        }
        if let Some(transcript) = &mut self.transcript {
            transcript.add(records);
        }
        if let Some(all) = &mut self.records {
            all.extend_from_slice(records);
        }
        if let Some(log) = &mut self.log {
            for record in records {
                let written = events::record(&self.names, record).map_err(|e| e.to_string());
                if let Err(error) = written.and_then(|line| log.line(&line)) {
                    self.failed.get_or_insert(error);
                }
            }
        }
        if self.timeline.is_none() {
            self.progress.at(now);
        }
    }
}

/// A sign of life on work over a second, on a terminal only; a timeline on it is sign enough.
struct Progress {
    begun: Clock,
    bar: Option<ProgressBar>,
    wanted: bool,
}

impl Progress {
    fn new() -> Self {
        Self { begun: Clock::now(), bar: None, wanted: std::io::stderr().is_terminal() }
    }

    fn at(&mut self, now: Instant) {
        if self.wanted && self.begun.elapsed() > Duration::from_secs(1) {
            let bar = self.bar.get_or_insert_with(ProgressBar::new_spinner);
            bar.set_message(format!("virtual time {now}"));
            bar.tick();
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
