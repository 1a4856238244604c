//! Initial replication on media.

use hvrsim_replica::operation::Operation;
use hvrsim_sim::Look;
use hvrsim_sim::incident::table::incident;
use hvrsim_sim::incident::{Strike, Target};
use hvrsim_sim::store::{DiskStore, View};
use hvrsim_sim::trace::HostPower;
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, SessionId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, ReplicationState as S};
use hvrsim_types::time::Span;

use crate::general::{ended, finish};
use crate::world::*;

const P: Mode = Mode::Primary;
const R: Mode = Mode::Replica;
const INITIAL: S = S::WaitingToCompleteInitialReplication;
const STOP: Operation = Operation::StopInitialReplication;

fn export() -> Operation {
    Operation::ExportInitialReplica { folder: "E:\\IR".to_owned() }
}

fn folder(sim: &Tested) -> String {
    sim.world.media_folder(A, "E:\\IR")
}

fn import(sim: &Tested) -> Operation {
    let from = sim.media(&folder(sim));
    assert!(from.is_some(), "the folder holds an initial replica");
    Operation::ImportInitialReplica { from }
}

/// Enabled, and exported.
fn exported() -> Tested {
    let mut sim = small();
    job(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
    job(&mut sim, A, &export());
    assert_states(&sim, (P, INITIAL), (R, INITIAL));
    sim
}

/// The guest stops, what it wrote last goes, and both sides are equal.
fn equal(sim: &mut Tested) {
    call(sim, A, Operation::StopVm);
    sim.advance(Span::minutes(11)).expect("the store works");
    assert_states(sim, (P, S::Replicating), (R, S::Replicating));
    let difference = sim.store.difference((A, View::Live), (B, View::Live));
    assert_eq!(difference.expect("the store works"), None);
    assert_contents(sim);
}

fn strike(sim: &mut Tested, name: &str, copy: CopyId) {
    let incident = incident(name).expect("it is in the catalogue");
    let strike = Strike { incident, target: Target::Copy(copy), lasts: None, rate: None, by: None };
    sim.strike(&strike).expect("the store works").expect("it can happen there");
}

#[test]
fn media_are_exported_carried_and_imported() {
    let mut sim = exported();
    write(&mut sim, A, "on the way", 0);
    hours(&mut sim, 3);
    assert_states(&sim, (P, INITIAL), (R, INITIAL));
    let operation = import(&sim);
    let id = call(&mut sim, B, operation).job.unwrap();
    assert_eq!(sim.job(HV2, id).unwrap().kind, JobType::ImportInitialReplica);
    assert_eq!(finish(&mut sim, B, id).state, JobState::Completed);
    sim.advance(Span::minutes(1)).unwrap();
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    equal(&mut sim);
    assert!(sim.losses(VM).is_empty());
}

#[test]
fn the_primary_learns_of_an_import_at_the_next_contact() {
    let mut sim = exported();
    sim.cut_link(HV1, HV2, None).unwrap();
    let operation = import(&sim);
    job(&mut sim, B, &operation);
    assert_states(&sim, (P, INITIAL), (R, S::Replicating));
    hours(&mut sim, 1);
    assert_eq!(state(&sim, A), (P, INITIAL));
    assert!(sim.mend_link(HV1, HV2));
    sim.advance(Span::minutes(6)).unwrap();
    equal(&mut sim);
}

#[test]
fn an_export_can_be_stopped_until_it_has_ended() {
    let mut sim = small();
    job(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
    call(&mut sim, A, export());
    assert!(call(&mut sim, A, STOP).code.accepted());
    assert_eq!(state(&sim, A), (P, S::ReadyForInitialReplication));
    hours(&mut sim, 1);
    assert_eq!(sim.media(&folder(&sim)), None, "a broken export cannot be imported");
    job(&mut sim, A, &export());
    assert_eq!(call(&mut sim, A, STOP).code, ReturnCode::INVALID_STATE);
    assert_eq!(call(&mut sim, A, Operation::Suspend).code, ReturnCode::INVALID_STATE);
    let operation = import(&sim);
    job(&mut sim, B, &operation);
    equal(&mut sim);
}

#[test]
fn only_the_machines_own_media_fit() {
    let mut sim = exported();
    strike(&mut sim, "wrong-media-folder", B);
    for from in [None, Some((VM.extended(), SessionId(1)))] {
        let refused = call(&mut sim, B, Operation::ImportInitialReplica { from });
        assert_eq!(refused.code, ReturnCode::INVALID_PARAMETER);
    }
    let other = Operation::ImportInitialReplica { from: Some((VM, SessionId(77))) };
    assert_eq!(ended(&mut sim, B, &other).state, JobState::Exception);
    assert_states(&sim, (P, INITIAL), (R, INITIAL));
    let operation = import(&sim);
    assert_eq!(call(&mut sim, A, operation.clone()).code, ReturnCode::INVALID_STATE);
    job(&mut sim, B, &operation);
    equal(&mut sim);
}

#[test]
fn media_that_come_too_late_are_a_base() {
    let mut sim = exported();
    strike(&mut sim, "media-too-late", A);
    until(&mut sim, A, S::WaitingForStartResynchronize);
    let operation = import(&sim);
    job(&mut sim, B, &operation);
    assert_states(&sim, (P, S::WaitingForStartResynchronize), (R, INITIAL));
    job(&mut sim, A, &Operation::Resynchronize { at: None });
    equal(&mut sim);
}

#[test]
fn crashes_around_media() {
    // The replica's host: the import is begun again.
    let mut sim = exported();
    let operation = import(&sim);
    let id = call(&mut sim, B, operation.clone()).job.unwrap();
    sim.host_power(HV2, HostPower::Lost).unwrap();
    sim.host_power(HV2, HostPower::Back).unwrap();
    assert_eq!(sim.job(HV2, id).unwrap().state, JobState::Exception);
    job(&mut sim, B, &operation);
    equal(&mut sim);

    // The primary's host, its machine Off or running: the media are of no use.
    for off in [true, false] {
        let mut sim = exported();
        if off {
            call(&mut sim, A, Operation::TurnOffVm);
        }
        let operation = import(&sim);
        sim.host_power(HV1, HostPower::Lost).unwrap();
        sim.host_power(HV1, HostPower::Back).unwrap();
        assert_eq!(state(&sim, A), (P, S::ReadyForInitialReplication));
        assert_eq!(ended(&mut sim, B, &operation).state, JobState::Exception);
        assert_eq!(state(&sim, B), (R, INITIAL));
        call(&mut sim, A, Operation::StartVm);
        job(&mut sim, A, &export());
        let operation = import(&sim);
        job(&mut sim, B, &operation);
        equal(&mut sim);
    }

    // In order: nothing is lost.
    let mut sim = exported();
    sim.host_power(HV1, HostPower::Off).unwrap();
    sim.host_power(HV1, HostPower::Back).unwrap();
    assert_eq!(state(&sim, A), (P, INITIAL));
    let operation = import(&sim);
    job(&mut sim, B, &operation);
    call(&mut sim, A, Operation::StartVm);
    equal(&mut sim);
}

#[test]
fn media_of_a_removed_primary_are_refused() {
    let mut sim = exported();
    let operation = import(&sim);
    job(&mut sim, A, &Operation::Remove);
    assert_eq!(ended(&mut sim, B, &operation).state, JobState::Exception);
    assert_eq!(state(&sim, B), (R, INITIAL));
}
