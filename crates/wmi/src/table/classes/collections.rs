//! Collections of machines. No simulated host is in a cluster: the classes are known and have no instances.

use super::{Class, Kind, Limit, Property, boolean, datetime, string, uint16};

const fn class(name: &'static str, base: &'static str, properties: &'static [Property]) -> Class {
    Class { name, base, namespace: "root\\HyperVCluster\\v2", properties, kind: Kind::Nothing }
}

pub(super) const SERVICE: Class = class("Msvm_CollectionReplicationService", "CIM_Service", &[]);

pub(super) const COLLECTION: Class = class(
    "Msvm_VirtualSystemCollection",
    "CIM_CollectionOfMSEs",
    &[
        uint16("ReplicationState"),
        uint16("ReplicationMode"),
        uint16("FailedOverReplicationType"),
        uint16("LastApplyConsistencyLevel"),
    ],
);

pub(super) const POINT: Class = class(
    "Msvm_CollectionRecoveryPoint",
    "CIM_ManagedElement",
    &[
        string("InstanceID").key(),
        string("CollectionID").key(),
        datetime("CreationTime"),
        string("VirtualMachineIds").array(),
        string("RecoveryPointIds").array(),
        uint16("ConsistencyLevel"),
    ],
);

pub(super) const SHARED_DISKS: Class = class(
    "Msvm_SharedDiskSetReplicationRelationship",
    "CIM_ManagedElement",
    &[
        string("InstanceID"),
        string("CollectionID").key(),
        uint16("ReplicationState"),
        uint16("ReplicationHealth"),
        uint16("FailedOverReplicationType"),
        uint16("LastReplicationType"),
        datetime("LastReplicationTime"),
        datetime("LastApplyTime"),
        datetime("LastApplicationConsistentReplicationTime"),
    ],
);

pub(super) const SETTINGS: Class = class(
    "Msvm_CollectionReplicationSettingData",
    "CIM_SettingData",
    &[
        string("RecoveryServerHosts").array(),
        string("PrimaryReplicationEntityIDs").array(),
        uint16("RecoveryHistory").limit(Limit::Range(0, 16)),
        boolean("AutoResynchronizeEnabled"),
    ],
);
