//! `--claims` and `--recover`: a run is held to every claim of the project's proof, event by event; with the second, at the
//! end its disks to what the oracle says, and the machines to a way back, where the oracle can follow what is written.

use hvrsim_check::property::Violation;
use hvrsim_check::walk::recovers;
use hvrsim_check::watch::Watch;
use hvrsim_scenario::model::step::{Action, Step};
use hvrsim_scenario::model::topology::DiskSource;
use hvrsim_scenario::run::Observer;
use hvrsim_scenario::{Diagnostic, Scenario};
use hvrsim_sim::store::{DiskStore, StoreResult};
use hvrsim_sim::trace::Record;
use hvrsim_sim::world::World;
use hvrsim_sim::{Look, Sim};
use hvrsim_types::time::Instant;

/// How much a run is held to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum HeldTo {
    /// Its own expectations.
    Expectations,
    /// Every claim, too.
    Claims,
    /// Then all faults end, and an operator must lead every machine back to protection.
    Recovery,
}

/// The oracle counts in blocks of this size.
const BLOCK: u64 = 64 << 10;

/// Looks on, and passes on what another observer is to see.
pub(super) struct Claims<'a> {
    scenario: &'a Scenario,
    observer: &'a mut dyn Observer,
    held_to: HeldTo,
    /// Blocks in use at the start, if the oracle can follow what is written.
    used: Option<u64>,
    watch: Option<Watch>,
    broken: Option<Violation>,
}

impl Observer for Claims<'_> {
    fn records(&mut self, names: &dyn Look, records: &[Record], now: Instant) {
        self.observer.records(names, records, now);
    }

    fn look(&mut self, world: &World) {
        if self.held_to == HeldTo::Expectations || self.broken.is_some() {
            return;
        }
        match &mut self.watch {
            None => self.watch = Some(Watch::new(world, self.used.unwrap_or(0))),
            Some(watch) => self.broken = watch.look(world).err(),
        }
    }

    fn stop(&self) -> bool {
        self.broken.is_some() || self.observer.stop()
    }
}

impl<'a> Claims<'a> {
    pub(super) fn new(scenario: &'a Scenario, held_to: HeldTo, observer: &'a mut dyn Observer) -> Self {
        Self { scenario, observer, held_to, used: whole_blocks(scenario), watch: None, broken: None }
    }

    /// The end. Gives back what does not hold.
    pub(super) fn end<D: DiskStore>(mut self, sim: &mut Sim<D>) -> StoreResult<Option<Diagnostic>> {
        if let (None, Some(watch)) = (&self.broken, &mut self.watch) {
            let held = match self.held_to {
                HeldTo::Recovery if self.used.is_some() => recovers(sim, watch)?,
                _ => Ok(()),
            };
            self.broken = held.err();
        }
        let place = self.scenario.steps.last().map_or(self.scenario.title.place, |step| step.place);
        Ok(self.broken.map(|broken| {
            let text = format!("the claim `{}` does not hold: {}", broken.claim, broken.found);
            let help = format!("this was so at {}", sim.world.now);
            Diagnostic::error(&self.scenario.source, place, text, Some(help))
        }))
    }
}

/// How many blocks are in use at the start, where all disks are alike, and all that is written is whole blocks.
fn whole_blocks(scenario: &Scenario) -> Option<u64> {
    let mut used = None;
    for vm in &scenario.topology.vms {
        let [disk] = &vm.disks[..] else { return None };
        let DiskSource::Blank { used: bytes, .. } = &disk.source else { return None };
        let blocks = bytes.0 / BLOCK;
        let alike = used.is_none_or(|used| used == blocks);
        if vm.guest.is_some() || bytes.0 % BLOCK != 0 || !alike {
            return None;
        }
        used = Some(blocks);
    }
    let whole = |steps: &[Step]| steps.iter().all(writes_whole_blocks);
    (whole(&scenario.steps) && whole(&scenario.cleanup)).then_some(used?)
}

fn writes_whole_blocks(step: &Step) -> bool {
    match &step.action {
        Action::Write(write) => (write.offset.0 | write.bytes.0) % BLOCK == 0 && write.disk == 0,
        Action::Repeat(repeat) => repeat.steps.iter().all(writes_whole_blocks),
        Action::Parallel(operators) => operators.iter().flat_map(|o| &o.steps).all(writes_whole_blocks),
        _ => true,
    }
}
