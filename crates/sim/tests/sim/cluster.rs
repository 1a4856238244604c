//! Copies that move between the nodes of a cluster.

use hvrsim_replica::operation::{Operation, PointChoice, SettingsChange};
use hvrsim_sim::Look;
use hvrsim_sim::incident::table::incident;
use hvrsim_sim::incident::{Strike, Target};
use hvrsim_sim::trace::HostPower;
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::size::Rate;
use hvrsim_types::state::{Mode, Power, ReplicationState as S};
use hvrsim_types::time::{Instant, Span};

use crate::world::*;

const N2: HostId = HostId(2);
const THERE: CopyId = CopyId { host: N2, vm: VM };

/// The protected pair, whose replica is on a node of a cluster with a second node.
fn clustered() -> Tested {
    let mut sim = protected();
    assert_eq!(sim.add_host("N2", Rate(400 << 20), true), N2);
    sim.add_link(HV1, N2, Rate(12_500_000), Span(5_000_000));
    sim.add_link(HV2, N2, Rate(1 << 30), Span(1_000_000));
    sim.add_cluster("SOUTH", vec![HV2, N2], Some("BROKER"));
    sim
}

fn happen(sim: &mut Tested, name: &str, target: Target) {
    let incident = incident(name).expect("it is known");
    let strike = Strike { incident, target, lasts: None, rate: None, by: None };
    sim.strike(&strike).expect("the store works").unwrap_or_else(|why| panic!("{name}: {why}"));
}

fn mend(sim: &mut Tested, name: &str, target: Target) {
    sim.mend(incident(name).expect("it is known"), target).expect("the store works");
}

/// Ten minutes ago.
fn recent(sim: &Tested) -> Instant {
    Instant(sim.world.now.0 - Span::minutes(10).0)
}

fn replicated_there(sim: &Tested) {
    let (primary, replica) = (sim.copy(A).expect("it is there"), sim.copy(THERE).expect("it is there"));
    assert_eq!((primary.mode, primary.state), (Mode::Primary, S::Replicating), "{}", transcript(sim));
    assert_eq!((replica.mode, replica.state), (Mode::Replica, S::Replicating), "{}", transcript(sim));
    assert_eq!((primary.peer, replica.peer), (Some(N2), Some(HV1)));
    assert!(primary.last_replication > Some(recent(sim)), "{}", transcript(sim));
    assert!(sim.copy(B).is_none());
}

#[test]
fn a_primary_follows_its_replica_by_the_broker() {
    let mut sim = clustered();
    happen(&mut sim, "replica-moved-by-cluster", Target::Copy(B));
    hours(&mut sim, 1);
    replicated_there(&sim);
    assert_eq!(sim.copy(A).expect("it is there").statistics.errors, 1);
    job(&mut sim, THERE, &Operation::Failover { point: PointChoice::Latest });
}

#[test]
fn without_its_broker_a_cluster_tells_nobody_where_a_replica_is() {
    for ill in ["broker-offline", "broker-account-broken"] {
        let mut sim = clustered();
        for _ in 0..2 {
            happen(&mut sim, ill, Target::Host(N2));
        }
        happen(&mut sim, "replica-moved-by-cluster", Target::Copy(B));
        hours(&mut sim, 2);
        let primary = sim.copy(A).expect("it is there");
        assert_eq!((primary.peer, primary.state), (Some(HV2), S::Replicating), "{ill}");
        for _ in 0..2 {
            mend(&mut sim, ill, Target::Host(N2));
        }
        hours(&mut sim, 1);
        replicated_there(&sim);
    }
}

#[test]
fn the_other_node_takes_over_what_a_silent_one_had() {
    let mut sim = clustered();
    sim.host_power(HV2, HostPower::Lost).expect("the store works");
    hours(&mut sim, 1);
    replicated_there(&sim);
    sim.host_power(HV2, HostPower::Back).expect("the store works");
    hours(&mut sim, 1);
    replicated_there(&sim);
}

#[test]
fn a_primary_that_moves_goes_on_from_its_new_node() {
    let mut sim = clustered();
    call(&mut sim, A, Operation::TurnOffVm);
    job(&mut sim, A, &Operation::Prepare);
    job(&mut sim, B, &Operation::Failover { point: PointChoice::Latest });
    job(&mut sim, B, &Operation::Reverse { to: None, change: SettingsChange::default() });
    call(&mut sim, B, Operation::StartVm);
    hours(&mut sim, 1);
    let moved = call(&mut sim, B, Operation::MoveVm { to: N2, possible: true });
    assert_eq!((moved.code, moved.rule), (ReturnCode::COMPLETED, Some("W-11")));
    hours(&mut sim, 1);
    let (primary, replica) = (sim.copy(THERE).expect("it is there"), sim.copy(A).expect("it is there"));
    assert_eq!((primary.mode, primary.state, primary.power), (Mode::Primary, S::Replicating, Power::Running));
    assert_eq!((replica.mode, replica.peer), (Mode::Replica, Some(N2)));
    assert!(primary.last_replication > Some(recent(&sim)));
    let possible = sim.can_move(THERE, HV1);
    let refused = call(&mut sim, THERE, Operation::MoveVm { to: HV1, possible });
    assert_eq!(refused.code, ReturnCode::INVALID_PARAMETER);
}

#[test]
fn a_test_machine_that_moves_is_lost_to_its_replica() {
    let mut sim = clustered();
    job(&mut sim, B, &Operation::TestFailover { point: PointChoice::Latest });
    call(&mut sim, B.test(), Operation::StartVm);
    hours(&mut sim, 1);
    happen(&mut sim, "test-machine-migrated", Target::Copy(B));
    let refused = call(&mut sim, B, Operation::RevertFailover);
    assert_eq!(refused.code, ReturnCode::INVALID_STATE, "{refused:?}");
    hours(&mut sim, 1);
    let orphan = sim.copy(THERE.test()).expect("it is there");
    assert_eq!((orphan.mode, orphan.power), (Mode::TestReplica, Power::Running));
    job(&mut sim, B, &Operation::TestFailover { point: PointChoice::Latest });
    job(&mut sim, B, &Operation::RevertFailover);
    call(&mut sim, THERE.test(), Operation::TurnOffVm);
    assert!(call(&mut sim, THERE.test(), Operation::DestroyVm).code.accepted());
    assert!(sim.copy(THERE.test()).is_none() && sim.copy(B.test()).is_none());
    hours(&mut sim, 1);
    assert_contents(&sim);
}

#[test]
fn a_replica_that_moves_leaves_its_test_machine_behind() {
    let mut sim = clustered();
    job(&mut sim, B, &Operation::TestFailover { point: PointChoice::Latest });
    happen(&mut sim, "replica-moved-by-cluster", Target::Copy(B));
    hours(&mut sim, 1);
    replicated_there(&sim);
    assert_eq!(sim.copy(B.test()).map(|view| view.mode), Some(Mode::TestReplica));
    job(&mut sim, THERE, &Operation::TestFailover { point: PointChoice::Latest });
}
