//! Names of hosts and machines by their ids.

use hvrsim_sim::Look;
use hvrsim_types::id::{HostId, VmId};

/// Names by id.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    /// Hosts.
    pub hosts: Vec<String>,
    /// Machines.
    pub vms: Vec<String>,
}

impl Names {
    /// The names of a world.
    #[must_use]
    pub fn of(look: &dyn Look) -> Self {
        Self { hosts: look.host_names(), vms: look.vm_names() }
    }

    /// A host's name; empty for an id of another scenario.
    #[must_use]
    pub fn host(&self, id: HostId) -> &str {
        self.hosts.get(usize::from(id.0)).map_or("", String::as_str)
    }

    /// A machine's name; empty for an id of another scenario.
    #[must_use]
    pub fn vm(&self, id: VmId) -> &str {
        self.vms.get(id.0 as usize).map_or("", String::as_str)
    }
}
