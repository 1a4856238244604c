//! What is under way in a world, and letting any of it happen next: an exploration does not keep to the order of the
//! clock, since a host, a link or a disk may be slow.

use std::collections::BTreeMap;

use hvrsim_types::id::SessionId;
use hvrsim_types::time::{Instant, Span};

use crate::incident::{Ill, Target};
use crate::link::FlowId;
use crate::sim::Sim;
use crate::store::{DiskStore, StoreResult};
use crate::world::{Event, Flow, Session, World};

/// An event's place in the queue.
pub type Key = (Instant, u64);

impl World {
    /// The events to come that will do something, in their order. Those that something else has made void are left out.
    pub fn pending(&self) -> impl Iterator<Item = (Key, &Event)> + '_ {
        self.queue.iter().filter(|(_, event)| self.counts(event)).map(|(key, event)| (*key, event))
    }

    fn counts(&self, event: &Event) -> bool {
        let current = |id: &SessionId, version: u32, running: bool| {
            self.sessions.get(id).is_some_and(|s| s.version == version && s.running == running)
        };
        match event {
            Event::Timer(..) | Event::Arrive(_) => true,
            Event::Flows { link, version } => self.links[usize::from(*link)].version == *version,
            Event::Broken { to, boot, .. } => self.host(*to).up && self.host(*to).boot == *boot,
            Event::Done { copy, boot, .. } => self.host(copy.host).up && self.host(copy.host).boot == *boot,
            Event::SessionRead { session, version } | Event::SessionArrived { session, version } => {
                current(session, *version, true)
            }
            Event::SessionBroken { session, version } => current(session, *version, false),
            Event::LinkBack { link, cuts } => {
                let link = &self.links[usize::from(*link)];
                link.cut && link.cuts == *cuts
            }
            Event::NodeSilent { node, boot, .. } => !self.host(*node).up && self.host(*node).boot == *boot,
            Event::HostBack { host, boot } => !self.host(*host).up && self.host(*host).boot == *boot,
            Event::Flap { link, number } => {
                let ends = self.links[usize::from(*link)].ends;
                self.is_struck(Ill::LinkFlaps, Target::Link(ends), *number)
            }
            Event::Mended { ill, target, number } => self.is_struck(*ill, *target, *number),
        }
    }

    fn is_struck(&self, ill: Ill, target: Target, number: u64) -> bool {
        self.ills.get(&(ill, target)).is_some_and(|struck| struck.number == number)
    }

    /// What is on its way over the links.
    #[must_use]
    pub const fn flows(&self) -> &BTreeMap<FlowId, Flow> {
        &self.flows
    }

    /// The open sessions of the resynchronization engine.
    #[must_use]
    pub const fn sessions(&self) -> &BTreeMap<SessionId, Session> {
        &self.sessions
    }
}

impl<D: DiskStore> Sim<D> {
    /// Lets the event at this place happen next: the clock goes on to its time, what was due before is late. Tells
    /// whether it was there.
    ///
    /// # Errors
    /// The store failed.
    pub fn fire(&mut self, key: Key) -> StoreResult<bool> {
        let Some(event) = self.world.queue.remove(&key) else { return Ok(false) };
        self.world.now = self.world.now.max(key.0);
        self.event(event)?;
        Ok(true)
    }

    /// Time passes in which nothing happens: everything that was due is late.
    pub fn pass(&mut self, span: Span) {
        self.world.now += span;
    }
}
