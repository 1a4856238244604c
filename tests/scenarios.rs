//! The shipped scenarios, and runs of scenarios through the library.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hvrsim_report::events;
use hvrsim_report::names::Names;
use hvrsim_scenario::check::check;
use hvrsim_scenario::run::{Ended, Observer, Options, run};
use hvrsim_scenario::{Choices, Diagnostic, Scenario, Source};
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

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.path).expect("it can be read")
    }

    /// The file itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The first of its runs.
    pub(crate) fn load(&self) -> Scenario {
        self.runs().swap_remove(0)
    }

    /// All its runs, one without a matrix.
    pub(crate) fn runs(&self) -> Vec<Scenario> {
        let source = Source::new(self.name.as_str(), self.text());
        let include = |path: &str| {
            let text = fs::read_to_string(self.folder().join(path)).map_err(|error| error.to_string())?;
            Ok(Source::new(path, text))
        };
        let checked = check(&source, Choices { params: &BTreeMap::new(), include: &include });
        assert!(!checked.scenarios.is_empty(), "{}", rendered(&checked.diagnostics));
        checked.scenarios
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

/// Messages as a reader sees them.
pub(crate) fn rendered(found: &[Diagnostic]) -> String {
    found.iter().map(|diagnostic| diagnostic.render(false)).collect()
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
        let names = Names::of(names);
        let lines = records.iter().map(|record| events::record(&names, record).expect("it can be written"));
        self.0.extend(lines);
    }
}

fn on(scenario: &Scenario, options: &Options, store: impl DiskStore) -> Outcome {
    let mut collector = Collector::default();
    let (ended, _) = run(scenario, options, store, &mut collector)
        .unwrap_or_else(|stopped| panic!("{}: {stopped:?}", scenario.source.name));
    Outcome { events: collector.0, failures: rendered(&ended.failures), ended }
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
