//! Application-consistent recovery points.

use hvrsim_replica::operation::{Operation, SettingsChange};
use hvrsim_sim::Look;
use hvrsim_sim::incident::table::incident;
use hvrsim_sim::incident::{Strike, Target};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::state::ReplicationType;

use crate::world::*;

fn every(vss_hours: u8) -> Operation {
    Operation::Modify(SettingsChange { vss_hours: Some(vss_hours), ..SettingsChange::default() })
}

fn kinds(sim: &Tested) -> Vec<ReplicationType> {
    sim.points(B).iter().map(|point| point.kind).collect()
}

#[test]
fn every_second_point_is_application_consistent() {
    use ReplicationType::{ApplicationConsistent as App, Regular};
    let mut sim = small_protected();
    job(&mut sim, A, &every(2));
    hours(&mut sim, 9);
    let found = kinds(&sim);
    assert!(found == [App, Regular, App, Regular] || found == [Regular, App, Regular, App], "{found:?}");
    assert_eq!(sim.copy(A).unwrap().statistics.vss_failures, 0);
    // A machine that is Off has nothing to be made consistent.
    call(&mut sim, A, Operation::StopVm);
    hours(&mut sim, 5);
    assert_eq!(kinds(&sim), [Regular; 4]);
    call(&mut sim, A, Operation::StartVm);
    job(&mut sim, A, &every(0));
    hours(&mut sim, 5);
    assert_eq!(kinds(&sim), [Regular; 4]);
}

#[test]
fn failing_writers_are_counted_and_replication_goes_on() {
    let mut sim = small_protected();
    job(&mut sim, A, &every(1));
    let incident = incident("vss-failure").unwrap();
    let strike = Strike { incident, target: Target::Copy(A), lasts: None, rate: None, by: None };
    sim.strike(&strike).unwrap().unwrap();
    hours(&mut sim, 5);
    assert_eq!(kinds(&sim), [ReplicationType::Regular; 4]);
    let failures = sim.copy(A).unwrap().statistics.vss_failures;
    assert!((3..=5).contains(&failures), "{failures}");
    sim.mend(incident, Target::Copy(A)).unwrap();
    hours(&mut sim, 6);
    assert_eq!(kinds(&sim), [ReplicationType::ApplicationConsistent; 4]);
    assert_contents(&sim);
}

#[test]
fn what_application_consistent_points_need() {
    let mut sim = small_protected();
    assert_eq!(call(&mut sim, A, every(13)).code, ReturnCode::INVALID_PARAMETER);
    let none =
        |vss_hours| SettingsChange { recovery_history: Some(0), vss_hours, ..SettingsChange::default() };
    assert_eq!(call(&mut sim, A, Operation::Modify(none(Some(4)))).code, ReturnCode::INVALID_PARAMETER);
    job(&mut sim, A, &every(4));
    assert_eq!(call(&mut sim, A, Operation::Modify(none(None))).code, ReturnCode::INVALID_PARAMETER);
    job(&mut sim, A, &Operation::Modify(none(Some(0))));
}
