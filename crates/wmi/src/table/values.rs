//! The published names of numbers.
//!
//! What the vocabulary crate has is taken from there; the rest is written out.

use hvrsim_types::code::ReturnCode;
use hvrsim_types::state::ReplicationState;

/// The values of a property, of a parameter or of a set of return codes.
#[derive(Clone, Copy, Debug)]
pub struct Values {
    /// `Class.Property`, or the name of a set of codes.
    pub name: &'static str,
    list: List,
}

#[derive(Clone, Copy, Debug)]
enum List {
    /// Written out.
    Numbers(&'static [(u32, &'static str)]),
    /// Texts instead of numbers.
    Texts(&'static [(&'static str, &'static str)]),
    /// The states up to this number: older properties know fewer.
    States(u16),
    /// The codes of the replication methods.
    Codes,
}

impl Values {
    const fn new(name: &'static str, list: List) -> Self {
        Self { name, list }
    }

    /// Every value with its name, in numerical order.
    #[must_use]
    pub fn all(&self) -> Vec<(String, &'static str)> {
        let numbers = |(number, name): &(u32, &'static str)| (number.to_string(), *name);
        match self.list {
            List::Numbers(list) => list.iter().map(numbers).collect(),
            List::Texts(list) => list.iter().map(|(value, name)| ((*value).to_owned(), *name)).collect(),
            List::States(last) => {
                let known = ReplicationState::ALL.iter().filter(|state| state.number() <= last);
                known.map(|state| (state.number().to_string(), state.label())).collect()
            }
            List::Codes => {
                let label = |code: &ReturnCode| (code.0.to_string(), code.label().unwrap_or_default());
                ReturnCode::ALL.iter().map(label).collect()
            }
        }
    }

    /// The name of a value.
    #[must_use]
    pub fn name_of(&self, value: u32) -> Option<&'static str> {
        let value = value.to_string();
        self.all().into_iter().find(|(known, _)| *known == value).map(|(_, name)| name)
    }
}

const REPLICATION_RELATIONSHIP_REPLICATION_HEALTH: &[(u32, &str)] =
    &[(0, "Not applicable"), (1, "Ok"), (2, "Warning"), (3, "Critical")];

const REPLICATION_RELATIONSHIP_FAILED_OVER_REPLICATION_TYPE: &[(u32, &str)] =
    &[(0, "None"), (1, "Regular"), (2, "Application consistent"), (3, "Planned")];

const COMPUTER_SYSTEM_REPLICATION_MODE: &[(u32, &str)] =
    &[(0, "None"), (1, "Primary"), (2, "Replica"), (3, "Test Replica"), (4, "Extended Replica")];

const REPLICATION_SETTING_DATA_AUTHENTICATION_TYPE: &[(u32, &str)] = &[(1, "Kerberos"), (2, "Certificate")];

const REPLICATION_SERVICE_SETTING_DATA_ALLOWED_AUTHENTICATION_TYPE: &[(u32, &str)] =
    &[(0, "Not defined"), (1, "Kerberos"), (2, "Certificate"), (3, "Both")];

const FAILOVER_NETWORK_ADAPTER_SETTING_DATA_PROTOCOL_IFTYPE: &[(u32, &str)] =
    &[(0, "Unknown"), (1, "Other"), (4096, "IPv4"), (4097, "IPv6"), (4098, "IPv4/v6")];

const AFFECTED_JOB_ELEMENT_ELEMENT_EFFECTS: &[(u32, &str)] = &[
    (0, "Unknown"),
    (1, "Other"),
    (2, "Exclusive Use"),
    (3, "Performance Impact"),
    (4, "Element Integrity"),
    (5, "Create"),
];

const CONCRETE_JOB_JOB_STATE: &[(u32, &str)] = &[
    (2, "New"),
    (3, "Starting"),
    (4, "Running"),
    (5, "Suspended"),
    (6, "Shutting Down"),
    (7, "Completed"),
    (8, "Terminated"),
    (9, "Killed"),
    (10, "Exception"),
    (11, "Service"),
    (12, "Query Pending"),
    (32768, "Completed with Warnings"),
];

const CONCRETE_JOB_RECOVERY_ACTION: &[(u32, &str)] = &[
    (0, "Unknown"),
    (1, "Other"),
    (2, "Do Not Continue"),
    (3, "Continue With Next Job"),
    (4, "Re-run Job"),
    (5, "Run Recovery Job"),
];

const CONCRETE_JOB_LOCAL_OR_UTC_TIME: &[(u32, &str)] = &[(1, "Local"), (2, "UTC")];

const CONCRETE_JOB_REQUESTED_STATE: &[(u32, &str)] =
    &[(2, "Start"), (3, "Suspend"), (4, "Terminate"), (5, "Kill"), (6, "Service")];

const ERROR_ERROR_TYPE: &[(u32, &str)] = &[
    (0, "Unknown"),
    (1, "Other"),
    (2, "Communications"),
    (3, "QoS"),
    (4, "Software"),
    (5, "Hardware"),
    (6, "Environmental"),
    (7, "Security"),
    (8, "Oversubscription"),
    (9, "Unavailable Resource"),
    (10, "Unsupported Operation"),
];

const ERROR_PERCEIVED_SEVERITY: &[(u32, &str)] =
    &[(0, "Unknown"), (2, "Low"), (3, "Medium"), (4, "High"), (5, "Fatal")];

const ERROR_PROBABLE_CAUSE: &[(u32, &str)] = &[
    (5, "Connection Establishment"),
    (7, "Communications Subsystem"),
    (10, "Corrupt Data"),
    (47, "Software Error"),
    (50, "Storage Capacity"),
    (57, "Underlying Resource Unavailable"),
    (58, "Version Mismatch"),
    (64, "Credential Mismatch"),
    (65, "Unauthorized Access"),
    (79, "Identifier Duplication"),
    (81, "Sync Loss or Mismatch"),
    (86, "Disk Failure"),
];

const ERROR_CIMSTATUS_CODE: &[(u32, &str)] = &[
    (1, "FAILED"),
    (2, "ACCESS_DENIED"),
    (4, "INVALID_PARAMETER"),
    (6, "NOT_FOUND"),
    (7, "NOT_SUPPORTED"),
    (11, "ALREADY_EXISTS"),
    (16, "METHOD_NOT_AVAILABLE"),
];

const COMPUTER_SYSTEM_ENABLED_STATE: &[(u32, &str)] = &[
    (0, "Unknown"),
    (1, "Other"),
    (2, "Enabled"),
    (3, "Disabled"),
    (4, "Shutting Down"),
    (5, "Not Applicable"),
    (6, "Enabled but Offline"),
    (7, "In Test"),
    (8, "Deferred"),
    (9, "Quiesce"),
    (10, "Starting"),
    (32773, "Saving"),
    (32776, "Pausing"),
    (32777, "Resuming"),
    (32779, "FastSaved"),
    (32780, "FastSaving"),
];

const COMPUTER_SYSTEM_REQUESTED_STATE: &[(u32, &str)] = &[
    (1, "Other"),
    (2, "Enabled"),
    (3, "Disabled"),
    (4, "Shut Down"),
    (6, "Offline"),
    (7, "Test"),
    (8, "Defer"),
    (9, "Quiesce"),
    (10, "Reboot"),
    (11, "Reset"),
    (12, "Not Applicable"),
    (32773, "Saving"),
    (32776, "Pausing"),
    (32777, "Resuming"),
    (32779, "FastSaved"),
    (32780, "FastSaving"),
];

const COMPUTER_SYSTEM_OPERATIONAL_STATUS: &[(u32, &str)] = &[
    (2, "OK"),
    (3, "Degraded"),
    (5, "Predictive Failure"),
    (11, "In Service"),
    (32768, "Creating Snapshot"),
    (32769, "Applying Snapshot"),
    (32770, "Deleting Snapshot"),
    (32771, "Waiting to Start"),
    (32772, "Merging Disks"),
    (32773, "Exporting"),
    (32774, "Migrating"),
];

const COMPUTER_SYSTEM_HEALTH_STATE: &[(u32, &str)] = &[(5, "OK"), (20, "Major"), (25, "Critical")];

const REPLICATION_SERVICE_OPERATIONAL_STATUS: &[(u32, &str)] = &[(2, "OK"), (6, "Error")];

const REPLICATION_SERVICE_INITIAL_REPLICATION_TYPE: &[(u32, &str)] =
    &[(1, "Network Transfer"), (2, "Export"), (3, "Seeded Network Transfer")];

const COMPUTER_SYSTEM_REQUESTED_REPLICATION_STATE: &[(u32, &str)] = &[
    (1, "Ready to start initial replication"),
    (2, "Waiting to complete initial replication"),
    (3, "Replicating"),
    (4, "Synced replication complete"),
    (7, "Suspend"),
    (9, "Cancel Resynchronize"),
    (15, "Disk update in progress"),
];

const SUMMARY_INFORMATION_REQUESTED_INFORMATION: &[(u32, &str)] = &[
    (100, "EnabledState"),
    (107, "Snapshots"),
    (108, "AsynchronousTasks"),
    (109, "HealthState"),
    (110, "OperationalStatus"),
    (111, "StatusDescriptions"),
    (114, "ReplicationMode"),
    (115, "ReplicationState"),
    (116, "ReplicationHealth"),
    (117, "TestReplicaSystem"),
    (118, "ReplicationStateEx"),
    (119, "ReplicationHealthEx"),
    (120, "ApplicationHealth"),
    (121, "SwapFilesInUse"),
    (122, "ReplicationProviderId"),
];

const VIRTUAL_SYSTEM_SETTING_DATA_VIRTUAL_SYSTEM_TYPE: &[(&str, &str)] = &[
    ("Microsoft:Hyper-V:System:Realized", "VM"),
    ("Microsoft:Hyper-V:System:Planned", "planned VM"),
    ("Microsoft:Hyper-V:Snapshot:Realized", "user checkpoint"),
    ("Microsoft:Hyper-V:Snapshot:Recovery", "backup"),
    ("Microsoft:Hyper-V:Snapshot:Planned", "planned"),
    ("Microsoft:Hyper-V:Snapshot:Missing", "missing"),
    ("Microsoft:Hyper-V:Snapshot:Replica:Standard", "time-based recovery point"),
    ("Microsoft:Hyper-V:Snapshot:Replica:ApplicationConsistent", "VSS recovery point"),
    ("Microsoft:Hyper-V:Snapshot:Replica:PlannedFailover", "point of a planned failover"),
    ("Microsoft:Hyper-V:Replica", "replication settings"),
];

const VIRTUAL_SYSTEM_COLLECTION_REPLICATION_STATE: &[(u32, &str)] = &[
    (0, "Disabled"),
    (1, "Ready for replication"),
    (2, "Waiting to complete initial replication"),
    (3, "Replicating"),
    (4, "Failover initiated"),
    (5, "Recovered"),
    (6, "Committed"),
    (7, "Suspended"),
    (8, "Critical"),
    (9, "Waiting to start resynchronization"),
    (10, "Resynchronizing"),
    (11, "Planned failover initiated"),
    (12, "Repurpose initiated"),
    (13, "Test failover initiated"),
    (14, "Partially enabled"),
    (15, "Partially disabled"),
    (16, "Partially recovered"),
];

const VIRTUAL_SYSTEM_COLLECTION_REPLICATION_MODE: &[(u32, &str)] =
    &[(0, "None"), (1, "Primary"), (2, "Replica"), (3, "Test Replica")];

const VIRTUAL_SYSTEM_COLLECTION_FAILED_OVER_REPLICATION_TYPE: &[(u32, &str)] =
    &[(0, "None"), (1, "Regular"), (2, "Planned")];

const VIRTUAL_SYSTEM_COLLECTION_LAST_APPLY_CONSISTENCY_LEVEL: &[(u32, &str)] =
    &[(0, "Unknown"), (1, "Application"), (2, "Crash"), (3, "Group Crash consistent")];

const RETURN_CODE_DMTF: &[(u32, &str)] = &[
    (0, "Completed"),
    (1, "Not Supported"),
    (2, "Failed"),
    (3, "Timeout"),
    (4, "Invalid Parameter"),
    (5, "Invalid State"),
    (4096, "Job Started"),
];

const RETURN_CODE_JOB: &[(u32, &str)] = &[
    (0, "Completed with No Error"),
    (1, "Not Supported"),
    (2, "Unknown/Unspecified Error"),
    (3, "Cannot complete within Timeout Period"),
    (4, "Failed"),
    (5, "Invalid Parameter"),
    (6, "In Use"),
    (4096, "Transition Started"),
    (4097, "Invalid State Transition"),
    (4098, "Use of Timeout Parameter Not Supported"),
    (4099, "Busy"),
];

const RETURN_CODE_SERVICE: &[(u32, &str)] = &[(0, "Completed"), (1, "Not Supported")];

/// Every enumeration.
pub const VALUES: &[Values] = &[
    Values::new("Msvm_ReplicationRelationship.ReplicationState", List::States(21)),
    Values::new("Msvm_ComputerSystem.ReplicationState", List::States(14)),
    Values::new("Msvm_SummaryInformation.ReplicationState", List::States(12)),
    Values::new("Msvm_SummaryInformation.ReplicationStateEx", List::States(21)),
    Values::new(
        "Msvm_ReplicationRelationship.ReplicationHealth",
        List::Numbers(REPLICATION_RELATIONSHIP_REPLICATION_HEALTH),
    ),
    Values::new(
        "Msvm_ReplicationRelationship.FailedOverReplicationType",
        List::Numbers(REPLICATION_RELATIONSHIP_FAILED_OVER_REPLICATION_TYPE),
    ),
    Values::new(
        "Msvm_ReplicationRelationship.LastReplicationType",
        List::Numbers(REPLICATION_RELATIONSHIP_FAILED_OVER_REPLICATION_TYPE),
    ),
    Values::new("Msvm_ComputerSystem.ReplicationMode", List::Numbers(COMPUTER_SYSTEM_REPLICATION_MODE)),
    Values::new(
        "Msvm_ReplicationSettingData.AuthenticationType",
        List::Numbers(REPLICATION_SETTING_DATA_AUTHENTICATION_TYPE),
    ),
    Values::new(
        "Msvm_ReplicationServiceSettingData.AllowedAuthenticationType",
        List::Numbers(REPLICATION_SERVICE_SETTING_DATA_ALLOWED_AUTHENTICATION_TYPE),
    ),
    Values::new(
        "Msvm_FailoverNetworkAdapterSettingData.ProtocolIFType",
        List::Numbers(FAILOVER_NETWORK_ADAPTER_SETTING_DATA_PROTOCOL_IFTYPE),
    ),
    Values::new(
        "Msvm_AffectedJobElement.ElementEffects",
        List::Numbers(AFFECTED_JOB_ELEMENT_ELEMENT_EFFECTS),
    ),
    Values::new("Msvm_ConcreteJob.JobState", List::Numbers(CONCRETE_JOB_JOB_STATE)),
    Values::new("Msvm_ConcreteJob.RecoveryAction", List::Numbers(CONCRETE_JOB_RECOVERY_ACTION)),
    Values::new("Msvm_ConcreteJob.LocalOrUtcTime", List::Numbers(CONCRETE_JOB_LOCAL_OR_UTC_TIME)),
    Values::new("Msvm_ConcreteJob.RequestedState", List::Numbers(CONCRETE_JOB_REQUESTED_STATE)),
    Values::new("Msvm_Error.ErrorType", List::Numbers(ERROR_ERROR_TYPE)),
    Values::new("Msvm_Error.PerceivedSeverity", List::Numbers(ERROR_PERCEIVED_SEVERITY)),
    Values::new("Msvm_Error.ProbableCause", List::Numbers(ERROR_PROBABLE_CAUSE)),
    Values::new("Msvm_Error.CIMStatusCode", List::Numbers(ERROR_CIMSTATUS_CODE)),
    Values::new("Msvm_ComputerSystem.EnabledState", List::Numbers(COMPUTER_SYSTEM_ENABLED_STATE)),
    Values::new("Msvm_ComputerSystem.RequestedState", List::Numbers(COMPUTER_SYSTEM_REQUESTED_STATE)),
    Values::new("Msvm_ComputerSystem.OperationalStatus", List::Numbers(COMPUTER_SYSTEM_OPERATIONAL_STATUS)),
    Values::new("Msvm_ComputerSystem.HealthState", List::Numbers(COMPUTER_SYSTEM_HEALTH_STATE)),
    Values::new(
        "Msvm_ReplicationService.OperationalStatus",
        List::Numbers(REPLICATION_SERVICE_OPERATIONAL_STATUS),
    ),
    Values::new(
        "Msvm_ReplicationService.InitialReplicationType",
        List::Numbers(REPLICATION_SERVICE_INITIAL_REPLICATION_TYPE),
    ),
    Values::new(
        "Msvm_ComputerSystem.RequestedReplicationState",
        List::Numbers(COMPUTER_SYSTEM_REQUESTED_REPLICATION_STATE),
    ),
    Values::new(
        "Msvm_SummaryInformation.RequestedInformation",
        List::Numbers(SUMMARY_INFORMATION_REQUESTED_INFORMATION),
    ),
    Values::new(
        "Msvm_VirtualSystemSettingData.VirtualSystemType",
        List::Texts(VIRTUAL_SYSTEM_SETTING_DATA_VIRTUAL_SYSTEM_TYPE),
    ),
    Values::new(
        "Msvm_VirtualSystemCollection.ReplicationState",
        List::Numbers(VIRTUAL_SYSTEM_COLLECTION_REPLICATION_STATE),
    ),
    Values::new(
        "Msvm_VirtualSystemCollection.ReplicationMode",
        List::Numbers(VIRTUAL_SYSTEM_COLLECTION_REPLICATION_MODE),
    ),
    Values::new(
        "Msvm_VirtualSystemCollection.FailedOverReplicationType",
        List::Numbers(VIRTUAL_SYSTEM_COLLECTION_FAILED_OVER_REPLICATION_TYPE),
    ),
    Values::new(
        "Msvm_VirtualSystemCollection.LastApplyConsistencyLevel",
        List::Numbers(VIRTUAL_SYSTEM_COLLECTION_LAST_APPLY_CONSISTENCY_LEVEL),
    ),
    Values::new(
        "Msvm_CollectionRecoveryPoint.ConsistencyLevel",
        List::Numbers(VIRTUAL_SYSTEM_COLLECTION_LAST_APPLY_CONSISTENCY_LEVEL),
    ),
    Values::new("ReturnCode", List::Codes),
    Values::new("ReturnCode(DMTF)", List::Numbers(RETURN_CODE_DMTF)),
    Values::new("ReturnCode(Job)", List::Numbers(RETURN_CODE_JOB)),
    Values::new("ReturnCode(Service)", List::Numbers(RETURN_CODE_SERVICE)),
];
