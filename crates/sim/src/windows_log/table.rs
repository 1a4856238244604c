//! The entries of the Windows event log that concern replication, as data. Levels, ids and what they mean are published;
//! the words are ours.

use Evidence::{Documented, Field};
use Level::{Error, Information, Warning};
use hvrsim_replica::rule::Evidence;

/// The channel of almost all of them.
pub const VMMS: &str = "Microsoft-Windows-Hyper-V-VMMS-Admin";

/// The level of an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// For information.
    Information,
    /// A warning.
    Warning,
    /// An error.
    Error,
}

impl Level {
    /// As the event viewer names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Information => "Information",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

/// One kind of entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// Its id.
    pub id: u32,
    /// Its level.
    pub level: Level,
    /// The channel it stands in.
    pub channel: &'static str,
    /// What it says; what belongs to one entry follows.
    pub text: &'static str,
    /// When it is written.
    pub when: &'static str,
    /// How well that is known.
    pub evidence: Evidence,
    /// Where it is known from.
    pub source: &'static str,
}

/// The kind with this id.
#[must_use]
pub fn kind(id: u32) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.id == id)
}

/// Every kind that the simulator writes, by id.
pub static KINDS: &[Kind] = &[
    Kind {
        id: 14050,
        level: Error,
        channel: VMMS,
        text: "The service principal name of the Hyper-V Replica service could not be registered.",
        when: "The name is missing on this host.",
        evidence: Documented,
        source: "Hyper-V Replica troubleshooting guide (2025)",
    },
    Kind {
        id: 29174,
        level: Information,
        channel: VMMS,
        text: "Replication statistics of the monitoring interval that has ended.",
        when: "At 09:00 and 21:00 local time, for each primary.",
        evidence: Documented,
        source: "Interpreting Replication Health, part 2 (2012-06-21)",
    },
    Kind {
        id: 29210,
        level: Error,
        channel: VMMS,
        text: "Kerberos authentication to the replica server failed.",
        when: "A send fails because of a principal name, a clock or a domain controller.",
        evidence: Documented,
        source: "Hyper-V Replica Kerberos error (2013-02-13)",
    },
    Kind {
        id: 29242,
        level: Information,
        channel: VMMS,
        text: "Resynchronization has begun: changes are tracked, blocks are compared.",
        when: "A primary begins to resynchronize.",
        evidence: Documented,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
    },
    Kind {
        id: 29244,
        level: Information,
        channel: VMMS,
        text: "Resynchronization has compared all blocks and sent what differed.",
        when: "Everything has been brought over.",
        evidence: Documented,
        source: "Resynchronization of virtual machines in Hyper-V Replica (2013-05-10)",
    },
    Kind {
        id: 32000,
        level: Error,
        channel: VMMS,
        text: "Replication could not be enabled.",
        when: "The job of Enable-VMReplication fails.",
        evidence: Documented,
        source: "Hyper-V Replica troubleshooting guide (2025)",
    },
    Kind {
        id: 32022,
        level: Error,
        channel: VMMS,
        text: "Changes could not be replicated:",
        when: "A log could not be delivered, with the reason.",
        evidence: Documented,
        source: "Hyper-V replication is suspended at system shutdown",
    },
    Kind {
        id: 32086,
        level: Error,
        channel: VMMS,
        text: "Replication was stopped by a failure that needs an operator. Mend the cause, then resume replication.",
        when: "A primary goes to Error.",
        evidence: Documented,
        source: "Hyper-V replication is suspended at system shutdown",
    },
    Kind {
        id: 32315,
        level: Warning,
        channel: VMMS,
        text: "Replication failed and will be tried again",
        when: "After each failure that may pass.",
        evidence: Field,
        source: "How to Check Hyper-V Replica Health, part 2 (Altaro)",
    },
];

/// What is known and not written, with the reason.
pub static NOT_WRITTEN: &[(u32, &str)] = &[
    (19050, "backups are not simulated"),
    (29410, "clusters are not simulated"),
    (33414, "the number of a health message, not of an entry"),
    (21102, "clusters are not simulated"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_and_are_unique() {
        assert!(KINDS.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert!(NOT_WRITTEN.iter().all(|(id, why)| kind(*id).is_none() && !why.is_empty()));
        assert!(KINDS.iter().all(|kind| !kind.source.is_empty()));
    }
}
