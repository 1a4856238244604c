//! A relationship, its settings and its statistics.

use hvrsim_types::state::{Mode, ReplicationType};
use hvrsim_types::time::Span;

use super::{
    Class, Kind, Limit, Property, Reading, boolean, class, datetime, string, uint16, uint32, uint64,
};
use crate::datetime;
use crate::live::{Scene, number, text, vm_name};
use crate::value::Value;

/// `Microsoft:<machine>\HVR\<0 or 1>`.
fn instance_id(scene: &Scene<'_>) -> Value {
    scene.of_copy(|view| {
        let guid = view.guid.to_string().to_uppercase();
        text(&format!("Microsoft:{guid}\\HVR\\{}", scene.index()))
    })
}

/// The machine's own properties have the same names and show the primary relationship.
pub(super) const STATE: Property =
    uint16("ReplicationState").live(|s| s.of_copy(|view| number(view.state.number())));
pub(super) const HEALTH: Property =
    uint16("ReplicationHealth").live(|s| s.of_copy(|view| number(view.health.number())));
pub(super) const FAILED_OVER_TYPE: Property =
    uint16("FailedOverReplicationType").live(|s| s.of_copy(|view| number(view.failed_over_type.number())));
pub(super) const LAST_TYPE: Property =
    uint16("LastReplicationType").live(|s| s.of_copy(|view| number(view.last_type.number())));
pub(super) const LAST_TIME: Property =
    datetime("LastReplicationTime").live(|s| s.of_copy(|view| s.moment(view.last_replication)));
/// The newest application-consistent point that is kept: nothing else remembers it.
pub(super) const LAST_CONSISTENT: Property = datetime("LastApplicationConsistentReplicationTime").live(|s| {
    let points = s.copy().map(|copy| s.look.points(copy)).unwrap_or_default();
    let last = points.iter().rfind(|point| point.kind == ReplicationType::ApplicationConsistent);
    s.moment(last.map(|point| point.taken))
});

pub(super) const RELATIONSHIP: Class = class(
    "Msvm_ReplicationRelationship",
    "CIM_ManagedSystemElement",
    Kind::Relationship,
    &[
        string("InstanceID").key().live(instance_id),
        STATE,
        HEALTH,
        FAILED_OVER_TYPE,
        LAST_TYPE,
        LAST_TIME,
        datetime("LastApplyTime").live(|s| s.of_copy(|view| s.moment(view.last_apply))),
        LAST_CONSISTENT,
    ],
);

fn interval(span: Span) -> Value {
    text(&datetime::show_interval(span.as_seconds()))
}

pub(super) const SETTINGS: Class = class(
    "Msvm_ReplicationSettingData",
    "CIM_VirtualSystemSettingData",
    Kind::Relationship,
    &[
        string("InstanceID").key().live(instance_id),
        string("Caption").text("Replication Settings"),
        string("Description").text("Virtual Machine Replication Settings Data"),
        string("ElementName").live(vm_name),
        string("VirtualSystemIdentifier")
            .live(|s| s.of_copy(|view| text(&view.guid.to_string().to_uppercase()))),
        string("VirtualSystemType").text("Microsoft:Hyper-V:Replica"),
        datetime("CreationTime"),
        uint16("AuthenticationType").number(1),
        string("CertificateThumbPrint").max(128),
        string("RootCertificateThumbPrint").max(128),
        boolean("CompressionEnabled").live(|s| s.of_copy(|view| Value::Boolean(view.settings.compression))),
        boolean("BypassProxyServer").is(Reading::Boolean(false)),
        string("RecoveryConnectionPoint").max(256).live(|s| s.servers().1),
        string("RecoveryHostSystem").max(256).live(|s| s.servers().1),
        string("PrimaryConnectionPoint").max(256).live(|s| s.servers().0),
        string("PrimaryHostSystem").max(256).live(|s| s.servers().0),
        uint16("RecoveryServerPortNumber")
            .live(|s| s.of_copy(|view| number(if view.mode == Mode::None { 0_u16 } else { 80 }))),
        boolean("ReplicateHostKvpItems").is(Reading::Boolean(true)),
        uint16("ApplicationConsistentSnapshotInterval")
            .limit(Limit::Range(0, 12))
            .live(|s| s.of_copy(|view| number(view.settings.vss_hours))),
        uint16("RecoveryHistory")
            .limit(Limit::Range(0, 24))
            .live(|s| s.of_copy(|view| number(view.settings.recovery_history))),
        string("IncludedDisks").array().live(included_disks),
        boolean("AutoResynchronizeEnabled")
            .live(|s| s.of_copy(|view| Value::Boolean(view.settings.auto_resync))),
        datetime("AutoResynchronizeIntervalStart")
            .live(|s| s.of_copy(|view| interval(view.settings.auto_resync_start))),
        datetime("AutoResynchronizeIntervalEnd")
            .live(|s| s.of_copy(|view| interval(view.settings.auto_resync_end))),
        boolean("EnableWriteOrderPreservationAcrossDisks").is(Reading::Boolean(true)),
        string("ReplicationProvider").live(|s| text(&provider_path(s))),
        string("AdditionalSettings"),
        uint16("ReplicationInterval")
            .limit(Limit::OneOf(&[30, 300, 900]))
            .live(|s| s.of_copy(|view| number(view.settings.frequency.interval_s()))),
        string("Notes").array(),
        string("ConfigurationID"),
        string("ConfigurationDataRoot"),
        string("ConfigurationFile"),
        string("SnapshotDataRoot"),
        string("SuspendDataRoot"),
        string("SwapFileDataRoot"),
        string("LogDataRoot"),
        uint16("AutomaticStartupAction"),
        datetime("AutomaticStartupActionDelay"),
        uint16("AutomaticStartupActionSequenceNumber"),
        uint16("AutomaticShutdownAction"),
        uint16("AutomaticRecoveryAction"),
        string("RecoveryFile"),
    ],
);

/// The replicated disks, by the paths of their instances.
fn included_disks(scene: &Scene<'_>) -> Value {
    use crate::object::{Key, Object};
    let path = |vm, disk| {
        Object::new("Msvm_StorageAllocationSettingData", scene.host(), Key::Disk(vm, disk)).path(scene.look)
    };
    scene.of_copy(|view| {
        let vm = if view.is_extended() { view.copy.vm.machine() } else { view.copy.vm };
        let disks = view.disk_numbers(true).into_iter().map(|disk| text(&path(vm, disk)));
        Value::List(disks.collect())
    })
}

fn provider_path(scene: &Scene<'_>) -> String {
    use crate::object::{Key, Object};
    Object::new("Msvm_ReplicationProvider", scene.host(), Key::Provider(0)).path(scene.look)
}

/// The length of a monitoring interval, its default.
const MONITORING_INTERVAL: Span = Span::minutes(12 * 60);

pub(super) const STATISTICS: Class = class(
    "Msvm_ReplicationStatistics",
    "CIM_ManagedElement",
    Kind::Relationship,
    &[
        datetime("StartStatisticTime").live(|s| s.of_copy(|view| s.moment(Some(view.statistics.since)))),
        datetime("EndStatisticTime")
            .live(|s| s.of_copy(|view| s.moment(Some(view.statistics.since + MONITORING_INTERVAL)))),
        uint32("ReplicationSuccessCount").live(|s| s.of_copy(|view| number(view.statistics.successes))),
        uint32("ReplicationMissCount").live(|s| s.of_copy(|view| number(view.statistics.missed))),
        uint32("ReplicationFailureCount").live(|s| s.of_copy(|view| number(view.statistics.errors))),
        uint32("NetworkFailureCount").number(0),
        uint32("ApplicationConsistentSnapshotFailureCount")
            .live(|s| s.of_copy(|view| number(view.statistics.vss_failures))),
        uint64("ReplicationSize").live(|s| s.of_copy(|view| number(view.statistics.size_bytes))),
        uint64("MaxReplicationSize").live(|s| s.of_copy(|view| number(view.statistics.max_size_bytes))),
        uint64("PendingReplicationSize").live(|s| s.of_copy(|view| number(view.statistics.pending_bytes))),
        uint32("ReplicationLatency").live(|s| s.of_copy(|view| number(view.statistics.latency.as_seconds()))),
        uint32("MaxReplicationLatency")
            .live(|s| s.of_copy(|view| number(view.statistics.max_latency.as_seconds()))),
        uint32("ReplicationHealth").live(|s| s.of_copy(|view| number(view.health.number()))),
        datetime("LastTestFailoverTime"),
        string("InstanceID").key(),
        string("Caption"),
        string("Description"),
        string("ElementName"),
    ],
);
