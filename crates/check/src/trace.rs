//! A trace as a scenario file that anyone can run: `hvrsim run --recover FILE` does what the walk did, with every claim
//! looked at, and leads the machine back at the end.
//!
//! What was refused, or had nothing to act on, changed nothing and is left out. What no operator can do (letting events
//! happen out of their order) cannot be told; such traces come from exploration only.

use std::fmt::Write;

use hvrsim_replica::profile::Generation;
use hvrsim_replica::rule::Call;
use hvrsim_replica::service::Trust;
use hvrsim_sim::store::{Stamps, StoreResult};
use hvrsim_sim::world::World;
use hvrsim_sim::{Look, Sim};
use hvrsim_types::id::{CopyId, HostId, JobId};
use hvrsim_types::state::{Mode, Power};

use crate::act::{Act, BLOCK, Done, Turn, With, attempt, other_host, settings};
use crate::property::state;
use crate::shrink::Failing;
use crate::small::Shape;

/// A failing trace as a scenario; `None` if a step of it cannot be told.
///
/// # Errors
/// The store failed.
pub fn scenario(failing: &Failing) -> StoreResult<Option<String>> {
    let mut sim = failing.shape.bare(failing.seed, Stamps::default())?;
    let mut steps: Vec<Told> = Vec::new();
    for act in &failing.acts {
        let before = sim.world.clone();
        let Ok(done) = attempt(*act, &mut sim)? else {
            // The panic itself is what the trace shows.
            let Some(text) = step(&sim, &before, *act) else { return Ok(None) };
            steps.push(Told { text, job: None });
            break;
        };
        let accepted = match &done {
            Done::Answered(outcome) => outcome.refusal.is_none(),
            Done::Nothing => false,
            Done::Yes => true,
        };
        if !accepted || is_idle(&before, *act) {
            continue;
        }
        let text = match act {
            Act::Ask(copy, Call::CancelJob, _) => cancel(&sim, &before, *copy, &mut steps),
            act => step(&sim, &before, *act),
        };
        let Some(text) = text else { return Ok(None) };
        let job = match (act, &done) {
            (Act::Ask(copy, ..), Done::Answered(outcome)) => outcome.job.map(|job| (copy.host, job)),
            _ => None,
        };
        steps.push(Told { text, job });
    }
    let mut text = head(failing);
    if steps.is_empty() {
        text.push_str("  - note: nothing is done\n");
    }
    for told in steps {
        let _ = writeln!(text, "  - {}", told.text);
    }
    Ok(Some(text))
}

/// A step, and the job that it started.
struct Told {
    text: String,
    job: Option<(HostId, JobId)>,
}

fn head(failing: &Failing) -> String {
    let Shape { hosts, vms, blocks, used, link_rate, disk_rate, profile } = &failing.shape;
    let old = profile.generation == Generation::Server2012R2;
    let mut text = format!(
        "# {}: {}\n# hvrsim run --recover, on this file, shows it as long as it is so.\nscenario: {} fails\nseed: {}\n",
        failing.violation.claim,
        failing.violation.found.replace('\n', " "),
        failing.violation.claim,
        failing.seed
    );
    let _ = writeln!(
        text,
        "profile: {{ generation: {}, failback: {}, initial-after-unplanned: {}, failback-points: {} }}",
        if old { "2012r2" } else { "2016" },
        if profile.failback_staged { "staged" } else { "in-place" },
        if profile.initial_full { "full" } else { "compare" },
        profile.failback_points
    );
    text.push_str("topology:\n  hosts:\n");
    for host in 1..=*hosts {
        let _ = writeln!(text, "    HV{host}: {{ disk-rate: {}B/s }}", disk_rate.0);
    }
    text.push_str("  links:\n");
    for a in 1..=*hosts {
        for b in a + 1..=*hosts {
            let _ = writeln!(text, "    HV{a}-HV{b}: {{ rate: {}B/s, latency: 5ms }}", link_rate.0);
        }
    }
    text.push_str("  vms:\n");
    for vm in 1..=*vms {
        let (size, used) = (u64::from(*blocks) * 64, u64::from(*used) * 64);
        let _ = writeln!(
            text,
            "    web{vm:02}: {{ host: HV1, disks: [ {{ size: {size}KiB, used: {used}KiB }} ] }}"
        );
    }
    text.push_str("steps:\n");
    text
}

/// What would change nothing.
fn is_idle(before: &World, act: Act) -> bool {
    let cut = |a, b| before.links.iter().any(|link| link.joins(a, b) && link.cut);
    match act {
        Act::Cut(a, b) => cut(a, b),
        Act::Mend(a, b) => !cut(a, b),
        Act::Power(host, Turn::Back) => before.host(host).up,
        Act::Power(host, _) => !before.host(host).up,
        Act::Trust(host, trust) => before.host(host).service.trust == trust,
        Act::Worker(copy) => before.machine(copy).is_none_or(|machine| machine.power != Power::Running),
        _ => false,
    }
}

fn cancel(sim: &Sim<Stamps>, before: &World, copy: CopyId, steps: &mut [Told]) -> Option<String> {
    let of = state(before, copy)?;
    let job = (copy.host, of.job.or(of.scheduled.map(|s| s.job))?);
    let (at, begun) = (1..).zip(steps.iter_mut()).find(|(_, told)| told.job == Some(job))?;
    if begun.text.starts_with("manager") {
        return None;
    }
    if !begun.text.contains("\n    as: ") {
        let _ = write!(begun.text, "\n    as: job{at}");
    }
    let host = sim.host_name(copy.host);
    Some(format!(
        "invoke: Msvm_ConcreteJob.RequestStateChange\n    host: {host}\n    with: {{ Job: job{at}, RequestedState: 4 }}"
    ))
}

/// An act as a step, without the mark of a list's entry.
fn step(sim: &Sim<Stamps>, before: &World, act: Act) -> Option<String> {
    let host = |id: HostId| sim.host_name(id);
    Some(match act {
        Act::Ask(copy, call, with) => return ask(sim, before, copy, call, with),
        Act::Write { copy, block, blocks } => format!(
            "write: {{ vm: {}, host: {}, offset: {}B, bytes: {}B }}",
            sim.vm_name(copy.vm),
            host(copy.host),
            u64::from(block) * BLOCK,
            u64::from(blocks) * BLOCK
        ),
        Act::Wait(span) => format!("advance: {}ms", span.0 / 1_000_000),
        Act::Hour | Act::Happens(_) => return None,
        Act::Cut(a, b) => format!("fault: {{ link: {}-{}, cut: forever }}", host(a), host(b)),
        Act::Mend(a, b) => format!("repair: {{ link: {}-{} }}", host(a), host(b)),
        Act::Power(id, turn) => {
            let power = match turn {
                Turn::Lost => "lost",
                Turn::Off => "shut-down",
                Turn::Back => "back",
            };
            format!("fault: {{ host: {}, power: {power} }}", host(id))
        }
        Act::Trust(id, trust) => {
            let trust = match trust {
                Trust::Intact => "restored",
                Trust::Unauthorized => "authorization-removed",
                _ => return None,
            };
            format!("fault: {{ host: {}, trust: {trust} }}", host(id))
        }
        Act::Worker(copy) => format!("fault: {{ worker: {}/{} }}", host(copy.host), sim.vm_name(copy.vm)),
    })
}

fn ask(sim: &Sim<Stamps>, before: &World, copy: CopyId, call: Call, with: With) -> Option<String> {
    let (on, vm) = (sim.host_name(copy.host), sim.vm_name(copy.vm));
    let other = sim.host_name(other_host(before, copy));
    if call == Call::ManagerFailover {
        return (with == With::Defaults).then(|| format!("manager: {{ failover: {on}/{vm} }}"));
    }
    if call == Call::InitiateFailback {
        let point = match with {
            With::Defaults => String::new(),
            With::Point(place) => {
                format!(", RecoveryPointIdentifier: \"{other}/{vm}@-{}\"", u16::from(place) + 1)
            }
            _ => return None,
        };
        return Some(format!(
            "invoke: Msvm_ReplicationService.InitiateFailback\n    host: {on}\n    with: {{ ComputerSystem: {vm}, \
             ReplicationSettingData: {{ ReplicationProvider: built-in, RecoveryConnectionPoint: {other} }}{point} }}"
        ));
    }
    let line = cmdlet(before, copy, call, with, &format!("{on}/{vm}"))?;
    let line = line.replace("VM_NAME", &format!("'{vm}'")).replace("OTHER", other);
    Some(format!("host: {on}\n    run: \"{line}\""))
}

/// The cmdlet of a call, which is not waited for if it is one that takes time.
fn cmdlet(before: &World, copy: CopyId, call: Call, with: With, place: &str) -> Option<String> {
    let plain = |line: &str| (with == With::Defaults).then(|| line.to_owned());
    let point = |end: &str| match with {
        With::Defaults => Some(format!("Start-VMFailover -VMName VM_NAME{end} -AsJob -Confirm:$false")),
        With::Point(back) => {
            let back = u16::from(back) + 1;
            Some(format!(
                "Start-VMFailover -VMRecoverySnapshot '{place}@-{back}'{end} -AsJob -Confirm:$false"
            ))
        }
        _ => None,
    };
    match call {
        Call::Enable => plain(&format!(
            "Enable-VMReplication -VMName VM_NAME -ReplicaServerName OTHER -ReplicaServerPort 80 \
             -AuthenticationType Kerberos -RecoveryHistory {} -AsJob",
            settings().recovery_history
        )),
        Call::AsReplica if state(before, copy).is_none_or(|c| c.mode == Mode::None) => {
            plain("Enable-VMReplication -VMName VM_NAME -AsReplica -AsJob")
        }
        Call::AsReplica => plain("Set-VMReplication -VMName VM_NAME -AsReplica -AsJob"),
        Call::StartInitialReplication => match with {
            With::Defaults => Some("Start-VMInitialReplication -VMName VM_NAME".to_owned()),
            With::Seeded => Some("Start-VMInitialReplication -VMName VM_NAME -UseBackup".to_owned()),
            _ => None,
        },
        Call::StopInitialReplication => plain("Stop-VMInitialReplication -VMName VM_NAME"),
        Call::Modify => match with {
            With::Settings { frequency, history, auto_resync } => Some(format!(
                "Set-VMReplication -VMName VM_NAME -ReplicationFrequencySec {} -RecoveryHistory {history} \
                 -AutoResynchronizeEnabled ${auto_resync} -AutoResynchronizeIntervalStart 00:00:00 \
                 -AutoResynchronizeIntervalEnd 23:59:00 -AsJob",
                frequency.interval_s()
            )),
            _ => None,
        },
        Call::Suspend => plain("Suspend-VMReplication -VMName VM_NAME"),
        Call::Resume => plain("Resume-VMReplication -VMName VM_NAME -AsJob"),
        Call::Resynchronize => plain("Resume-VMReplication -VMName VM_NAME -Resynchronize"),
        Call::StopResynchronize => plain("Stop-VMReplication -VMName VM_NAME"),
        Call::Prepare => plain("Start-VMFailover -VMName VM_NAME -Prepare -AsJob -Confirm:$false"),
        Call::Failover => point(""),
        Call::TestFailover => point(" -AsTest"),
        Call::RevertFailover => plain("Stop-VMFailover -VMName VM_NAME -AsJob"),
        Call::CommitFailover => plain("Complete-VMFailover -VMName VM_NAME"),
        Call::Reverse => plain("Set-VMReplication -VMName VM_NAME -Reverse -AsJob"),
        Call::Remove => plain("Remove-VMReplication -VMName VM_NAME"),
        Call::ResetStatistics => plain("Reset-VMReplicationStatistics -VMName VM_NAME"),
        Call::StartVm => plain("Start-VM -Name VM_NAME -AsJob"),
        Call::StopVm => plain("Stop-VM -Name VM_NAME -AsJob"),
        Call::TurnOffVm => plain("Stop-VM -Name VM_NAME -TurnOff -AsJob"),
        Call::SaveVm => plain("Save-VM -Name VM_NAME -AsJob"),
        Call::RemoveSavedState => plain("Remove-VMSavedState -VMName VM_NAME"),
        Call::Checkpoint => plain("Checkpoint-VM -Name VM_NAME -AsJob"),
        Call::RemoveCheckpoints => plain("Remove-VMSnapshot -VMName VM_NAME -AsJob"),
        // Told in another way, or not by one cmdlet.
        _ => None,
    }
}
