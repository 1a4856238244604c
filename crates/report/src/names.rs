//! Names of hosts and machines by their ids.

use hvrsim_sim::Look;
use hvrsim_types::id::{EXTENDED_SUFFIX, HostId, TEST_SUFFIX, VmId};

/// Names by id.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    /// Hosts.
    pub hosts: Vec<String>,
    /// Machines.
    pub vms: Vec<String>,
    /// The test machines that test failovers of these make.
    tests: Vec<String>,
    /// The extended relationships of these.
    extended: Vec<String>,
}

impl Names {
    /// Names in the order of their ids.
    #[must_use]
    pub fn new(hosts: Vec<String>, vms: Vec<String>) -> Self {
        let with = |suffix: &str| vms.iter().map(|name| format!("{name}{suffix}")).collect();
        let (tests, extended) = (with(TEST_SUFFIX), with(EXTENDED_SUFFIX));
        Self { hosts, vms, tests, extended }
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

    /// A machine's name, with a suffix for its test machine and for its extended relationship; empty for an id of
    /// another scenario.
    #[must_use]
    pub fn vm(&self, id: VmId) -> &str {
        let names = match id {
            id if id.is_test() => &self.tests,
            id if id.is_extended() => &self.extended,
            _ => &self.vms,
        };
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
        let find = |names: &[String]| {
            let index = names.iter().position(|vm| vm == name)?;
            u32::try_from(index).ok().map(VmId)
        };
        let test = || find(&self.tests).map(VmId::test);
        let extended = || find(&self.extended).map(VmId::extended);
        find(&self.vms).or_else(test).or_else(extended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_test_machines_and_extended_relationships_read_back() {
        let names = Names::new(Vec::new(), vec!["db01".to_owned(), "web01".to_owned()]);
        for id in [VmId(0), VmId(1).test(), VmId(1).extended()] {
            assert_eq!(names.find_vm(names.vm(id)), Some(id));
        }
        assert_eq!(names.vm(VmId(1).extended()), "web01 (Extended)");
        assert_eq!(names.find_vm("web02"), None);
    }
}
