//! Instances: which there are on a host, their paths, and finding one by its path, key or name.

use hvrsim_sim::look::Look;
use hvrsim_types::id::{CopyId, HostId, JobId, PointId, VmId};
use hvrsim_types::near::nearest;
use hvrsim_types::state::Mode;
use uuid::Uuid;

use crate::error::ReadError;
use crate::live::Scene;
use crate::providers::PROVIDERS;
use crate::table::{self, CLASSES, Class, Reading};
use crate::value::Value;

/// What tells the instances of a class apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// One a host.
    Host,
    /// One a host that is a replica server: any server may send.
    ReplicaServer,
    /// One a provider.
    Provider,
    /// One a machine.
    Machine,
    /// One a relationship: 0 and, where replication is extended, 1.
    Relationship,
    /// One a disk of a machine.
    Disk,
    /// The settings of a machine and of its recovery points.
    Settings,
    /// One a job.
    Job,
    /// One a job that failed or was cancelled.
    Failure,
    /// A machine and its relationships.
    MachineRelationship,
    /// A relationship and its settings.
    RelationshipSettings,
    /// A machine and its recovery points.
    MachinePoints,
    /// A machine and its newest recovery point.
    MachineNewestPoint,
    /// A machine and its jobs.
    MachineJobs,
    /// One a network adapter of a machine.
    Adapter,
    /// A network adapter and its addresses after a failover.
    AdapterFailover,
    /// None exists: the simulator has no such thing.
    Nothing,
}

/// The key of an instance on its host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Key {
    Host,
    Provider(usize),
    Machine(VmId),
    Relationship(VmId, u8),
    Disk(VmId, u8),
    Settings(VmId, Option<PointId>),
    /// An adapter of a machine, by its place.
    Adapter(VmId, u8),
    Job(JobId),
    Pair(Box<(Object, Object)>),
}

/// An instance of a class on a host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Object {
    class: &'static str,
    pub(crate) host: HostId,
    pub(crate) key: Key,
}

impl Object {
    pub(crate) const fn new(class: &'static str, host: HostId, key: Key) -> Self {
        Self { class, host, key }
    }

    pub(crate) const fn machine(copy: CopyId) -> Self {
        Self::new("Msvm_ComputerSystem", copy.host, Key::Machine(copy.vm))
    }

    pub(crate) const fn job(host: HostId, job: JobId) -> Self {
        Self::new("Msvm_ConcreteJob", host, Key::Job(job))
    }

    pub(crate) const fn relationship(class: &'static str, copy: CopyId, index: u8) -> Self {
        Self::new(class, copy.host, Key::Relationship(copy.vm, index))
    }

    pub(crate) const fn point(copy: CopyId, point: Option<PointId>) -> Self {
        Self::new("Msvm_VirtualSystemSettingData", copy.host, Key::Settings(copy.vm, point))
    }

    /// The name of its class.
    #[must_use]
    pub const fn class_name(&self) -> &'static str {
        self.class
    }

    /// The path of the job that it is or that it tells of.
    pub(crate) fn job_path(&self, look: &dyn Look) -> String {
        match self.key {
            Key::Job(job) => Self::job(self.host, job).path(look),
            _ => self.path(look),
        }
    }

    pub(crate) fn class(&self) -> &'static Class {
        table::class(self.class).unwrap_or(CLASSES[0])
    }

    /// The machine that it belongs to, if it belongs to one.
    pub(crate) fn copy(&self, look: &dyn Look) -> Option<CopyId> {
        let vm = match &self.key {
            Key::Relationship(vm, 1) => vm.extended(),
            Key::Machine(vm)
            | Key::Relationship(vm, _)
            | Key::Disk(vm, _)
            | Key::Settings(vm, _)
            | Key::Adapter(vm, _) => *vm,
            Key::Job(job) => of_machine(look.job(self.host, *job)?.vm),
            Key::Pair(ends) => return ends.0.copy(look),
            Key::Host | Key::Provider(_) => return None,
        };
        Some(CopyId { host: self.host, vm })
    }

    /// Its path: `\\HV1\root\virtualization\v2:Msvm_ComputerSystem.CreationClassName="...",Name="..."`.
    #[must_use]
    pub fn path(&self, look: &dyn Look) -> String {
        let class = self.class();
        let scene = Scene::new(self, look);
        let keys = class.properties.iter().filter(|p| p.key).map(|p| {
            let text = match scene.value(p) {
                Value::Text(text) => text,
                Value::Integer(n) => n.to_string(),
                _ => String::new(),
            };
            format!("{}=\"{}\"", p.name, text.replace('\\', r"\\").replace('"', "\\\""))
        });
        let keys: Vec<_> = keys.collect();
        let host = look.host_name(self.host);
        format!(r"\\{host}\{}:{}.{}", class.namespace, class.name, keys.join(","))
    }
}

/// Every instance of a class on a host, in a fixed order.
///
/// # Errors
/// No such class, with the nearest.
pub fn instances(class: &str, host: HostId, look: &dyn Look) -> Result<Vec<Object>, ReadError> {
    let class = known(class)?;
    let object = |key| Object::new(class.name, host, key);
    let copies = copies(host, look);
    let pair = |a: Object, b: Object| object(Key::Pair(Box::new((a, b))));
    let relationships = |copy: CopyId| indices(copy, look).into_iter().map(move |index| (copy, index));
    let points = |copy: CopyId| look.points(copy).into_iter().map(move |p| Object::point(copy, Some(p.id)));
    let disks = |copy: CopyId| {
        let count = look.copy(copy).map_or(0, |view| view.disks.len());
        (0..=u8::MAX).take(count).map(move |disk| object(Key::Disk(copy.vm, disk)))
    };
    let jobs = |copy: CopyId| [look.jobs(copy), look.jobs(copy.extended())].into_iter().flatten();
    let adapters = |copy: CopyId| (0..).take(look.adapters(copy).len()).map(move |number| (copy.vm, number));
    let each = copies.iter().copied();
    Ok(match class.kind {
        Kind::Host => vec![object(Key::Host)],
        Kind::ReplicaServer => look.is_replica_server(host).then(|| object(Key::Host)).into_iter().collect(),
        Kind::Provider => (0..PROVIDERS.len()).map(|n| object(Key::Provider(n))).collect(),
        Kind::Machine => each.map(|copy| object(Key::Machine(copy.vm))).collect(),
        Kind::Relationship => each
            .flat_map(relationships)
            .map(|(copy, index)| object(Key::Relationship(copy.vm, index)))
            .collect(),
        Kind::Disk => each.flat_map(disks).collect(),
        Kind::Settings => {
            each.flat_map(|copy| std::iter::once(Object::point(copy, None)).chain(points(copy))).collect()
        }
        Kind::Job => each.flat_map(jobs).map(|job| object(Key::Job(job.id))).collect(),
        Kind::Failure => {
            let failed = each.flat_map(jobs).filter(crate::live::failed);
            failed.map(|job| object(Key::Job(job.id))).collect()
        }
        Kind::MachineRelationship => each
            .flat_map(relationships)
            .map(|(copy, index)| pair(Object::machine(copy), Object::relationship(RELATIONSHIP, copy, index)))
            .collect(),
        Kind::RelationshipSettings => each
            .flat_map(relationships)
            .map(|(copy, index)| {
                let of = |class| Object::relationship(class, copy, index);
                pair(of(RELATIONSHIP), of("Msvm_ReplicationSettingData"))
            })
            .collect(),
        Kind::MachinePoints => each
            .flat_map(|copy| points(copy).map(move |point| (copy, point)))
            .map(|(copy, point)| pair(Object::machine(copy), point))
            .collect(),
        Kind::MachineNewestPoint => {
            each.filter_map(|copy| Some(pair(Object::machine(copy), points(copy).next_back()?))).collect()
        }
        Kind::MachineJobs => each
            .flat_map(|copy| jobs(copy).map(move |job| (copy, job.id)))
            .map(|(copy, job)| pair(Object::machine(copy), Object::job(host, job)))
            .collect(),
        Kind::Adapter => {
            each.flat_map(adapters).map(|(vm, number)| object(Key::Adapter(vm, number))).collect()
        }
        Kind::AdapterFailover => each
            .flat_map(adapters)
            .map(|(vm, number)| {
                let of = |class| Object::new(class, host, Key::Adapter(vm, number));
                pair(
                    of("Msvm_EthernetPortAllocationSettingData"),
                    of("Msvm_FailoverNetworkAdapterSettingData"),
                )
            })
            .collect(),
        Kind::Nothing => Vec::new(),
    })
}

const RELATIONSHIP: &str = "Msvm_ReplicationRelationship";

fn known(class: &str) -> Result<&'static Class, ReadError> {
    table::class(class).ok_or_else(|| {
        let near = nearest(class, CLASSES.iter().map(|c| c.name));
        ReadError::Class { name: class.to_owned(), near: near.map(str::to_owned) }
    })
}

fn copies(host: HostId, look: &dyn Look) -> Vec<CopyId> {
    let vms = look.vm_names().into_iter().filter_map(|name| look.vm(&name));
    vms.map(|vm| CopyId { host, vm }).filter(|copy| look.copy(*copy).is_some()).collect()
}

/// The relationships of a machine that replicates: its own, and behind it that of a middle copy to a third host.
fn indices(copy: CopyId, look: &dyn Look) -> Vec<u8> {
    let replicates = |copy| look.copy(copy).is_some_and(|view| view.mode != Mode::None);
    [(copy, 0), (copy.extended(), 1)].into_iter().filter(|(of, _)| replicates(*of)).map(|(_, n)| n).collect()
}

/// The machine, where its extended relationship is meant.
const fn of_machine(vm: VmId) -> VmId {
    if vm.is_extended() { vm.machine() } else { vm }
}

/// The instance of a class that a text names: its path, the value of one of its keys, the machine's name or GUID, or
/// nothing where a host has one only.
///
/// # Errors
/// No such class or instance.
pub fn find_object(class: &str, text: &str, host: HostId, look: &dyn Look) -> Result<Object, ReadError> {
    let all = instances(class, host, look)?;
    let missing = || ReadError::Instance { class: class.to_owned(), name: text.to_owned() };
    if text.is_empty() {
        return match <[Object; 1]>::try_from(all) {
            Ok([only]) => Ok(only),
            Err(_) => Err(missing()),
        };
    }
    let same = |other: &str| other.eq_ignore_ascii_case(text);
    let guid = text.parse::<Uuid>().ok();
    let named = |object: &&Object| {
        let Some(copy) = object.copy(look) else { return false };
        let by_guid = guid.is_some() && look.copy(copy).map(|view| view.guid) == guid;
        same(look.vm_name(copy.vm)) || by_guid
    };
    let scene = |object: &Object, name: &str| {
        object.class().property(name).map(|p| Scene::new(object, look).value(p))
    };
    let keyed = |object: &&Object| {
        let keys = object.class().properties.iter().filter(|p| p.key);
        same(&object.path(look))
            || keys.into_iter().any(|p| matches!(scene(object, p.name), Some(Value::Text(key)) if same(&key)))
    };
    let found = all.iter().find(keyed).or_else(|| all.iter().find(named));
    found.cloned().ok_or_else(missing)
}

/// One property of one instance: `get("Msvm_ReplicationRelationship", "web01", "ReplicationState", ...)`.
///
/// What `instance` may be is said at [`find_object`].
///
/// # Errors
/// No such class, instance or property.
pub fn get(
    class: &str,
    instance: &str,
    property: &str,
    host: HostId,
    look: &dyn Look,
) -> Result<Value, ReadError> {
    read(&find_object(class, instance, host, look)?, property, look)
}

/// One property of an instance.
///
/// # Errors
/// Its class has no such property, with the nearest.
pub fn read(object: &Object, property: &str, look: &dyn Look) -> Result<Value, ReadError> {
    let class = object.class();
    match class.property(property) {
        Some(found) => Ok(Scene::new(object, look).value(found)),
        None => {
            let near = nearest(property, class.properties.iter().map(|p| p.name));
            let near = near.map(str::to_owned);
            Err(ReadError::Property { class: class.name.to_owned(), name: property.to_owned(), near })
        }
    }
}

/// Every property of an instance, in the class's order.
#[must_use]
pub fn properties(object: &Object, look: &dyn Look) -> Vec<(&'static str, Value)> {
    let scene = Scene::new(object, look);
    object.class().properties.iter().map(|p| (p.name, scene.value(p))).collect()
}

impl Scene<'_> {
    /// The one way to the value of a property.
    pub(crate) fn value(&self, property: &table::Property) -> Value {
        match property.reading {
            Reading::Live(live) => live(self),
            _ => property.constant().unwrap_or(Value::Null),
        }
    }
}
