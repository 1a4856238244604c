//! Names of hosts and machines by their ids.

use hvrsim_sim::Look;
use hvrsim_types::id::{HostId, TEST_SUFFIX, VmId};

/// Names by id.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    /// Hosts.
    pub hosts: Vec<String>,
    /// Machines.
    pub vms: Vec<String>,
    /// The test machines that test failovers of these make.
    tests: Vec<String>,
}

impl Names {
    /// Names in the order of their ids.
    #[must_use]
    pub fn new(hosts: Vec<String>, vms: Vec<String>) -> Self {
        let tests = vms.iter().map(|name| format!("{name}{TEST_SUFFIX}")).collect();
        Self { hosts, vms, tests }
    }

    /// The names of a world.
    #[must_use]
    pub fn of(look: &dyn Look) -> Self {
        let is_whole = |name: &String| look.vm(name).is_some_and(|vm| !vm.is_test());
        Self::new(look.host_names(), look.vm_names().into_iter().filter(is_whole).collect())
    }

    /// A host's name; empty for an id of another scenario.
    #[must_use]
    pub fn host(&self, id: HostId) -> &str {
        self.hosts.get(usize::from(id.0)).map_or("", String::as_str)
    }

    /// A machine's name; empty for an id of another scenario.
    #[must_use]
    pub fn vm(&self, id: VmId) -> &str {
        let names = if id.is_test() { &self.tests } else { &self.vms };
        names.get(id.index()).map_or("", String::as_str)
    }

    /// The host of that name.
    #[must_use]
    pub fn find_host(&self, name: &str) -> Option<HostId> {
        let index = self.hosts.iter().position(|host| host == name)?;
        u16::try_from(index).ok().map(HostId)
    }

    /// The machine of that name.
    #[must_use]
    pub fn find_vm(&self, name: &str) -> Option<VmId> {
        let id = |index: usize| u32::try_from(index).ok().map(VmId);
        if let Some(index) = self.vms.iter().position(|vm| vm == name) {
            return id(index);
        }
        self.tests.iter().position(|vm| vm == name).and_then(id).map(VmId::test)
    }
}
