//! Associations.

use super::{Class, Kind, Property, Reading, class, reference, uint16};

const fn first(name: &'static str, of: &'static str) -> Property {
    reference(name, of).key().live(|s| s.end(false))
}

const fn second(name: &'static str, of: &'static str) -> Property {
    reference(name, of).key().live(|s| s.end(true))
}

const MACHINE: &str = "Msvm_ComputerSystem";
const ANY_MACHINE: &str = "CIM_ComputerSystem";
const SETTINGS: &str = "Msvm_VirtualSystemSettingData";

pub(super) const SYSTEM_RELATIONSHIP: Class = class(
    "Msvm_SystemReplicationRelationship",
    "CIM_Dependency",
    Kind::MachineRelationship,
    &[first("Antecedent", MACHINE), second("Dependent", "Msvm_ReplicationRelationship")],
);

pub(super) const TEST_REPLICA: Class = class(
    "Msvm_ReplicaSystemDependency",
    "CIM_Dependency",
    Kind::Nothing,
    &[first("Antecedent", ANY_MACHINE), second("Dependent", ANY_MACHINE)],
);

pub(super) const SNAPSHOT_OF: Class = class(
    "Msvm_SnapshotOfVirtualSystem",
    "CIM_SnapshotOfVirtualSystem",
    Kind::MachinePoints,
    &[first("Antecedent", MACHINE), second("Dependent", SETTINGS)],
);

pub(super) const LAST_APPLIED: Class = class(
    "Msvm_LastAppliedSnapshot",
    "CIM_LastAppliedSnapshot",
    Kind::Nothing,
    &[first("Antecedent", SETTINGS), second("Dependent", MACHINE)],
);

pub(super) const MOST_CURRENT: Class = class(
    "Msvm_MostCurrentSnapshotInBranch",
    "CIM_MostCurrentSnapshotInBranch",
    Kind::MachineNewestPoint,
    &[first("Antecedent", ANY_MACHINE), second("Dependent", SETTINGS)],
);

pub(super) const ADAPTER_FAILOVER: Class = class(
    "Msvm_EthernetPortFailoverSettingDataComponent",
    "CIM_Component",
    Kind::AdapterFailover,
    &[
        first("GroupComponent", "CIM_EthernetPortAllocationSettingData"),
        second("PartComponent", "Msvm_FailoverNetworkAdapterSettingData"),
    ],
);

pub(super) const AFFECTED_JOB: Class = class(
    "Msvm_AffectedJobElement",
    "CIM_AffectedJobElement",
    Kind::MachineJobs,
    &[
        first("AffectedElement", "CIM_ManagedElement"),
        second("AffectingElement", "Msvm_ConcreteJob"),
        uint16("ElementEffects").array().is(Reading::Numbers(&[0])),
    ],
);

pub(super) const DEFINE_STATE: Class = class(
    "Msvm_SettingsDefineState",
    "CIM_SettingsDefineState",
    Kind::RelationshipSettings,
    &[
        first("ManagedElement", "Msvm_ReplicationRelationship"),
        second("SettingData", "Msvm_ReplicationSettingData"),
    ],
);
