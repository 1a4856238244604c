//! From a call to what is asked of which copy, or to what is shown.
//!
//! Which cmdlet makes which call is the table of equivalents of the Hyper-V module and the WMI provider. A
//! client-side guard stands here only if it decides which calls are made; all others are rules of the model.

use hvrsim_replica::operation::{InitialKind, Operation, PointChoice, Settings, SettingsChange};
use hvrsim_sim::look::{CopyView, Look, PointView};
use hvrsim_sim::paths::disk_path;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::state::{Mode, Power, ReplicationState};
use hvrsim_types::time::{Instant, Span};
use jiff::civil;
use uuid::Uuid;

use crate::adapter;
use crate::bind::Call;
use crate::check::{Names, check, host_named, is_local, is_wildcard};
use crate::error::BindError;
use crate::object::Class;
use crate::show;
use crate::table::Verb;
use crate::value::{PointName, Value};

/// One step of what a cmdlet does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Something is asked of a copy.
    Operate {
        /// The copy.
        on: CopyId,
        /// What is asked of it.
        operation: Operation,
        /// PowerShell goes on only when the work is done.
        waits: bool,
    },
    /// The object of a copy is returned (`-Passthru`), as it is when the work is done.
    Return {
        /// The copy.
        on: CopyId,
        /// The class of the object.
        class: Class,
    },
    /// Something is shown and nothing changes.
    Show {
        /// The output, each line ended; empty if there is nothing to list.
        text: String,
    },
}

/// Resolves the names of a call in the world as it is now.
///
/// `default_host` is where the runbook runs; `-ComputerName` overrides it. Several machines or hosts give several
/// actions, in the order written, hosts first. `-WhatIf` shows what would be done.
///
/// # Errors
/// What [`check`] finds; a machine or a recovery point that is not there; a start time that is past; no host at all;
/// reading from a host that is down.
pub fn plan(call: &Call, default_host: Option<&str>, look: &dyn Look) -> Result<Vec<Action>, BindError> {
    let (hosts, vms, points) = (look.host_names(), look.vm_names(), look.access_points());
    check(call, &Names { hosts: &hosts, access_points: &points, vms: &vms })?;
    let planner = Planner { call, default_host, look, hosts };
    if let Some(Value::Point(point)) = call.value("VMRecoverySnapshot") {
        let (on, point) = planner.point(point)?;
        let operation = planner.failover(PointChoice::Id(point.id));
        return Ok(planner.finish(vec![(on, operation)]));
    }
    let at = planner.selected_hosts()?;
    if let Some(text) = planner.shown(&at)? {
        return Ok(vec![Action::Show { text }]);
    }
    let mut asked = Vec::new();
    if call.cmdlet().verb == Verb::ResizeVhd {
        planner.resizes(&at, &mut asked)?;
        return Ok(planner.finish(asked));
    }
    for on in planner.targets(&at)? {
        planner.operations(on, &mut asked)?;
    }
    Ok(planner.finish(asked))
}

struct Planner<'a> {
    call: &'a Call,
    default_host: Option<&'a str>,
    look: &'a dyn Look,
    hosts: Vec<String>,
}

impl Planner<'_> {
    fn finish(&self, asked: Vec<(CopyId, Operation)>) -> Vec<Action> {
        if self.call.switch("WhatIf") {
            let mut copies: Vec<_> = asked.into_iter().map(|(on, _)| on).collect();
            copies.dedup();
            let line = |on: &CopyId| {
                let (name, vm) = (self.call.cmdlet().name, self.look.vm_name(on.vm));
                format!("What if: Performing the operation \"{name}\" on target \"{vm}\".\n")
            };
            return vec![Action::Show { text: copies.iter().map(line).collect() }];
        }
        let waits = self.call.waits();
        let class = self.call.cmdlet().returns.filter(|_| self.call.switch("Passthru"));
        let mut actions = Vec::new();
        for (index, (on, operation)) in asked.iter().enumerate() {
            actions.push(Action::Operate { on: *on, operation: operation.clone(), waits });
            // One object a copy, behind the last of its operations.
            let last = asked.get(index + 1).is_none_or(|(next, _)| next != on);
            actions.extend(class.filter(|_| last).map(|class| Action::Return { on: *on, class }));
        }
        actions
    }

    fn host(&self, name: &str) -> Option<HostId> {
        host_named(&self.hosts, name).and_then(|name| self.look.host(name))
    }

    fn default_host(&self) -> Result<HostId, BindError> {
        let name = self.default_host.ok_or_else(|| {
            let error = self.call.error("InvalidParameter", "It is not said which host this runs on.");
            error.help("add -ComputerName HOST")
        })?;
        self.host(name).ok_or_else(|| {
            self.call.error("InvalidParameter", format!("There is no host with name \"{name}\"."))
        })
    }

    fn selected_hosts(&self) -> Result<Vec<HostId>, BindError> {
        let named = [self.call.texts("ComputerName"), self.call.texts("CimSession")].concat();
        if named.is_empty() {
            return Ok(vec![self.default_host()?]);
        }
        named
            .iter()
            .map(|name| match self.host(name) {
                Some(host) if !is_local(name) => Ok(host),
                _ => self.default_host(),
            })
            .collect()
    }

    fn copies(&self, host: HostId) -> impl Iterator<Item = (CopyId, CopyView)> {
        let vms = self.look.vm_names().into_iter().filter_map(|name| self.look.vm(&name));
        vms.filter_map(move |vm| {
            let id = CopyId { host, vm };
            Some((id, self.look.copy(id)?))
        })
    }

    /// The copies that are named. A name without wildcards must exist on every host that is named.
    fn targets(&self, hosts: &[HostId]) -> Result<Vec<CopyId>, BindError> {
        let mut found = Vec::new();
        for host in hosts {
            for name in self.call.vm_names() {
                if is_wildcard(name) {
                    found.extend(self.matching(*host, name));
                } else {
                    found.push(self.named(*host, name, self.call.vm_parameter())?);
                }
            }
        }
        let mut seen = Vec::with_capacity(found.len());
        for id in found {
            if !seen.contains(&id) {
                seen.push(id);
            }
        }
        Ok(seen)
    }

    fn matching(&self, host: HostId, pattern: &str) -> Vec<CopyId> {
        // Start-VMInitialReplication: a wildcard means the machines whose initial replication is pending.
        let pending = self.call.cmdlet().verb == Verb::StartInitial;
        let ready = |view: &CopyView| view.state == ReplicationState::ReadyForInitialReplication;
        let wanted = |id: CopyId, view: &CopyView| {
            !pending || ready(view) || self.look.copy(id.extended()).is_some_and(|extended| ready(&extended))
        };
        self.copies(host)
            .filter(|(id, view)| wanted(*id, view) && wildcard_matches(pattern, self.look.vm_name(id.vm)))
            .map(|(id, _)| id)
            .collect()
    }

    fn named(&self, host: HostId, name: &str, parameter: &str) -> Result<CopyId, BindError> {
        let id = self.look.vm(name).map(|vm| CopyId { host, vm });
        id.filter(|id| self.look.copy(*id).is_some()).ok_or_else(|| {
            let host = self.look.host_name(host);
            let message =
                format!("Hyper-V was unable to find a virtual machine with name \"{name}\" on {host}.");
            self.call.error_at(parameter, "InvalidParameter", message)
        })
    }

    fn point(&self, name: &PointName) -> Result<(CopyId, PointView), BindError> {
        let missing = |message: String| {
            let error = self.call.error_at("VMRecoverySnapshot", "InvalidParameter", message);
            Err(error.help("Get-VMSnapshot -SnapshotType Replica lists the points"))
        };
        match name {
            PointName::Guid(guid) => match self.point_with(*guid) {
                Some(found) => Ok(found),
                None => missing(format!("Hyper-V was unable to find a recovery point with Id {guid}.")),
            },
            PointName::Back { host, vm, back } => {
                let host = self.host(host).map_or_else(|| self.default_host(), Ok)?;
                let on = self.named(host, vm, "VMRecoverySnapshot")?;
                let mut points = self.look.points(on);
                let kept = points.len();
                match kept.checked_sub(*back) {
                    Some(index) => Ok((on, points.swap_remove(index))),
                    None => missing(format!("{name} does not exist: the copy keeps {kept} recovery points.")),
                }
            }
        }
    }

    /// The copy that keeps the point: on the host where the runbook runs, else on the first that has it.
    fn point_with(&self, guid: Uuid) -> Option<(CopyId, PointView)> {
        let here = self.default_host.and_then(|name| self.host(name));
        let all = self.hosts.iter().filter_map(|name| self.look.host(name));
        let copies = here.into_iter().chain(all).flat_map(|host| self.copies(host));
        copies.map(|(id, _)| id).find_map(|id| {
            let point = self.look.points(id).into_iter().find(|p| p.guid == guid)?;
            Some((id, point))
        })
    }

    /// The output of a cmdlet that only reads.
    fn shown(&self, hosts: &[HostId]) -> Result<Option<String>, BindError> {
        let verb = self.call.cmdlet().verb;
        let of_hosts = matches!(verb, Verb::GetServer | Verb::GetEntry | Verb::TestConnection);
        let of_copies = matches!(
            verb,
            Verb::GetReplication
                | Verb::MeasureReplication
                | Verb::GetVm
                | Verb::GetSnapshot
                | Verb::GetAdapterFailover
        );
        if !of_hosts && !of_copies {
            return Ok(None);
        }
        if let Some(down) = hosts.iter().find(|host| !self.look.host_is_up(**host)) {
            let message = format!(
                "The operation on computer '{}' failed: it does not answer.",
                self.look.host_name(*down)
            );
            return Err(self.call.error_at("ComputerName", "OperationFailed", message));
        }
        if of_hosts {
            let shown = hosts.iter().map(|host| match verb {
                Verb::TestConnection => self.tested(*host),
                Verb::GetServer => Ok(show::servers(self.look, *host)),
                _ => Ok(show::entries(self.call, self.look, *host)),
            });
            return shown.collect::<Result<String, BindError>>().map(Some);
        }
        let everything = self.call.vm_names().is_empty();
        let copies: Vec<(CopyId, CopyView)> = if everything {
            hosts.iter().flat_map(|host| self.copies(*host)).collect()
        } else {
            let view = |id| self.look.copy(id).map(|view| (id, view));
            self.targets(hosts)?.into_iter().filter_map(view).collect()
        };
        // A middle copy has two relationships, each with a state, a health and statistics of its own.
        let both = |(id, view): (CopyId, CopyView)| {
            let extended = self.look.copy(id.extended()).map(|extended| (id.extended(), extended));
            std::iter::once((id, view)).chain(extended)
        };
        let of_relationships = matches!(verb, Verb::GetReplication | Verb::MeasureReplication);
        let copies: Vec<_> =
            if of_relationships { copies.into_iter().flat_map(both).collect() } else { copies };
        Ok(Some(match verb {
            Verb::GetReplication => show::replication(self.call, self.look, &copies),
            Verb::MeasureReplication => show::measure(self.call, self.look, &copies),
            Verb::GetVm => show::machines(self.call, self.look, &copies),
            Verb::GetAdapterFailover => show::adapters(self.call, self.look, &copies)?,
            _ => show::snapshots(self.call, self.look, &copies),
        }))
    }

    /// `Test-VMReplicationConnection` from a host.
    fn tested(&self, from: HostId) -> Result<String, BindError> {
        let name = self.call.text("ReplicaServerName").unwrap_or_default();
        let certificate = self.call.text("AuthenticationType") == Some("Certificate");
        let failed = |why: String| Err(self.call.error("OperationFailed", why));
        if certificate && self.call.text("CertificateThumbprint").is_none() {
            let message = "A certificate thumbprint is needed for certificate authentication.";
            return Err(self.call.error_at("AuthenticationType", "InvalidParameter", message));
        }
        let Some(server) = self.host(name) else {
            return failed(format!("The name '{name}' cannot be resolved."));
        };
        if !self.look.reaches(from, server) {
            return failed(format!("Hyper-V cannot connect to the specified Replica server '{name}'."));
        }
        if !self.look.is_replica_server(server) {
            return failed(format!("'{name}' is not enabled as a Replica server."));
        }
        let here = self.look.host_name(from);
        Ok(format!("The connection from '{here}' to the specified Replica server '{name}' was successful.\n"))
    }

    /// Which relationship of a machine the cmdlet is about. On a replica, what begins or changes sending concerns its
    /// extended relationship.
    fn relationship(&self, on: CopyId) -> CopyId {
        let call = self.call;
        let sends = match call.cmdlet().verb {
            Verb::EnableReplication => !call.switch("AsReplica"),
            Verb::StartInitial | Verb::StopInitial => true,
            Verb::SetReplication => !call.switch("AsReplica") && !call.switch("Reverse"),
            Verb::ResumeReplication => call.switch("Resynchronize"),
            _ => false,
        };
        let is_first = call.cmdlet().verb == Verb::EnableReplication;
        let replica = self.look.copy(on).is_some_and(|view| view.mode == Mode::Replica);
        let extends = sends && replica && (is_first || self.look.copy(on.extended()).is_some());
        match call.text("ReplicationRelationshipType") {
            Some("Extended") => on.extended(),
            None if extends => on.extended(),
            _ => on,
        }
    }

    /// `Resume-VMReplication -Continue` after a failover of a middle copy: it goes on with the third host.
    fn goes_on_extended(&self, on: CopyId, asked: &mut Vec<(CopyId, Operation)>) -> bool {
        use ReplicationState as S;
        let state = self.look.copy(on).map(|view| view.state);
        let extended = !on.vm.is_extended() && self.look.copy(on.extended()).is_some();
        let over = matches!(state, Some(S::Recovered | S::Committed));
        if !(self.call.switch("Continue") && extended && over) {
            return false;
        }
        if state == Some(S::Recovered) {
            asked.push((on, Operation::CommitFailover));
        }
        asked.push((on, Operation::PromoteExtended));
        true
    }

    /// What the cmdlet asks of one copy.
    fn operations(&self, on: CopyId, asked: &mut Vec<(CopyId, Operation)>) -> Result<(), BindError> {
        let call = self.call;
        let on = self.relationship(on);
        let operation = match call.cmdlet().verb {
            Verb::EnableReplication if call.switch("AsReplica") => Operation::AsReplica,
            Verb::EnableReplication => self.enable(on)?,
            Verb::RemoveReplication => Operation::Remove,
            Verb::SetReplication => self.set(on)?,
            Verb::SuspendReplication => Operation::Suspend,
            Verb::ResumeReplication if call.switch("Resynchronize") => {
                Operation::Resynchronize { at: self.start("ResynchronizeStartTime")? }
            }
            Verb::ResumeReplication if self.goes_on_extended(on, asked) => return Ok(()),
            Verb::ResumeReplication => Operation::Resume,
            Verb::StopReplication => Operation::StopResynchronize,
            Verb::ResetStatistics => Operation::ResetStatistics,
            Verb::StartInitial if call.text("DestinationPath").is_some() => {
                let folder = call.text("DestinationPath").unwrap_or_default().to_owned();
                Operation::ExportInitialReplica { folder }
            }
            Verb::ImportInitial => {
                let from = self.look.media(call.text("Path").unwrap_or_default());
                Operation::ImportInitialReplica { from }
            }
            Verb::StartInitial => {
                let kind = if call.switch("UseBackup") { InitialKind::Seeded } else { InitialKind::Network };
                let at = self.start("InitialReplicationStartTime")?;
                Operation::StartInitialReplication { kind, at }
            }
            Verb::StopInitial => Operation::StopInitialReplication,
            Verb::StartFailover if call.switch("Prepare") => Operation::Prepare,
            Verb::StartFailover => self.failover(PointChoice::Latest),
            Verb::StopFailover => {
                if self.look.copy(on).is_some_and(|view| needs_turning_off(&view)) {
                    asked.push((on, Operation::TurnOffVm));
                }
                Operation::RevertFailover
            }
            Verb::CompleteFailover => Operation::CommitFailover,
            Verb::SetAdapterFailover => adapter::set_failover(call, self.look, on)?,
            Verb::SetAdapter => adapter::set_test(call, self.look, on)?,
            Verb::MoveVm => {
                let to = self.call.text("DestinationHost").and_then(|name| self.host(name));
                let to = to.map_or_else(|| self.default_host(), Ok)?;
                Operation::MoveVm { to, possible: self.look.can_move(on, to) }
            }
            Verb::StartVm => Operation::StartVm,
            Verb::StopVm if call.switch("TurnOff") => Operation::TurnOffVm,
            Verb::StopVm if call.switch("Save") => Operation::SaveVm,
            Verb::StopVm => Operation::StopVm,
            Verb::SaveVm => Operation::SaveVm,
            Verb::RemoveSavedState => Operation::RemoveSavedState,
            Verb::Checkpoint => Operation::Checkpoint,
            Verb::RemoveSnapshot => Operation::RemoveCheckpoints,
            Verb::GetReplication
            | Verb::MeasureReplication
            | Verb::GetVm
            | Verb::GetSnapshot
            | Verb::GetServer
            | Verb::GetEntry
            | Verb::GetAdapterFailover
            | Verb::TestConnection
            | Verb::ResizeVhd
            | Verb::Lacking => return Ok(()),
        };
        asked.push((on, operation));
        Ok(())
    }

    fn failover(&self, point: PointChoice) -> Operation {
        if self.call.switch("AsTest") {
            Operation::TestFailover { point }
        } else {
            Operation::Failover { point }
        }
    }

    /// The server that is named, or the node behind the access point of a cluster.
    fn replica_server(&self, on: CopyId) -> Option<HostId> {
        let name = self.call.text("ReplicaServerName")?;
        self.host(name).or_else(|| {
            let points = self.look.access_points();
            self.look.node_behind(host_named(&points, name)?, on.vm.machine())
        })
    }

    fn enable(&self, on: CopyId) -> Result<Operation, BindError> {
        let to = self.replica_server(on).map_or_else(|| self.default_host(), Ok)?;
        let settings = self.call.settings_change().applied_to(&Settings::default());
        let excluded = self.disks(on, "ExcludedVhdPath")?;
        Ok(Operation::Enable {
            to,
            settings: Settings { disks: settings.disks.without(excluded), ..settings },
        })
    }

    /// The disks of the machine that a parameter names by their paths.
    fn disks(&self, on: CopyId, parameter: &str) -> Result<DiskSet, BindError> {
        let name = self.look.vm_name(on.vm);
        let count = self
            .look
            .copy(if on.vm.is_extended() { on.machine() } else { on })
            .map_or(0, |view| view.disks.len());
        let one = |path: &String| {
            let (vm, disk) = self.call.disk(parameter, path)?;
            if vm.eq_ignore_ascii_case(name) && usize::from(disk) < count {
                return Ok(disk);
            }
            let message = format!("The file '{path}' is no virtual hard disk of \"{name}\".");
            let all: Vec<String> = (0..=u8::MAX).take(count).map(|disk| disk_path(name, disk)).collect();
            let error = self.call.error_at(parameter, "ObjectNotFound", message);
            Err(error.help(format!("its disks are '{}'", all.join("', '"))))
        };
        self.call.texts(parameter).iter().map(one).collect()
    }

    /// `Resize-VHD`: one operation a path and host.
    fn resizes(&self, hosts: &[HostId], asked: &mut Vec<(CopyId, Operation)>) -> Result<(), BindError> {
        let size = match self.call.value("SizeBytes") {
            Some(Value::Integer(bytes)) => u64::try_from(*bytes).ok(),
            _ => None,
        };
        for host in hosts {
            for path in self.call.texts("Path") {
                let (vm, disk) = self.call.disk("Path", path)?;
                asked.push((self.named(*host, vm, "Path")?, Operation::ResizeDisk { disk, size }));
            }
        }
        Ok(())
    }

    fn set(&self, on: CopyId) -> Result<Operation, BindError> {
        let mut change = self.call.settings_change();
        if !self.call.texts("ReplicatedDiskPaths").is_empty() {
            change.disks = Some(self.disks(on, "ReplicatedDiskPaths")?);
        }
        Ok(self.set_to(on, change))
    }

    fn set_to(&self, on: CopyId, change: SettingsChange) -> Operation {
        match (self.call.switch("AsReplica"), self.call.switch("Reverse")) {
            (true, _) => Operation::AsReplica,
            (false, true) => Operation::Reverse { to: self.replica_server(on), change },
            (false, false) => Operation::Modify(change),
        }
    }

    /// The moment that a `DateTime` parameter names on the scenario's calendar.
    fn start(&self, parameter: &str) -> Result<Option<Instant>, BindError> {
        let Some(Value::DateTime(wanted)) = self.call.value(parameter) else { return Ok(None) };
        let now = self.look.now();
        let shown_now = self.look.calendar().show(now);
        if show_local(*wanted) < shown_now {
            let message = format!("The start time {wanted} lies in the past: it is {shown_now}.");
            return Err(self.call.error_at(parameter, "InvalidParameter", message));
        }
        instant_of(*wanted, self.look).map(Some).ok_or_else(|| {
            let message = format!("The start time {wanted} lies more than 7 days ahead.");
            self.call.error_at(parameter, "InvalidParameter", message)
        })
    }
}

/// Stop-VMFailover turns the machine off only where there is a failover to revert: asked by mistake of a running
/// primary, it is refused and the machine keeps running.
fn needs_turning_off(view: &CopyView) -> bool {
    use ReplicationState as S;
    let failover = matches!(view.state, S::Recovered | S::SyncedReplicationComplete | S::FailoverInProgress);
    failover && matches!(view.power, Power::Running | Power::Paused)
}

fn show_local(at: civil::DateTime) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The first second from now on at which the scenario's clock shows `wanted`; `None` if that is over a month away.
fn instant_of(wanted: civil::DateTime, look: &dyn Look) -> Option<Instant> {
    const SEARCHED: Span = Span(31 * Span::DAY.0);
    let (wanted, calendar, now) = (show_local(wanted), look.calendar(), look.now());
    let (mut low, mut high) = (0, SEARCHED.as_seconds());
    while low < high {
        let middle = low + (high - low) / 2;
        if calendar.show(now + Span::seconds(middle)) < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let found = now + Span::seconds(low);
    (calendar.show(found) >= wanted).then_some(found)
}

/// PowerShell's wildcards: `*` for any text, `?` for one character.
fn wildcard_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    let name: Vec<char> = name.to_lowercase().chars().collect();
    // `reach[i]`: the pattern so far matches the first i characters.
    let mut reach = vec![false; name.len() + 1];
    reach[0] = true;
    for symbol in pattern {
        if symbol == '*' {
            let first = reach.iter().position(|r| *r).unwrap_or(reach.len());
            reach[first..].fill(true);
            continue;
        }
        for i in (0..name.len()).rev() {
            reach[i + 1] = reach[i] && (symbol == '?' || symbol == name[i]);
        }
        reach[0] = false;
    }
    reach[name.len()]
}
