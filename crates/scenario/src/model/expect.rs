//! What must be so.

use std::fmt;
use std::net::IpAddr;

use hvrsim_sim::findings::table::Kind;
use hvrsim_sim::windows_log;
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::job::JobState;
use hvrsim_types::size::Bytes;
use hvrsim_types::state::{Health, Mode, NamedState, Power};
use hvrsim_types::time::Span;

use super::value::{Comparison, Content, Relation};
use crate::source::At;

/// One entry of `expect`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expectation {
    /// A copy's mode, state, health, power.
    Copy(CopyExpectation),
    /// A job's state and counts.
    Job(JobExpectation),
    /// What was lost.
    Lost(LostExpectation),
    /// `disks: identical`: both copies of the machine hold the same.
    DisksIdentical {
        /// The machine.
        vm: At<VmId>,
    },
    /// `disk` with `same-as`: two contents are equal.
    SameContent {
        /// The copy.
        disk: At<CopyId>,
        /// What it must be equal to.
        same_as: At<Content>,
    },
    /// `finding`: the simulator has noticed this; `not`: it has not.
    Finding {
        /// What.
        finding: At<&'static Kind>,
        /// It must have been noticed.
        noticed: bool,
        /// Of which machine.
        vm: At<VmId>,
    },
    /// How well a machine is protected.
    Protection(ProtectionExpectation),
    /// What stands in the Windows event logs.
    Event(EventExpectation),
    /// What a method has returned.
    Value(ValueExpectation),
}

/// One value of what a method has returned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueExpectation {
    /// `value`: the name that `as` gave to what the method returned.
    pub value: At<String>,
    /// `of`: where in it, such as `ReplicationStatistics[0].ReplicationHealth`.
    pub of: At<String>,
    /// `is`: whole numbers compare by size, everything else is equal or not, whatever its case.
    pub is: At<Comparison<String>>,
}

impl ValueExpectation {
    /// Whether this is what was found.
    #[must_use]
    pub fn holds(&self, found: &str) -> bool {
        let Comparison { relation, value } = &self.is.value;
        match (found.parse::<i128>(), value.parse::<i128>()) {
            (Ok(found), Ok(value)) => Comparison { relation: *relation, value }.holds(&found),
            _ => *relation == Relation::Equal && found.eq_ignore_ascii_case(value),
        }
    }
}

/// What must stand in the Windows event logs, up to now. What is `None` may be anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventExpectation {
    /// `event`: the id.
    pub event: At<&'static windows_log::table::Kind>,
    /// In this host's log.
    pub host: Option<At<HostId>>,
    /// About this machine.
    pub vm: Option<At<VmId>>,
    /// `count`: how many; at least one if not given.
    pub count: Option<At<Comparison<u64>>>,
}

/// How well a machine must be protected. What is `None` may be anything; at least one is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProtectionExpectation {
    /// The machine.
    pub vm: At<VmId>,
    /// `protected`: a primary copy replicates it, or everything has been sent for a planned failover.
    pub protected: Option<At<bool>>,
    /// `rpo`: the age of what the other side has, if the running side were lost now.
    pub rpo: Option<At<Comparison<Span>>>,
}

/// What must not be at any moment, looked at after every event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Never {
    /// What.
    pub what: NeverWhat,
    /// Of which machine; `None` is any.
    pub vm: Option<At<VmId>>,
}

/// What must not be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NeverWhat {
    /// `running-on-both`: a machine runs on two hosts.
    RunningOnBoth,
    /// `unprotected-longer-than`: a machine that was replicated once is not for so long.
    UnprotectedLongerThan(Span),
    /// `rpo`: the age of what the other side has.
    Rpo(Comparison<Span>),
}

impl fmt::Display for NeverWhat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunningOnBoth => f.write_str("running-on-both"),
            Self::UnprotectedLongerThan(span) => write!(f, "unprotected-longer-than: {span}"),
            Self::Rpo(rpo) => write!(f, "rpo: {rpo}"),
        }
    }
}

/// How a copy must be. What is `None` may be anything; at least one is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyExpectation {
    /// The machine.
    pub vm: At<VmId>,
    /// The copy's host.
    pub host: At<HostId>,
    /// `mode`.
    pub mode: Option<At<Mode>>,
    /// `replication`: its state.
    pub replication: Option<At<NamedState>>,
    /// `health`.
    pub health: Option<At<Health>>,
    /// `power`.
    pub power: Option<At<Power>>,
    /// `recovery-points`: how many it keeps.
    pub points: Option<At<Comparison<u64>>>,
    /// Its first network adapter.
    pub network: NetworkExpectation,
}

/// How the first network adapter of a copy must be. What is `None` may be anything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NetworkExpectation {
    /// `address`: what the guest is set to; `none` asks a DHCP server.
    pub address: Option<At<Option<IpAddr>>>,
    /// `switch`: the one it is connected to, or `none`.
    pub switch: Option<At<Option<String>>>,
}

/// How a job must be. What is `None` may be anything; at least one is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobExpectation {
    /// The name that `as` gave it.
    pub job: At<String>,
    /// `state`.
    pub state: Option<At<JobState>>,
    /// `progress` in per cent; in `until` a bare number means at least that.
    pub progress: Option<At<Comparison<u8>>>,
    /// `sent`: payload.
    pub sent: Option<At<Comparison<Bytes>>>,
    /// `compared`: bytes compared.
    pub compared: Option<At<Comparison<Bytes>>>,
    /// `resent`: payload sent again after an interruption.
    pub resent: Option<At<Comparison<Bytes>>>,
    /// `error`: its error code, 0 for none.
    pub error: Option<At<ReturnCode>>,
}

/// What must have been lost of a machine's writes, up to now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LostExpectation {
    /// The machine.
    pub vm: At<VmId>,
    /// What.
    pub lost: Lost,
}

/// What was lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lost {
    /// `lost: none`: nothing.
    Nothing,
    /// Writes. What is `None` may be anything.
    Writes {
        /// `tag`: only writes with this tag count; all if not given.
        tag: Option<At<String>>,
        /// `bytes` lost.
        bytes: Option<At<Comparison<Bytes>>>,
        /// `writes` lost.
        writes: Option<At<Comparison<u64>>>,
        /// `time` from the first lost write to the last.
        time: Option<At<Comparison<Span>>>,
    },
}
