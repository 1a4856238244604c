//! Calling a method by name: finding it, reading its parameters, and the operation that it asks for.

use std::collections::BTreeMap;

use hvrsim_replica::operation::{InitialKind, Operation, Settings};
use hvrsim_sim::look::Look;
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::near::nearest;
use hvrsim_types::time::{Instant, Span};

use crate::datetime;
use crate::embedded;
use crate::error::{CallError, Stop};
use crate::identifier;
use crate::table::{CimType, METHODS, Method, Parameter, Procedure, Role};
use crate::value::Value;

/// What a call comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Planned {
    /// Something is asked of a copy; its rules answer.
    Operate {
        /// The copy.
        on: CopyId,
        /// What is asked of it.
        operation: Operation,
    },
    /// The service answers with this code before it looks at any state, and why.
    Answer(ReturnCode, String),
}

/// Finds a method by `Class.Method`, or by its name alone if one class only has it; case does not matter.
///
/// # Errors
/// No such method, with the nearest; or several classes have it.
pub fn find(name: &str) -> Result<&'static Method, CallError> {
    let unknown = |message: String| CallError::Unknown { message, help: None };
    let (class, method) = match name.split_once('.') {
        Some((class, method)) => (Some(class), method),
        None => (None, name),
    };
    let of_class = |m: &&Method| class.is_none_or(|class| m.class.eq_ignore_ascii_case(class));
    let same = |m: &&Method| of_class(m) && m.name.eq_ignore_ascii_case(method);
    let found: Vec<_> = METHODS.iter().filter(same).collect();
    match found.as_slice() {
        [only] => Ok(only),
        [_, ..] => {
            let names: Vec<_> = found.iter().map(|m| m.full_name()).collect();
            let help = format!("write one of {}", names.join(", "));
            Err(unknown(format!("several classes have a method `{name}`")).help(help))
        }
        [] => {
            let siblings: Vec<_> = METHODS.iter().filter(of_class).collect();
            let near = match siblings.is_empty() {
                false => nearest(method, siblings.iter().map(|m| m.name)).map(str::to_owned),
                true => {
                    let full: Vec<_> = METHODS.iter().map(Method::full_name).collect();
                    nearest(name, full.iter().map(String::as_str)).map(str::to_owned)
                }
            };
            Err(unknown(format!("there is no method `{name}`")).near(near.as_deref()))
        }
    }
}

/// Calls a method on `host`.
///
/// Parameters have their documented names in any case. The machine is `ComputerSystem` (its name, its GUID or its
/// path), also for methods of `Msvm_ComputerSystem`; a job is `Job`, its number on the host. A parameter that the
/// documentation calls optional may be left out; Null is written as null.
///
/// # Errors
/// A method or a parameter that does not exist or is missing, a value that its type cannot hold, the name of a host
/// or a machine that no scenario has, and everything that this version does not simulate. What the real service
/// answers by a return code is no error but [`Planned::Answer`].
pub fn call(
    method: &str,
    parameters: &BTreeMap<String, Value>,
    host: HostId,
    look: &dyn Look,
) -> Result<Planned, CallError> {
    let method = simulated(method)?;
    let call = Invocation { method, values: values(method, parameters)?, host, look };
    match call.planned() {
        Ok((on, operation)) => Ok(Planned::Operate { on, operation }),
        Err(Stop::Answer(code, why)) => Ok(Planned::Answer(code, why)),
        Err(Stop::Wrong(error)) => Err(error),
    }
}

/// Checks what can be known without a world: that the method and its parameters exist and that the types fit.
///
/// # Errors
/// As [`call`], except for what depends on names of hosts and machines.
pub fn check(method: &str, parameters: &BTreeMap<String, Value>) -> Result<(), CallError> {
    values(simulated(method)?, parameters).map(|_| ())
}

fn simulated(name: &str) -> Result<&'static Method, CallError> {
    let method = find(name)?;
    if method.is_simulated() {
        return Ok(method);
    }
    let message = format!("{} is not supported by this version", method.full_name());
    Err(CallError::NotSimulated { message })
}

type Values<'a> = BTreeMap<&'static str, &'a Value>;

/// The values by their documented names, every type fit for its parameter.
fn values<'a>(method: &Method, written: &'a BTreeMap<String, Value>) -> Result<Values<'a>, CallError> {
    let mut values = Values::new();
    for (name, value) in written {
        let Some(parameter) = method.parameter(name) else {
            let message = format!("{} has no parameter `{name}`", method.name);
            let ins = method.parameters.iter().filter(|p| p.role != Role::Out).map(|p| p.name);
            return Err(CallError::parameter(name, message).near(nearest(name, ins)));
        };
        if parameter.role == Role::Out {
            return Err(CallError::parameter(name, format!("`{}` is returned, not given", parameter.name)));
        }
        if let Some(expected) = misfit(parameter, value) {
            let message = format!("`{}` is {}", parameter.name, value.kind());
            return Err(CallError::parameter(name, message).help(format!("it needs {expected}")));
        }
        if let CimType::Embedded(class) = parameter.ty {
            embedded::check_names(name, class, value)?;
        }
        if values.insert(parameter.name, value).is_some() {
            return Err(CallError::parameter(name, format!("`{}` stands twice", parameter.name)));
        }
    }
    let needed = |p: &&Parameter| matches!(p.role, Role::Target | Role::Required);
    match method.parameters.iter().filter(needed).find(|p| !values.contains_key(p.name)) {
        None => Ok(values),
        Some(missing) => {
            let message = format!("{} needs `{}`", method.name, missing.name);
            Err(CallError::parameter(missing.name, message).help("Null is written as null"))
        }
    }
}

/// What the parameter's type needs, if the value is not that. What is in an embedded instance is not looked at: the
/// service itself answers for it.
fn misfit(parameter: &Parameter, value: &Value) -> Option<&'static str> {
    let (fits, expected) = match (parameter.ty, value) {
        (_, Value::Null) | (CimType::Embedded(_), _) => return None,
        (CimType::Uint16, Value::Integer(n)) => (u16::try_from(*n).is_ok(), "a number from 0 to 65535"),
        (CimType::Uint16, _) => (false, "a number from 0 to 65535"),
        (CimType::Boolean, value) => (matches!(value, Value::Boolean(_)), "true or false"),
        (CimType::Reference("CIM_ConcreteJob"), value) => {
            (matches!(value, Value::Integer(_) | Value::Text(_)), "the job's number")
        }
        (CimType::Text | CimType::DateTime | CimType::Reference(_), value) => {
            (matches!(value, Value::Text(_)), "a text")
        }
        (CimType::Texts | CimType::EmbeddedArray(_), value) => (matches!(value, Value::List(_)), "an array"),
    };
    (!fits).then_some(expected)
}

struct Invocation<'a> {
    method: &'static Method,
    values: Values<'a>,
    host: HostId,
    look: &'a dyn Look,
}

impl Invocation<'_> {
    fn value(&self, name: &'static str) -> &Value {
        self.values.get(name).copied().unwrap_or(&Value::Null)
    }

    /// A `uint16`; Null is not one.
    fn number(&self, name: &'static str) -> Result<i64, Stop> {
        match self.value(name) {
            Value::Integer(number) => Ok(*number),
            _ => Err(Stop::invalid(format!("{name} is Null"))),
        }
    }

    fn planned(&self) -> Result<(CopyId, Operation), Stop> {
        if self.method.procedure == Procedure::JobState {
            return self.job_state();
        }
        let on = identifier::machine("ComputerSystem", self.value("ComputerSystem"), self.host, self.look)?;
        let operation = match self.method.procedure {
            Procedure::Create => self.create()?,
            Procedure::Modify => self.modify(on)?,
            Procedure::Remove => Operation::Remove,
            Procedure::RemoveEx => {
                self.relationship(on)?;
                Operation::Remove
            }
            Procedure::Reverse => {
                let settings = self.settings()?;
                Operation::Reverse { to: settings.to, change: settings.change }
            }
            Procedure::StartReplication => self.start_replication()?,
            Procedure::InitiateFailover => {
                let name = "SnapshotSettingData";
                Operation::Failover { point: identifier::point(name, self.value(name), on, self.look)? }
            }
            Procedure::RevertFailover => Operation::RevertFailover,
            Procedure::CommitFailover => Operation::CommitFailover,
            Procedure::InitiateFailback => self.failback(on)?,
            Procedure::Resynchronize => Operation::Resynchronize { at: self.start_time()? },
            Procedure::ResetStatistics => Operation::ResetStatistics,
            Procedure::ResetStatisticsEx => {
                self.relationship(on)?;
                Operation::ResetStatistics
            }
            Procedure::ReplicationState => self.replication_state()?,
            Procedure::ReplicationStateEx => {
                if !self.value("ReplicationRelationship").is_empty() {
                    self.relationship(on)?;
                }
                self.replication_state()?
            }
            Procedure::MachineState => self.machine_state()?,
            Procedure::JobState | Procedure::NotSimulated => {
                return Err(Stop::not_simulated(self.method.full_name()));
            }
        };
        Ok((on, operation))
    }

    fn settings(&self) -> Result<embedded::Settings, Stop> {
        let name = "ReplicationSettingData";
        embedded::settings(name, self.value(name), self.look)
    }

    fn relationship(&self, on: CopyId) -> Result<(), Stop> {
        let name = "ReplicationRelationship";
        embedded::relationship(name, self.value(name), on, self.look)
    }

    fn create(&self) -> Result<Operation, Stop> {
        let embedded::Settings { to, change } = self.settings()?;
        let to = to.ok_or_else(|| Stop::invalid("RecoveryConnectionPoint is Null or empty"))?;
        Ok(Operation::Enable { to, settings: change.applied_to(&Settings::default()) })
    }

    /// A client passes the whole instance back: the connection point may stand in it if it stays.
    fn modify(&self, on: CopyId) -> Result<Operation, Stop> {
        let embedded::Settings { to, change } = self.settings()?;
        let peer = self.look.copy(on).and_then(|view| view.peer);
        if to.is_some_and(|to| Some(to) != peer && to != on.host) {
            return Err(Stop::not_simulated("moving a relationship to another RecoveryConnectionPoint"));
        }
        Ok(Operation::Modify(change))
    }

    fn start_replication(&self) -> Result<Operation, Stop> {
        let kind = match self.number("InitialReplicationType")? {
            1 => InitialKind::Network,
            2 => return Err(Stop::not_simulated("InitialReplicationType 2 (export)")),
            3 => InitialKind::Seeded,
            other => return Err(Stop::invalid(format!("InitialReplicationType is {other}, not 1, 2 or 3"))),
        };
        Ok(Operation::StartInitialReplication { kind, at: self.start_time()? })
    }

    fn failback(&self, on: CopyId) -> Result<Operation, Stop> {
        let (settings, point) = ("ReplicationSettingData", "RecoveryPointIdentifier");
        Ok(Operation::InitiateFailback {
            settings: embedded::failback(settings, self.value(settings), self.look),
            point: identifier::point(point, self.value(point), on, self.look)?,
        })
    }

    /// `RequestReplicationStateChange`: the values that are documented, and 15.
    fn replication_state(&self) -> Result<Operation, Stop> {
        Ok(match self.number("RequestedState")? {
            1 => Operation::StopInitialReplication,
            2 => Operation::AsReplica,
            3 => Operation::Resume,
            4 => Operation::Prepare,
            7 => Operation::Suspend,
            9 => Operation::StopResynchronize,
            15 => return Err(Stop::not_simulated("RequestedState 15 (retry a change of the disk set)")),
            other => {
                return Err(Stop::invalid(format!("RequestedState is {other}, not 1, 2, 3, 4, 7 or 9")));
            }
        })
    }

    fn machine_state(&self) -> Result<Operation, Stop> {
        Ok(match self.number("RequestedState")? {
            2 => Operation::StartVm,
            3 => Operation::TurnOffVm,
            6 => Operation::SaveVm,
            state @ (4 | 9 | 10 | 11) => {
                return Err(Stop::not_simulated(format!("RequestedState {state} of a machine")));
            }
            other => {
                let why = format!("RequestedState {other} cannot be requested of a machine");
                return Err(Stop::Answer(ReturnCode::INVALID_STATE, why));
            }
        })
    }

    /// `Msvm_ConcreteJob.RequestStateChange`, with codes of its own: 1 Not Supported, 5 Invalid Parameter.
    fn job_state(&self) -> Result<(CopyId, Operation), Stop> {
        let (on, job) = identifier::job("Job", self.value("Job"), self.host, self.look)?;
        match self.value("RequestedState") {
            Value::Integer(4) => Ok((on, Operation::CancelJob(job))),
            Value::Integer(state @ (2 | 3 | 5 | 6)) => {
                Err(Stop::Answer(ReturnCode(1), format!("a replication job cannot go to state {state}")))
            }
            _ => Err(Stop::Answer(ReturnCode(5), "RequestedState is not 2 to 6".to_owned())),
        }
    }

    /// `StartTime`: Null is now.
    fn start_time(&self) -> Result<Option<Instant>, Stop> {
        /// Ten years: every later start is as far beyond what is allowed.
        const FAR_AHEAD_S: u64 = 3653 * 86_400;
        let name = "StartTime";
        let text = match self.value(name) {
            Value::Text(text) if !text.is_empty() => text,
            _ => return Ok(None),
        };
        let Some(wanted) = datetime::moment(text) else {
            let error = CallError::parameter(name, format!("`{text}` is not a CIM datetime"));
            return Err(error.help(format!("write it as {}", datetime::MOMENT)).into());
        };
        let (calendar, now) = (self.look.calendar(), self.look.now());
        match u64::try_from(wanted - calendar.unix_s(now)) {
            Ok(ahead) => Ok(Some(now + Span::seconds(ahead.min(FAR_AHEAD_S)))),
            Err(_) => Err(Stop::invalid(format!("StartTime lies in the past: it is {}", calendar.show(now)))),
        }
    }
}
