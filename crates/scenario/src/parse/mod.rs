//! From the tree to the model: every key known, every word typed, every name resolved. Goes on after an error, so
//! that all independent ones are told at once.

mod cmdlet;
mod expect;
mod fields;
mod method;
mod network;
mod step;
mod topology;
mod value;
mod words;

pub(crate) use step::ACTIONS;

use hvrsim_replica::profile::{Generation, Profile};
use hvrsim_types::time::Calendar;

use std::collections::BTreeMap;

use hvrsim_types::id::VmId;

use self::words::find;
use crate::diagnostic::Diagnostic;
use crate::expand;
use crate::model::Scenario;
use crate::model::step::Step;
use crate::model::topology::Topology;
use crate::source::{At, Place, Source};
use crate::yaml::{Kind, Node};

/// The names that a step may use.
#[derive(Default)]
pub(crate) struct Names {
    /// Hosts, in order of their ids.
    pub(crate) hosts: Vec<String>,
    /// Virtual machines, in order of their ids.
    pub(crate) vms: Vec<String>,
    /// The test machines that test failovers of them make, in the same order.
    pub(crate) tests: Vec<String>,
    /// Client access points of the brokers of clusters.
    pub(crate) access_points: Vec<String>,
    /// Recovery points remembered by `mark` so far.
    pub(crate) marks: Vec<String>,
}

impl Names {
    /// The machine of that name, or the test machine.
    pub(crate) fn vm(&self, name: &str) -> Option<VmId> {
        let id = |index: usize| u32::try_from(index).ok().map(VmId);
        let test = || find(&self.tests, name).and_then(id).map(VmId::test);
        find(&self.vms, name).and_then(id).or_else(test)
    }

    /// The names of all machines, test machines last.
    pub(crate) fn all_vms(&self) -> Vec<String> {
        [self.vms.as_slice(), &self.tests].concat()
    }

    /// The name of a machine.
    pub(crate) fn vm_name(&self, vm: VmId) -> &str {
        let names = if vm.is_test() { &self.tests } else { &self.vms };
        &names[vm.index()]
    }
}

/// Reads nodes into the model and collects what is wrong.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a Source,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Names of hosts, machines and marks, known before what they name is read.
    pub(crate) names: Names,
    /// Topology as far as it could be read: links, hosts by id; machines that could not be read are missing.
    pub(crate) topology: Topology,
    /// Sizes of each machine's disks as far as known, by id.
    pub(crate) sizes: Vec<Vec<Option<u64>>>,
    /// Names so far of what methods return.
    pub(crate) values: Vec<String>,
    /// Names of jobs so far.
    pub(crate) jobs: Vec<At<String>>,
    /// Tags of writes so far.
    pub(crate) tags: Vec<String>,
    /// Inside of `parallel`.
    pub(crate) parallel: bool,
}

/// The keys of a scenario, without those that are expanded before.
const KEYS: [&str; 10] = [
    "scenario",
    "description",
    "seed",
    "start",
    "profile",
    "topology",
    "steps",
    "cleanup",
    "never",
    "golden",
];

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Source) -> Self {
        Self {
            source,
            diagnostics: Vec::new(),
            names: Names::default(),
            topology: Topology::default(),
            sizes: Vec::new(),
            values: Vec::new(),
            jobs: Vec::new(),
            tags: Vec::new(),
            parallel: false,
        }
    }

    pub(crate) fn error(&mut self, place: Place, message: impl Into<String>, help: Option<String>) {
        self.diagnostics.push(Diagnostic::error(self.source, place, message, help));
    }

    /// The whole scenario; `None` when something had to be left out, which is then in `diagnostics`.
    pub(crate) fn scenario(&mut self, root: &Node) -> Option<Scenario> {
        let fields = self.fields(root, "a scenario", &[&KEYS[..], &expand::KEYS].concat())?;
        let title = self.need(&fields, "scenario").and_then(|node| self.text(node));
        let description = self.optional(&fields, "description", Self::text);
        let seed = self.optional(&fields, "seed", Self::count);
        let calendar =
            self.optional(&fields, "start", |r, node| r.parsed(node, Calendar::EXPECTED, Calendar::parse));
        let profile = self.optional(&fields, "profile", Self::profile);
        match self.need(&fields, "topology") {
            Some(node) => self.topology(node),
            None => return None,
        }
        let never = self.optional(&fields, "never", Self::never);
        let steps = self.need(&fields, "steps").and_then(|node| self.steps(node, "`steps`"));
        let cleanup = self.optional(&fields, "cleanup", |r, node| r.steps(node, "`cleanup`"));
        let golden = self.optional(&fields, "golden", Self::golden);
        Some(Scenario {
            source: self.source.clone(),
            title: title?,
            description: description.map(|at| at.value).unwrap_or_default(),
            seed: seed.map_or(0, |at| at.value),
            calendar: calendar.map(|at| at.value).unwrap_or_default(),
            profile: profile.unwrap_or_default(),
            topology: std::mem::take(&mut self.topology),
            steps: steps?,
            cleanup: cleanup.unwrap_or_default(),
            never: never.unwrap_or_default(),
            golden,
            included: Vec::new(),
            cell: Vec::new(),
            params: BTreeMap::new(),
        })
    }

    /// `--bless` writes it: nothing but a recorded timeline may bear such a name.
    fn golden(&mut self, node: &Node) -> Option<At<String>> {
        let name = self.name(node)?;
        if name.value.ends_with(".golden") && !name.value.starts_with('/') {
            return Some(name);
        }
        let help = Some("`--bless` writes it, so that it can be no other file".to_owned());
        self.error(
            node.place,
            "a recorded timeline is a file beside this one whose name ends in `.golden`",
            help,
        );
        None
    }

    /// A list of steps; those that are wrong are told and left out.
    fn steps(&mut self, node: &Node, what: &str) -> Option<Vec<Step>> {
        let Kind::List(items) = &node.kind else {
            let message = format!("{what} is a list, found {}", node.found());
            self.error(node.place, message, Some("begin each step with `- `".to_owned()));
            return None;
        };
        Some(items.iter().filter_map(|item| self.step(item)).collect())
    }

    fn profile(&mut self, node: &Node) -> Option<Profile> {
        let keys = ["generation", "failback", "initial-after-unplanned", "failback-points"];
        let fields = self.fields(node, "`profile`", &keys)?;
        let default = Profile::default();
        let generation = self.optional(&fields, "generation", |r, n| {
            r.word(
                n,
                "a generation",
                &[("2016", Generation::Server2016), ("2012r2", Generation::Server2012R2)],
            )
        });
        let staged = self.optional(&fields, "failback", |r, n| {
            r.word(n, "a way to fail back", &[("in-place", false), ("staged", true)])
        });
        let full = self.optional(&fields, "initial-after-unplanned", |r, n| {
            r.word(n, "a kind of initial replication", &[("compare", false), ("full", true)])
        });
        let points = self.optional(&fields, "failback-points", Self::boolean);
        Some(Profile {
            generation: generation.map_or(default.generation, |at| at.value),
            failback_staged: staged.map_or(default.failback_staged, |at| at.value),
            initial_full: full.map_or(default.initial_full, |at| at.value),
            failback_points: points.map_or(default.failback_points, |at| at.value),
        })
    }
}
