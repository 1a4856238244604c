//! The documented enumerations with their WMI numbers, and the PowerShell view of them.
//!
//! The WMI number is the truth. PowerShell splits WMI 2 into two names, told apart by the mode, so
//! its numbers are WMI + 1 from 3 to 16 (Hyper-V WMI provider v2, `Msvm_ReplicationRelationship`;
//! Hyper-V module, `VMReplicationState`).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $value:literal, $label:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[repr(u16)]
        pub enum $name { $($(#[$vdoc])* $variant = $value,)* }

        impl $name {
            /// Every value, in numerical order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The documented number.
            #[must_use]
            pub const fn number(self) -> u16 { self as u16 }

            /// The value with this documented number.
            #[must_use]
            pub fn from_number(number: u16) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.number() == number)
            }

            /// The documented label.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.label()) }
        }
    };
}
pub(crate) use numbered;

numbered! {
    /// `ReplicationMode`: the role of one copy.
    Mode {
        /// Not replicated.
        None = 0, "None";
        /// The workload runs here and is sent from here.
        Primary = 1, "Primary";
        /// Receives from a primary.
        Replica = 2, "Replica";
        /// A test replica virtual machine.
        TestReplica = 3, "TestReplica";
        /// Receives from a replica.
        ExtendedReplica = 4, "ExtendedReplica";
    }
}

numbered! {
    /// `ReplicationHealth`. PowerShell shows `Ok` as `Normal`.
    Health {
        /// Not replicating.
        NotApplicable = 0, "NotApplicable";
        /// WMI label `Ok`.
        Normal = 1, "Normal";
        /// Needs attention.
        Warning = 2, "Warning";
        /// Does not protect.
        Critical = 3, "Critical";
    }
}

numbered! {
    /// The kind of a replication or of a recovery point (`LastReplicationType`, `FailedOverReplicationType`).
    ReplicationType {
        /// None yet.
        None = 0, "None";
        /// A replication cycle.
        Regular = 1, "Regular";
        /// With a snapshot that the guest's applications agreed to.
        ApplicationConsistent = 2, "ApplicationConsistent";
        /// The last one of a planned failover.
        Planned = 3, "Planned";
    }
}

numbered! {
    /// `ReplicationState`, 0 to 21, with the WMI labels.
    ReplicationState {
        /// No relationship.
        Disabled = 0, "Disabled";
        /// Primary: enabled, nothing sent yet.
        ReadyForInitialReplication = 1, "Ready for replication";
        /// Initial replication under way (primary) or awaited (replica).
        WaitingToCompleteInitialReplication = 2, "Waiting to complete initial replication";
        /// Protected, or trying to be.
        Replicating = 3, "Replicating";
        /// Primary: everything sent, start blocked (`PreparedForFailover`).
        SyncedReplicationComplete = 4, "Synced replication complete";
        /// Replica: failed over, may still be reverted (`FailedOverWaitingCompletion`).
        Recovered = 5, "Recovered";
        /// Replica: failover committed (`FailedOver`).
        Committed = 6, "Committed";
        /// Paused by an operator.
        Suspended = 7, "Suspended";
        /// Stopped by a failure (`Error`).
        Critical = 8, "Critical";
        /// Primary: the replica can only be brought up to date by comparing.
        WaitingForStartResynchronize = 9, "Waiting to start resynchronization";
        /// Comparing and sending differences.
        Resynchronizing = 10, "Resynchronizing";
        /// A resynchronization paused by an operator.
        ResynchronizeSuspended = 11, "Resynchronization suspended";
        /// Replica: a failover job is running (`RecoveryInProgress`).
        FailoverInProgress = 12, "Failover in progress";
        /// The former primary waits for, or receives, the failback (*WaitingForFailback*).
        FailbackInProgress = 13, "Failback in progress";
        /// The requested recovery point has been brought back (*FailbackCompleted*).
        FailbackComplete = 14, "Failback complete";
        /// A changed set of disks is being replicated.
        DiskUpdateInProgress = 15, "Disk update in progress";
        /// The changed set of disks could not be replicated.
        DiskUpdateCritical = 16, "Disk update critical";
        /// Unknown.
        Unknown = 17, "Unknown";
        /// Meaning not documented.
        RepurposeInProgress = 18, "Repurpose replication in progress";
        /// Collections only.
        PreparedForSyncReplication = 19, "Prepared for sync replication";
        /// Collections only.
        PreparedForGroupReverseReplication = 20, "Prepared for group reverse replication";
        /// Meaning not documented.
        FiredrillInProgress = 21, "Firedrill in progress";
    }
}

/// What PowerShell, or the API's own text, calls a state.
const NAMES: &[(&str, ReplicationState, Option<Mode>)] = {
    use ReplicationState as S;
    &[
        ("Disabled", S::Disabled, None),
        ("ReadyForInitialReplication", S::ReadyForInitialReplication, None),
        ("InitialReplicationInProgress", S::WaitingToCompleteInitialReplication, Some(Mode::Primary)),
        ("WaitingForInitialReplication", S::WaitingToCompleteInitialReplication, Some(Mode::Replica)),
        ("Replicating", S::Replicating, None),
        ("PreparedForFailover", S::SyncedReplicationComplete, None),
        ("FailedOverWaitingCompletion", S::Recovered, None),
        ("FailedOver", S::Committed, None),
        ("Suspended", S::Suspended, None),
        ("Error", S::Critical, None),
        ("WaitingForStartResynchronize", S::WaitingForStartResynchronize, None),
        ("Resynchronizing", S::Resynchronizing, None),
        ("ResynchronizeSuspended", S::ResynchronizeSuspended, None),
        ("RecoveryInProgress", S::FailoverInProgress, None),
        ("FailbackInProgress", S::FailbackInProgress, None),
        ("FailbackComplete", S::FailbackComplete, None),
        ("WaitingForUpdateCompletion", S::DiskUpdateInProgress, None),
        ("UpdateError", S::DiskUpdateCritical, None),
        ("Unknown", S::Unknown, None),
        ("WaitingForRepurposeCompletion", S::RepurposeInProgress, None),
        ("PreparedForSyncReplication", S::PreparedForSyncReplication, None),
        ("PreparedForGroupReverseReplication", S::PreparedForGroupReverseReplication, None),
        ("FiredrillInProgress", S::FiredrillInProgress, None),
    ]
};

/// Names that the API's text uses and no enumeration has (`InitiateFailback`, remarks).
const PROSE_NAMES: &[(&str, ReplicationState)] = &[
    ("WaitingForFailback", ReplicationState::FailbackInProgress),
    ("FailbackCompleted", ReplicationState::FailbackComplete),
];

/// A state as somebody wrote it: a name may say more than the number (WMI 2 has two names).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NamedState {
    /// The state.
    pub state: ReplicationState,
    /// The mode that the name implies, if it does.
    pub mode: Option<Mode>,
}

impl NamedState {
    /// Whether a copy in (`mode`, `state`) is what was meant.
    #[must_use]
    pub fn matches(self, mode: Mode, state: ReplicationState) -> bool {
        let same_side = |wanted| match wanted {
            Mode::Replica => mode != Mode::Primary,
            other => mode == other,
        };
        self.state == state && self.mode.is_none_or(same_side)
    }

    /// Reads a PowerShell name, a WMI label, a WMI number, `WaitingForFailback` or `FailbackCompleted`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(number) = text.parse::<u16>() {
            return ReplicationState::from_number(number).map(|state| Self { state, mode: None });
        }
        let same = |name: &str| name.eq_ignore_ascii_case(text);
        NAMES
            .iter()
            .find(|(name, _, _)| same(name))
            .map(|(_, state, mode)| Self { state: *state, mode: *mode })
            .or_else(|| {
                let prose = PROSE_NAMES.iter().find(|(name, _)| same(name));
                prose.map(|(_, state)| Self { state: *state, mode: None })
            })
            .or_else(|| {
                let labelled = ReplicationState::ALL.iter().find(|s| same(s.label()));
                labelled.map(|state| Self { state: *state, mode: None })
            })
    }

    /// Every name that [`NamedState::parse`] reads, for messages.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let powershell = NAMES.iter().map(|(name, _, _)| *name);
        let prose = PROSE_NAMES.iter().map(|(name, _)| *name);
        powershell.chain(prose).chain(ReplicationState::ALL.iter().map(|s| s.label()))
    }
}

impl ReplicationState {
    /// The name that PowerShell shows for this state on a copy in `mode`.
    #[must_use]
    pub fn powershell(self, mode: Mode) -> &'static str {
        let side = if mode == Mode::Primary { Mode::Primary } else { Mode::Replica };
        NAMES
            .iter()
            .find(|(_, state, of)| *state == self && of.is_none_or(|m| m == side))
            .map_or("Unknown", |(name, _, _)| name)
    }

    /// The number that PowerShell uses for this state on a copy in `mode`.
    #[must_use]
    pub fn powershell_number(self, mode: Mode) -> u16 {
        match self.number() {
            2 if mode != Mode::Primary => 3,
            n @ 3..=16 => n + 1,
            n => n,
        }
    }
}

impl Mode {
    /// Whether the copy receives from another host: from a primary, or from a replica.
    #[must_use]
    pub const fn is_replica(self) -> bool {
        matches!(self, Self::Replica | Self::ExtendedReplica)
    }

    /// Reads a PowerShell mode name or its number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_label(Self::ALL, text, Self::label, Self::number)
    }
}

impl Health {
    /// Reads a PowerShell or WMI health name, or its number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = if text.eq_ignore_ascii_case("ok") { "Normal" } else { text };
        parse_label(Self::ALL, text, Self::label, Self::number)
    }
}

numbered! {
    /// Power of a virtual machine: `EnabledState` of `Msvm_ComputerSystem`, PowerShell's names.
    Power {
        /// Running.
        Running = 2, "Running";
        /// Off.
        Off = 3, "Off";
        /// Memory saved to disk.
        Saved = 6, "Saved";
        /// Paused.
        Paused = 9, "Paused";
    }
}

impl Power {
    /// Reads a PowerShell power name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_label(Self::ALL, text, Self::label, Self::number)
    }
}

fn parse_label<T: Copy>(
    all: &[T],
    text: &str,
    label: impl Fn(T) -> &'static str,
    number: impl Fn(T) -> u16,
) -> Option<T> {
    all.iter().copied().find(|v| label(*v).eq_ignore_ascii_case(text) || number(*v).to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powershell_numbers_are_off_by_one_where_documented() {
        use ReplicationState as S;
        let number = |s: S, m| s.powershell_number(m);
        assert_eq!(number(S::WaitingToCompleteInitialReplication, Mode::Primary), 2);
        assert_eq!(number(S::WaitingToCompleteInitialReplication, Mode::Replica), 3);
        assert_eq!(number(S::Replicating, Mode::Primary), 4);
        assert_eq!(number(S::DiskUpdateCritical, Mode::Primary), 17);
        assert_eq!(number(S::RepurposeInProgress, Mode::Primary), 18);
    }

    #[test]
    fn every_name_reads_back() {
        for name in NamedState::names() {
            assert!(NamedState::parse(name).is_some(), "{name}");
        }
        assert_eq!(NamedState::parse("13"), NamedState::parse("WaitingForFailback"));
        let waiting = NamedState::parse("WaitingForInitialReplication").unwrap();
        assert!(waiting.matches(Mode::Replica, ReplicationState::WaitingToCompleteInitialReplication));
        assert!(!waiting.matches(Mode::Primary, ReplicationState::WaitingToCompleteInitialReplication));
    }
}
