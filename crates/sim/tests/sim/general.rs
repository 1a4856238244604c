//! The general rules G-1 to G-17, each shown by a test of its name.

use hvrsim_replica::exchange::Note;
use hvrsim_replica::operation::{FailbackSettings, InitialKind, Operation, PointChoice, SettingsChange};
use hvrsim_sim::Look;
use hvrsim_sim::look::JobView;
use hvrsim_sim::store::{DiskStore, View};
use hvrsim_sim::trace::{Finding, HostPower, What};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::CopyId;
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::size::Bytes;
use hvrsim_types::state::{Mode, Power, ReplicationState as S, ReplicationType};
use hvrsim_types::time::Span;

use crate::failover::reverse;
use crate::walk::half_reversed;
use crate::world::*;

const P: Mode = Mode::Primary;
const R: Mode = Mode::Replica;
const LATEST: Operation = Operation::Failover { point: PointChoice::Latest };
const START: Operation = Operation::StartInitialReplication { kind: InitialKind::Network, at: None };

pub fn failback_from_b() -> Operation {
    let settings = FailbackSettings::Given { from: Some(HV2), capable: true };
    Operation::InitiateFailback { settings, point: PointChoice::Latest }
}

/// Calls, and gives the job's view at its end.
pub fn ended(sim: &mut Tested, copy: CopyId, operation: &Operation) -> JobView {
    let outcome = call(sim, copy, operation.clone());
    let id = outcome.job.unwrap_or_else(|| panic!("{operation:?}: {outcome:?}"));
    finish(sim, copy, id)
}

pub fn finish(sim: &mut Tested, copy: CopyId, id: hvrsim_types::id::JobId) -> JobView {
    let limit = sim.world.now + Span::DAY;
    loop {
        let view = sim.job(copy.host, id).expect("a job under way is known");
        if view.state.ended() {
            return view;
        }
        assert!(sim.step(limit).expect("the store works"), "{view:?} does not end");
    }
}

/// Steps until something holds.
pub fn step_until(sim: &mut Tested, what: impl Fn(&Tested) -> bool) {
    let limit = sim.world.now + Span::DAY;
    while !what(sim) {
        assert!(sim.step(limit).expect("the store works"), "it never holds\n{}", tail(sim));
    }
}

fn code(sim: &mut Tested, copy: CopyId, operation: Operation) -> ReturnCode {
    call(sim, copy, operation).code
}

/// Failed over to HV2 as planned and committed, HV1 made a replica; the machine runs on HV2.
pub fn away() -> Tested {
    let mut sim = small_protected();
    call(&mut sim, A, Operation::StopVm);
    job(&mut sim, A, &Operation::Prepare);
    job(&mut sim, B, &LATEST);
    job(&mut sim, B, &Operation::CommitFailover);
    job(&mut sim, A, &Operation::AsReplica);
    call(&mut sim, B, Operation::StartVm);
    sim.advance(Span::minutes(20)).expect("the store works");
    sim
}

#[test]
fn g1_the_other_side_is_asked_in_the_job() {
    let mut sim = small_protected();
    call(&mut sim, A, Operation::StopVm);
    sim.cut_link(HV1, HV2, None).unwrap();
    let prepare = ended(&mut sim, A, &Operation::Prepare);
    assert_eq!((prepare.state, prepare.error), (JobState::Exception, ReturnCode::NOT_AVAILABLE));
    job(&mut sim, B, &LATEST);
    let reversed = ended(&mut sim, B, &reverse());
    assert_eq!((reversed.state, reversed.error), (JobState::Exception, ReturnCode::NOT_AVAILABLE));
    assert_states(&sim, (P, S::Replicating), (R, S::Recovered));
}

#[test]
fn g2_a_log_of_an_earlier_epoch_is_not_taken() {
    let mut sim = away();
    job(&mut sim, A, &failback_from_b());
    call(&mut sim, B, Operation::StopVm);
    job(&mut sim, A, &reverse());
    let epoch = |sim: &Tested, copy: CopyId| sim.world.host(copy.host).service.copies[&VM].epoch;
    assert_eq!(epoch(&sim, A), epoch(&sim, B));
    let old = epoch(&sim, A);
    // A new epoch on the replica only: what the primary sends is not taken any more.
    sim.world.hosts[1].service.copies.get_mut(&VM).unwrap().epoch.0 += 1;
    let content = sim.world.machine(B).unwrap().content.clone();
    write(&mut sim, B, "refused", 0).unwrap_err();
    call(&mut sim, A, Operation::StartVm);
    until(&mut sim, A, S::Critical);
    assert_eq!(sim.world.machine(B).unwrap().content, content);
    // A resynchronization begins an epoch of its own.
    job(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_eq!(epoch(&sim, A), epoch(&sim, B));
    assert!(epoch(&sim, A) > old);
    assert_contents(&sim);
}

#[test]
fn g3_two_reverses_at_once_change_nothing() {
    let mut sim = away();
    job(&mut sim, A, &failback_from_b());
    call(&mut sim, B, Operation::StopVm);
    // While the receiver answers, the side that serves it does not reverse.
    assert_eq!(code(&mut sim, B, reverse()), ReturnCode::IN_USE);
    sim.cut_link(HV1, HV2, Some(Span::minutes(45))).unwrap();
    sim.advance(Span::minutes(46)).unwrap();
    assert_states(&sim, (R, S::FailbackComplete), (R, S::Committed));
    let there = call(&mut sim, B, reverse()).job.expect("the receiver did not answer");
    let here = call(&mut sim, A, reverse()).job.expect("it is accepted");
    for (copy, id) in [(A, here), (B, there)] {
        let end = finish(&mut sim, copy, id);
        assert_eq!((end.state, end.error), (JobState::Exception, ReturnCode::IN_USE), "{end:?}");
    }
    assert_states(&sim, (R, S::FailbackComplete), (R, S::Committed));
    job(&mut sim, A, &reverse());
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn g3_a_repeated_swap_takes_effect_once() {
    let mut sim = small_protected();
    half_reversed(&mut sim);
    assert_eq!(call(&mut sim, B, Operation::RevertFailover).code, ReturnCode::INVALID_STATE);
    job(&mut sim, B, &reverse());
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    call(&mut sim, B, Operation::StartVm);
    hours(&mut sim, 1);
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn g4_inconsistent_disks_refuse() {
    let mut sim = away();
    let id = call(&mut sim, A, failback_from_b()).job.unwrap();
    step_until(&mut sim, |sim| sim.job(HV1, id).is_some_and(|job| job.sent_bytes > 0));
    call(&mut sim, A, Operation::CancelJob(id));
    assert!(sim.copy(A).unwrap().inconsistent);
    for operation in [LATEST, Operation::Resume, Operation::CommitFailover, reverse()] {
        assert_eq!(code(&mut sim, A, operation), ReturnCode::INVALID_STATE);
    }
    assert_eq!(code(&mut sim, A, Operation::StartVm), ReturnCode::INVALID_STATE);
    job(&mut sim, A, &Operation::Remove);
    assert!(sim.copy(A).unwrap().inconsistent, "removing keeps the mark");
    call(&mut sim, A, Operation::StartVm);
    assert!(sim.world.findings.iter().any(|f| f.3 == Finding::StartedInconsistent));
}

#[test]
fn g5_what_is_shown_during_a_job_is_display() {
    let mut sim = small_protected();
    write(&mut sim, A, "last", 0).unwrap();
    call(&mut sim, A, Operation::StopVm);
    let id = call(&mut sim, A, Operation::Prepare).job.unwrap();
    assert_eq!(state(&sim, A), (P, S::SyncedReplicationComplete));
    assert_eq!(code(&mut sim, A, Operation::StartVm), ReturnCode::INVALID_STATE);
    // Guards look at the state before: a preparation under way is not reverted.
    assert_eq!(code(&mut sim, A, Operation::RevertFailover), ReturnCode::INVALID_STATE);
    sim.cut_link(HV1, HV2, None).unwrap();
    assert_eq!(finish(&mut sim, A, id).state, JobState::Exception);
    assert_eq!(state(&sim, A), (P, S::Replicating));
    assert_eq!(code(&mut sim, A, Operation::StartVm), ReturnCode::COMPLETED);
}

#[test]
fn g6_a_failover_counts_stored_logs() {
    let mut sim = small_protected();
    sim.advance(Span::MINUTE).unwrap();
    for place in 0..8 {
        write(&mut sim, A, "stored", place << 20).unwrap();
    }
    let waits = |sim: &Tested| !sim.world.host(HV2).service.copies[&VM].received.is_empty();
    step_until(&mut sim, waits);
    for place in 0..8 {
        write(&mut sim, A, "partly", place << 20).unwrap();
    }
    let outcome = call(&mut sim, B, LATEST);
    assert_eq!(state(&sim, B), (R, S::FailoverInProgress));
    assert!(waits(&sim), "the log is stored and not applied");
    finish(&mut sim, B, outcome.job.unwrap());
    call(&mut sim, A, Operation::TurnOffVm);
    call(&mut sim, B, Operation::StartVm);
    assert_eq!(tags(&sim.losses(VM)), ["partly"]);
    assert_contents(&sim);
    until(&mut sim, A, S::Critical);
}

#[test]
fn g6_a_side_that_is_failed_back_to_holds_the_primary() {
    let mut sim = small_protected();
    half_reversed(&mut sim);
    job(&mut sim, B, &reverse());
    job(&mut sim, B, &Operation::Suspend);
    job(&mut sim, A, &failback_from_b());
    job(&mut sim, B, &Operation::Resume);
    assert_states(&sim, (R, S::FailbackComplete), (P, S::Replicating));
    until(&mut sim, B, S::Suspended);
    assert_eq!(ended(&mut sim, B, &Operation::Resume).error, ReturnCode::IN_USE);
}

/// The final log is stored, its answer does not come back.
fn prepared_without_an_answer() -> (Tested, hvrsim_types::id::JobId) {
    let mut sim = small_protected();
    hours(&mut sim, 2);
    call(&mut sim, A, Operation::StopVm);
    let id = call(&mut sim, A, Operation::Prepare).job.expect("it has a job");
    step_until(&mut sim, |sim| sim.copy(B).is_some_and(|b| b.last_type == ReplicationType::Planned));
    assert_eq!(sim.job(HV1, id).expect("it is known").state, JobState::Running);
    (sim, id)
}

#[test]
fn g7_a_lost_answer_to_the_final_log() {
    let (mut sim, id) = prepared_without_an_answer();
    sim.cut_link(HV1, HV2, Some(Span::minutes(2))).unwrap();
    let end = finish(&mut sim, A, id);
    assert_eq!((end.state, end.error), (JobState::Exception, ReturnCode::NOT_AVAILABLE));
    assert_eq!(state(&sim, A), (P, S::Replicating));
    assert_eq!(sim.points(B).last().map(|p| p.kind), Some(ReplicationType::Planned));
    call(&mut sim, A, Operation::StartVm);
    write(&mut sim, A, "later", 0).unwrap();
    hours(&mut sim, 1);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert!(sim.points(B).iter().all(|p| p.kind == ReplicationType::Regular));
    assert_contents(&sim);
}

#[test]
fn g7_the_primary_crashes_while_it_prepares() {
    let (mut sim, _) = prepared_without_an_answer();
    sim.host_power(HV1, HostPower::Lost).unwrap();
    sim.advance(Span::MINUTE).unwrap();
    sim.host_power(HV1, HostPower::Back).unwrap();
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    hours(&mut sim, 1);
    assert!(sim.points(B).iter().all(|p| p.kind == ReplicationType::Regular));
    assert_contents(&sim);
}

#[test]
fn g7_the_replica_fails_over_while_the_primary_prepares() {
    let mut sim = small_protected();
    write(&mut sim, A, "last", 0).unwrap();
    call(&mut sim, A, Operation::StopVm);
    let id = call(&mut sim, A, Operation::Prepare).job.unwrap();
    job(&mut sim, B, &LATEST);
    assert_eq!(finish(&mut sim, A, id).state, JobState::Exception);
    assert_states(&sim, (P, S::Critical), (R, S::Recovered));
    assert_eq!(sim.copy(B).unwrap().failed_over_type, ReplicationType::Regular);
}

fn crash(sim: &mut Tested, copy: CopyId) {
    sim.host_power(copy.host, HostPower::Lost).expect("the store works");
    sim.advance(Span::MINUTE).expect("the store works");
    sim.host_power(copy.host, HostPower::Back).expect("the store works");
}

fn last_job(sim: &Tested, copy: CopyId, kind: JobType) -> (JobState, String) {
    let job = sim.jobs(copy).into_iter().rev().find(|j| j.kind == kind).expect("it is kept for five minutes");
    (job.state, job.error_text)
}

#[test]
fn g8_jobs_at_a_crash() {
    let aborted = (JobState::Exception, "0x80004004: the host went down".to_owned());

    let mut initial = small();
    job(&mut initial, A, &Operation::Enable { to: HV2, settings: settings() });
    call(&mut initial, A, START);
    initial.advance(Span::seconds(1)).unwrap();
    crash(&mut initial, A);
    assert_eq!(last_job(&initial, A, JobType::StartInitialReplication), aborted);
    assert_eq!(state(&initial, A), (P, S::ReadyForInitialReplication));

    let mut resync = small_protected();
    job(&mut resync, A, &Operation::Suspend);
    call(&mut resync, A, Operation::Resynchronize { at: None });
    resync.advance(Span::seconds(1)).unwrap();
    crash(&mut resync, A);
    assert_eq!(last_job(&resync, A, JobType::Resynchronizing), aborted);
    assert_eq!(state(&resync, A), (P, S::WaitingForStartResynchronize));
    // The replica learns that nobody goes on with the session.
    hours(&mut resync, 1);
    assert_states(&resync, (P, S::WaitingForStartResynchronize), (R, S::Replicating));

    let mut failover = small_protected();
    hours(&mut failover, 3);
    let oldest = failover.points(B)[0].id;
    call(&mut failover, B, Operation::Failover { point: PointChoice::Id(oldest) });
    assert_eq!(state(&failover, B), (R, S::FailoverInProgress));
    crash(&mut failover, B);
    assert_eq!(last_job(&failover, B, JobType::InitiateFailover), aborted);
    assert_eq!(state(&failover, B), (R, S::Replicating));
    job(&mut failover, B, &Operation::Failover { point: PointChoice::Id(oldest) });
    let commit = call(&mut failover, B, Operation::CommitFailover).job.unwrap();
    crash(&mut failover, B);
    assert_eq!(
        finish(&mut failover, B, commit).state,
        JobState::Completed,
        "a commit is done again at the start"
    );
    assert_eq!(state(&failover, B), (R, S::Committed));
    assert_contents(&failover);

    let mut back = away();
    let id = call(&mut back, A, failback_from_b()).job.unwrap();
    back.advance(Span::seconds(1)).unwrap();
    crash(&mut back, A);
    assert_eq!(finish(&mut back, A, id).state, JobState::Completed, "a failback goes on under its id");
    assert_contents(&back);
}

#[test]
fn g9_schedules() {
    let in_ten = |sim: &Tested| Some(sim.world.now + Span::minutes(10));
    let mut sim = small();
    job(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
    let at = in_ten(&sim);
    let later = Operation::StartInitialReplication { kind: InitialKind::Network, at };
    let id = call(&mut sim, A, later.clone()).job.unwrap();
    assert_eq!(sim.job(HV1, id).unwrap().phase, "scheduled");
    // It is not mutating: another call is accepted; leaving the state ends it.
    job(&mut sim, A, &START);
    assert_eq!(sim.job(HV1, id).map(|j| j.state), Some(JobState::Terminated));
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));

    // Guards are looked at again when it fires.
    job(&mut sim, A, &Operation::Suspend);
    let at = in_ten(&sim);
    let id = call(&mut sim, A, Operation::Resynchronize { at }).job.unwrap();
    job(&mut sim, B, &Operation::Suspend);
    sim.advance(Span::minutes(11)).unwrap();
    let end = sim.job(HV1, id).unwrap();
    assert_eq!((end.state, end.error), (JobState::Exception, ReturnCode::INVALID_STATE), "{end:?}");
    job(&mut sim, B, &Operation::Resume);

    // The host is down at its time: it fires at the start.
    let at = in_ten(&sim);
    let id = call(&mut sim, A, Operation::Resynchronize { at }).job.unwrap();
    sim.host_power(HV1, HostPower::Off).unwrap();
    hours(&mut sim, 1);
    sim.host_power(HV1, HostPower::Back).unwrap();
    assert_eq!(finish(&mut sim, A, id).state, JobState::Completed);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn g10_automatic_resynchronization_backs_off() {
    let mut sim = small_protected();
    let change = SettingsChange {
        auto_resync: Some(true),
        auto_resync_start: Some(Span::ZERO),
        auto_resync_end: Some(Span::minutes(24 * 60 - 1)),
        ..SettingsChange::default()
    };
    job(&mut sim, A, &Operation::Modify(change));
    sim.cut_link(HV1, HV2, Some(Span::minutes(180))).unwrap();
    crash(&mut sim, A);
    hours(&mut sim, 2);
    let is_start =
        |what: &What| matches!(what, What::Note(Note::JobStarted { kind: JobType::Resynchronizing, .. }));
    let records = sim.recorder.clone().take();
    let starts: Vec<u64> =
        records.iter().filter(|r| is_start(&r.what)).map(|r| r.at.0 / Span::seconds(1).0).collect();
    let gaps: Vec<u64> = starts.windows(2).map(|w| w[1] - w[0]).collect();
    // The time-out of a connection comes before every wait.
    let minutes = [1, 2, 4, 8, 10, 30, 30];
    assert!(gaps.len() >= minutes.len(), "{gaps:?}");
    for (gap, wait) in gaps.iter().zip(minutes) {
        assert!((wait * 60..=wait * 60 + 31).contains(gap), "{gaps:?}");
    }
    hours(&mut sim, 3);
    assert_states(&sim, (P, S::Replicating), (R, S::Replicating));
}

#[test]
fn g11_a_test_machine_stands_in_the_way() {
    let mut sim = protected();
    hours(&mut sim, 2);
    job(&mut sim, B, &Operation::TestFailover { point: PointChoice::Latest });
    assert_eq!(code(&mut sim, B, Operation::Remove), ReturnCode::IN_USE);
    // A resynchronization asks the replica, which answers that it is in use.
    call(&mut sim, A, Operation::Suspend);
    let view = ended(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_eq!((view.state, view.error), (JobState::Exception, ReturnCode::IN_USE));
    job(&mut sim, B, &LATEST);
    for operation in [Operation::CommitFailover, reverse(), Operation::Remove] {
        let refused = call(&mut sim, B, operation.clone());
        assert_eq!(refused.code, ReturnCode::IN_USE, "{operation:?}");
        assert_eq!(refused.refusal.unwrap().needs, "no test VM");
    }
    // The failover is reverted first, the second call ends the test.
    job(&mut sim, B, &Operation::RevertFailover);
    assert!(sim.copy(B.test()).is_some());
    job(&mut sim, B, &Operation::RevertFailover);
    assert!(sim.copy(B.test()).is_none());
    job(&mut sim, B, &Operation::Remove);
}

#[test]
fn g12_no_failover_while_merging() {
    let mut sim = small_protected();
    sim.world.hosts[1].service.copies.get_mut(&VM).unwrap().merging = true;
    let refused = call(&mut sim, B, LATEST);
    assert_eq!(refused.code, ReturnCode::IN_USE);
    assert!(refused.refusal.unwrap().needs.contains("merge"));
}

#[test]
fn g13_remove_needs_no_job() {
    let mut sim = small_protected();
    call(&mut sim, A, Operation::StopVm);
    call(&mut sim, A, Operation::Prepare);
    assert_eq!(code(&mut sim, A, Operation::Remove), ReturnCode::IN_USE);
    until(&mut sim, A, S::SyncedReplicationComplete);
    sim.advance(Span::seconds(1)).unwrap();
    job(&mut sim, A, &Operation::Remove);
    assert_states(&sim, (Mode::None, S::Disabled), (R, S::Replicating));
}

#[test]
fn g14_revert_needs_the_machine_off() {
    let mut sim = small_protected();
    job(&mut sim, B, &LATEST);
    call(&mut sim, B, Operation::StartVm);
    assert_eq!(code(&mut sim, B, Operation::RevertFailover), ReturnCode::INVALID_STATE);
    crash(&mut sim, B);
    assert_eq!((state(&sim, B), sim.copy(B).unwrap().power), ((R, S::Recovered), Power::Off));
    job(&mut sim, B, &Operation::RevertFailover);
    assert_eq!(state(&sim, B), (R, S::Replicating));
    assert_contents(&sim);
}

#[test]
fn g15_a_host_that_is_back_starts_nothing() {
    let mut sim = small_protected();
    crash(&mut sim, A);
    hours(&mut sim, 1);
    assert_eq!(sim.copy(A).unwrap().power, Power::Off);
    job(&mut sim, B, &LATEST);
    call(&mut sim, B, Operation::StartVm);
    assert!(sim.world.findings.is_empty());
    call(&mut sim, A, Operation::StartVm);
    assert_eq!(sim.world.findings.last().map(|f| f.3), Some(Finding::SplitBrain));
}

/// Calls, and lets the call's job go on.
fn begin(sim: &mut Tested, operation: Operation, state: S) {
    call(sim, A, operation);
    step_until(sim, |sim| crate::world::state(sim, A).1 == state);
}

#[test]
fn g16_the_worker_process_crashes() {
    let resync = Operation::Resynchronize { at: None };
    let mut sim = protected();
    assert!(sim.worker_crash(A).unwrap());
    assert_eq!(
        (state(&sim, A), sim.copy(A).unwrap().power),
        ((P, S::WaitingForStartResynchronize), Power::Off)
    );
    assert!(!sim.worker_crash(A).unwrap(), "it does not run");
    call(&mut sim, A, Operation::StartVm);
    // In a resynchronization, whose job ends with it; the replica goes back.
    begin(&mut sim, resync.clone(), S::Resynchronizing);
    assert!(sim.worker_crash(A).unwrap());
    hours(&mut sim, 1);
    assert_states(&sim, (P, S::WaitingForStartResynchronize), (R, S::Replicating));
    call(&mut sim, A, Operation::StartVm);
    begin(&mut sim, resync.clone(), S::Resynchronizing);
    call(&mut sim, A, Operation::Suspend);
    assert!(sim.worker_crash(A).unwrap());
    assert_eq!(state(&sim, A).1, S::WaitingForStartResynchronize);
    job(&mut sim, A, &resync);
    // Paused, and in initial replication.
    call(&mut sim, A, Operation::StartVm);
    call(&mut sim, A, Operation::Suspend);
    assert!(sim.worker_crash(A).unwrap());
    assert_eq!(state(&sim, A).1, S::WaitingForStartResynchronize);
    let mut sim = bare();
    job(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
    begin(&mut sim, START, S::WaitingToCompleteInitialReplication);
    assert!(sim.worker_crash(A).unwrap());
    assert_eq!(state(&sim, A).1, S::ReadyForInitialReplication);
    job(&mut sim, A, &START);
    // A failed-over machine goes on from its disk; what it wrote since is no longer tracked.
    job(&mut sim, B, &LATEST);
    call(&mut sim, B, Operation::StartVm);
    assert!(sim.worker_crash(B).unwrap());
    assert_eq!(state(&sim, B), (R, S::Recovered));
    assert!(!sim.world.host(HV2).service.copies[&VM].tracked);
    assert_contents(&sim);
}

#[test]
fn g17_both_made_replicas() {
    let mut sim = away();
    call(&mut sim, B, Operation::StopVm);
    job(&mut sim, B, &Operation::AsReplica);
    let waits = (R, S::WaitingToCompleteInitialReplication);
    assert_states(&sim, waits, waits);
    for copy in [A, B] {
        for operation in [LATEST, Operation::Resume, reverse(), Operation::CommitFailover, Operation::StartVm]
        {
            assert_eq!(code(&mut sim, copy, operation), ReturnCode::INVALID_STATE);
        }
    }
    let asked = ended(&mut sim, A, &failback_from_b());
    assert_eq!((asked.state, asked.error), (JobState::Exception, ReturnCode::INVALID_STATE));
    assert_states(&sim, waits, waits);
    // The way out: keep the copy that was in use last.
    job(&mut sim, B, &Operation::Remove);
    call(&mut sim, B, Operation::StartVm);
    job(&mut sim, B, &Operation::Enable { to: HV1, settings: settings() });
    job(&mut sim, B, &Operation::StartInitialReplication { kind: InitialKind::Seeded, at: None });
    hours(&mut sim, 1);
    assert_states(&sim, (R, S::Replicating), (P, S::Replicating));
    assert_contents(&sim);
    call(&mut sim, B, Operation::StopVm);
    job(&mut sim, B, &Operation::Prepare);
    sim.advance(Span::MINUTE).unwrap();
    assert_eq!(sim.store.difference((A, View::Live), (B, View::Live)).unwrap(), None);
}

fn write(sim: &mut Tested, copy: CopyId, tag: &str, offset: u64) -> Result<(), hvrsim_sim::sim::WriteError> {
    sim.write(copy, 0, offset, Bytes(1 << 20), tag).expect("the store works")
}
