//! What the simulator notices and nobody asked for, as data: dangers in a run, and best-practice rules over an estate.

use Check::{Noticed, Now};
use Evidence::{Assumed, Documented, Inferred};
use Weight::{Advice, Danger};
use hvrsim_replica::rule::Evidence;

use super::Place;
use super::checks;
use crate::trace::Finding as Seen;

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Weight {
    /// Data, or the service, is at risk.
    Danger,
    /// A best practice is not followed.
    Advice,
}

impl Weight {
    /// As it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Danger => "danger",
            Self::Advice => "advice",
        }
    }
}

/// How it is noticed.
#[derive(Clone, Copy)]
pub(super) enum Check {
    /// It happened at some moment of the run.
    Noticed(Seen),
    /// It is so of a copy now.
    Now(fn(&Place<'_>) -> bool),
}

/// One kind of finding.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name in scenarios.
    pub name: &'static str,
    /// How much it matters.
    pub weight: Weight,
    /// The number of the best-practice rule, if it is one.
    pub bpa: Option<u8>,
    /// What is wrong.
    pub what: &'static str,
    /// What to do.
    pub cure: &'static str,
    /// How well the rule is known.
    pub evidence: Evidence,
    /// Where it is known from.
    pub source: &'static str,
    pub(super) check: Check,
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Kind {}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The kind with this name.
#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name))
}

const BPA: &str = "Hyper-V Replica BPA Rules (2013-10-01)";
const TEST: &str = "Types of failover operations: Test Failover (2012-07-25)";
const ADDRESS: &str = "Inject IP address into the VM during failover (2012-05-28)";
const HEALTH: &str = "Interpreting Replication Health, part 1 (2012-06-15)";

/// Every kind, the dangers first.
pub static KINDS: &[Kind] = &[
    Kind {
        name: "split-brain",
        weight: Danger,
        bpa: None,
        what: "A machine was started while its other copy ran: both wrote, and one half will be lost.",
        cure: "Stop one of them at once; revert its failover, or make it a replica.",
        evidence: Documented,
        source: "Types of failover operations: Unplanned Failover (2012-08-08)",
        check: Noticed(Seen::SplitBrain),
    },
    Kind {
        name: "started-from-inconsistent-disks",
        weight: Danger,
        bpa: None,
        what: "A machine was started on disks that a broken failback left between two contents.",
        cure: "Stop it, and finish a failback, a resynchronization or an initial replication into it.",
        evidence: Inferred,
        source: "Run a failback for Hyper-V VMs (Azure Site Recovery)",
        check: Noticed(Seen::StartedInconsistent),
    },
    Kind {
        name: "address-clash",
        weight: Danger,
        bpa: None,
        what: "Two machines that run have the same address on a switch of the same name.",
        cure: "Stop one of them; give the test machine a switch of its own, and a failover address to each copy.",
        evidence: Inferred,
        source: TEST,
        check: Noticed(Seen::AddressClash),
    },
    Kind {
        name: "test-machine-on-the-production-switch",
        weight: Danger,
        bpa: None,
        what: "The test machine is connected to the switch that the replica itself uses: it meets the machines that are at work.",
        cure: "Set-VMNetworkAdapter -TestReplicaSwitchName with an isolated switch, on the replica.",
        evidence: Documented,
        source: TEST,
        check: Now(checks::test_in_production),
    },
    Kind {
        name: "replica-adapter-not-connected",
        weight: Danger,
        bpa: None,
        what: "A network adapter of the replica is connected to no switch: after a failover nobody reaches the machine.",
        cure: "Give the replica's host a switch of the same name, or connect the adapter.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
        check: Now(checks::not_connected),
    },
    Kind {
        name: "failover-address-on-one-copy-only",
        weight: Danger,
        bpa: None,
        what: "This copy has addresses for a failover and the other has none: after the way back the guest keeps this site's address.",
        cure: "Set-VMNetworkAdapterFailoverConfiguration on both copies.",
        evidence: Documented,
        source: ADDRESS,
        check: Now(checks::address_here_only),
    },
    Kind {
        name: "started-without-a-disk",
        weight: Danger,
        bpa: None,
        what: "A failed-over machine was started although one of its disks is not replicated: that disk is blank here.",
        cure: "Attach a copy of the disk before the start, or revert the failover while the primary is there.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
        check: Noticed(Seen::StartedWithoutDisk),
    },
    Kind {
        name: "disk-not-replicated",
        weight: Danger,
        bpa: None,
        what: "The primary has a disk that is not in the list of replicated disks: after a failover it is blank.",
        cure: "Set-VMReplication -ReplicatedDiskPaths with the whole list; none is needed for a page file's disk.",
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
        check: Now(checks::disk_left_out),
    },
    Kind {
        name: "split-brain-risk",
        weight: Danger,
        bpa: None,
        what: "The replica has failed over, and the old primary is neither prepared nor made a replica: it can be started.",
        cure: "Set-VMReplication -AsReplica on the old primary, then reverse; or revert the failover.",
        evidence: Inferred,
        source: "Types of failover operations: Unplanned Failover (2012-08-08)",
        check: Now(checks::split_brain_risk),
    },
    Kind {
        name: "unprotected-end",
        weight: Danger,
        bpa: None,
        what: "The machine runs, was replicated, and nothing replicates it now.",
        cure: "Resume, resynchronize or reverse; hvrsim explain STATE tells which.",
        evidence: Inferred,
        source: HEALTH,
        check: Now(checks::unprotected),
    },
    Kind {
        name: "recovery-point-older-than-thought",
        weight: Danger,
        bpa: None,
        what: "What the other side has is more than an hour old: a failover now loses all that came since.",
        cure: "Look at LastReplicationTime and at the pending size; mend what stops the cycles.",
        evidence: Documented,
        source: HEALTH,
        check: Now(checks::old_content),
    },
    Kind {
        name: "healthy-without-data-flowing",
        weight: Danger,
        bpa: None,
        what: "Health is Normal, and the replica has applied nothing for more than an hour.",
        cure: "Look at LastApplyTime on the replica: its disks are slow, full or locked.",
        evidence: Inferred,
        source: "Feature and performance optimization of Hyper-V Replica (KB 2767928)",
        check: Now(checks::healthy_and_stuck),
    },
    Kind {
        name: "test-failover-left-over",
        weight: Danger,
        bpa: None,
        what: "A test failover was never cleaned up: its disk grows, and the next test, a reverse and a resynchronization are refused.",
        cure: "Stop-VMFailover on the replica.",
        evidence: Documented,
        source: "Types of failover operations: Test Failover (2012-07-25)",
        check: Now(checks::test_left),
    },
    Kind {
        name: "inconsistent-disks",
        weight: Danger,
        bpa: None,
        what: "A broken failback left the disks of this copy between two contents.",
        cure: "Initiate the failback again.",
        evidence: Inferred,
        source: "Run a failback for Hyper-V VMs (Azure Site Recovery)",
        check: Now(checks::inconsistent),
    },
    Kind {
        name: "replica-server-not-enabled",
        weight: Advice,
        bpa: Some(37),
        what: "The host holds a replica and does not accept replication.",
        cure: "Set-VMReplicationServer -ReplicationEnabled $true.",
        evidence: Documented,
        source: BPA,
        check: Now(checks::not_enabled),
    },
    Kind {
        name: "compression-off",
        weight: Advice,
        bpa: Some(39),
        what: "Replication traffic is not compressed.",
        cure: "Set-VMReplication -CompressionEnabled $true.",
        evidence: Documented,
        source: BPA,
        check: Now(checks::not_compressed),
    },
    Kind {
        name: "cluster-without-broker",
        weight: Advice,
        bpa: Some(43),
        what: "A node of a cluster takes part in replication, and the cluster has no Hyper-V Replica Broker.",
        cure: "Add the role Hyper-V Replica Broker to the cluster.",
        evidence: Documented,
        source: BPA,
        check: Now(checks::no_broker),
    },
    Kind {
        name: "integration-services-missing",
        weight: Advice,
        bpa: Some(41),
        what: "The copy has addresses for a failover, and the guest has no integration services that could be told.",
        cure: "Install the integration services in the guest.",
        evidence: Documented,
        source: BPA,
        check: Now(checks::cannot_be_told),
    },
    Kind {
        name: "failover-address-not-set",
        weight: Advice,
        bpa: Some(47),
        what: "The guest has an address of its own, and the replica has none for a failover.",
        cure: "Set-VMNetworkAdapterFailoverConfiguration on the replica.",
        evidence: Documented,
        source: BPA,
        check: Now(checks::no_failover_address),
    },
    Kind {
        name: "resynchronization-not-off-peak",
        weight: Advice,
        bpa: Some(48),
        what: "Automatic resynchronization may begin in working hours (08:00 to 18:00).",
        cure: "Set-VMReplication -AutoResynchronizeIntervalStart and -AutoResynchronizeIntervalEnd.",
        evidence: Documented,
        source: BPA,
        check: Now(checks::resync_by_day),
    },
    Kind {
        name: "certificate-not-valid",
        weight: Advice,
        bpa: Some(49),
        what: "The certificate that the host is configured with is not valid.",
        cure: "A new certificate, its thumbprint set on both sides.",
        evidence: Documented,
        source: BPA,
        check: Now(checks::bad_certificate),
    },
    Kind {
        name: "replication-left-paused",
        weight: Advice,
        bpa: Some(50),
        what: "Replication is paused.",
        cure: "Resume-VMReplication.",
        evidence: Documented,
        source: BPA,
        check: Now(checks::paused),
    },
    Kind {
        name: "test-failover-never-done",
        weight: Advice,
        bpa: Some(51),
        what: "No test failover was done since initial replication.",
        cure: "Start-VMFailover -AsTest on the replica, look, Stop-VMFailover.",
        evidence: Documented,
        source: BPA,
        check: Now(checks::never_tested),
    },
    Kind {
        name: "test-failover-overdue",
        weight: Advice,
        bpa: Some(52),
        what: "The last test failover was more than a month ago.",
        cure: "Start-VMFailover -AsTest on the replica, look, Stop-VMFailover.",
        evidence: Documented,
        source: BPA,
        check: Now(checks::test_overdue),
    },
    Kind {
        name: "no-vhdx-with-recovery-history",
        weight: Advice,
        bpa: Some(53),
        what: "Recovery points are kept of disks that are no VHDX.",
        cure: "Convert-VHD.",
        evidence: Documented,
        source: BPA,
        check: Now(checks::no_vhdx),
    },
    Kind {
        name: "failover-not-completed",
        weight: Advice,
        bpa: Some(54),
        what: "The machine has failed over and still runs above its recovery points.",
        cure: "Complete-VMFailover, or reverse.",
        evidence: Documented,
        source: BPA,
        check: Now(checks::not_completed),
    },
    Kind {
        name: "nothing-kept-to-fail-back-to",
        weight: Advice,
        bpa: None,
        what: "The machine has failed over, and without additional recovery points only the present can be failed back to.",
        cure: "Set-VMReplication -RecoveryHistory before the next failover.",
        evidence: Assumed,
        source: "our reading: the provider of the running new primary keeps as many points as the replica did",
        check: Now(checks::no_points),
    },
];

/// Best-practice rules that are known and not looked at, with the reason.
pub static NOT_CHECKED: &[(u8, &str)] = &[
    (38, "authorization entries are not simulated"),
    (40, "VSS in guests is not simulated"),
    (42, "trust groups are not simulated"),
    (44, "the type of authentication is not simulated"),
    (45, "guests have no paging file"),
    (46, "network throttling is not simulated"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_best_practice_rule_is_looked_at_or_named() {
        let looked: Vec<u8> = KINDS.iter().filter_map(|kind| kind.bpa).collect();
        let named: Vec<u8> = NOT_CHECKED.iter().map(|(number, _)| *number).collect();
        let mut all: Vec<u8> = looked.into_iter().chain(named).collect();
        all.sort_unstable();
        assert_eq!(all, (37..=54).collect::<Vec<u8>>());
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
    }
}
