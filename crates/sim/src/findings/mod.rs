//! Findings: what is legal and wrong. Dangers of a run, and the best-practice rules that concern replication, looked at over
//! every copy of every machine.

mod checks;
pub mod table;

use std::collections::BTreeMap;

use hvrsim_replica::copy::Copy;
use hvrsim_replica::exchange::Note;
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::time::Instant;

use crate::sim::Sim;
use crate::store::DiskStore;
use crate::trace::{Record, What};
use crate::watch::Watch;
use crate::world::{Machine, World};
use table::{Check, KINDS, Kind};

/// A finding at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// What.
    pub kind: &'static Kind,
    /// On which host.
    pub host: HostId,
    /// Of which machine.
    pub vm: VmId,
}

/// What checks look at: one copy, and what is around it.
pub(crate) struct Place<'a> {
    world: &'a World,
    watch: &'a Watch,
    copy: CopyId,
    state: &'a Copy,
    machine: &'a Machine,
    has_test: bool,
    /// How many disks it has.
    disks: usize,
    /// The last test failover.
    tested: Option<Instant>,
}

impl Place<'_> {
    /// The other copy's machine.
    fn peer_machine(&self) -> Option<&Machine> {
        self.world.machine(CopyId { host: self.state.peer?, vm: self.copy.vm })
    }

    /// The other copy.
    fn peer(&self) -> Option<&Copy> {
        let peer = self.state.peer?;
        self.world.host(peer).service.copies.get(&self.copy.vm)
    }
}

/// Follows the records of a run for what the world does not remember.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    tested: BTreeMap<VmId, Instant>,
}

impl Findings {
    /// The next record.
    pub fn take(&mut self, record: &Record) {
        if let (Some(vm), What::Note(Note::Rule { rule, .. })) = (record.vm, &record.what)
            && matches!(rule.as_str(), "TF-60" | "TF-64")
        {
            self.tested.insert(vm, record.at);
        }
    }

    /// Everything there is to find now, in the table's order, then by machine and host.
    #[must_use]
    pub fn now<D: DiskStore>(&self, sim: &Sim<D>, watch: &Watch) -> Vec<Found> {
        let mut all = Vec::new();
        for kind in KINDS {
            let mut found: Vec<Found> = match kind.check {
                Check::Noticed(seen) => {
                    let world = &sim.world.findings;
                    let of = world.iter().filter(|(.., finding)| *finding == seen);
                    of.map(|(_, host, vm, _)| Found { kind, host: *host, vm: *vm }).collect()
                }
                Check::Now(check) => self.copies(sim, watch, kind, check),
            };
            found.sort_by_key(|found| (found.vm, found.host));
            found.dedup();
            all.extend(found);
        }
        all
    }

    fn copies<D: DiskStore>(
        &self,
        sim: &Sim<D>,
        watch: &Watch,
        kind: &'static Kind,
        check: fn(&Place<'_>) -> bool,
    ) -> Vec<Found> {
        let world = &sim.world;
        let holds = |copy: &CopyId| {
            let Some(machine) = world.machine(*copy).filter(|_| !copy.vm.is_test()) else { return false };
            let Some(state) = world.host(copy.host).service.copies.get(&copy.vm) else { return false };
            let has_test = sim.store.has_test(*copy);
            let tested = self.tested.get(&copy.vm).copied();
            let disks = sim.store.sizes(*copy).len();
            check(&Place { world, watch, copy: *copy, state, machine, has_test, disks, tested })
        };
        let copies = world.copies().filter(holds);
        copies.map(|copy| Found { kind, host: copy.host, vm: copy.vm }).collect()
    }
}
