//! Embedded instances, as CIM-XML text or as maps with WMI property names, read against the class's properties.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hvrsim_replica::operation::{FailbackSettings, Frequency, SettingsChange};
use hvrsim_sim::look::Look;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::near::nearest;
use hvrsim_types::network::FailoverAddresses;
use hvrsim_types::time::Span;
use uuid::Uuid;

use crate::datetime;
use crate::error::{CallError, Stop};
use crate::identifier;
use crate::object::{Key, find_object};
use crate::providers;
use crate::table::{self, Class};
use crate::value::Value;
use crate::xml;

/// The properties that are not Null, by their documented names.
pub(crate) struct Instance(BTreeMap<&'static str, Value>);

impl Instance {
    pub(crate) fn values(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<i64> {
        match self.0.get(name)? {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    fn boolean(&self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            Value::Boolean(value) => Some(*value),
            _ => None,
        }
    }
}

/// Reads an instance against its class. `None` for Null, an empty text and an empty map.
///
/// # Errors
/// 32776: it is no instance of the class, or a value is not of its property's type.
pub(crate) fn read(parameter: &str, value: &Value, class: &str) -> Result<Option<Instance>, Stop> {
    let class = class_of(class);
    let parsed;
    let map = match value {
        value if value.is_empty() => return Ok(None),
        Value::Map(map) if map.is_empty() => return Ok(None),
        Value::Map(map) => map,
        Value::Text(text) => {
            parsed = xml::parse(text).map_err(|why| {
                Stop::unreadable(format!("{parameter} is not the text of an instance: {why}"))
            })?;
            if !parsed.class.eq_ignore_ascii_case(class.name) {
                let why = format!("{parameter} is a {}, not a {}", parsed.class, class.name);
                return Err(Stop::unreadable(why));
            }
            if let Some(unknown) = parsed.properties.keys().find(|name| class.property(name).is_none()) {
                return Err(Stop::unreadable(format!("{parameter} has no property {unknown}")));
            }
            &parsed.properties
        }
        other => return Err(Stop::unreadable(format!("{parameter} is {}, not an instance", other.kind()))),
    };
    let mut found = BTreeMap::new();
    for (written, value) in map {
        let Some(property) = class.property(written).filter(|_| *value != Value::Null) else { continue };
        let fits = match value {
            Value::List(list) => property.array && list.iter().all(|one| property.ty.holds(one)),
            one => !property.array && property.ty.holds(one),
        };
        if !fits {
            return Err(Stop::unreadable(format!("{parameter}.{} is {}", property.name, value.kind())));
        }
        found.insert(property.name, value.clone());
    }
    Ok(Some(Instance(found)))
}

/// As [`read`], and an instance there must be, within the limits of its class.
///
/// # Errors
/// 32776 as [`read`]; 32773 for Null, an empty instance, or a value that its property does not allow.
pub(crate) fn required(parameter: &str, value: &Value, class: &str) -> Result<Instance, Stop> {
    let Some(instance) = read(parameter, value, class)? else {
        return Err(Stop::invalid(format!("{parameter} is Null or empty")));
    };
    for (name, value) in instance.values() {
        let limit = class_of(class).property(name).map(|p| p.limit);
        if let Some(limit) = limit.filter(|limit| !limit.allows(value)) {
            let found = match value {
                Value::Integer(n) => n.to_string(),
                Value::List(list) => format!("{} elements", list.len()),
                _ => "longer".to_owned(),
            };
            return Err(Stop::invalid(format!("{parameter}.{name} is {found}, not {limit}")));
        }
    }
    Ok(instance)
}

fn class_of(name: &str) -> &'static Class {
    table::class(name).unwrap_or(table::CLASSES[0])
}

/// Refuses properties that the class of an embedded instance does not have: a client could not set them.
pub(crate) fn check_names(parameter: &str, class: &str, value: &Value) -> Result<(), CallError> {
    if let Value::List(list) = value {
        return list.iter().try_for_each(|one| check_names(parameter, class, one));
    }
    let Value::Map(map) = value else { return Ok(()) };
    let class = class_of(class);
    match map.keys().find(|written| class.property(written).is_none()) {
        None => Ok(()),
        Some(written) => {
            let error = CallError::Parameter {
                parameter: parameter.to_owned(),
                property: Some(written.clone()),
                message: format!("{parameter} has no property `{written}`"),
                help: None,
            };
            Err(error.near(nearest(written, class.properties.iter().map(|p| p.name))))
        }
    }
}

const SETTINGS: &str = "Msvm_ReplicationSettingData";

/// `Msvm_ReplicationSettingData` for creating, changing and reversing a relationship.
pub(crate) struct Settings {
    /// `RecoveryConnectionPoint`.
    pub(crate) to: Option<HostId>,
    /// What is set; Null stays.
    pub(crate) change: SettingsChange,
}

/// Reads settings for the built-in provider.
pub(crate) fn settings(parameter: &str, value: &Value, vm: VmId, look: &dyn Look) -> Result<Settings, Stop> {
    let instance = required(parameter, value, SETTINGS)?;
    match instance.text("ReplicationProvider").map(providers::named) {
        None => {}
        Some(Some(provider)) if provider.built_in => {}
        Some(Some(_)) => return Err(Stop::not_simulated("a relationship of an external provider")),
        Some(None) => return Err(Stop::invalid("ReplicationProvider is not registered")),
    }
    let to = match instance.text("RecoveryConnectionPoint") {
        None => None,
        Some(name) => Some(identifier::server(name, vm, look).ok_or_else(|| {
            let hosts = look.host_names();
            let near = nearest(name, hosts.iter().map(String::as_str));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Stop::invalid(format!("RecoveryConnectionPoint names no host that is known: `{name}`{hint}"))
        })?),
    };
    Ok(Settings { to, change: change(&instance)? })
}

/// The disks of a machine that `IncludedDisks` names, by paths of their instances or by their ids; Null is `None`.
pub(crate) fn included(
    parameter: &str,
    value: &Value,
    on: CopyId,
    look: &dyn Look,
) -> Result<Option<DiskSet>, Stop> {
    let instance = required(parameter, value, SETTINGS)?;
    let Some(Value::List(list)) = instance.0.get("IncludedDisks") else { return Ok(None) };
    let vm = if on.vm.is_extended() { on.vm.machine() } else { on.vm };
    let disk = |one: &Value| {
        let found = match one {
            Value::Text(name) if !name.is_empty() => find_object(DISK, name, on.host, look).ok(),
            _ => None,
        };
        match found.map(|object| object.key) {
            Some(Key::Disk(of, disk)) if of == vm => Ok(disk),
            _ => Err(Stop::invalid(format!("{parameter}.IncludedDisks names no disk of the machine"))),
        }
    };
    list.iter().map(disk).collect::<Result<DiskSet, Stop>>().map(Some)
}

const DISK: &str = "Msvm_StorageAllocationSettingData";

fn change(instance: &Instance) -> Result<SettingsChange, Stop> {
    let whole = |name| instance.number(name).and_then(|n| u64::try_from(n).ok());
    Ok(SettingsChange {
        frequency: whole("ReplicationInterval").and_then(Frequency::from_interval_s),
        recovery_history: whole("RecoveryHistory").and_then(|n| u8::try_from(n).ok()),
        compression: instance.boolean("CompressionEnabled"),
        auto_resync: instance.boolean("AutoResynchronizeEnabled"),
        auto_resync_start: time_of_day(instance, "AutoResynchronizeIntervalStart")?,
        auto_resync_end: time_of_day(instance, "AutoResynchronizeIntervalEnd")?,
        vss_hours: whole("ApplicationConsistentSnapshotInterval").and_then(|n| u8::try_from(n).ok()),
        disks: None,
    })
}

fn time_of_day(instance: &Instance, name: &str) -> Result<Option<Span>, Stop> {
    let Some(text) = instance.text(name) else { return Ok(None) };
    let seconds = datetime::interval_s(text).ok_or_else(|| {
        Stop::unreadable(format!("{name} is no interval such as 00000000183000.000000:000"))
    })?;
    if seconds >= Span::DAY.as_seconds() {
        return Err(Stop::invalid(format!("{name} is no time of day")));
    }
    Ok(Some(Span::seconds(seconds)))
}

/// Reads the settings of `InitiateFailback`. The order of checks belongs to the model, so nothing is refused here.
pub(crate) fn failback(parameter: &str, value: &Value, look: &dyn Look) -> FailbackSettings {
    let instance = match read(parameter, value, SETTINGS) {
        Ok(Some(instance)) => instance,
        Ok(None) => return FailbackSettings::Missing,
        Err(_) => return FailbackSettings::Unreadable,
    };
    let (Some(provider_name), Some(point)) =
        (instance.text("ReplicationProvider"), instance.text("RecoveryConnectionPoint"))
    else {
        return FailbackSettings::Missing;
    };
    match providers::named(provider_name) {
        Some(provider) => {
            FailbackSettings::Given { from: identifier::host(point, look), capable: provider.fails_back }
        }
        None => FailbackSettings::UnknownProvider,
    }
}

/// Which relationship of a machine an embedded `Msvm_ReplicationRelationship` means: its own, or the extended one.
pub(crate) fn relationship(
    parameter: &str,
    value: &Value,
    on: CopyId,
    look: &dyn Look,
) -> Result<CopyId, Stop> {
    let instance = required(parameter, value, "Msvm_ReplicationRelationship")?;
    let id = instance.text("InstanceID").unwrap_or_default();
    let malformed =
        || Stop::invalid(format!("{parameter}.InstanceID is not Microsoft:<machine>\\HVR\\<0 or 1>"));
    let (machine, index) =
        id.strip_prefix("Microsoft:").and_then(|id| id.split_once("\\HVR\\")).ok_or_else(malformed)?;
    let machine: Uuid = machine.parse().map_err(|_| malformed())?;
    if look.copy(on).is_none_or(|view| view.guid != machine) {
        return Err(Stop::invalid(format!("{parameter} is a relationship of another machine")));
    }
    match index {
        "0" => Ok(on),
        "1" => Ok(on.extended()),
        _ => Err(malformed()),
    }
}

/// Reads `Msvm_FailoverNetworkAdapterSettingData`.
///
/// # Errors
/// 32773: something that is no address, or a number of subnets that is not that of the addresses.
pub(crate) fn addresses(parameter: &str, instance: &Instance) -> Result<FailoverAddresses, Stop> {
    let texts = |name: &str| match instance.0.get(name) {
        Some(Value::List(list)) => list.as_slice(),
        _ => &[],
    };
    let of = |name: &'static str| -> Result<Vec<IpAddr>, Stop> {
        let read = |value: &Value| match value {
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        let read = |value: &Value| {
            read(value).ok_or_else(|| Stop::invalid(format!("{parameter}.{name} is no address")))
        };
        texts(name).iter().map(read).collect()
    };
    let (addresses, subnets) = (of("IPAddresses")?, texts("Subnets"));
    if !subnets.is_empty() && subnets.len() != addresses.len() {
        return Err(Stop::invalid(format!(
            "{parameter}.Subnets has not one element for each of IPAddresses"
        )));
    }
    let subnet = |value: &Value| if let Value::Text(text) = value { text.clone() } else { String::new() };
    Ok(FailoverAddresses {
        dhcp: instance.boolean("DHCPEnabled").unwrap_or_default(),
        subnets: subnets
            .iter()
            .map(subnet)
            .chain(std::iter::repeat(String::new()))
            .take(addresses.len())
            .collect(),
        addresses,
        gateways: of("DefaultGateways")?,
        dns_servers: of("DNSServers")?,
    })
}
