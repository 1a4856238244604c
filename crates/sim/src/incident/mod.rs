//! Incidents: what breaks. The catalogue of all by name is [`table`]; what each does is in the private module `strike`;
//! here are power of hosts, cuts of links, crashes.

mod strike;
pub mod table;

use hvrsim_replica::exchange::Input;
use hvrsim_replica::service::Trust;
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::state::Power;
use hvrsim_types::time::Span;

use crate::sim::Sim;
use crate::store::{DiskStore, StoreResult};
use crate::trace::{HostPower, What};
use crate::world::{Event, LinkId};
pub use strike::{Ill, Strike, Struck, Target};

impl<D: DiskStore> Sim<D> {
    /// A host loses its power, is shut down, or is back. Nothing happens if it is so already.
    ///
    /// # Errors
    /// The store failed.
    pub fn host_power(&mut self, host: HostId, power: HostPower) -> StoreResult<()> {
        let up = self.world.host(host).up;
        match power {
            HostPower::Back if !up => self.host_back(host),
            HostPower::Lost if up => self.host_down(host, true),
            HostPower::Off if up => self.host_down(host, false),
            _ => Ok(()),
        }
    }

    fn host_down(&mut self, host: HostId, crash: bool) -> StoreResult<()> {
        if !crash && self.world.cluster_of(host).is_some() {
            self.drain(host)?;
        }
        let ran = self.watched(host);
        let power = if crash { HostPower::Lost } else { HostPower::Off };
        self.record(Some(host), None, What::Host(power));
        for copy in self.copies_on(host) {
            self.input(copy, Input::HostDown { crash })?;
            if !copy.vm.is_extended() {
                self.machine_down(copy, crash)?;
            }
        }
        self.disconnect(host)?;
        self.node_lost(host, ran);
        Ok(())
    }

    /// What was under way at a host, or with it, is lost.
    fn disconnect(&mut self, host: HostId) -> StoreResult<()> {
        self.world.host_mut(host).up = false;
        self.world.host_mut(host).boot += 1;
        let timers: Vec<_> =
            self.world.timers.keys().filter(|(copy, _)| copy.host == host).copied().collect();
        for (copy, kind) in timers {
            self.world.cancel_timer(copy, kind);
        }
        self.drop_flows(|flow| flow.from == host || flow.to == host)?;
        let ids: Vec<_> = self
            .world
            .sessions
            .iter()
            .filter(|(_, s)| s.spec.source == host || s.spec.target == host)
            .map(|(id, _)| *id)
            .collect();
        ids.into_iter().try_for_each(|id| self.break_session(id))
    }

    /// A machine that ran is off after a crash, and saved by a shutdown in order.
    fn machine_down(&mut self, copy: CopyId, crash: bool) -> StoreResult<()> {
        let running =
            self.world.machine(copy).is_some_and(|m| matches!(m.power, Power::Running | Power::Paused));
        if running {
            self.set_power(copy, if crash { Power::Off } else { Power::Saved })?;
        }
        Ok(())
    }

    /// The worker process of a running machine crashes: it is Off at once, its change log is not closed. Tells whether
    /// the machine ran.
    ///
    /// # Errors
    /// The store failed.
    pub fn worker_crash(&mut self, copy: CopyId) -> StoreResult<bool> {
        let runs = |m: &crate::world::Machine| matches!(m.power, Power::Running | Power::Paused);
        if copy.vm.is_extended() || !self.world.machine(copy).is_some_and(runs) {
            return Ok(false);
        }
        self.record(Some(copy.host), Some(copy.vm), What::WorkerCrash);
        self.input(copy, Input::WorkerCrash)?;
        self.set_power(copy, Power::Off)?;
        Ok(true)
    }

    /// What a host's identity is worth to others from now on; nothing changes if it was so before.
    pub fn set_trust(&mut self, host: HostId, trust: Trust) {
        let service = &mut self.world.host_mut(host).service;
        if service.trust != trust {
            service.trust = trust;
            self.record(Some(host), None, What::Trust(trust));
        }
    }

    /// The Virtual Machine Management Service of a host stops, and starts again a minute later; machines go on.
    ///
    /// # Errors
    /// The store failed.
    pub fn restart_service(&mut self, host: HostId) -> StoreResult<()> {
        if !self.world.host(host).up {
            return Ok(());
        }
        for copy in self.copies_on(host) {
            self.input(copy, Input::ServiceDown)?;
        }
        self.disconnect(host)?;
        let boot = self.world.host(host).boot;
        self.world.after(Span::minutes(1), Event::HostBack { host, boot });
        Ok(())
    }

    /// Shuts a host down in order; it is back five minutes later.
    ///
    /// # Errors
    /// The store failed.
    pub fn reboot(&mut self, host: HostId) -> StoreResult<()> {
        self.host_power(host, HostPower::Off)?;
        let boot = self.world.host(host).boot;
        self.world.after(Span::minutes(5), Event::HostBack { host, boot });
        Ok(())
    }

    pub(crate) fn host_back_by_itself(&mut self, host: HostId, boot: u32) -> StoreResult<()> {
        let state = self.world.host(host);
        if state.up || state.boot != boot { Ok(()) } else { self.host_back(host) }
    }

    fn host_back(&mut self, host: HostId) -> StoreResult<()> {
        self.world.host_mut(host).up = true;
        self.record(Some(host), None, What::Host(HostPower::Back));
        for copy in self.copies_on(host) {
            self.input(copy, Input::HostUp)?;
        }
        Ok(())
    }

    /// Cuts the link between two hosts, for a time or until [`Sim::mend_link`]. Tells whether there is one.
    ///
    /// # Errors
    /// The store failed.
    pub fn cut_link(&mut self, a: HostId, b: HostId, lasts: Option<Span>) -> StoreResult<bool> {
        let Some(link) = self.world.link_between(a, b) else { return Ok(false) };
        let state = &mut self.world.links[usize::from(link)];
        state.cut = true;
        state.cuts += 1;
        let cuts = state.cuts;
        let ends = state.ends;
        self.record(Some(ends.0), None, What::LinkCut { to: ends.1, lasts });
        self.drop_flows(|flow| flow.link == link)?;
        if let Some(span) = lasts {
            self.world.after(span, Event::LinkBack { link, cuts });
        }
        Ok(true)
    }

    /// Mends the link between two hosts. Tells whether there is one.
    pub fn mend_link(&mut self, a: HostId, b: HostId) -> bool {
        match self.world.link_between(a, b) {
            Some(link) => {
                self.link_back(link);
                true
            }
            None => false,
        }
    }

    pub(crate) fn link_back(&mut self, link: LinkId) {
        let state = &mut self.world.links[usize::from(link)];
        if !state.cut {
            return;
        }
        state.cut = false;
        let ends = state.ends;
        self.record(Some(ends.0), None, What::LinkBack { to: ends.1 });
    }
}
