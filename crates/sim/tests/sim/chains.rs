//! Random walks over three hosts: every copy and every extended relationship is called, each host may name each other
//! one, and after every event the invariants hold that do not depend on who replicates to whom.

use std::collections::BTreeMap;

use hvrsim_replica::copy::{Copy, Phase};
use hvrsim_replica::operation::{Operation, PointChoice, SettingsChange};
use hvrsim_replica::rule::Call;
use hvrsim_replica::service::Trust;
use hvrsim_sim::Look;
use hvrsim_sim::ledger::Position;
use hvrsim_sim::trace::HostPower;
use hvrsim_types::id::{CopyId, HostId, PointId};
use hvrsim_types::size::Bytes;
use hvrsim_types::state::{Mode, ReplicationState as S};
use hvrsim_types::time::Span;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::extended::{C, HV3, X, chain, three, three_protected};
use crate::walk::{SPANS, fitting, nth, number, operation};
use crate::watch::{jobs_are_kept, legal_pairs, only_where_it_may_run};
use crate::world::*;

const COPIES: [CopyId; 3] = [A, B, C];
const LINKS: [(HostId, HostId); 3] = [(HV1, HV2), (HV2, HV3), (HV1, HV3)];

/// One step of a walk. Numbers select among what is there at that moment.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Any call on a copy, allowed or not; `beside` calls on its extended relationship.
    Any {
        on: u8,
        beside: bool,
        to: u8,
        call: u8,
        pick: u8,
    },
    /// One of the calls that the table has for the mode and state.
    Fitting {
        on: u8,
        beside: bool,
        to: u8,
        which: u8,
        pick: u8,
    },
    /// A replica is extended, or its extended relationship takes the next step.
    Extend {
        on: u8,
        to: u8,
        pick: u8,
    },
    Write {
        on: u8,
        place: u8,
    },
    Wait {
        how_long: u8,
    },
    Worker {
        on: u8,
    },
    Trust {
        on: u8,
        intact: bool,
    },
    Cut {
        link: u8,
        how_long: u8,
    },
    Mend {
        link: u8,
    },
    Host {
        on: u8,
        what: u8,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let n = any::<u8>;
    let beside = || prop::bool::weighted(0.25);
    prop_oneof![
        1 => (n(), beside(), n(), n(), n())
            .prop_map(|(on, beside, to, call, pick)| Act::Any { on, beside, to, call, pick }),
        14 => (n(), beside(), n(), n(), n())
            .prop_map(|(on, beside, to, which, pick)| Act::Fitting { on, beside, to, which, pick }),
        4 => (n(), n(), n()).prop_map(|(on, to, pick)| Act::Extend { on, to, pick }),
        2 => (n(), n()).prop_map(|(on, place)| Act::Write { on, place }),
        9 => n().prop_map(|how_long| Act::Wait { how_long }),
        1 => n().prop_map(|on| Act::Worker { on }),
        1 => (n(), any::<bool>()).prop_map(|(on, intact)| Act::Trust { on, intact }),
        1 => (n(), n()).prop_map(|(link, how_long)| Act::Cut { link, how_long }),
        1 => n().prop_map(|link| Act::Mend { link }),
        1 => (n(), n()).prop_map(|(on, what)| Act::Host { on, what }),
    ]
}

fn pick<T: std::marker::Copy>(all: [T; 3], n: u8) -> T {
    all[usize::from(n) % 3]
}

/// Another copy than this one.
fn another(copy: CopyId, n: u8) -> CopyId {
    let others: Vec<CopyId> = COPIES.into_iter().filter(|c| c.host != copy.host).collect();
    others[usize::from(n) % 2]
}

fn relationship(sim: &Tested, copy: CopyId) -> Option<&Copy> {
    sim.world.host(copy.host).service.relationship(copy.vm)
}

/// The call, with the third host where it names one.
fn filled(sim: &Tested, copy: CopyId, to: CopyId, call: Call, pick: u8) -> Option<Operation> {
    match operation(sim, copy.machine(), to, call, pick)? {
        Operation::Reverse { .. } => {
            let to = pick.is_multiple_of(3).then_some(to.host);
            Some(Operation::Reverse { to, change: SettingsChange::default() })
        }
        Operation::CancelJob(_) => {
            let jobs = sim.jobs(copy);
            Some(Operation::CancelJob(jobs.iter().rev().find(|j| !j.state.ended())?.id))
        }
        other => Some(other),
    }
}

/// Modes and states of the two copies of a relationship.
type Pair = ((Mode, S), (Mode, S));

/// What a walk must not break.
struct Watch {
    pairs: BTreeMap<Pair, bool>,
    offered: BTreeMap<PointId, Position>,
}

impl Watch {
    fn new() -> Self {
        Self { pairs: legal_pairs(), offered: BTreeMap::new() }
    }

    fn wait(&mut self, sim: &mut Tested, span: Span) {
        let limit = sim.world.now + span;
        let most = 5_000 + 2 * span.as_seconds();
        let mut events = 0;
        while sim.step(limit).expect("the store works") {
            events += 1;
            assert!(events < most, "{events} events in {span}\n{}", tail(sim));
            self.after_event(sim);
        }
    }

    fn after_event(&mut self, sim: &Tested) {
        for copy in COPIES {
            jobs_are_kept(sim, copy);
            jobs_are_kept(sim, copy.extended());
            only_where_it_may_run(sim, copy);
            extension_fits(sim, copy);
            for point in sim.points(copy) {
                let content = sim.world.points[&point.id].content;
                let first = *self.offered.entry(point.id).or_insert(content);
                assert_eq!(first, content, "{point:?} changed");
            }
        }
        for (p, r) in relationships(sim) {
            let legal = self.legal(sim, p, r);
            let found = (state_of(sim, p), state_of(sim, r));
            assert!(legal.is_some_and(|rest| rest || under_way(sim)), "{p:?} {r:?} {found:?}\n{}", tail(sim));
        }
    }

    /// Whether a primary and its replica may be in these states, and stay there.
    fn legal(&self, sim: &Tested, p: CopyId, r: CopyId) -> Option<bool> {
        let simple = |(mode, state)| {
            if mode == Mode::ExtendedReplica { (Mode::Replica, state) } else { (mode, state) }
        };
        let (p, r) = (simple(state_of(sim, p)), simple(state_of(sim, r)));
        [(p, r), (r, p)].iter().filter_map(|pair| self.pairs.get(pair)).copied().max()
    }

    fn contents(&self, sim: &Tested) {
        assert_contents(sim);
        for (p, r) in relationships(sim) {
            shows_a_prefix(sim, p, r);
        }
    }

    fn at_rest(&self, sim: &Tested) {
        let waits = COPIES
            .iter()
            .flat_map(|c| [*c, c.extended()])
            .any(|c| relationship(sim, c).is_some_and(|state| state.job.is_some()));
        for (p, r) in relationships(sim) {
            let found = (state_of(sim, p), state_of(sim, r));
            let legal = self.legal(sim, p, r);
            assert!(legal.is_some_and(|rest| rest || waits), "no rest: {found:?}\n{}", tail(sim));
        }
    }
}

fn state_of(sim: &Tested, copy: CopyId) -> (Mode, S) {
    relationship(sim, copy).map_or((Mode::None, S::Disabled), |c| (c.mode, c.state()))
}

/// Every relationship that both ends agree on: its primary, or two replicas, once.
fn relationships(sim: &Tested) -> Vec<(CopyId, CopyId)> {
    let mut all = Vec::new();
    for p in COPIES.into_iter().flat_map(|copy| [copy, copy.extended()]) {
        for r in COPIES.into_iter().filter(|r| r.host != p.host) {
            let (Some(one), Some(other)) = (relationship(sim, p), relationship(sim, r)) else { continue };
            let mutual = one.peer == Some(r.host) && other.peer == Some(p.host);
            let leads = one.mode == Mode::Primary && other.mode.is_replica() && one.epoch == other.epoch;
            if mutual && leads {
                all.push((p, r));
            }
        }
    }
    all
}

/// Only a replica is extended, and what extends it is a primary's relationship to another host than its own peer.
fn extension_fits(sim: &Tested, copy: CopyId) {
    let (Some(state), Some(extended)) = (relationship(sim, copy), relationship(sim, copy.extended())) else {
        return;
    };
    let fits = state.mode == Mode::Replica && state.peer != extended.peer
        || extended.mode == Mode::None && extended.job.is_some();
    assert!(fits, "{copy:?} {:?} {:?}\n{}", state.mode, extended.mode, tail(sim));
    let moving = matches!(extended.phase, Phase::Initial(..) | Phase::Resync(_) | Phase::ResyncSuspended(_));
    let over = matches!(state.phase, Phase::Recovered { .. } | Phase::Committed { .. });
    assert!(!(moving && over), "{copy:?} sends on while it is failed over\n{}", tail(sim));
    assert!(extended.extended.is_none());
}

/// Something is on its way that will change a pair.
fn under_way(sim: &Tested) -> bool {
    let faulty = sim.world.links.iter().any(|l| l.cut) || sim.world.hosts.iter().any(|h| !h.up);
    let busy = |c: &Copy| {
        let sends = c.mode == Mode::Primary && c.phase == Phase::Replicating;
        let session = matches!(c.phase, Phase::ResyncSuspended(_) | Phase::ResyncReceiving { .. });
        c.job.is_some() || c.asked.is_some() || c.sending.is_some() || c.merging || sends || session
    };
    let all = COPIES.into_iter().flat_map(|copy| [copy, copy.extended()]);
    faulty || all.filter_map(|copy| relationship(sim, copy)).any(busy) || sim.messages_under_way()
}

/// A replica that replicates, and all its points, are a prefix of what its primary has: a middle copy of what it
/// received, the first copy of what it wrote.
fn shows_a_prefix(sim: &Tested, p: CopyId, r: CopyId) {
    let content = |copy: CopyId| sim.world.machine(copy).expect("it is there").content.clone();
    let whole = if p.vm.is_extended() { content(p).base } else { content(p).live };
    let committed = matches!(relationship(sim, p.machine()).map(|c| &c.phase), Some(Phase::Committed { .. }));
    let stands = relationship(sim, r).is_some_and(|c| c.initial_complete && c.phase == Phase::Replicating);
    if !stands || (committed && p.vm.is_extended()) || relationship(sim, p).is_some_and(|p| !p.tracked) {
        return;
    }
    let shown = content(r).base;
    assert!(sim.world.ledger.contains(whole, shown), "{r:?} holds no prefix of {p:?}\n{}", tail(sim));
    for point in sim.points(r) {
        let at = sim.world.points[&point.id].content;
        assert!(sim.world.ledger.contains(whole, at), "{point:?} is no prefix of {p:?}\n{}", tail(sim));
    }
}

fn operate(sim: &mut Tested, copy: CopyId, operation: &Operation) {
    if !sim.world.host(copy.host).up || sim.copy(copy.machine()).is_none() {
        return;
    }
    let before = (state_of(sim, copy), state_of(sim, copy.machine()));
    let outcome = sim.operate(copy, &format!("{operation:?}"), operation.clone()).expect("the store works");
    assert_eq!(outcome.code.accepted(), outcome.refusal.is_none(), "{operation:?} {outcome:?}");
    if !outcome.code.accepted() {
        let now = (state_of(sim, copy), state_of(sim, copy.machine()));
        assert_eq!(now, before, "refused {operation:?} changed something\n{}", tail(sim));
    }
}

fn perform(sim: &mut Tested, watch: &mut Watch, act: Act) {
    let side = |on: u8, beside: bool| if beside { pick(COPIES, on).extended() } else { pick(COPIES, on) };
    match act {
        Act::Any { on, beside, to, call, pick } => {
            let copy = side(on, beside);
            let call = nth(Call::ALL, call);
            if let Some(operation) = call.and_then(|c| filled(sim, copy, another(copy, to), c, pick)) {
                operate(sim, copy, &operation);
            }
        }
        Act::Fitting { on, beside, to, which, pick } => {
            let copy = side(on, beside);
            sim.host_power(copy.host, HostPower::Back).expect("the store works");
            let call = fitting(sim, copy, which);
            if let Some(operation) = call.and_then(|c| filled(sim, copy, another(copy, to), c, pick)) {
                operate(sim, copy, &operation);
            }
        }
        Act::Extend { on, to, pick } => {
            let replicas = COPIES.into_iter().filter(|copy| state_of(sim, *copy).0 == Mode::Replica);
            let Some(copy) = nth(&replicas.collect::<Vec<_>>(), on).map(CopyId::extended) else { return };
            sim.host_power(copy.host, HostPower::Back).expect("the store works");
            let call = match state_of(sim, copy).1 {
                S::Disabled => Call::Enable,
                S::ReadyForInitialReplication => Call::StartInitialReplication,
                S::WaitingForStartResynchronize => Call::Resynchronize,
                _ => Call::Resume,
            };
            if let Some(operation) = filled(sim, copy, another(copy, to), call, pick) {
                operate(sim, copy, &operation);
            }
        }
        Act::Write { on, place } => {
            let tag = format!("w{}", sim.recorder.count());
            let at = u64::from(place) * (64 << 10);
            let copy = pick(COPIES, on);
            let _refused = sim.write(copy, 0, at, Bytes(64 << 10), &tag).expect("the store works");
        }
        Act::Wait { how_long } => {
            if let Some(span) = nth(&SPANS, how_long) {
                watch.wait(sim, span);
            }
        }
        Act::Worker { on } => {
            sim.worker_crash(pick(COPIES, on)).expect("the store works");
        }
        Act::Trust { on, intact } => {
            let trust = if intact { Trust::Intact } else { Trust::Unauthorized };
            sim.set_trust(pick(COPIES, on).host, trust);
        }
        Act::Cut { link, how_long } => {
            let (a, b) = pick(LINKS, link);
            let lasts = if how_long.is_multiple_of(8) { None } else { nth(&SPANS, how_long) };
            sim.cut_link(a, b, lasts).expect("the store works");
        }
        Act::Mend { link } => {
            let (a, b) = pick(LINKS, link);
            sim.mend_link(a, b);
        }
        Act::Host { on, what } => {
            let power = match what % 4 {
                0 => HostPower::Lost,
                1 => HostPower::Off,
                _ => HostPower::Back,
            };
            sim.host_power(pick(COPIES, on).host, power).expect("the store works");
        }
    }
    watch.after_event(sim);
}

/// All faults are mended and time passes: every relationship is one that may stand for ever.
fn come_to_rest(sim: &mut Tested, watch: &mut Watch) {
    for (a, b) in LINKS {
        sim.mend_link(a, b);
    }
    for host in [HV1, HV2, HV3] {
        sim.set_trust(host, Trust::Intact);
        sim.host_power(host, HostPower::Back).expect("the store works");
    }
    watch.wait(sim, Span(2 * Span::DAY.0));
    watch.at_rest(sim);
    watch.contents(sim);
}

fn walk(begin: &Tested) {
    let config = Config {
        cases: number("HVRSIM_CASES", 24),
        failure_persistence: None,
        max_shrink_iters: number("HVRSIM_SHRINK", 1500),
        ..Config::default()
    };
    let mut seed = [9_u8; 32];
    seed[..4].copy_from_slice(&number("HVRSIM_SEED", 0).to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let result =
        TestRunner::new_with_rng(config, rng).run(&proptest::collection::vec(act(), 10..80), |acts| {
            let (mut sim, mut watch) = (begin.clone(), Watch::new());
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

#[test]
fn walks_over_three_hosts_from_an_unprotected_machine() {
    walk(&three());
}

#[test]
fn walks_over_three_hosts_from_a_protected_machine() {
    walk(&three_protected());
}

#[test]
fn walks_from_a_chain() {
    walk(&chain());
}

/// The middle copy has been failed over and committed, its machine runs.
#[test]
fn walks_from_a_chain_whose_middle_copy_is_failed_over() {
    let mut sim = chain();
    call(&mut sim, A, Operation::StopVm);
    job(&mut sim, B, &Operation::Failover { point: PointChoice::Latest });
    job(&mut sim, B, &Operation::CommitFailover);
    call(&mut sim, B, Operation::StartVm);
    hours(&mut sim, 1);
    assert!(sim.copy(X).is_some());
    walk(&sim);
}
