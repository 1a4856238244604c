//! The set of replicated disks, and disks that are resized.

use hvrsim_replica::operation::{InitialKind, Operation, PointChoice, Settings, SettingsChange};
use hvrsim_replica::profile::{Generation, Profile};
use hvrsim_sim::Look;
use hvrsim_sim::incident::table::incident;
use hvrsim_sim::incident::{Strike, Target};
use hvrsim_sim::store::{DiskStore, View};
use hvrsim_sim::trace::{Finding, HostPower};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::CopyId;
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::size::Bytes;
use hvrsim_types::state::{Health, Mode, ReplicationState as S};
use hvrsim_types::time::Span;

use crate::general::{ended, finish, step_until};
use crate::world::*;

const P: Mode = Mode::Primary;
const R: Mode = Mode::Replica;
const LATEST: Operation = Operation::Failover { point: PointChoice::Latest };

fn strike(sim: &mut Tested, name: &str, copy: CopyId) {
    let incident = incident(name).expect("it is in the catalogue");
    let strike = Strike { incident, target: Target::Copy(copy), lasts: None, rate: None, by: None };
    sim.strike(&strike).expect("the store works").expect("it can happen there");
}

fn list(disks: DiskSet) -> Operation {
    Operation::Modify(SettingsChange { disks: Some(disks), ..SettingsChange::default() })
}

fn both() -> Operation {
    list(DiskSet::first(2))
}

/// Writes into the second disk.
fn write_second(sim: &mut Tested, copy: CopyId, tag: &str) {
    sim.write(copy, 1, 1 << 20, Bytes(4 << 20), tag).expect("the store works").expect("it is possible");
}

/// A protected machine with a second disk that is not replicated.
fn with_new_disk() -> Tested {
    let mut sim = small_protected();
    strike(&mut sim, "disk-added-and-not-replicated", A);
    write_second(&mut sim, A, "second disk");
    hours(&mut sim, 1);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_eq!(sim.copy(A).expect("it is there").health, Health::Normal);
    sim
}

fn difference(sim: &Tested) -> Option<u8> {
    let found = sim.store.difference((A, View::Live), (B, View::Live)).expect("the store works");
    found.map(|found| found.disk)
}

/// The guest stops, and what it wrote last goes.
fn at_rest(sim: &mut Tested) {
    call(sim, A, Operation::StopVm);
    sim.advance(Span::minutes(11)).expect("the store works");
}

#[test]
fn a_disk_left_out_at_enabling_stays_blank() {
    let mut sim = small();
    strike(&mut sim, "disk-added-and-not-replicated", A);
    write_second(&mut sim, A, "page file");
    let settings = Settings { disks: DiskSet::first(1), ..settings() };
    job(&mut sim, A, &Operation::Enable { to: HV2, settings });
    job(&mut sim, A, &Operation::StartInitialReplication { kind: InitialKind::Network, at: None });
    write_second(&mut sim, A, "page file again");
    at_rest(&mut sim);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_eq!(difference(&sim), Some(1));
    assert_eq!(sim.store.disk_end(B, 1), Bytes(0));
    job(&mut sim, B, &LATEST);
    call(&mut sim, B, Operation::StartVm);
    assert!(sim.world.findings.iter().any(|f| f.3 == Finding::StartedWithoutDisk));
}

#[test]
fn no_disk_at_all_cannot_be_replicated() {
    let mut sim = small();
    let none = Settings { disks: DiskSet::NONE, ..settings() };
    let enabled = call(&mut sim, A, Operation::Enable { to: HV2, settings: none });
    assert_eq!(enabled.code, ReturnCode::INVALID_PARAMETER);
}

#[test]
fn a_disk_is_added_to_a_relationship() {
    let mut sim = with_new_disk();
    let id = call(&mut sim, A, both()).job.expect("a job brings the disk");
    assert_eq!(sim.job(HV1, id).unwrap().kind, JobType::UpdateDiskSet);
    step_until(&mut sim, |sim| state(sim, B) == (R, S::DiskUpdateInProgress));
    assert_states(&sim, (P, S::DiskUpdateInProgress), (R, S::DiskUpdateInProgress));
    step_until(&mut sim, |sim| sim.job(HV1, id).is_some_and(|job| job.sent_bytes > 0));
    write(&mut sim, A, "meanwhile", 0);
    write_second(&mut sim, A, "meanwhile, second disk");
    assert_eq!(finish(&mut sim, A, id).state, JobState::Completed);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    write_second(&mut sim, A, "later");
    at_rest(&mut sim);
    assert_eq!(difference(&sim), None);
    assert!(sim.losses(VM).is_empty());
    job(&mut sim, B, &LATEST);
    call(&mut sim, B, Operation::StartVm);
    assert!(sim.world.findings.iter().all(|f| f.3 != Finding::StartedWithoutDisk));
}

#[test]
fn adding_a_disk_goes_on_after_a_cut() {
    let mut sim = with_new_disk();
    let id = call(&mut sim, A, both()).job.unwrap();
    step_until(&mut sim, |sim| sim.job(HV1, id).is_some_and(|job| job.sent_bytes > 0));
    sim.cut_link(HV1, HV2, Some(Span::minutes(20))).unwrap();
    sim.advance(Span::minutes(10)).unwrap();
    assert_states(&sim, (P, S::DiskUpdateInProgress), (R, S::DiskUpdateInProgress));
    assert_eq!(finish(&mut sim, A, id).state, JobState::Completed);
    at_rest(&mut sim);
    assert_eq!(difference(&sim), None);
}

#[test]
fn a_disk_that_cannot_be_brought_ends_in_an_error() {
    let mut sim = with_new_disk();
    sim.cut_link(HV1, HV2, None).unwrap();
    let end = ended(&mut sim, A, &both());
    assert_eq!((end.state, end.error), (JobState::Exception, ReturnCode::NOT_AVAILABLE));
    assert_states(&sim, (P, S::DiskUpdateCritical), (R, S::Replicating));
    assert_eq!(sim.copy(A).unwrap().health, Health::Critical);
    assert!(sim.mend_link(HV1, HV2));
    job(&mut sim, A, &Operation::Resume);
    at_rest(&mut sim);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_eq!(difference(&sim), None);
}

#[test]
fn the_old_list_of_disks_can_be_restored() {
    let mut sim = with_new_disk();
    let id = call(&mut sim, A, both()).job.unwrap();
    step_until(&mut sim, |sim| sim.job(HV1, id).is_some_and(|job| job.sent_bytes > 0));
    write_second(&mut sim, A, "never sent");
    assert_eq!(call(&mut sim, A, Operation::CancelJob(id)).code, ReturnCode::COMPLETED);
    assert_eq!(state(&sim, A), (P, S::DiskUpdateCritical));
    job(&mut sim, A, &list(DiskSet::first(1)));
    at_rest(&mut sim);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_eq!(sim.store.disk_end(B, 1), Bytes(0));
    assert_eq!(difference(&sim), Some(1));
    // A second attempt begins anew.
    job(&mut sim, A, &both());
    hours(&mut sim, 1);
    assert_eq!(difference(&sim), None);
}

#[test]
fn a_failover_during_an_update_has_the_old_disks() {
    let mut sim = with_new_disk();
    let id = call(&mut sim, A, both()).job.unwrap();
    step_until(&mut sim, |sim| sim.job(HV1, id).is_some_and(|job| job.sent_bytes > 0));
    job(&mut sim, B, &LATEST);
    assert_eq!(state(&sim, B), (R, S::Recovered));
    assert_eq!(sim.store.disk_end(B, 1), Bytes(0));
    assert_eq!(finish(&mut sim, A, id).state, JobState::Exception);
    assert_states(&sim, (P, S::DiskUpdateCritical), (R, S::Recovered));
    job(&mut sim, B, &Operation::RevertFailover);
    job(&mut sim, A, &Operation::Resume);
    at_rest(&mut sim);
    assert_eq!(difference(&sim), None);
}

#[test]
fn a_lost_end_of_an_update_is_learned_of() {
    let mut sim = with_new_disk();
    let id = call(&mut sim, A, both()).job.unwrap();
    step_until(&mut sim, |sim| sim.job(HV1, id).is_some_and(|job| job.sent_bytes > 0));
    sim.cut_link(HV1, HV2, None).unwrap();
    call(&mut sim, A, Operation::CancelJob(id));
    hours(&mut sim, 1);
    assert_states(&sim, (P, S::DiskUpdateCritical), (R, S::DiskUpdateInProgress));
    assert!(sim.mend_link(HV1, HV2));
    hours(&mut sim, 1);
    assert_states(&sim, (P, S::DiskUpdateCritical), (R, S::Replicating));
}

#[test]
fn crashes_during_an_update() {
    let begun = || {
        let mut sim = with_new_disk();
        let id = call(&mut sim, A, both()).job.unwrap();
        step_until(&mut sim, |sim| sim.job(HV1, id).is_some_and(|job| job.sent_bytes > 0));
        (sim, id)
    };
    let (mut sim, _) = begun();
    sim.worker_crash(A).unwrap();
    assert_eq!(state(&sim, A), (P, S::WaitingForStartResynchronize));
    job(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));

    let (mut sim, id) = begun();
    call(&mut sim, A, Operation::TurnOffVm);
    sim.host_power(HV1, HostPower::Lost).unwrap();
    sim.host_power(HV1, HostPower::Back).unwrap();
    assert_eq!(sim.job(HV1, id).unwrap().state, JobState::Exception);
    assert_eq!(state(&sim, A), (P, S::DiskUpdateCritical));
    job(&mut sim, A, &Operation::Resume);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    hours(&mut sim, 1);
    assert_eq!(difference(&sim), None);

    let (mut sim, id) = begun();
    sim.host_power(HV2, HostPower::Lost).unwrap();
    sim.advance(Span::minutes(5)).unwrap();
    sim.host_power(HV2, HostPower::Back).unwrap();
    assert_eq!(finish(&mut sim, A, id).state, JobState::Completed);
    at_rest(&mut sim);
    assert_eq!(difference(&sim), None);
}

#[test]
fn an_update_can_end_in_a_resynchronization() {
    let mut sim = with_new_disk();
    sim.cut_link(HV1, HV2, None).unwrap();
    ended(&mut sim, A, &both());
    assert!(sim.mend_link(HV1, HV2));
    job(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    at_rest(&mut sim);
    assert_eq!(difference(&sim), Some(1));
}

#[test]
fn server_2012_r2_adds_no_disk() {
    let profile = Profile { generation: Generation::Server2012R2, ..Profile::default() };
    let mut sim = small_protected_with(profile);
    strike(&mut sim, "disk-added-and-not-replicated", A);
    assert_eq!(call(&mut sim, A, both()).code, ReturnCode::INVALID_STATE);
    assert_eq!(call(&mut sim, A, list(DiskSet::NONE)).code, ReturnCode::INVALID_PARAMETER);
}

#[test]
fn a_disk_taken_out_of_the_list_keeps_what_it_has() {
    let mut sim = with_new_disk();
    job(&mut sim, A, &both());
    hours(&mut sim, 1);
    job(&mut sim, A, &list(DiskSet::first(1)));
    write_second(&mut sim, A, "not any more");
    let before = sim.store.disk_end(B, 1);
    at_rest(&mut sim);
    assert_eq!(sim.store.disk_end(B, 1), before);
    assert_eq!(difference(&sim), Some(1));
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
}

fn resize(size: Option<u64>) -> Operation {
    Operation::ResizeDisk { disk: 0, size }
}

#[test]
fn new_space_on_the_primary_only_is_an_error() {
    let mut sim = small_protected();
    strike(&mut sim, "disk-resized-on-the-primary-only", A);
    until(&mut sim, A, S::Critical);
    assert_eq!(state(&sim, B), (R, S::Replicating));
    // Resumed too early it is in Error again.
    job(&mut sim, A, &Operation::Resume);
    until(&mut sim, A, S::Critical);
    assert_eq!(call(&mut sim, B, resize(Some(128 << 20))).code, ReturnCode::COMPLETED);
    job(&mut sim, A, &Operation::Resume);
    at_rest(&mut sim);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_eq!(difference(&sim), None);
}

#[test]
fn sizes_must_be_equal_for_a_resynchronization() {
    let mut sim = small_protected();
    strike(&mut sim, "resynchronization-with-other-sizes", A);
    assert_eq!(state(&sim, A), (P, S::WaitingForStartResynchronize));
    let end = ended(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_eq!(end.state, JobState::Exception);
    assert_eq!(state(&sim, A), (P, S::WaitingForStartResynchronize));
    assert_eq!(call(&mut sim, B, resize(Some(128 << 20))).code, ReturnCode::COMPLETED);
    job(&mut sim, A, &Operation::Resynchronize { at: None });
    at_rest(&mut sim);
    assert_eq!(difference(&sim), None);
}

#[test]
fn a_point_older_than_a_shrink_cannot_be_failed_over_to() {
    let mut sim = small_protected();
    hours(&mut sim, 3);
    let older = sim.points(B)[0].id;
    step_until(&mut sim, |sim| sim.world.host(HV2).service.copies[&VM].received.is_empty());
    strike(&mut sim, "point-older-than-a-shrink", B);
    assert!(sim.store.sizes(B)[0] < Bytes(64 << 20));
    strike_resize_primary(&mut sim);
    hours(&mut sim, 2);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    let end = ended(&mut sim, B, &Operation::Failover { point: PointChoice::Id(older) });
    assert_eq!(end.state, JobState::Exception);
    assert!(end.error_text.contains("shrink"), "{}", end.error_text);
    assert_eq!(state(&sim, B), (R, S::Replicating));
    let newer = sim.points(B).last().unwrap().id;
    job(&mut sim, B, &Operation::Failover { point: PointChoice::Id(newer) });
}

fn strike_resize_primary(sim: &mut Tested) {
    assert_eq!(call(sim, A, resize(None)).code, ReturnCode::COMPLETED);
}

#[test]
fn a_disk_keeps_what_it_has() {
    let mut sim = small_protected();
    for (size, code) in [
        (Some(4096), ReturnCode::INVALID_PARAMETER),
        (Some(0), ReturnCode::INVALID_PARAMETER),
        (Some((64 << 20) + 1), ReturnCode::INVALID_PARAMETER),
        (Some(80 << 20), ReturnCode::COMPLETED),
    ] {
        assert_eq!(call(&mut sim, A, resize(size)).code, code, "{size:?}");
    }
    let other = Operation::ResizeDisk { disk: 7, size: Some(1 << 30) };
    assert_eq!(call(&mut sim, A, other).code, ReturnCode::INVALID_PARAMETER);
    call(&mut sim, A, Operation::Checkpoint);
    assert_eq!(call(&mut sim, A, resize(Some(96 << 20))).code, ReturnCode::INVALID_STATE);
}
