//! What holds the simulator to its word, held to its own.

mod stateright;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use hvrsim_check::act::{Act, Done, Happening, With, attempt};
use hvrsim_check::explore::{Explored, World0, explore, replay, way_out};
use hvrsim_check::known;
use hvrsim_check::property::{self, Violation};
use hvrsim_check::shrink::{Failing, shrink};
use hvrsim_check::small::{Shape, copy};
use hvrsim_check::space::Bounds;
use hvrsim_check::trace;
use hvrsim_check::walk::{again, walk};
use hvrsim_replica::exchange::TimerKind;
use hvrsim_replica::rule::Call;
use hvrsim_scenario::run::{Options, run};
use hvrsim_scenario::{Choices, Source, check};
use hvrsim_sim::store::{Images, Stamps};
use hvrsim_types::id::{HostId, VmId};
use hvrsim_types::time::Span;

fn threads(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("it is not 0")
}

fn start() -> World0 {
    Shape::default().protected(0, Stamps::default()).expect("the store works")
}

/// The calls of a planned failover, and no others.
fn planned() -> Bounds {
    use Call::{CommitFailover, Failover, Prepare, Reverse, RevertFailover, StartVm, TurnOffVm};
    let calls = vec![Prepare, Failover, RevertFailover, CommitFailover, Reverse, StartVm, TurnOffVm];
    Bounds { calls, writes: false, ..Bounds::runbooks() }
}

fn all_of(bounds: &Bounds, number: usize) -> Explored {
    explore(start(), bounds, threads(number)).expect("the store works")
}

#[test]
fn every_situation_of_a_planned_failover_keeps_every_claim() {
    let found = all_of(&planned(), 2);
    assert!(!found.cut_short, "the exploration ends");
    assert_eq!(found.violations, Vec::new());
    println!("{} situations, {} steps", found.situations(), found.steps());
    assert!(found.situations() > 1000, "{}", found.situations());
    // Sometimes: the rules of the runbook are all taken.
    for rule in
        ["PF-66", "PF-67", "PF-69", "PF-71", "PF-72", "PF-73", "PF-74", "PF-75", "UF-84", "ST-16", "ST-20"]
    {
        assert!(found.rules.contains(rule), "{rule} is never taken: {:?}", found.rules);
    }
}

#[test]
fn the_number_of_situations_does_not_depend_on_threads() {
    let bounds = Bounds { situations: 800, ..planned() };
    let count = |number| {
        let found = all_of(&bounds, number);
        (found.situations(), found.steps(), found.rules)
    };
    assert_eq!(count(1), count(3));
}

#[test]
fn without_the_call_that_leads_out_a_dead_end_is_found() {
    // With nothing but a pause there is no way back from it.
    let bounds = Bounds { calls: vec![Call::Suspend], writes: false, ..Bounds::runbooks() };
    let found = all_of(&bounds, 1);
    let dead = found.dead_ends(&start(), &[]).expect("the store works");
    assert!(!dead.is_empty(), "a pause without Resume-VMReplication is for good");
}

#[test]
fn from_every_situation_of_a_resynchronization_something_leads_back() {
    let found = all_of(&Bounds::resync(), 2);
    assert!(!found.cut_short, "the exploration ends");
    assert_eq!(found.violations, Vec::new());
    println!("{} situations, {} steps", found.situations(), found.steps());
    let dead = found.dead_ends(&start(), &[]).expect("the store works");
    let unknown: Vec<_> = dead.iter().filter(|end| known::dead_end(&end.situation).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    for rule in ["RS-42", "RS-46", "RS-47", "RS-48", "RS-50", "RS-52", "RS-58", "RS-123", "RS-124"] {
        assert!(found.rules.contains(rule), "{rule} is never taken: {:?}", found.rules);
    }
}

#[test]
fn the_shortest_way_out_is_told_and_works() {
    let paused = replay(&start(), &[ask(0, Call::Suspend)]).expect("the store works");
    let over = [ask(1, Call::Failover), Act::Wait(Span::minutes(1))];
    let over = replay(&start(), &over).expect("the store works");
    for (world, call) in [(paused, ask(0, Call::Resume)), (over, ask(1, Call::RevertFailover))] {
        assert!(!property::protected(&world.world, VmId(0)));
        let way = way_out(&world, 5_000, threads(2)).expect("the store works");
        assert_eq!(way, Some(vec![call]));
        let back = replay(&world, &[call]).expect("the store works");
        assert!(property::protected(&back.world, VmId(0)));
    }
}

#[test]
fn random_walks_keep_every_claim_and_an_operator_leads_them_back() {
    for seed in 0..80 {
        let walked = walk(seed).expect("the store works");
        assert_eq!(walked.violation, None, "seed {seed}: {:?}", walked.acts);
    }
}

#[test]
fn a_walk_is_the_same_each_time_and_on_images() {
    for seed in [3, 14] {
        let walked = walk(seed).expect("the store works");
        let (on_stamps, _) =
            again(&walked.shape, Stamps::default(), seed, &walked.acts).expect("the store works");
        assert_eq!(on_stamps, walked);
        let folder = tempfile::tempdir().expect("there is room");
        let (hosts, vms) = (["HV1", "HV2", "oracle"].map(str::to_owned), ["web01".to_owned()]);
        let images = Images::new(folder.path().join("run"), &hosts, &vms, seed).expect("there is room");
        let (on_images, _) = again(&walked.shape, images, seed, &walked.acts).expect("the store works");
        assert_eq!(on_images, walked, "the oracle agrees with real images, and the digests are one");
    }
}

#[test]
fn a_failing_trace_is_made_short() {
    // Nobody leads a machine back that is deleted on both hosts.
    let noise = [
        Act::Write { copy: copy(0), block: 1, blocks: 2 },
        Act::Wait(Span::HOUR),
        Act::Cut(HostId(0), HostId(1)),
        Act::Mend(HostId(0), HostId(1)),
    ];
    let mut acts = vec![ask(0, Call::Enable), Act::Wait(Span::minutes(2))];
    acts.extend(noise);
    acts.push(ask(0, Call::Suspend));
    acts.extend(noise);
    acts.extend([Call::TurnOffVm, Call::Remove, Call::DestroyVm].map(|call| ask(0, call)));
    acts.extend([Call::Remove, Call::DestroyVm].map(|call| ask(1, call)));
    acts.extend(noise);
    let shape = Shape { used: 3, ..Shape::default() };
    let (walked, _) = again(&shape, Stamps::default(), 1, &acts).expect("the store works");
    let violation = walked.violation.expect("a machine that is nowhere is not protected again");
    let short = shrink(Failing { shape, seed: 1, acts: walked.acts, violation: violation.clone() })
        .expect("the store works");
    assert_eq!(short.violation.claim, violation.claim);
    // Without the replica there is one machine less to delete: that is the true minimum.
    assert_eq!(short.acts, [ask(0, Call::TurnOffVm), ask(0, Call::DestroyVm)]);
    assert_eq!(short.shape.used, 1);
}

/// Walks as scenarios come to the same: what is done there is what was done in the walk.
#[test]
fn a_walk_told_as_a_scenario_can_be_read() {
    let mut told = 0;
    for seed in 0..40 {
        let walked = walk(seed).expect("the store works");
        let violation = Violation { claim: "nothing", found: "it is told as it is".to_owned() };
        let failing = Failing { shape: walked.shape, seed, acts: walked.acts, violation };
        let Some(text) = trace::scenario(&failing).expect("the store works") else { continue };
        told += 1;
        let source = Source::new("walk.yaml", text);
        let include = |_: &str| Err("nothing is included".to_owned());
        let checked = check(&source, Choices { params: &BTreeMap::new(), include: &include });
        let wrong: Vec<String> = checked.diagnostics.iter().map(|d| d.render(false)).collect();
        assert_eq!(checked.scenarios.len(), 1, "seed {seed}: {}\n{}", wrong.concat(), source.text);
        let (ended, _) = run(&checked.scenarios[0], &Options::default(), Stamps::default(), &mut ())
            .expect("the store works");
        let wrong: Vec<String> = ended.failures.iter().map(|d| d.render(false)).collect();
        assert!(wrong.is_empty(), "seed {seed}: {}\n{}", wrong.concat(), source.text);
    }
    assert!(told > 20, "{told} of 40 walks can be told");
}

/// Carries acts out one after the other and holds every claim after each.
fn holds(acts: &[Act]) {
    let mut sim = start();
    for (number, act) in acts.iter().enumerate() {
        let before = sim.world.clone();
        let done = attempt(*act, &mut sim).expect("the store works");
        assert!(done.is_ok(), "act {number} {act:?}: {done:?}");
        assert_eq!(property::step(&before, &sim.world), Ok(()), "act {number} {act:?}");
        assert_eq!(property::now(&sim.world), Ok(()), "act {number} {act:?}");
    }
}

const fn ask(host: u16, call: Call) -> Act {
    Act::Ask(copy(host), call, With::Defaults)
}

const DELIVERED: Act = Act::Happens(Happening::Delivery(0));

const fn disks_done(host: u16) -> Act {
    Act::Happens(Happening::DiskWork(copy(host)))
}

// What exploration has found.

/// The answer to the opening of a resynchronization crosses a failover on the replica: nothing may be written there.
#[test]
fn a_session_is_not_opened_into_a_copy_that_has_failed_over_meanwhile() {
    holds(&[
        ask(0, Call::Suspend),
        ask(0, Call::Resynchronize),
        DELIVERED,
        ask(1, Call::Failover),
        disks_done(1),
        DELIVERED,
        Act::Wait(Span::HOUR),
        ask(1, Call::TurnOffVm),
        ask(1, Call::RevertFailover),
        Act::Wait(Span::HOUR),
    ]);
}

/// A scheduled resynchronization is asked for while another one is paused: that one's job goes on.
#[test]
fn a_scheduled_resynchronization_keeps_the_job_under_way() {
    holds(&[
        ask(0, Call::Suspend),
        ask(0, Call::Resynchronize),
        DELIVERED,
        DELIVERED,
        ask(0, Call::Suspend),
        Act::Ask(copy(0), Call::Resynchronize, With::Later),
        Act::Wait(Span::HOUR),
    ]);
}

/// A failover to a recovery point first applies what is stored, which brings a newer point: the chosen one stays.
#[test]
fn a_point_that_is_being_failed_over_to_is_not_dropped_for_a_newer_one() {
    holds(&[
        ask(0, Call::TurnOffVm),
        ask(0, Call::Prepare),
        DELIVERED,
        DELIVERED,
        ask(0, Call::RevertFailover),
        ask(0, Call::Prepare),
        DELIVERED,
        disks_done(1),
        Act::Ask(copy(1), Call::Failover, With::Point(0)),
        disks_done(1),
        Act::Wait(Span::HOUR),
    ]);
}

/// While a former failback's hold is asked about, initial replication runs: its job is not ended by the answer.
#[test]
fn the_question_whether_a_failback_goes_on_ends_no_job_but_its_own() {
    const TIMER: Act = Act::Happens(Happening::Timer(copy(1), TimerKind::Watch));
    let mut acts = vec![
        ask(0, Call::TurnOffVm),
        ask(0, Call::AsReplica),
        ask(1, Call::Failover),
        disks_done(1),
        ask(1, Call::CommitFailover),
        disks_done(1),
        Act::Happens(Happening::Timer(copy(1), TimerKind::Point)),
        ask(1, Call::Reverse),
        DELIVERED,
        DELIVERED,
        Act::Ask(copy(0), Call::InitiateFailback, With::Point(0)),
    ];
    let read = Act::Happens(Happening::Read(copy(0)));
    acts.extend([DELIVERED, DELIVERED, read, DELIVERED, read, DELIVERED, DELIVERED, DELIVERED]);
    acts.extend([ask(0, Call::AsReplica), ask(1, Call::StartInitialReplication)]);
    acts.extend([DELIVERED, DELIVERED, TIMER, DELIVERED, DELIVERED, Act::Wait(Span::HOUR)]);
    holds(&acts);
}

/// A failback was cancelled half-way, and the resynchronization that is to mend its disks is crossed by a failover:
/// refused, as long as the disks are marked (rule G-4).
#[test]
fn marked_disks_are_not_failed_over_in_the_middle_of_the_resynchronization_that_mends_them() {
    let read = |host| Act::Happens(Happening::Read(copy(host)));
    let point = Act::Happens(Happening::Timer(copy(1), TimerKind::Point));
    let mut acts = vec![ask(0, Call::TurnOffVm), ask(0, Call::AsReplica), ask(1, Call::Failover)];
    acts.extend([disks_done(1), ask(1, Call::CommitFailover), disks_done(1), point]);
    acts.push(Act::Ask(copy(0), Call::InitiateFailback, With::Point(0)));
    acts.extend([DELIVERED, DELIVERED, read(0), DELIVERED, DELIVERED, DELIVERED, ask(0, Call::Reverse)]);
    acts.extend([DELIVERED, DELIVERED, DELIVERED, DELIVERED, disks_done(1), ask(1, Call::InitiateFailback)]);
    acts.extend([DELIVERED, DELIVERED, read(1), DELIVERED, DELIVERED, DELIVERED, ask(1, Call::CancelJob)]);
    let cycle = Act::Happens(Happening::Timer(copy(0), TimerKind::Cycle));
    acts.extend([DELIVERED, DELIVERED, cycle, DELIVERED, DELIVERED, ask(0, Call::Resynchronize)]);
    acts.extend([DELIVERED, DELIVERED]);
    holds(&acts);
    let mut there = replay(&start(), &acts).expect("the store works");
    assert!(property::state(&there.world, copy(1)).is_some_and(|c| c.inconsistent));
    let done = ask(1, Call::Failover).perform(&mut there).expect("the store works");
    let Done::Answered(outcome) = done else { panic!("{done:?}") };
    assert_eq!(outcome.refusal.map(|refusal| refusal.rule), Some("RS-58"));
    holds(&[acts, vec![ask(1, Call::Failover), disks_done(1)]].concat());
}
