//! Names of machines, hosts, jobs and recovery points, as references and identifiers write them.

use hvrsim_replica::operation::PointChoice;
use hvrsim_sim::look::Look;
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, HostId, JobId, VmId};
use hvrsim_types::near::nearest;
use uuid::Uuid;

use crate::error::{CallError, Stop};
use crate::value::Value;

/// What a recovery point looks like, for messages.
const POINT_EXPECTED: &str = "write HOST/VM@-N, where -1 is the newest, or the point's GUID";

/// The key of an object path, `...Name="KEY"`; any other text is its own key.
fn key(text: &str) -> &str {
    let inside = |t: &str| t.rfind('"').map(|quote| quote + 1);
    text.strip_suffix('"').and_then(|t| t.get(inside(t)?..)).unwrap_or(text)
}

/// The host of that name, or the one whose name is the first label of a full domain name.
pub(crate) fn host(name: &str, look: &dyn Look) -> Option<HostId> {
    let label = || name.split_once('.').and_then(|(label, _)| look.host(label));
    look.host(name).or_else(label)
}

/// The host of that name, or the node behind the access point of a cluster's broker.
pub(crate) fn server(name: &str, vm: VmId, look: &dyn Look) -> Option<HostId> {
    host(name, look).or_else(|| look.node_behind(name.split('.').next()?, vm.machine()))
}

/// The copy that a reference names: by the machine's name, its GUID, or a path with it.
pub(crate) fn machine(parameter: &str, value: &Value, at: HostId, look: &dyn Look) -> Result<CopyId, Stop> {
    let Value::Text(text) = value else {
        return Err(Stop::invalid(format!("{parameter} is Null")));
    };
    let key = key(text);
    if key.is_empty() {
        return Err(Stop::invalid(format!("{parameter} is empty")));
    }
    let names = look.vm_names();
    let guid = key.parse::<Uuid>().ok();
    let found = match guid {
        Some(guid) => names
            .iter()
            .filter_map(|name| look.vm(name))
            .map(|vm| CopyId { host: at, vm })
            .find(|copy| look.copy(*copy).is_some_and(|view| view.guid == guid)),
        None => look.vm(key).map(|vm| CopyId { host: at, vm }),
    };
    match found {
        Some(copy) if look.copy(copy).is_some() => Ok(copy),
        None if guid.is_none() => {
            let error = CallError::parameter(parameter, format!("there is no machine `{key}`"));
            Err(error.near(nearest(key, names.iter().map(String::as_str))).into())
        }
        _ => Err(Stop::invalid(format!("{} holds no machine `{key}`", look.host_name(at)))),
    }
}

/// The job of that number on the host, with the copy that it works on.
pub(crate) fn job(
    parameter: &str,
    value: &Value,
    at: HostId,
    look: &dyn Look,
) -> Result<(CopyId, JobId), Stop> {
    let number = match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::Text(text) => key(text).parse().ok(),
        _ => None,
    };
    let Some(number) = number else {
        return Err(CallError::parameter(parameter, "a job is named by its number on the host").into());
    };
    let id = JobId(number);
    match look.job(at, id) {
        Some(view) => Ok((CopyId { host: at, vm: view.vm }, id)),
        None => {
            let host = look.host_name(at);
            Err(Stop::Answer(
                ReturnCode::INVALID_PARAMETER,
                format!("{host} has no job {number}: a job is removed 5 minutes after its end"),
            ))
        }
    }
}

/// The recovery point that an identifier or a reference names, for the machine of `on`.
pub(crate) fn point(
    parameter: &str,
    value: &Value,
    on: CopyId,
    look: &dyn Look,
) -> Result<PointChoice, Stop> {
    let text = match value {
        Value::Text(text) if !text.is_empty() => key(text),
        _ => return Ok(PointChoice::Latest),
    };
    if let Some((copy, number)) = text.rsplit_once('@') {
        return numbered(parameter, copy, number, on, look);
    }
    let (machine, guid) = match text.strip_prefix("Microsoft:") {
        Some(id) => match id.split_once('\\') {
            Some((machine, point)) => (Some(machine), point),
            None => (None, id),
        },
        None => (None, text),
    };
    let machine = machine.map(str::parse::<Uuid>).transpose();
    let (Ok(machine), Ok(guid)) = (machine, guid.parse::<Uuid>()) else {
        return Ok(PointChoice::Malformed);
    };
    let own = look.copy(on).map(|view| view.guid);
    let mine = machine.is_none_or(|machine| Some(machine) == own);
    let found = look.point_by_guid(guid).filter(|_| mine);
    Ok(found.map_or(PointChoice::Unknown, PointChoice::Id))
}

/// `HV2/web01@-2`.
fn numbered(
    parameter: &str,
    copy: &str,
    number: &str,
    on: CopyId,
    look: &dyn Look,
) -> Result<PointChoice, Stop> {
    let back = number.strip_prefix('-').and_then(|n| n.parse::<usize>().ok()).filter(|n| *n > 0);
    let (Some(back), Some((host_name, vm_name))) = (back, copy.split_once('/')) else {
        return Ok(PointChoice::Malformed);
    };
    let wrong = |what: &str, name: &str, known: Vec<String>| {
        let error =
            CallError::parameter(parameter, format!("there is no {what} `{name}`")).help(POINT_EXPECTED);
        Stop::from(error.near(nearest(name, known.iter().map(String::as_str))))
    };
    let host = host(host_name, look).ok_or_else(|| wrong("host", host_name, look.host_names()))?;
    let vm = look.vm(vm_name).ok_or_else(|| wrong("machine", vm_name, look.vm_names()))?;
    let points = look.points(CopyId { host, vm });
    let found = points.len().checked_sub(back).filter(|_| vm == on.vm).map(|index| points[index].id);
    Ok(found.map_or(PointChoice::Unknown, PointChoice::Id))
}
