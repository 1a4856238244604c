//! The Windows event logs against the published ids, and what is written when.

use hvrsim_replica::operation::Operation;
use hvrsim_sim::Look;
use hvrsim_sim::incident::table::incident;
use hvrsim_sim::incident::{Strike, Target};
use hvrsim_sim::windows_log::WindowsLog;
use hvrsim_sim::windows_log::table::{KINDS, NOT_WRITTEN, kind};
use hvrsim_types::id::HostId;
use hvrsim_types::state::ReplicationState as S;
use hvrsim_types::time::Span;

use crate::data::lines;
use crate::world::*;

#[test]
fn every_published_id_is_written_or_named() {
    let mut published = Vec::new();
    for row in lines("events.tsv") {
        let id: u32 = row[0].parse().expect("an id is a number");
        published.push(id);
        let named = NOT_WRITTEN.iter().any(|(other, _)| *other == id);
        assert_ne!(kind(id).is_some(), named, "{id} is written and named as not written, or neither");
        if let Some(kind) = kind(id) {
            assert!(row[1] == "-" || row[1] == kind.level.name(), "{id} is {}", kind.level.name());
            assert_eq!(row[3], kind.source, "{id}");
        }
    }
    assert!(KINDS.iter().all(|kind| published.contains(&kind.id)));
    assert!(NOT_WRITTEN.iter().all(|(id, _)| published.contains(id)));
}

/// Ids in the log of a host, in order.
fn ids(sim: &Tested, host: HostId) -> Vec<u32> {
    let mut log = WindowsLog::default();
    sim.recorder.clone().take().iter().for_each(|record| log.take(record));
    log.entries().iter().filter(|entry| entry.host == host).map(|entry| entry.kind.id).collect()
}

fn happen(sim: &mut Tested, name: &str, target: Target) {
    let incident = incident(name).expect("it is known");
    let strike = Strike { incident, target, lasts: None, rate: None, by: None };
    sim.strike(&strike).expect("the store works").unwrap_or_else(|why| panic!("{name}: {why}"));
}

#[test]
fn a_quiet_day_leaves_the_statistics_only() {
    let mut sim = protected();
    hours(&mut sim, 25);
    assert_eq!((ids(&sim, HV1), ids(&sim, HV2)), (vec![29174, 29174], vec![]));
}

#[test]
fn a_cut_link_is_told_at_each_attempt() {
    let mut sim = protected();
    sim.cut_link(HV1, HV2, Some(Span::minutes(12))).expect("the store works");
    hours(&mut sim, 1);
    let told = ids(&sim, HV1);
    assert!(told.len() >= 4 && told.chunks(2).all(|pair| pair == [32022, 32315]), "{told:?}");
}

#[test]
fn a_missing_principal_name_is_told_on_both_hosts() {
    let mut sim = protected();
    happen(&mut sim, "principal-name-missing", Target::Host(HV2));
    until(&mut sim, A, S::Critical);
    assert_eq!((ids(&sim, HV1), ids(&sim, HV2)), (vec![29210, 32022, 32086], vec![14050]));
}

#[test]
fn a_resynchronization_is_told_at_both_ends_once() {
    let mut sim = protected();
    happen(&mut sim, "log-write-failure", Target::Copy(A));
    call(&mut sim, A, Operation::Resynchronize { at: None });
    until(&mut sim, A, S::Resynchronizing);
    call(&mut sim, A, Operation::Suspend);
    call(&mut sim, A, Operation::Resume);
    until(&mut sim, A, S::Replicating);
    assert_eq!(ids(&sim, HV1), [29242, 29244]);
}

#[test]
fn a_failed_enabling_is_told() {
    let mut sim = bare();
    happen(&mut sim, "listener-port-blocked", Target::Host(HV2));
    job_end(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
    assert_eq!(ids(&sim, HV1), [32000]);
}

/// An interval that began with the scenario at 09:00 was ended by its first cycle.
#[test]
fn an_interval_that_begins_at_nine_ends_at_nine_in_the_evening() {
    let mut sim = protected();
    hours(&mut sim, 11);
    assert_eq!(ids(&sim, HV1), []);
    let view = sim.copy(A).expect("it is there");
    assert!(view.statistics.successes > 120, "{:?}", view.statistics);
    hours(&mut sim, 2);
    assert_eq!(ids(&sim, HV1), [29174]);
}
