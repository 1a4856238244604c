//! Planned and unplanned failover, revert, commit, reverse.

use hvrsim_replica::operation::{InitialKind, Operation, PointChoice, SettingsChange};
use hvrsim_sim::Look;
use hvrsim_sim::store::{DiskStore, View};
use hvrsim_sim::trace::{Finding, HostPower};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::state::{Mode, Power, ReplicationState as S, ReplicationType};
use hvrsim_types::time::Span;

use crate::world::*;

const P: Mode = Mode::Primary;
const R: Mode = Mode::Replica;
const LATEST: Operation = Operation::Failover { point: PointChoice::Latest };

pub fn reverse() -> Operation {
    Operation::Reverse { to: None, change: SettingsChange::default() }
}

#[test]
fn a_planned_failover_loses_nothing_and_swaps_roles() {
    let mut sim = protected();
    hours(&mut sim, 3);
    write(&mut sim, A, "last", 512 << 20);
    let running = call(&mut sim, A, Operation::Prepare);
    assert_eq!(running.refusal.unwrap().rule, "PF-67");
    call(&mut sim, A, Operation::StopVm);
    job(&mut sim, A, &Operation::Prepare);
    assert_eq!(state(&sim, A), (P, S::SyncedReplicationComplete));
    assert_eq!(call(&mut sim, A, Operation::StartVm).refusal.unwrap().rule, "PF-70");
    job(&mut sim, B, &LATEST);
    assert_states(&sim, (P, S::SyncedReplicationComplete), (R, S::Recovered));
    assert_eq!(sim.copy(B).unwrap().failed_over_type, ReplicationType::Planned);
    assert_eq!(sim.store.difference((A, View::Live), (B, View::Live)).unwrap(), None);
    job(&mut sim, B, &reverse());
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    call(&mut sim, B, Operation::StartVm);
    assert_eq!(sim.losses(VM), []);
    hours(&mut sim, 5);
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    assert_eq!(sim.points(A).len(), 4);
    assert_contents(&sim);
}

#[test]
fn an_unplanned_failover_loses_what_was_not_sent() {
    let mut sim = protected();
    hours(&mut sim, 2);
    write(&mut sim, A, "orders", 512 << 20);
    sim.advance(Span::seconds(1)).unwrap();
    sim.host_power(HV1, HostPower::Lost).unwrap();
    job(&mut sim, B, &LATEST);
    call(&mut sim, B, Operation::StartVm);
    job(&mut sim, B, &Operation::CommitFailover);
    assert_eq!(state(&sim, B), (R, S::Committed));
    assert_eq!(tags(&sim.losses(VM)), ["orders"]);
    write(&mut sim, B, "after", 520 << 20);
    hours(&mut sim, 2);
    sim.host_power(HV1, HostPower::Back).unwrap();
    assert_eq!(state(&sim, A), (P, S::WaitingForStartResynchronize));
    job(&mut sim, A, &Operation::AsReplica);
    job(&mut sim, B, &reverse());
    assert_states(&sim, (R, S::WaitingToCompleteInitialReplication), (P, S::ReadyForInitialReplication));
    job(&mut sim, B, &Operation::StartInitialReplication { kind: InitialKind::Network, at: None });
    hours(&mut sim, 1);
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn revert_drops_what_was_written_and_another_point_can_be_chosen() {
    let mut sim = protected();
    hours(&mut sim, 4);
    let points = sim.points(B);
    job(&mut sim, B, &Operation::Failover { point: PointChoice::Id(points[0].id) });
    call(&mut sim, B, Operation::StartVm);
    write(&mut sim, B, "tried", 700 << 20);
    assert_contents(&sim);
    assert_eq!(call(&mut sim, B, LATEST).refusal.unwrap().rule, "UF-83");
    assert_eq!(call(&mut sim, B, Operation::RevertFailover).code, ReturnCode::INVALID_STATE);
    call(&mut sim, B, Operation::TurnOffVm);
    job(&mut sim, B, &Operation::RevertFailover);
    assert_eq!(state(&sim, B), (R, S::Replicating));
    assert_contents(&sim);
    job(&mut sim, B, &Operation::Failover { point: PointChoice::Id(points[2].id) });
    job(&mut sim, B, &Operation::CommitFailover);
    assert_contents(&sim);
    assert_eq!(call(&mut sim, B, Operation::RevertFailover).refusal.unwrap().rule, "UF-85");
}

#[test]
fn starting_both_copies_is_a_finding() {
    let mut sim = protected();
    job(&mut sim, B, &LATEST);
    call(&mut sim, B, Operation::StartVm);
    assert_eq!(sim.world.findings.len(), 1);
    assert_eq!(sim.world.findings[0].3, Finding::SplitBrain);
    until(&mut sim, A, S::Critical);
    call(&mut sim, B, Operation::TurnOffVm);
    job(&mut sim, B, &Operation::RevertFailover);
    job(&mut sim, A, &Operation::Resume);
    hours(&mut sim, 1);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn a_replica_cannot_be_started() {
    let mut sim = protected();
    let refused = call(&mut sim, B, Operation::StartVm);
    assert_eq!(refused.code, ReturnCode::INVALID_STATE);
    assert_eq!(refused.refusal.unwrap().rule, "W-1");
    assert_eq!(sim.copy(B).unwrap().power, Power::Off);
}

#[test]
fn reverse_without_making_the_old_primary_a_replica_is_refused_in_the_job() {
    let mut sim = protected();
    job(&mut sim, B, &LATEST);
    let end = job_end(&mut sim, B, &reverse());
    assert_eq!(end, hvrsim_types::job::JobState::Exception);
    assert_eq!(state(&sim, B), (R, S::Recovered));
}

/// UF-79: Hyper-V Manager asks before it fails over, and starts the machine; a host that is away cannot object.
#[test]
fn a_failover_from_hyper_v_manager() {
    let mut sim = protected();
    let manager = Operation::ManagerFailover { point: PointChoice::Latest };
    let refused = call(&mut sim, B, manager.clone());
    assert_eq!((refused.code, refused.refusal.unwrap().rule), (ReturnCode::INVALID_STATE, "UF-79"));
    sim.cut_link(HV1, HV2, None).unwrap();
    job(&mut sim, B, &manager);
    assert_eq!(state(&sim, B), (R, S::Recovered));
    assert_eq!(sim.copy(B).unwrap().power, Power::Running);
    assert!(sim.world.findings.iter().any(|(_, _, _, f)| *f == Finding::SplitBrain));
    let mut sim = protected();
    call(&mut sim, A, Operation::StopVm);
    job(&mut sim, A, &Operation::Prepare);
    job(&mut sim, B, &manager);
    assert_eq!(sim.copy(B).unwrap().failed_over_type, ReplicationType::Planned);
    assert_eq!(sim.copy(B).unwrap().power, Power::Running);
}
