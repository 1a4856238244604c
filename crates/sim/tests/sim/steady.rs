//! Enabling, cycles, points, pauses, crashes.

use hvrsim_replica::operation::{InitialKind, Operation};
use hvrsim_sim::Look;
use hvrsim_sim::trace::HostPower;
use hvrsim_types::state::{Health, Mode, ReplicationState as S};
use hvrsim_types::time::Span;

use crate::world::*;

const P: Mode = Mode::Primary;
const R: Mode = Mode::Replica;

#[test]
fn cycles_bring_everything_and_points_come_hourly() {
    let mut sim = protected();
    hours(&mut sim, 6);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    let view = sim.copy(A).unwrap();
    assert_eq!(view.health, Health::Normal, "{:?}", view.health_details);
    assert!(view.statistics.successes >= 70, "{:?}", view.statistics);
    assert_eq!(sim.points(B).len(), 4);
    let gaps: Vec<u64> = sim.points(B).windows(2).map(|w| (w[1].taken - w[0].taken).as_seconds()).collect();
    assert_eq!(gaps, [3600, 3600, 3600]);
    assert_contents(&sim);
}

#[test]
fn enabling_fails_without_a_link_and_leaves_nothing() {
    let mut sim = bare();
    sim.cut_link(HV1, HV2, None).unwrap();
    let end = job_end(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
    assert_eq!(end, hvrsim_types::job::JobState::Exception);
    assert_eq!(state(&sim, A), (Mode::None, S::Disabled));
    assert_eq!(sim.copy(B), None);
}

#[test]
fn initial_replication_survives_a_cut() {
    let mut sim = bare();
    job(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
    call(&mut sim, A, Operation::StartInitialReplication { kind: InitialKind::Network, at: None });
    sim.advance(Span::seconds(10)).unwrap();
    sim.cut_link(HV1, HV2, Some(Span::minutes(5))).unwrap();
    until(&mut sim, A, S::Replicating);
    hours(&mut sim, 1);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn a_cut_link_is_retried_and_caught_up() {
    let mut sim = protected();
    hours(&mut sim, 1);
    sim.cut_link(HV1, HV2, Some(Span::minutes(40))).unwrap();
    sim.advance(Span::minutes(30)).unwrap();
    assert!(sim.copy(A).unwrap().statistics.missed > 0);
    hours(&mut sim, 2);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn suspend_keeps_tracking_and_resume_sends_all() {
    let mut sim = protected();
    job(&mut sim, A, &Operation::Suspend);
    write(&mut sim, A, "paused", 512 << 20);
    hours(&mut sim, 1);
    assert_states(&sim, (P, S::Suspended), (R, S::Replicating));
    job(&mut sim, A, &Operation::Resume);
    hours(&mut sim, 1);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    job(&mut sim, A, &Operation::Suspend);
    assert_contents(&sim);
}

#[test]
fn a_paused_replica_puts_the_primary_into_error() {
    let mut sim = protected();
    job(&mut sim, B, &Operation::Suspend);
    until(&mut sim, A, S::Critical);
    job(&mut sim, B, &Operation::Resume);
    job(&mut sim, A, &Operation::Resume);
    hours(&mut sim, 1);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn a_crash_needs_a_resynchronization() {
    let mut sim = protected();
    hours(&mut sim, 2);
    sim.host_power(HV1, HostPower::Lost).unwrap();
    sim.advance(Span::minutes(10)).unwrap();
    sim.host_power(HV1, HostPower::Back).unwrap();
    assert_states(&sim, (P, S::WaitingForStartResynchronize), (R, S::Replicating));
    call(&mut sim, A, Operation::StartVm);
    job(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_eq!(sim.points(B).len(), 0);
    hours(&mut sim, 2);
    assert_contents(&sim);
}

#[test]
fn a_cancelled_resynchronization_leaves_the_replica_as_it_was() {
    let mut sim = protected();
    hours(&mut sim, 2);
    job(&mut sim, A, &Operation::Suspend);
    write(&mut sim, A, "more", 600 << 20);
    let before = sim.points(B);
    call(&mut sim, A, Operation::Resynchronize { at: None });
    until(&mut sim, A, S::Resynchronizing);
    sim.advance(Span::seconds(1)).unwrap();
    assert_states(&sim, (P, S::Resynchronizing), (R, S::Resynchronizing));
    call(&mut sim, A, Operation::StopResynchronize);
    sim.advance(Span::seconds(5)).unwrap();
    assert_states(&sim, (P, S::WaitingForStartResynchronize), (R, S::Replicating));
    assert_eq!(sim.points(B), before);
    assert_contents(&sim);
}

#[test]
fn a_paused_resynchronization_goes_on_where_it_was() {
    let mut sim = protected();
    job(&mut sim, A, &Operation::Suspend);
    let outcome = call(&mut sim, A, Operation::Resynchronize { at: None });
    until(&mut sim, A, S::Resynchronizing);
    sim.advance(Span(300_000_000)).unwrap();
    call(&mut sim, A, Operation::Suspend);
    assert_eq!(state(&sim, A), (P, S::ResynchronizeSuspended));
    hours(&mut sim, 1);
    let percent = sim.job(HV1, outcome.job.unwrap()).unwrap().percent;
    assert!(percent > 0, "{percent}");
    call(&mut sim, A, Operation::Resume);
    until(&mut sim, A, S::Replicating);
    hours(&mut sim, 1);
    assert_contents(&sim);
}

/// RS-123, RS-124: paused on the replica, for a while and for good.
#[test]
fn a_resynchronization_paused_on_the_replica() {
    let mut sim = protected();
    sim.worker_crash(A).unwrap();
    let job_id = call(&mut sim, A, Operation::Resynchronize { at: None }).job.unwrap();
    until(&mut sim, A, S::Resynchronizing);
    let paused = call(&mut sim, B, Operation::Suspend);
    assert_eq!(paused.rule, Some("RS-123"));
    assert_eq!(state(&sim, B), (Mode::Replica, S::ResynchronizeSuspended));
    assert_eq!(sim.copy(B).unwrap().health, Health::Critical);
    assert_eq!(call(&mut sim, B, Operation::StartVm).refusal.unwrap().rule, "W-1");
    sim.advance(Span::minutes(3)).unwrap();
    assert_eq!(state(&sim, A).1, S::Resynchronizing, "it tries again");
    assert_eq!(call(&mut sim, B, Operation::Resume).rule, Some("RS-124"));
    until(&mut sim, A, S::Replicating);
    assert_eq!(sim.job(HV1, job_id).map(|j| j.state), Some(hvrsim_types::job::JobState::Completed));
    hours(&mut sim, 1);
    assert_contents(&sim);
    // Nobody resumes: the primary gives up (RS-54), the replica stays paused until it is resumed, then goes back.
    call(&mut sim, A, Operation::StartVm);
    sim.worker_crash(A).unwrap();
    call(&mut sim, A, Operation::Resynchronize { at: None });
    until(&mut sim, A, S::Resynchronizing);
    call(&mut sim, B, Operation::Suspend);
    hours(&mut sim, 5);
    let waiting = S::WaitingForStartResynchronize;
    assert_states(&sim, (Mode::Primary, waiting), (Mode::Replica, S::ResynchronizeSuspended));
    call(&mut sim, B, Operation::Resume);
    hours(&mut sim, 1);
    assert_states(&sim, (Mode::Primary, waiting), (Mode::Replica, S::Replicating));
    assert_contents(&sim);
}

/// ST-34: authorization, certificate and name, each mended and resumed.
#[test]
fn a_broken_trust_stops_replication_until_it_is_mended_and_resumed() {
    use hvrsim_replica::service::Trust;
    for trust in [Trust::Unauthorized, Trust::Certificate, Trust::PrincipalName] {
        let mut sim = protected();
        sim.set_trust(HV2, trust);
        until(&mut sim, A, S::Critical);
        assert!(transcript(&sim).contains("\"ST-34\""));
        assert_eq!(sim.copy(A).unwrap().health, Health::Critical);
        // The cause remains: back to Error.
        job(&mut sim, A, &Operation::Resume);
        until(&mut sim, A, S::Critical);
        sim.set_trust(HV2, Trust::Intact);
        job(&mut sim, A, &Operation::Resume);
        hours(&mut sim, 1);
        assert_states(&sim, (Mode::Primary, S::Replicating), (Mode::Replica, S::Replicating));
        assert_contents(&sim);
    }
    let mut sim = bare();
    sim.set_trust(HV2, Trust::Certificate);
    let end = job_end(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
    assert_eq!(end, hvrsim_types::job::JobState::Exception);
    assert_eq!(state(&sim, A), (Mode::None, S::Disabled));
}
