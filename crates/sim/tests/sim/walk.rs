//! Random walks: operations on both copies, incidents, writes and time, with every invariant checked after
//! every event. `HVRSIM_CASES` sets the number of walks of each kind, `HVRSIM_SEED` another sample.

use hvrsim_replica::copy::Phase;
use hvrsim_replica::operation::{
    FailbackSettings, Frequency, InitialKind, Operation, PointChoice, SettingsChange,
};
use hvrsim_replica::rule::Call;
use hvrsim_replica::service::{Trust, states_needed};
use hvrsim_sim::Look;
use hvrsim_sim::incident::table::{Deed, INCIDENTS, Incident, On};
use hvrsim_sim::incident::{self, Strike, Target};
use hvrsim_sim::trace::HostPower;
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::size::Bytes;
use hvrsim_types::state::{Mode, Power, ReplicationState as S};
use hvrsim_types::time::Span;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::failover::reverse;
use crate::watch::Watch;
use crate::world::*;

/// One step of a walk. Numbers select among what is there at that moment.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Any call on a copy, allowed or not.
    Any { on_b: bool, call: u8, pick: u8 },
    /// One of the calls that the table has for the copy's mode and state.
    Fitting { on_b: bool, which: u8, pick: u8 },
    /// A scripted write on a copy, if it runs.
    Write { on_b: bool, place: u8 },
    /// Time passes.
    Wait { how_long: u8 },
    /// The test machine beside a copy is started, written to, turned off or deleted.
    Test { on_b: bool, what: u8 },
    /// The worker process of a machine crashes.
    Worker { on_b: bool },
    /// Others cannot authenticate to a host, or can again.
    Trust { on_b: bool, intact: bool },
    /// The link is cut, for some time or until it is mended.
    Cut { how_long: u8 },
    /// The link is mended.
    Mend,
    /// A host loses power, is shut down, or is back.
    Host { on_b: bool, what: u8 },
    /// One of the catalogue of incidents happens, for some time or until it is mended.
    Incident { on_b: bool, which: u8, how_long: u8 },
    /// What an incident broke is mended.
    MendIncidents,
}

const MILLIS: u64 = 1_000_000;

/// From a message's time to a day.
pub const SPANS: [Span; 14] = [
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

fn act() -> impl Strategy<Value = Act> {
    let b = any::<bool>;
    let n = any::<u8>;
    prop_oneof![
        1 => (b(), n(), n()).prop_map(|(on_b, call, pick)| Act::Any { on_b, call, pick }),
        14 => (b(), n(), n()).prop_map(|(on_b, which, pick)| Act::Fitting { on_b, which, pick }),
        2 => (b(), n()).prop_map(|(on_b, place)| Act::Write { on_b, place }),
        8 => n().prop_map(|how_long| Act::Wait { how_long }),
        2 => (b(), n()).prop_map(|(on_b, what)| Act::Test { on_b, what }),
        1 => b().prop_map(|on_b| Act::Worker { on_b }),
        1 => (b(), b()).prop_map(|(on_b, intact)| Act::Trust { on_b, intact }),
        1 => n().prop_map(|how_long| Act::Cut { how_long }),
        1 => Just(Act::Mend),
        1 => (b(), n()).prop_map(|(on_b, what)| Act::Host { on_b, what }),
        2 => (b(), n(), n()).prop_map(|(on_b, which, how_long)| Act::Incident { on_b, which, how_long }),
        1 => Just(Act::MendIncidents),
    ]
}

pub fn nth<T: Clone>(all: &[T], n: u8) -> Option<T> {
    (!all.is_empty()).then(|| all[usize::from(n) % all.len()].clone())
}

fn other(copy: CopyId) -> CopyId {
    if copy == A { B } else { A }
}

fn side(on_b: bool) -> CopyId {
    if on_b { B } else { A }
}

/// Fills a call's parameters from the present world; `other` is the copy on the host that it may name.
pub fn operation(sim: &Tested, copy: CopyId, other: CopyId, call: Call, pick: u8) -> Option<Operation> {
    let later = (pick % 4 == 3).then(|| sim.world.now + Span::minutes(10));
    let choice = |points: Vec<hvrsim_sim::look::PointView>| match nth(&points, pick / 2) {
        Some(point) if pick.is_multiple_of(2) => PointChoice::Id(point.id),
        _ => PointChoice::Latest,
    };
    Some(match call {
        Call::Enable => Operation::Enable { to: other.host, settings: settings() },
        Call::AsReplica => Operation::AsReplica,
        Call::StartInitialReplication => {
            let kind = if pick % 3 == 2 { InitialKind::Seeded } else { InitialKind::Network };
            Operation::StartInitialReplication { kind, at: later }
        }
        Call::StopInitialReplication => Operation::StopInitialReplication,
        Call::Modify => Operation::Modify(SettingsChange {
            frequency: nth(&[Frequency::Seconds30, Frequency::Minutes5, Frequency::Minutes15], pick),
            recovery_history: Some(pick % 4),
            auto_resync: Some(pick.is_multiple_of(2)),
            auto_resync_start: Some(Span::ZERO),
            auto_resync_end: Some(Span::minutes(60 * 24 - 1)),
            ..SettingsChange::default()
        }),
        Call::Suspend => Operation::Suspend,
        Call::Resume => Operation::Resume,
        Call::Resynchronize => Operation::Resynchronize { at: later },
        Call::StopResynchronize => Operation::StopResynchronize,
        Call::Prepare => Operation::Prepare,
        Call::Failover => Operation::Failover { point: choice(sim.points(copy)) },
        Call::ManagerFailover => Operation::ManagerFailover { point: choice(sim.points(copy)) },
        Call::TestFailover => Operation::TestFailover { point: choice(sim.points(copy)) },
        Call::RevertFailover => Operation::RevertFailover,
        Call::CommitFailover => Operation::CommitFailover,
        Call::Reverse => reverse(),
        Call::InitiateFailback => {
            let settings = FailbackSettings::Given { from: Some(other.host), capable: true };
            let point = if pick == 255 { PointChoice::Unknown } else { choice(sim.points(other)) };
            Operation::InitiateFailback { settings, point }
        }
        Call::Remove => Operation::Remove,
        Call::ResetStatistics => Operation::ResetStatistics,
        Call::StartVm => Operation::StartVm,
        Call::StopVm => Operation::StopVm,
        Call::TurnOffVm => Operation::TurnOffVm,
        Call::SaveVm => Operation::SaveVm,
        Call::RemoveSavedState => Operation::RemoveSavedState,
        Call::Checkpoint => Operation::Checkpoint,
        Call::RemoveCheckpoints => Operation::RemoveCheckpoints,
        // A walk without its machine would only be short.
        Call::DestroyVm | Call::SetAdapters | Call::MoveVm => return None,
        // The oracle's disks have one size.
        Call::ResizeDisk => return None,
        Call::ExportInitialReplica => Operation::ExportInitialReplica { folder: "E:".to_owned() },
        Call::ImportInitialReplica => {
            let from = sim.world.media.values().rfind(|media| media.whole).map(|m| (m.source.vm, m.session));
            Operation::ImportInitialReplica { from }
        }
        Call::PromoteExtended => Operation::PromoteExtended,
        Call::CancelJob => Operation::CancelJob(sim.jobs(copy).iter().rev().find(|j| !j.state.ended())?.id),
    })
}

/// Calls that would only end the walk, or say nothing, come seldom.
pub fn fitting(sim: &Tested, copy: CopyId, which: u8) -> Option<Call> {
    let state = sim.world.host(copy.host).service.relationship(copy.vm)?;
    let power = sim.world.machine(copy)?.power;
    let useful = |call: &Call| match call {
        Call::ResetStatistics | Call::Modify | Call::Checkpoint | Call::RemoveCheckpoints => {
            which.is_multiple_of(16)
        }
        Call::Remove => which % 8 == 1,
        Call::DestroyVm | Call::SetAdapters | Call::MoveVm | Call::ResizeDisk => false,
        Call::SaveVm => power == Power::Running && which % 8 == 2,
        Call::StopVm | Call::TurnOffVm => power != Power::Off,
        Call::RemoveSavedState => power == Power::Saved,
        Call::StartVm => power != Power::Running,
        Call::CancelJob => state.job.is_some() || state.scheduled.is_some(),
        _ => true,
    };
    let fits = |call: &Call| states_needed(*call).contains(&(state.mode, state.state()));
    let calls: Vec<Call> = Call::ALL.iter().copied().filter(useful).filter(fits).collect();
    nth(&calls, which / 2)
}

/// Carries one step out.
pub fn perform(sim: &mut Tested, watch: &mut Watch, act: Act) {
    match act {
        Act::Any { on_b, call, pick } => {
            let copy = side(on_b);
            if let Some(operation) =
                nth(Call::ALL, call).and_then(|c| operation(sim, copy, other(copy), c, pick))
            {
                operate(sim, watch, copy, &operation);
            }
        }
        Act::Fitting { on_b, which, pick } => {
            let copy = side(on_b);
            // Nobody calls on a host that is down: it comes back first.
            sim.host_power(copy.host, HostPower::Back).expect("the store works");
            if let Some(operation) =
                fitting(sim, copy, which).and_then(|c| operation(sim, copy, other(copy), c, pick))
            {
                operate(sim, watch, copy, &operation);
            }
        }
        Act::Write { on_b, place } => {
            let copy = side(on_b);
            let tag = format!("w{}", sim.recorder.count());
            let at = u64::from(place) * (64 << 10);
            let _refused = sim.write(copy, 0, at, Bytes(64 << 10), &tag).expect("the store works");
        }
        Act::Worker { on_b } => {
            sim.worker_crash(side(on_b)).expect("the store works");
        }
        Act::Trust { on_b, intact } => {
            let trust = if intact { Trust::Intact } else { Trust::Unauthorized };
            sim.set_trust(side(on_b).host, trust);
        }
        Act::Test { on_b, what } => {
            let copy = side(on_b).test();
            if what % 4 == 3 {
                let at = u64::from(what) * (64 << 10);
                let _refused = sim.write(copy, 0, at, Bytes(64 << 10), "tested").expect("the store works");
            } else {
                let calls = [Operation::StartVm, Operation::TurnOffVm, Operation::DestroyVm];
                let call = calls[usize::from(what % 4)].clone();
                if sim.world.host(copy.host).up && sim.copy(copy).is_some() {
                    sim.operate(copy, "the test machine", call).expect("the store works");
                }
            }
        }
        Act::Wait { how_long } => {
            if let Some(span) = nth(&SPANS, how_long) {
                watch.wait(sim, span);
            }
        }
        Act::Cut { how_long } => {
            let lasts = if how_long.is_multiple_of(8) { None } else { nth(&SPANS, how_long) };
            sim.cut_link(HV1, HV2, lasts).expect("the store works");
        }
        Act::Mend => {
            sim.mend_link(HV1, HV2);
        }
        Act::Incident { on_b, which, how_long } => incident(sim, side(on_b), which, how_long),
        Act::MendIncidents => mend_incidents(sim),
        Act::Host { on_b, what } => {
            let power = match what % 4 {
                0 => HostPower::Lost,
                1 => HostPower::Off,
                _ => HostPower::Back,
            };
            sim.host_power(side(on_b).host, power).expect("the store works");
        }
    }
    watch.after_event(sim);
}

fn incident(sim: &mut Tested, copy: CopyId, which: u8, how_long: u8) {
    // A walk without its machine, or with a second one in place of it, would only be short.
    let kept = |incident: &&Incident| {
        use incident::table::Act::Do;
        let ends = matches!(incident.act, Do(Deed::DestroyVm | Deed::StrayCopy | Deed::Remove));
        // The oracle's machine has one disk, of one size.
        let resizes = matches!(incident.act, Do(Deed::GrowDisk | Deed::GrowBeforeResync | Deed::ShrinkDisk));
        !ends && !resizes && incident.act != Do(Deed::AddDisk)
    };
    let all: Vec<&'static Incident> = INCIDENTS.iter().filter(kept).collect();
    let Some(incident) = nth(&all, which) else { return };
    let target = match incident.on {
        On::Link => Target::Link((HV1, HV2)),
        On::Host => Target::Host(copy.host),
        On::Copy => Target::Copy(copy),
    };
    if incident.on == On::Copy && !sim.world.host(copy.host).up {
        return;
    }
    let lasts = if how_long.is_multiple_of(4) { None } else { nth(&SPANS, how_long) };
    let _impossible =
        sim.strike(&Strike { incident, target, lasts, rate: None, by: None }).expect("the store works");
}

fn mend_incidents(sim: &mut Tested) {
    let ills: Vec<_> = sim.world.ills.keys().copied().collect();
    for (ill, target) in ills {
        let incident = INCIDENTS.iter().find(|i| i.act == incident::table::Act::Ill(ill));
        sim.mend(incident.expect("every ill has an incident"), target).expect("the store works");
    }
}

fn operate(sim: &mut Tested, watch: &mut Watch, copy: CopyId, operation: &Operation) {
    if !sim.world.host(copy.host).up || sim.copy(copy).is_none() {
        return;
    }
    let text = format!("{operation:?}");
    let outcome = sim.operate(copy, &text, operation.clone()).expect("the store works");
    watch.after_call(sim, copy, operation, &outcome);
}

/// What a walk begins from.
#[derive(Clone, Copy, Debug)]
enum Start {
    Bare,
    Protected,
    FailedOver,
    Reversed,
    Away,
    AwayReversed,
    HalfReversed,
}

fn start(start: Start) -> Tested {
    if matches!(start, Start::Bare) {
        return small();
    }
    let mut sim = small_protected();
    hours(&mut sim, 1);
    match start {
        Start::Bare | Start::Protected => {}
        Start::HalfReversed => half_reversed(&mut sim),
        Start::FailedOver => {
            job(&mut sim, B, &Operation::Failover { point: PointChoice::Latest });
        }
        Start::Reversed | Start::AwayReversed | Start::Away => {
            call(&mut sim, A, Operation::StopVm);
            job(&mut sim, A, &Operation::Prepare);
            job(&mut sim, B, &Operation::Failover { point: PointChoice::Latest });
            if matches!(start, Start::Away) {
                job(&mut sim, B, &Operation::CommitFailover);
                job(&mut sim, A, &Operation::AsReplica);
            } else {
                job(&mut sim, B, &reverse());
            }
            call(&mut sim, B, Operation::StartVm);
            hours(&mut sim, 3);
        }
    }
    if matches!(start, Start::AwayReversed) {
        let settings = FailbackSettings::Given { from: Some(HV2), capable: true };
        call(&mut sim, A, Operation::InitiateFailback { settings, point: PointChoice::Latest });
    }
    sim
}

/// The former primary has swapped, its answer is lost.
pub fn half_reversed(sim: &mut Tested) {
    call(sim, A, Operation::StopVm);
    job(sim, A, &Operation::Prepare);
    job(sim, B, &Operation::Failover { point: PointChoice::Latest });
    let id = call(sim, B, reverse()).job.expect("it has a job");
    let limit = sim.world.now + Span::MINUTE;
    while state(sim, A).0 != Mode::Replica {
        assert!(sim.step(limit).expect("the store works"));
    }
    sim.cut_link(HV1, HV2, None).expect("the store works");
    hours(sim, 1);
    assert!(sim.copy(B).is_some_and(|b| b.job.is_none()), "{id:?} has failed");
    sim.mend_link(HV1, HV2);
    assert_states(sim, (Mode::Replica, S::Replicating), (Mode::Replica, S::Recovered));
}

#[expect(clippy::disallowed_methods, reason = "only a test looks at its environment, for how much to do")]
pub fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn walk(from: Start) {
    let cases = number("HVRSIM_CASES", 24);
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: number("HVRSIM_SHRINK", 1500),
        ..Config::default()
    };
    let mut seed = [7_u8; 32];
    seed[..4].copy_from_slice(&number("HVRSIM_SEED", 0).to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let begin = start(from);
    let result =
        TestRunner::new_with_rng(config, rng).run(&proptest::collection::vec(act(), 10..80), |acts| {
            let mut sim = begin.clone();
            let mut watch = Watch::new(&sim);
            for (number, act) in acts.into_iter().enumerate() {
                perform(&mut sim, &mut watch, act);
                if number % 6 == 5 {
                    watch.contents(&sim);
                }
            }
            watch.contents(&sim);
            come_to_rest(&mut sim, &mut watch);
            Ok(())
        });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// All faults are mended and time passes: what is left is a pair that may stand for ever.
fn come_to_rest(sim: &mut Tested, watch: &mut Watch) {
    mend_incidents(sim);
    sim.mend_link(HV1, HV2);
    for host in [HV1, HV2] {
        sim.set_trust(host, Trust::Intact);
        sim.host_power(host, HostPower::Back).expect("the store works");
    }
    watch.wait(sim, Span(2 * Span::DAY.0));
    watch.at_rest(sim);
    watch.contents(sim);
}

#[test]
fn walks_from_an_unprotected_machine() {
    walk(Start::Bare);
}

#[test]
fn walks_from_a_protected_machine() {
    walk(Start::Protected);
}

#[test]
fn walks_after_a_failover() {
    walk(Start::FailedOver);
}

#[test]
fn walks_after_a_reverse() {
    walk(Start::Reversed);
}

#[test]
fn walks_with_the_workload_away() {
    walk(Start::Away);
}

#[test]
fn walks_during_a_failback() {
    walk(Start::AwayReversed);
}

#[test]
fn walks_with_a_reverse_half_done() {
    walk(Start::HalfReversed);
}

/// The copy that a walk's relationship leads from, if both copies agree on it.
pub fn leader(sim: &Tested) -> Option<(CopyId, CopyId)> {
    let leads = |copy: CopyId, from: CopyId| {
        let state = |c: CopyId| sim.world.host(c.host).service.copies.get(&c.vm);
        let (Some(p), Some(r)) = (state(copy), state(from)) else { return false };
        let agree = p.peer == Some(from.host) && r.peer == Some(copy.host);
        p.mode == Mode::Primary && r.mode == Mode::Replica && agree && p.epoch == r.epoch
    };
    [(A, B), (B, A)].into_iter().find(|(p, r)| leads(*p, *r))
}

/// Mode and state with its data.
pub fn phase(sim: &Tested, copy: CopyId) -> Option<(Mode, Phase)> {
    let host: HostId = copy.host;
    sim.world.host(host).service.copies.get(&copy.vm).map(|c| (c.mode, c.phase.clone()))
}

/// The data-free pair of a copy; not replicating where there is none.
pub fn pair_of(sim: &Tested, copy: CopyId) -> (Mode, S) {
    phase(sim, copy).map_or((Mode::None, S::Disabled), |(mode, phase)| (mode, phase.state()))
}
