//! Ids. Small integers inside, GUIDs outside: a GUID is derived from the scenario's seed, so that it
//! is the same in every run of the same scenario and looks like a real one to every client.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! small_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub struct $name(pub $inner);
    };
}

small_id!(
    /// A host, by its place in the topology.
    HostId(u16)
);
small_id!(
    /// A virtual machine. Both copies of a replicated machine have the same id.
    VmId(u32)
);
small_id!(
    /// A job, counted in each host from 1.
    JobId(u64)
);
small_id!(
    /// A recovery point, counted in the host that made it; see [`PointId::new`].
    PointId(u64)
);
small_id!(
    /// A relationship's epoch: a message of another epoch changes nothing (amendments, G-2).
    Epoch(u32)
);
small_id!(
    /// The number of a replication cycle's log within its epoch, from 1.
    LogSeq(u64)
);
small_id!(
    /// One request and its answer between two hosts.
    ExchangeId(u64)
);
small_id!(
    /// A resynchronization session: initial replication, resynchronization or failback.
    SessionId(u64)
);
small_id!(
    /// The identity of one swap of roles, made durable before the answer (amendments, G-3).
    SwapId(u64)
);

/// One copy of a virtual machine: the machine on one host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct CopyId {
    /// The host that holds the copy.
    pub host: HostId,
    /// The machine.
    pub vm: VmId,
}

impl VmId {
    /// Set in the id of a test machine.
    const TEST: u32 = 1 << 31;
    /// Set where the extended relationship of a machine is meant, not the machine.
    const EXTENDED: u32 = 1 << 30;

    /// The test machine that a test failover of this machine makes. A host has at most one of a replica.
    #[must_use]
    pub const fn test(self) -> Self {
        Self(self.0 | Self::TEST)
    }

    /// Whether this is a test machine.
    #[must_use]
    pub const fn is_test(self) -> bool {
        self.0 & Self::TEST != 0
    }

    /// The extended relationship of this machine, where a host has one: to the next host of a chain.
    #[must_use]
    pub const fn extended(self) -> Self {
        Self(self.0 | Self::EXTENDED)
    }

    /// Whether this is the extended relationship of a machine.
    #[must_use]
    pub const fn is_extended(self) -> bool {
        self.0 & Self::EXTENDED != 0
    }

    /// The machine itself: of a test machine, the one it was made from; of an extended relationship, the one it is of.
    #[must_use]
    pub const fn machine(self) -> Self {
        Self(self.0 & !Self::TEST & !Self::EXTENDED)
    }

    /// The index in a list of all machines.
    #[must_use]
    pub const fn index(self) -> usize {
        self.machine().0 as usize
    }
}

/// What a test failover appends to the name of the machine.
pub const TEST_SUFFIX: &str = " - Test";
/// What follows the name of a machine where its extended relationship is meant.
pub const EXTENDED_SUFFIX: &str = " (Extended)";

impl CopyId {
    /// The copy itself: of a test machine, the replica that it was made from; of an extended relationship, the middle copy.
    #[must_use]
    pub const fn machine(self) -> Self {
        Self { host: self.host, vm: self.vm.machine() }
    }

    /// The extended relationship of this copy.
    #[must_use]
    pub const fn extended(self) -> Self {
        Self { host: self.host, vm: self.vm.extended() }
    }

    /// The test machine beside this copy.
    #[must_use]
    pub const fn test(self) -> Self {
        Self { host: self.host, vm: self.vm.test() }
    }
}

impl PointId {
    /// The id of the `count`th object made by `host`: unique in a scenario without a shared counter.
    #[must_use]
    pub const fn new(host: HostId, count: u64) -> Self {
        Self(scoped(host, count))
    }
}

/// Puts a host's own count into an id that is unique in the whole scenario.
#[must_use]
pub const fn scoped(host: HostId, count: u64) -> u64 {
    ((host.0 as u64) << 40) | count
}

/// A GUID derived from the scenario's seed, a kind of object and its name (UUID version 5).
#[must_use]
pub fn guid(seed: u64, kind: &str, name: &dyn fmt::Display) -> Uuid {
    /// Namespace of every GUID that the simulator derives.
    const NAMESPACE: Uuid = Uuid::from_u128(0x8d64_19a5_f58a_4b0e_9d4c_68a1_6c0f_2b71);
    Uuid::new_v5(&NAMESPACE, format!("{seed}/{kind}/{name}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_depend_on_seed_kind_and_name_only() {
        assert_eq!(guid(1, "vm", &"web01"), guid(1, "vm", &"web01"));
        assert_ne!(guid(1, "vm", &"web01"), guid(2, "vm", &"web01"));
        assert_ne!(guid(1, "vm", &"web01"), guid(1, "point", &"web01"));
    }
}
