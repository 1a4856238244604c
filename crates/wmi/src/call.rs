//! Calling a method by name: finding it, reading its parameters, and the operation that it asks for.

use std::collections::BTreeMap;

use hvrsim_replica::operation::{InitialKind, Operation, PointChoice, Settings, SettingsChange};
use hvrsim_sim::look::Look;
use hvrsim_types::code::ReturnCode;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::near::nearest;
use hvrsim_types::network::{AdapterChange, AdapterSetting};
use hvrsim_types::state::Mode;
use hvrsim_types::time::{Instant, Span};

use crate::datetime;
use crate::embedded;
use crate::error::{CallError, Stop};
use crate::identifier;
use crate::reading;
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
    /// The service answers without asking a copy.
    Answer(Answer),
}

/// What a method answers at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Its return value.
    pub code: ReturnCode,
    /// Why, in words; empty if there is nothing to explain.
    pub why: String,
    /// Its out parameters.
    pub out: Vec<(&'static str, Value)>,
}

/// Finds a method by `Class.Method`, or by its name alone if one class of `root\virtualization\v2` only has it; case
/// does not matter.
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
    let mut found: Vec<_> = METHODS.iter().filter(same).collect();
    if found.len() > 1 && class.is_none() {
        found.retain(|m| m.procedure != Procedure::Collection);
    }
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
/// or a machine that no scenario has. What the real service answers by a return code is no error but
/// [`Planned::Answer`]; what this version does not simulate is answered as by a service that does not support it, and
/// the answer says so.
pub fn call(
    method: &str,
    parameters: &BTreeMap<String, Value>,
    host: HostId,
    look: &dyn Look,
) -> Result<Planned, CallError> {
    let method = find(method)?;
    let call = Invocation { method, values: values(method, parameters)?, host, look };
    match call.planned() {
        Ok(planned) => Ok(planned),
        Err(Stop::Answer(code, why)) => {
            Ok(Planned::Answer(Answer { code: method.answer(code), why, out: Vec::new() }))
        }
        Err(Stop::Wrong(error)) => Err(error),
    }
}

impl Method {
    /// How this method puts an answer of the replication service: the DMTF's own methods have numbers of their own
    /// (machines: 1 not supported, 2 failed, 4 invalid parameter, 5 invalid state; jobs: 4 failed, 5 invalid parameter).
    #[must_use]
    pub fn answer(&self, code: ReturnCode) -> ReturnCode {
        if self.returns.contains(&code) {
            return code;
        }
        let own = match (self.class == "Msvm_ConcreteJob", code) {
            (_, ReturnCode::NOT_SUPPORTED) => 1,
            (true, ReturnCode::INVALID_PARAMETER | ReturnCode::INCORRECT_DATA_TYPE) => 5,
            (true, _) => 4,
            (false, ReturnCode::INVALID_PARAMETER | ReturnCode::INCORRECT_DATA_TYPE) => 4,
            (false, ReturnCode::INVALID_STATE | ReturnCode::IN_USE) => 5,
            (false, _) => 2,
        };
        let own = ReturnCode(own);
        if self.returns.contains(&own) { own } else { ReturnCode(1) }
    }
}

/// Checks what can be known without a world: that the method and its parameters exist and that the types fit.
///
/// # Errors
/// As [`call`], except for what depends on names of hosts and machines.
pub fn check(method: &str, parameters: &BTreeMap<String, Value>) -> Result<(), CallError> {
    values(find(method)?, parameters).map(|_| ())
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
    let needed = |p: &&Parameter| matches!(p.role, Role::This | Role::Target | Role::Required);
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
fn misfit(parameter: &Parameter, value: &Value) -> Option<String> {
    let embedded = matches!(parameter.ty, CimType::Embedded(_));
    let fits = match value {
        Value::Null => true,
        Value::List(list) if parameter.array => embedded || list.iter().all(|one| fits(parameter.ty, one)),
        _ if parameter.array => false,
        one => embedded || fits(parameter.ty, one),
    };
    if fits {
        return None;
    }
    let one = match parameter.ty {
        CimType::Reference("CIM_ConcreteJob") => "the job's number".to_owned(),
        CimType::Boolean => "true or false".to_owned(),
        ty => match ty.bounds() {
            Some((low, high)) => format!("a number from {low} to {high}"),
            None => "a text".to_owned(),
        },
    };
    Some(if parameter.array { format!("an array, each {one}") } else { one })
}

fn fits(ty: CimType, value: &Value) -> bool {
    let job_number = ty == CimType::Reference("CIM_ConcreteJob") && matches!(value, Value::Integer(_));
    job_number || ty.holds(value)
}

/// What authorization entries would decide.
const ENTRIES: &str = "an authorization entry other than that of every server";

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

    fn planned(&self) -> Result<Planned, Stop> {
        use Procedure as P;
        match self.method.procedure {
            P::JobState => self.job_state().map(|(on, operation)| Planned::Operate { on, operation }),
            P::JobError | P::JobErrors => {
                let (_, job) = identifier::job("Job", self.value("Job"), self.host, self.look)?;
                let several = self.method.procedure == P::JobErrors;
                Ok(reading::job_error(self.host, job, several, self.look))
            }
            P::Summary => {
                let (settings, wanted) = (self.value("SettingData"), self.value("RequestedInformation"));
                reading::summary(settings, wanted, self.host, self.look)
            }
            P::GetStatistics => Ok(reading::statistics(self.machine()?, self.look)?),
            P::GetStatisticsEx => {
                let on = self.relationship(self.machine()?)?;
                Ok(reading::statistics(on, self.look)?)
            }
            P::Certificates => Ok(reading::done(vec![("EncodedCertificates", Value::List(Vec::new()))])),
            P::TestConnection => self.test_connection(),
            P::ServiceSettings => {
                let given = ("SettingData", self.value("SettingData"));
                let class = "Msvm_ReplicationServiceSettingData";
                reading::unchanged(given, class, None, self.host, self.look)
            }
            P::AddAuthorization | P::ModifyAuthorization | P::SetAuthorization => self.authorize(),
            P::RemoveAuthorization => match self.value("AllowedPrimaryHostSystem") {
                name if name.is_empty() => Err(Stop::invalid("AllowedPrimaryHostSystem is Null or empty")),
                _ => Err(Stop::not_simulated(ENTRIES)),
            },
            P::AdapterSettings => self.adapters(),
            P::ServiceState => Err(Stop::Answer(
                ReturnCode(1),
                "the service is always started: EnabledState is constant".into(),
            )),
            P::DefineSystem => {
                embedded::required(
                    "SystemSettings",
                    self.value("SystemSettings"),
                    "Msvm_VirtualSystemSettingData",
                )?;
                Err(Stop::not_simulated("defining machines"))
            }
            P::DestroySystem => self.destroy(),
            P::Collection => match self.value("Collection") {
                name if name.is_empty() => Err(Stop::invalid("Collection is Null")),
                _ => Err(Stop::Answer(
                    ReturnCode::NOT_SUPPORTED,
                    "no host is in a cluster, so that there are no collections".to_owned(),
                )),
            },
            _ => {
                let on = self.concerned(self.machine()?)?;
                Ok(Planned::Operate { on, operation: self.operation(on)? })
            }
        }
    }

    fn machine(&self) -> Result<CopyId, Stop> {
        identifier::machine("ComputerSystem", self.value("ComputerSystem"), self.host, self.look)
    }

    /// Which relationship of a machine the method is about. On a replica, what begins or changes sending concerns its
    /// extended relationship.
    fn concerned(&self, on: CopyId) -> Result<CopyId, Stop> {
        use Procedure as P;
        let replica = || self.look.copy(on).is_some_and(|view| view.mode == Mode::Replica);
        let extended = || self.look.copy(on.extended()).is_some();
        Ok(match self.method.procedure {
            P::RemoveEx | P::ResetStatisticsEx => self.relationship(on)?,
            P::ReplicationStateEx if !self.value("ReplicationRelationship").is_empty() => {
                self.relationship(on)?
            }
            P::Create if replica() => on.extended(),
            P::Modify | P::StartReplication | P::Resynchronize if replica() && extended() => on.extended(),
            _ => on,
        })
    }

    /// What is asked of the copy.
    fn operation(&self, on: CopyId) -> Result<Operation, Stop> {
        Ok(match self.method.procedure {
            Procedure::Create => self.create(on)?,
            Procedure::Modify => self.modify(on)?,
            Procedure::Remove | Procedure::RemoveEx => Operation::Remove,
            Procedure::Reverse => {
                let settings = self.settings()?;
                Operation::Reverse { to: settings.to, change: settings.change }
            }
            Procedure::StartReplication => self.start_replication()?,
            Procedure::Import => {
                let name = "InitialReplicationImportLocation";
                if self.value(name).is_empty() {
                    return Err(Stop::invalid(format!("{name} is Null or empty")));
                }
                let folder = if let Value::Text(folder) = self.value(name) { folder } else { "" };
                Operation::ImportInitialReplica { from: self.look.media(folder) }
            }
            Procedure::InitiateFailover => Operation::Failover { point: self.snapshot(on)? },
            Procedure::RevertFailover => Operation::RevertFailover,
            Procedure::CommitFailover => Operation::CommitFailover,
            Procedure::TestReplica => Operation::TestFailover { point: self.snapshot(on)? },
            Procedure::ModeToPrimary => {
                if !self.relationship(on)?.vm.is_extended() {
                    let why = "ReplicationRelationship is the primary relationship, not the extended one";
                    return Err(Stop::invalid(why));
                }
                Operation::PromoteExtended
            }
            Procedure::InitiateFailback => self.failback(on)?,
            Procedure::Resynchronize => Operation::Resynchronize { at: self.start_time()? },
            Procedure::ResetStatistics | Procedure::ResetStatisticsEx => Operation::ResetStatistics,
            Procedure::ReplicationState | Procedure::ReplicationStateEx => self.replication_state()?,
            Procedure::MachineState => self.machine_state()?,
            _ => return Err(Stop::not_simulated(self.method.full_name())),
        })
    }

    fn snapshot(&self, on: CopyId) -> Result<PointChoice, Stop> {
        let name = "SnapshotSettingData";
        identifier::point(name, self.value(name), on, self.look)
    }

    /// Whether replication could be enabled from here to there.
    fn test_connection(&self) -> Result<Planned, Stop> {
        let Value::Text(name) = self.value("RecoveryConnectionPoint") else {
            return Err(Stop::invalid("RecoveryConnectionPoint is Null"));
        };
        if self.number("RecoveryServerPortNumber")? == 0 {
            return Err(Stop::invalid("RecoveryServerPortNumber is 0"));
        }
        match self.number("AuthenticationType")? {
            1 => {}
            2 if !self.value("CertificateThumbPrint").is_empty() => {}
            2 => return Err(Stop::invalid("AuthenticationType 2 needs a CertificateThumbPrint")),
            other => return Err(Stop::invalid(format!("AuthenticationType is {other}, not 1 or 2"))),
        }
        let no_answer = |why: String| Err(Stop::Answer(ReturnCode::NOT_AVAILABLE, why));
        let Some(server) = identifier::host(name, self.look) else {
            return no_answer(format!("the name `{name}` cannot be resolved"));
        };
        if !self.look.reaches(self.host, server) {
            return no_answer(format!("{} does not answer", self.look.host_name(server)));
        }
        if !self.look.is_replica_server(server) {
            let why = format!("{} is not enabled as a replica server", self.look.host_name(server));
            return Err(Stop::Answer(ReturnCode::FAILED, why));
        }
        Ok(reading::done(Vec::new()))
    }

    /// An authorization entry is that of every server, or it is not simulated.
    fn authorize(&self) -> Result<Planned, Stop> {
        let class = "Msvm_ReplicationAuthorizationSettingData";
        let given = ("AuthorizationEntry", self.value("AuthorizationEntry"));
        if self.method.procedure == Procedure::SetAuthorization {
            self.machine()?;
        }
        let entry = embedded::required(given.0, given.1, class)?;
        if entry.text("AllowedPrimaryHostSystem").is_none() {
            return Err(Stop::invalid("AllowedPrimaryHostSystem is Null or empty"));
        }
        reading::unchanged(given, class, Some(ENTRIES), self.host, self.look)
    }

    fn adapters(&self) -> Result<Planned, Stop> {
        let on = self.machine()?;
        let name = "NetworkSettings";
        let Value::List(list) = self.value(name) else {
            return Err(Stop::invalid(format!("{name} is Null")));
        };
        let mut changes = Vec::new();
        for (place, one) in (0..).zip(list) {
            let adapter = embedded::required(name, one, "Msvm_FailoverNetworkAdapterSettingData")?;
            if let Some(missing) = ["IPAddresses", "DHCPEnabled"].iter().find(|p| !adapter.has(p)) {
                return Err(Stop::invalid(format!("{name}.{missing} is Null")));
            }
            let addresses = Some(embedded::addresses(name, &adapter)?).filter(|new| !new.is_empty());
            let number = self.adapter_number(on, place, adapter.text("InstanceID"))?;
            changes.push(AdapterChange { adapter: number, set: AdapterSetting::Failover(addresses) });
        }
        Ok(Planned::Operate { on, operation: Operation::SetAdapters(changes) })
    }

    /// The adapter that an instance is of: by its id, else by its place in the array.
    fn adapter_number(&self, on: CopyId, place: u8, id: Option<&str>) -> Result<u8, Stop> {
        let all = self.look.adapters(on);
        let upper = id.map(str::to_uppercase);
        let meant = |guid: &str| upper.as_ref().is_some_and(|id| id.contains(&guid.to_uppercase()));
        let found = match id {
            None => (usize::from(place) < all.len()).then_some(place),
            Some(_) => (0..).zip(&all).find(|(_, view)| meant(&view.guid.to_string())).map(|(n, _)| n),
        };
        found.ok_or_else(|| {
            let which = id.map_or_else(|| format!("number {place}"), str::to_owned);
            Stop::invalid(format!("NetworkSettings: the machine has no network adapter {which}"))
        })
    }

    fn destroy(&self) -> Result<Planned, Stop> {
        let name = "AffectedSystem";
        let on = identifier::machine(name, self.value(name), self.host, self.look)?;
        Ok(Planned::Operate { on, operation: Operation::DestroyVm })
    }

    fn settings(&self) -> Result<embedded::Settings, Stop> {
        let name = "ReplicationSettingData";
        embedded::settings(name, self.value(name), self.machine()?.vm, self.look)
    }

    /// `IncludedDisks`.
    fn included(&self, on: CopyId) -> Result<Option<DiskSet>, Stop> {
        let name = "ReplicationSettingData";
        embedded::included(name, self.value(name), on, self.look)
    }

    /// The relationship that the embedded instance is of.
    fn relationship(&self, on: CopyId) -> Result<CopyId, Stop> {
        let name = "ReplicationRelationship";
        embedded::relationship(name, self.value(name), on, self.look)
    }

    fn create(&self, on: CopyId) -> Result<Operation, Stop> {
        let embedded::Settings { to, change } = self.settings()?;
        let to = to.ok_or_else(|| Stop::invalid("RecoveryConnectionPoint is Null or empty"))?;
        let change = SettingsChange { disks: self.included(on)?, ..change };
        Ok(Operation::Enable { to, settings: change.applied_to(&Settings::default()) })
    }

    /// A client passes the whole instance back: the connection point may stand in it if it stays.
    fn modify(&self, on: CopyId) -> Result<Operation, Stop> {
        let embedded::Settings { to, change } = self.settings()?;
        let peer = self.look.copy(on).and_then(|view| view.peer);
        if to.is_some_and(|to| Some(to) != peer && to != on.host) {
            return Err(Stop::not_simulated("moving a relationship to another RecoveryConnectionPoint"));
        }
        Ok(Operation::Modify(SettingsChange { disks: self.included(on)?, ..change }))
    }

    fn start_replication(&self) -> Result<Operation, Stop> {
        if self.number("InitialReplicationType")? == 2 {
            let name = "InitialReplicationExportLocation";
            return match self.value(name) {
                Value::Text(folder) if !folder.is_empty() => {
                    Ok(Operation::ExportInitialReplica { folder: folder.clone() })
                }
                _ => Err(Stop::invalid(format!("{name} is Null or empty"))),
            };
        }
        let kind = match self.number("InitialReplicationType")? {
            1 => InitialKind::Network,
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
            // Tries a change of the disk set again, which resuming does, too.
            15 => Operation::Resume,
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
