//! The catalogue of incidents against the published fault scenarios, and what some of them do.

use std::collections::{BTreeMap, BTreeSet};

use hvrsim_replica::operation::{FailbackSettings, Operation, PointChoice};
use hvrsim_sim::Look;
use hvrsim_sim::incident::table::{INCIDENTS, incident};
use hvrsim_sim::incident::{Strike, Target};
use hvrsim_types::job::JobState;
use hvrsim_types::state::{Health, Mode, Power, ReplicationState as S};
use hvrsim_types::time::Span;

use crate::data::lines;
use crate::world::*;

const P: Mode = Mode::Primary;
const R: Mode = Mode::Replica;
const LINK: Target = Target::Link((HV1, HV2));

#[test]
fn every_fault_scenario_is_an_incident_or_named_as_missing() {
    let missing: BTreeMap<String, String> =
        lines("incidents-not-yet.tsv").into_iter().map(|c| (c[0].clone(), c[1].clone())).collect();
    let mut published = BTreeSet::new();
    for (number, row) in (1..).zip(lines("incidents.tsv")) {
        assert_eq!(row[0], number.to_string(), "a number is missing");
        let name = &row[1];
        assert!(published.insert(name.clone()), "{name} stands twice");
        let done = incident(name).is_some();
        assert_ne!(done, missing.contains_key(name), "{name} is done and missing, or neither");
        if let Some(incident) = incident(name) {
            assert_eq!((incident.fault, incident.source), (row[2].as_str(), row[3].as_str()), "{name}");
        }
    }
    assert_eq!(published.len(), 55);
    for (name, reason) in &missing {
        assert!(published.contains(name) && !reason.is_empty(), "{name} is no fault scenario");
    }
}

fn strike(name: &str, target: Target) -> Strike {
    let incident = incident(name).unwrap_or_else(|| panic!("{name} is no incident"));
    Strike { incident, target, lasts: None, rate: None, by: None }
}

fn happen(sim: &mut Tested, name: &str, target: Target) {
    sim.strike(&strike(name, target)).expect("the store works").unwrap_or_else(|why| panic!("{name}: {why}"));
}

fn mend(sim: &mut Tested, name: &str, target: Target) {
    sim.mend(incident(name).expect("it is known"), target).expect("the store works");
}

/// What is struck for a time is whole again afterwards, and a pair that was struck so comes back by itself.
#[test]
fn what_lasts_for_a_time_heals_by_itself() {
    let healing = [
        ("link-down-short", LINK),
        ("link-flapping", LINK),
        ("link-half-open", LINK),
        ("link-latency", LINK),
        ("proxy-cuts-large-posts", LINK),
        ("listener-port-blocked", Target::Host(HV2)),
        ("name-not-resolved", Target::Host(HV2)),
        ("replica-volume-full", Target::Host(HV2)),
        ("replica-files-locked", Target::Host(HV2)),
        ("replica-disks-slow", Target::Host(HV2)),
        ("primary-volume-full", Target::Host(HV1)),
    ];
    for (name, target) in healing {
        let mut sim = protected();
        hours(&mut sim, 1);
        let lasts = Some(Span::minutes(40));
        let struck = Strike { lasts, ..strike(name, target) };
        sim.strike(&struck).expect("the store works").unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(sim.world.ills.len(), 1, "{name}");
        hours(&mut sim, 14);
        assert!(sim.world.ills.is_empty(), "{name}");
        assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
        let view = sim.copy(A).expect("it is there");
        assert_eq!((view.health, view.power), (Health::Normal, Power::Running), "{name}: {view:?}");
        assert_contents(&sim);
    }
}

#[test]
fn a_full_volume_takes_no_log_and_applies_none() {
    let mut sim = protected();
    hours(&mut sim, 1);
    let before = sim.copy(B).expect("it is there").last_replication;
    happen(&mut sim, "replica-volume-full", Target::Host(HV2));
    hours(&mut sim, 2);
    assert_eq!(sim.copy(B).expect("it is there").last_replication, before);
    let primary = sim.copy(A).expect("it is there");
    assert_eq!((primary.state, primary.health), (S::Replicating, Health::Critical), "{primary:?}");
    mend(&mut sim, "replica-volume-full", Target::Host(HV2));
    hours(&mut sim, 14);
    assert_eq!(sim.copy(A).expect("it is there").health, Health::Normal);
    assert_contents(&sim);
}

#[test]
fn locked_files_store_logs_and_refuse_a_failover() {
    let mut sim = protected();
    happen(&mut sim, "replica-files-locked", Target::Host(HV2));
    hours(&mut sim, 1);
    let view = sim.copy(B).expect("it is there");
    assert!(view.last_replication > view.last_apply, "{view:?}");
    let end = job_end(&mut sim, B, &Operation::Failover { point: PointChoice::Latest });
    assert_eq!(end, JobState::Exception);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    mend(&mut sim, "replica-files-locked", Target::Host(HV2));
    sim.advance(Span::minutes(10)).expect("the store works");
    let view = sim.copy(B).expect("it is there");
    assert!(view.last_apply >= view.last_replication, "{view:?}");
    assert_contents(&sim);
}

#[test]
fn damaged_undo_logs_leave_the_newest_point() {
    let mut sim = protected();
    hours(&mut sim, 5);
    happen(&mut sim, "undo-log-damaged", Target::Copy(B));
    let oldest = sim.points(B)[0].id;
    let newest = sim.points(B).last().expect("there are points").id;
    let end = job_end(&mut sim, B, &Operation::Failover { point: PointChoice::Id(oldest) });
    assert_eq!(end, JobState::Exception);
    assert_eq!(state(&sim, B), (R, S::Replicating));
    job(&mut sim, B, &Operation::Failover { point: PointChoice::Id(newest) });
    assert_eq!(state(&sim, B), (R, S::Recovered));
}

#[test]
fn an_applied_checkpoint_loses_what_was_written_since_and_needs_a_resynchronization() {
    let mut sim = protected();
    call(&mut sim, A, Operation::Checkpoint);
    write(&mut sim, A, "since the checkpoint", 300 << 20);
    hours(&mut sim, 1);
    call(&mut sim, A, Operation::TurnOffVm);
    happen(&mut sim, "checkpoint-applied", Target::Copy(A));
    assert_eq!(state(&sim, A), (P, S::WaitingForStartResynchronize));
    assert!(tags(&sim.losses(VM)).contains(&"since the checkpoint"));
    assert_contents(&sim);
    job(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn a_restored_replica_is_noticed_at_the_next_log() {
    let mut sim = protected();
    hours(&mut sim, 3);
    happen(&mut sim, "replica-restored-from-backup", Target::Copy(B));
    assert_contents(&sim);
    until(&mut sim, A, S::WaitingForStartResynchronize);
    job(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn a_disk_that_was_edited_offline_is_compared() {
    let mut sim = protected();
    call(&mut sim, A, Operation::TurnOffVm);
    happen(&mut sim, "disk-edited-offline", Target::Copy(A));
    assert_eq!(state(&sim, A), (P, S::WaitingForStartResynchronize));
    job(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_contents(&sim);
    assert_eq!(sim.losses(VM), []);
}

#[test]
fn an_incident_that_cannot_happen_says_why() {
    let mut sim = protected();
    let running = sim.strike(&strike("disk-edited-offline", Target::Copy(A))).expect("the store works");
    assert_eq!(running, Err("the machine is not Off there"));
    let there = strike("machine-with-that-id-on-the-replica-server", Target::Copy(B));
    assert!(sim.strike(&there).expect("the store works").is_err());
    assert!(sim.world.ills.is_empty());
}

#[test]
fn the_service_restarts_and_the_machine_runs_on() {
    for profile in [hvrsim_replica::profile::Generation::Server2012R2, Default::default()] {
        let profile = hvrsim_replica::profile::Profile { generation: profile, ..Default::default() };
        let mut sim = protected_with(profile);
        for host in [HV1, HV2] {
            happen(&mut sim, "management-service-restart", Target::Host(host));
            assert_eq!(sim.copy(A).expect("it is there").power, Power::Running);
            sim.advance(Span::minutes(30)).expect("the store works");
            assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
        }
        assert_contents(&sim);
    }
}

#[test]
fn a_domain_controller_that_runs_nowhere_stops_everything() {
    let mut sim = protected();
    happen(&mut sim, "domain-controller-replicated", Target::Copy(A));
    hours(&mut sim, 1);
    assert_eq!(state(&sim, A), (P, S::Replicating));
    call(&mut sim, A, Operation::TurnOffVm);
    until(&mut sim, A, S::Critical);
    call(&mut sim, A, Operation::StartVm);
    call(&mut sim, A, Operation::Resume);
    hours(&mut sim, 1);
    assert_eq!(state(&sim, A), (P, S::Replicating));
}

#[test]
fn each_incident_can_be_struck_and_mended_twice() {
    for incident in INCIDENTS.iter().filter(|incident| incident.lasts()) {
        let target = match incident.on {
            hvrsim_sim::incident::table::On::Link => LINK,
            hvrsim_sim::incident::table::On::Host => Target::Host(HV2),
            hvrsim_sim::incident::table::On::Copy => Target::Copy(B),
        };
        let mut sim = protected();
        sim.add_cluster("SOUTH", vec![HV2], Some("BROKER"));
        for _ in 0..2 {
            happen(&mut sim, incident.name, target);
            happen(&mut sim, incident.name, target);
            sim.advance(Span::minutes(12)).expect("the store works");
            sim.mend(incident, target).expect("the store works");
            assert!(sim.world.ills.is_empty(), "{}", incident.name);
            call(&mut sim, A, Operation::Resume);
        }
        assert!(sim.world.host(HV2).service.accepts && sim.world.links[0].rate.0 == 12_500_000);
        hours(&mut sim, 2);
        assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
        assert_contents(&sim);
    }
}

/// Found by a walk: the tracked differences said nothing of what a restored backup had lost.
#[test]
fn a_failback_into_a_restored_copy_compares_everything() {
    let mut sim = protected();
    call(&mut sim, A, Operation::TurnOffVm);
    job(&mut sim, A, &Operation::Prepare);
    job(&mut sim, B, &Operation::Failover { point: PointChoice::Latest });
    job(&mut sim, B, &crate::failover::reverse());
    call(&mut sim, B, Operation::StartVm);
    hours(&mut sim, 3);
    happen(&mut sim, "replica-restored-from-backup", Target::Copy(A));
    let settings = FailbackSettings::Given { from: Some(HV2), capable: true };
    job(&mut sim, A, &Operation::InitiateFailback { settings, point: PointChoice::Latest });
    assert_contents(&sim);
}
