//! What there is to find, and when.

use hvrsim_replica::operation::{Operation, PointChoice, SettingsChange};
use hvrsim_sim::findings::Findings;
use hvrsim_sim::incident::table::incident;
use hvrsim_sim::incident::{Strike, Target};
use hvrsim_sim::watch::Watch;
use hvrsim_types::state::Power;
use hvrsim_types::time::Span;

use crate::world::*;

/// Names of what is found now, in order.
fn found(sim: &Tested) -> Vec<&'static str> {
    let (mut watch, mut findings) = (Watch::default(), Findings::default());
    watch.place(A, Power::Running);
    for record in &sim.recorder.clone().take() {
        watch.take(record);
        findings.take(record);
    }
    watch.advance(sim.world.now);
    findings.now(sim, &watch).iter().map(|found| found.kind.name).collect()
}

fn happen(sim: &mut Tested, name: &str, target: Target) {
    let incident = incident(name).expect("it is known");
    let strike = Strike { incident, target, lasts: None, rate: None, by: None };
    sim.strike(&strike).expect("the store works").unwrap_or_else(|why| panic!("{name}: {why}"));
}

#[test]
fn a_pair_that_was_tested_has_nothing_to_find() {
    let mut sim = protected();
    assert_eq!(found(&sim), ["test-failover-never-done"]);
    job(&mut sim, B, &Operation::TestFailover { point: PointChoice::Latest });
    assert_eq!(found(&sim), ["test-failover-left-over"]);
    job(&mut sim, B, &Operation::RevertFailover);
    assert_eq!(found(&sim), [] as [&str; 0]);
    sim.advance(Span(32 * Span::DAY.0)).expect("the store works");
    assert_eq!(found(&sim), ["test-failover-overdue"]);
}

#[test]
fn a_failover_beside_a_free_primary_is_a_risk() {
    let mut sim = protected();
    happen(&mut sim, "primary-host-crash", Target::Host(HV1));
    job(&mut sim, B, &Operation::Failover { point: PointChoice::Latest });
    call(&mut sim, B, Operation::StartVm);
    let all = found(&sim);
    for name in ["split-brain-risk", "unprotected-end", "failover-not-completed"] {
        assert!(all.contains(&name), "{name} is not among {all:?}");
    }
}

#[test]
fn a_healthy_pair_whose_replica_applies_nothing_is_found() {
    let mut sim = protected();
    happen(&mut sim, "replica-files-locked", Target::Host(HV2));
    hours(&mut sim, 2);
    assert!(found(&sim).contains(&"healthy-without-data-flowing"));
}

#[test]
fn what_the_other_side_has_grows_old() {
    let mut sim = protected();
    hours(&mut sim, 1);
    sim.cut_link(HV1, HV2, None).expect("the store works");
    hours(&mut sim, 2);
    assert!(found(&sim).contains(&"recovery-point-older-than-thought"));
}

#[test]
fn settings_and_hosts_are_looked_at() {
    let mut sim = protected();
    let change = SettingsChange {
        compression: Some(false),
        auto_resync: Some(true),
        auto_resync_start: Some(Span::ZERO),
        auto_resync_end: Some(Span::minutes(60 * 24 - 1)),
        ..SettingsChange::default()
    };
    call(&mut sim, A, Operation::Modify(change));
    call(&mut sim, A, Operation::Suspend);
    happen(&mut sim, "replica-server-disabled", Target::Host(HV2));
    happen(&mut sim, "certificate-expired", Target::Host(HV2));
    let all = found(&sim);
    let expected = [
        "replica-server-not-enabled",
        "compression-off",
        "resynchronization-not-off-peak",
        "certificate-not-valid",
        "replication-left-paused",
    ];
    for name in expected {
        assert!(all.contains(&name), "{name} is not among {all:?}");
    }
}
