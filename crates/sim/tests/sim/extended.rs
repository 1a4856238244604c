//! Extended replication: HV1 to HV2 to HV3, a rule a test.

use hvrsim_replica::operation::{Frequency, InitialKind, Operation, PointChoice, Settings, SettingsChange};
use hvrsim_sim::Look;
use hvrsim_sim::store::{DiskStore, View};
use hvrsim_sim::trace::{HostPower, What};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, Power, ReplicationState as S};
use hvrsim_types::time::Span;

use crate::failover::reverse;
use crate::general::{ended, step_until};
use crate::world::*;

pub const HV3: HostId = HostId(2);
pub const C: CopyId = CopyId { host: HV3, vm: VM };
/// The extended relationship of the copy on HV2.
pub const X: CopyId = B.extended();

const P: Mode = Mode::Primary;
const R: Mode = Mode::Replica;
const E: Mode = Mode::ExtendedReplica;
const LATEST: Operation = Operation::Failover { point: PointChoice::Latest };
const START: Operation = Operation::StartInitialReplication { kind: InitialKind::Network, at: None };

pub fn to_c() -> Operation {
    Operation::Enable { to: HV3, settings: settings() }
}

/// [`small`] with a third host that all others reach.
pub fn three() -> Tested {
    let mut sim = small();
    sim.add_host("HV3", hvrsim_types::size::Rate(16 << 20), true);
    sim.add_link(HV2, HV3, hvrsim_types::size::Rate(2_000_000), Span(5_000_000));
    sim.add_link(HV1, HV3, hvrsim_types::size::Rate(2_000_000), Span(5_000_000));
    sim
}

/// Protected on HV2.
pub fn three_protected() -> Tested {
    let mut sim = three();
    job(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
    job(&mut sim, A, &START);
    sim
}

/// Protected on HV2, and from there on HV3.
pub fn chain() -> Tested {
    let mut sim = three_protected();
    job(&mut sim, X, &to_c());
    job(&mut sim, X, &START);
    hours(&mut sim, 1);
    assert_chain(&sim, (P, S::Replicating), (R, S::Replicating), S::Replicating, (E, S::Replicating));
    sim
}

fn assert_chain(sim: &Tested, a: (Mode, S), b: (Mode, S), x: S, c: (Mode, S)) {
    let extended = sim.copy(X).map(|view| view.state);
    let found = (state(sim, A), state(sim, B), extended, state(sim, C));
    assert_eq!(found, (a, b, Some(x), c), "\n{}", tail(sim));
    assert_contents(sim);
}

fn code(sim: &mut Tested, copy: CopyId, operation: Operation) -> ReturnCode {
    call(sim, copy, operation).code
}

fn refused_by(sim: &mut Tested, copy: CopyId, operation: Operation) -> &'static str {
    call(sim, copy, operation).refusal.expect("it is refused").rule
}

/// The rules that were taken, oldest first.
fn rules(sim: &Tested) -> Vec<String> {
    let records = sim.recorder.clone().take();
    let rule = |what: What| match what {
        What::Note(hvrsim_replica::exchange::Note::Rule { rule, .. }) => Some(rule),
        _ => None,
    };
    records.into_iter().filter_map(|record| rule(record.what)).collect()
}

fn took(sim: &Tested, rule: &str) -> bool {
    rules(sim).iter().any(|r| r == rule)
}

fn equal(sim: &Tested, one: CopyId, other: CopyId) -> bool {
    sim.store.difference((one, View::Live), (other, View::Live)).expect("the store works").is_none()
}

/// Time for everything that was written to get to the end of the chain.
fn drain(sim: &mut Tested) {
    call(sim, A, Operation::StopVm);
    sim.advance(Span::minutes(30)).expect("the store works");
}

#[test]
fn xf95_and_xf96_a_replica_is_extended() {
    let mut sim = three_protected();
    job(&mut sim, X, &to_c());
    assert_chain(
        &sim,
        (P, S::Replicating),
        (R, S::Replicating),
        S::ReadyForInitialReplication,
        (E, S::WaitingToCompleteInitialReplication),
    );
    assert!(took(&sim, "XF-95"));
    job(&mut sim, X, &START);
    assert_chain(&sim, (P, S::Replicating), (R, S::Replicating), S::Replicating, (E, S::Replicating));
    // What A writes comes to C by way of B.
    write(&mut sim, A, "passed on", 0);
    drain(&mut sim);
    assert!(equal(&sim, A, B) && equal(&sim, B, C));
    assert!(sim.points(C).iter().all(|point| {
        sim.world
            .ledger
            .contains(sim.world.machine(A).unwrap().content.live, sim.world.points[&point.id].content)
    }));
    // Both relationships have a health and statistics of their own.
    let (first, second) = (sim.copy(B).unwrap().statistics, sim.copy(X).unwrap().statistics);
    assert!(second.successes > 0 && first.successes == 0, "{first:?} {second:?}");
    assert_contents(&sim);
}

#[test]
fn what_an_extended_relationship_must_be_like() {
    let mut sim = three_protected();
    let with = |frequency| Operation::Enable { to: HV3, settings: Settings { frequency, ..settings() } };
    assert_eq!(code(&mut sim, X, with(Frequency::Seconds30)), ReturnCode::INVALID_PARAMETER);
    let slower = SettingsChange { frequency: Some(Frequency::Minutes15), ..SettingsChange::default() };
    job(&mut sim, A, &Operation::Modify(slower.clone()));
    hours(&mut sim, 1);
    assert_eq!(code(&mut sim, X, with(Frequency::Minutes5)), ReturnCode::INVALID_PARAMETER);
    let back = Operation::Enable { to: HV1, settings: settings() };
    assert_eq!(code(&mut sim, X, back), ReturnCode::INVALID_PARAMETER, "not to the host it receives from");
    // Only a replica that replicates, and once.
    assert_eq!(refused_by(&mut sim, A.extended(), with(Frequency::Minutes15)), "XF-O");
    assert_eq!(refused_by(&mut sim, X, START), "XF-N");
    call(&mut sim, B, Operation::Suspend);
    let refusal =
        call(&mut sim, X, with(Frequency::Minutes15)).refusal.expect("a paused replica is not extended");
    assert!(refusal.states_needed.contains(&(R, S::Replicating)));
    call(&mut sim, B, Operation::Resume);
    job(&mut sim, X, &with(Frequency::Minutes15));
    assert_eq!(refused_by(&mut sim, X, with(Frequency::Minutes15)), "XF-O");
    assert_eq!(
        code(&mut sim, C, Operation::Enable { to: HV1, settings: settings() }),
        ReturnCode::INVALID_STATE
    );
    let faster = SettingsChange { frequency: Some(Frequency::Minutes5), ..SettingsChange::default() };
    assert_eq!(code(&mut sim, X, Operation::Modify(faster)), ReturnCode::INVALID_PARAMETER);
    assert_eq!(refused_by(&mut sim, X, LATEST), "XF-P");
}

#[test]
fn the_third_server_may_refuse_or_not_answer() {
    let mut sim = three_protected();
    sim.world.hosts[2].service.accepts = false;
    let view = ended(&mut sim, X, &to_c());
    assert_eq!((view.state, view.kind), (JobState::Exception, JobType::CreateRelationship));
    assert!(sim.copy(X).is_none() && sim.copy(C).is_none(), "nothing is left");
    sim.world.hosts[2].service.accepts = true;
    sim.cut_link(HV2, HV3, Some(Span::minutes(5))).unwrap();
    assert_eq!(ended(&mut sim, X, &to_c()).error, ReturnCode::NOT_AVAILABLE);
    assert!(sim.copy(X).is_none());
    hours(&mut sim, 1);
    job(&mut sim, X, &to_c());
}

#[test]
fn xf97_and_xf133_a_failover_of_the_middle_copy_is_reverted() {
    let mut sim = chain();
    write(&mut sim, A, "before", 0);
    hours(&mut sim, 1);
    job(&mut sim, B, &LATEST);
    assert!(took(&sim, "XF-97"));
    call(&mut sim, A, Operation::TurnOffVm);
    call(&mut sim, B, Operation::StartVm);
    write(&mut sim, B, "on the middle copy", 1 << 20);
    // What was on its way has come.
    sim.advance(Span::minutes(6)).unwrap();
    let at_c = sim.world.machine(C).unwrap().content.base;
    hours(&mut sim, 3);
    assert_eq!(sim.world.machine(C).unwrap().content.base, at_c, "nothing is sent on");
    assert_chain(&sim, (P, S::Critical), (R, S::Recovered), S::Replicating, (E, S::Replicating));
    assert_eq!(refused_by(&mut sim, X, START), "XF-H");
    assert_eq!(refused_by(&mut sim, B, reverse()), "XF-111");
    call(&mut sim, B, Operation::TurnOffVm);
    job(&mut sim, B, &Operation::RevertFailover);
    assert!(took(&sim, "XF-133"));
    // The chain goes on, and what was written on the middle copy is nowhere.
    call(&mut sim, A, Operation::StartVm);
    job(&mut sim, A, &Operation::Resume);
    write(&mut sim, A, "after", 2 << 20);
    drain(&mut sim);
    assert_chain(&sim, (P, S::Replicating), (R, S::Replicating), S::Replicating, (E, S::Replicating));
    assert!(equal(&sim, A, C));
    assert_eq!(tags(&sim.losses(VM)), ["on the middle copy"]);
}

/// B failed over and committed, its machine runs.
fn committed(sim: &mut Tested, point: PointChoice) {
    call(sim, A, Operation::TurnOffVm);
    job(sim, B, &Operation::Failover { point });
    call(sim, B, Operation::StartVm);
    write(sim, B, "before the commit", 3 << 20);
    job(sim, B, &Operation::CommitFailover);
    write(sim, B, "after the commit", 4 << 20);
    sim.advance(Span::minutes(20)).expect("the store works");
}

#[test]
fn xf98_the_extended_relationship_becomes_the_primary_one() {
    let mut sim = chain();
    assert_eq!(refused_by(&mut sim, B, Operation::PromoteExtended), "XF-98");
    job(&mut sim, B, &LATEST);
    assert_eq!(code(&mut sim, B, Operation::PromoteExtended), ReturnCode::INVALID_STATE, "not committed");
    job(&mut sim, B, &Operation::RevertFailover);
    hours(&mut sim, 1);
    committed(&mut sim, PointChoice::Latest);
    let view = ended(&mut sim, B, &Operation::PromoteExtended);
    assert_eq!((view.state, view.kind), (JobState::Completed, JobType::ModeToPrimary));
    assert!(took(&sim, "XF-98") && sim.copy(X).is_none());
    assert_eq!((state(&sim, B), state(&sim, C)), ((P, S::Replicating), (E, S::Replicating)));
    // Nothing is compared: the log has it all. The third host learns of it with the first log.
    hours(&mut sim, 1);
    assert_eq!((state(&sim, B), state(&sim, C)), ((P, S::Replicating), (R, S::Replicating)));
    call(&mut sim, B, Operation::StopVm);
    sim.advance(Span::minutes(20)).unwrap();
    assert!(equal(&sim, B, C));
    assert_contents(&sim);
    assert!(!took(&sim, "RS-42"));
}

#[test]
fn xf98w_after_a_failover_to_an_older_point_it_is_compared() {
    let mut sim = chain();
    hours(&mut sim, 2);
    write(&mut sim, A, "undone", 0);
    hours(&mut sim, 1);
    let oldest = sim.points(B)[0].id;
    committed(&mut sim, PointChoice::Id(oldest));
    job(&mut sim, B, &Operation::PromoteExtended);
    assert!(took(&sim, "XF-98W"));
    assert_eq!((state(&sim, B), state(&sim, C)), ((P, S::WaitingForStartResynchronize), (E, S::Replicating)));
    job(&mut sim, B, &Operation::Resynchronize { at: None });
    call(&mut sim, B, Operation::StopVm);
    sim.advance(Span::minutes(20)).unwrap();
    assert_eq!((state(&sim, B), state(&sim, C)), ((P, S::Replicating), (R, S::Replicating)));
    assert!(equal(&sim, B, C));
    assert_contents(&sim);
    assert!(tags(&sim.losses(VM)).contains(&"undone"));
}

#[test]
fn xf98w_after_a_crash_of_the_running_middle_copy() {
    let mut sim = chain();
    committed(&mut sim, PointChoice::Latest);
    sim.host_power(HV2, HostPower::Lost).unwrap();
    sim.host_power(HV2, HostPower::Back).unwrap();
    job(&mut sim, B, &Operation::PromoteExtended);
    assert_eq!(state(&sim, B), (P, S::WaitingForStartResynchronize));
    job(&mut sim, B, &Operation::Resynchronize { at: None });
    sim.advance(Span::minutes(20)).unwrap();
    assert!(equal(&sim, B, C));
    assert_contents(&sim);
}

#[test]
fn xf99_reversing_to_the_first_host_ends_the_extension() {
    let mut sim = chain();
    committed(&mut sim, PointChoice::Latest);
    // Savill: not while the first host is only prepared, or in error.
    let refused = ended(&mut sim, B, &reverse());
    assert_eq!(refused.state, JobState::Exception);
    assert!(sim.copy(X).is_some());
    job(&mut sim, A, &Operation::AsReplica);
    job(&mut sim, B, &reverse());
    assert!(took(&sim, "XF-99") && took(&sim, "XF-D"));
    assert!(sim.copy(X).is_none());
    assert_eq!((state(&sim, B), state(&sim, C)), ((P, S::ReadyForInitialReplication), (E, S::Replicating)));
    job(&mut sim, B, &START);
    hours(&mut sim, 2);
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    // The third host only notices that nothing comes any more.
    assert_eq!(sim.copy(C).unwrap().health, hvrsim_types::state::Health::Warning);
    assert_contents(&sim);
}

#[test]
fn a_planned_failover_is_not_reversed_while_it_is_extended() {
    let mut sim = chain();
    call(&mut sim, A, Operation::StopVm);
    job(&mut sim, A, &Operation::Prepare);
    job(&mut sim, B, &LATEST);
    job(&mut sim, B, &Operation::CommitFailover);
    assert_eq!(ended(&mut sim, B, &reverse()).state, JobState::Exception);
    assert_eq!((state(&sim, A), state(&sim, B)), ((P, S::SyncedReplicationComplete), (R, S::Committed)));
    job(&mut sim, X, &Operation::Remove);
    assert!(sim.copy(X).is_none());
    job(&mut sim, B, &reverse());
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
}

#[test]
fn xf100_the_first_relationship_is_removed_last() {
    let mut sim = chain();
    assert_eq!(refused_by(&mut sim, B, Operation::Remove), "XF-100");
    job(&mut sim, X, &Operation::Remove);
    assert_eq!((state(&sim, B), state(&sim, C)), ((R, S::Replicating), (E, S::Replicating)));
    job(&mut sim, C, &Operation::Remove);
    job(&mut sim, B, &Operation::Remove);
    hours(&mut sim, 1);
    assert_eq!(state(&sim, A), (P, S::Critical));
    assert_contents(&sim);
}

#[test]
fn xf101_and_xf135_a_failover_of_the_third_copy() {
    let mut sim = chain();
    write(&mut sim, A, "not there yet", 0);
    job(&mut sim, C, &LATEST);
    assert!(took(&sim, "XF-101"));
    // The ledger names what the first host wrote, not only what the middle copy has and the third has not.
    let told = sim.recorder.clone().take().into_iter().filter_map(|r| match r.what {
        What::Lost(losses) if r.host == Some(HV3) => Some(losses),
        _ => None,
    });
    assert!(told.flatten().any(|loss| loss.tag.as_deref() == Some("not there yet")));
    until(&mut sim, X, S::Critical);
    assert_chain(&sim, (P, S::Replicating), (R, S::Replicating), S::Critical, (E, S::Recovered));
    job(&mut sim, C, &Operation::RevertFailover);
    assert!(took(&sim, "XF-135"));
    job(&mut sim, X, &Operation::Resume);
    drain(&mut sim);
    assert_chain(&sim, (P, S::Replicating), (R, S::Replicating), S::Replicating, (E, S::Replicating));
    assert!(equal(&sim, A, C));
    assert!(sim.losses(VM).is_empty());
}

#[test]
fn both_first_sites_are_lost_and_the_third_one_goes_on() {
    let mut sim = chain();
    write(&mut sim, A, "lost", 0);
    for host in [HV1, HV2] {
        sim.host_power(host, HostPower::Lost).unwrap();
    }
    job(&mut sim, C, &LATEST);
    call(&mut sim, C, Operation::StartVm);
    write(&mut sim, C, "at the third site", 1 << 20);
    job(&mut sim, C, &Operation::CommitFailover);
    assert_eq!(tags(&sim.losses(VM)), ["lost"]);
    for host in [HV1, HV2] {
        sim.host_power(host, HostPower::Back).unwrap();
    }
    // The way home: the middle copy leaves the chain, becomes a seed, and the third copy reverses to it.
    assert_eq!(ended(&mut sim, C, &reverse()).state, JobState::Exception);
    hours(&mut sim, 1);
    job(&mut sim, X, &Operation::Remove);
    job(&mut sim, B, &Operation::Remove);
    job(&mut sim, B, &Operation::AsReplica);
    job(&mut sim, C, &reverse());
    assert_eq!(
        (state(&sim, C), state(&sim, B)),
        ((P, S::ReadyForInitialReplication), (R, S::WaitingToCompleteInitialReplication))
    );
    job(&mut sim, C, &START);
    hours(&mut sim, 1);
    assert_eq!((state(&sim, C), state(&sim, B)), ((P, S::Replicating), (R, S::Replicating)));
    call(&mut sim, C, Operation::StopVm);
    job(&mut sim, C, &Operation::Prepare);
    job(&mut sim, B, &LATEST);
    assert!(equal(&sim, B, C));
    assert_contents(&sim);
}

#[test]
fn xf134_what_a_resynchronization_changes_is_sent_on() {
    let mut sim = chain();
    call(&mut sim, A, Operation::Suspend);
    write(&mut sim, A, "by comparison", 0);
    write(&mut sim, A, "more", 8 << 20);
    let outcome = call(&mut sim, A, Operation::Resynchronize { at: None });
    step_until(&mut sim, |sim| state(sim, B).1 == S::Resynchronizing);
    assert_eq!(refused_by(&mut sim, X, Operation::Resynchronize { at: None }), "XF-H");
    crate::general::finish(&mut sim, A, outcome.job.unwrap());
    assert!(took(&sim, "XF-134"));
    let base = |copy| sim.world.machine(copy).unwrap().content.base;
    assert!(!sim.world.ledger.contains(base(C), base(B)), "nothing was sent meanwhile");
    drain(&mut sim);
    assert_chain(&sim, (P, S::Replicating), (R, S::Replicating), S::Replicating, (E, S::Replicating));
    assert!(equal(&sim, A, C));
}

#[test]
fn xf136_the_first_host_becomes_the_third() {
    let mut sim = chain();
    committed(&mut sim, PointChoice::Latest);
    job(&mut sim, B, &Operation::PromoteExtended);
    hours(&mut sim, 1);
    assert_eq!((state(&sim, B), state(&sim, C)), ((P, S::Replicating), (R, S::Replicating)));
    job(&mut sim, A, &Operation::AsReplica);
    let y = C.extended();
    job(&mut sim, y, &Operation::Enable { to: HV1, settings: settings() });
    assert!(took(&sim, "XF-136"));
    assert_eq!(state(&sim, A), (E, S::WaitingToCompleteInitialReplication));
    job(&mut sim, y, &Operation::StartInitialReplication { kind: InitialKind::Seeded, at: None });
    hours(&mut sim, 1);
    assert_eq!((state(&sim, A), state(&sim, C)), ((E, S::Replicating), (R, S::Replicating)));
    call(&mut sim, B, Operation::StopVm);
    sim.advance(Span::minutes(30)).unwrap();
    assert!(equal(&sim, B, C) && equal(&sim, C, A));
    assert_contents(&sim);
}

#[test]
fn a_crash_of_the_middle_host_loses_nothing_of_the_chain() {
    let mut sim = chain();
    for _ in 0..3 {
        write(&mut sim, A, "kept", 0);
        sim.advance(Span::minutes(6)).unwrap();
        sim.host_power(HV2, HostPower::Lost).unwrap();
        sim.advance(Span::minutes(2)).unwrap();
        sim.host_power(HV2, HostPower::Back).unwrap();
        assert_eq!(sim.copy(B).unwrap().power, Power::Off);
    }
    hours(&mut sim, 1);
    drain(&mut sim);
    assert_chain(&sim, (P, S::Replicating), (R, S::Replicating), S::Replicating, (E, S::Replicating));
    assert!(equal(&sim, A, C));
}

#[test]
fn pausing_one_relationship_leaves_the_other() {
    let mut sim = chain();
    job(&mut sim, X, &Operation::Suspend);
    write(&mut sim, A, "later", 0);
    hours(&mut sim, 2);
    assert_chain(&sim, (P, S::Replicating), (R, S::Replicating), S::Suspended, (E, S::Replicating));
    assert!(sim.copy(X).unwrap().statistics.pending_bytes > 0);
    job(&mut sim, X, &Operation::Resume);
    drain(&mut sim);
    assert!(equal(&sim, A, C));
    // A resynchronization of the second leg has a job type of its own.
    job(&mut sim, X, &Operation::Suspend);
    let view = ended(&mut sim, X, &Operation::Resynchronize { at: None });
    assert_eq!((view.state, view.kind), (JobState::Completed, JobType::ResynchronizingExtended));
    assert_chain(&sim, (P, S::Replicating), (R, S::Replicating), S::Replicating, (E, S::Replicating));
}

#[test]
fn a_failover_of_the_middle_copy_ends_what_reads_it() {
    let mut sim = three_protected();
    job(&mut sim, X, &to_c());
    call(&mut sim, X, START);
    step_until(&mut sim, |sim| {
        sim.copy(X).is_some_and(|view| view.state == S::WaitingToCompleteInitialReplication)
    });
    job(&mut sim, B, &LATEST);
    assert!(took(&sim, "XF-I"));
    job(&mut sim, B, &Operation::RevertFailover);
    job(&mut sim, X, &START);
    sim.advance(Span::minutes(1)).unwrap();
    job(&mut sim, X, &Operation::Suspend);
    call(&mut sim, X, Operation::Resynchronize { at: None });
    step_until(&mut sim, |sim| sim.copy(X).is_some_and(|view| view.state == S::Resynchronizing));
    job(&mut sim, B, &LATEST);
    assert!(took(&sim, "XF-R"));
    hours(&mut sim, 1);
    assert_eq!(state(&sim, C), (E, S::Replicating));
    assert_contents(&sim);
}
