//! What random walks have found, each as the shortest story that showed it.

use hvrsim_replica::operation::{FailbackSettings, InitialKind, Operation, PointChoice};
use hvrsim_sim::Look;
use hvrsim_sim::store::{DiskStore, View};
use hvrsim_sim::trace::HostPower;
use hvrsim_types::code::ReturnCode;
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, ReplicationState as S};
use hvrsim_types::time::Span;

use crate::failover::reverse;
use crate::general::{away, ended, failback_from_b, finish, step_until};
use crate::walk::half_reversed;
use crate::world::*;

const P: Mode = Mode::Primary;
const R: Mode = Mode::Replica;
const LATEST: Operation = Operation::Failover { point: PointChoice::Latest };

fn failback_to(point: PointChoice) -> Operation {
    let settings = FailbackSettings::Given { from: Some(HV2), capable: true };
    Operation::InitiateFailback { settings, point }
}

/// HV2 is the primary, and runs; HV1 is its replica.
fn reversed() -> Tested {
    let mut sim = small_protected();
    half_reversed(&mut sim);
    job(&mut sim, B, &reverse());
    call(&mut sim, B, Operation::StartVm);
    hours(&mut sim, 3);
    sim
}

#[test]
fn a_log_whose_sender_has_given_it_up_is_not_stored() {
    for operation in [Operation::Remove, Operation::AsReplica] {
        let mut sim = small_protected();
        call(&mut sim, A, Operation::StopVm);
        let sends = |sim: &Tested| sim.world.host(HV1).service.copies[&VM].sending.is_some();
        step_until(&mut sim, |sim| !sends(sim));
        step_until(&mut sim, sends);
        call(&mut sim, A, operation);
        sim.advance(Span::MINUTE).unwrap();
        assert_eq!(state(&sim, B), (R, S::Replicating));
        assert_contents(&sim);
    }
}

#[test]
fn a_point_that_a_failback_reads_outlives_the_history() {
    let mut sim = away();
    hours(&mut sim, 4);
    let oldest = sim.points(B)[0].id;
    let id = call(&mut sim, A, failback_to(PointChoice::Id(oldest))).job.unwrap();
    step_until(&mut sim, |sim| sim.job(HV1, id).is_some_and(|job| job.sent_bytes > 0));
    sim.cut_link(HV1, HV2, Some(Span::minutes(300))).unwrap();
    hours(&mut sim, 5);
    assert!(sim.points(B).iter().all(|p| p.id != oldest), "it is not listed any more");
    assert_eq!(finish(&mut sim, A, id).state, JobState::Completed);
    assert_contents(&sim);
}

#[test]
fn stored_logs_are_applied_before_a_failback_begins() {
    let mut sim = reversed();
    for place in 0..8 {
        write(&mut sim, B, "stored", place << 20);
    }
    step_until(&mut sim, |sim| !sim.world.host(HV1).service.copies[&VM].received.is_empty());
    sim.advance(Span(2_000_000)).unwrap();
    let id = call(&mut sim, A, failback_from_b()).job.unwrap();
    call(&mut sim, A, Operation::CancelJob(id));
    assert_eq!(state(&sim, A), (R, S::Replicating));
    hours(&mut sim, 1);
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    assert_contents(&sim);
    job(&mut sim, A, &LATEST);
    assert_contents(&sim);
}

#[test]
fn a_second_failback_that_never_began_leaves_the_first_as_it_was() {
    let mut sim = away();
    job(&mut sim, A, &failback_from_b());
    call(&mut sim, B, Operation::StopVm);
    call(&mut sim, A, Operation::StartVm);
    write(&mut sim, A, "home", 0);
    call(&mut sim, A, Operation::StopVm);
    sim.cut_link(HV1, HV2, None).unwrap();
    let id = call(&mut sim, A, failback_from_b()).job.unwrap();
    sim.advance(Span::minutes(2)).unwrap();
    call(&mut sim, A, Operation::CancelJob(id));
    assert_eq!(state(&sim, A), (R, S::FailbackComplete));
    sim.mend_link(HV1, HV2);
    job(&mut sim, A, &reverse());
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    sim.advance(Span::MINUTE).unwrap();
    assert_eq!(sim.store.difference((A, View::Live), (B, View::Live)).unwrap(), None);
    assert_contents(&sim);
}

#[test]
fn a_hold_whose_end_was_lost_ends_by_itself() {
    let mut sim = reversed();
    let id = call(&mut sim, A, failback_from_b()).job.unwrap();
    until(&mut sim, B, S::Suspended);
    sim.cut_link(HV1, HV2, Some(Span::MINUTE)).unwrap();
    call(&mut sim, A, Operation::CancelJob(id));
    assert_states(&sim, (R, S::Replicating), (P, S::Suspended));
    hours(&mut sim, 1);
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    hours(&mut sim, 1);
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn a_session_whose_end_was_lost_ends_by_itself() {
    let mut sim = small_protected();
    job(&mut sim, A, &Operation::Suspend);
    call(&mut sim, A, Operation::Resynchronize { at: None });
    until(&mut sim, A, S::Resynchronizing);
    sim.cut_link(HV1, HV2, Some(Span::MINUTE)).unwrap();
    call(&mut sim, A, Operation::StopResynchronize);
    assert_states(&sim, (P, S::WaitingForStartResynchronize), (R, S::Resynchronizing));
    hours(&mut sim, 1);
    assert_states(&sim, (P, S::WaitingForStartResynchronize), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn a_failback_given_up_needs_a_resynchronization_before_any_failover() {
    let mut sim = reversed();
    job(&mut sim, A, &failback_from_b());
    call(&mut sim, A, Operation::StartVm);
    write(&mut sim, A, "tried", 0);
    call(&mut sim, A, Operation::TurnOffVm);
    let id = call(&mut sim, A, Operation::Resume).job.unwrap();
    assert_eq!(
        call(&mut sim, A, Operation::StartVm).code,
        ReturnCode::IN_USE,
        "its state is about to change"
    );
    assert_eq!(finish(&mut sim, A, id).state, JobState::Completed);
    assert_states(&sim, (R, S::Replicating), (P, S::WaitingForStartResynchronize));
    assert_eq!(call(&mut sim, A, LATEST).code, ReturnCode::INVALID_STATE);
    job(&mut sim, B, &Operation::Resynchronize { at: None });
    job(&mut sim, A, &LATEST);
    assert_contents(&sim);
}

#[test]
fn a_failback_is_given_up_only_towards_a_primary_that_answers() {
    let mut sim = away();
    job(&mut sim, A, &failback_from_b());
    let refused = ended(&mut sim, A, &Operation::Resume);
    assert_eq!((refused.state, refused.error), (JobState::Exception, ReturnCode::INVALID_STATE));
    sim.cut_link(HV1, HV2, None).unwrap();
    assert_eq!(ended(&mut sim, A, &Operation::Resume).error, ReturnCode::NOT_AVAILABLE);
    assert_states(&sim, (R, S::FailbackComplete), (R, S::Committed));
}

#[test]
fn a_resynchronization_started_over_in_vain_is_required_again() {
    let mut sim = small_protected();
    job(&mut sim, A, &Operation::Suspend);
    call(&mut sim, A, Operation::Resynchronize { at: None });
    until(&mut sim, A, S::Resynchronizing);
    call(&mut sim, A, Operation::Suspend);
    sim.cut_link(HV1, HV2, Some(Span::minutes(2))).unwrap();
    assert_eq!(ended(&mut sim, A, &Operation::Resynchronize { at: None }).state, JobState::Exception);
    assert_eq!(state(&sim, A), (P, S::WaitingForStartResynchronize));
    hours(&mut sim, 1);
    job(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_contents(&sim);
}

#[test]
fn a_shutdown_keeps_a_paused_resynchronization() {
    let mut sim = small_protected();
    job(&mut sim, A, &Operation::Suspend);
    let id = call(&mut sim, A, Operation::Resynchronize { at: None }).job.unwrap();
    until(&mut sim, A, S::Resynchronizing);
    call(&mut sim, A, Operation::Suspend);
    sim.host_power(HV1, HostPower::Off).unwrap();
    hours(&mut sim, 1);
    sim.host_power(HV1, HostPower::Back).unwrap();
    assert_eq!(state(&sim, A), (P, S::ResynchronizeSuspended));
    call(&mut sim, A, Operation::Resume);
    assert_eq!(finish(&mut sim, A, id).state, JobState::Completed);
    assert_contents(&sim);
}

#[test]
fn a_reverse_without_tracked_sets_offers_no_failover_before_the_resynchronization() {
    let mut sim = away();
    hours(&mut sim, 3);
    let point = sim.points(B)[0].id;
    job(&mut sim, A, &failback_to(PointChoice::Id(point)));
    sim.host_power(HV2, HostPower::Lost).unwrap();
    sim.host_power(HV2, HostPower::Back).unwrap();
    job(&mut sim, A, &reverse());
    assert_states(&sim, (P, S::WaitingForStartResynchronize), (R, S::Replicating));
    assert_contents(&sim);
    assert_eq!(call(&mut sim, B, LATEST).code, ReturnCode::INVALID_STATE);
    job(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_contents(&sim);
    job(&mut sim, B, &LATEST);
    assert_contents(&sim);
}

#[test]
fn a_failover_started_anew_shows_the_point_of_the_second_call() {
    let mut sim = small_protected();
    hours(&mut sim, 4);
    let points = sim.points(B);
    call(&mut sim, B, Operation::Failover { point: PointChoice::Id(points[2].id) });
    call(&mut sim, B, Operation::RevertFailover);
    job(&mut sim, B, &Operation::Failover { point: PointChoice::Id(points[0].id) });
    sim.advance(Span::MINUTE).unwrap();
    let shown = sim.store.difference((B, View::Live), (B, View::Point(points[0].id))).unwrap();
    assert_eq!(shown, None);
    assert_contents(&sim);
}

#[test]
fn what_a_failed_over_copy_wrote_is_known_to_a_later_failback() {
    let mut sim = reversed();
    job(&mut sim, A, &LATEST);
    call(&mut sim, A, Operation::StartVm);
    write(&mut sim, A, "alone", 0);
    call(&mut sim, A, Operation::StopVm);
    job(&mut sim, A, &Operation::CommitFailover);
    job(&mut sim, A, &Operation::AsReplica);
    job(&mut sim, A, &failback_from_b());
    assert_eq!(state(&sim, A), (R, S::FailbackComplete));
    assert_contents(&sim);
}

#[test]
fn a_broken_failback_is_mended_by_a_resynchronization() {
    let mut sim = reversed();
    write(&mut sim, B, "more", 16 << 20);
    let id = call(&mut sim, A, failback_from_b()).job.unwrap();
    step_until(&mut sim, |sim| sim.job(HV1, id).is_some_and(|job| job.sent_bytes > 0));
    call(&mut sim, A, Operation::CancelJob(id));
    assert_eq!(state(&sim, A), (R, S::Critical));
    until(&mut sim, B, S::Critical);
    job(&mut sim, B, &Operation::Resynchronize { at: None });
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    assert!(!sim.copy(A).unwrap().inconsistent);
    assert_contents(&sim);
}

#[test]
fn a_resynchronization_of_a_replica_that_waits_can_be_begun_again() {
    let mut sim = small_protected();
    job(&mut sim, B, &LATEST);
    job(&mut sim, B, &Operation::CommitFailover);
    job(&mut sim, B, &Operation::AsReplica);
    until(&mut sim, A, S::Critical);
    call(&mut sim, A, Operation::Resynchronize { at: None });
    until(&mut sim, A, S::Resynchronizing);
    sim.host_power(HV1, HostPower::Lost).unwrap();
    sim.host_power(HV1, HostPower::Back).unwrap();
    assert_states(&sim, (P, S::WaitingForStartResynchronize), (R, S::Resynchronizing));
    job(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn a_start_that_still_asks_can_be_stopped() {
    for by_job in [false, true] {
        let mut sim = small();
        job(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
        let start = Operation::StartInitialReplication { kind: InitialKind::Network, at: None };
        let id = call(&mut sim, A, start.clone()).job.unwrap();
        assert_eq!(state(&sim, A), (P, S::ReadyForInitialReplication));
        let stop = if by_job { Operation::CancelJob(id) } else { Operation::StopInitialReplication };
        let outcome = call(&mut sim, A, stop);
        assert_eq!((outcome.code, outcome.rule), (ReturnCode::JOB_STARTED, Some("EN-11A")));
        assert_eq!(sim.job(HV1, id).map(|job| job.state), Some(JobState::Terminated));
        sim.advance(Span::MINUTE).unwrap();
        assert_eq!(state(&sim, A), (P, S::ReadyForInitialReplication));
        job(&mut sim, A, &start);
        assert_contents(&sim);
    }
}

#[test]
fn nothing_can_be_brought_back_from_a_side_that_was_never_failed_over() {
    let mut sim = small_protected();
    call(&mut sim, A, Operation::StopVm);
    job(&mut sim, A, &Operation::AsReplica);
    let asked = ended(&mut sim, A, &failback_from_b());
    assert_eq!((asked.kind, asked.error), (JobType::InitiateFailback, ReturnCode::INVALID_STATE));
    assert_states(&sim, (R, S::WaitingToCompleteInitialReplication), (R, S::Replicating));
}

/// A failback of a running new primary is cancelled before its first block while the link is down.
fn cancelled_in_the_dark() -> Tested {
    let mut sim = reversed();
    let id = call(&mut sim, A, failback_from_b()).job.expect("a job is started");
    step_until(&mut sim, |sim| sim.job(HV1, id).is_some_and(|job| job.phase == "comparing"));
    assert_eq!(state(&sim, B), (P, S::Suspended));
    sim.cut_link(HV1, HV2, None).expect("there is such a link");
    call(&mut sim, A, Operation::CancelJob(id));
    assert_states(&sim, (R, S::Replicating), (P, S::Suspended));
    hours(&mut sim, 2);
    assert_states(&sim, (R, S::Replicating), (P, S::Suspended));
    sim
}

#[test]
fn the_release_of_a_failback_cancelled_in_the_dark_arrives_later() {
    let mut sim = cancelled_in_the_dark();
    assert!(sim.mend_link(HV1, HV2));
    hours(&mut sim, 1);
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    hours(&mut sim, 1);
    assert_contents(&sim);
}

#[test]
fn a_hold_cleared_in_the_dark_does_not_part_the_sides() {
    let mut sim = cancelled_in_the_dark();
    job(&mut sim, B, &Operation::Resume);
    assert_eq!(state(&sim, B), (P, S::Replicating));
    hours(&mut sim, 1);
    assert!(sim.mend_link(HV1, HV2));
    hours(&mut sim, 2);
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    assert_contents(&sim);
}
