//! One run: on its store, with what is written beside it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as Clock};

use hvrsim_report::coverage::Coverage;
use hvrsim_report::names::Names;
use hvrsim_report::timeline::standing;
use hvrsim_report::transcript::Transcript;
use hvrsim_scenario::run::{Ended, Observer, Options, Stopped};
use hvrsim_scenario::{Diagnostic, Place, Scenario};
use hvrsim_sim::store::{DiskStore, Images, Stamps, StoreError};
use hvrsim_sim::{Look, Sim};
use hvrsim_types::time::Instant;

use super::claims::{Claims, HeldTo};
use super::log::EventLog;
use super::watcher::{Watcher, names_of};
use crate::Exit;
use crate::input;
use crate::report;

/// Where disks are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Stamps,
    Images,
}

/// A recorded timeline.
pub(crate) struct Golden {
    pub(crate) path: PathBuf,
    /// It is written, not compared with.
    pub(crate) bless: bool,
}

/// A run to be carried out.
pub(crate) struct Job {
    pub(crate) scenario: Scenario,
    pub(crate) file: PathBuf,
    /// The name of what it leaves.
    pub(crate) name: String,
    /// In place of the scenario's.
    pub(crate) seed: Option<u64>,
    pub(crate) show_seed: bool,
    pub(crate) disks: BTreeMap<String, PathBuf>,
    pub(crate) store: Store,
    pub(crate) keep: bool,
    pub(crate) events: Option<PathBuf>,
    pub(crate) trace: Option<PathBuf>,
    pub(crate) report: Option<PathBuf>,
    /// The rules that it takes are counted.
    pub(crate) coverage: bool,
    /// At the end every host's replication is measured.
    pub(crate) measure: bool,
    pub(crate) golden: Option<Golden>,
    /// The Windows event logs are printed at the end.
    pub(crate) windows_events: bool,
    /// What the run is held to beside its expectations.
    pub(crate) held_to: HeldTo,
}

/// What a run has to tell.
pub(crate) struct Told {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
    pub(crate) coverage: Coverage,
}

/// Why a run did not come to its end.
pub(crate) struct Broken {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

/// Looks at the world at the end.
type End<'a> = dyn FnMut(&dyn Look, &Ended) + 'a;

/// The folder that holds the run folders.
const RUNS: &str = "hvrsim-run";

impl Job {
    pub(crate) fn seed(&self) -> u64 {
        self.seed.unwrap_or(self.scenario.seed)
    }

    /// What tells the run apart from others of its file.
    pub(crate) fn case_name(&self) -> String {
        let seed = if self.show_seed { format!(" seed {}", self.seed()) } else { String::new() };
        format!("{}{seed}", self.scenario.full_title())
    }

    /// The file, the combination and the seed, as far as there are several.
    fn label(&self) -> String {
        let cell: Vec<String> =
            self.scenario.cell.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cell = if cell.is_empty() { String::new() } else { format!(" [{}]", cell.join(", ")) };
        let seed = if self.show_seed { format!(" seed {}", self.seed()) } else { String::new() };
        format!("{}{cell}{seed}", self.scenario.source.name)
    }

    /// The command that makes this run, and no other.
    pub(crate) fn command(&self) -> String {
        let mut command = format!("hvrsim run {} --seed {}", report::quoted(&self.file), self.seed());
        for (name, value) in &self.scenario.params {
            let _ = write!(command, " --param {}", report::quoted(Path::new(&format!("{name}={value}"))));
        }
        for (vm, image) in &self.disks {
            let _ = write!(command, " --disk {vm}={}", report::quoted(image));
        }
        command
    }

    /// Carries it out. With `timeline` it is printed while it happens.
    pub(crate) fn run(&self, timeline: bool) -> Told {
        let begun = Clock::now();
        let mut coverage = Coverage::default();
        let told = self.told(timeline, &mut coverage);
        let (exit, stdout, stderr) =
            told.unwrap_or_else(|broken| (broken.exit, String::new(), broken.message));
        Told { exit, stdout, stderr, took: begun.elapsed(), coverage }
    }

    fn told(&self, timeline: bool, coverage: &mut Coverage) -> Result<(Exit, String, String), Broken> {
        let log = match &self.events {
            Some(path) => Some(EventLog::create(path, self)?),
            None => None,
        };
        let mut watcher = Watcher::new(self, timeline, log);
        let (mut ending, mut measured) = (String::new(), String::new());
        let (ended, folder) = self.drive(&mut watcher, &mut |look, ended| {
            ending = at_the_end(look, &names_of(&self.scenario), ended);
            if self.measure {
                measured = measure(look);
            }
        })?;
        *coverage = std::mem::take(&mut watcher.coverage);
        let found = self.found(&ended);
        watcher.end(&ended, &format!("{ending}{found}"))?;
        let mut stderr = input::shown(&ended.failures);
        let mut green = ended.failures.is_empty();
        if !green && (self.show_seed || !self.scenario.cell.is_empty()) {
            stderr.insert_str(0, &format!("{}:\n", self.label()));
        }
        if let (Some(golden), Some(transcript)) = (&self.golden, watcher.transcript(&ending)) {
            let difference = self.compare(golden, &transcript, green)?;
            green &= difference.is_empty();
            stderr.push_str(&difference);
        }
        let exit = if green { Exit::Green } else { Exit::Red };
        let mut stdout = format!(
            "{}  {}  {} of virtual time, {} records, digest {}\n",
            if green { "green" } else { "RED" },
            self.label(),
            ended.at - Instant::START,
            ended.records,
            ended.digest.get(..16).unwrap_or(&ended.digest),
        );
        stdout.insert_str(0, &measured);
        if let Some(folder) = folder {
            self.leave(&folder, exit, &mut stdout);
        }
        Ok((exit, stdout, stderr))
    }

    /// What there is to find, and what the Windows event logs hold if that is wanted.
    fn found(&self, ended: &Ended) -> String {
        let names = names_of(&self.scenario);
        let mut text = hvrsim_report::findings::text(&names, &ended.findings);
        if self.windows_events {
            text.push_str(&hvrsim_report::findings::windows_events(&names, &ended.windows));
        }
        text
    }

    /// Runs on the store that it needs; gives back the run folder if there is one.
    pub(crate) fn drive(
        &self,
        observer: &mut dyn Observer,
        end: &mut End<'_>,
    ) -> Result<(Ended, Option<PathBuf>), Broken> {
        if self.store == Store::Stamps {
            return Ok((self.on(Stamps::default(), observer, end)?.0, None));
        }
        let folder = Path::new(RUNS).join(&self.name);
        fresh_folder(&folder).map_err(|error| {
            let error = input::folder_error(&folder, &error);
            let message = format!("{}: error: the run folder cannot be written: {error}\n", folder.display());
            Broken { exit: Exit::Environment, message }
        })?;
        let names = names_of(&self.scenario);
        let done = Images::new(folder.clone(), &names.hosts, &names.vms, self.seed())
            .map_err(|error| self.store_failed(&error, None))
            .and_then(|store| self.on(store, observer, end))
            .and_then(|(ended, sim)| {
                sim.store.finish().map_err(|error| self.store_failed(&error, None))?;
                Ok(ended)
            });
        match done {
            Ok(ended) => Ok((ended, Some(folder))),
            Err(broken) => {
                remove(&folder);
                Err(broken)
            }
        }
    }

    fn on<D: DiskStore>(
        &self,
        store: D,
        observer: &mut dyn Observer,
        end: &mut End<'_>,
    ) -> Result<(Ended, Sim<D>), Broken> {
        let options =
            Options { seed: self.seed, disks: self.disks.clone(), folder: input::folder(&self.file) };
        let mut claims = Claims::new(&self.scenario, self.held_to, observer);
        let (mut ended, mut sim) = hvrsim_scenario::run::run(&self.scenario, &options, store, &mut claims)
            .map_err(|Stopped::Store(error, place)| self.store_failed(&error, place))?;
        let broken = claims.end(&mut sim).map_err(|error| self.store_failed(&error, None))?;
        ended.failures.extend(broken);
        end(&sim, &ended);
        Ok((ended, sim))
    }

    fn store_failed(&self, error: &StoreError, place: Option<Place>) -> Broken {
        let message = match place {
            Some(place) => {
                input::shown(&[Diagnostic::error(&self.scenario.source, place, error.to_string(), None)])
            }
            None => format!("error: {error}\n"),
        };
        let exit = match error {
            StoreError::Given { .. } => Exit::Input,
            StoreError::Folder { .. } => Exit::Environment,
        };
        Broken { exit, message }
    }

    /// Writes the golden or compares with it; gives back what is wrong.
    fn compare(&self, golden: &Golden, transcript: &Transcript, green: bool) -> Result<String, Broken> {
        let name = golden.path.display();
        if golden.bless {
            if !green {
                return Ok(format!("{name}: not recorded: the run is not green\n"));
            }
            input::write_whole(&golden.path, transcript.text()).map_err(|error| {
                let message = format!("{name}: error: the timeline cannot be recorded: {error}\n");
                Broken { exit: Exit::Environment, message }
            })?;
            return Ok(String::new());
        }
        let Ok(recorded) = std::fs::read_to_string(&golden.path) else {
            return Ok(format!("{name}: error: no timeline is recorded yet; `--bless` records it\n"));
        };
        let difference = transcript.difference(&recorded, &self.scenario.source.name);
        Ok(difference.map_or_else(String::new, |difference| {
            format!(
                "{name}: error: the timeline is not the recorded one; `--bless` records it anew\n{difference}"
            )
        }))
    }

    /// A green run's folder goes, unless it is to be kept; a red one's stays to be looked at.
    fn leave(&self, folder: &Path, exit: Exit, stdout: &mut String) {
        if self.keep || exit == Exit::Red {
            let _ = writeln!(stdout, "images: {}", folder.display());
        } else {
            remove(folder);
        }
    }
}

/// How everything stands, and what was lost.
fn at_the_end(look: &dyn Look, names: &Names, ended: &Ended) -> String {
    let mut text = format!("\nAt the end\n{}", standing(look));
    for (vm, losses) in &ended.lost {
        for loss in losses {
            let _ = writeln!(text, "  lost of {}: {loss}", names.vm(*vm));
        }
    }
    text.push('\n');
    text
}

/// What `Measure-VMReplication` prints on each host that is up.
fn measure(look: &dyn Look) -> String {
    let mut text = String::new();
    let call =
        hvrsim_cmdlets::parse("Measure-VMReplication").ok().and_then(|line| hvrsim_cmdlets::bind(&line).ok());
    let Some(call) = call else { return text };
    for host in look.host_names() {
        if look.host(&host).is_none_or(|id| !look.host_is_up(id)) {
            continue;
        }
        for action in hvrsim_cmdlets::plan(&call, Some(&host), look).unwrap_or_default() {
            if let hvrsim_cmdlets::Action::Show { text: shown } = action {
                let _ = writeln!(text, "{host}> Measure-VMReplication\n{}\n", shown.trim_end());
            }
        }
    }
    text
}

pub(crate) fn remove(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
    // The folder of all runs goes with its last one.
    let _ = std::fs::remove_dir(RUNS);
}

fn fresh_folder(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(folder)
}
