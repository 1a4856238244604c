//! InitiateFailback, from accepted to reversed.

use hvrsim_replica::operation::{FailbackSettings, Operation, PointChoice};
use hvrsim_sim::Look;
use hvrsim_sim::store::{DiskStore, View};
use hvrsim_sim::trace::HostPower;
use hvrsim_types::code::ReturnCode;
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, ReplicationState as S, ReplicationType};
use hvrsim_types::time::Span;

use crate::failover::reverse;
use crate::world::*;

const P: Mode = Mode::Primary;
const R: Mode = Mode::Replica;

fn failback(point: PointChoice) -> Operation {
    let settings = FailbackSettings::Given { from: Some(HV2), capable: true };
    Operation::InitiateFailback { settings, point }
}

/// Planned failover to HV2, committed, running there for some hours, HV1 made a replica.
fn away() -> Tested {
    let mut sim = protected();
    hours(&mut sim, 2);
    call(&mut sim, A, Operation::StopVm);
    job(&mut sim, A, &Operation::Prepare);
    job(&mut sim, B, &Operation::Failover { point: PointChoice::Latest });
    job(&mut sim, B, &Operation::CommitFailover);
    call(&mut sim, B, Operation::StartVm);
    write(&mut sim, B, "morning", 512 << 20);
    hours(&mut sim, 5);
    write(&mut sim, B, "evening", 600 << 20);
    job(&mut sim, A, &Operation::AsReplica);
    sim
}

#[test]
fn failback_to_a_point_with_a_cut_in_the_middle() {
    let mut sim = away();
    let points = sim.points(B);
    assert_eq!(points.len(), 4);
    let chosen = &points[2];
    let outcome = call(&mut sim, A, failback(PointChoice::Id(points[2].id)));
    assert_eq!(outcome.code, ReturnCode::JOB_STARTED);
    let id = outcome.job.unwrap();
    assert_eq!(state(&sim, A), (R, S::FailbackInProgress));
    assert_eq!(sim.job(HV1, id).unwrap().kind, JobType::InitiateFailback);
    sim.advance(Span::seconds(2)).unwrap();
    assert!(sim.job(HV1, id).unwrap().sent_bytes > 0, "{:?}", sim.job(HV1, id));
    sim.cut_link(HV1, HV2, Some(Span::minutes(20))).unwrap();
    sim.advance(Span::minutes(5)).unwrap();
    assert_eq!(sim.job(HV1, id).unwrap().phase, "waiting-for-provider");
    assert_eq!(call(&mut sim, A, Operation::StartVm).refusal.unwrap().rule, "FB-131R");
    until(&mut sim, A, S::FailbackComplete);
    let done = sim.job(HV1, id).unwrap();
    assert_eq!((done.state, done.percent), (JobState::Completed, 100));
    assert_eq!(sim.copy(A).unwrap().failed_over_type, ReplicationType::Regular);
    assert_eq!(sim.store.difference((A, View::Live), (B, View::Point(chosen.id))).unwrap(), None);
    assert_contents(&sim);

    call(&mut sim, B, Operation::StopVm);
    call(&mut sim, A, Operation::StartVm);
    assert_eq!(tags(&sim.losses(VM)), ["evening"]);
    write(&mut sim, A, "home", 700 << 20);
    job(&mut sim, A, &Operation::CommitFailover);
    assert_eq!(state(&sim, A), (R, S::Committed));
    job(&mut sim, A, &reverse());
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    hours(&mut sim, 2);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn failback_of_the_latest_with_the_new_primary_off_loses_nothing() {
    let mut sim = away();
    call(&mut sim, A, failback(PointChoice::Latest));
    sim.advance(Span::seconds(1)).unwrap();
    write(&mut sim, B, "final", 650 << 20);
    call(&mut sim, B, Operation::StopVm);
    until(&mut sim, A, S::FailbackComplete);
    assert_eq!(sim.copy(A).unwrap().failed_over_type, ReplicationType::Planned);
    assert_eq!(sim.store.difference((A, View::Live), (B, View::Live)).unwrap(), None);
    call(&mut sim, A, Operation::StartVm);
    assert_eq!(sim.losses(VM), []);
    job(&mut sim, A, &reverse());
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn failback_after_the_reverse_holds_the_new_primary() {
    let mut sim = protected();
    call(&mut sim, A, Operation::StopVm);
    job(&mut sim, A, &Operation::Prepare);
    job(&mut sim, B, &Operation::Failover { point: PointChoice::Latest });
    job(&mut sim, B, &reverse());
    call(&mut sim, B, Operation::StartVm);
    hours(&mut sim, 4);
    sim.advance(Span::MINUTE).unwrap();
    assert_eq!(sim.points(A), sim.points(B));
    let points = sim.points(B);
    let outcome = call(&mut sim, A, failback(PointChoice::Id(points[1].id)));
    until(&mut sim, A, S::FailbackComplete);
    assert_states(&sim, (R, S::FailbackComplete), (P, S::Suspended));
    assert_eq!(sim.store.difference((A, View::Live), (B, View::Point(points[1].id))).unwrap(), None);
    assert!(sim.job(HV1, outcome.job.unwrap()).unwrap().compared_bytes < 256 << 20);
    assert_contents(&sim);
    assert_eq!(job_end(&mut sim, B, &Operation::Resume), JobState::Exception);
    call(&mut sim, B, Operation::StopVm);
    call(&mut sim, A, Operation::StartVm);
    hours(&mut sim, 1);
    job(&mut sim, A, &reverse());
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    hours(&mut sim, 1);
    assert_contents(&sim);
}

#[test]
fn a_cancelled_failback_leaves_inconsistent_disks_and_can_be_done_again() {
    let mut sim = away();
    let outcome = call(&mut sim, A, failback(PointChoice::Latest));
    sim.advance(Span::seconds(2)).unwrap();
    call(&mut sim, A, Operation::CancelJob(outcome.job.unwrap()));
    assert_eq!(state(&sim, A), (R, S::Critical));
    assert!(sim.copy(A).unwrap().inconsistent);
    assert_eq!(sim.job(HV1, outcome.job.unwrap()).unwrap().state, JobState::Terminated);
    sim.advance(Span::seconds(10)).unwrap();
    job(&mut sim, A, &failback(PointChoice::Latest));
    assert_eq!(state(&sim, A), (R, S::FailbackComplete));
    assert!(!sim.copy(A).unwrap().inconsistent);
    assert_contents(&sim);
}

#[test]
fn a_crash_of_the_receiving_host_goes_on_from_the_checkpoint() {
    let mut sim = away();
    let outcome = call(&mut sim, A, failback(PointChoice::Latest));
    sim.advance(Span::seconds(2)).unwrap();
    sim.host_power(HV1, HostPower::Lost).unwrap();
    sim.advance(Span::minutes(10)).unwrap();
    sim.host_power(HV1, HostPower::Back).unwrap();
    until(&mut sim, A, S::FailbackComplete);
    assert_eq!(sim.job(HV1, outcome.job.unwrap()).unwrap().state, JobState::Completed);
    assert_contents(&sim);
}
