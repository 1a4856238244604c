//! Builds the world that a scenario begins with.

use hvrsim_replica::operation::{InitialKind, Operation, PointChoice, SettingsChange};
use hvrsim_sim::guest::GuestProfile;
use hvrsim_sim::sim::NewVm;
use hvrsim_sim::store::{DiskFormat, DiskSpec, DiskStore, Initial};
use hvrsim_sim::trace::What;
use hvrsim_sim::{Look, Sim};
use hvrsim_types::id::{CopyId, VmId};
use hvrsim_types::job::JobState;
use hvrsim_types::size::{Bytes, Rate};
use hvrsim_types::state::{Power, ReplicationState};

use super::{Done, Options, PATIENCE, Run, Stopped};
use crate::model::Scenario;
use crate::model::topology::{self, Disk, DiskSource, Guest, Preset, Vm};
use crate::source::Place;

/// The rate of a host's disks that gives none: without a limit that anybody would notice.
const UNLIMITED: Rate = Rate(1 << 50);

/// Hosts, links and machines.
pub(super) fn world<D: DiskStore>(
    scenario: &Scenario,
    options: &Options,
    store: D,
) -> Result<Sim<D>, Stopped> {
    let seed = options.seed.unwrap_or(scenario.seed);
    let mut sim = Sim::new(seed, scenario.calendar.clone(), scenario.profile.clone(), store);
    for host in &scenario.topology.hosts {
        let id = sim.add_host(&host.name.value, host.disk_rate.unwrap_or(UNLIMITED), host.replica_server);
        sim.world.hosts[usize::from(id.0)].switches.clone_from(&host.switches);
    }
    for link in &scenario.topology.links {
        sim.add_link(link.ends.0, link.ends.1, link.rate, link.latency);
    }
    for cluster in &scenario.topology.clusters {
        sim.add_cluster(&cluster.name.value, cluster.nodes.clone(), cluster.broker.as_deref());
    }
    for vm in &scenario.topology.vms {
        let given = options.disks.iter().find(|(name, _)| name.eq_ignore_ascii_case(&vm.name.value));
        let mut disks: Vec<DiskSpec> = vm.disks.iter().map(|disk| spec(disk, options)).collect();
        if let (Some((_, path)), Some(first)) = (given, disks.first_mut()) {
            first.initial = Initial::Given(path.clone());
        }
        let place = place_of_images(vm, given.is_some());
        let new = NewVm {
            name: vm.name.value.clone(),
            host: vm.host.value,
            guest: vm.guest.as_ref().map(|guest| profile(guest, vm)),
            disks,
            power: vm.power,
            adapters: vm.adapters.clone(),
            integration_services: vm.integration_services,
        };
        sim.add_vm(new).map_err(|error| Stopped::Store(error, place))?;
    }
    Ok(sim)
}

/// Where the image is written that a store may complain about.
fn place_of_images(vm: &Vm, replaced: bool) -> Option<Place> {
    let mut images = vm.disks.iter().filter_map(|disk| match &disk.source {
        DiskSource::Image(path) => Some(path.place),
        DiskSource::Blank { .. } => None,
    });
    if replaced { None } else { images.next() }
}

fn spec(disk: &Disk, options: &Options) -> DiskSpec {
    let format = match disk.format {
        topology::DiskFormat::Vhdx => DiskFormat::Vhdx,
        topology::DiskFormat::Raw => DiskFormat::Raw,
    };
    match &disk.source {
        DiskSource::Blank { size, used } => {
            let initial = if used.0 == 0 { Initial::Blank } else { Initial::Used(*used) };
            DiskSpec { size: *size, format, initial }
        }
        DiskSource::Image(path) => {
            DiskSpec { size: Bytes(0), format, initial: Initial::Given(options.folder.join(&path.value)) }
        }
    }
}

fn profile(guest: &Guest, vm: &Vm) -> GuestProfile {
    let whole = match vm.disks.get(usize::from(guest.disk)).map(|disk| &disk.source) {
        Some(DiskSource::Blank { size, .. }) => *size,
        _ => Bytes(u64::MAX),
    };
    GuestProfile {
        churn: guest.churn,
        write_size: guest.write_size,
        hot_spot: guest.hot_spot.unwrap_or(whole),
        disk: guest.disk,
    }
}

/// The calls that lead from a replicating pair to a state: the cmdlet, whether on the replica's host, the operation.
fn way_to(state: Preset, power: Power) -> Vec<(&'static str, bool, Operation)> {
    let stop = ("Stop-VM", false, Operation::StopVm);
    let prepare = ("Start-VMFailover -Prepare", false, Operation::Prepare);
    let fail_over = ("Start-VMFailover", true, Operation::Failover { point: PointChoice::Latest });
    let complete = ("Complete-VMFailover", true, Operation::CommitFailover);
    let reverse = Operation::Reverse { to: None, change: SettingsChange::default() };
    let reverse = ("Set-VMReplication -Reverse", true, reverse);
    let runs = power == Power::Running;
    let start = runs.then_some(("Start-VM", true, Operation::StartVm));
    let mut way: Vec<_> = match state {
        Preset::None | Preset::Enabled | Preset::Replicating => return Vec::new(),
        Preset::Suspended => return vec![("Suspend-VMReplication", false, Operation::Suspend)],
        Preset::PreparedForFailover => vec![prepare],
        Preset::FailedOverWaitingCompletion => vec![prepare, fail_over],
        Preset::FailedOver => vec![prepare, fail_over, complete],
        Preset::Reversed => vec![prepare, fail_over, reverse],
    };
    if runs {
        way.insert(0, stop);
    }
    if state != Preset::PreparedForFailover {
        way.extend(start);
    }
    way
}

impl<D: DiskStore> Run<'_, D> {
    /// Brings every relationship to where the topology wants it, by ordinary operations.
    pub(super) fn prepare(&mut self) -> Done {
        let scenario = self.scenario;
        let wanted: Vec<(CopyId, &Vm)> = scenario
            .topology
            .vms
            .iter()
            .enumerate()
            .filter(|(_, vm)| vm.replica.as_ref().is_some_and(|r| r.state != Preset::None))
            .map(|(index, vm)| {
                let id = VmId(u32::try_from(index).unwrap_or(u32::MAX));
                (CopyId { host: vm.host.value, vm: id }, vm)
            })
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        self.record(What::Step {
            number: 0,
            line: 0,
            text: "what is there before the first step".to_owned(),
        });
        for (copy, vm) in &wanted {
            let Some(replica) = &vm.replica else { continue };
            let operation = Operation::Enable { to: replica.host.value, settings: replica.settings.clone() };
            self.sim.operate(*copy, "Enable-VMReplication", operation)?;
        }
        self.wait_for(&wanted, |_| ReplicationState::ReadyForInitialReplication)?;
        let full = |vm: &Vm| vm.replica.as_ref().is_some_and(|r| r.state != Preset::Enabled);
        let initial: Vec<(CopyId, &Vm)> = wanted.into_iter().filter(|(_, vm)| full(vm)).collect();
        for (copy, _) in &initial {
            let operation = Operation::StartInitialReplication { kind: InitialKind::Network, at: None };
            self.sim.operate(*copy, "Start-VMInitialReplication", operation)?;
        }
        self.wait_for(&initial, |_| ReplicationState::Replicating)?;
        for (copy, vm) in initial {
            self.go_further(copy, vm)?;
        }
        self.tell();
        Ok(())
    }

    /// From the replicating pair to the state that the topology wants, as an operator would.
    fn go_further(&mut self, home: CopyId, vm: &Vm) -> Done {
        let Some(replica) = &vm.replica else { return Ok(()) };
        let away = CopyId { host: replica.host.value, vm: home.vm };
        for (call, there, operation) in way_to(replica.state, vm.power) {
            let on = if there { away } else { home };
            self.call_and_wait(on, call, operation, replica.place)?;
        }
        Ok(())
    }

    fn call_and_wait(&mut self, on: CopyId, call: &str, operation: Operation, place: Place) -> Done {
        let outcome = self.sim.operate(on, call, operation)?;
        let limit = self.sim.world.now + PATIENCE;
        if let Some(id) = outcome.job {
            self.pass(limit, &|sim| sim.job(on.host, id).is_none_or(|job| job.state.ended()))?;
        }
        let job = outcome.job.and_then(|id| self.sim.job(on.host, id));
        let failed = job.filter(|job| job.state != JobState::Completed).map(|job| job.error_text);
        match outcome.refusal.map(|refusal| format!("{} needs {}", refusal.rule, refusal.needs)).or(failed) {
            None => Ok(()),
            Some(why) => {
                let (vm, host) = (self.sim.vm_name(on.vm), self.sim.host_name(on.host));
                let message = format!("{vm} could not be brought to this state: {call} on {host}: {why}");
                Err(self.wrong(place, message, None))
            }
        }
    }

    fn wait_for(&mut self, copies: &[(CopyId, &Vm)], state: impl Fn(CopyId) -> ReplicationState) -> Done {
        let limit = self.sim.world.now + PATIENCE;
        for (copy, vm) in copies {
            let wanted = state(*copy);
            let there = self.pass(limit, &|sim| sim.copy(*copy).is_some_and(|view| view.state == wanted))?;
            if !there {
                let place = vm.replica.as_ref().map_or(vm.name.place, |r| r.place);
                let message =
                    format!("{} could not be brought to {wanted} before the first step", vm.name.value);
                return Err(self.wrong(place, message, None));
            }
        }
        Ok(())
    }
}
