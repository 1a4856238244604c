//! The replication service of a host: itself, its settings, who may send to it, its providers.

use super::{Class, Kind, Limit, Property, Reading, boolean, class, datetime, string, uint16, uint32};
use crate::live::{number, text};
use crate::value::Value;

/// The first label of a host's name, as NetBIOS has it.
const SYSTEM_NAME: Property = string("SystemName").key().live(|s| {
    let label = s.host_name().split('.').next().unwrap_or_default();
    text(&label.chars().take(15).collect::<String>().to_uppercase())
});

pub(super) const SERVICE: Class = class(
    "Msvm_ReplicationService",
    "CIM_Service",
    Kind::Host,
    &[
        string("SystemCreationClassName").key().max(256).text("Msvm_ComputerSystem"),
        SYSTEM_NAME.max(256),
        string("CreationClassName").key().max(256).text("Msvm_ReplicationService"),
        string("Name").key().max(256).text("replicasvc"),
        string("Caption").text("Hyper-V Replica Service"),
        string("Description").text("Replication Service"),
        string("ElementName").text("Hyper-V Replica Service"),
        uint16("OperationalStatus").array().is(Reading::Numbers(&[2])),
        string("StatusDescriptions").array().is(Reading::Texts(&["OK"])),
        string("Status").text("OK"),
        uint16("HealthState").number(5),
        uint16("EnabledState").number(2),
        uint16("EnabledDefault").number(2),
        uint16("RequestedState").number(12),
        boolean("Started").is(Reading::Boolean(true)),
        string("InstanceID"),
        string("OtherEnabledState"),
        uint16("AvailableRequestedStates").array(),
        uint16("TransitioningToState"),
        string("PrimaryOwnerName").max(64),
        string("PrimaryOwnerContact").max(256),
        string("StartMode").max(10),
        datetime("InstallDate"),
        datetime("TimeOfLastStateChange"),
        uint16("CommunicationStatus"),
        uint16("DetailedStatus"),
        uint16("OperatingStatus"),
        uint16("PrimaryStatus"),
    ],
);

pub(super) const SERVICE_SETTINGS: Class = class(
    "Msvm_ReplicationServiceSettingData",
    "CIM_SettingData",
    Kind::Host,
    &[
        string("InstanceID")
            .key()
            .live(|s| text(&format!("Microsoft:{}\\ReplicationService", s.host_name()))),
        string("Caption").text("Replication Service Settings"),
        string("ElementName").text("Replication Service Settings"),
        string("Description").text("Virtual Machine Replication Service Settings Data"),
        boolean("RecoveryServerEnabled").live(|s| Value::Boolean(s.look.is_replica_server(s.host()))),
        uint16("AllowedAuthenticationType").live(|s| number(u16::from(s.look.is_replica_server(s.host())))),
        string("CertificateThumbPrint").max(128),
        uint16("HttpsPort").number(443),
        uint16("HttpPort").number(80),
        datetime("MonitoringStartTime").live(|s| text(&monitoring_start(s))),
        uint32("MonitoringInterval").limit(Limit::Range(3600, 604_800)).number(43_200),
    ],
);

/// 09:00 local time, told in UTC with an empty date.
fn monitoring_start(scene: &super::Scene<'_>) -> String {
    const NINE_S: u64 = 9 * 3600;
    const DAY_S: u64 = 86_400;
    let (calendar, now) = (scene.look.calendar(), scene.look.now());
    let utc = u64::try_from(calendar.unix_s(now).rem_euclid(86_400)).unwrap_or(0);
    let ahead = (calendar.time_of_day(now).as_seconds() + DAY_S - utc) % DAY_S;
    let at = (NINE_S + DAY_S - ahead) % DAY_S;
    format!("00000000{:02}{:02}{:02}.000000-000", at / 3600, at / 60 % 60, at % 60)
}

pub(super) const AUTHORIZATION: Class = class(
    "Msvm_ReplicationAuthorizationSettingData",
    "CIM_SettingData",
    Kind::ReplicaServer,
    &[
        string("AllowedPrimaryHostSystem").text("*"),
        string("TrustGroup").text("DEFAULT"),
        string("ReplicaStorageLocation").text("C:\\ProgramData\\Microsoft\\Windows\\Hyper-V"),
        string("InstanceID").key(),
        string("Caption").text("Replication Authorization Settings"),
        string("Description").text("Replication Authorization Settings Data"),
        string("ElementName").text("Replication Authorization Settings"),
    ],
);

pub(super) const PROVIDER: Class = class(
    "Msvm_ReplicationProvider",
    "CIM_ManagedSystemElement",
    Kind::Provider,
    &[
        string("InstanceID").key().max(256).live(|s| {
            text(&format!("Microsoft:{}\\ReplicationProvider\\{}", s.host_name(), s.provider().name))
        }),
        string("Name").key().max(256).live(|s| text(s.provider().name)),
        string("Caption").max(64).text("Replication Provider"),
        string("Description").live(|s| text(s.provider().description)),
        string("ElementName").live(|s| text(s.provider().description)),
        uint16("OperationalStatus").array().is(Reading::Numbers(&[2])),
    ],
);
