//! The catalogue of incidents: what breaks at a site with Hyper-V Replica, what follows, and what helps. Steps `fault` and
//! `repair` of scenarios, their schema, `hvrsim explain` and the reference pages are made of it.

mod catalogue;

use hvrsim_replica::rule::Evidence;
use hvrsim_types::size::Rate;
use hvrsim_types::time::Span;

use super::strike::Ill;
use crate::trace::HostPower;
pub use catalogue::INCIDENTS;

/// What an incident happens to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// A link, `HV1-HV2`.
    Link,
    /// A host, `HV1`.
    Host,
    /// A copy of a machine, `HV1/web01`.
    Copy,
}

impl On {
    /// How it is written in scenarios.
    #[must_use]
    pub const fn form(self) -> &'static str {
        match self {
            Self::Link => "HOST-HOST",
            Self::Host => "HOST",
            Self::Copy => "HOST/VM",
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "a link",
            Self::Host => "a host",
            Self::Copy => "a copy of a machine",
        }
    }
}

/// What the simulator does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Something is broken until it is mended.
    Ill(Ill),
    /// The power of a host changes.
    Power(HostPower),
    /// A host shuts down in order and starts again.
    Reboot,
    /// The management service of a host restarts.
    RestartService,
    /// Something is done once.
    Do(Deed),
}

/// What is done once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    /// Somebody pauses replication.
    Suspend,
    /// Somebody fails over.
    Failover,
    /// Somebody begins a test failover.
    TestFailover,
    /// Somebody prepares a planned failover.
    Prepare,
    /// Somebody makes a primary a replica.
    AsReplica,
    /// Somebody removes replication.
    Remove,
    /// Somebody deletes the machine.
    DestroyVm,
    /// The worker process crashes.
    WorkerCrash,
    /// The change log cannot be written.
    LoseLog,
    /// A disk is changed while its machine is Off.
    EditOffline,
    /// The newest checkpoint is applied.
    ApplyCheckpoint,
    /// A replica is set back to its oldest recovery point.
    RestoreBackup,
    /// A machine with that id appears on the host.
    StrayCopy,
    /// The cluster moves the machine to another node.
    MoveNode,
    /// The cluster moves the test machine of the replica to another node.
    MoveTest,
    /// Somebody connects test machines to the replica's own switch.
    TestSwitch,
    /// Somebody clears the addresses after a failover.
    ForgetAddress,
    /// A new disk is attached.
    AddDisk,
    /// The first disk is enlarged, and its guest writes there.
    GrowDisk,
    /// The first disk is enlarged, and a resynchronization becomes necessary.
    GrowBeforeResync,
    /// The first disk is made as small as it can be.
    ShrinkDisk,
    /// A disk that a replica's machine needs is taken out of the list.
    ExcludeDisk,
    /// Somebody imports an initial replica from a folder that holds another, or none.
    ImportWrongFolder,
    /// The guest writes more than half of its disks.
    OutgrowLog,
}

/// One incident.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Incident {
    /// Its name in scenarios.
    pub name: &'static str,
    /// What it happens to.
    pub on: On,
    /// What the simulator does.
    pub act: Act,
    /// The rate of a slow link or of slow disks, unless the step gives one.
    pub rate: Rate,
    /// The latency of a link, or how far a clock is ahead, unless the step gives one.
    pub by: Span,
    /// What breaks.
    pub fault: &'static str,
    /// What follows: states, health, events.
    pub effect: &'static str,
    /// What helps.
    pub cure: &'static str,
    /// The rules of the life cycle that show it.
    pub rules: &'static [&'static str],
    /// How well the effect is known.
    pub evidence: Evidence,
    /// Where it is known from: a public title.
    pub source: &'static str,
}

impl Incident {
    /// Whether it lasts until it is mended.
    #[must_use]
    pub const fn lasts(&self) -> bool {
        matches!(self.act, Act::Ill(_))
    }

    /// Whether a step may give a rate.
    #[must_use]
    pub const fn takes_rate(&self) -> bool {
        self.rate.0 > 0
    }

    /// Whether a step may give a time.
    #[must_use]
    pub const fn takes_time(&self) -> bool {
        self.by.0 > 0
    }
}

/// The incident with this name.
#[must_use]
pub fn incident(name: &str) -> Option<&'static Incident> {
    INCIDENTS.iter().find(|incident| incident.name.eq_ignore_ascii_case(name))
}

/// The first incident that makes this ill.
pub(super) fn of(ill: Ill) -> Option<&'static Incident> {
    INCIDENTS.iter().find(|incident| incident.act == Act::Ill(ill))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hvrsim_replica::table;

    use super::*;

    #[test]
    fn names_are_unique_and_rules_exist() {
        let mut seen = BTreeSet::new();
        for incident in INCIDENTS {
            assert!(seen.insert(incident.name), "{} stands twice", incident.name);
            for rule in incident.rules {
                assert!(table::rule(rule).is_some(), "{} names {rule}", incident.name);
            }
        }
    }
}
