//! Test failover: a machine of its own beside the replica.

use hvrsim_replica::operation::{Operation, PointChoice};
use hvrsim_sim::Look;
use hvrsim_sim::store::{DiskStore, View};
use hvrsim_sim::trace::HostPower;
use hvrsim_types::code::ReturnCode;
use hvrsim_types::job::JobState;
use hvrsim_types::state::{Health, Mode, Power, ReplicationState as S};

use crate::general::{ended, step_until};
use crate::world::*;

const P: Mode = Mode::Primary;
const R: Mode = Mode::Replica;
const TEST: Operation = Operation::TestFailover { point: PointChoice::Latest };
const LATEST: Operation = Operation::Failover { point: PointChoice::Latest };

fn rule(sim: &mut Tested, on: hvrsim_types::id::CopyId, operation: Operation) -> (ReturnCode, &'static str) {
    let outcome = call(sim, on, operation);
    (outcome.code, outcome.refusal.map(|r| r.rule).or(outcome.rule).unwrap_or_default())
}

#[test]
fn a_test_machine_shows_its_point_while_replication_goes_on() {
    let mut sim = protected();
    hours(&mut sim, 5);
    let oldest = sim.points(B)[0].clone();
    let content = sim.world.points[&oldest.id].content;
    job(&mut sim, B, &Operation::TestFailover { point: PointChoice::Id(oldest.id) });
    let test = sim.copy(B.test()).unwrap();
    assert_eq!((test.mode, test.power, test.health), (Mode::TestReplica, Power::Off, Health::NotApplicable));
    assert_eq!(sim.vm("web01 - test"), Some(B.test().vm));
    assert_content(&sim, B.test(), View::Live, content);
    assert_eq!(call(&mut sim, B.test(), Operation::StartVm).code, ReturnCode::COMPLETED);
    write(&mut sim, B.test(), "tested", 512 << 20);
    // The point it was made from is dropped meanwhile, and logs are applied under it.
    hours(&mut sim, 6);
    assert!(sim.points(B).iter().all(|p| p.id != oldest.id));
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_eq!(sim.copy(A).unwrap().health, Health::Normal);
    assert_contents(&sim);
    assert_eq!(rule(&mut sim, B, TEST), (ReturnCode::IN_USE, "TF-61"));
    job(&mut sim, B, &Operation::RevertFailover);
    assert!(sim.copy(B.test()).is_none() && !sim.store.has_test(B));
    // Nothing of it is left, and nothing of it counts as lost.
    assert_eq!(tags(&sim.losses(VM)), Vec::<&str>::new());
    assert_contents(&sim);
    job(&mut sim, B, &TEST);
}

#[test]
fn where_a_test_is_refused() {
    let mut sim = bare();
    job(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
    assert_eq!(rule(&mut sim, B, TEST), (ReturnCode::INVALID_STATE, "EN-15"));
    assert_eq!(rule(&mut sim, A, TEST).0, ReturnCode::INVALID_STATE);
    let mut sim = protected();
    assert_eq!(rule(&mut sim, B, Operation::RevertFailover).0, ReturnCode::INVALID_STATE);
    call(&mut sim, A, Operation::Suspend);
    call(&mut sim, A, Operation::Resynchronize { at: None });
    step_until(&mut sim, |sim| state(sim, B).1 == S::Resynchronizing);
    assert_eq!(rule(&mut sim, B, TEST), (ReturnCode::INVALID_STATE, "RS-57"));
    job(&mut sim, B, &LATEST);
    assert_eq!(rule(&mut sim, B, TEST).0, ReturnCode::INVALID_STATE);
}

#[test]
fn a_paused_replica_can_be_tested() {
    let mut sim = protected();
    job(&mut sim, B, &Operation::Suspend);
    assert_eq!(rule(&mut sim, B, TEST), (ReturnCode::JOB_STARTED, "TF-64"));
    hours(&mut sim, 1);
    assert_eq!(rule(&mut sim, B, Operation::RevertFailover), (ReturnCode::JOB_STARTED, "TF-62"));
    assert_eq!(state(&sim, B), (R, S::Suspended));
}

#[test]
fn a_real_failover_beside_a_test() {
    let mut sim = protected();
    hours(&mut sim, 2);
    job(&mut sim, B, &TEST);
    call(&mut sim, B.test(), Operation::StartVm);
    write(&mut sim, B.test(), "tested", 512 << 20);
    assert_eq!(rule(&mut sim, B, LATEST).1, "TF-65");
    step_until(&mut sim, |sim| state(sim, B).1 == S::Recovered);
    call(&mut sim, B, Operation::StartVm);
    write(&mut sim, B, "real", 520 << 20);
    assert_contents(&sim);
    call(&mut sim, B, Operation::TurnOffVm);
    job(&mut sim, B, &Operation::RevertFailover);
    assert_eq!(state(&sim, B), (R, S::Replicating));
    assert_eq!(sim.copy(B.test()).unwrap().power, Power::Running);
    assert_contents(&sim);
}

#[test]
fn a_crash_ends_the_job_and_turns_the_test_machine_off() {
    let mut sim = protected();
    hours(&mut sim, 5);
    let oldest = sim.points(B)[0].id;
    let outcome = call(&mut sim, B, Operation::TestFailover { point: PointChoice::Id(oldest) });
    assert!(sim.store.has_test(B) && sim.copy(B.test()).is_none(), "it takes its time");
    sim.host_power(HV2, HostPower::Lost).unwrap();
    sim.host_power(HV2, HostPower::Back).unwrap();
    assert_eq!(sim.job(HV2, outcome.job.unwrap()).unwrap().state, JobState::Exception);
    assert!(!sim.store.has_test(B));
    assert_eq!(ended(&mut sim, B, &TEST).state, JobState::Completed);
    call(&mut sim, B.test(), Operation::StartVm);
    sim.host_power(HV2, HostPower::Lost).unwrap();
    sim.host_power(HV2, HostPower::Back).unwrap();
    assert_eq!(sim.copy(B.test()).unwrap().power, Power::Off);
    assert_contents(&sim);
}

#[test]
fn a_test_machine_deleted_by_hand_frees_its_place() {
    let mut sim = protected();
    job(&mut sim, B, &TEST);
    call(&mut sim, B.test(), Operation::StartVm);
    assert_eq!(rule(&mut sim, B.test(), Operation::DestroyVm), (ReturnCode::INVALID_STATE, "W-8"));
    call(&mut sim, B.test(), Operation::TurnOffVm);
    assert_eq!(rule(&mut sim, B.test(), Operation::DestroyVm), (ReturnCode::COMPLETED, "W-8"));
    job(&mut sim, B, &TEST);
}

/// A committed copy cannot be tested and a tested copy cannot be committed: the rule is for what other readings allow.
#[test]
fn the_test_of_a_committed_failover_ends_by_its_own_rule() {
    use hvrsim_replica::rule::{Call, Guard};
    use hvrsim_replica::service::{Decision, decide};
    let holds = |guard| !matches!(guard, Guard::NoTestVm | Guard::NoSuchExtended);
    match decide(Call::RevertFailover, R, S::Committed, &holds) {
        Decision::Take(rule) => assert_eq!(rule.id, "TF-119"),
        Decision::Refuse(code, refusal) => panic!("{code} {refusal:?}"),
    }
}
