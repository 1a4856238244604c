//! `hvrsim replay`: makes a logged run again, from the log alone, and stops at the first difference.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hvrsim_report::events::{self, Log};
use hvrsim_report::names::Names;
use hvrsim_scenario::run::Observer;
use hvrsim_scenario::{Choices, Scenario, Source};
use hvrsim_sim::Look;
use hvrsim_sim::trace::Record;
use hvrsim_types::time::Instant;

use crate::Exit;
use crate::input;
use crate::out::out;
use crate::run::{HeldTo, Job, Store, disk_argument, header, remove};

/// Arguments of `replay`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// An event log
    #[arg(value_name = "EVENTS")]
    log: PathBuf,
    /// The image that was given for this machine's first disk
    #[arg(long = "disk", value_name = "VM=IMAGE", value_parser = disk_argument)]
    disks: Vec<(String, PathBuf)>,
    /// The folder that images in the scenario are relative to; the log's own if not given
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(crate) fn replay(arguments: &Arguments) -> Exit {
    match again(arguments) {
        Ok(exit) => exit,
        Err((exit, message)) => {
            eprint!("{message}");
            exit
        }
    }
}

/// Reads a log file.
pub(crate) fn read_log(path: &std::path::Path) -> Result<(String, Log), String> {
    let source = input::read(path).map_err(|message| format!("{message}\n"))?;
    let log = Log::parse(&source.text)
        .map_err(|error| format!("{}:{}: error: {}\n", source.name, error.line, error.message))?;
    Ok((source.text, log))
}

type Failed = (Exit, String);

fn again(arguments: &Arguments) -> Result<Exit, Failed> {
    let wrong = |message: String| (Exit::Input, message);
    let (text, log) = read_log(&arguments.log).map_err(wrong)?;
    let scenario = scenario_of(&log, &arguments.log).map_err(wrong)?;
    let images = !log.header.images.is_empty();
    let folder = arguments.folder.clone().unwrap_or_else(|| input::folder(&arguments.log));
    let job = Job {
        seed: Some(log.header.seed),
        show_seed: false,
        name: format!("replay-{}", arguments.log.file_stem().unwrap_or_default().to_string_lossy()),
        file: folder.join("scenario.yaml"),
        disks: arguments.disks.iter().cloned().collect::<BTreeMap<_, _>>(),
        store: if images { Store::Images } else { Store::Stamps },
        keep: false,
        events: None,
        trace: None,
        report: None,
        coverage: false,
        measure: false,
        golden: None,
        windows_events: false,
        held_to: HeldTo::Expectations,
        scenario,
    };
    let found = input::images(&job.scenario, &job.file);
    if !found.is_empty() {
        return Err(wrong(input::shown(&found)));
    }
    let now = header(&job).map_err(|message| wrong(format!("{message}\n")))?;
    if now.images != log.header.images {
        let message = "the run had other images; --folder and --disk name them";
        return Err(wrong(format!("{}: error: {message}\n", arguments.log.display())));
    }
    let mut replay = Replay { names: log.names(), lines: text.lines().skip(1).collect(), at: 0, other: None };
    replay.lines.pop();
    let driven = job.drive(&mut replay, &mut |_, _| {});
    let (ended, folder) = driven.map_err(|broken| (broken.exit, broken.message))?;
    if let Some(folder) = folder {
        remove(&folder);
    }
    Ok(replay.verdict(&log, &ended.digest))
}

/// The scenario as the log holds it.
pub(crate) fn scenario_of(log: &Log, path: &std::path::Path) -> Result<Scenario, String> {
    let name = format!("{} (its scenario)", path.display());
    let source = Source::new(name, log.header.scenario.clone());
    let include = |path: &str| {
        let file = log.header.included.iter().find(|file| file.path == path);
        file.map(|file| Source::new(path, file.text.clone()))
            .ok_or_else(|| format!("the log does not hold {path}"))
    };
    let choices = Choices { params: &log.header.params, include: &include };
    let checked = hvrsim_scenario::check::check(&source, choices);
    checked.scenarios.into_iter().next().ok_or_else(|| input::shown(&checked.diagnostics))
}

/// Compares records with the lines of a log.
struct Replay<'a> {
    names: Names,
    lines: Vec<&'a str>,
    at: usize,
    /// The first line that is different now.
    other: Option<String>,
}

impl Observer for Replay<'_> {
    fn records(&mut self, _: &dyn Look, records: &[Record], _: Instant) {
        for record in records {
            if self.other.is_some() {
                return;
            }
            let line = events::record(&self.names, record).unwrap_or_default();
            if self.lines.get(self.at).is_some_and(|logged| *logged == line) {
                self.at += 1;
            } else {
                self.other = Some(line);
            }
        }
    }

    fn stop(&self) -> bool {
        self.other.is_some()
    }
}

impl Replay<'_> {
    fn verdict(&self, log: &Log, digest: &str) -> Exit {
        let (logged, now) = (self.lines.get(self.at), self.other.as_deref());
        if logged.is_none() && now.is_none() && digest == log.footer.digest {
            out(format_args!("the same: {} records, digest {}\n", self.at, &digest[..16]));
            return Exit::Green;
        }
        let version = env!("CARGO_PKG_VERSION");
        if log.header.tool != version {
            out(format_args!("the log is of version {}, this is {version}\n", log.header.tool));
        }
        out(format_args!(
            "the first difference is in line {}:\n  logged  {}\n  now     {}\n",
            self.at + 2,
            logged.copied().unwrap_or("nothing more"),
            now.unwrap_or("nothing more"),
        ));
        Exit::Red
    }
}
