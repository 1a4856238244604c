//! Which runs a command line means: files and folders, matrices, seeds, all that the filter leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hvrsim_report::junit::{Case, Outcome};
use hvrsim_scenario::Scenario;
use hvrsim_types::near::nearest;

use super::job::{Golden, Job, Store};
use super::{Arguments, HeldTo, StoreKind};
use crate::Exit;
use crate::input;

/// Runs to be carried out.
pub(super) struct Plan {
    pub(super) jobs: Vec<Job>,
    /// Number of arguments that stand for one file.
    pub(super) files: usize,
    /// One file was named, and has one run.
    pub(super) single: bool,
    /// Files that cannot be run, for the results.
    pub(super) unusable: Vec<Case>,
    pub(super) exit: Exit,
}

impl Plan {
    pub(super) fn new(arguments: &Arguments) -> Result<Self, String> {
        let mut vms = BTreeSet::new();
        if let Some((vm, _)) = arguments.disks.iter().find(|(vm, _)| !vms.insert(vm.to_ascii_lowercase())) {
            return Err(format!("--disk names `{vm}` twice; it stands for the machine's one first disk"));
        }
        let files = input::scenario_files(&arguments.files)?;
        let mut plan = Self {
            jobs: Vec::new(),
            files: arguments.files.len(),
            single: files.len() == 1,
            unusable: Vec::new(),
            exit: Exit::Green,
        };
        for file in &files {
            plan.file(arguments, file);
        }
        if plan.jobs.is_empty() && plan.exit == Exit::Green {
            let filter = arguments.filter.as_deref().unwrap_or_default();
            return Err(format!("--filter {filter} leaves nothing to run"));
        }
        plan.single &= plan.jobs.len() == 1;
        plan.name_results(arguments)?;
        Ok(plan)
    }

    fn file(&mut self, arguments: &Arguments, file: &Path) {
        let params: BTreeMap<String, String> = arguments.params.iter().cloned().collect();
        let scenarios = match input::scenarios(file, &params) {
            Ok(scenarios) => scenarios,
            Err(message) => return self.unusable(file, message),
        };
        for scenario in scenarios {
            let seeds = match arguments.seeds {
                Some((from, to)) => (from..to).map(Some).collect(),
                None => vec![arguments.seed],
            };
            if let Some(filter) = &arguments.filter
                && !matches(&scenario, file, filter)
            {
                continue;
            }
            let store = match store(arguments, &scenario, file) {
                Ok(store) => store,
                Err(message) => return self.unusable(file, message),
            };
            for seed in seeds {
                self.jobs.push(job(arguments, &scenario, file, seed, store));
            }
        }
    }

    fn unusable(&mut self, file: &Path, message: String) {
        eprint!("{message}");
        self.exit = self.exit.max(Exit::Input);
        self.unusable.push(Case {
            suite: file.display().to_string(),
            name: "check".to_owned(),
            took: Duration::ZERO,
            outcome: Outcome::Error(message),
        });
    }

    /// Where each run leaves what it leaves. Two runs with one name would overwrite each other.
    fn name_results(&mut self, arguments: &Arguments) -> Result<(), String> {
        let several = !self.single;
        let leaves = arguments.events.is_some()
            || arguments.trace.is_some()
            || arguments.report.is_some()
            || arguments.keep;
        let mut names: BTreeMap<String, &Path> = BTreeMap::new();
        for job in &mut self.jobs {
            job.events =
                arguments.events.as_ref().map(|target| target_of(target, &job.name, "jsonl", several));
            job.report =
                arguments.report.as_ref().map(|target| target_of(target, &job.name, "html", several));
            job.trace = arguments.trace.as_ref().map(|target| target_of(target, &job.name, "json", several));
        }
        for job in self.jobs.iter().filter(|job| leaves || job.store == Store::Images) {
            if let Some(other) = names.insert(job.name.clone(), &job.file) {
                let (file, other) = (job.file.display(), other.display());
                return Err(format!(
                    "{other} and {file} have the same name, and so would what --events and --keep leave of \
                     them; run them one by one"
                ));
            }
        }
        Ok(())
    }
}

fn target_of(target: &Path, name: &str, end: &str, several: bool) -> PathBuf {
    if several { target.join(format!("{name}.{end}")) } else { target.to_owned() }
}

fn matches(scenario: &Scenario, file: &Path, filter: &str) -> bool {
    let name = format!("{} {}", file.display(), scenario.full_title()).to_lowercase();
    name.contains(&filter.to_lowercase())
}

fn job(arguments: &Arguments, scenario: &Scenario, file: &Path, seed: Option<u64>, store: Store) -> Job {
    let mut name =
        file.file_stem().map_or_else(|| "scenario".into(), |stem| stem.to_string_lossy().into_owned());
    let cell = scenario.cell_name();
    if !cell.is_empty() {
        name = format!("{name}-{cell}");
    }
    if let Some(seed) = seed {
        name = format!("{name}-s{seed}");
    }
    let own = seed.is_none_or(|seed| seed == scenario.seed) && arguments.params.is_empty();
    let golden = match (&scenario.golden, own && arguments.disks.is_empty()) {
        (Some(golden), true) => {
            let path = golden_path(&input::folder(file).join(&golden.value), &cell);
            Some(Golden { path, bless: arguments.bless })
        }
        _ => None,
    };
    Job {
        scenario: scenario.clone(),
        file: file.to_owned(),
        name,
        seed,
        show_seed: arguments.seeds.is_some(),
        disks: arguments.disks.iter().cloned().collect(),
        store,
        keep: arguments.keep,
        events: None,
        trace: None,
        report: None,
        coverage: arguments.coverage,
        measure: arguments.measure,
        golden,
        windows_events: arguments.windows_events,
        held_to: held_to(arguments),
    }
}

const fn held_to(arguments: &Arguments) -> HeldTo {
    match (arguments.recover, arguments.claims) {
        (true, _) => HeldTo::Recovery,
        (_, true) => HeldTo::Claims,
        _ => HeldTo::Expectations,
    }
}

/// A golden of a matrix stands once for each combination.
fn golden_path(path: &Path, cell: &str) -> PathBuf {
    if cell.is_empty() {
        return path.to_owned();
    }
    let stem = path.file_stem().map_or_else(Default::default, |stem| stem.to_string_lossy().into_owned());
    let end = path.extension().map_or_else(String::new, |end| format!(".{}", end.to_string_lossy()));
    path.with_file_name(format!("{stem}-{cell}{end}"))
}

/// Everything that a user gave is looked at before anything is written.
fn store(arguments: &Arguments, scenario: &Scenario, file: &Path) -> Result<Store, String> {
    let found = input::images(scenario, file);
    if !found.is_empty() {
        return Err(input::shown(&found));
    }
    check_disks(&arguments.disks, scenario)?;
    let given = !arguments.disks.is_empty() || scenario.images().next().is_some();
    match arguments.store {
        Some(StoreKind::Stamps) if given => Err(format!(
            "{}: error: the scenario uses images; --store stamps cannot hold them\n",
            scenario.source.name
        )),
        Some(StoreKind::Images) => Ok(Store::Images),
        None if given || arguments.keep => Ok(Store::Images),
        _ => Ok(Store::Stamps),
    }
}

/// Images in place of first disks: of machines that are there, and fit to be read.
pub(super) fn check_disks(disks: &[(String, PathBuf)], scenario: &Scenario) -> Result<(), String> {
    let names: Vec<&str> = scenario.topology.vms.iter().map(|vm| vm.name.value.as_str()).collect();
    for (vm, image) in disks {
        let given = format!("--disk {vm}={}", image.display());
        if !names.iter().any(|name| name.eq_ignore_ascii_case(vm)) {
            let near = nearest(vm, names.iter().copied()).map_or_else(
                || format!("it has {}", names.join(", ")),
                |name| format!("did you mean `{name}`?"),
            );
            return Err(format!(
                "{given}: error: {} has no virtual machine `{vm}`; {near}\n",
                scenario.source.name
            ));
        }
        if let Some(error) = input::image_error(image) {
            return Err(format!("{given}: error: {error}\n"));
        }
    }
    Ok(())
}
