//! An operator who leads a machine back to protection, by what both copies show, as an administrator would.

use hvrsim_replica::rule::Call;
use hvrsim_replica::service::Trust;
use hvrsim_sim::world::World;
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::state::{Mode, Power, ReplicationState as S};
use hvrsim_types::time::Span;

use crate::act::{Act, Turn, With};
use crate::property::{copies_of, protected, side, state};

/// Ends every fault: hosts are up and trusted, links carry.
#[must_use]
pub fn repairs(world: &World) -> Vec<Act> {
    let mut all: Vec<Act> = world.links.iter().map(|link| Act::Mend(link.ends.0, link.ends.1)).collect();
    for host in (0..).map(HostId).take(world.hosts.len()) {
        all.extend([Act::Trust(host, Trust::Intact), Act::Power(host, Turn::Back)]);
    }
    all
}

fn ask(copy: CopyId, call: Call) -> Vec<Act> {
    vec![Act::Ask(copy, call, With::Defaults)]
}

fn wait() -> Vec<Act> {
    vec![Act::Wait(Span::minutes(31))]
}

/// The call with the machine Off and without checkpoints.
fn off(world: &World, copy: CopyId, call: Call) -> Vec<Act> {
    let power = world.machine(copy).map_or(Power::Off, |machine| machine.power);
    let first = match power {
        Power::Off => Vec::new(),
        Power::Saved => ask(copy, Call::RemoveSavedState),
        _ => ask(copy, Call::TurnOffVm),
    };
    [first, ask(copy, Call::RemoveCheckpoints), ask(copy, call)].concat()
}

/// What an operator does next to have the machine protected again; `None` when it is. While something is under way
/// that ends by itself, that is waiting. `step` counts what was tried: where the best is refused, another way is next.
#[must_use]
pub fn next(world: &World, vm: VmId, step: usize) -> Option<Vec<Act>> {
    if protected(world, vm) {
        return None;
    }
    let copies = copies_of(world, vm);
    if let Some(copy) = copies.iter().find(|copy| world.machine(copy.test()).is_some()) {
        return Some(off(world, *copy, Call::RevertFailover));
    }
    let found = |mode: Mode, wanted: &[S]| {
        copies.iter().copied().find(|copy| {
            let (m, s) = side(world, *copy);
            m == mode && wanted.contains(&s)
        })
    };
    let busy =
        |copy: &&CopyId| state(world, **copy).is_some_and(|c| c.job.is_some() || c.scheduled.is_some());
    if let Some(copy) = found(Mode::Replica, &[S::FailbackInProgress]) {
        return Some(ask(copy, Call::CancelJob));
    }
    if let Some(copy) = copies.iter().find(busy) {
        return Some(if waits_long(world, *copy) { ask(*copy, Call::CancelJob) } else { wait() });
    }
    if let Some(copy) = found(Mode::Replica, &[S::FailoverInProgress]) {
        return Some(ask(copy, Call::RevertFailover));
    }
    if let Some(copy) = found(Mode::Replica, &[S::FailbackComplete]) {
        return Some(away(world, copy, &copies, step));
    }
    let over = found(Mode::Replica, &[S::Recovered, S::Committed]);
    if let Some(over) = over {
        return Some(away(world, over, &copies, step));
    }
    if let Some(copy) = found(Mode::Primary, &[S::SyncedReplicationComplete]) {
        return Some(ask(copy, Call::RevertFailover));
    }
    match copies.iter().copied().find(|copy| side(world, *copy).0 == Mode::Primary) {
        Some(primary) => Some(lead(world, primary, &copies)),
        None => Some(begin(world, &copies)),
    }
}

/// A machine runs, or could, away from home. What is best is tried first; where it is refused, what comes next.
fn away(world: &World, copy: CopyId, copies: &[CopyId], step: usize) -> Vec<Act> {
    let Some(other) = copies.iter().copied().find(|other| *other != copy) else {
        return off(world, copy, Call::Remove);
    };
    let shown = side(world, copy).1;
    let reverse = || [off(world, other, Call::RemoveCheckpoints), off(world, copy, Call::Reverse)].concat();
    let mut ways = Vec::new();
    if shown == S::Recovered {
        ways.push([off(world, copy, Call::RevertFailover), ask(other, Call::Resume)].concat());
    }
    match side(world, other) {
        (Mode::Replica, S::WaitingToCompleteInitialReplication) => ways.push(reverse()),
        _ if shown == S::FailbackComplete => ways.push(reverse()),
        _ => ways.push([off(world, other, Call::AsReplica), off(world, copy, Call::Reverse)].concat()),
    }
    ways.extend([reverse(), off(world, copy, Call::Resume), off(world, copy, Call::Remove)]);
    ways.swap_remove(step % ways.len())
}

/// What a primary's operator does.
fn lead(world: &World, primary: CopyId, copies: &[CopyId]) -> Vec<Act> {
    let Some(other) = copies.iter().copied().find(|other| *other != primary) else {
        return ask(primary, Call::Remove);
    };
    let peer = |copy| state(world, copy).and_then(|c| c.peer);
    let (mode, beside) = side(world, other);
    if mode != Mode::Replica || peer(primary) != Some(other.host) {
        return ask(primary, Call::Remove);
    }
    if matches!(beside, S::Suspended | S::ResynchronizeSuspended) {
        return ask(other, Call::Resume);
    }
    match (side(world, primary).1, beside) {
        (S::ReadyForInitialReplication, S::WaitingToCompleteInitialReplication) => {
            ask(primary, Call::StartInitialReplication)
        }
        (S::ReadyForInitialReplication, _) => ask(primary, Call::Remove),
        (S::Suspended | S::Critical, S::Replicating) if peer(other) == Some(primary.host) => {
            [ask(primary, Call::Resume), wait(), ask(primary, Call::Resynchronize)].concat()
        }
        (S::Suspended | S::Critical | S::WaitingForStartResynchronize, _) => {
            ask(primary, Call::Resynchronize)
        }
        (S::ResynchronizeSuspended, _) => ask(primary, Call::Resume),
        _ => wait(),
    }
}

/// Nobody leads: one copy is kept, the other is its seed.
fn begin(world: &World, copies: &[CopyId]) -> Vec<Act> {
    let replicas: Vec<CopyId> =
        copies.iter().copied().filter(|copy| side(world, *copy).0 == Mode::Replica).collect();
    match (copies, replicas.as_slice()) {
        ([keep], []) => ask(*keep, Call::Enable),
        ([keep, seed, ..], []) => [off(world, *seed, Call::AsReplica), ask(*keep, Call::Enable)].concat(),
        ([_, _], [seed]) if side(world, *seed).1 == S::WaitingToCompleteInitialReplication => {
            let keep = copies.iter().copied().find(|copy| copy != seed);
            keep.map_or_else(wait, |keep| ask(keep, Call::Enable))
        }
        (_, [copy, ..]) => off(world, *copy, Call::Remove),
        ([], []) => wait(),
    }
}

/// A job that waits for the other side, and has for a day.
fn waits_long(world: &World, copy: CopyId) -> bool {
    let Some(c) = state(world, copy) else { return false };
    let Some(job) = c.job.or(c.scheduled.map(|s| s.job)) else { return false };
    let since = world.host(copy.host).service.jobs.get(job).map(|job| job.submitted);
    since.is_some_and(|since| world.now - since > Span::DAY)
}
