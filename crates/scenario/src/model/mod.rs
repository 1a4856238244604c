//! A scenario with every word resolved: ids instead of names, typed values instead of texts, each with its place.

pub mod expect;
pub mod step;
pub mod topology;
pub mod value;

use hvrsim_replica::profile::Profile;
use hvrsim_types::time::Calendar;

use std::collections::BTreeMap;

use crate::source::{At, Source};
use expect::Never;
use step::{Action, Step};
use topology::{DiskSource, Topology};

/// A scenario, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// The text it was read from, for messages at run time and for the log's header.
    pub source: Source,
    /// `scenario`: its title.
    pub title: At<String>,
    /// `description`: free text, empty if there is none.
    pub description: String,
    /// `seed`: of everything drawn at random; 0 if not given.
    pub seed: u64,
    /// `start`: the calendar date of the virtual start.
    pub calendar: Calendar,
    /// `profile`: which reading of the documentation, where there are several.
    pub profile: Profile,
    /// `topology`: hosts, links, virtual machines.
    pub topology: Topology,
    /// `steps`, in order.
    pub steps: Vec<Step>,
    /// `cleanup`: steps that are carried out at the end, however the others came out.
    pub cleanup: Vec<Step>,
    /// `never`: what must not be at any moment.
    pub never: Vec<At<Never>>,
    /// `golden`: the file that holds the recorded timeline, relative to the scenario's.
    pub golden: Option<At<String>>,
    /// The files that the topology includes, as written, in the order of [`Source::included`].
    pub included: Vec<String>,
    /// The combination of `matrix` that this run is: keys and values in order; empty without one.
    pub cell: Vec<(String, String)>,
    /// The values of all parameters, those of the matrix included.
    pub params: BTreeMap<String, String>,
}

impl Scenario {
    /// The title, with the combination of the matrix.
    #[must_use]
    pub fn full_title(&self) -> String {
        if self.cell.is_empty() {
            return self.title.value.clone();
        }
        let cell: Vec<String> = self.cell.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} [{}]", self.title.value, cell.join(", "))
    }

    /// The combination of the matrix as a part of file names; empty without one.
    #[must_use]
    pub fn cell_name(&self) -> String {
        let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
        let words: Vec<String> =
            self.cell.iter().map(|(_, value)| value.chars().map(plain).collect()).collect();
        words.join("-")
    }

    /// A step without a name is told by its own line, or by the several lines that it runs.
    #[must_use]
    pub fn words(&self, step: &Step) -> String {
        if let Some(name) = &step.name {
            return name.clone();
        }
        if let Action::Run(run) = &step.action
            && run.lines.len() > 1
        {
            let lines: Vec<&str> = run.lines.iter().map(|line| line.text.value.as_str()).collect();
            return format!("run: {}", lines.join("; "));
        }
        let line = self.source.line(step.place);
        line.trim().trim_start_matches("- ").trim_end_matches(['|', ':', ' ']).to_owned()
    }

    /// The images that virtual machines start from, as written: relative to the scenario's file.
    pub fn images(&self) -> impl Iterator<Item = &At<String>> {
        let disks = self.topology.vms.iter().flat_map(|vm| &vm.disks);
        disks.filter_map(|disk| match &disk.source {
            DiskSource::Image(path) => Some(path),
            DiskSource::Blank { .. } => None,
        })
    }
}
