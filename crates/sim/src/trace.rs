//! The trace: everything that went in and came out, with a running digest. It is the single source of
//! every report.

use std::net::IpAddr;

use hvrsim_replica::exchange::{Note, Refusal};
use hvrsim_replica::service::Trust;
use hvrsim_resync::heat::HeatMap;
use hvrsim_types::id::{HostId, JobId, PointId, VmId};
use hvrsim_types::state::{Power, ReplicationType};
use hvrsim_types::time::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::ledger::Loss;
use crate::store::ResyncCounts;

/// The version of the records; raised when one changes its meaning.
pub const TRACE_VERSION: u32 = 2;

/// What happened.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum What {
    /// An operator called.
    Called {
        /// As it was written.
        call: String,
        /// The return code.
        code: u32,
        /// The job.
        job: Option<JobId>,
    },
    /// A call was refused.
    Refused {
        /// As it was written.
        call: String,
        /// The return code.
        code: u32,
        /// The rule.
        rule: String,
        /// The sentence that says why, and what to do.
        text: String,
    },
    /// From the life cycle.
    Note(Note),
    /// A machine's power changed.
    Power(Power),
    /// A host's power changed.
    Host(HostPower),
    /// A link was cut; for how long, if that is known.
    LinkCut {
        /// The other end.
        to: HostId,
        /// How long.
        lasts: Option<Span>,
    },
    /// A link carries again.
    LinkBack {
        /// The other end.
        to: HostId,
    },
    /// A scripted write.
    Wrote {
        /// Its tag.
        tag: String,
        /// Bytes.
        bytes: u64,
    },
    /// A session of the resynchronization engine ended.
    Session {
        /// Where the content came from.
        source: HostId,
        /// Its counts.
        counts: ResyncCounts,
        /// Everything was brought.
        done: bool,
    },
    /// Data is on no path to what goes on.
    Lost(Vec<Loss>),
    /// Something an operator should know.
    Finding(Finding),
    /// A session of the resynchronization engine runs, from the beginning or from its checkpoint.
    Transfer {
        /// Where the content comes from.
        source: HostId,
        /// So much of it is there already, in per cent.
        percent: u8,
    },
    /// A scenario's own words.
    Text(String),
    /// A step of a scenario begins.
    Step {
        /// Its number, from 1; 0 is what is done before the first step.
        number: u32,
        /// Its line in the file.
        line: u32,
        /// What it does, as it was named.
        text: String,
    },
    /// An expectation was looked at.
    Expected {
        /// Its line in the file.
        line: u32,
        /// It was met.
        met: bool,
        /// What was expected, and what was found.
        text: String,
    },
    /// The worker process of a machine crashed.
    WorkerCrash,
    /// What others find when they authenticate to the host.
    Trust(Trust),
    /// A machine was made on the host, or deleted.
    Machine {
        /// It was made.
        made: bool,
    },
    /// Something of the catalogue of incidents happened here.
    Incident {
        /// Its name.
        name: String,
        /// The other end, if it is about a link.
        to: Option<HostId>,
    },
    /// An incident is over.
    Mended {
        /// Its name.
        name: String,
        /// The other end, if it is about a link.
        to: Option<HostId>,
    },
    /// What a session did where on a disk; follows its [`What::Session`].
    Heat {
        /// Where the content came from.
        source: HostId,
        /// Which disk.
        disk: u8,
        /// The map.
        map: HeatMap,
    },
    /// What a failover, or failback, to each recovery point costs: told when one is done, and at the end of a run.
    Choices {
        /// The point that was taken, if one was.
        chosen: Option<PointId>,
        /// All that the copy keeps.
        points: Vec<Choice>,
    },
    /// The copy is on this node of the cluster now.
    Moved {
        /// The node that it came from.
        from: HostId,
    },
    /// The guest was told its address after a failover.
    Address {
        /// Of which adapter, from 0.
        adapter: u8,
        /// The address; `None` is from a DHCP server.
        address: Option<IpAddr>,
        /// Its integration services took it.
        heard: bool,
    },
}

/// A recovery point that a failover may choose.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Choice {
    /// The point.
    pub point: PointId,
    /// The moment of the primary whose content it has.
    pub taken: Instant,
    /// Its kind.
    pub kind: ReplicationType,
    /// What is lost with it, by tag.
    pub lost: Vec<Loss>,
}

/// Power of a host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum HostPower {
    /// Lost without warning.
    Lost,
    /// Shut down in order.
    Off,
    /// Back.
    Back,
}

/// What the simulator notices by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Finding {
    /// Two copies of a machine run at once.
    SplitBrain,
    /// A machine was started from disks that a broken failback left inconsistent.
    StartedInconsistent,
    /// Two machines that run are on a switch of the same name with the same address.
    AddressClash,
    /// A machine was started on a replica of which a disk is not replicated.
    StartedWithoutDisk,
}

impl Finding {
    /// The name in scenarios and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SplitBrain => "split-brain",
            Self::StartedInconsistent => "started-from-inconsistent-disks",
            Self::AddressClash => "address-clash",
            Self::StartedWithoutDisk => "started-without-a-disk",
        }
    }

    /// All findings.
    pub const ALL: &'static [Self] =
        &[Self::SplitBrain, Self::StartedInconsistent, Self::AddressClash, Self::StartedWithoutDisk];
}

/// One record.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 0.
    pub seq: u64,
    /// When.
    pub at: Instant,
    /// On which host.
    pub host: Option<HostId>,
    /// About which machine.
    pub vm: Option<VmId>,
    /// What.
    pub what: What,
}

/// Collects records and digests them.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    hasher: blake3::Hasher,
    count: u64,
    fresh: Vec<Record>,
    /// The last record in binary; its memory serves the next one.
    bytes: Vec<u8>,
    failed: bool,
}

impl Recorder {
    /// Adds a record.
    pub fn push(&mut self, at: Instant, host: Option<HostId>, vm: Option<VmId>, what: What) {
        #[cfg(feature = "coverage")]
        crate::coverage::note(&what);
        let record = Record { seq: self.count, at, host, vm, what };
        #[cfg(feature = "canaries")]
        self.hasher.update(&hvrsim_types::canary::noise().unwrap_or_default().to_le_bytes());
        self.count += 1;
        self.bytes.clear();
        match postcard::to_extend(&record, std::mem::take(&mut self.bytes)) {
            Ok(bytes) => {
                self.hasher.update(&bytes);
                self.bytes = bytes;
            }
            Err(_) => self.failed = true,
        }
        self.fresh.push(record);
    }

    /// Records since the last call.
    pub fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.fresh)
    }

    /// Number of records so far.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// BLAKE3 over the canonical binary form of all records so far, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        debug_assert!(!self.failed, "a record could not be written");
        self.hasher.finalize().to_hex().to_string()
    }
}

/// The sentence of a refusal: rule, call, place, what was found, what is needed, the way out.
#[must_use]
pub fn refusal_text(call: &str, refusal: &Refusal, host: &str, vm: &str, power: Power) -> String {
    let by_method = call.starts_with("Msvm_");
    let called = if by_method { refusal.call.method() } else { refusal.call.cmdlet() };
    if refusal.rule == "parameters" {
        return format!("{called} on {host} needs {}.", refusal.needs);
    }
    let state = format!("{} {}", refusal.mode, refusal.state.powershell(refusal.mode));
    let found = match (refusal.found.is_empty(), refusal.needs.as_str()) {
        (false, _) => format!("{vm} {}", refusal.found),
        (true, "Off" | "Running" | "not Running" | "not Off") => format!("{vm} is {power}"),
        (true, _) => format!("{vm} is {state}"),
    };
    let mut text = format!("{} refuses {called} on {host}: {found}, needs {}.", refusal.rule, refusal.needs);
    if !refusal.remedy.is_empty() {
        text.push(' ');
        text.push_str(&refusal.remedy);
    }
    text
}
