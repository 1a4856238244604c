//! Virtual machines: themselves, their summary, their settings and recovery points, disks and adapters.

use hvrsim_sim::look::CopyView;
use hvrsim_types::network::FailoverAddresses;
use hvrsim_types::state::{Mode, ReplicationType};

use super::relationship::{FAILED_OVER_TYPE, HEALTH, LAST_CONSISTENT, LAST_TIME, LAST_TYPE, STATE};
use super::{Class, Kind, Limit, Reading, boolean, class, datetime, property, reference, string, uint16};
use crate::live::{Scene, number, text, vm_name};
use crate::object::{Key, Object};
use crate::table::CimType;
use crate::value::Value;

fn guid(scene: &Scene<'_>) -> Value {
    scene.of_copy(|view| text(&view.guid.to_string().to_uppercase()))
}

pub(super) const MACHINE: Class = class(
    "Msvm_ComputerSystem",
    "CIM_ComputerSystem",
    Kind::Machine,
    &[
        string("CreationClassName").key().text("Msvm_ComputerSystem"),
        string("Name").key().live(guid),
        string("ElementName").live(vm_name),
        uint16("EnabledState").live(|s| s.of_copy(|view| number(view.power.number()))),
        uint16("RequestedState").number(12),
        uint16("OperationalStatus").array().is(Reading::Numbers(&[2])),
        uint16("HealthState").number(5),
        STATE,
        HEALTH,
        FAILED_OVER_TYPE,
        LAST_TYPE,
        LAST_TIME,
        LAST_CONSISTENT,
        uint16("ReplicationMode").live(|s| s.of_copy(|view| number(view.mode.number()))),
    ],
);

/// Of the primary relationship, then of the extended one.
fn each(scene: &Scene<'_>, read: impl Fn(&CopyView) -> Value) -> Value {
    let Some(copy) = scene.copy() else { return Value::Null };
    let both = [copy, copy.extended()].into_iter().filter_map(|of| scene.look.copy(of));
    Value::List(both.map(|view| read(&view)).collect())
}

fn points(scene: &Scene<'_>) -> Value {
    let Some(copy) = scene.copy() else { return Value::Null };
    let path = |point| text(&Object::point(copy, Some(point)).path(scene.look));
    Value::List(scene.look.points(copy).into_iter().map(|point| path(point.id)).collect())
}

/// The jobs that run now.
fn tasks(scene: &Scene<'_>) -> Value {
    let Some(copy) = scene.copy() else { return Value::Null };
    let jobs = [scene.look.jobs(copy), scene.look.jobs(copy.extended())].concat();
    let running = jobs.into_iter().filter(|job| !job.state.ended());
    Value::List(running.map(|job| text(&Object::job(copy.host, job.id).path(scene.look))).collect())
}

pub(super) const SUMMARY: Class = class(
    "Msvm_SummaryInformation",
    "Msvm_SummaryInformationBase",
    Kind::Machine,
    &[
        string("Name").key().live(guid),
        STATE,
        HEALTH,
        uint16("ReplicationStateEx").array().live(|s| each(s, |view| number(view.state.number()))),
        uint16("ReplicationHealthEx").array().live(|s| each(s, |view| number(view.health.number()))),
        uint16("ReplicationMode").live(|s| s.of_copy(|view| number(view.mode.number()))),
        reference("TestReplicaSystem", "CIM_ComputerSystem"),
        string("ReplicationProviderId").array().live(|s| {
            s.of_copy(|view| match view.mode {
                Mode::None => Value::List(Vec::new()),
                _ => Value::List(vec![text(s.provider().name)]),
            })
        }),
        uint16("EnabledState").live(|s| s.of_copy(|view| number(view.power.number()))),
        uint16("HealthState").number(5),
        uint16("ApplicationHealth").number(2),
        reference("Snapshots", "CIM_VirtualSystemSettingData").array().live(points),
        reference("AsynchronousTasks", "CIM_ConcreteJob").array().live(tasks),
        uint16("OperationalStatus").array().is(Reading::Numbers(&[2])),
        string("StatusDescriptions").array().is(Reading::Texts(&["Operating normally"])),
        boolean("SwapFilesInUse").is(Reading::Boolean(false)),
    ],
);

/// What kind of settings it is: of the machine, or of a recovery point.
fn system_type(scene: &Scene<'_>) -> Value {
    text(match scene.point().map(|point| point.kind) {
        None => "Microsoft:Hyper-V:System:Realized",
        Some(ReplicationType::None | ReplicationType::Regular) => {
            "Microsoft:Hyper-V:Snapshot:Replica:Standard"
        }
        Some(ReplicationType::ApplicationConsistent) => {
            "Microsoft:Hyper-V:Snapshot:Replica:ApplicationConsistent"
        }
        Some(ReplicationType::Planned) => "Microsoft:Hyper-V:Snapshot:Replica:PlannedFailover",
    })
}

fn settings_name(scene: &Scene<'_>) -> Value {
    let Some(point) = scene.point() else { return vm_name(scene) };
    let label = match point.kind {
        ReplicationType::None | ReplicationType::Regular => "Standard Replica",
        ReplicationType::ApplicationConsistent => "Application-consistent Replica",
        ReplicationType::Planned => "Synced Replica",
    };
    let taken = scene.look.calendar().show(point.taken).replace(' ', " - ");
    scene.of_copy(|view| text(&format!("{} - {label} - ({taken})", scene.look.vm_name(view.copy.vm))))
}

fn settings_id(scene: &Scene<'_>) -> Value {
    let own = scene.point().map(|point| point.guid);
    scene.of_copy(|view| text(&format!("Microsoft:{}", own.unwrap_or(view.guid).to_string().to_uppercase())))
}

/// The point before it.
fn parent(scene: &Scene<'_>) -> Value {
    let (Some(point), Some(copy)) = (scene.point(), scene.copy()) else { return Value::Null };
    let points = scene.look.points(copy);
    let before = points.iter().position(|p| p.id == point.id).and_then(|at| points.get(at.checked_sub(1)?));
    before.map_or(Value::Null, |before| text(&Object::point(copy, Some(before.id)).path(scene.look)))
}

pub(super) const MACHINE_SETTINGS: Class = class(
    "Msvm_VirtualSystemSettingData",
    "CIM_VirtualSystemSettingData",
    Kind::Settings,
    &[
        string("InstanceID").key().live(settings_id),
        string("ElementName").max(100).live(settings_name),
        datetime("CreationTime").live(|s| s.moment(s.point().map(|point| point.taken))),
        reference("Parent", "CIM_VirtualSystemSettingData").live(parent),
        string("VirtualSystemIdentifier").live(guid),
        string("VirtualSystemType").live(system_type),
        boolean("IsAutomaticSnapshot").is(Reading::Boolean(false)),
    ],
);

pub(super) const DISK: Class = class(
    "Msvm_StorageAllocationSettingData",
    "CIM_StorageAllocationSettingData",
    Kind::Disk,
    &[
        string("InstanceID").key().live(disk_id),
        string("HostResource").array().live(disk_file),
        uint16("ResourceType").number(31),
        string("ResourceSubType").text("Microsoft:Hyper-V:Virtual Hard Disk"),
    ],
);

/// `Microsoft:<machine>\<adapter>`.
fn adapter_id(scene: &Scene<'_>) -> Value {
    let upper = |guid: uuid::Uuid| guid.to_string().to_uppercase();
    scene.of_copy(|copy| {
        scene.of_adapter(|view| text(&format!("Microsoft:{}\\{}", upper(copy.guid), upper(view.guid))))
    })
}

fn or_null(value: Option<&String>) -> Value {
    value.map_or(Value::Null, |value| text(value))
}

fn texts(all: &[impl ToString]) -> Value {
    Value::List(all.iter().map(|one| text(&one.to_string())).collect())
}

/// The controller that a machine's disks are attached to, by the id that Hyper-V gives every first one.
const CONTROLLER: &str = "83F8638B-8DCA-4152-9EDA-2CA8B33039B4";

fn disk_id(scene: &Scene<'_>) -> Value {
    let Key::Disk(_, disk) = scene.object.key else { return Value::Null };
    let id = |guid: String| format!("Microsoft:{guid}\\{CONTROLLER}\\0\\{disk}\\L");
    scene.of_copy(|view| text(&id(view.guid.to_string().to_uppercase())))
}

fn disk_file(scene: &Scene<'_>) -> Value {
    let Key::Disk(_, disk) = scene.object.key else { return Value::Null };
    scene.of_copy(|view| Value::List(vec![text(&view.disk_path(disk, scene.look))]))
}

pub(super) const ADAPTER: Class = class(
    "Msvm_EthernetPortAllocationSettingData",
    "CIM_EthernetPortAllocationSettingData",
    Kind::Adapter,
    &[
        string("InstanceID").key().live(adapter_id),
        string("TestReplicaPoolID").live(|s| s.of_adapter(|view| or_null(view.adapter.test_pool.as_ref()))),
        string("TestReplicaSwitchName")
            .live(|s| s.of_adapter(|view| or_null(view.adapter.test_switch.as_ref()))),
    ],
);

pub(super) const FAILOVER_ADAPTER: Class = class(
    "Msvm_FailoverNetworkAdapterSettingData",
    "CIM_SettingData",
    Kind::Adapter,
    &[
        uint16("ProtocolIFType").live(|s| {
            s.of_adapter(|view| {
                number(view.adapter.failover.as_ref().map_or(0, FailoverAddresses::protocol_number))
            })
        }),
        property("DHCPEnabled", CimType::Boolean).live(|s| s.told(|a| Value::Boolean(a.dhcp))),
        string("IPAddresses").array().live(|s| s.told(|a| texts(&a.addresses))),
        string("Subnets").array().live(|s| s.told(|a| texts(&a.subnets))),
        string("DefaultGateways").array().limit(Limit::Elements(5)).live(|s| s.told(|a| texts(&a.gateways))),
        string("DNSServers").array().live(|s| s.told(|a| texts(&a.dns_servers))),
        string("InstanceID").key(),
        string("Caption"),
        string("Description"),
        string("ElementName"),
    ],
);

pub(super) const MANAGEMENT: Class = class(
    "Msvm_VirtualSystemManagementService",
    "CIM_VirtualSystemManagementService",
    Kind::Host,
    &[
        string("CreationClassName").key().text("Msvm_VirtualSystemManagementService"),
        string("Name").key().text("vmms"),
        string("SystemName").key().live(|s| text(s.host_name())),
    ],
);
