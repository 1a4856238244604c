//! `invoke`: a WMI method with its parameters, checked by those who know methods.

use hvrsim_sim::look::{AdapterView, CopyView, JobView, Look, PointView, StatisticsView};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{self, CopyId, HostId, JobId, PointId, SessionId, VmId};
use hvrsim_types::state::{Health, Mode, Power, ReplicationState, ReplicationType};
use hvrsim_types::time::{Calendar, Instant};
use hvrsim_wmi::CallError;
use hvrsim_wmi::table::{CimType, Method, Role};
use uuid::Uuid;

use super::fields::{Fields, listed};
use super::words::find;
use super::{Names, Reader};
use crate::model::step::Invoke;
use crate::model::value::{Parameter, Value};
use crate::source::{At, Place};
use crate::yaml::{Kind, Node, Style};

/// Stands in for the id of a recovery point that is known at run time only.
const ANY_POINT: &str = "00000000-0000-0000-0000-000000000000";

impl Reader<'_> {
    pub(super) fn invoke(&mut self, fields: &Fields<'_>, node: &Node) -> Option<Invoke> {
        let method = self.method(node);
        let host = self.need(fields, "host").and_then(|n| self.host(n));
        let with = match fields.get("with") {
            Some(node) => self.parameters(node, "`with`"),
            None => Some(Vec::new()),
        };
        let fails = self.optional(fields, "fails", Self::fails);
        let (method, mut with) = (method?, with?);
        let returns = self.optional(fields, "returns", |r, n| r.return_code(n, &method));
        let jobs_known = self.jobs_by_name(&method, &mut with);
        let job = self.new_job(fields);
        if method.parameters.iter().any(|one| one.role == Role::Out && one.name != "Job") {
            self.values.extend(job.as_ref().map(|name| name.value.clone()));
        }
        let invoke = Invoke { host: host?, method, with, returns, fails, job };
        if jobs_known {
            self.call(&invoke);
        }
        Some(invoke)
    }

    fn method(&mut self, node: &Node) -> Option<At<&'static Method>> {
        let text = self.scalar(node, "a method such as Msvm_ReplicationService.InitiateFailback")?;
        match hvrsim_wmi::find(text) {
            Ok(method) => Some(At::new(method, node.place)),
            Err(error) => {
                self.wrong_call(&error, node.place, &[]);
                None
            }
        }
    }

    /// A code that the method is documented to return.
    fn return_code(&mut self, node: &Node, method: &Method) -> Option<At<ReturnCode>> {
        let code = self.number_of_code(node)?;
        if !method.returns.contains(&code.value) {
            let codes: Vec<String> = method.returns.iter().map(|code| code.0.to_string()).collect();
            let help = format!("it can return {}", listed(codes.iter().map(String::as_str)));
            self.error(code.place, format!("{} never returns {}", method.name, code.0), Some(help));
        }
        Some(code)
    }

    /// A scenario names jobs by words. `false` when one of them is not known.
    fn jobs_by_name(&mut self, method: &Method, with: &mut [At<Parameter>]) -> bool {
        let mut known = true;
        for given in with {
            let reference = method.parameter(&given.value.name).is_some_and(|parameter| {
                parameter.ty == CimType::Reference("CIM_ConcreteJob") && parameter.role != Role::Out
            });
            let value = &mut given.value.value;
            if let (true, Value::Text(name)) = (reference, &value.value) {
                let node = Node { place: value.place, kind: Kind::Scalar(name.clone(), Style::Plain) };
                match self.known_job(&node) {
                    Some(job) => value.value = Value::Job(job.value),
                    None => known = false,
                }
            }
        }
        known
    }

    /// Calls the method in a world that has the names of the topology and nothing else: what is wrong with the call
    /// itself comes out, what the service would answer does not count.
    fn call(&mut self, invoke: &Invoke) {
        let look = NamesOnly { names: &self.names, calendar: Calendar::default() };
        let values = invoke.values(|_| ANY_POINT.to_owned(), |_| JobId(1));
        let called = hvrsim_wmi::call(&invoke.method.full_name(), &values, invoke.host.value, &look);
        if let Err(error) = called {
            self.wrong_call(&error, invoke.method.place, &invoke.with);
        }
    }

    fn wrong_call(&mut self, error: &CallError, method: Place, with: &[At<Parameter>]) {
        let (place, help) = match error {
            CallError::Unknown { help, .. } => (method, help.clone()),
            CallError::Parameter { parameter, property, help, .. } => {
                (place_of(with, parameter, property.as_deref()).unwrap_or(method), help.clone())
            }
        };
        self.error(place, error.to_string(), help);
    }
}

/// Where a parameter, or a property of its instance, is written.
fn place_of(with: &[At<Parameter>], parameter: &str, property: Option<&str>) -> Option<Place> {
    let named = |given: &&At<Parameter>, name: &str| given.value.name.eq_ignore_ascii_case(name);
    let given = with.iter().find(|given| named(given, parameter))?;
    let within = match (&given.value.value.value, property) {
        (Value::Instance(properties), Some(name)) => properties.iter().find(|given| named(given, name)),
        _ => None,
    };
    Some(within.unwrap_or(given).place)
}

/// A world that has the names of the topology and nothing else. Every host has a copy of every machine.
struct NamesOnly<'a> {
    names: &'a Names,
    calendar: Calendar,
}

impl Look for NamesOnly<'_> {
    fn now(&self) -> Instant {
        Instant::START
    }

    fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    fn host_names(&self) -> Vec<String> {
        self.names.hosts.clone()
    }

    fn vm_names(&self) -> Vec<String> {
        self.names.all_vms()
    }

    fn host(&self, name: &str) -> Option<HostId> {
        Some(HostId(u16::try_from(find(&self.names.hosts, name)?).ok()?))
    }

    fn vm(&self, name: &str) -> Option<VmId> {
        self.names.vm(name)
    }

    fn host_name(&self, host: HostId) -> &str {
        &self.names.hosts[usize::from(host.0)]
    }

    fn vm_name(&self, vm: VmId) -> &str {
        self.names.vm_name(vm)
    }

    fn host_is_up(&self, _host: HostId) -> bool {
        true
    }

    fn is_replica_server(&self, _host: HostId) -> bool {
        true
    }

    fn reaches(&self, _from: HostId, _to: HostId) -> bool {
        true
    }

    fn copy(&self, copy: CopyId) -> Option<CopyView> {
        if copy.vm.is_extended() {
            return None;
        }
        Some(CopyView {
            copy,
            guid: id::guid(0, "vm", &self.vm_name(copy.vm)),
            power: Power::Off,
            mode: Mode::None,
            state: ReplicationState::Disabled,
            health: Health::NotApplicable,
            health_details: Vec::new(),
            peer: None,
            settings: hvrsim_replica::operation::Settings::default(),
            last_replication: None,
            last_apply: None,
            last_type: ReplicationType::None,
            failed_over_type: ReplicationType::None,
            statistics: StatisticsView::default(),
            job: None,
            checkpoints: 0,
            inconsistent: false,
            disks: Vec::new(),
        })
    }

    fn access_points(&self) -> Vec<String> {
        self.names.access_points.clone()
    }

    fn node_behind(&self, access_point: &str, _vm: VmId) -> Option<HostId> {
        find(&self.names.access_points, access_point).map(|_| HostId(0))
    }

    fn can_move(&self, _copy: CopyId, _to: HostId) -> bool {
        true
    }

    fn adapters(&self, _copy: CopyId) -> Vec<AdapterView> {
        Vec::new()
    }

    fn has_switch(&self, _host: HostId, _name: &str) -> bool {
        true
    }

    fn media(&self, _folder: &str) -> Option<(VmId, SessionId)> {
        None
    }

    fn points(&self, _copy: CopyId) -> Vec<PointView> {
        Vec::new()
    }

    fn point_by_guid(&self, _guid: Uuid) -> Option<PointId> {
        None
    }

    fn job(&self, _host: HostId, _job: JobId) -> Option<JobView> {
        None
    }

    fn jobs(&self, _copy: CopyId) -> Vec<JobView> {
        Vec::new()
    }
}
