//! The event log, written beside its place and renamed when it is whole.

use std::io::Write;
use std::path::{Path, PathBuf};

use hvrsim_report::events::{self, FORMAT, Failure, Footer, Header, Included, Placed};
use hvrsim_report::names::Names;
use hvrsim_scenario::Diagnostic;
use hvrsim_scenario::run::Ended;

use super::job::{Broken, Job};
use super::watcher::names_of;
use crate::Exit;
use crate::input;

/// A log under way.
pub(super) struct EventLog {
    path: PathBuf,
    beside: PathBuf,
    out: std::io::BufWriter<std::fs::File>,
}

/// Everything that the log says before its records.
pub(crate) fn header(job: &Job) -> Result<Header, String> {
    let scenario = &job.scenario;
    let names = names_of(scenario);
    let included = scenario.included.iter().zip(&scenario.source.included);
    let vms = &scenario.topology.vms;
    let given = scenario.images().map(|image| input::folder(&job.file).join(&image.value));
    let images: Vec<PathBuf> = given.chain(job.disks.values().cloned()).collect();
    Ok(Header {
        format: FORMAT,
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: scenario.source.text.clone(),
        included: included
            .map(|(path, source)| Included { path: path.clone(), text: source.text.clone() })
            .collect(),
        params: scenario.params.clone(),
        seed: job.seed(),
        hosts: names.hosts,
        vms: names.vms,
        placed: vms.iter().map(|vm| Placed { host: vm.host.value, power: vm.power }).collect(),
        images: images.iter().map(|path| digest(path)).collect::<Result<_, _>>()?,
    })
}

/// Everything that the log says after its records.
pub(super) fn footer(names: &Names, ended: &Ended) -> Footer {
    let failure = |found: &Diagnostic| Failure { line: found.place.line, message: found.message.clone() };
    Footer {
        records: ended.records,
        end_ns: ended.at.0,
        digest: ended.digest.clone(),
        failures: ended.failures.iter().map(failure).collect(),
        lost: ended.lost.iter().map(|(vm, lost)| (names.vm(*vm).to_owned(), lost.clone())).collect(),
    }
}

fn digest(image: &Path) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("{}: error: {error}", image.display());
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(image).map_err(wrong)?).map_err(wrong)?;
    Ok(hasher.finalize().to_hex().to_string())
}

impl EventLog {
    pub(super) fn create(path: &Path, job: &Job) -> Result<Self, Broken> {
        Self::begin(path, job)
            .map_err(|message| Broken { exit: Exit::Environment, message: format!("{message}\n") })
    }

    fn begin(path: &Path, job: &Job) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| {
            format!("{}: error: the event log cannot be written: {error}", path.display())
        };
        let header = header(job)?;
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| wrong(&input::folder_error(folder, &e)))?;
        }
        let beside = input::beside(path);
        let file = std::fs::File::create(&beside).map_err(|e| wrong(&e))?;
        let mut log = Self { path: path.to_owned(), beside, out: std::io::BufWriter::new(file) };
        events::header(&header).map_err(|e| wrong(&e)).and_then(|line| log.line(&line))?;
        Ok(log)
    }

    pub(super) fn line(&mut self, line: &str) -> Result<(), String> {
        writeln!(self.out, "{line}").map_err(|error| format!("{}: error: {error}", self.path.display()))
    }

    pub(super) fn finish(mut self, names: &Names, ended: &Ended) -> Result<(), String> {
        let footer = events::footer(&footer(names, ended)).map_err(|e| e.to_string())?;
        self.line(&footer)?;
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
