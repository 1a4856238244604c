//! The rows of the table, and the properties of the instances that are passed embedded.

use hvrsim_types::code::ReturnCode;
use hvrsim_types::job::JobType as J;

use super::{CimType, Method, Parameter, Procedure, Role};

const SERVICE: &str = "Msvm_ReplicationService";
const MACHINE: &str = "Msvm_ComputerSystem";
const MANAGEMENT: &str = "Msvm_VirtualSystemManagementService";
const JOB: &str = "Msvm_ConcreteJob";

/// The codes of the replication methods.
const A: &[ReturnCode] = ReturnCode::ALL;
/// The same without 32779.
const A_WITHOUT_FILE: &[ReturnCode] = match A.split_last() {
    Some((_, rest)) => rest,
    None => A,
};
/// The service's own inherited methods: done, or not supported.
const CIM_SERVICE: &[ReturnCode] = &[ReturnCode(0), ReturnCode(1)];
/// Defining and destroying machines.
const DMTF: &[ReturnCode] = &[
    ReturnCode(0),
    ReturnCode(1),
    ReturnCode(2),
    ReturnCode(3),
    ReturnCode(4),
    ReturnCode(5),
    ReturnCode(4096),
];
/// `Msvm_ConcreteJob.RequestStateChange`.
const JOB_CONTROL: &[ReturnCode] = &[
    ReturnCode(0),
    ReturnCode(1),
    ReturnCode(2),
    ReturnCode(3),
    ReturnCode(4),
    ReturnCode(5),
    ReturnCode(6),
    ReturnCode(4096),
    ReturnCode(4097),
    ReturnCode(4098),
    ReturnCode(4099),
];

const fn parameter(name: &'static str, ty: CimType, role: Role) -> Parameter {
    Parameter { name, ty, role }
}

const CS: Parameter = parameter("ComputerSystem", CimType::Reference("CIM_ComputerSystem"), Role::Target);
const JOB_OUT: Parameter = parameter("Job", CimType::Reference("CIM_ConcreteJob"), Role::Out);
const SETTING_DATA: Parameter =
    parameter("ReplicationSettingData", CimType::Embedded("Msvm_ReplicationSettingData"), Role::Required);
const RELATIONSHIP_IN: Parameter =
    parameter("ReplicationRelationship", CimType::Embedded("Msvm_ReplicationRelationship"), Role::Required);
const SNAPSHOT: Parameter =
    parameter("SnapshotSettingData", CimType::Reference("CIM_VirtualSystemSettingData"), Role::Optional);
const START_TIME: Parameter = parameter("StartTime", CimType::DateTime, Role::Optional);
const REQUESTED_STATE: Parameter = parameter("RequestedState", CimType::Uint16, Role::Required);
const TIMEOUT: Parameter = parameter("TimeoutPeriod", CimType::DateTime, Role::Optional);
const AUTHORIZATION: Parameter = parameter(
    "AuthorizationEntry",
    CimType::Embedded("Msvm_ReplicationAuthorizationSettingData"),
    Role::Required,
);
const STATISTICS: Parameter =
    parameter("ReplicationStatistics", CimType::EmbeddedArray("Msvm_ReplicationStatistics"), Role::Out);
const ISSUES: Parameter =
    parameter("ReplicationHealthIssues", CimType::EmbeddedArray("Msvm_Error"), Role::Out);

const fn service(name: &'static str, procedure: Procedure, parameters: &'static [Parameter]) -> Method {
    Method { class: SERVICE, name, parameters, returns: A, asynchronous: true, jobs: &[], procedure }
}

impl Method {
    const fn jobs(mut self, jobs: &'static [J]) -> Self {
        self.jobs = jobs;
        self
    }

    const fn of(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    const fn returns(mut self, codes: &'static [ReturnCode]) -> Self {
        self.returns = codes;
        self
    }

    const fn synchronous(mut self) -> Self {
        self.asynchronous = false;
        self
    }
}

/// A method that is known and not simulated.
const fn other(name: &'static str, parameters: &'static [Parameter]) -> Method {
    service(name, Procedure::NotSimulated, parameters)
}

/// Every method of the three classes that replication uses, and the two that define and destroy machines.
pub const METHODS: &[Method] = {
    use Procedure as P;
    &[
        service("CreateReplicationRelationship", P::Create, &[CS, SETTING_DATA, JOB_OUT])
            .jobs(&[J::CreateRelationship]),
        service("ModifyReplicationSettings", P::Modify, &[CS, SETTING_DATA, JOB_OUT])
            .jobs(&[J::ModifySettings]),
        service("RemoveReplicationRelationship", P::Remove, &[CS, JOB_OUT]).jobs(&[J::RemoveRelationship]),
        service("RemoveReplicationRelationshipEx", P::RemoveEx, &[CS, RELATIONSHIP_IN, JOB_OUT])
            .jobs(&[J::RemoveRelationship]),
        service("ReverseReplicationRelationship", P::Reverse, &[CS, SETTING_DATA, JOB_OUT])
            .jobs(&[J::ReverseReplication]),
        service(
            "StartReplication",
            P::StartReplication,
            &[
                CS,
                parameter("InitialReplicationType", CimType::Uint16, Role::Required),
                parameter("InitialReplicationExportLocation", CimType::Text, Role::Optional),
                START_TIME,
                JOB_OUT,
            ],
        )
        .jobs(&[J::StartInitialReplication, J::StartSeededReplication]),
        service("InitiateFailover", P::InitiateFailover, &[CS, SNAPSHOT, JOB_OUT])
            .jobs(&[J::InitiateFailover]),
        service("RevertFailover", P::RevertFailover, &[CS, JOB_OUT])
            .jobs(&[J::RevertFailover, J::CancelSyncedReplication]),
        service("CommitFailover", P::CommitFailover, &[CS, JOB_OUT]).jobs(&[J::CommitFailover]),
        service(
            "InitiateFailback",
            P::InitiateFailback,
            &[CS, SETTING_DATA, parameter("RecoveryPointIdentifier", CimType::Text, Role::Optional), JOB_OUT],
        )
        .jobs(&[J::InitiateFailback]),
        service("Resynchronize", P::Resynchronize, &[CS, START_TIME, JOB_OUT]).jobs(&[J::Resynchronizing]),
        service("ResetReplicationStatistics", P::ResetStatistics, &[CS, JOB_OUT])
            .synchronous()
            .jobs(&[J::ResetStatistics]),
        service("ResetReplicationStatisticsEx", P::ResetStatisticsEx, &[CS, RELATIONSHIP_IN, JOB_OUT])
            .synchronous()
            .jobs(&[J::ResetStatistics]),
        service(
            "RequestReplicationStateChange",
            P::ReplicationState,
            &[CS, REQUESTED_STATE, JOB_OUT, TIMEOUT],
        )
        .of(MACHINE)
        .jobs(STATE_JOBS),
        service(
            "RequestReplicationStateChangeEx",
            P::ReplicationStateEx,
            &[CS, Parameter { role: Role::Optional, ..RELATIONSHIP_IN }, REQUESTED_STATE, JOB_OUT, TIMEOUT],
        )
        .of(MACHINE)
        .jobs(STATE_JOBS),
        service("RequestStateChange", P::MachineState, &[CS, REQUESTED_STATE, JOB_OUT, TIMEOUT])
            .of(MACHINE)
            .returns(A_WITHOUT_FILE),
        service(
            "RequestStateChange",
            P::JobState,
            &[
                parameter("Job", CimType::Reference("CIM_ConcreteJob"), Role::Target),
                REQUESTED_STATE,
                TIMEOUT,
            ],
        )
        .of(JOB)
        .returns(JOB_CONTROL)
        .synchronous(),
        other(
            "ImportInitialReplica",
            &[CS, parameter("InitialReplicationImportLocation", CimType::Text, Role::Required), JOB_OUT],
        ),
        other(
            "TestReplicaSystem",
            &[
                CS,
                SNAPSHOT,
                parameter("ResultingSystem", CimType::Reference("CIM_ComputerSystem"), Role::Out),
                JOB_OUT,
            ],
        ),
        other("ChangeReplicationModeToPrimary", &[CS, RELATIONSHIP_IN, JOB_OUT]),
        other(
            "TestReplicationConnection",
            &[
                parameter("RecoveryConnectionPoint", CimType::Text, Role::Required),
                parameter("RecoveryServerPortNumber", CimType::Uint16, Role::Required),
                parameter("AuthenticationType", CimType::Uint16, Role::Required),
                parameter("CertificateThumbPrint", CimType::Text, Role::Optional),
                parameter("BypassProxyServer", CimType::Boolean, Role::Optional),
                JOB_OUT,
            ],
        ),
        other("GetReplicationStatistics", &[CS, STATISTICS, ISSUES, JOB_OUT]).synchronous(),
        other("GetReplicationStatisticsEx", &[CS, RELATIONSHIP_IN, STATISTICS, ISSUES, JOB_OUT])
            .synchronous(),
        other(
            "ModifyServiceSettings",
            &[
                parameter(
                    "SettingData",
                    CimType::Embedded("Msvm_ReplicationServiceSettingData"),
                    Role::Required,
                ),
                JOB_OUT,
            ],
        )
        .returns(A_WITHOUT_FILE)
        .synchronous(),
        other("AddAuthorizationEntry", &[AUTHORIZATION, JOB_OUT]).synchronous(),
        other("ModifyAuthorizationEntry", &[AUTHORIZATION, JOB_OUT]).synchronous(),
        other(
            "RemoveAuthorizationEntry",
            &[parameter("AllowedPrimaryHostSystem", CimType::Text, Role::Required), JOB_OUT],
        )
        .synchronous(),
        other("SetAuthorizationEntry", &[CS, AUTHORIZATION, JOB_OUT]).synchronous(),
        other("GetSystemCertificates", &[parameter("EncodedCertificates", CimType::Texts, Role::Out)])
            .synchronous(),
        other(
            "SetFailoverNetworkAdapterSettings",
            &[
                CS,
                parameter(
                    "NetworkSettings",
                    CimType::EmbeddedArray("Msvm_FailoverNetworkAdapterSettingData"),
                    Role::Required,
                ),
                JOB_OUT,
            ],
        )
        .returns(A_WITHOUT_FILE),
        other("RequestStateChange", &[REQUESTED_STATE, JOB_OUT, TIMEOUT]).returns(CIM_SERVICE).synchronous(),
        other("StartService", &[]).returns(CIM_SERVICE).synchronous(),
        other("StopService", &[]).returns(CIM_SERVICE).synchronous(),
        other(
            "DefineSystem",
            &[
                parameter(
                    "SystemSettings",
                    CimType::Embedded("Msvm_VirtualSystemSettingData"),
                    Role::Required,
                ),
                parameter(
                    "ResourceSettings",
                    CimType::EmbeddedArray("CIM_ResourceAllocationSettingData"),
                    Role::Optional,
                ),
                parameter(
                    "ReferenceConfiguration",
                    CimType::Reference("CIM_VirtualSystemSettingData"),
                    Role::Optional,
                ),
                parameter("ResultingSystem", CimType::Reference("CIM_ComputerSystem"), Role::Out),
                JOB_OUT,
            ],
        )
        .of(MANAGEMENT)
        .returns(DMTF),
        other(
            "DestroySystem",
            &[parameter("AffectedSystem", CimType::Reference("CIM_ComputerSystem"), Role::Target), JOB_OUT],
        )
        .of(MANAGEMENT)
        .returns(DMTF),
    ]
};

const STATE_JOBS: &[J] =
    &[J::StateChange, J::SyncedReplication, J::StopInitialReplication, J::StopResynchronizing];

/// The properties of `Msvm_ReplicationSettingData` that a client can set, or reads back and passes again.
pub(crate) const SETTINGS: &[(&str, CimType)] = &[
    ("InstanceID", CimType::Text),
    ("Caption", CimType::Text),
    ("Description", CimType::Text),
    ("ElementName", CimType::Text),
    ("VirtualSystemIdentifier", CimType::Text),
    ("VirtualSystemType", CimType::Text),
    ("CreationTime", CimType::DateTime),
    ("AuthenticationType", CimType::Uint16),
    ("CertificateThumbPrint", CimType::Text),
    ("RootCertificateThumbPrint", CimType::Text),
    ("CompressionEnabled", CimType::Boolean),
    ("BypassProxyServer", CimType::Boolean),
    ("RecoveryConnectionPoint", CimType::Text),
    ("RecoveryHostSystem", CimType::Text),
    ("PrimaryConnectionPoint", CimType::Text),
    ("PrimaryHostSystem", CimType::Text),
    ("RecoveryServerPortNumber", CimType::Uint16),
    ("ReplicateHostKvpItems", CimType::Boolean),
    ("ApplicationConsistentSnapshotInterval", CimType::Uint16),
    ("RecoveryHistory", CimType::Uint16),
    ("IncludedDisks", CimType::Texts),
    ("AutoResynchronizeEnabled", CimType::Boolean),
    ("AutoResynchronizeIntervalStart", CimType::DateTime),
    ("AutoResynchronizeIntervalEnd", CimType::DateTime),
    ("EnableWriteOrderPreservationAcrossDisks", CimType::Boolean),
    ("ReplicationProvider", CimType::Text),
    ("AdditionalSettings", CimType::Text),
    ("ReplicationInterval", CimType::Uint16),
];

/// The properties of `Msvm_ReplicationRelationship`.
pub(crate) const RELATIONSHIP: &[(&str, CimType)] = &[
    ("InstanceID", CimType::Text),
    ("ReplicationState", CimType::Uint16),
    ("ReplicationHealth", CimType::Uint16),
    ("FailedOverReplicationType", CimType::Uint16),
    ("LastReplicationType", CimType::Uint16),
    ("LastReplicationTime", CimType::DateTime),
    ("LastApplyTime", CimType::DateTime),
    ("LastApplicationConsistentReplicationTime", CimType::DateTime),
];
