//! Embedded instances: maps with WMI property names, read against the class's properties.

use std::collections::BTreeMap;

use hvrsim_replica::operation::{FailbackSettings, Frequency, RECOVERY_HISTORY_MAX, SettingsChange};
use hvrsim_sim::look::Look;
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::near::nearest;
use hvrsim_types::time::Span;
use uuid::Uuid;

use crate::datetime;
use crate::error::{CallError, Stop};
use crate::identifier;
use crate::table::{CimType, RELATIONSHIP, SETTINGS};
use crate::value::Value;

/// The built-in host-to-host provider (`Msvm_ReplicationProvider.Name`).
const BUILT_IN: &str = "22391CDC-272C-4DDF-BA88-9BEFB1A0975C";

/// Providers that are registered besides the built-in one, and whether they can fail back.
const EXTERNAL: &[(&str, bool)] = &[("sim-failback", true), ("sim-nofailback", false)];

/// A provider as settings name it.
enum Provider {
    BuiltIn,
    External { capable: bool },
    Unknown,
}

fn provider(name: &str) -> Provider {
    let ends = name.len().checked_sub(BUILT_IN.len()).and_then(|from| name.get(from..));
    if name.eq_ignore_ascii_case("built-in") || ends.is_some_and(|end| end.eq_ignore_ascii_case(BUILT_IN)) {
        return Provider::BuiltIn;
    }
    match EXTERNAL.iter().find(|(registered, _)| registered.eq_ignore_ascii_case(name)) {
        Some((_, capable)) => Provider::External { capable: *capable },
        None => Provider::Unknown,
    }
}

/// The properties that are not Null, by their documented names.
struct Instance<'a>(BTreeMap<&'static str, &'a Value>);

impl Instance<'_> {
    fn text(&self, name: &str) -> Option<&str> {
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

/// Reads a map against the properties of its class. `None` for Null, an empty text and an empty map.
fn read<'a>(
    parameter: &str,
    value: &'a Value,
    class: &'static [(&'static str, CimType)],
) -> Result<Option<Instance<'a>>, Stop> {
    let map = match value {
        value if value.is_empty() => return Ok(None),
        Value::Map(map) if map.is_empty() => return Ok(None),
        Value::Map(map) => map,
        other => return Err(Stop::unreadable(format!("{parameter} is {}, not an instance", other.kind()))),
    };
    let mut found = BTreeMap::new();
    for (name, ty) in class {
        let written = map.iter().find(|(written, _)| written.eq_ignore_ascii_case(name));
        let Some((_, value)) = written.filter(|(_, value)| **value != Value::Null) else { continue };
        if !fits(value, *ty) {
            return Err(Stop::unreadable(format!("{parameter}.{name} is {}", value.kind())));
        }
        found.insert(*name, value);
    }
    Ok(Some(Instance(found)))
}

/// Refuses properties that the class of an embedded instance does not have: a client could not set them.
pub(crate) fn check_names(parameter: &str, class: &str, value: &Value) -> Result<(), CallError> {
    let Value::Map(map) = value else { return Ok(()) };
    let class = if class == "Msvm_ReplicationRelationship" { RELATIONSHIP } else { SETTINGS };
    let known = |written: &str| class.iter().any(|(name, _)| name.eq_ignore_ascii_case(written));
    match map.keys().find(|written| !known(written)) {
        None => Ok(()),
        Some(written) => {
            let error = CallError::Parameter {
                parameter: parameter.to_owned(),
                property: Some(written.clone()),
                message: format!("{parameter} has no property `{written}`"),
                help: None,
            };
            Err(error.near(nearest(written, class.iter().map(|(name, _)| *name))))
        }
    }
}

/// Whether a property of this type can hold the value.
fn fits(value: &Value, ty: CimType) -> bool {
    match ty {
        CimType::Uint16 => matches!(value, Value::Integer(n) if u16::try_from(*n).is_ok()),
        CimType::Boolean => matches!(value, Value::Boolean(_)),
        CimType::Text | CimType::DateTime | CimType::Reference(_) => matches!(value, Value::Text(_)),
        CimType::Texts | CimType::EmbeddedArray(_) => matches!(value, Value::List(_)),
        CimType::Embedded(_) => matches!(value, Value::Map(_)),
    }
}

/// `Msvm_ReplicationSettingData` for creating, changing and reversing a relationship.
pub(crate) struct Settings {
    /// `RecoveryConnectionPoint`.
    pub(crate) to: Option<HostId>,
    /// What is set; Null stays.
    pub(crate) change: SettingsChange,
}

/// Reads settings for the built-in provider.
pub(crate) fn settings(parameter: &str, value: &Value, look: &dyn Look) -> Result<Settings, Stop> {
    let Some(instance) = read(parameter, value, SETTINGS)? else {
        return Err(Stop::invalid(format!("{parameter} is Null or empty")));
    };
    match instance.text("ReplicationProvider").map(provider) {
        None | Some(Provider::BuiltIn) => {}
        Some(Provider::External { .. }) => {
            return Err(Stop::not_simulated("a relationship of an external provider"));
        }
        Some(Provider::Unknown) => return Err(Stop::invalid("ReplicationProvider is not registered")),
    }
    if instance.0.contains_key("IncludedDisks") {
        return Err(Stop::not_simulated("IncludedDisks (without it every disk is replicated)"));
    }
    if instance.number("ApplicationConsistentSnapshotInterval").is_some_and(|hours| hours != 0) {
        return Err(Stop::not_simulated("ApplicationConsistentSnapshotInterval other than 0"));
    }
    let to = match instance.text("RecoveryConnectionPoint") {
        None => None,
        Some(name) => Some(identifier::host(name, look).ok_or_else(|| {
            let hosts = look.host_names();
            let near = nearest(name, hosts.iter().map(String::as_str));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Stop::invalid(format!("RecoveryConnectionPoint names no host that is known: `{name}`{hint}"))
        })?),
    };
    Ok(Settings { to, change: change(&instance)? })
}

fn change(instance: &Instance<'_>) -> Result<SettingsChange, Stop> {
    let frequency = instance.number("ReplicationInterval").map(|seconds| {
        let known = u64::try_from(seconds).ok().and_then(Frequency::from_interval_s);
        known.ok_or_else(|| Stop::invalid(format!("ReplicationInterval is {seconds}, not 30, 300 or 900")))
    });
    let recovery_history = instance.number("RecoveryHistory").map(|points| {
        let known = u8::try_from(points).ok().filter(|n| *n <= RECOVERY_HISTORY_MAX);
        known.ok_or_else(|| {
            Stop::invalid(format!("RecoveryHistory is {points}, not 0 to {RECOVERY_HISTORY_MAX}"))
        })
    });
    Ok(SettingsChange {
        frequency: frequency.transpose()?,
        recovery_history: recovery_history.transpose()?,
        compression: instance.boolean("CompressionEnabled"),
        auto_resync: instance.boolean("AutoResynchronizeEnabled"),
        auto_resync_start: time_of_day(instance, "AutoResynchronizeIntervalStart")?,
        auto_resync_end: time_of_day(instance, "AutoResynchronizeIntervalEnd")?,
    })
}

fn time_of_day(instance: &Instance<'_>, name: &str) -> Result<Option<Span>, Stop> {
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
    let capable = match provider(provider_name) {
        Provider::BuiltIn => true,
        Provider::External { capable } => capable,
        Provider::Unknown => return FailbackSettings::UnknownProvider,
    };
    FailbackSettings::Given { from: identifier::host(point, look), capable }
}

/// Which relationship an embedded `Msvm_ReplicationRelationship` means: only the primary one is simulated.
pub(crate) fn relationship(parameter: &str, value: &Value, on: CopyId, look: &dyn Look) -> Result<(), Stop> {
    let Some(instance) = read(parameter, value, RELATIONSHIP)? else {
        return Err(Stop::invalid(format!("{parameter} is Null or empty")));
    };
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
        "0" => Ok(()),
        "1" => Err(Stop::not_simulated("the extended relationship")),
        _ => Err(malformed()),
    }
}
