//! The enumerations of the module, with the numbers and both generations of names: PowerShell takes a value by its
//! name, by its number, or cut short while it stays the only one.

/// A value of an enumeration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EnumerationValue {
    /// The module's number; WMI has others for replication states.
    pub number: u16,
    /// Its name.
    pub name: &'static str,
    /// Its name in Windows Server 2012, if it had another.
    pub name_2012: Option<&'static str>,
}

/// An enumeration.
#[derive(PartialEq, Eq, Debug)]
pub struct Enumeration {
    /// Its .NET type.
    pub dotnet: &'static str,
    /// Its values in numerical order.
    pub values: &'static [EnumerationValue],
}

impl Enumeration {
    /// The value that a text names: by name of either generation or number, without regard to case.
    #[must_use]
    pub fn value(&self, text: &str) -> Option<&'static EnumerationValue> {
        let same = |name: &str| name.eq_ignore_ascii_case(text);
        let number = text.parse::<u16>().ok();
        let found = self.values.iter().find(|v| {
            same(v.name) || v.name_2012.is_some_and(same) || number.is_some_and(|number| number == v.number)
        });
        found.or_else(|| {
            let begins =
                |v: &&EnumerationValue| v.name.get(..text.len()).is_some_and(|head| same_text(head, text));
            let mut cut = self.values.iter().filter(begins);
            cut.next().filter(|_| cut.next().is_none())
        })
    }

    /// The present names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.values.iter().map(|v| v.name)
    }
}

fn same_text(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

const fn value(number: u16, name: &'static str) -> EnumerationValue {
    EnumerationValue { number, name, name_2012: None }
}

const fn renamed(number: u16, name: &'static str, name_2012: &'static str) -> EnumerationValue {
    EnumerationValue { number, name, name_2012: Some(name_2012) }
}

const PREFERENCE: Enumeration = Enumeration {
    dotnet: "System.Management.Automation.ActionPreference",
    values: &[
        value(0, "SilentlyContinue"),
        value(1, "Stop"),
        value(2, "Continue"),
        value(3, "Inquire"),
        value(4, "Ignore"),
        value(5, "Suspend"),
    ],
};
/// `ActionPreference`, of the common parameters.
pub(super) const ACTION_PREFERENCE: &Enumeration = &PREFERENCE;

pub(super) const STATE: &Enumeration = &Enumeration {
    dotnet: "Microsoft.HyperV.PowerShell.VMReplicationState",
    values: &[
        value(0, "Disabled"),
        value(1, "ReadyForInitialReplication"),
        value(2, "InitialReplicationInProgress"),
        value(3, "WaitingForInitialReplication"),
        value(4, "Replicating"),
        renamed(5, "PreparedForFailover", "SyncedReplicationComplete"),
        renamed(6, "FailedOverWaitingCompletion", "FailOverWaitingCompletion"),
        value(7, "FailedOver"),
        value(8, "Suspended"),
        value(9, "Error"),
        value(10, "WaitingForStartResynchronize"),
        value(11, "Resynchronizing"),
        value(12, "ResynchronizeSuspended"),
        value(13, "RecoveryInProgress"),
        value(14, "FailbackInProgress"),
        value(15, "FailbackComplete"),
        value(16, "WaitingForUpdateCompletion"),
        value(17, "UpdateError"),
        value(18, "WaitingForRepurposeCompletion"),
        value(19, "PreparedForSyncReplication"),
        value(20, "PreparedForGroupReverseReplication"),
        value(21, "FiredrillInProgress"),
    ],
};

pub(super) const HEALTH: &Enumeration = &Enumeration {
    dotnet: "Microsoft.HyperV.PowerShell.VMReplicationHealthState",
    values: &[value(0, "NotApplicable"), value(1, "Normal"), value(2, "Warning"), value(3, "Critical")],
};

pub(super) const MODE: &Enumeration = &Enumeration {
    dotnet: "Microsoft.HyperV.PowerShell.VMReplicationMode",
    values: &[
        value(0, "None"),
        value(1, "Primary"),
        value(2, "Replica"),
        value(3, "TestReplica"),
        value(4, "ExtendedReplica"),
    ],
};

pub(super) const RELATIONSHIP: &Enumeration = &Enumeration {
    dotnet: "Microsoft.HyperV.PowerShell.VMReplicationRelationshipType",
    values: &[value(0, "Simple"), value(1, "Extended")],
};

pub(super) const REPLICATION_TYPE: &Enumeration = &Enumeration {
    dotnet: "Microsoft.HyperV.PowerShell.ReplicationType",
    values: &[value(0, "None"), value(1, "Regular"), value(2, "ApplicationConsistent"), value(3, "Planned")],
};

pub(super) const AUTHENTICATION: &Enumeration = &Enumeration {
    dotnet: "Microsoft.HyperV.PowerShell.ReplicationAuthenticationType",
    values: &[value(1, "Kerberos"), value(2, "Certificate")],
};

pub(super) const ALLOWED_AUTHENTICATION: &Enumeration = &Enumeration {
    dotnet: "Microsoft.HyperV.PowerShell.RecoveryAuthenticationType",
    values: &[
        value(0, "None"),
        value(1, "Kerberos"),
        value(2, "Certificate"),
        value(3, "CertificateAndKerberos"),
    ],
};

pub(super) const SNAPSHOT_TYPE: &Enumeration = &Enumeration {
    dotnet: "Microsoft.HyperV.PowerShell.SnapshotType",
    values: &[
        value(0, "Standard"),
        value(1, "Recovery"),
        value(2, "Planned"),
        value(5, "Missing"),
        value(6, "Replica"),
        value(7, "AppConsistentReplica"),
        value(8, "SyncedReplica"),
    ],
};

/// Every enumeration of the module that replication uses.
pub const ENUMERATIONS: &[&Enumeration] = &[
    STATE,
    HEALTH,
    MODE,
    RELATIONSHIP,
    REPLICATION_TYPE,
    AUTHENTICATION,
    ALLOWED_AUTHENTICATION,
    SNAPSHOT_TYPE,
];
