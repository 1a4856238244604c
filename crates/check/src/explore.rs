//! Every reachable situation of a small world, breadth-first, over the real life cycle and the real simulator.
//!
//! A node is a [`situation`](crate::situation) with the first world that showed it; only worlds at the edge are kept.
//! From each world every act is tried: all calls on all copies, what is under way in any order, faults and repairs.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::num::NonZeroUsize;

use hvrsim_replica::exchange::Note;
use hvrsim_replica::operation::Frequency;
use hvrsim_replica::rule::Call::{
    self, Enable, Failover, InitiateFailback, Resynchronize, StartInitialReplication,
};
use hvrsim_replica::service::Trust;
use hvrsim_sim::Sim;
use hvrsim_sim::store::{DiskStore, Stamps, StoreResult};
use hvrsim_sim::trace::What;
use hvrsim_sim::world::{Event, World};
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::state::{Mode, Power, ReplicationState};

use crate::act::{Act, Done, Happening, Turn, With, attempt, happening};
use crate::property::{self, Held, Violation};
use crate::situation::{Key, describe, key};
use crate::space::Bounds;

/// A world whose disks are numbers of writes.
pub type World0 = Sim<Stamps>;

/// One situation.
#[derive(Clone, Debug)]
struct Node {
    /// From where, and by which act, it was reached first.
    parent: u32,
    act: u16,
    /// Its edges in the list of all.
    edges: std::ops::Range<u32>,
    /// Every machine is protected in it.
    goal: bool,
    /// Mode, state and power of every copy, in the order of hosts.
    shown: Vec<Shown>,
}

/// What a copy shows.
pub type Shown = (CopyId, Mode, ReplicationState, Power);

fn shown(world: &World) -> Vec<Shown> {
    let power = |copy| world.machine(copy).map_or(Power::Off, |machine| machine.power);
    let copies = world.copies().filter(|copy| !copy.vm.is_test());
    copies
        .map(|copy| {
            let (mode, state) = property::side(world, copy);
            (copy, mode, state, power(copy))
        })
        .collect()
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    nodes: Vec<Node>,
    edges: Vec<(u16, u32)>,
    acts: Vec<Act>,
    keys: HashMap<Key, u32>,
    /// Rules that were taken, or refused something.
    pub rules: BTreeSet<String>,
    /// Claims that do not hold, each with the acts that show it.
    pub violations: Vec<(Violation, Vec<Act>)>,
    /// Not all was visited: a bound was reached.
    pub cut_short: bool,
}

/// A successor that may be new.
struct Next {
    act: Act,
    key: Key,
    /// The world, if its situation was not known when its turn came.
    world: Option<Box<World0>>,
    goal: bool,
    shown: Vec<Shown>,
    rules: Vec<String>,
    held: Held,
}

impl Next {
    /// An act that leads nowhere.
    fn nowhere(act: Act, world: &World0, rules: Vec<String>, held: Held) -> Self {
        Self { act, key: key(world), world: None, goal: false, shown: Vec::new(), rules, held }
    }
}

/// So many worlds are worked on between two looks at what is known.
const ROUND: usize = 1024;
/// More violations say nothing new.
const VIOLATIONS: usize = 20;

/// Visits every situation that the bounds let reach from `start`.
///
/// # Errors
/// The store failed.
pub fn explore(start: World0, bounds: &Bounds, threads: NonZeroUsize) -> StoreResult<Explored> {
    let mut found = Explored::default();
    let mut interned = BTreeMap::new();
    let goal = protected(&start.world);
    found.keys.insert(key(&start), 0);
    found.nodes.push(Node { parent: 0, act: 0, edges: 0..0, goal, shown: shown(&start.world) });
    if goal && bounds.until_protected {
        return Ok(found);
    }
    let mut edge: VecDeque<(u32, Box<World0>)> = VecDeque::from([(0, Box::new(start))]);
    while !edge.is_empty() {
        let round: Vec<_> = edge.drain(..edge.len().min(ROUND)).collect();
        let known = &found.keys;
        let expanded = spread(&round, threads, |(_, world)| expand(world, bounds, known));
        for ((from, _), nexts) in round.iter().zip(expanded) {
            let begin = u32::try_from(found.edges.len()).unwrap_or(u32::MAX);
            for next in nexts? {
                let act = *interned.entry(next.act).or_insert_with(|| {
                    found.acts.push(next.act);
                    u16::try_from(found.acts.len() - 1).unwrap_or(u16::MAX)
                });
                found.rules.extend(next.rules);
                if let Err(violation) = next.held
                    && found.violations.len() < VIOLATIONS
                    && found.violations.iter().all(|(known, _)| *known != violation)
                {
                    let mut acts = found.way_to(*from);
                    acts.push(next.act);
                    found.violations.push((violation, acts));
                }
                let known = found.keys.get(&next.key).copied();
                let to = match (known, next.world) {
                    (Some(to), _) => to,
                    (None, Some(world))
                        if bounds.situations == 0 || found.nodes.len() < bounds.situations =>
                    {
                        let to = u32::try_from(found.nodes.len()).unwrap_or(u32::MAX);
                        found.keys.insert(next.key, to);
                        let node =
                            Node { parent: *from, act, edges: 0..0, goal: next.goal, shown: next.shown };
                        found.nodes.push(node);
                        if next.goal && bounds.until_protected {
                            return Ok(found);
                        }
                        edge.push_back((to, world));
                        to
                    }
                    (None, _) => {
                        found.cut_short = true;
                        continue;
                    }
                };
                found.edges.push((act, to));
            }
            let end = u32::try_from(found.edges.len()).unwrap_or(u32::MAX);
            found.nodes[*from as usize].edges = begin..end;
        }
    }
    Ok(found)
}

/// Works on every item, each thread on a part of them; results in the items' order.
fn spread<T: Sync, R: Send>(items: &[T], threads: NonZeroUsize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let part = items.len().div_ceil(threads.get()).max(1);
    let work = &work;
    std::thread::scope(|scope| {
        let parts: Vec<_> = items
            .chunks(part)
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("what panics in an act is caught")).collect()
    })
}

fn protected(world: &World) -> bool {
    (0..).map(VmId).take(world.vms.len()).all(|vm| property::protected(world, vm))
}

fn expand(world: &World0, bounds: &Bounds, known: &HashMap<Key, u32>) -> StoreResult<Vec<Next>> {
    let mut nexts = Vec::new();
    let mut scratch: Option<Box<World0>> = None;
    let mut seen = BTreeSet::new();
    for act in acts(&world.world, bounds) {
        let mut sim = scratch.take().unwrap_or_else(|| Box::new(world.clone()));
        let done = match attempt(act, &mut sim)? {
            Ok(done) => done,
            Err(violation) => {
                nexts.push(Next::nowhere(act, world, Vec::new(), Err(violation)));
                continue;
            }
        };
        let refused = matches!(&done, Done::Answered(outcome) if outcome.refusal.is_some());
        let mut rules = rules(&mut sim);
        if let Done::Answered(outcome) = &done {
            rules.extend(outcome.refusal.as_ref().map(|refusal| refusal.rule.to_owned()));
        }
        if refused || done == Done::Nothing {
            // A refusal changes nothing: the same world serves the next call, and a change shows there.
            let changed = refused && key(&sim) != key(world);
            let held = if changed {
                property::broken("refusal", format!("{act:?} changed something"))
            } else {
                Ok(())
            };
            if held.is_err() || !rules.is_empty() {
                nexts.push(Next::nowhere(act, world, rules, held));
            }
            scratch = (!changed).then_some(sim);
            continue;
        }
        let key = key(&sim);
        let fresh = !known.contains_key(&key) && seen.insert(key);
        let mut held = property::step(&world.world, &sim.world);
        if held.is_ok() && fresh {
            held = claims(&sim)?;
        }
        let goal = protected(&sim.world);
        let shown = if fresh { shown(&sim.world) } else { Vec::new() };
        nexts.push(Next { act, key, world: fresh.then_some(sim), goal, shown, rules, held });
    }
    Ok(nexts)
}

/// Every claim about a situation.
fn claims(sim: &World0) -> StoreResult<Held> {
    if let Err(violation) = property::now(&sim.world) {
        return Ok(Err(violation));
    }
    for copy in sim.world.copies() {
        let held = property::failover_shows_a_prefix(sim, copy)?;
        if held.is_err() {
            return Ok(held);
        }
    }
    Ok(Ok(()))
}

/// The rules in the records since the last look.
fn rules<D: DiskStore>(sim: &mut Sim<D>) -> Vec<String> {
    let records = sim.recorder.take();
    let rule = |what| match what {
        What::Note(Note::Rule { rule, .. }) => Some(rule),
        _ => None,
    };
    records.into_iter().filter_map(|record| rule(record.what)).collect()
}

/// Everything that may happen next.
#[must_use]
pub fn acts(world: &World, bounds: &Bounds) -> Vec<Act> {
    let mut all: BTreeSet<Act> =
        world.pending().filter_map(|(_, event)| happening(world, event)).map(Act::Happens).collect();
    if under_way(world) > bounds.under_way {
        all.retain(|act| !matches!(act, Act::Happens(Happening::Timer(..))));
        return all.into_iter().collect();
    }
    let hosts: Vec<HostId> = (0..).map(HostId).take(world.hosts.len()).collect();
    let down = |host: &&HostId| !world.host(**host).up;
    let distrusted = |host: &&HostId| world.host(**host).service.trust != Trust::Intact;
    let cut = world.links.iter().filter(|link| link.cut).count();
    let broken = hosts.iter().filter(down).count() + hosts.iter().filter(distrusted).count() + cut;
    let may_break = broken < bounds.broken_at_once;
    for link in &world.links {
        let (a, b) = link.ends;
        if link.cut {
            all.insert(Act::Mend(a, b));
        } else if bounds.cuts && may_break {
            all.insert(Act::Cut(a, b));
        }
    }
    for host in hosts {
        if !world.host(host).up {
            all.insert(Act::Power(host, Turn::Back));
        } else if may_break {
            all.extend(bounds.crashes.then_some(Act::Power(host, Turn::Lost)));
            all.extend(bounds.shutdowns.then_some(Act::Power(host, Turn::Off)));
        }
        if world.host(host).service.trust != Trust::Intact {
            all.insert(Act::Trust(host, Trust::Intact));
        } else if bounds.distrust && may_break {
            all.insert(Act::Trust(host, Trust::Unauthorized));
        }
    }
    for copy in world.copies().filter(|copy| !copy.vm.is_test() && world.host(copy.host).up) {
        acts_on(world, bounds, copy, &mut all);
    }
    let test = world.copies().filter(|copy| copy.vm.is_test() && world.host(copy.host).up);
    for copy in test.filter(|_| bounds.calls.contains(&Call::TestFailover)) {
        all.extend([Call::StartVm, Call::TurnOffVm].map(|call| Act::Ask(copy, call, With::Defaults)));
    }
    if bounds.hours && hour_tells(world) {
        all.insert(Act::Hour);
    }
    all.into_iter().collect()
}

fn acts_on(world: &World, bounds: &Bounds, copy: CopyId, all: &mut BTreeSet<Act>) {
    let Some(machine) = world.machine(copy) else { return };
    let state = property::state(world, copy);
    for call in &bounds.calls {
        let choices =
            choices(*call, world, copy).into_iter().filter(|with| bounds.later || *with != With::Later);
        all.extend(choices.map(|with| Act::Ask(copy, *call, with)));
        if state.is_some_and(|c| c.extended.is_some()) {
            all.insert(Act::Ask(copy.extended(), *call, With::Defaults));
        }
    }
    if machine.power != Power::Running {
        return;
    }
    if bounds.workers {
        all.insert(Act::Worker(copy));
    }
    // What was written and not sent yet is one situation, however much it is.
    let dirty = machine.content.closed.back().copied();
    let quiet = state.is_none_or(|c| c.mode == Mode::None)
        || dirty.is_none_or(|closed| closed == machine.content.live);
    if bounds.writes && (quiet || !bounds.floods) {
        all.insert(Act::Write { copy, block: copy.host.0, blocks: 1 });
    }
    if bounds.floods {
        all.insert(Act::Write { copy, block: 0, blocks: 5 });
    }
}

/// Messages, unanswered requests and disk operations that are under way.
fn under_way(world: &World) -> usize {
    let queued = |event: &Event| matches!(event, Event::Done { .. } | Event::Broken { .. });
    let received = |copy| property::state(world, copy).map_or(0, |c| c.received.len());
    let waiting: usize = world.copies().map(received).sum();
    waiting + world.flows().len() + world.pending().filter(|(_, event)| queued(event)).count()
}

/// The parameters of a call that are tried.
fn choices(call: Call, world: &World, copy: CopyId) -> Vec<With> {
    let points = |of: CopyId| {
        let listed = property::state(world, of).map_or(0, |c| c.points.len());
        let places = u8::try_from(listed.min(2)).unwrap_or(0);
        let mut all = vec![With::Defaults];
        all.extend((0..places).map(With::Point));
        all
    };
    match call {
        Failover | Call::TestFailover => points(copy),
        InitiateFailback => points(CopyId { host: crate::act::other_host(world, copy), vm: copy.vm }),
        // Where data goes without a word, and the last host of a chain.
        Enable => {
            let last = u16::try_from(world.hosts.len() - 1).unwrap_or(0);
            let away = (copy.host.0 != last && last > 1).then_some(With::Host(HostId(last)));
            [With::Defaults].into_iter().chain(away).collect()
        }
        Call::Reverse if world.hosts.len() > 2 => vec![With::Defaults, With::Host(HostId(2))],
        StartInitialReplication => vec![With::Defaults, With::Seeded, With::Later],
        Resynchronize => vec![With::Defaults, With::Later],
        Call::Modify => {
            vec![With::Settings { frequency: Frequency::Minutes5, history: 1, auto_resync: true }]
        }
        _ => vec![With::Defaults],
    }
}

/// Whether an hour without events would be another situation.
fn hour_tells(world: &World) -> bool {
    world.copies().any(|copy| {
        property::state(world, copy).is_some_and(|c| {
            let fresh = world.now - c.last_point < hvrsim_types::time::Span::HOUR;
            c.settings.recovery_history > 0 && fresh && c.mode == Mode::Primary
        })
    })
}

/// A situation from which nothing leads to protection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stuck {
    /// In words.
    pub situation: String,
    /// How many situations have these words.
    pub count: usize,
    /// How one of them is reached.
    pub acts: Vec<Act>,
}

impl Explored {
    /// The situations that `wanted` picks by what their copies show, as their numbers.
    pub fn showing<'a>(&'a self, wanted: impl Fn(&[Shown]) -> bool + 'a) -> impl Iterator<Item = u32> + 'a {
        (0u32..).zip(&self.nodes).filter(move |(_, node)| wanted(&node.shown)).map(|(at, _)| at)
    }

    /// Situations.
    #[must_use]
    pub fn situations(&self) -> usize {
        self.nodes.len()
    }

    /// Steps from one to another.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.edges.len()
    }

    /// How a situation is reached from the start.
    #[must_use]
    pub fn way_to(&self, node: u32) -> Vec<Act> {
        let mut acts = Vec::new();
        let mut at = node;
        while at != 0 {
            let node = &self.nodes[at as usize];
            acts.push(self.acts[usize::from(node.act)]);
            at = node.parent;
        }
        acts.reverse();
        acts
    }

    /// The next step of the shortest way to protection, by situation; `None` where there is none. Faults are no steps
    /// of it, nor are the calls in `without`.
    #[must_use]
    pub fn ways_out(&self, without: &[Call]) -> Vec<Option<(u16, u32)>> {
        let mut into: Vec<Vec<(u32, u16)>> = vec![Vec::new(); self.nodes.len()];
        for (from, node) in (0u32..).zip(&self.nodes) {
            for (act, to) in &self.edges[node.edges.start as usize..node.edges.end as usize] {
                let what = self.acts[usize::from(*act)];
                let barred = matches!(what, Act::Ask(_, call, _) if without.contains(&call));
                if !what.is_fault() && !barred {
                    into[*to as usize].push((from, *act));
                }
            }
        }
        let mut way: Vec<Option<(u16, u32)>> = vec![None; self.nodes.len()];
        let mut queue: VecDeque<u32> =
            (0u32..).zip(&self.nodes).filter(|(_, n)| n.goal).map(|(at, _)| at).collect();
        while let Some(at) = queue.pop_front() {
            for (from, act) in &into[at as usize] {
                let from = *from as usize;
                if way[from].is_none() && !self.nodes[from].goal {
                    way[from] = Some((*act, at));
                    queue.push_back(u32::try_from(from).unwrap_or(u32::MAX));
                }
            }
        }
        way
    }

    /// Every situation from which nothing leads to protection, grouped by its words.
    ///
    /// # Errors
    /// The store failed.
    pub fn dead_ends(&self, start: &World0, without: &[Call]) -> StoreResult<Vec<Stuck>> {
        let ways = self.ways_out(without);
        let mut all: BTreeMap<String, Stuck> = BTreeMap::new();
        let stuck = |(at, node): &(u32, &Node)| ways[*at as usize].is_none() && !node.goal;
        for (at, _) in (0u32..).zip(&self.nodes).filter(stuck) {
            let acts = self.way_to(at);
            let situation = describe(&replay(start, &acts)?);
            all.entry(situation.clone()).or_insert(Stuck { situation, count: 0, acts }).count += 1;
        }
        Ok(all.into_values().collect())
    }
}

/// The shortest way from a world to protection, without faults and in the order that any clock allows: tried out, not
/// put together of ways from other worlds. `None` if there is none among so many situations.
///
/// # Errors
/// The store failed.
pub fn way_out(world: &World0, situations: usize, threads: NonZeroUsize) -> StoreResult<Option<Vec<Act>>> {
    let calls = Call::ALL.iter().copied().filter(|call| {
        !matches!(call, Call::DestroyVm | Call::ResizeDisk | Call::Modify | Call::SetAdapters | Call::MoveVm)
    });
    let bounds = Bounds { calls: calls.collect(), situations, until_protected: true, ..Bounds::runbooks() };
    let found = explore(world.clone(), &bounds, threads)?;
    let last = (0u32..).zip(&found.nodes).find(|(_, node)| node.goal).map(|(at, _)| at);
    Ok(last.map(|last| found.way_to(last)))
}

/// The world after these acts.
///
/// # Errors
/// The store failed.
pub fn replay(start: &World0, acts: &[Act]) -> StoreResult<World0> {
    let mut sim = start.clone();
    for act in acts {
        act.perform(&mut sim)?;
    }
    Ok(sim)
}
