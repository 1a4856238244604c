//! The methods.

use hvrsim_types::code::ReturnCode;
use hvrsim_types::job::JobType as J;

use super::{CimType, Method, Parameter, Procedure, Role};

const SERVICE: &str = "Msvm_ReplicationService";
const COLLECTION: &str = "Msvm_CollectionReplicationService";
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
/// A changed collection never times out.
const A_WITHOUT_TIMEOUT: &[ReturnCode] = &[
    ReturnCode::COMPLETED,
    ReturnCode::JOB_STARTED,
    ReturnCode::FAILED,
    ReturnCode::ACCESS_DENIED,
    ReturnCode::NOT_SUPPORTED,
    ReturnCode::UNKNOWN,
    ReturnCode::INVALID_PARAMETER,
    ReturnCode::IN_USE,
    ReturnCode::INVALID_STATE,
    ReturnCode::INCORRECT_DATA_TYPE,
    ReturnCode::NOT_AVAILABLE,
    ReturnCode::OUT_OF_MEMORY,
    ReturnCode::FILE_NOT_FOUND,
];
/// Asking a job for its error: done at once.
const JOB_ERROR: &[ReturnCode] = &[
    ReturnCode::COMPLETED,
    ReturnCode::FAILED,
    ReturnCode::ACCESS_DENIED,
    ReturnCode::NOT_SUPPORTED,
    ReturnCode::UNKNOWN,
    ReturnCode::TIMEOUT,
    ReturnCode::INVALID_PARAMETER,
    ReturnCode::IN_USE,
    ReturnCode::INVALID_STATE,
    ReturnCode::INCORRECT_DATA_TYPE,
    ReturnCode::NOT_AVAILABLE,
    ReturnCode::OUT_OF_MEMORY,
];
/// Defining machines.
const DEFINE: &[ReturnCode] =
    &[ReturnCode(0), ReturnCode(1), ReturnCode(2), ReturnCode(3), ReturnCode(4), ReturnCode(4096)];
/// Destroying machines.
const DESTROY: &[ReturnCode] = &[
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
    Parameter { name, ty, array: false, role }
}

const fn required(name: &'static str, ty: CimType) -> Parameter {
    parameter(name, ty, Role::Required)
}

const fn optional(name: &'static str, ty: CimType) -> Parameter {
    parameter(name, ty, Role::Optional)
}

const fn out(name: &'static str, ty: CimType) -> Parameter {
    parameter(name, ty, Role::Out)
}

impl Parameter {
    const fn array(mut self) -> Self {
        self.array = true;
        self
    }
}

const MACHINE_REF: CimType = CimType::Reference("CIM_ComputerSystem");
const JOB_REF: CimType = CimType::Reference("CIM_ConcreteJob");
const SETTINGS_REF: CimType = CimType::Reference("CIM_VirtualSystemSettingData");
const CS: Parameter = parameter("ComputerSystem", MACHINE_REF, Role::Target);
const THIS_CS: Parameter = parameter("ComputerSystem", MACHINE_REF, Role::This);
const THIS_JOB: Parameter = parameter("Job", JOB_REF, Role::This);
const JOB_OUT: Parameter = out("Job", JOB_REF);
const SETTING_DATA: Parameter =
    required("ReplicationSettingData", CimType::Embedded("Msvm_ReplicationSettingData"));
const RELATIONSHIP_IN: Parameter =
    required("ReplicationRelationship", CimType::Embedded("Msvm_ReplicationRelationship"));
const SNAPSHOT: Parameter = optional("SnapshotSettingData", SETTINGS_REF);
const START_TIME: Parameter = optional("StartTime", CimType::DateTime);
const REQUESTED_STATE: Parameter = required("RequestedState", CimType::Uint16);
const TIMEOUT: Parameter = optional("TimeoutPeriod", CimType::DateTime);
const AUTHORIZATION: Parameter =
    required("AuthorizationEntry", CimType::Embedded("Msvm_ReplicationAuthorizationSettingData"));
const STATISTICS: Parameter =
    out("ReplicationStatistics", CimType::Embedded("Msvm_ReplicationStatistics")).array();
const ISSUES: Parameter = out("ReplicationHealthIssues", CimType::Embedded("Msvm_Error")).array();
const COLLECTION_REF: CimType = CimType::Reference("CIM_CollectionOfMSEs");
const COL: Parameter = parameter("Collection", COLLECTION_REF, Role::Target);
const COLLECTION_DATA: Parameter =
    required("CollectionReplicationSettingData", CimType::Embedded("Msvm_CollectionReplicationSettingData"));
const COLLECTION_POINT: Parameter =
    optional("CollectionRecoveryPoint", CimType::Reference("Msvm_CollectionRecoveryPoint"));

const fn service(name: &'static str, procedure: Procedure, parameters: &'static [Parameter]) -> Method {
    Method { class: SERVICE, name, parameters, returns: A, asynchronous: true, jobs: &[], procedure }
}

const fn collection(name: &'static str, parameters: &'static [Parameter]) -> Method {
    service(name, Procedure::Collection, parameters).of(COLLECTION)
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

const STATE_JOBS: &[J] = &[
    J::StateChange,
    J::SyncedReplication,
    J::StopInitialReplication,
    J::StopResynchronizing,
    J::UpdateDiskSet,
];

/// Every method of the service and of what it works on: machines, jobs, their management, collections.
pub const METHODS: &[Method] = {
    use Procedure as P;
    &[
        service("CreateReplicationRelationship", P::Create, &[CS, SETTING_DATA, JOB_OUT])
            .jobs(&[J::CreateRelationship]),
        service("ModifyReplicationSettings", P::Modify, &[CS, SETTING_DATA, JOB_OUT])
            .jobs(&[J::ModifySettings, J::UpdateDiskSet]),
        service("RemoveReplicationRelationship", P::Remove, &[CS, JOB_OUT]).jobs(&[J::RemoveRelationship]),
        service("RemoveReplicationRelationshipEx", P::RemoveEx, &[CS, RELATIONSHIP_IN, JOB_OUT])
            .jobs(&[J::RemoveRelationship]),
        service("ReverseReplicationRelationship", P::Reverse, &[CS, SETTING_DATA, JOB_OUT])
            .jobs(&[J::ReverseReplication]),
        service("ChangeReplicationModeToPrimary", P::ModeToPrimary, &[CS, RELATIONSHIP_IN, JOB_OUT])
            .jobs(&[J::ModeToPrimary]),
        service(
            "StartReplication",
            P::StartReplication,
            &[
                CS,
                required("InitialReplicationType", CimType::Uint16),
                optional("InitialReplicationExportLocation", CimType::Text),
                START_TIME,
                JOB_OUT,
            ],
        )
        .jobs(&[J::StartInitialReplication, J::StartSeededReplication, J::ExportInitialReplication]),
        service(
            "ImportInitialReplica",
            P::Import,
            &[CS, required("InitialReplicationImportLocation", CimType::Text), JOB_OUT],
        )
        .jobs(&[J::ImportInitialReplica]),
        service("InitiateFailover", P::InitiateFailover, &[CS, SNAPSHOT, JOB_OUT])
            .jobs(&[J::InitiateFailover]),
        service("RevertFailover", P::RevertFailover, &[CS, JOB_OUT])
            .jobs(&[J::RevertFailover, J::CancelSyncedReplication]),
        service("CommitFailover", P::CommitFailover, &[CS, JOB_OUT]).jobs(&[J::CommitFailover]),
        service(
            "TestReplicaSystem",
            P::TestReplica,
            &[CS, SNAPSHOT, out("ResultingSystem", MACHINE_REF), JOB_OUT],
        )
        .jobs(&[J::TestReplica]),
        service(
            "InitiateFailback",
            P::InitiateFailback,
            &[CS, SETTING_DATA, optional("RecoveryPointIdentifier", CimType::Text), JOB_OUT],
        )
        .jobs(&[J::InitiateFailback]),
        service("Resynchronize", P::Resynchronize, &[CS, START_TIME, JOB_OUT])
            .jobs(&[J::Resynchronizing, J::ResynchronizingExtended]),
        service(
            "TestReplicationConnection",
            P::TestConnection,
            &[
                required("RecoveryConnectionPoint", CimType::Text),
                required("RecoveryServerPortNumber", CimType::Uint16),
                required("AuthenticationType", CimType::Uint16),
                optional("CertificateThumbPrint", CimType::Text),
                optional("BypassProxyServer", CimType::Boolean),
                JOB_OUT,
            ],
        )
        .synchronous()
        .jobs(&[J::TestConnection]),
        service("GetReplicationStatistics", P::GetStatistics, &[CS, STATISTICS, ISSUES, JOB_OUT])
            .synchronous()
            .jobs(&[J::GetStatistics]),
        service(
            "GetReplicationStatisticsEx",
            P::GetStatisticsEx,
            &[CS, RELATIONSHIP_IN, STATISTICS, ISSUES, JOB_OUT],
        )
        .synchronous()
        .jobs(&[J::GetStatistics]),
        service("ResetReplicationStatistics", P::ResetStatistics, &[CS, JOB_OUT])
            .synchronous()
            .jobs(&[J::ResetStatistics]),
        service("ResetReplicationStatisticsEx", P::ResetStatisticsEx, &[CS, RELATIONSHIP_IN, JOB_OUT])
            .synchronous()
            .jobs(&[J::ResetStatistics]),
        service(
            "ModifyServiceSettings",
            P::ServiceSettings,
            &[required("SettingData", CimType::Embedded("Msvm_ReplicationServiceSettingData")), JOB_OUT],
        )
        .returns(A_WITHOUT_FILE)
        .synchronous()
        .jobs(&[J::ModifyServiceSettings]),
        service("AddAuthorizationEntry", P::AddAuthorization, &[AUTHORIZATION, JOB_OUT]).synchronous(),
        service("ModifyAuthorizationEntry", P::ModifyAuthorization, &[AUTHORIZATION, JOB_OUT]).synchronous(),
        service(
            "RemoveAuthorizationEntry",
            P::RemoveAuthorization,
            &[required("AllowedPrimaryHostSystem", CimType::Text), JOB_OUT],
        )
        .synchronous(),
        service("SetAuthorizationEntry", P::SetAuthorization, &[CS, AUTHORIZATION, JOB_OUT]).synchronous(),
        service(
            "GetSystemCertificates",
            P::Certificates,
            &[out("EncodedCertificates", CimType::Text).array()],
        )
        .synchronous(),
        service(
            "SetFailoverNetworkAdapterSettings",
            P::AdapterSettings,
            &[
                CS,
                required("NetworkSettings", CimType::Embedded("Msvm_FailoverNetworkAdapterSettingData"))
                    .array(),
                JOB_OUT,
            ],
        )
        .returns(A_WITHOUT_FILE)
        .synchronous(),
        service("RequestStateChange", P::ServiceState, &[REQUESTED_STATE, JOB_OUT, TIMEOUT])
            .returns(CIM_SERVICE)
            .synchronous(),
        service("StartService", P::ServiceState, &[]).returns(CIM_SERVICE).synchronous(),
        service("StopService", P::ServiceState, &[]).returns(CIM_SERVICE).synchronous(),
        service(
            "RequestReplicationStateChange",
            P::ReplicationState,
            &[THIS_CS, REQUESTED_STATE, JOB_OUT, TIMEOUT],
        )
        .of(MACHINE)
        .jobs(STATE_JOBS),
        service(
            "RequestReplicationStateChangeEx",
            P::ReplicationStateEx,
            &[
                THIS_CS,
                Parameter { role: Role::Optional, ..RELATIONSHIP_IN },
                REQUESTED_STATE,
                JOB_OUT,
                TIMEOUT,
            ],
        )
        .of(MACHINE)
        .jobs(STATE_JOBS),
        service("RequestStateChange", P::MachineState, &[THIS_CS, REQUESTED_STATE, JOB_OUT, TIMEOUT])
            .of(MACHINE)
            .returns(A_WITHOUT_FILE),
        service("RequestStateChange", P::JobState, &[THIS_JOB, REQUESTED_STATE, TIMEOUT])
            .of(JOB)
            .returns(JOB_CONTROL)
            .synchronous(),
        service("GetError", P::JobError, &[THIS_JOB, out("Error", CimType::Embedded("Msvm_Error"))])
            .of(JOB)
            .returns(JOB_ERROR)
            .synchronous(),
        service(
            "GetErrorEx",
            P::JobErrors,
            &[THIS_JOB, out("Errors", CimType::Embedded("Msvm_Error")).array()],
        )
        .of(JOB)
        .returns(JOB_ERROR)
        .synchronous(),
        service(
            "DefineSystem",
            P::DefineSystem,
            &[
                required("SystemSettings", CimType::Embedded("Msvm_VirtualSystemSettingData")),
                optional("ResourceSettings", CimType::Text).array(),
                optional("ReferenceConfiguration", SETTINGS_REF),
                out("ResultingSystem", MACHINE_REF),
                JOB_OUT,
            ],
        )
        .of(MANAGEMENT)
        .returns(DEFINE),
        service(
            "DestroySystem",
            P::DestroySystem,
            &[parameter("AffectedSystem", MACHINE_REF, Role::Target), JOB_OUT],
        )
        .of(MANAGEMENT)
        .returns(DESTROY)
        .jobs(&[J::RemoveTestReplica]),
        service(
            "GetSummaryInformation",
            P::Summary,
            &[
                optional("SettingData", SETTINGS_REF).array(),
                required("RequestedInformation", CimType::Uint32).array(),
                out("SummaryInformation", CimType::Instance("Msvm_SummaryInformationBase")).array(),
            ],
        )
        .of(MANAGEMENT)
        .returns(A_WITHOUT_FILE)
        .synchronous(),
        collection("CreateReplicationRelationship", &[COL, COLLECTION_DATA, JOB_OUT]),
        collection("ModifyReplicationSettings", &[COL, COLLECTION_DATA, JOB_OUT]).returns(A_WITHOUT_TIMEOUT),
        collection(
            "StartReplication",
            &[
                COL,
                required("InitialReplicationType", CimType::Uint16),
                optional("ExportLocation", CimType::Text),
                START_TIME,
                JOB_OUT,
            ],
        ),
        collection("CancelInitialReplication", &[COL, JOB_OUT]),
        collection("CancelResynchronize", &[COL, JOB_OUT]),
        collection("CancelUpdateDiskSet", &[COL, JOB_OUT]),
        collection("SuspendReplication", &[COL, JOB_OUT]),
        collection("ResumeReplication", &[COL, JOB_OUT]),
        collection(
            "Resynchronize",
            &[COL, START_TIME, optional("IncludeSuspended", CimType::Boolean), JOB_OUT],
        ),
        collection("InitiateFailover", &[COL, COLLECTION_POINT, JOB_OUT]),
        collection("RevertFailover", &[COL, JOB_OUT]),
        collection("CommitFailover", &[COL, JOB_OUT]),
        collection("InitiatePlannedFailover", &[COL, JOB_OUT]),
        collection("RevertPlannedFailover", &[COL, JOB_OUT]),
        collection("PrepareForReverseReplication", &[COL, JOB_OUT]),
        collection("ReverseReplicationRelationship", &[COL, COLLECTION_DATA, JOB_OUT]),
        collection("RemoveReplicationRelationship", &[COL, JOB_OUT]),
        collection(
            "TestReplicaCollection",
            &[COL, COLLECTION_POINT, out("ResultingCollection", COLLECTION_REF), JOB_OUT],
        ),
        collection("RevertTestReplicaCollection", &[COL, JOB_OUT]),
        collection(
            "GetReplicationStatistics",
            &[
                COL,
                out("ReplicationStatistics", CimType::Embedded("Msvm_ReplicationStatistics")),
                out("ReplicationHealthIssues", CimType::Text).array(),
                JOB_OUT,
            ],
        ),
        collection("ResetReplicationStatistics", &[COL, JOB_OUT]),
    ]
};
