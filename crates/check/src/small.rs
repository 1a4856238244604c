//! Small worlds: two or three hosts, one machine with a disk of a few blocks, links and disks so slow that everything
//! takes its time.

use hvrsim_replica::profile::Profile;
use hvrsim_replica::rule::Call;
use hvrsim_sim::Sim;
use hvrsim_sim::sim::NewVm;
use hvrsim_sim::store::{DiskFormat, DiskSpec, DiskStore, Initial, StoreResult};
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::size::{Bytes, Rate};
use hvrsim_types::state::Power;
use hvrsim_types::time::{Calendar, Span};

use crate::act::{Act, BLOCK, Done, With};

/// What a small world is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Hosts, each linked with each.
    pub hosts: u16,
    /// Machines, all of them on the first host.
    pub vms: u32,
    /// Blocks of 64 KiB of each disk.
    pub blocks: u16,
    /// Blocks of them that hold something from the start.
    pub used: u16,
    /// Bytes a second of the links.
    pub link_rate: Rate,
    /// Of the hosts' disks.
    pub disk_rate: Rate,
    /// The readings.
    pub profile: Profile,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            hosts: 2,
            vms: 1,
            blocks: 8,
            used: 1,
            link_rate: Rate(2_000_000),
            disk_rate: Rate(16 << 20),
            profile: Profile::default(),
        }
    }
}

/// The first machine on the first host, on the second and so on.
#[must_use]
pub const fn copy(host: u16) -> CopyId {
    CopyId { host: HostId(host), vm: VmId(0) }
}

impl Shape {
    /// The world, with nothing protected.
    ///
    /// # Errors
    /// The store failed.
    pub fn bare<D: DiskStore>(&self, seed: u64, store: D) -> StoreResult<Sim<D>> {
        let mut sim = Sim::new(seed, Calendar::default(), self.profile.clone(), store);
        let hosts: Vec<HostId> =
            (1..=self.hosts).map(|n| sim.add_host(&format!("HV{n}"), self.disk_rate, true)).collect();
        for (at, a) in hosts.iter().enumerate() {
            for b in &hosts[at + 1..] {
                sim.add_link(*a, *b, self.link_rate, Span(5_000_000));
            }
        }
        for n in 1..=self.vms {
            let used = Bytes(u64::from(self.used) * BLOCK);
            let disk = DiskSpec {
                size: Bytes(u64::from(self.blocks) * BLOCK),
                format: DiskFormat::Vhdx,
                initial: Initial::Used(used),
            };
            sim.add_vm(NewVm {
                name: format!("web{n:02}"),
                host: HostId(0),
                disks: vec![disk],
                guest: None,
                power: Power::Running,
                adapters: Vec::new(),
                integration_services: true,
            })?;
        }
        Ok(sim)
    }

    /// The world with its machines protected on the second host.
    ///
    /// # Errors
    /// The store failed.
    pub fn protected<D: DiskStore>(&self, seed: u64, store: D) -> StoreResult<Sim<D>> {
        let mut sim = self.bare(seed, store)?;
        for vm in 0..self.vms {
            let copy = CopyId { host: HostId(0), vm: VmId(vm) };
            for call in [Call::Enable, Call::StartInitialReplication] {
                let done = Act::Ask(copy, call, With::Defaults).perform(&mut sim)?;
                debug_assert!(matches!(done, Done::Answered(outcome) if outcome.code.accepted()));
                sim.advance(Span::MINUTE)?;
            }
        }
        Ok(sim)
    }

    /// The world with its first machine protected on the second host, and from there on the third.
    ///
    /// # Errors
    /// The store failed.
    pub fn chain<D: DiskStore>(&self, seed: u64, store: D) -> StoreResult<Sim<D>> {
        let mut sim = self.protected(seed, store)?;
        let on = copy(1).extended();
        for (call, with) in
            [(Call::Enable, With::Host(HostId(2))), (Call::StartInitialReplication, With::Defaults)]
        {
            let done = Act::Ask(on, call, with).perform(&mut sim)?;
            debug_assert!(matches!(&done, Done::Answered(outcome) if outcome.code.accepted()), "{done:?}");
            sim.advance(Span::minutes(6))?;
        }
        sim.advance(Span::minutes(20))?;
        Ok(sim)
    }
}
