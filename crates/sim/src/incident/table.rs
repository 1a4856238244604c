//! The catalogue of incidents: what breaks at a site with Hyper-V Replica, what follows, and what helps. Steps `fault` and
//! `repair` of scenarios, their schema, `hvrsim explain` and the reference pages are made of it.

use hvrsim_replica::rule::Evidence;
use hvrsim_replica::service::Trust;
use hvrsim_types::size::Rate;
use hvrsim_types::time::Span;

use super::strike::Ill;
use crate::trace::HostPower;
use Act::{Do, Ill as Broken, Power, Reboot, RestartService};
use Evidence::{Assumed, Documented, Field, Inferred};

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

const BASE: Incident = Incident {
    name: "",
    on: On::Host,
    act: Reboot,
    rate: Rate(0),
    by: Span::ZERO,
    fault: "",
    effect: "",
    cure: "",
    rules: &[],
    evidence: Assumed,
    source: "",
};

/// Every incident.
pub static INCIDENTS: &[Incident] = &[
    Incident {
        name: "link-down-short",
        on: On::Link,
        act: Broken(Ill::LinkCut),
        fault: "The link carries nothing for a while.",
        effect: "The primary stays Replicating and tries again after 1, 2, 4, 8, 10, then every 30 minutes (events 32022, 32315); missed cycles make it Warning.",
        cure: "Nothing: it catches up by itself.",
        rules: &["ST-18", "ST-17", "ST-16"],
        evidence: Inferred,
        source: "Hyper-V to Azure disaster recovery architecture; Interpreting Replication Health, part 1 (2012-06-15)",
        ..BASE
    },
    Incident {
        name: "link-down-long",
        on: On::Link,
        act: Broken(Ill::LinkCut),
        fault: "The link carries nothing until the change log is larger than half of the disks.",
        effect: "The primary goes to WaitingForStartResynchronize, Critical: tracking stops.",
        cure: "Mend the link, then Resume-VMReplication -Resynchronize.",
        rules: &["ST-18", "RS-41"],
        evidence: Documented,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
        ..BASE
    },
    Incident {
        name: "link-too-slow",
        on: On::Link,
        act: Broken(Ill::LinkSlow),
        rate: Rate(16_000),
        fault: "The link carries less than the guests write.",
        effect: "Replicating; cycles last longer than the interval and more than 20 percent are missed: Warning.",
        cure: "A lower frequency, fewer disks, compression, or a faster link.",
        rules: &["ST-17", "ST-16"],
        evidence: Documented,
        source: "Interpreting Replication Health, part 1 (2012-06-15)",
        ..BASE
    },
    Incident {
        name: "link-flapping",
        on: On::Link,
        act: Broken(Ill::LinkFlaps),
        fault: "The link is down for one minute in every five.",
        effect: "Replicating, with failed attempts in the statistics; a log that was cut is sent again.",
        cure: "Nothing: every log gets through in the end.",
        rules: &["ST-18", "ST-16"],
        evidence: Inferred,
        source: "Hyper-V to Azure disaster recovery architecture",
        ..BASE
    },
    Incident {
        name: "listener-port-blocked",
        on: On::Host,
        act: Broken(Ill::PortBlocked),
        fault: "The firewall of the replica server drops what comes to its listener (0x2EFD, 0x2EFE).",
        effect: "Enabling fails; a running pair is tried again and again.",
        cure: "Switch the inbound rule of the listener on.",
        rules: &["EN-3", "ST-18"],
        evidence: Documented,
        source: "Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "proxy-cuts-large-posts",
        on: On::Link,
        act: Broken(Ill::ProxyCuts),
        fault: "A proxy on the way refuses the very large content length that replication declares (0x2EFE, 0x2EF3).",
        effect: "Small requests pass, no log and no resynchronization does: tried again and again.",
        cure: "Bypass the proxy.",
        rules: &["ST-18"],
        evidence: Documented,
        source: "Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "principal-name-missing",
        on: On::Host,
        act: Broken(Ill::Untrusted(Trust::PrincipalName)),
        fault: "The service principal name of the host is not registered (event 14050, 0x80090303).",
        effect: "The primary's next send ends in Error, Critical (event 32086).",
        cure: "Register the name, then Resume-VMReplication.",
        rules: &["ST-34"],
        evidence: Documented,
        source: "Hyper-V to Azure disaster recovery architecture; Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "certificate-expired",
        on: On::Host,
        act: Broken(Ill::Untrusted(Trust::Certificate)),
        fault: "The certificate of the replica server has expired, was revoked, or has another name.",
        effect: "The primary's next send ends in Error, Critical.",
        cure: "A new certificate, its thumbprint set on both sides, then Resume-VMReplication.",
        rules: &["ST-34"],
        evidence: Documented,
        source: "Hyper-V to Azure disaster recovery architecture",
        ..BASE
    },
    Incident {
        name: "authorization-removed",
        on: On::Host,
        act: Broken(Ill::Untrusted(Trust::Unauthorized)),
        fault: "The authorization entry of the primary was removed on the replica server, or its trust group changed.",
        effect: "The primary's next send ends in Error, Critical.",
        cure: "Restore the entry, then Resume-VMReplication.",
        rules: &["ST-34"],
        evidence: Documented,
        source: "Hyper-V to Azure disaster recovery architecture",
        ..BASE
    },
    Incident {
        name: "replica-server-disabled",
        on: On::Host,
        act: Broken(Ill::NotReplicaServer),
        fault: "The host is no longer enabled as a replica server.",
        effect: "It refuses logs and new relationships: the primary ends in Error.",
        cure: "Set-VMReplicationServer -ReplicationEnabled $true there, then Resume-VMReplication.",
        rules: &["ST-20"],
        evidence: Inferred,
        source: "Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "broker-offline",
        on: On::Host,
        act: Broken(Ill::BrokerOffline),
        fault: "The broker of the replica's cluster is offline, or its name is not resolved.",
        effect: "Nothing new can be enabled, and nobody is told where a replica went; pairs whose replica stays go on.",
        cure: "Bring the broker online (events 21132 to 21139).",
        rules: &["EN-3", "ST-18"],
        evidence: Inferred,
        source: "Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "broker-account-broken",
        on: On::Host,
        act: Broken(Ill::BrokerAccount),
        fault: "The broker's account has a wrong password, or its principal name is missing (0x8007052E).",
        effect: "The broker does not come online: as if it were offline.",
        cure: "Repair the account of the client access point, then bring the broker online.",
        rules: &["EN-3"],
        evidence: Documented,
        source: "Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "replica-moved-by-cluster",
        on: On::Copy,
        act: Do(Deed::MoveNode),
        fault: "The cluster moves the replica to another node.",
        effect: "One send fails; the broker names the new node and replication goes on.",
        cure: "Nothing.",
        rules: &["ST-18"],
        evidence: Documented,
        source: "Why is the Hyper-V Replica Broker required (2012-03-27)",
        ..BASE
    },
    Incident {
        name: "test-machine-migrated",
        on: On::Copy,
        act: Do(Deed::MoveTest),
        fault: "The test machine and the replica part in the cluster.",
        effect: "A second test machine can be made, and Stop-VMFailover does not find the first: it is left over.",
        cure: "Remove-VM of the first one, by hand.",
        rules: &["TF-63"],
        evidence: Documented,
        source: "Types of failover operations: Test Failover (2012-07-25)",
        ..BASE
    },
    Incident {
        name: "replica-volume-full",
        on: On::Host,
        act: Broken(Ill::StoreFull),
        fault: "The volume that holds the replicas is full.",
        effect: "Logs are not taken and nothing is applied; the primary tries again and is Critical at the last step of its back-off.",
        cure: "Free space; what is stored is applied, the next attempt gets through.",
        rules: &["ST-18"],
        evidence: Inferred,
        source: "Hyper-V to Azure disaster recovery architecture; Interpreting Replication Health, part 1 (2012-06-15)",
        ..BASE
    },
    Incident {
        name: "primary-volume-full",
        on: On::Host,
        act: Broken(Ill::VolumeFull),
        fault: "The volume of the running machines is full, often with change logs.",
        effect: "Running machines of the host are paused.",
        cure: "Free space: the machines go on.",
        rules: &[],
        evidence: Inferred,
        source: "Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "primary-host-crash",
        on: On::Host,
        act: Power(HostPower::Lost),
        fault: "The host of the primary loses its power while the machine runs.",
        effect: "The change log was not closed: WaitingForStartResynchronize, Critical; the machine is Off.",
        cure: "Start the host and the machine, then Resume-VMReplication -Resynchronize.",
        rules: &["ST-30"],
        evidence: Field,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10); EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
        ..BASE
    },
    Incident {
        name: "primary-host-reboot",
        on: On::Host,
        act: Reboot,
        fault: "The host of the primary shuts down in order and is back five minutes later.",
        effect: "2016 and later: Replicating. 2012 R2: Error (event 32086, 0x80004004). Machines are saved and not started again by themselves.",
        cure: "Start-VM; on 2012 R2 Resume-VMReplication, too.",
        rules: &["ST-29", "ST-28"],
        evidence: Field,
        source: "Hyper-V replication is suspended at system shutdown; EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
        ..BASE
    },
    Incident {
        name: "replica-host-reboot",
        on: On::Host,
        act: Reboot,
        fault: "The host of the replica shuts down in order and is back five minutes later.",
        effect: "The primary tries again and goes on.",
        cure: "Nothing.",
        rules: &["ST-18", "ST-16"],
        evidence: Inferred,
        source: "Hyper-V to Azure disaster recovery architecture",
        ..BASE
    },
    Incident {
        name: "management-service-restart",
        on: On::Host,
        act: RestartService,
        fault: "The Virtual Machine Management Service of the host stops and starts a minute later; machines run on.",
        effect: "A short gap; Replicating.",
        cure: "Nothing.",
        rules: &["ST-16"],
        evidence: Inferred,
        source: "Hyper-V replication is suspended at system shutdown",
        ..BASE
    },
    Incident {
        name: "disk-edited-offline",
        on: On::Copy,
        act: Do(Deed::EditOffline),
        fault: "Somebody mounts the disk of the machine, which is Off, and writes into it.",
        effect: "No log saw the change: WaitingForStartResynchronize, Critical.",
        cure: "Resume-VMReplication -Resynchronize.",
        rules: &["RS-41"],
        evidence: Documented,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
        ..BASE
    },
    Incident {
        name: "checkpoint-applied",
        on: On::Copy,
        act: Do(Deed::ApplyCheckpoint),
        fault: "The primary, which is Off, is set back to its newest checkpoint.",
        effect: "What was written since is lost here, and the replica has it: WaitingForStartResynchronize, Critical.",
        cure: "Resume-VMReplication -Resynchronize.",
        rules: &["RS-41"],
        evidence: Documented,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
        ..BASE
    },
    Incident {
        name: "replica-restored-from-backup",
        on: On::Copy,
        act: Do(Deed::RestoreBackup),
        fault: "The replica is replaced by an older copy of itself, as old as its oldest recovery point.",
        effect: "The next log does not follow the last one there: the primary goes to WaitingForStartResynchronize.",
        cure: "Resume-VMReplication -Resynchronize on the primary.",
        rules: &["RS-41"],
        evidence: Documented,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
        ..BASE
    },
    Incident {
        name: "log-write-failure",
        on: On::Copy,
        act: Do(Deed::LoseLog),
        fault: "A write into the primary's change log fails, as on a share that was lost.",
        effect: "WaitingForStartResynchronize, Critical: tracking stops.",
        cure: "Mend the share, then Resume-VMReplication -Resynchronize.",
        rules: &["RS-41"],
        evidence: Documented,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
        ..BASE
    },
    Incident {
        name: "disk-missing",
        on: On::Copy,
        act: Broken(Ill::DiskMissing),
        fault: "A replicated disk was removed or moved without telling replication (0x80070002).",
        effect: "The next cycle ends in Error, Critical.",
        cure: "Bring the disk back or set the list of replicated disks, then Resume-VMReplication.",
        rules: &["ST-20"],
        evidence: Inferred,
        source: "Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "disk-chain-broken",
        on: On::Copy,
        act: Broken(Ill::DiskMissing),
        fault: "The parent of a differencing disk is missing.",
        effect: "The next cycle ends in Error, Critical.",
        cure: "Repair the chain, then Resume-VMReplication -Resynchronize.",
        rules: &["ST-20", "RS-114"],
        evidence: Inferred,
        source: "Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "replica-paused",
        on: On::Copy,
        act: Do(Deed::Suspend),
        fault: "Somebody pauses replication on the replica.",
        effect: "The replica is Suspended, Critical; the primary's next send ends in Error.",
        cure: "Resume-VMReplication on the replica, then on the primary.",
        rules: &["ST-26", "ST-20"],
        evidence: Inferred,
        source: "Interpreting Replication Health, part 1 (2012-06-15)",
        ..BASE
    },
    Incident {
        name: "primary-paused-and-forgotten",
        on: On::Copy,
        act: Do(Deed::Suspend),
        fault: "Somebody pauses replication on the primary and forgets it.",
        effect: "Warning; the change log grows until it is larger than half of the disks, then WaitingForStartResynchronize.",
        cure: "Resume-VMReplication while the log is small, else with -Resynchronize.",
        rules: &["ST-23", "ST-25"],
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell; Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
        ..BASE
    },
    Incident {
        name: "failover-while-the-primary-runs",
        on: On::Copy,
        act: Do(Deed::Failover),
        fault: "Somebody fails the replica over although the primary runs.",
        effect: "The replica waits for completion; the primary's next send ends in Error. Started there, the machine runs twice: split brain.",
        cure: "Stop-VMFailover on the replica and Resume-VMReplication, or shut the primary down and return by -AsReplica.",
        rules: &["UF-78", "ST-20"],
        evidence: Field,
        source: "Types of failover operations: Unplanned Failover (2012-08-08); EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
        ..BASE
    },
    Incident {
        name: "test-failover-left-over",
        on: On::Copy,
        act: Do(Deed::TestFailover),
        fault: "A test failover is begun and never ended.",
        effect: "Replication goes on; the next test, and a reverse, are refused.",
        cure: "Stop-VMFailover on the replica.",
        rules: &["TF-60", "TF-61"],
        evidence: Documented,
        source: "Types of failover operations: Test Failover (2012-07-25)",
        ..BASE
    },
    Incident {
        name: "test-machine-on-the-production-switch",
        on: On::Copy,
        act: Do(Deed::TestSwitch),
        fault: "The test machine is connected to the production network.",
        effect: "It starts with the address of the machine that is at work: both clash.",
        cure: "Stop-VMFailover, then Set-VMNetworkAdapter -TestReplicaSwitchName with an isolated switch.",
        rules: &["TF-60"],
        evidence: Inferred,
        source: "Types of failover operations: Test Failover (2012-07-25)",
        ..BASE
    },
    Incident {
        name: "prepare-while-running",
        on: On::Copy,
        act: Do(Deed::Prepare),
        fault: "Somebody prepares a planned failover while the machine runs.",
        effect: "Refused; nothing changes.",
        cure: "Stop-VM, then prepare again.",
        rules: &["PF-67"],
        evidence: Documented,
        source: "Hyper-V module reference for PowerShell",
        ..BASE
    },
    Incident {
        name: "primary-host-takes-no-replication",
        on: On::Host,
        act: Broken(Ill::NotReplicaServer),
        fault: "The host of the old primary is not enabled as a replica server.",
        effect: "After a planned failover the reverse fails: the replica stays failed over and unprotected, the old primary prepared.",
        cure: "Set-VMReplicationServer -ReplicationEnabled $true there, then reverse again.",
        rules: &["PF-76"],
        evidence: Inferred,
        source: "Types of failover operations: Planned Failover (2012-07-31)",
        ..BASE
    },
    Incident {
        name: "as-replica-while-not-off",
        on: On::Copy,
        act: Do(Deed::AsReplica),
        fault: "Somebody makes the old primary a replica while it runs or is saved.",
        effect: "Refused; nothing changes.",
        cure: "Remove-VMSavedState or Stop-VM first.",
        rules: &["UF-88"],
        evidence: Field,
        source: "EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
        ..BASE
    },
    Incident {
        name: "runbook-dies-after-prepare",
        on: On::Copy,
        act: Do(Deed::Prepare),
        fault: "The runbook of a planned failover prepares the primary and dies.",
        effect: "The primary stays prepared and cannot be started; the replica stays Replicating: legal and stable.",
        cure: "Go on with Start-VMFailover on the replica, or Stop-VMFailover on the primary.",
        rules: &["PF-66", "PF-71"],
        evidence: Field,
        source: "EXPRESSCLUSTER with Hyper-V Replica: failover scripts",
        ..BASE
    },
    Incident {
        name: "undo-log-damaged",
        on: On::Copy,
        act: Broken(Ill::PointsDamaged),
        fault: "The undo logs of all recovery points but the newest are damaged.",
        effect: "A failover to an older point fails and leaves the replica Replicating; the newest content can be used.",
        cure: "Fail over to the newest point.",
        rules: &["UF-117"],
        evidence: Inferred,
        source: "Undo Logs and Recovery History (2014-01-27)",
        ..BASE
    },
    Incident {
        name: "replica-disks-slow",
        on: On::Host,
        act: Broken(Ill::DisksSlow),
        rate: Rate(16 << 10),
        fault: "The disks of the replica's host are slower than the logs that come.",
        effect: "Logs are stored and wait to be applied; LastApplyTime falls behind LastReplicationTime; Replicating.",
        cure: "Faster disks, higher apply limits.",
        rules: &["ST-16"],
        evidence: Documented,
        source: "Feature and performance optimization of Hyper-V Replica (KB 2767928)",
        ..BASE
    },
    Incident {
        name: "replica-files-locked",
        on: On::Host,
        act: Broken(Ill::FilesLocked),
        fault: "A virus scanner, or another process, locks the replicas' files.",
        effect: "Logs are stored and none is applied; a failover fails.",
        cure: "Exclude the folders from scanning; what is stored is applied.",
        rules: &["UF-117"],
        evidence: Inferred,
        source: "Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "clock-changed",
        on: On::Host,
        act: Broken(Ill::ClockAhead),
        by: Span(2 * Span::HOUR.0),
        fault: "The host's clock, or its time zone, is changed.",
        effect: "The window of automatic resynchronization and the interval of the statistics move.",
        cure: "Set the clock.",
        rules: &[],
        evidence: Inferred,
        source: "Interpreting Replication Health, part 2 (2012-06-21)",
        ..BASE
    },
    Incident {
        name: "failover-address-on-one-copy-only",
        on: On::Copy,
        act: Do(Deed::ForgetAddress),
        fault: "The failover address is set on one copy only.",
        effect: "After a failback the guest keeps the address of the other site, which came with its disks.",
        cure: "Set-VMNetworkAdapterFailoverConfiguration on both copies.",
        rules: &["PF-72"],
        evidence: Documented,
        source: "Inject IP address into the VM during failover (2012-05-28)",
        ..BASE
    },
    Incident {
        name: "outage-across-the-interval-end",
        on: On::Link,
        act: Broken(Ill::LinkCut),
        fault: "The link is down for some cycles shortly before a monitoring interval ends.",
        effect: "More than 20 percent missed is a Warning; at 09:00 and 21:00 the counters are zeroed and it is gone, seen or not (event 29174).",
        cure: "Look at event 29174, or choose a longer interval.",
        rules: &["ST-17"],
        evidence: Documented,
        source: "Interpreting Replication Health, part 2 (2012-06-21)",
        ..BASE
    },
    Incident {
        name: "domain-controller-replicated",
        on: On::Copy,
        act: Broken(Ill::DirectoryWithin),
        fault: "The only domain controller is itself a replicated machine.",
        effect: "While it runs nowhere nobody can authenticate: every send ends in Error, and so does a reverse.",
        cure: "Fail the domain controller over first, or keep one on each site.",
        rules: &["ST-34"],
        evidence: Inferred,
        source: "our reading: a planning mistake that follows from Kerberos",
        ..BASE
    },
    Incident {
        name: "machine-with-that-id-on-the-replica-server",
        on: On::Copy,
        act: Do(Deed::StrayCopy),
        fault: "The replica server holds a machine with the same id.",
        effect: "Enabling fails; nothing is left.",
        cure: "Remove that machine, or make it a seed with Enable-VMReplication -AsReplica.",
        rules: &["EN-3"],
        evidence: Documented,
        source: "Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "extended-leg-too-slow",
        on: On::Link,
        act: Broken(Ill::LinkSlow),
        rate: Rate(16_000),
        fault: "The second leg is slower than the first.",
        effect: "The middle copy's extended relationship misses cycles and is Warning; its own one stays Normal.",
        cure: "A lower frequency of the second leg, or more bandwidth.",
        rules: &["ST-17"],
        evidence: Documented,
        source: "Hyper-V Extend Replication (2013-12-09)",
        ..BASE
    },
    Incident {
        name: "failed-over-with-an-extended-replica",
        on: On::Copy,
        act: Do(Deed::Failover),
        fault: "The middle copy is failed over while it has an extended replica.",
        effect: "It can be reversed to nobody; its extended relationship sends nothing until somebody chooses.",
        cure: "Complete-VMFailover, then Resume-VMReplication -Continue to go on with the third host; or remove the extended relationship and reverse.",
        rules: &["XF-97", "XF-111"],
        evidence: Documented,
        source: "J. Savill, Mastering Windows Server 2016 Hyper-V, chapter 8",
        ..BASE
    },
    Incident {
        name: "replication-removed-on-the-primary-only",
        on: On::Copy,
        act: Do(Deed::Remove),
        fault: "Somebody removes replication on the primary and not on the replica.",
        effect: "The primary is not protected any more; the replica stays Replicating and is Warning after an hour without a log.",
        cure: "Remove-VMReplication on the replica, too.",
        rules: &["XF-105"],
        evidence: Documented,
        source: "Hyper-V module reference for PowerShell; Interpreting Replication Health, part 1 (2012-06-15)",
        ..BASE
    },
    Incident {
        name: "resynchronization-loops",
        on: On::Link,
        act: Broken(Ill::LinkSlow),
        rate: Rate(16_000),
        fault: "The link is so slow that the change log outgrows half of the disks during a resynchronization.",
        effect: "WaitingForStartResynchronize again, over and over.",
        cure: "A window with less churn, or more bandwidth.",
        rules: &["RS-53"],
        evidence: Documented,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
        ..BASE
    },
    Incident {
        name: "worker-process-crash",
        on: On::Copy,
        act: Do(Deed::WorkerCrash),
        fault: "The worker process of the running machine crashes; the host goes on.",
        effect: "The machine is Off, its change log was not closed: WaitingForStartResynchronize.",
        cure: "Start-VM, then Resume-VMReplication -Resynchronize.",
        rules: &["ST-30"],
        evidence: Documented,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
        ..BASE
    },
    Incident {
        name: "link-latency",
        on: On::Link,
        act: Broken(Ill::LinkLatent),
        by: Span::seconds(2),
        fault: "The link's latency grows.",
        effect: "Replicating; cycles take longer.",
        cure: "Nothing.",
        rules: &["ST-16"],
        evidence: Inferred,
        source: "Interpreting Replication Health, part 1 (2012-06-15)",
        ..BASE
    },
    Incident {
        name: "link-half-open",
        on: On::Link,
        act: Broken(Ill::HalfOpen),
        fault: "Nothing comes back over the link from its second host; what goes there arrives.",
        effect: "The replica has the log, the primary does not know it and sends it again; a repeated log is acknowledged and not applied twice.",
        cure: "Nothing once the link is whole.",
        rules: &["ST-18"],
        evidence: Assumed,
        source: "our reading: a log is known by its number",
        ..BASE
    },
    Incident {
        name: "name-not-resolved",
        on: On::Host,
        act: Broken(Ill::NameUnresolved),
        fault: "Nobody can resolve the host's name (0x2EE7, 0x80072AF9).",
        effect: "As if it could not be reached: tried again and again.",
        cure: "Mend the name service.",
        rules: &["ST-18"],
        evidence: Documented,
        source: "Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "clock-skew",
        on: On::Host,
        act: Broken(Ill::Untrusted(Trust::Clock)),
        fault: "The host's clock is more than five minutes off, which Kerberos does not take (0x80090324).",
        effect: "The primary's next send ends in Error, Critical.",
        cure: "Set the clock, then Resume-VMReplication.",
        rules: &["ST-34"],
        evidence: Inferred,
        source: "Hyper-V Replica troubleshooting guide (2025)",
        ..BASE
    },
    Incident {
        name: "vss-failure",
        on: On::Copy,
        act: Broken(Ill::VssFails),
        fault: "The guest's VSS writers fail: no application-consistent points (0x800700EA).",
        effect: "Replicating; the point is an ordinary one, and a failure of application-consistent snapshots is counted.",
        cure: "Mend the VSS writers in the guest.",
        rules: &["ST-16"],
        evidence: Inferred,
        source: "Events 18210, 3041 and 1 (KB 3050765)",
        ..BASE
    },
    Incident {
        name: "wrong-media-folder",
        on: On::Copy,
        act: Do(Deed::ImportWrongFolder),
        fault: "The replica imports from the wrong folder.",
        effect: "Refused; the replica waits for initial replication as before.",
        cure: "Import-VMInitialReplication with the folder NAME_ID that the export has made.",
        rules: &["EN-8", "EN-10"],
        evidence: Inferred,
        source: "Out-of-band initial replication (2013-06-28)",
        ..BASE
    },
    Incident {
        name: "media-too-late",
        on: On::Copy,
        act: Do(Deed::OutgrowLog),
        fault: "The media arrive after the change log passed half of the disks.",
        effect: "The primary goes to WaitingForStartResynchronize before the import; what is imported then is a base to compare with.",
        cure: "Import them, then Resume-VMReplication -Resynchronize: only differences are sent.",
        rules: &["EN-8", "EN-13", "EN-125", "RS-138"],
        evidence: Inferred,
        source: "Out-of-band initial replication (2013-06-28)",
        ..BASE
    },
    Incident {
        name: "disk-resized-on-the-primary-only",
        on: On::Copy,
        act: Do(Deed::GrowDisk),
        fault: "The primary's disk is larger than the replica's, and the new space is used.",
        effect: "The replica does not take a log that writes behind its disk's end: the primary is in Error, Critical.",
        cure: "Resize-VHD on the replica, too, then Resume-VMReplication.",
        rules: &["ST-33"],
        evidence: Inferred,
        source: "Resizing virtual disks attached to replicating VMs (2013-11-14)",
        ..BASE
    },
    Incident {
        name: "resynchronization-with-other-sizes",
        on: On::Copy,
        act: Do(Deed::GrowBeforeResync),
        fault: "A resynchronization begins while the disks differ in size.",
        effect: "It does not start: WaitingForStartResynchronize until the sizes are equal.",
        cure: "Resize-VHD on the other side, then Resume-VMReplication -Resynchronize.",
        rules: &["RS-41", "RS-45"],
        evidence: Documented,
        source: "Resizing virtual disks attached to replicating VMs (2013-11-14)",
        ..BASE
    },
    Incident {
        name: "disk-added-and-not-replicated",
        on: On::Copy,
        act: Do(Deed::AddDisk),
        fault: "A disk is added and the list of replicated disks is not changed.",
        effect: "Replicating, Normal, and nothing of the new disk is on the replica: nobody is told before the failover.",
        cure: "Set-VMReplication -ReplicatedDiskPaths with the whole list.",
        rules: &["ST-36", "ST-37"],
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
        ..BASE
    },
    Incident {
        name: "point-older-than-a-shrink",
        on: On::Copy,
        act: Do(Deed::ShrinkDisk),
        fault: "A failover to a point older than a shrink of the disk.",
        effect: "The failover fails and leaves the replica Replicating; points from after the shrink can be used.",
        cure: "Fail over to a newer point.",
        rules: &["UF-117"],
        evidence: Documented,
        source: "Undo Logs and Recovery History (2014-01-27)",
        ..BASE
    },
    Incident {
        name: "boot-or-data-disk-excluded",
        on: On::Copy,
        act: Do(Deed::ExcludeDisk),
        fault: "A disk that the machine needs is not replicated.",
        effect: "Replicating, Normal. After a failover the machine does not boot, or lacks data.",
        cure: "Set-VMReplication -ReplicatedDiskPaths with the whole list, while the primary is there.",
        rules: &["ST-35"],
        evidence: Documented,
        source: "Hyper-V module reference for PowerShell",
        ..BASE
    },
    Incident {
        name: "machine-removed",
        on: On::Copy,
        act: Do(Deed::DestroyVm),
        fault: "Somebody removes replication on one side, and deletes the machine there.",
        effect: "On the replica's side: the primary's next send finds no relationship and ends in Error.",
        cure: "Remove-VMReplication on the primary and enable it again.",
        rules: &["ST-20"],
        evidence: Inferred,
        source: "Hyper-V module reference for PowerShell",
        ..BASE
    },
];

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
