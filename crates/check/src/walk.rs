//! Random walks. The seed picks what the world is like, which calls and faults there are at all and how often
//! (a swarm: a walk in which little is possible goes deep where one in which everything is stays shallow); then so many
//! acts, with every claim and the oracle looking on; then all faults end, and an operator must lead the machine back to
//! protection within a bound.

use std::collections::VecDeque;

use hvrsim_replica::operation::Frequency;
use hvrsim_replica::profile::{Generation, Profile};
use hvrsim_replica::rule::Call;
use hvrsim_replica::service::{Trust, states_needed};
use hvrsim_sim::Sim;
use hvrsim_sim::store::{DiskStore, Stamps, StoreResult};
use hvrsim_sim::world::World;
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::size::Rate;
use hvrsim_types::state::Power;
use hvrsim_types::time::Span;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::act::{Act, Turn, With};
use crate::property::{self, Held, Violation, broken, state};
use crate::recover;
use crate::situation::describe;
use crate::small::{Shape, copy};
use crate::watch::Watch;

const MILLIS: u64 = 1_000_000;

/// From a message's time to most of a day.
const SPANS: [Span; 14] = [
    Span(2 * MILLIS),
    Span(6 * MILLIS),
    Span(20 * MILLIS),
    Span(100 * MILLIS),
    Span(500 * MILLIS),
    Span::seconds(2),
    Span::seconds(7),
    Span::seconds(31),
    Span::minutes(2),
    Span::minutes(6),
    Span::minutes(20),
    Span::minutes(61),
    Span::minutes(200),
    Span::minutes(900),
];

/// An operator who knows what to do needs no more steps than this.
const RECOVERY_STEPS: usize = 60;

/// A walk's own choice of what there is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Swarm {
    /// The world.
    pub shape: Shape,
    /// Acts before the faults end.
    pub acts: usize,
    /// How often each kind of act is drawn, by its place in [`KINDS`].
    weights: [u32; KINDS.len()],
    /// The calls that operators make.
    calls: Vec<Call>,
    /// The spans that may pass at once, by their place in [`SPANS`].
    spans: std::ops::Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Fitting,
    Any,
    Write,
    Wait,
    Cut,
    Mend,
    Power,
    Trust,
    Worker,
    Test,
}

const KINDS: [(Kind, u32); 10] = [
    (Kind::Fitting, 14),
    (Kind::Any, 1),
    (Kind::Write, 6),
    (Kind::Wait, 10),
    (Kind::Cut, 1),
    (Kind::Mend, 1),
    (Kind::Power, 2),
    (Kind::Trust, 1),
    (Kind::Worker, 1),
    (Kind::Test, 1),
];

/// What came of a walk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walked {
    /// The world that it began with.
    pub shape: Shape,
    /// What was done, up to the violation if there is one; without the recovery.
    pub acts: Vec<Act>,
    /// The claim that does not hold.
    pub violation: Option<Violation>,
    /// The digest of all that happened.
    pub digest: String,
}

/// The draws of a walk.
struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream of a seed, by its purpose.
    fn new(seed: u64, purpose: &str) -> Self {
        let name = format!("hvrsim/walk/{purpose}/{seed}");
        Self(ChaCha8Rng::from_seed(*blake3::hash(name.as_bytes()).as_bytes()))
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.next_u64() % end.max(1) as u64).unwrap_or(0)
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        if all.is_empty() { None } else { all.get(self.below(all.len())).copied() }
    }

    fn host(&mut self) -> HostId {
        HostId(u16::from(self.one_in(2)))
    }
}

fn small(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

impl Swarm {
    /// The configuration of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut draws = Draws::new(seed, "swarm");
        let profile = Profile {
            generation: if draws.one_in(5) { Generation::Server2012R2 } else { Generation::Server2016 },
            failback_staged: draws.one_in(4),
            initial_full: draws.one_in(4),
            failback_points: !draws.one_in(5),
        };
        let blocks = [4, 16, 64][draws.below(3)];
        let shape = Shape {
            blocks,
            used: 1 + small(draws.below(usize::from(blocks) / 2)),
            link_rate: Rate([20_000, 200_000, 2_000_000][draws.below(3)]),
            disk_rate: Rate([64 << 10, 1 << 20, 64 << 20][draws.below(3)]),
            profile,
            ..Shape::default()
        };
        let weights = KINDS.map(|(kind, usual)| {
            let always = matches!(kind, Kind::Fitting | Kind::Wait | Kind::Mend);
            let there = always || !draws.one_in(3);
            let often = [1, 2, 4][draws.below(3)];
            if there { usual * often } else { 0 }
        });
        let mut keep = |call: &Call| match call {
            Call::DestroyVm | Call::ResizeDisk => false,
            Call::Enable | Call::StartInitialReplication | Call::StartVm => true,
            Call::Remove => draws.one_in(3),
            _ => !draws.one_in(4),
        };
        let calls = Call::ALL.iter().copied().filter(|call| keep(call)).collect();
        let shortest = draws.below(SPANS.len() - 3);
        let longest = shortest + 3 + draws.below(SPANS.len() - shortest - 2);
        let spans = shortest..longest.min(SPANS.len());
        Self { shape, acts: 10 + draws.below(90), weights, calls, spans }
    }

    fn kind(&self, draws: &mut Draws) -> Kind {
        let total: u32 = self.weights.iter().sum();
        let mut at = u32::try_from(draws.below(total as usize)).unwrap_or(0);
        for (weight, (kind, _)) in self.weights.iter().zip(KINDS) {
            if at < *weight {
                return kind;
            }
            at -= weight;
        }
        Kind::Wait
    }

    fn act(&self, world: &World, draws: &mut Draws) -> Option<Act> {
        let copies: Vec<CopyId> = world.copies().filter(|copy| !copy.vm.is_test()).collect();
        let copy = draws.of(&copies)?;
        Some(match self.kind(draws) {
            Kind::Fitting => {
                let call = self.fitting(world, copy, draws)?;
                Act::Ask(copy, call, with(call, draws))
            }
            Kind::Any => {
                let call = draws.of(&self.calls)?;
                Act::Ask(copy, call, with(call, draws))
            }
            Kind::Write => {
                let most = [1, 2, usize::from(self.shape.blocks)][draws.below(3)];
                let blocks = small(1 + draws.below(most)).min(self.shape.blocks);
                let block = small(draws.below(usize::from(self.shape.blocks - blocks) + 1));
                Act::Write { copy, block, blocks }
            }
            Kind::Wait => Act::Wait(*SPANS.get(self.spans.start + draws.below(self.spans.len()))?),
            Kind::Cut => Act::Cut(HostId(0), HostId(1)),
            Kind::Mend => Act::Mend(HostId(0), HostId(1)),
            Kind::Power => {
                Act::Power(draws.host(), [Turn::Lost, Turn::Off, Turn::Back, Turn::Back][draws.below(4)])
            }
            Kind::Trust => {
                let trust = if draws.one_in(2) { Trust::Intact } else { Trust::Unauthorized };
                Act::Trust(draws.host(), trust)
            }
            Kind::Worker => Act::Worker(copy),
            Kind::Test => {
                let calls = [Call::StartVm, Call::TurnOffVm, Call::DestroyVm];
                Act::Ask(copy.test(), calls[draws.below(3)], With::Defaults)
            }
        })
    }

    /// One of the calls that the table has for the copy's mode and state. Those that would only end the walk, or say
    /// nothing, come seldom.
    fn fitting(&self, world: &World, copy: CopyId, draws: &mut Draws) -> Option<Call> {
        let state = state(world, copy)?;
        let power = world.machine(copy)?.power;
        let seldom = draws.one_in(8);
        let useful = |call: &Call| match call {
            Call::ResetStatistics
            | Call::Modify
            | Call::Checkpoint
            | Call::RemoveCheckpoints
            | Call::Remove => seldom,
            Call::SaveVm => power == Power::Running && seldom,
            Call::StopVm | Call::TurnOffVm => power != Power::Off,
            Call::RemoveSavedState => power == Power::Saved,
            Call::StartVm => power != Power::Running,
            Call::CancelJob => state.job.is_some() || state.scheduled.is_some(),
            _ => true,
        };
        let fits = |call: &Call| states_needed(*call).contains(&(state.mode, state.state()));
        let calls: Vec<Call> = self.calls.iter().copied().filter(useful).filter(fits).collect();
        draws.of(&calls)
    }
}

fn with(call: Call, draws: &mut Draws) -> With {
    match call {
        Call::Failover | Call::ManagerFailover | Call::TestFailover | Call::InitiateFailback => {
            match draws.below(8) {
                0..=3 => With::Defaults,
                7 if call == Call::InitiateFailback => With::NoSuchPoint,
                place => With::Point(u8::try_from(place - 4).unwrap_or(0)),
            }
        }
        Call::StartInitialReplication => {
            [With::Defaults, With::Defaults, With::Seeded, With::Later][draws.below(4)]
        }
        Call::Resynchronize => [With::Defaults, With::Defaults, With::Later][draws.below(3)],
        Call::Modify => With::Settings {
            frequency: [Frequency::Seconds30, Frequency::Minutes5, Frequency::Minutes15][draws.below(3)],
            history: u8::try_from(draws.below(4)).unwrap_or(0),
            auto_resync: draws.one_in(2),
        },
        _ => With::Defaults,
    }
}

/// What nearly every walk begins with.
fn beginning() -> VecDeque<Act> {
    let call = |call| [Act::Ask(copy(0), call, With::Defaults), Act::Wait(Span::minutes(2))];
    [call(Call::Enable), call(Call::StartInitialReplication)].concat().into()
}

/// A walk by the seed's configuration.
///
/// # Errors
/// The store failed.
pub fn walk(seed: u64) -> StoreResult<Walked> {
    walk_with(seed, &Swarm::of(seed))
}

/// As [`walk`], by another configuration.
///
/// # Errors
/// The store failed.
pub fn walk_with(seed: u64, swarm: &Swarm) -> StoreResult<Walked> {
    let mut draws = Draws::new(seed, "acts");
    let mut begin = if draws.one_in(8) { VecDeque::new() } else { beginning() };
    let mut left = swarm.acts;
    let next = |world: &World| {
        if let Some(act) = begin.pop_front() {
            return Some(act);
        }
        left = left.checked_sub(1)?;
        // In place of what makes no sense here, time passes.
        Some(swarm.act(world, &mut draws).unwrap_or(Act::Wait(Span::MINUTE)))
    };
    Ok(go(&swarm.shape, Stamps::default(), seed, next)?.0)
}

/// The same acts again, as they were recorded, on any store.
///
/// # Errors
/// The store failed.
pub fn again<D: DiskStore>(
    shape: &Shape,
    store: D,
    seed: u64,
    acts: &[Act],
) -> StoreResult<(Walked, Sim<D>)> {
    let mut acts = acts.iter().copied();
    go(shape, store, seed, |_| acts.next())
}

fn go<D: DiskStore>(
    shape: &Shape,
    store: D,
    seed: u64,
    mut next: impl FnMut(&World) -> Option<Act>,
) -> StoreResult<(Walked, Sim<D>)> {
    let mut sim = shape.bare(seed, store)?;
    let mut watch = Watch::new(&sim.world, shape.used.into());
    let mut acts = Vec::new();
    let mut held: Held = Ok(());
    while held.is_ok()
        && let Some(act) = next(&sim.world)
    {
        acts.push(act);
        held = watch.perform(act, &mut sim)?.map(|_| ());
        if held.is_ok() && acts.len().is_multiple_of(6) {
            held = watch.contents(&mut sim)?;
        }
    }
    if held.is_ok() {
        held = recovers(&mut sim, &mut watch)?;
    }
    let walked = Walked { shape: shape.clone(), acts, violation: held.err(), digest: sim.recorder.digest() };
    Ok((walked, sim))
}

/// All faults end, what is under way comes to its end, and an operator leads every machine back to protection.
///
/// # Errors
/// Outside, the store failed; inside, a claim that does not hold.
pub fn recovers<D: DiskStore>(sim: &mut Sim<D>, watch: &mut Watch) -> StoreResult<Held> {
    let mut held = watch.contents(sim)?;
    let mut calm = recover::repairs(&sim.world);
    calm.push(Act::Wait(Span(2 * Span::DAY.0)));
    for act in calm {
        if held.is_ok() {
            held = watch.perform(act, sim)?.map(|_| ());
        }
    }
    if held.is_ok() {
        held = at_rest(&sim.world);
    }
    if held.is_ok() {
        held = watch.contents(sim)?;
    }
    for vm in (0..).map(VmId).take(sim.world.vms.len()) {
        if held.is_ok() {
            held = lead_back(sim, watch, vm)?;
        }
    }
    Ok(held)
}

fn lead_back<D: DiskStore>(sim: &mut Sim<D>, watch: &mut Watch, vm: VmId) -> StoreResult<Held> {
    let mut steps = 0;
    while let Some(mut acts) = recover::next(&sim.world, vm, steps) {
        // An operator looks before the next step.
        acts.push(Act::Wait(Span::MINUTE));
        for act in acts {
            if let Err(violation) = watch.perform(act, sim)? {
                return Ok(Err(violation));
            }
        }
        steps += 1;
        if steps > RECOVERY_STEPS {
            return Ok(broken("recovery", format!("no way back to protection from: {}", describe(sim))));
        }
    }
    watch.contents(sim)
}

/// Nothing is under way any more, but for jobs that wait.
fn at_rest(world: &World) -> Held {
    for vm in (0..).map(VmId).take(world.vms.len()) {
        let copies = property::copies_of(world, vm);
        let jobs = copies.iter().any(|copy| state(world, *copy).is_some_and(|c| c.job.is_some()));
        if !jobs && !property::may_rest(world, &copies) {
            return broken("rest", "a pair of states that does not stand for ever stands after two days");
        }
    }
    Ok(())
}
