//! Network adapters: what a failover tells the guest, and where a test machine is connected.

use hvrsim_replica::operation::Operation;
use hvrsim_types::id::CopyId;
use hvrsim_types::network::{Adapter, AdapterChange, AdapterSetting};
use hvrsim_types::state::Power;

use crate::sim::Sim;
use crate::store::{DiskStore, StoreResult};
use crate::trace::{Finding, What};
use crate::world::{Host, Machine, World};

impl Host {
    /// Whether the host has a switch of that name. One that lists none has every switch.
    #[must_use]
    pub fn has_switch(&self, name: &str) -> bool {
        self.switches.as_ref().is_none_or(|all| all.iter().any(|one| one.eq_ignore_ascii_case(name)))
    }
}

impl Machine {
    /// The guest's own configuration comes with its disks.
    pub(crate) fn configured_like(&mut self, other: &[Adapter]) {
        for (mine, theirs) in self.adapters.iter_mut().zip(other) {
            mine.address = theirs.address;
        }
    }
}

impl<D: DiskStore> Sim<D> {
    pub(crate) fn set_adapters(&mut self, copy: CopyId, changes: &[AdapterChange]) {
        self.with(copy, |machine| {
            for change in changes {
                let Some(adapter) = machine.adapters.get_mut(usize::from(change.adapter)) else { continue };
                match &change.set {
                    AdapterSetting::Failover(addresses) => adapter.failover.clone_from(addresses),
                    AdapterSetting::TestSwitch(name) => adapter.test_switch.clone_from(name),
                    AdapterSetting::TestPool(name) => adapter.test_pool.clone_from(name),
                }
            }
        });
    }

    /// Somebody takes the replica's own switch for test machines, the present one included.
    pub(crate) fn test_on_production(&mut self, copy: CopyId) -> StoreResult<()> {
        let own = self.world.machine(copy).map(|m| m.adapters.iter().map(|a| a.switch.clone()).collect());
        let own: Vec<Option<String>> = own.unwrap_or_default();
        let of = |(number, switch): (u8, &Option<String>)| AdapterChange {
            adapter: number,
            set: AdapterSetting::TestSwitch(switch.clone()),
        };
        let changes = (0..).zip(&own).map(of).collect();
        self.operate(copy, "Set-VMNetworkAdapter -TestReplicaSwitchName", Operation::SetAdapters(changes))?;
        self.with(copy.test(), |test| {
            test.adapters.iter_mut().zip(own).for_each(|(adapter, switch)| adapter.switch = switch);
        });
        Ok(())
    }

    /// Somebody clears the addresses after a failover on this copy.
    pub(crate) fn forget_address(&mut self, copy: CopyId) -> StoreResult<()> {
        let count = self.world.machine(copy).map_or(0, |m| m.adapters.len());
        let none = |adapter| AdapterChange { adapter, set: AdapterSetting::Failover(None) };
        let changes = (0..).take(count).map(none).collect();
        let text =
            "Set-VMNetworkAdapterFailoverConfiguration -ClearFailoverIPv4Settings -ClearFailoverIPv6Settings";
        self.operate(copy, text, Operation::SetAdapters(changes)).map(drop)
    }

    /// The adapters of a machine that is made on a host: connected where the host has the switch, told nothing.
    pub(crate) fn new_adapters(&self, copy: CopyId) -> Vec<Adapter> {
        let host = self.world.host(copy.host);
        let made = self.world.vm(copy.vm).adapters.iter().cloned().map(|mut adapter| {
            adapter.switch = adapter.switch.filter(|name| host.has_switch(name));
            adapter
        });
        made.collect()
    }

    /// The adapters of a test machine: connected to the switch for it, or to none.
    pub(crate) fn test_adapters(&self, replica: CopyId) -> Vec<Adapter> {
        let host = self.world.host(replica.host);
        let of = |copy| self.world.machine(copy).map(|m| m.adapters.as_slice()).unwrap_or_default();
        let origin = self.origin(replica).map(of).unwrap_or_default();
        let mut made = of(replica).to_vec();
        for (number, adapter) in made.iter_mut().enumerate() {
            adapter.switch = adapter.test_switch.take().filter(|name| host.has_switch(name));
            adapter.address = origin.get(number).map_or(adapter.address, |there| there.address);
        }
        made
    }

    /// The failed-over machine has the guest's configuration of the side that wrote its disks, and hears of its new
    /// addresses at its first start.
    pub(crate) fn adapters_failed_over(&mut self, copy: CopyId) {
        let origin = self.origin(copy).and_then(|origin| self.world.machine(origin));
        let there = origin.map(|machine| machine.adapters.clone()).unwrap_or_default();
        self.with(copy, |machine| {
            machine.configured_like(&there);
            machine.to_be_told = !machine.adapters.is_empty();
        });
    }

    /// The guest starts: what it is to be told, it is told; two with one address on one switch clash.
    pub(crate) fn network_starts(&mut self, copy: CopyId) {
        let hears = self.world.vm(copy.vm).integration_services;
        let mut told = Vec::new();
        self.with(copy, |machine| {
            if std::mem::take(&mut machine.to_be_told) {
                for (number, adapter) in (0..).zip(&mut machine.adapters) {
                    let Some(new) = adapter.failover.as_ref().filter(|new| !new.is_empty()) else { continue };
                    let address = new.addresses.first().copied();
                    told.push((number, address));
                    if hears {
                        adapter.address = address;
                    }
                }
            }
        });
        for (adapter, address) in told {
            self.record(Some(copy.host), Some(copy.vm), What::Address { adapter, address, heard: hears });
        }
        if self.world.address_clashes(copy) {
            self.world.findings.push((self.world.now, copy.host, copy.vm, Finding::AddressClash));
            self.record(Some(copy.host), Some(copy.vm), What::Finding(Finding::AddressClash));
        }
    }
}

impl World {
    /// Whether another machine that runs is on a switch of the same name with the same address.
    fn address_clashes(&self, copy: CopyId) -> bool {
        let on_net = |of: CopyId| {
            let machine = self.machine(of).filter(|m| m.power == Power::Running);
            machine
                .into_iter()
                .flat_map(|m| &m.adapters)
                .filter_map(|a| Some((a.switch.as_ref()?, a.address?)))
        };
        let mine: Vec<_> = on_net(copy).collect();
        !mine.is_empty()
            && self.copies().any(|other| other != copy && on_net(other).any(|there| mine.contains(&there)))
    }
}
