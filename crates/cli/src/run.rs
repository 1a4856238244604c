//! `hvrsim run`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as Clock};

use clap::ValueEnum;
use hvrsim_report::events::{self, Header};
use hvrsim_report::timeline::{Timeline, standing};
use hvrsim_scenario::run::{Ended, Observer, Options, Stopped};
use hvrsim_scenario::{Diagnostic, Scenario, Source};
use hvrsim_sim::store::{DiskStore, Images, Stamps, StoreError};
use hvrsim_sim::trace::Record;
use hvrsim_sim::{Look, Sim};
use hvrsim_types::near::nearest;
use hvrsim_types::time::Instant;
use indicatif::ProgressBar;

use crate::Exit;
use crate::input;
use crate::out::out;

/// Arguments of `run`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Seed in place of the scenario's
    #[arg(long, value_parser = seed_argument, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Where disks are kept: `stamps` (numbers of writes) or `images` (real files in a run folder)
    #[arg(long, value_enum)]
    store: Option<StoreKind>,
    /// A copy of this image as the machine's first disk; the image itself is only read. Implies `--store images`
    #[arg(long = "disk", value_name = "VM=IMAGE", value_parser = disk_argument)]
    disks: Vec<(String, PathBuf)>,
    /// Write the event log (JSON Lines) to this file; with several scenarios, into this folder
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Keep the run folder with all images. Implies `--store images`
    #[arg(long)]
    keep: bool,
    /// One line a scenario, no timeline
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StoreKind {
    Stamps,
    Images,
}

fn disk_argument(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((vm, image)) if !vm.is_empty() && !image.is_empty() => Ok((vm.to_owned(), PathBuf::from(image))),
        _ => Err("expected VM=IMAGE, for instance web01=disk.vhdx".to_owned()),
    }
}

fn seed_argument(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// The folder that holds the run folders.
const RUNS: &str = "hvrsim-run";

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let several = arguments.files.len() > 1;
    if arguments.store == Some(StoreKind::Stamps) && (arguments.keep || !arguments.disks.is_empty()) {
        eprintln!(
            "error: --disk and --keep need real images: leave --store stamps out, or write --store images"
        );
        return Exit::Input;
    }
    if let Some(message) = named_twice(arguments) {
        eprintln!("error: {message}");
        return Exit::Input;
    }
    let exits = arguments.files.iter().map(|file| {
        let one = One { arguments, file, several };
        one.run()
    });
    exits.max().unwrap_or(Exit::Green)
}

/// A machine with two images, or two scenarios whose results would have one name.
fn named_twice(arguments: &Arguments) -> Option<String> {
    let mut vms = BTreeSet::new();
    if let Some((vm, _)) = arguments.disks.iter().find(|(vm, _)| !vms.insert(vm.to_ascii_lowercase())) {
        return Some(format!("--disk names `{vm}` twice; it stands for the machine's one first disk"));
    }
    if arguments.events.is_none() && !arguments.keep {
        return None;
    }
    let mut stems = BTreeMap::new();
    for file in &arguments.files {
        if let Some(other) = stems.insert(file.file_stem(), file) {
            let (file, other) = (file.display(), other.display());
            return Some(format!(
                "{other} and {file} have the same name, and so would what --events and --keep leave of them; \
                 run them one by one"
            ));
        }
    }
    None
}

/// One scenario of a command.
struct One<'a> {
    arguments: &'a Arguments,
    file: &'a Path,
    several: bool,
}

impl One<'_> {
    fn run(&self) -> Exit {
        let source = match input::read(self.file) {
            Ok(source) => source,
            Err(message) => {
                eprintln!("{message}");
                return Exit::Input;
            }
        };
        let scenario = match hvrsim_scenario::load(&source) {
            Ok(scenario) => scenario,
            Err(found) => {
                input::show(&found, &source.text);
                return Exit::Input;
            }
        };
        if let Err(exit) = self.check_images(&scenario, &source) {
            return exit;
        }
        let given = !self.arguments.disks.is_empty() || scenario.images().next().is_some();
        match self.arguments.store {
            Some(StoreKind::Stamps) if given => {
                eprintln!(
                    "{}: error: the scenario uses images; --store stamps cannot hold them",
                    source.name
                );
                Exit::Input
            }
            Some(StoreKind::Images) => self.on_images(&scenario),
            None if given || self.arguments.keep => self.on_images(&scenario),
            _ => self.on_stamps(&scenario),
        }
    }

    /// Everything that a user gave is looked at before anything is written.
    fn check_images(&self, scenario: &Scenario, source: &Source) -> Result<(), Exit> {
        let found = input::images(scenario, self.file);
        if !found.is_empty() {
            input::show(&found, &source.text);
            return Err(Exit::Input);
        }
        let names: Vec<&str> = scenario.topology.vms.iter().map(|vm| vm.name.value.as_str()).collect();
        for (vm, image) in &self.arguments.disks {
            let given = format!("--disk {vm}={}", image.display());
            if !names.iter().any(|name| name.eq_ignore_ascii_case(vm)) {
                let near = nearest(vm, names.iter().copied()).map_or_else(
                    || format!("it has {}", names.join(", ")),
                    |name| format!("did you mean `{name}`?"),
                );
                eprintln!("{given}: error: {} has no virtual machine `{vm}`; {near}", source.name);
                return Err(Exit::Input);
            }
            if let Some(error) = input::image_error(image) {
                eprintln!("{given}: error: {error}");
                return Err(Exit::Input);
            }
        }
        Ok(())
    }

    fn options(&self) -> Options {
        Options {
            seed: self.arguments.seed,
            disks: self.arguments.disks.iter().cloned().collect::<BTreeMap<_, _>>(),
            folder: input::folder(self.file),
        }
    }

    fn on_stamps(&self, scenario: &Scenario) -> Exit {
        match self.drive(scenario, Stamps::default()) {
            Ok((green, _)) => green,
            Err(exit) => exit,
        }
    }

    fn on_images(&self, scenario: &Scenario) -> Exit {
        let folder = self.run_folder();
        if let Err(error) = fresh_folder(&folder) {
            let error = input::folder_error(&folder, &error);
            eprintln!("{}: error: the run folder cannot be written: {error}", folder.display());
            return Exit::Environment;
        }
        let hosts: Vec<String> = scenario.topology.hosts.iter().map(|h| h.name.value.clone()).collect();
        let vms: Vec<String> = scenario.topology.vms.iter().map(|v| v.name.value.clone()).collect();
        let seed = self.arguments.seed.unwrap_or(scenario.seed);
        let store = match Images::new(folder.clone(), &hosts, &vms, seed) {
            Ok(store) => store,
            Err(error) => return self.store_failed(scenario, &error, None),
        };
        let exit = match self.drive(scenario, store) {
            Ok((exit, sim)) => match sim.store.finish() {
                Ok(()) => exit,
                Err(error) => self.store_failed(scenario, &error, None),
            },
            Err(exit) => exit,
        };
        self.leave(&folder, exit)
    }

    /// A green run's folder goes, unless it is to be kept; a red one's stays to be looked at.
    fn leave(&self, folder: &Path, exit: Exit) -> Exit {
        match exit {
            Exit::Green | Exit::Red if self.arguments.keep || exit == Exit::Red => {
                out(format_args!("images: {}\n", folder.display()));
            }
            _ => {
                let _ = std::fs::remove_dir_all(folder);
                // The folder of all runs goes with its last one.
                let _ = std::fs::remove_dir(RUNS);
            }
        }
        exit
    }

    fn run_folder(&self) -> PathBuf {
        let stem =
            self.file.file_stem().map_or_else(|| "scenario".into(), |s| s.to_string_lossy().into_owned());
        let seed = self.arguments.seed.map_or_else(String::new, |seed| format!("-s{seed}"));
        Path::new(RUNS).join(format!("{stem}{seed}"))
    }

    fn store_failed(
        &self,
        scenario: &Scenario,
        error: &StoreError,
        place: Option<hvrsim_scenario::Place>,
    ) -> Exit {
        match place {
            Some(place) => {
                let found = Diagnostic::error(&scenario.source, place, error.to_string(), None);
                input::show(&[found], &scenario.source.text);
            }
            None => eprintln!("error: {error}"),
        }
        match error {
            StoreError::Given { .. } => Exit::Input,
            StoreError::Folder { .. } => Exit::Environment,
        }
    }

    fn drive<D: DiskStore>(&self, scenario: &Scenario, store: D) -> Result<(Exit, Sim<D>), Exit> {
        let begun = Clock::now();
        let mut watcher = Watcher {
            timeline: (!self.several && !self.arguments.quiet).then(Timeline::default),
            log: self.event_log(scenario)?,
            progress: Progress::new(begun, self.several || self.arguments.quiet),
            failed: None,
        };
        watcher.title(scenario, self.arguments.seed);
        let run = hvrsim_scenario::run::run(scenario, &self.options(), store, &mut watcher);
        watcher.progress.end();
        let (ended, sim) = match run {
            Ok(done) => done,
            Err(Stopped::Store(error, place)) => return Err(self.store_failed(scenario, &error, place)),
        };
        watcher.end(&sim, &ended).map_err(|message| {
            eprintln!("{message}");
            Exit::Environment
        })?;
        input::show(&ended.failures, &scenario.source.text);
        let green = ended.failures.is_empty();
        let verdict = if green { "green" } else { "RED" };
        out(format_args!(
            "{verdict}  {}  {} of virtual time, {} records, digest {}\n",
            scenario.source.name,
            ended.at - Instant::START,
            ended.records,
            ended.digest.get(..16).unwrap_or(&ended.digest),
        ));
        Ok((if green { Exit::Green } else { Exit::Red }, sim))
    }

    fn event_log(&self, scenario: &Scenario) -> Result<Option<EventLog>, Exit> {
        let Some(target) = &self.arguments.events else { return Ok(None) };
        let path = if self.several {
            let stem = self.file.file_stem().map_or_else(|| "scenario".into(), std::ffi::OsStr::to_os_string);
            target.join(stem).with_extension("jsonl")
        } else {
            target.clone()
        };
        let names: Vec<String> = scenario.topology.hosts.iter().map(|h| h.name.value.clone()).collect();
        let vms: Vec<String> = scenario.topology.vms.iter().map(|v| v.name.value.clone()).collect();
        let seed = self.arguments.seed.unwrap_or(scenario.seed);
        let mut header = Header::new(env!("CARGO_PKG_VERSION"), &scenario.source.text, seed, names, vms);
        let given = scenario.images().map(|image| input::folder(self.file).join(&image.value));
        let images: Vec<PathBuf> =
            given.chain(self.arguments.disks.iter().map(|(_, path)| path.clone())).collect();
        EventLog::create(&path, &mut header, &images).map(Some).map_err(|message| {
            eprintln!("{message}");
            Exit::Environment
        })
    }
}

fn fresh_folder(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(folder)
}

/// The event log, written beside its place and renamed when it is whole.
struct EventLog {
    path: PathBuf,
    beside: PathBuf,
    out: std::io::BufWriter<std::fs::File>,
}

impl EventLog {
    fn create(path: &Path, header: &mut Header, images: &[PathBuf]) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| {
            format!("{}: error: the event log cannot be written: {error}", path.display())
        };
        for image in images {
            let mut hasher = blake3::Hasher::new();
            let file = std::fs::File::open(image).map_err(|e| format!("{}: error: {e}", image.display()))?;
            hasher.update_reader(file).map_err(|e| format!("{}: error: {e}", image.display()))?;
            header.images.push(hasher.finalize().to_hex().to_string());
        }
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| wrong(&input::folder_error(folder, &e)))?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".part");
        let beside = PathBuf::from(beside);
        let file = std::fs::File::create(&beside).map_err(|e| wrong(&e))?;
        let mut log = Self { path: path.to_owned(), beside, out: std::io::BufWriter::new(file) };
        events::header(header).map_err(|e| wrong(&e)).and_then(|line| log.line(&line))?;
        Ok(log)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        writeln!(self.out, "{line}").map_err(|error| format!("{}: error: {error}", self.path.display()))
    }

    fn finish(&mut self) -> Result<(), String> {
        let wrong = |error: std::io::Error| format!("{}: error: {error}", self.path.display());
        self.out.flush().map_err(wrong)?;
        std::fs::rename(&self.beside, &self.path).map_err(wrong)
    }
}

/// A log that was not finished is no log.
impl Drop for EventLog {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.beside);
    }
}

/// A sign of life on work over a second, on a terminal only.
struct Progress {
    begun: Clock,
    bar: Option<ProgressBar>,
    wanted: bool,
}

impl Progress {
    /// A timeline on the same terminal is sign enough.
    fn new(begun: Clock, quiet: bool) -> Self {
        let alone = quiet || !std::io::stdout().is_terminal();
        Self { begun, bar: None, wanted: alone && std::io::stderr().is_terminal() }
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

/// Writes timeline and event log while a scenario runs.
struct Watcher {
    timeline: Option<Timeline>,
    log: Option<EventLog>,
    progress: Progress,
    failed: Option<String>,
}

impl Watcher {
    fn title(&self, scenario: &Scenario, seed: Option<u64>) {
        if self.timeline.is_some() {
            let start = scenario.calendar.show(Instant::START);
            out(format_args!(
                "{}  (seed {}, from {start})\n",
                scenario.title.value,
                seed.unwrap_or(scenario.seed)
            ));
        }
    }

    fn end<D: DiskStore>(&mut self, sim: &Sim<D>, ended: &Ended) -> Result<(), String> {
        if let Some(timeline) = &mut self.timeline {
            out(timeline.rest(sim));
            out(format_args!("\nAt the end\n{}", standing(sim)));
            for vm in sim.vm_names() {
                let losses = sim.vm(&vm).map(|id| sim.losses(id)).unwrap_or_default();
                for loss in &losses {
                    out(format_args!("  lost of {vm}: {loss}\n"));
                }
            }
            out("\n");
        }
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        if let Some(mut log) = self.log.take() {
            let footer = events::footer(ended.records, ended.at, &ended.digest).map_err(|e| e.to_string())?;
            log.line(&footer)?;
            log.finish()?;
        }
        Ok(())
    }
}

impl Observer for Watcher {
    fn records(&mut self, names: &dyn Look, records: &[Record], now: Instant) {
        if let Some(timeline) = &mut self.timeline {
            out(timeline.lines(names, records));
        }
        if let Some(log) = &mut self.log {
            for record in records {
                let written = events::record(names, record).map_err(|e| e.to_string());
                if let Err(error) = written.and_then(|line| log.line(&line)) {
                    self.failed.get_or_insert(error);
                }
            }
        }
        self.progress.at(now);
    }
}
