//! The rows of the table.

mod hosts;
mod neighbours;

use super::{Class, Cmdlet, Parameter, Place, Support, Type, Verb, Waits, enumerations};

impl Parameter {
    const fn new(name: &'static str, ty: Type) -> Self {
        Self { name, aliases: &[], ty, places: &[], piped: false, support: Support::Acts }
    }

    const fn switch(name: &'static str) -> Self {
        Self::new(name, Type::Switch)
    }

    const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Bound by value from the pipeline.
    const fn piped(mut self) -> Self {
        self.piped = true;
        self
    }

    const fn on(mut self, places: &'static [Place]) -> Self {
        self.places = places;
        self
    }

    const fn support(mut self, support: Support) -> Self {
        self.support = support;
        self
    }

    const fn no_effect(self) -> Self {
        self.support(Support::NoEffect)
    }

    const fn later(self) -> Self {
        self.support(Support::Later)
    }
}

/// Optional, by name only.
const fn named(set: &'static str) -> Place {
    Place { set, position: None, mandatory: false }
}

/// Mandatory, by name only.
const fn needed(set: &'static str) -> Place {
    Place { set, position: None, mandatory: true }
}

/// Optional, by position too.
const fn at(set: &'static str, position: u8) -> Place {
    Place { set, position: Some(position), mandatory: false }
}

/// Mandatory, by position too.
const fn must(set: &'static str, position: u8) -> Place {
    Place { set, position: Some(position), mandatory: true }
}

const VM_OBJECT: Type =
    Type::Object("Microsoft.HyperV.PowerShell.VirtualMachine[]", "name the machine with -VMName");
const REPLICATION_OBJECT: Type =
    Type::Object("Microsoft.HyperV.PowerShell.VMReplication[]", "name the machine with -VMName");
const SNAPSHOT_OBJECT: Type =
    Type::Object("Microsoft.HyperV.PowerShell.VMSnapshot[]", "name the machine with -VMName");
/// The name of a cmdlet's only set.
const ONLY: &str = "__AllParameterSets";
/// Cmdlets that take one object only.
const VM_ONE: Type =
    Type::Object("Microsoft.HyperV.PowerShell.VirtualMachine", "name the machine with -VMName");
const SNAPSHOT_ONE: Type =
    Type::Object("Microsoft.HyperV.PowerShell.VMSnapshot", "name the machine with -VMName");
const ADAPTER_OBJECT: Type =
    Type::Object("Microsoft.HyperV.PowerShell.VMNetworkAdapter[]", "name the machine with -VMName");
const SESSIONS: Type = Type::Named("Microsoft.Management.Infrastructure.CimSession[]");
const CREDENTIAL: Type = Type::Object(
    "System.Management.Automation.PSCredential[]",
    "leave it out: every caller is an administrator here",
);

const STATE: Type = Type::Choice(enumerations::STATE);
const HEALTH: Type = Type::Choice(enumerations::HEALTH);
const MODE: Type = Type::Choice(enumerations::MODE);
const RELATIONSHIP: Type = Type::Choice(enumerations::RELATIONSHIP);
const AUTHENTICATION: Type = Type::Choice(enumerations::AUTHENTICATION);
const SNAPSHOT_TYPE: Type = Type::Choice(enumerations::SNAPSHOT_TYPE);
const ACTION_PREFERENCE: Type = Type::Choice(enumerations::ACTION_PREFERENCE);

/// Where a cmdlet acts. The selectors exist in the sets that name machines, never beside objects.
const REMOTE: &[Parameter] = {
    const SETS: &[Place] = &[
        named("VMName"),
        named("VMName_AsReplica"),
        named("VMName_Test"),
        named("Name"),
        named("Id"),
        named("Parent"),
        named("Child"),
        named("AuthenticationPort"),
        named("AuthenticationPortMapping"),
        named("PrimaryServerName"),
        named("TrustGroup"),
        named("Size"),
        named("MinimumSize"),
        named("NameSingle"),
        named("NameSingleDestination"),
        named(ONLY),
    ];
    &[
        Parameter::new("CimSession", SESSIONS).on(SETS),
        Parameter::new("ComputerName", Type::Texts).on(SETS),
        Parameter::new("Credential", CREDENTIAL).on(SETS),
    ]
};

/// about_CommonParameters: output streams, which are not simulated.
const COMMON: &[Parameter] = &[
    Parameter::switch("Verbose").alias(&["vb"]).no_effect(),
    Parameter::switch("Debug").alias(&["db"]).no_effect(),
    Parameter::new("ErrorAction", ACTION_PREFERENCE).alias(&["ea"]).no_effect(),
    Parameter::new("WarningAction", ACTION_PREFERENCE).alias(&["wa"]).no_effect(),
    Parameter::new("InformationAction", ACTION_PREFERENCE).alias(&["infa"]).no_effect(),
    Parameter::new("ErrorVariable", Type::Text).alias(&["ev"]).no_effect(),
    Parameter::new("WarningVariable", Type::Text).alias(&["wv"]).no_effect(),
    Parameter::new("InformationVariable", Type::Text).alias(&["iv"]).no_effect(),
    Parameter::new("OutVariable", Type::Text).alias(&["ov"]).no_effect(),
    Parameter::new("OutBuffer", Type::Integer(0, i32::MAX as i64)).alias(&["ob"]).no_effect(),
    Parameter::new("PipelineVariable", Type::Text).alias(&["pv"]).no_effect(),
];

/// Whatever returns nothing unless it is asked to.
const PASSTHRU: &[Parameter] = &[Parameter::switch("Passthru")];

/// What every cmdlet that changes something has. Nobody answers a `-Confirm`, so it is taken as answered.
const CHANGES: &[Parameter] =
    &[Parameter::switch("WhatIf").alias(&["wi"]), Parameter::switch("Confirm").alias(&["cf"]).no_effect()];

/// Long operations may run as a job: PowerShell then does not wait.
const JOB: &[Parameter] = &[Parameter::switch("AsJob")];

/// The selectors of cmdlets that call the parameter `-VMName`.
const BY_VM_NAME: &[Parameter] = &[
    Parameter::new("VMName", Type::Texts).alias(&["Name"]).on(&[must("VMName", 0)]),
    Parameter::new("VM", VM_OBJECT).piped().on(&[must("VMObject", 0)]),
    Parameter::new("VMReplication", REPLICATION_OBJECT).piped().on(&[must("VMReplication", 0)]),
];
const THREE_SETS: &[&str] = &["VMName", "VMObject", "VMReplication"];

/// The selectors of cmdlets that call the parameter `-Name`.
const BY_NAME: &[Parameter] = &[
    Parameter::new("Name", Type::Texts).alias(&["VMName"]).on(&[must("Name", 0)]),
    Parameter::new("VM", VM_OBJECT).piped().on(&[must("VMObject", 0)]),
];
const NAME_SETS: &[&str] = &["Name", "VMObject"];

const fn relationship(places: &'static [Place]) -> Parameter {
    Parameter::new("ReplicationRelationshipType", RELATIONSHIP).alias(&["Relationship"]).on(places)
}
const RELATIONSHIP_BY_NAME: &[Parameter] = &[relationship(&[named("VMName")])];
const RELATIONSHIP_BY_BOTH: &[Parameter] = &[relationship(&[named("VMName"), named("VMObject")])];

const THUMBPRINT: Parameter =
    Parameter::new("CertificateThumbprint", Type::Text).alias(&["Thumbprint", "Cert"]).no_effect();
const ALLOWED_PRIMARY: Parameter =
    Parameter::new("AllowedPrimaryServer", Type::Text).alias(&["AllowedPS"]).no_effect();
const PORT: Type = Type::Integer(1, 65_535);

/// The settings that `Enable-` and `Set-VMReplication` share.
const fn settings(places: &'static [Place]) -> [Parameter; 11] {
    [
        THUMBPRINT.on(places),
        Parameter::new("CompressionEnabled", Type::Boolean).on(places),
        Parameter::new("ReplicateHostKvpItems", Type::Boolean).no_effect().on(places),
        Parameter::new("BypassProxyServer", Type::Boolean).no_effect().on(places),
        Parameter::new("EnableWriteOrderPreservationAcrossDisks", Type::Boolean).no_effect().on(places),
        Parameter::new("VSSSnapshotFrequencyHour", Type::Integer(0, 12)).alias(&["VSSFreq"]).on(places),
        Parameter::new("RecoveryHistory", Type::Integer(0, 24)).alias(&["RecHist"]).on(places),
        Parameter::new("ReplicationFrequencySec", Type::OneOf(&[30, 300, 900]))
            .alias(&["RepFreq"])
            .on(places),
        Parameter::new("AutoResynchronizeEnabled", Type::Boolean).alias(&["AutoResync"]).on(places),
        Parameter::new("AutoResynchronizeIntervalStart", Type::TimeOfDay)
            .alias(&["AutoResyncStart"])
            .on(places),
        Parameter::new("AutoResynchronizeIntervalEnd", Type::TimeOfDay).alias(&["AutoResyncEnd"]).on(places),
    ]
}

const ENABLE: &[Parameter] = &[
    Parameter::new("VMName", Type::Texts)
        .alias(&["Name"])
        .on(&[must("VMName", 0), must("VMName_AsReplica", 0)]),
    Parameter::new("VM", VM_OBJECT).piped().on(&[must("VMObject", 0), must("VMObject_AsReplica", 0)]),
    Parameter::new("ReplicaServerName", Type::Text)
        .alias(&["ReplicaServer"])
        .on(&[must("VMName", 1), must("VMObject", 1)]),
    Parameter::new("ReplicaServerPort", PORT)
        .alias(&["ReplicaPort"])
        .no_effect()
        .on(&[must("VMName", 2), must("VMObject", 2)]),
    Parameter::new("AuthenticationType", AUTHENTICATION)
        .alias(&["AuthType"])
        .no_effect()
        .on(&[must("VMName", 3), must("VMObject", 3)]),
    Parameter::new(
        "ExcludedVhd",
        Type::Object("Microsoft.HyperV.PowerShell.HardDiskDrive[]", "name the files with -ExcludedVhdPath"),
    )
    .on(&[named("VMName"), named("VMObject")]),
    Parameter::new("ExcludedVhdPath", Type::Texts).on(&[named("VMName"), named("VMObject")]),
    Parameter::switch("AsReplica").on(&[needed("VMName_AsReplica"), needed("VMObject_AsReplica")]),
    ALLOWED_PRIMARY.on(&[named("VMName_AsReplica"), named("VMObject_AsReplica")]),
];
const ENABLE_SETTINGS: &[Parameter] = &settings(&[named("VMName"), named("VMObject")]);

const SET: &[Parameter] = &[
    Parameter::new("ReplicaServerName", Type::Text).alias(&["ReplicaServer"]).on(&[
        at("VMName", 1),
        at("VMObject", 1),
        at("VMReplication", 1),
    ]),
    Parameter::new("ReplicaServerPort", PORT).alias(&["ReplicaPort"]).no_effect().on(&[
        at("VMName", 2),
        at("VMObject", 2),
        at("VMReplication", 2),
    ]),
    Parameter::new("AuthenticationType", AUTHENTICATION).alias(&["AuthType"]).no_effect().on(&[
        at("VMName", 3),
        at("VMObject", 3),
        at("VMReplication", 3),
    ]),
    Parameter::new("InitialReplicationStartTime", Type::DateTime).alias(&["IRTime"]).later(),
    Parameter::switch("DisableVSSSnapshotReplication").alias(&["DisableVSS"]),
    Parameter::new(
        "ReplicatedDisks",
        Type::Object(
            "Microsoft.HyperV.PowerShell.HardDiskDrive[]",
            "name the files with -ReplicatedDiskPaths",
        ),
    ),
    Parameter::new("ReplicatedDiskPaths", Type::Texts),
    Parameter::switch("Reverse"),
    Parameter::switch("AsReplica"),
    Parameter::switch("UseBackup").later(),
    ALLOWED_PRIMARY,
];
const SET_SETTINGS: &[Parameter] = &settings(&[]);

const RESUME: &[Parameter] = &[
    Parameter::switch("Resynchronize").alias(&["Resync"]),
    Parameter::new("ResynchronizeStartTime", Type::DateTime).alias(&["ResyncStart"]),
    Parameter::switch("Continue"),
];

const START_INITIAL: &[Parameter] = &[
    Parameter::new("DestinationPath", Type::Text).alias(&["IRLoc"]),
    Parameter::new("InitialReplicationStartTime", Type::DateTime).alias(&["IRTime"]),
    Parameter::switch("UseBackup"),
];

/// `Get-` and `Measure-VMReplication`: the machine is optional, filters take its place.
const READ: &[Parameter] = &[
    Parameter::new("VMName", Type::Texts).alias(&["Name"]).on(&[at("VMName", 0)]),
    Parameter::new("VM", VM_OBJECT).piped().on(&[must("VMObject", 0)]),
    Parameter::new("ReplicaServerName", Type::Text).alias(&["ReplicaServer"]).on(&[named("VMName")]),
    Parameter::new("PrimaryServerName", Type::Text).alias(&["PrimaryServer"]).on(&[named("VMName")]),
    Parameter::new("ReplicationState", STATE).alias(&["State"]).on(&[named("VMName")]),
    Parameter::new("ReplicationHealth", HEALTH).alias(&["Health"]).on(&[named("VMName")]),
    Parameter::new("ReplicationMode", MODE).alias(&["Mode"]).on(&[named("VMName")]),
    Parameter::new("TrustGroup", Type::Text).later().on(&[named("VMName")]),
];

const START_FAILOVER: &[Parameter] = &[
    Parameter::new("VMName", Type::Texts).alias(&["Name"]).on(&[must("VMName", 0), must("VMName_Test", 0)]),
    Parameter::new("VM", VM_OBJECT).piped().on(&[must("VMObject", 0), must("VMObject_Test", 0)]),
    Parameter::new("VMRecoverySnapshot", Type::Point)
        .piped()
        .alias(&["VMRecoveryCheckpoint"])
        .on(&[must("VMSnapshot", 0), must("VMSnapshot_Test", 0)]),
    Parameter::switch("Prepare").on(&[named("VMName"), named("VMObject")]),
    Parameter::switch("AsTest").on(&[
        needed("VMName_Test"),
        needed("VMObject_Test"),
        needed("VMSnapshot_Test"),
    ]),
];

const GET_VM: &[Parameter] = &[
    Parameter::new("Name", Type::Texts).alias(&["VMName"]).on(&[at("Name", 0)]),
    Parameter::new("Id", Type::Guid).on(&[at("Id", 0)]),
    Parameter::new(
        "ClusterObject",
        Type::Object("System.Management.Automation.PSObject", "name the machine"),
    )
    .piped()
    .on(&[must("ClusterObject", 0)]),
];

const STOP_VM: &[Parameter] =
    &[Parameter::switch("Save"), Parameter::switch("TurnOff"), Parameter::switch("Force").no_effect()];

const SAVED_STATE: &[Parameter] = &[
    Parameter::new("VMName", Type::Texts).alias(&["Name"]).on(&[must("VMName", 0)]),
    Parameter::new("VM", VM_OBJECT).piped().on(&[must("VMObject", 0)]),
    Parameter::new("VMSnapshot", SNAPSHOT_OBJECT)
        .piped()
        .alias(&["VMCheckpoint"])
        .on(&[must("VMSnapshot", 0)]),
];

const CHECKPOINT: &[Parameter] = &[Parameter::new("SnapshotName", Type::Text)
    .alias(&["CheckpointName"])
    .no_effect()
    .on(&[at("Name", 1), at("VMObject", 1)])];

const GET_SNAPSHOT: &[Parameter] = {
    const LISTS: &[Place] = &[named("VMName"), named("VMObject"), named("Parent"), named("Child")];
    &[
        Parameter::new("VMName", Type::Texts).on(&[must("VMName", 0)]),
        Parameter::new("VM", VM_OBJECT).piped().on(&[must("VMObject", 0)]),
        Parameter::new("Id", Type::Guid).on(&[at("Id", 0)]),
        Parameter::new("Name", Type::Text)
            .on(&[at("VMName", 1), at("VMObject", 1), named("Parent"), named("Child")])
            .later(),
        Parameter::new("SnapshotType", SNAPSHOT_TYPE).alias(&["CheckpointType"]).on(LISTS),
        Parameter::new("ParentOf", VM_OBJECT).piped().on(&[needed("Parent")]),
        Parameter::new("ChildOf", SNAPSHOT_OBJECT).piped().on(&[needed("Child")]),
    ]
};

const REMOVE_SNAPSHOT: &[Parameter] = &[
    Parameter::new("VMName", Type::Texts).on(&[must("VMName", 0)]),
    Parameter::new("VM", VM_OBJECT).piped().on(&[must("VMObject", 0)]),
    Parameter::new("VMSnapshot", SNAPSHOT_OBJECT)
        .piped()
        .alias(&["VMCheckpoint"])
        .on(&[must("VMSnapshot", 0)]),
    Parameter::new("Name", Type::Texts).on(&[at("VMName", 1), at("VMObject", 1)]).later(),
    Parameter::switch("IncludeAllChildSnapshots").alias(&["IncludeAllChildCheckpoints"]).no_effect(),
];

const fn row(
    name: &'static str,
    verb: Verb,
    sets: &'static [&'static str],
    groups: &'static [&'static [Parameter]],
) -> Cmdlet {
    Cmdlet { name, aliases: &[], sets, groups, waits: Waits::Always, returns: None, lacks: None, verb }
}

impl Cmdlet {
    const fn waits(mut self, waits: Waits) -> Self {
        self.waits = waits;
        self
    }

    const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn returns(mut self, class: Class) -> Self {
        self.returns = Some(class);
        self
    }

    /// What the model has not got: the cmdlet is bound and then refused with this reason.
    const fn lacks(mut self, what: &'static str) -> Self {
        self.lacks = Some(what);
        self
    }
}

/// Every cmdlet that replication uses.
pub const CMDLETS: &[Cmdlet] = {
    use Verb as V;
    &[
        row(
            "Enable-VMReplication",
            V::EnableReplication,
            &["VMName", "VMName_AsReplica", "VMObject", "VMObject_AsReplica"],
            &[ENABLE, ENABLE_SETTINGS, REMOTE, JOB, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Replication),
        row(
            "Remove-VMReplication",
            V::RemoveReplication,
            THREE_SETS,
            &[BY_VM_NAME, RELATIONSHIP_BY_NAME, REMOTE, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Replication),
        row(
            "Set-VMReplication",
            V::SetReplication,
            THREE_SETS,
            &[BY_VM_NAME, SET, SET_SETTINGS, REMOTE, JOB, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Replication),
        row(
            "Suspend-VMReplication",
            V::SuspendReplication,
            THREE_SETS,
            &[BY_VM_NAME, RELATIONSHIP_BY_NAME, REMOTE, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Replication),
        row(
            "Resume-VMReplication",
            V::ResumeReplication,
            THREE_SETS,
            &[BY_VM_NAME, RESUME, RELATIONSHIP_BY_BOTH, REMOTE, JOB, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Replication)
        .waits(Waits::Unless("Resynchronize")),
        row(
            "Stop-VMReplication",
            V::StopReplication,
            THREE_SETS,
            &[BY_VM_NAME, RELATIONSHIP_BY_BOTH, REMOTE, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Replication),
        row(
            "Get-VMReplication",
            V::GetReplication,
            &["VMName", "VMObject"],
            &[READ, RELATIONSHIP_BY_BOTH, REMOTE, COMMON],
        )
        .returns(Class::Replication),
        row(
            "Measure-VMReplication",
            V::MeasureReplication,
            &["VMName", "VMObject"],
            &[READ, RELATIONSHIP_BY_BOTH, REMOTE, COMMON],
        )
        .returns(Class::Health),
        row(
            "Reset-VMReplicationStatistics",
            V::ResetStatistics,
            THREE_SETS,
            &[BY_VM_NAME, RELATIONSHIP_BY_NAME, REMOTE, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Replication),
        row(
            "Start-VMInitialReplication",
            V::StartInitial,
            THREE_SETS,
            &[BY_VM_NAME, START_INITIAL, REMOTE, JOB, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Machine)
        .waits(Waits::Never),
        row(
            "Stop-VMInitialReplication",
            V::StopInitial,
            THREE_SETS,
            &[BY_VM_NAME, REMOTE, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Machine),
        row(
            "Start-VMFailover",
            V::StartFailover,
            &["VMName", "VMObject", "VMName_Test", "VMObject_Test", "VMSnapshot", "VMSnapshot_Test"],
            &[START_FAILOVER, REMOTE, JOB, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Machine),
        row(
            "Stop-VMFailover",
            V::StopFailover,
            &["VMName", "VMObject"],
            &[BY_VM_NAME, REMOTE, JOB, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Machine),
        row(
            "Complete-VMFailover",
            V::CompleteFailover,
            &["VMName", "VMObject"],
            &[BY_VM_NAME, REMOTE, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Machine),
        row("Get-VM", V::GetVm, &["Name", "Id", "ClusterObject"], &[GET_VM, REMOTE, COMMON])
            .returns(Class::Machine),
        row("Start-VM", V::StartVm, NAME_SETS, &[BY_NAME, REMOTE, JOB, PASSTHRU, CHANGES, COMMON])
            .returns(Class::Machine),
        row("Stop-VM", V::StopVm, NAME_SETS, &[BY_NAME, STOP_VM, REMOTE, JOB, PASSTHRU, CHANGES, COMMON])
            .returns(Class::Machine),
        row("Save-VM", V::SaveVm, NAME_SETS, &[BY_NAME, REMOTE, JOB, PASSTHRU, CHANGES, COMMON])
            .returns(Class::Machine),
        row(
            "Remove-VMSavedState",
            V::RemoveSavedState,
            &["VMName", "VMObject", "VMSnapshot"],
            &[SAVED_STATE, REMOTE, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Machine),
        row(
            "Checkpoint-VM",
            V::Checkpoint,
            NAME_SETS,
            &[BY_NAME, CHECKPOINT, REMOTE, JOB, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Snapshot),
        row(
            "Get-VMSnapshot",
            V::GetSnapshot,
            &["VMName", "VMObject", "Id", "Parent", "Child"],
            &[GET_SNAPSHOT, REMOTE, COMMON],
        )
        .returns(Class::Snapshot)
        .alias(&["Get-VMCheckpoint"]),
        row(
            "Remove-VMSnapshot",
            V::RemoveSnapshot,
            &["VMName", "VMObject", "VMSnapshot"],
            &[REMOVE_SNAPSHOT, REMOTE, JOB, PASSTHRU, CHANGES, COMMON],
        )
        .returns(Class::Snapshot)
        .alias(&["Remove-VMCheckpoint"]),
        hosts::IMPORT,
        hosts::TEST_CONNECTION,
        hosts::GET_SERVER,
        hosts::SET_SERVER,
        hosts::NEW_ENTRY,
        hosts::GET_ENTRY,
        hosts::SET_ENTRY,
        hosts::REMOVE_ENTRY,
        hosts::GET_ADAPTER_FAILOVER,
        hosts::SET_ADAPTER_FAILOVER,
        hosts::SET_ADAPTER,
        neighbours::RESTORE,
        neighbours::RESIZE,
        neighbours::MOVE,
        neighbours::MOVE_STORAGE,
    ]
};
