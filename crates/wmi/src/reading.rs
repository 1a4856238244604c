//! Methods that only read: statistics, summaries, errors of jobs, and settings that would stay as they are.

use std::collections::BTreeMap;

use hvrsim_sim::look::{CopyView, Look};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, HostId, JobId};
use hvrsim_types::state::{Health, Mode};

use crate::call::{Answer, Planned};
use crate::embedded;
use crate::error::Stop;
use crate::identifier;
use crate::live::{failed, number, text};
use crate::object::{Key, Object, instances, properties, read};
use crate::table::{self, VALUES};
use crate::value::Value;
use crate::xml;

/// 0, and what is returned.
pub(crate) fn done(out: Vec<(&'static str, Value)>) -> Planned {
    Planned::Answer(Answer { code: ReturnCode::COMPLETED, why: String::new(), out })
}

/// `GetReplicationStatistics(Ex)`.
pub(crate) fn statistics(on: CopyId, look: &dyn Look) -> Result<Planned, Stop> {
    let Some(view) = look.copy(on).filter(|view| view.mode != Mode::None) else {
        return Err(Stop::Answer(ReturnCode::INVALID_STATE, "the machine does not replicate".to_owned()));
    };
    let machine = if on.vm.is_extended() { on.machine() } else { on };
    let index = u8::from(on.vm.is_extended());
    let statistics = Object::relationship("Msvm_ReplicationStatistics", machine, index);
    let issues = view.health_details.iter().map(|issue| text(&health_issue(&view, issue, look)));
    Ok(done(vec![
        ("ReplicationStatistics", Value::List(vec![text(&xml::to_text(&statistics, look))])),
        ("ReplicationHealthIssues", Value::List(issues.collect())),
    ]))
}

/// A reason for a health that is not normal, as an `Msvm_Error`.
fn health_issue(view: &CopyView, message: &str, look: &dyn Look) -> String {
    let severity: u16 = if view.health == Health::Critical { 4 } else { 3 };
    let Some(class) = table::class("Msvm_Error") else { return String::new() };
    let values = [
        ("ErrorType", number(4_u16)),
        ("OwningEntity", text("Msvm_ReplicationService")),
        ("Message", text(message)),
        ("MessageArguments", Value::List(vec![text(look.vm_name(view.copy.vm))])),
        ("PerceivedSeverity", number(severity)),
        ("ErrorSourceFormat", number(0_u16)),
    ];
    xml::print(class, &values)
}

/// `GetError(Ex)`: Null while the job has no error.
pub(crate) fn job_error(host: HostId, job: JobId, several: bool, look: &dyn Look) -> Planned {
    let error = look
        .job(host, job)
        .filter(failed)
        .map(|_| text(&xml::to_text(&Object::new("Msvm_Error", host, Key::Job(job)), look)));
    done(vec![match (several, error) {
        (false, error) => ("Error", error.unwrap_or(Value::Null)),
        (true, None) => ("Errors", Value::Null),
        (true, Some(error)) => ("Errors", Value::List(vec![error])),
    }])
}

/// `GetSummaryInformation`, the replication part: `Name`, and what is asked for by number.
pub(crate) fn summary(
    settings: &Value,
    wanted: &Value,
    host: HostId,
    look: &dyn Look,
) -> Result<Planned, Stop> {
    let Value::List(wanted) = wanted else { return Err(Stop::invalid("RequestedInformation is Null")) };
    let machines = match settings {
        Value::List(list) => list
            .iter()
            .map(|one| identifier::machine("SettingData", one, host, look))
            .map(|copy| Ok(Object::new(SUMMARY, host, Key::Machine(copy?.vm))))
            .collect::<Result<Vec<_>, Stop>>()?,
        _ => instances(SUMMARY, host, look).unwrap_or_default(),
    };
    let ids = VALUES.iter().find(|values| values.name == "Msvm_SummaryInformation.RequestedInformation");
    let name = |id: &Value| match id {
        Value::Integer(id) => ids?.name_of(u32::try_from(*id).ok()?),
        _ => None,
    };
    let asked: Vec<&str> = std::iter::once("Name").chain(wanted.iter().filter_map(name)).collect();
    let one = |machine: &Object| {
        let all = properties(machine, look).into_iter();
        let shown = all
            .map(|(name, value)| (name.to_owned(), if asked.contains(&name) { value } else { Value::Null }));
        Value::Map(shown.collect::<BTreeMap<_, _>>())
    };
    Ok(done(vec![("SummaryInformation", Value::List(machines.iter().map(one).collect()))]))
}

const SUMMARY: &str = "Msvm_SummaryInformation";

/// Settings that a host has and the simulator does not change: 0 if nothing would change, else 32770.
pub(crate) fn unchanged(
    (parameter, value): (&str, &Value),
    class: &'static str,
    what: Option<&str>,
    host: HostId,
    look: &dyn Look,
) -> Result<Planned, Stop> {
    let given = embedded::required(parameter, value, class)?;
    let present = instances(class, host, look).ok().and_then(|all| all.into_iter().next());
    let differs = |(name, value): &(&'static str, &Value)| {
        let now = present.as_ref().and_then(|object| read(object, name, look).ok());
        now.as_ref() != Some(*value)
    };
    match given.values().find(differs) {
        None => Ok(done(Vec::new())),
        Some((name, _)) => Err(Stop::not_simulated(match what {
            Some(what) => what.to_owned(),
            None => format!("another {name} of a host"),
        })),
    }
}
