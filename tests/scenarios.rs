//! The shipped scenarios, and runs of scenarios through the library.

use std::fs;
use std::path::{Path, PathBuf};

use hvrsim_report::events;
use hvrsim_scenario::run::{Ended, Observer, Options, run};
use hvrsim_scenario::{Scenario, Source};
use hvrsim_sim::Look;
use hvrsim_sim::store::{DiskStore, Images, Stamps};
use hvrsim_sim::trace::Record;
use hvrsim_types::time::Instant;

use crate::root;

/// A shipped scenario.
pub(crate) struct Shipped {
    /// Its path below `scenarios/`.
    pub(crate) name: String,
    path: PathBuf,
}

impl Shipped {
    /// A lesson's broken half shows a failed expectation; everything else is met.
    pub(crate) fn is_red(&self) -> bool {
        self.name.starts_with("lessons/") && self.name.ends_with("/broken.yaml")
    }

    pub(crate) fn load(&self) -> Scenario {
        load(&self.name, &fs::read_to_string(&self.path).expect("it can be read"))
    }

    /// The folder that its images are relative to.
    pub(crate) fn folder(&self) -> PathBuf {
        self.path.parent().expect("it is in a folder").to_owned()
    }
}

/// All whole scenarios below `scenarios/`, in order; a file without the key `scenario` is a part of others.
pub(crate) fn shipped() -> Vec<Shipped> {
    let top = root().join("scenarios");
    let mut found = Vec::new();
    let mut open = vec![top.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "yaml") && is_whole(&path) {
                let name = path.strip_prefix(&top).expect("it is below").to_string_lossy().into_owned();
                found.push(Shipped { name, path });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn is_whole(path: &Path) -> bool {
    let text = fs::read_to_string(path).expect("it can be read");
    text.lines().any(|line| line.starts_with("scenario:"))
}

/// A scenario that has no errors.
pub(crate) fn load(name: &str, text: &str) -> Scenario {
    let source = Source::new(name, text);
    hvrsim_scenario::load(&source).unwrap_or_else(|found| {
        let shown: Vec<String> = found.iter().map(|d| d.render(&source.text, false)).collect();
        panic!("{}", shown.join("\n"))
    })
}

/// What came out of a run.
pub(crate) struct Outcome {
    /// How it ended.
    pub(crate) ended: Ended,
    /// The event log's lines of records.
    pub(crate) events: Vec<String>,
    /// What did not come out as written, as a reader sees it.
    pub(crate) failures: String,
}

#[derive(Default)]
struct Collector(Vec<String>);

impl Observer for Collector {
    fn records(&mut self, names: &dyn Look, records: &[Record], _: Instant) {
        let lines = records.iter().map(|record| events::record(names, record).expect("it can be written"));
        self.0.extend(lines);
    }
}

fn on(scenario: &Scenario, options: &Options, store: impl DiskStore) -> Outcome {
    let mut collector = Collector::default();
    let (ended, _) = run(scenario, options, store, &mut collector)
        .unwrap_or_else(|stopped| panic!("{}: {stopped:?}", scenario.source.name));
    let shown: Vec<String> =
        ended.failures.iter().map(|failure| failure.render(&scenario.source.text, false)).collect();
    Outcome { events: collector.0, failures: shown.concat(), ended }
}

pub(crate) fn on_stamps(scenario: &Scenario, options: &Options) -> Outcome {
    on(scenario, options, Stamps::default())
}

pub(crate) fn on_images(scenario: &Scenario, options: &Options) -> Outcome {
    let hosts: Vec<String> = scenario.topology.hosts.iter().map(|host| host.name.value.clone()).collect();
    let vms: Vec<String> = scenario.topology.vms.iter().map(|vm| vm.name.value.clone()).collect();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let seed = options.seed.unwrap_or(scenario.seed);
    let store = Images::new(folder.path().join("run"), &hosts, &vms, seed).expect("the store can be made");
    on(scenario, options, store)
}
