//! A scenario with every word resolved: ids instead of names, typed values instead of texts, each with its place.

pub mod expect;
pub mod step;
pub mod topology;
pub mod value;

use hvrsim_replica::profile::Profile;
use hvrsim_types::time::Calendar;

use crate::source::{At, Source};
use step::Step;
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
}

impl Scenario {
    /// The images that virtual machines start from, as written: relative to the scenario's file.
    pub fn images(&self) -> impl Iterator<Item = &At<String>> {
        let disks = self.topology.vms.iter().flat_map(|vm| &vm.disks);
        disks.filter_map(|disk| match &disk.source {
            DiskSource::Image(path) => Some(path),
            DiskSource::Blank { .. } => None,
        })
    }
}
