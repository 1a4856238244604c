//! The properties of each class.

use hvrsim_sim::look::CopyView;
use hvrsim_types::network::{Adapter, FailoverAddresses};
use hvrsim_types::state::{Mode, ReplicationType};
use hvrsim_types::time::Span;

use super::{Property, PropertyValue, Reading, Scene};

const fn property(name: &'static str, ty: &'static str, reading: Reading) -> Property {
    Property { name, alias: None, ty, reading }
}

const fn live(name: &'static str, ty: &'static str, read: fn(&Scene<'_>) -> PropertyValue) -> Property {
    property(name, ty, Reading::Live(read))
}

impl Property {
    const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }
}

fn text(text: &str) -> PropertyValue {
    PropertyValue::Text(text.to_owned())
}

fn integer(number: impl Into<u64>) -> PropertyValue {
    PropertyValue::Integer(number.into())
}

/// The servers of the relationship: primary, then replica.
fn servers(scene: &Scene<'_>) -> (PropertyValue, PropertyValue) {
    let Some(view) = scene.copy else { return (PropertyValue::Null, PropertyValue::Null) };
    let here = text(scene.look.connection_point(scene.host));
    let peer = view.peer.map_or_else(|| text(""), |host| text(scene.look.connection_point(host)));
    match view.mode {
        Mode::None => (text(""), text("")),
        Mode::Primary => (here, peer),
        _ => (peer, here),
    }
}

/// The node that holds the replica, where the replica server is a cluster.
fn current_replica(scene: &Scene<'_>) -> PropertyValue {
    let Some(view) = scene.copy else { return PropertyValue::Null };
    let node = |host| text(scene.look.host_name(host));
    match view.mode {
        Mode::None => text(""),
        Mode::Primary => view.peer.map_or_else(|| text(""), node),
        _ => node(scene.host),
    }
}

fn average(view: &CopyView, total: u64) -> u64 {
    total.checked_div(u64::from(view.statistics.successes)).unwrap_or(0)
}

const DATE: &str = "Nullable<DateTime>";
const VM_ID: Property = live("VMId", "Guid", |s| s.of_copy(|view| text(&view.guid.to_string())));
const VM_NAME: Property = live("VMName", "String", |s| s.of_copy(|view| text(s.look.vm_name(view.copy.vm))));
const HOST: Property = live("ComputerName", "String", |s| text(s.look.host_name(s.host)));
const MODE: Property =
    live("ReplicationMode", "VMReplicationMode", |s| s.of_copy(|view| text(view.machine_mode().label())));
const RELATIONSHIP: Property = live("ReplicationRelationshipType", "VMReplicationRelationshipType", |s| {
    s.of_copy(|view| text(if view.is_extended() { "Extended" } else { "Simple" }))
})
.alias("Relationship");
const STATE: Property = live("ReplicationState", "VMReplicationState", |s| {
    s.of_copy(|view| text(view.state.powershell(view.mode)))
});
const HEALTH_STATE: Property =
    live("ReplicationHealth", "VMReplicationHealthState", |s| s.of_copy(|view| text(view.health.label())));
const PRIMARY: Property = live("PrimaryServerName", "String", |s| servers(s).0).alias("PrimaryServer");
const REPLICA: Property = live("ReplicaServerName", "String", |s| servers(s).1).alias("ReplicaServer");
const LAST_REPLICATION: Property =
    live("LastReplicationTime", DATE, |s| s.of_copy(|view| s.moment(view.last_replication)));

pub(super) const REPLICATION: &[Property] = &[
    VM_ID,
    VM_NAME,
    HOST,
    property("CimSession", "CimSession", Reading::Text("CimSession: .")),
    property("IsDeleted", "Boolean", Reading::Flag(false)),
    property("VMSnapshotId", "Guid", Reading::Text("00000000-0000-0000-0000-000000000000")),
    property("VMSnapshotName", "String", Reading::Text("")),
    live("Id", "String", |s| {
        s.of_copy(|view| {
            let index = u8::from(view.is_extended());
            text(&format!("Microsoft:{}\\HVR\\{index}", view.guid.to_string().to_uppercase()))
        })
    }),
    MODE.alias("Mode"),
    RELATIONSHIP,
    STATE.alias("State"),
    HEALTH_STATE.alias("Health"),
    PRIMARY,
    REPLICA,
    live("CurrentReplicaServerName", "String", current_replica),
    property("AllowedPrimaryServer", "String", Reading::Null),
    property("TestVirtualMachine", "VirtualMachine", Reading::Null),
    property("ReplicaServerPort", "Int32", Reading::Number(80)).alias("ReplicaPort"),
    property("AuthenticationType", "ReplicationAuthenticationType", Reading::Text("Kerberos"))
        .alias("AuthType"),
    property("CertificateThumbprint", "String", Reading::Null),
    live("CompressionEnabled", "Boolean", |s| {
        s.of_copy(|view| PropertyValue::Boolean(view.settings.compression))
    }),
    property("BypassProxyServer", "Boolean", Reading::Flag(false)),
    live("ReplicationFrequencySec", "Int32", |s| {
        s.of_copy(|view| integer(view.settings.frequency.interval_s()))
    })
    .alias("FrequencySec"),
    live("RecoveryHistory", "Int32", |s| s.of_copy(|view| integer(view.settings.recovery_history))),
    live("VSSSnapshotFrequencyHour", "Int32", |s| s.of_copy(|view| integer(view.settings.vss_hours))),
    live("VSSSnapshotReplicationEnabled", "Boolean", |s| {
        s.of_copy(|view| PropertyValue::Boolean(view.settings.vss_hours > 0))
    }),
    property("EnableWriteOrderPreservationAcrossDisks", "Boolean", Reading::Flag(true)),
    property("ReplicateHostKvpItems", "Boolean", Reading::Flag(true)),
    live("AutoResynchronizeEnabled", "Boolean", |s| {
        s.of_copy(|view| PropertyValue::Boolean(view.settings.auto_resync))
    }),
    live("AutoResynchronizeIntervalStart", "TimeSpan", |s| {
        s.of_copy(|view| PropertyValue::Span(view.settings.auto_resync_start))
    }),
    live("AutoResynchronizeIntervalEnd", "TimeSpan", |s| {
        s.of_copy(|view| PropertyValue::Span(view.settings.auto_resync_end))
    }),
    live("ReplicatedDisks", "HardDiskDrive[]", |s| disks(s, true)),
    live("ExcludedDisks", "HardDiskDrive[]", |s| disks(s, false)),
    LAST_REPLICATION,
    live("LastAppliedLogTime", DATE, |s| s.of_copy(|view| s.moment(view.last_apply))),
    property("InitialReplicationStartTime", DATE, Reading::Null),
    property("ResynchronizeStartTime", DATE, Reading::Null),
];

/// The disks that are replicated, or the others, by their paths.
fn disks(scene: &Scene<'_>, replicated: bool) -> PropertyValue {
    scene.of_copy(|view| {
        let paths = view.disk_numbers(replicated).into_iter().map(|disk| view.disk_path(disk, scene.look));
        PropertyValue::List(paths.map(|path| text(&path)).collect())
    })
}

/// The length of a monitoring interval, its default.
const MONITORING_INTERVAL: Span = Span::minutes(12 * 60);

fn jobs(scene: &Scene<'_>) -> PropertyValue {
    scene.of_copy(|view| {
        let running = scene.look.jobs(view.copy).into_iter().filter(|job| !job.state.ended());
        PropertyValue::List(running.map(|job| text(job.kind.label())).collect())
    })
}

pub(super) const HEALTH: &[Property] = &[
    VM_ID,
    VM_NAME,
    PRIMARY,
    REPLICA,
    STATE.alias("State"),
    HEALTH_STATE.alias("Health"),
    MODE.alias("Mode"),
    RELATIONSHIP,
    LAST_REPLICATION,
    live("MonitoringStartTime", DATE, |s| s.of_copy(|view| s.moment(Some(view.statistics.since)))),
    live("MonitoringEndTime", DATE, |s| {
        s.of_copy(|view| s.moment(Some(view.statistics.since + MONITORING_INTERVAL)))
    }),
    live("LastReplicationType", "ReplicationType", |s| s.of_copy(|view| text(view.last_type.label()))),
    live("FailedOverReplicationType", "ReplicationType", |s| {
        s.of_copy(|view| text(view.failed_over_type.label()))
    }),
    property("LastTestFailoverInitiatedTime", DATE, Reading::Null),
    live("LastVSSSnapshotTime", DATE, |s| {
        s.of_copy(|view| {
            let points = s.look.points(view.copy);
            let last = points.iter().rfind(|p| p.kind == ReplicationType::ApplicationConsistent);
            s.moment(last.map(|p| p.taken))
        })
    }),
    property("InitialReplicationSize", "UInt64", Reading::Number(0)),
    live("PendingReplicationSize", "UInt64", |s| s.of_copy(|view| integer(view.statistics.pending_bytes))),
    live("AverageReplicationSize", "UInt64", |s| {
        s.of_copy(|view| integer(average(view, view.statistics.size_bytes)))
    }),
    live("MaximumReplicationSize", "UInt64", |s| s.of_copy(|view| integer(view.statistics.max_size_bytes))),
    live("AverageReplicationLatency", "Nullable<TimeSpan>", |s| {
        s.of_copy(|view| PropertyValue::Span(Span(average(view, view.statistics.latency.0))))
    }),
    live("MaximumReplicationLatency", "Nullable<TimeSpan>", |s| {
        s.of_copy(|view| PropertyValue::Span(view.statistics.max_latency))
    }),
    live("ReplicationErrors", "UInt32", |s| s.of_copy(|view| integer(view.statistics.errors))),
    live("SuccessfulReplicationCount", "UInt32", |s| s.of_copy(|view| integer(view.statistics.successes))),
    live("MissedReplicationCount", "UInt32", |s| s.of_copy(|view| integer(view.statistics.missed))),
    live("ReplicationHealthDetails", "String[]", |s| {
        s.of_copy(|view| PropertyValue::List(view.health_details.iter().map(|why| text(why)).collect()))
    }),
    live("CurrentTask", "VMTask[]", jobs),
];

/// A setting that is on where the host is a replica server.
fn enabled(scene: &Scene<'_>) -> PropertyValue {
    PropertyValue::Boolean(scene.look.is_replica_server(scene.host))
}

pub(super) const SERVER: &[Property] = &[
    live("ReplicationEnabled", "Boolean", enabled).alias("RepEnabled"),
    live("AllowedAuthenticationType", "RecoveryAuthenticationType", |s| {
        text(if s.look.is_replica_server(s.host) { "Kerberos" } else { "None" })
    })
    .alias("AuthType"),
    live("ReplicationAllowedFromAnyServer", "Boolean", enabled),
    live("DefaultStorageLocation", "String", |s| {
        text(if s.look.is_replica_server(s.host) { STORAGE } else { "" })
    }),
    property("CertificateThumbprint", "String", Reading::Null),
    property("KerberosAuthenticationPort", "Int32", Reading::Number(80)).alias("KerbAuthPort"),
    property("CertificateAuthenticationPort", "Int32", Reading::Number(443)).alias("CertAuthPort"),
    property("KerberosAuthenticationPortMapping", "Hashtable", Reading::Null),
    property("CertificateAuthenticationPortMapping", "Hashtable", Reading::Null),
    property("MonitoringInterval", "TimeSpan", Reading::Text("12:00:00")),
    property("MonitoringStartTime", "TimeSpan", Reading::Text("09:00:00")),
    live("AuthorizationEntries", "VMReplicationAuthorizationEntry[]", |s| {
        PropertyValue::List(s.look.is_replica_server(s.host).then(|| text("*")).into_iter().collect())
    }),
    property("OperationalStatus", "OperationalStatus[]", Reading::Text("{Ok}")),
    property("StatusDescriptions", "String[]", Reading::Text("{OK}")),
];

/// Where the replicas of a server lie, its default.
const STORAGE: &str = "C:\\ProgramData\\Microsoft\\Windows\\Hyper-V";

pub(super) const ENTRY: &[Property] = &[
    property("AllowedPrimaryServer", "String", Reading::Text("*")).alias("AllowedPS"),
    property("ReplicaStorageLocation", "String", Reading::Text(STORAGE)).alias("StorageLoc"),
    property("TrustGroup", "String", Reading::Text("DEFAULT")),
];

pub(super) const MACHINE: &[Property] = &[
    live("Name", "String", |s| s.of_copy(|view| text(s.look.vm_name(view.copy.vm)))).alias("VMName"),
    live("Id", "Guid", |s| s.of_copy(|view| text(&view.guid.to_string()))).alias("VMId"),
    HOST,
    live("State", "VMState", |s| s.of_copy(|view| text(view.power.label()))),
    MODE,
    STATE,
    HEALTH_STATE,
];

/// The PowerShell type of a recovery point and the name that the module gives it.
const fn point_names(kind: ReplicationType) -> (&'static str, &'static str) {
    match kind {
        ReplicationType::None | ReplicationType::Regular => ("Replica", "Standard Replica"),
        ReplicationType::ApplicationConsistent => ("AppConsistentReplica", "Application-consistent Replica"),
        ReplicationType::Planned => ("SyncedReplica", "Synced Replica"),
    }
}

/// Without a point it is a user's checkpoint, of which the model keeps the number only.
fn snapshot_name(scene: &Scene<'_>) -> PropertyValue {
    scene.of_copy(|view| {
        let vm = scene.look.vm_name(view.copy.vm);
        text(&match scene.point {
            Some(point) => {
                let taken = scene.look.calendar().show(point.taken).replace(' ', " - ");
                format!("{vm} - {} - ({taken})", point_names(point.kind).1)
            }
            None => format!("{vm} - checkpoint {}", scene.checkpoint),
        })
    })
}

/// `HV2/web01@-2`, as `-VMRecoverySnapshot` takes it.
fn point_place(scene: &Scene<'_>) -> PropertyValue {
    let Some((view, point)) = scene.copy.zip(scene.point) else { return PropertyValue::Null };
    let points = scene.look.points(view.copy);
    match points.iter().rev().position(|p| p.id == point.id) {
        Some(back) => {
            let (host, vm) = (scene.look.host_name(scene.host), scene.look.vm_name(view.copy.vm));
            text(&format!("{host}/{vm}@-{}", back + 1))
        }
        None => PropertyValue::Null,
    }
}

pub(super) const SNAPSHOT: &[Property] = &[
    VM_NAME,
    live("SnapshotType", "SnapshotType", |s| {
        text(s.point.map_or("Standard", |point| point_names(point.kind).0))
    }),
    live("CreationTime", "DateTime", |s| s.moment(s.point.map(|point| point.taken))),
    live("Point", "String", point_place),
    live("Id", "Guid", |s| s.point.map_or(PropertyValue::Null, |point| text(&point.guid.to_string()))),
    live("Name", "String", snapshot_name),
];

fn of_adapter(scene: &Scene<'_>, read: impl FnOnce(&Adapter) -> PropertyValue) -> PropertyValue {
    scene.adapter.map_or(PropertyValue::Null, |view| read(&view.adapter))
}

fn told(scene: &Scene<'_>, read: impl FnOnce(&FailoverAddresses) -> Option<String>) -> PropertyValue {
    let addresses = scene.adapter.and_then(|view| view.adapter.failover.as_ref());
    addresses.and_then(read).map_or(PropertyValue::Null, PropertyValue::Text)
}

fn optional(value: Option<&String>) -> PropertyValue {
    value.map_or(PropertyValue::Null, |value| text(value))
}

/// The nth of these that is of the protocol.
fn nth(all: &[std::net::IpAddr], v6: bool, n: usize) -> Option<String> {
    all.iter().filter(|ip| ip.is_ipv6() == v6).nth(n).map(ToString::to_string)
}

const ADAPTER_NAME: Property = live("Name", "String", |s| of_adapter(s, |adapter| text(&adapter.name)));
const ADAPTER_ID: Property =
    live("Id", "String", |s| s.adapter.map_or(PropertyValue::Null, |view| text(&view.guid.to_string())));

pub(super) const ADAPTER_FAILOVER: &[Property] = &[
    VM_NAME,
    VM_ID,
    HOST,
    ADAPTER_NAME,
    ADAPTER_ID,
    live("ProtocolIFType", "UInt16", |s| {
        of_adapter(s, |a| integer(a.failover.as_ref().map_or(0, FailoverAddresses::protocol_number)))
    }),
    live("IPv4Address", "String", |s| told(s, |a| a.first(false).map(|(ip, _)| ip.to_string()))),
    live("IPv4SubnetMask", "String", |s| told(s, |a| a.first(false).map(|(_, mask)| mask.to_owned()))),
    live("IPv4DefaultGateway", "String", |s| told(s, |a| nth(&a.gateways, false, 0))),
    live("IPv4PreferredDNSServer", "String", |s| told(s, |a| nth(&a.dns_servers, false, 0))),
    live("IPv4AlternateDNSServer", "String", |s| told(s, |a| nth(&a.dns_servers, false, 1))),
    live("IPv6Address", "String", |s| told(s, |a| a.first(true).map(|(ip, _)| ip.to_string()))),
    live("IPv6SubnetPrefixLength", "String", |s| told(s, |a| a.first(true).map(|(_, len)| len.to_owned()))),
    live("IPv6DefaultGateway", "String", |s| told(s, |a| nth(&a.gateways, true, 0))),
    live("IPv6PreferredDNSServer", "String", |s| told(s, |a| nth(&a.dns_servers, true, 0))),
    live("IPv6AlternateDNSServer", "String", |s| told(s, |a| nth(&a.dns_servers, true, 1))),
];

pub(super) const ADAPTER: &[Property] = &[
    VM_NAME,
    VM_ID,
    HOST,
    ADAPTER_NAME,
    ADAPTER_ID,
    live("Connected", "Boolean", |s| of_adapter(s, |a| PropertyValue::Boolean(a.switch.is_some()))),
    live("SwitchName", "String", |s| of_adapter(s, |a| optional(a.switch.as_ref()))),
    live("IPAddresses", "String[]", |s| {
        of_adapter(s, |a| PropertyValue::List(a.address.iter().map(|ip| text(&ip.to_string())).collect()))
    }),
    live("TestReplicaSwitchName", "String", |s| of_adapter(s, |a| optional(a.test_switch.as_ref()))),
    live("TestReplicaPoolName", "String", |s| of_adapter(s, |a| optional(a.test_pool.as_ref()))),
];
