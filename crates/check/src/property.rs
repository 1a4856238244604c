//! What must hold at every moment, one function a claim. The claims of the issue tracker's words: *always*. What is
//! taken at some time, and what can be reached from everywhere, are for [`crate::explore`].

use std::collections::BTreeMap;
use std::sync::OnceLock;

use hvrsim_replica::copy::{Copy, Phase};
use hvrsim_replica::operation::{InitialKind, Operation, PointChoice};
use hvrsim_sim::Sim;
use hvrsim_sim::ledger::Position;
use hvrsim_sim::store::{DiskStore, StoreResult};
use hvrsim_sim::trace::Finding;
use hvrsim_sim::world::World;
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, NamedState, Power, ReplicationState as S, ReplicationType};
use hvrsim_types::time::Span;

/// A claim that does not hold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Violation {
    /// The claim's name.
    pub claim: &'static str,
    /// What is so instead.
    pub found: String,
}

/// Whether a claim holds.
pub type Held = Result<(), Violation>;

/// A claim that does not hold.
///
/// # Errors
/// Always.
pub fn broken(claim: &'static str, found: impl Into<String>) -> Held {
    Err(Violation { claim, found: found.into() })
}

type Side = (Mode, S);

/// The pairs of `tests/data/pairs.tsv`; whether each may stand for ever.
fn legal_pairs() -> &'static BTreeMap<(Side, Side), bool> {
    static PAIRS: OnceLock<BTreeMap<(Side, Side), bool>> = OnceLock::new();
    PAIRS.get_or_init(|| {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/pairs.tsv"));
        let mode = |name: &str| match name {
            "Primary" => Mode::Primary,
            "Replica" => Mode::Replica,
            _ => Mode::None,
        };
        let state = |name: &str| NamedState::parse(name).map_or(S::Unknown, |named| named.state);
        let lines = text.lines().skip(2).map(|line| line.split('\t').collect::<Vec<_>>());
        let pair = |c: Vec<&str>| {
            let [a, b, c, d, kind, ..] = c[..] else { return None };
            Some((((mode(a), state(b)), (mode(c), state(d))), kind == "rest"))
        };
        lines.filter_map(pair).collect()
    })
}

/// A copy's state in its service, or that of its extended relationship.
#[must_use]
pub fn state(world: &World, copy: CopyId) -> Option<&Copy> {
    world.host(copy.host).service.relationship(copy.vm)
}

/// Mode and state of a copy; not replicating where there is none.
#[must_use]
pub fn side(world: &World, copy: CopyId) -> (Mode, S) {
    state(world, copy).map_or((Mode::None, S::Disabled), |c| (c.mode, c.state()))
}

fn content(world: &World, copy: CopyId) -> Option<Position> {
    world.machine(copy).map(|machine| machine.content.live)
}

fn same(world: &World, a: Position, b: Position) -> bool {
    world.ledger.contains(a, b) && world.ledger.contains(b, a)
}

fn words((mode, state): (Mode, S)) -> String {
    format!("{mode} {}", state.powershell(mode))
}

/// The copies of a machine, by host.
pub fn copies_of(world: &World, vm: VmId) -> Vec<CopyId> {
    world.copies().filter(|copy| copy.vm == vm).collect()
}

fn machines(world: &World) -> impl Iterator<Item = VmId> + '_ {
    (0..).map(VmId).take(world.vms.len())
}

/// The copy that a relationship leads from and the one that it leads to, if both agree on it.
#[must_use]
pub fn leader(world: &World, vm: VmId) -> Option<(CopyId, CopyId)> {
    let copies = copies_of(world, vm);
    let agree = |p: CopyId, r: CopyId| {
        let (Some(a), Some(b)) = (state(world, p), state(world, r)) else { return false };
        let joined = a.peer == Some(r.host) && b.peer == Some(p.host);
        a.mode == Mode::Primary && b.mode == Mode::Replica && joined && a.epoch == b.epoch
    };
    let pairs = copies.iter().flat_map(|p| copies.iter().map(move |r| (*p, *r)));
    pairs.into_iter().find(|(p, r)| agree(*p, *r))
}

/// Every claim about one moment that costs little.
///
/// # Errors
/// The first claim that does not hold.
pub fn now(world: &World) -> Held {
    for vm in machines(world) {
        let copies = copies_of(world, vm);
        legal(world, &copies)?;
        for copy in &copies {
            marked_stay_closed(world, *copy)?;
            runs_where_it_may(world, *copy)?;
            jobs_are_kept(world, *copy)?;
        }
        planned_loses_nothing(world, &copies)?;
        split_brain_is_found(world, vm, &copies)?;
    }
    Ok(())
}

/// The pair of states of two copies; `None` where there are more.
fn pair(world: &World, copies: &[CopyId]) -> Option<[(Mode, S); 2]> {
    match *copies {
        [a] => Some([side(world, a), (Mode::None, S::Disabled)]),
        [a, b] => Some([side(world, a), side(world, b)]),
        _ => None,
    }
}

/// Whether a pair of states is legal, and then whether it may stand for ever.
fn rests(a: (Mode, S), b: (Mode, S)) -> Option<bool> {
    let pairs = legal_pairs();
    [(a, b), (b, a)].iter().filter_map(|pair| pairs.get(pair)).copied().max()
}

/// Whether the copies may stand as they do for ever.
#[must_use]
pub fn may_rest(world: &World, copies: &[CopyId]) -> bool {
    pair(world, copies).is_none_or(|[a, b]| rests(a, b) == Some(true))
}

/// No pair of states that nobody describes, and one that is on its way to another only while something is.
fn legal(world: &World, copies: &[CopyId]) -> Held {
    let Some([a, b]) = pair(world, copies) else { return Ok(()) };
    match rests(a, b) {
        Some(true) => Ok(()),
        Some(false) if under_way(world, copies) => Ok(()),
        Some(false) => broken("legal-pair", format!("{} with {} at rest", words(a), words(b))),
        None => broken("legal-pair", format!("{} with {}", words(a), words(b))),
    }
}

/// Something is on its way that will change the pair: a job, a message, a session, or a send to come.
fn under_way(world: &World, copies: &[CopyId]) -> bool {
    let faulty = world.links.iter().any(|l| l.cut) || world.hosts.iter().any(|h| !h.up);
    let busy = |c: &Copy| {
        let sends = c.mode == Mode::Primary && c.phase == Phase::Replicating;
        let session = matches!(c.phase, Phase::ResyncSuspended(_) | Phase::ResyncReceiving { .. });
        c.job.is_some() || c.asked.is_some() || c.sending.is_some() || c.merging || sends || session
    };
    let messages = !world.flows().is_empty() || world.sessions().values().any(|s| s.running);
    faulty || messages || copies.iter().any(|copy| state(world, *copy).is_some_and(busy))
}

/// From disks that a broken failback left between two contents nothing is failed over (rule G-4).
fn marked_stay_closed(world: &World, copy: CopyId) -> Held {
    let marked = state(world, copy).is_some_and(|c| {
        let over =
            matches!(c.phase, Phase::Recovering { .. } | Phase::Recovered { .. } | Phase::Committed { .. });
        c.inconsistent && over
    });
    if marked {
        return broken(
            "inconsistent",
            format!("{} is failed over from marked disks", world.host(copy.host).name),
        );
    }
    Ok(())
}

/// A replica runs only failed over or failed back; what is prepared for failover does not run.
fn runs_where_it_may(world: &World, copy: CopyId) -> Held {
    let (mode, state) = side(world, copy);
    let may = match mode {
        Mode::Replica => matches!(state, S::Recovered | S::Committed | S::FailbackComplete),
        _ => state != S::SyncedReplicationComplete,
    };
    if may || world.machine(copy).is_none_or(|m| m.power != Power::Running) {
        return Ok(());
    }
    broken("start-blocked", format!("{} runs in {}", world.host(copy.host).name, words((mode, state))))
}

/// Every job that has not ended is the copy's mutating job or its scheduled one, and the other way round.
fn jobs_are_kept(world: &World, copy: CopyId) -> Held {
    let Some(c) = state(world, copy) else { return Ok(()) };
    let jobs = &world.host(copy.host).service.jobs;
    let open: Vec<_> = jobs.iter().filter(|j| j.vm == copy.vm && !j.state.ended()).map(|j| j.id).collect();
    let mut known: Vec<_> = c.job.into_iter().chain(c.scheduled.map(|s| s.job)).collect();
    known.sort();
    if open != known {
        return broken("jobs", format!("jobs {open:?} have not ended, the copy knows {known:?}"));
    }
    if c.shown.is_some() && c.job.is_none() {
        return broken("jobs", "a state is shown for no job");
    }
    let run = match &c.phase {
        // The job of an export ends with it, before the media are imported.
        Phase::Initial(_, InitialKind::Media) => None,
        Phase::Initial(run, _) | Phase::Resync(run) | Phase::ResyncSuspended(run) => Some(run.job),
        Phase::Failback(run) => Some(run.job),
        _ => None,
    };
    if run.is_some() && run != c.job {
        return broken("jobs", "the run's job is another one");
    }
    Ok(())
}

/// Failed over to the Planned point of a primary that is still prepared: equal to what it holds.
fn planned_loses_nothing(world: &World, copies: &[CopyId]) -> Held {
    for (p, r) in copies.iter().flat_map(|p| copies.iter().map(move |r| (*p, *r))) {
        let (Some(primary), Some(replica)) = (state(world, p), state(world, r)) else { continue };
        let (Mode::Primary, Phase::Prepared(prepared)) = (primary.mode, &primary.phase) else { continue };
        let (Mode::Replica, Phase::Recovered { point }) = (replica.mode, &replica.phase) else { continue };
        if *point != Some(*prepared) {
            continue;
        }
        if replica.failed_over_type != ReplicationType::Planned {
            return broken("planned-failover", "a failover to the Planned point is not called planned");
        }
        let there = world.points.get(prepared).map(|info| info.content);
        let (Some(here), Some(there)) = (content(world, p), there) else { continue };
        if !same(world, here, there) {
            return broken("planned-failover", "the Planned point is not the newest content");
        }
    }
    Ok(())
}

/// Never two running copies without the finding *split brain*.
fn split_brain_is_found(world: &World, vm: VmId, copies: &[CopyId]) -> Held {
    let runs = |copy: &&CopyId| world.machine(**copy).is_some_and(|m| m.power == Power::Running);
    let both = copies.iter().filter(runs).count() > 1;
    let found = world.findings.iter().any(|(_, _, of, what)| *of == vm && *what == Finding::SplitBrain);
    if both && !found {
        return broken("split-brain", "two copies run and nobody is told");
    }
    Ok(())
}

/// Every claim about what one act, or one event, has done.
///
/// # Errors
/// The first claim that does not hold.
pub fn step(before: &World, after: &World) -> Held {
    points_stay(before, after)?;
    for copy in after.copies() {
        let was = side(before, copy).1;
        if was == S::FailbackInProgress && side(after, copy).1 == S::FailbackComplete {
            failback_is_complete(before, after, copy)?;
        }
    }
    Ok(())
}

/// A recovery point once offered keeps its content.
fn points_stay(before: &World, after: &World) -> Held {
    for (id, info) in &before.points {
        if after.points.get(id).is_some_and(|now| now.content != info.content) {
            return broken("recovery-point", format!("{id:?} changed its content"));
        }
    }
    Ok(())
}

/// A cancelled or broken failback never shows as completed, and a completed one has what was asked for.
fn failback_is_complete(before: &World, after: &World, copy: CopyId) -> Held {
    let Some(Phase::Failback(run)) = state(before, copy).map(|c| &c.phase) else { return Ok(()) };
    let end = after.host(copy.host).service.jobs.get(run.job).map(|job| (job.kind, job.state));
    if end != Some((JobType::InitiateFailback, JobState::Completed)) {
        // What was complete before the call, and is as it was, may be so again.
        if matches!(*run.before, Phase::FailbackDone(_)) {
            return Ok(());
        }
        return broken("failback", format!("it is complete and its job is {end:?}"));
    }
    let here = content(after, copy);
    let from = CopyId { host: run.from, vm: copy.vm };
    let asked = match run.choice {
        PointChoice::Id(id) => after.points.get(&id).map(|info| info.content),
        _ if state(after, copy).is_some_and(|c| c.failed_over_type == ReplicationType::Planned) => {
            content(after, from)
        }
        _ => here,
    };
    if let (Some(here), Some(asked)) = (here, asked)
        && !same(after, here, asked)
    {
        return broken("failback", "it has brought another content than the one that was asked for");
    }
    Ok(())
}

/// Whenever a failover would be accepted now, each offered point and what it shows is a prefix of what the primary
/// wrote. It is carried out in a world apart.
///
/// # Errors
/// Inside, the claim that does not hold; outside, the store failed.
pub fn failover_shows_a_prefix<D: DiskStore + Clone>(sim: &Sim<D>, copy: CopyId) -> StoreResult<Held> {
    let up = sim.world.host(copy.host).up;
    if !up || side(&sim.world, copy).0 != Mode::Replica {
        return Ok(Ok(()));
    }
    let mut fork = sim.clone();
    let latest = Operation::Failover { point: PointChoice::Latest };
    if !fork.operate(copy, "a world apart", latest)?.code.accepted() {
        return Ok(Ok(()));
    }
    let primary = leader(&sim.world, copy.vm).filter(|(_, r)| *r == copy);
    let whole = primary.and_then(|(p, _)| content(&sim.world, p));
    let prefix = |part: Position| whole.is_none_or(|whole| sim.world.ledger.contains(whole, part));
    for point in state(&sim.world, copy).map(|c| &c.points[..]).unwrap_or_default() {
        if sim.world.points.get(&point.id).is_some_and(|info| !prefix(info.content)) {
            return Ok(broken("prefix", format!("{:?} holds what the primary never held", point.id)));
        }
    }
    let limit = fork.world.now + Span::HOUR;
    while side(&fork.world, copy).1 == S::FailoverInProgress {
        if !fork.step(limit)? {
            return Ok(broken("failover-ends", "a failover was accepted and does not end in an hour"));
        }
    }
    let shown = content(&fork.world, copy).filter(|_| side(&fork.world, copy).1 == S::Recovered);
    if shown.is_some_and(|shown| !prefix(shown)) {
        return Ok(broken("prefix", "a failover shows what the primary never held"));
    }
    Ok(Ok(()))
}

/// Whether a machine is protected: both sides agree, the primary replicates, and nothing is broken.
#[must_use]
pub fn protected(world: &World, vm: VmId) -> bool {
    let sound = |host: HostId| {
        let host = world.host(host);
        host.up && host.service.trust == hvrsim_replica::service::Trust::Intact
    };
    leader(world, vm).is_some_and(|(p, r)| {
        let replicates = [p, r].iter().all(|copy| {
            state(world, *copy)
                .is_some_and(|c| c.phase == Phase::Replicating && c.job.is_none() && !c.merging)
        });
        let linked = world.links.iter().any(|link| link.joins(p.host, r.host) && !link.cut);
        replicates && linked && sound(p.host) && sound(r.host)
    })
}
