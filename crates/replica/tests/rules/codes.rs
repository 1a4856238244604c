//! The return codes of `InitiateFailback`, and the order in which it checks.
//!
//! 32769 (access denied) cannot arise here: callers are authorized before a call reaches the life cycle.
//! 32778 (out of memory) cannot arise at all: a simulated host has memory enough.

use hvrsim_replica::copy::{Copy, Phase};
use hvrsim_replica::operation::{FailbackSettings, Operation, PointChoice};
use hvrsim_replica::profile::Profile;
use hvrsim_replica::rule::{Call, Facts, Guard};
use hvrsim_replica::service::{Decision, Moment, decide};
use hvrsim_replica::{Input, Outcome, Service};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{HostId, JobId, VmId};
use hvrsim_types::state::{Mode, Power, ReplicationState as S};
use hvrsim_types::time::{Calendar, Instant};

const VM: VmId = VmId(0);

/// The states from which a former primary can fail back.
const SOURCES: [S; 5] =
    [S::WaitingToCompleteInitialReplication, S::Replicating, S::Suspended, S::Critical, S::FailbackComplete];

/// Everything holds, and the call is not on an extended relationship.
fn on_machine(guard: Guard) -> bool {
    guard != Guard::NoSuchExtended
}

#[test]
fn initiate_failback_in_every_mode_and_state() {
    let mut accepted = 0;
    for mode in Mode::ALL {
        for state in S::ALL {
            let decision = decide(Call::InitiateFailback, *mode, *state, &on_machine);
            match decision {
                Decision::Take(rule) => {
                    assert_eq!(rule.id, "FB-102");
                    assert!(*mode == Mode::Replica && SOURCES.contains(state), "{mode} {state}");
                    accepted += 1;
                }
                Decision::Refuse(code, refusal) => {
                    assert_eq!(code, ReturnCode::INVALID_STATE, "{mode} {state}");
                    assert!(!(*mode == Mode::Replica && SOURCES.contains(state)), "{mode} {state}");
                    assert!(!refusal.needs.is_empty() && !refusal.states_needed.is_empty());
                }
            }
        }
    }
    assert_eq!((Mode::ALL.len() * S::ALL.len(), accepted), (110, SOURCES.len()));
}

#[test]
fn every_guard_of_initiate_failback_has_its_code() {
    let codes = [
        (Guard::VmOff, ReturnCode::INVALID_STATE),
        (Guard::NoSavedState, ReturnCode::INVALID_STATE),
        (Guard::NoCheckpoint, ReturnCode::INVALID_STATE),
        (Guard::NoExtended, ReturnCode::INVALID_STATE),
        (Guard::WasPrimary, ReturnCode::INVALID_STATE),
        (Guard::NoJob, ReturnCode::IN_USE),
        (Guard::NoTestVm, ReturnCode::IN_USE),
        (Guard::DisksPresent, ReturnCode::FILE_NOT_FOUND),
    ];
    let rule = hvrsim_replica::table::rule("FB-102").expect("it exists");
    assert_eq!(rule.guards, codes.map(|(guard, _)| guard));
    for state in SOURCES {
        for (failing, code) in codes {
            match decide(Call::InitiateFailback, Mode::Replica, state, &|guard| {
                guard != failing && on_machine(guard)
            }) {
                Decision::Refuse(found, _) => assert_eq!(found, code, "{state} {failing:?}"),
                Decision::Take(_) => panic!("{state} {failing:?} is accepted"),
            }
        }
    }
}

/// What can be wrong with a call, in the order in which it is checked.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    Unreadable,
    NoSettings,
    UnknownProvider,
    UnknownHost,
    OwnHost,
    MalformedPoint,
    Incapable,
    WrongMode,
    WrongState,
    Running,
    Saved,
    Checkpoints,
    NeverPrimary,
    Job,
    TestVm,
    DiskMissing,
}

const FAULTS: [(Fault, u32); 16] = [
    (Fault::Unreadable, 32776),
    (Fault::NoSettings, 32773),
    (Fault::UnknownProvider, 32773),
    (Fault::UnknownHost, 32773),
    (Fault::OwnHost, 32773),
    (Fault::MalformedPoint, 32773),
    (Fault::Incapable, 32770),
    (Fault::WrongMode, 32775),
    (Fault::WrongState, 32775),
    (Fault::Running, 32775),
    (Fault::Saved, 32775),
    (Fault::Checkpoints, 32775),
    (Fault::NeverPrimary, 32775),
    (Fault::Job, 32774),
    (Fault::TestVm, 32774),
    (Fault::DiskMissing, 32779),
];

fn call(faults: &[Fault]) -> Outcome {
    let has = |fault| faults.contains(&fault);
    let settings = match faults {
        _ if has(Fault::Unreadable) => FailbackSettings::Unreadable,
        _ if has(Fault::NoSettings) => FailbackSettings::Missing,
        _ if has(Fault::UnknownProvider) => FailbackSettings::UnknownProvider,
        _ => {
            let from = match faults {
                _ if has(Fault::UnknownHost) => None,
                _ if has(Fault::OwnHost) => Some(HostId(0)),
                _ => Some(HostId(1)),
            };
            FailbackSettings::Given { from, capable: !has(Fault::Incapable) }
        }
    };
    let point = if has(Fault::MalformedPoint) { PointChoice::Malformed } else { PointChoice::Latest };
    let copy = Copy {
        mode: if has(Fault::WrongMode) { Mode::Primary } else { Mode::Replica },
        phase: if has(Fault::WrongState) {
            Phase::Committed { point: None, failback: None }
        } else {
            Phase::Awaiting { session: None }
        },
        was_primary: !has(Fault::NeverPrimary),
        job: has(Fault::Job).then_some(JobId(7)),
        peer: Some(HostId(1)),
        ..Copy::default()
    };
    let power = match faults {
        _ if has(Fault::Running) => Power::Running,
        _ if has(Fault::Saved) => Power::Saved,
        _ => Power::Off,
    };
    let facts = Facts {
        power,
        checkpoints: u32::from(has(Fault::Checkpoints)),
        test_vm: has(Fault::TestVm),
        primary_runs: false,
        disk_missing: has(Fault::DiskMissing),
        storage: hvrsim_replica::rule::Storage::Sound,
        directory_down: false,
        sizes: vec![1 << 30],
        disk_end: 0,
        log_fits: true,
        vss_fails: false,
        pending_bytes: 0,
        clustered: false,
        peer_moved: false,
        session_wrote: false,
    };
    let mut service = Service::new(HostId(0), true);
    service.copies.insert(VM, copy);
    let before = service.clone();
    let (calendar, profile) = (Calendar::default(), Profile::default());
    let moment = Moment { now: Instant::START, calendar: &calendar, profile: &profile };
    let mut out = Vec::new();
    let input = Input::Call(Operation::InitiateFailback { settings, point });
    let outcome = service.apply(&moment, VM, &facts, input, &mut out).expect("a call has an outcome");
    if !outcome.code.accepted() {
        assert_eq!((service, out), (before, Vec::new()), "{faults:?}: a refusal changes nothing");
    }
    outcome
}

#[test]
fn an_earlier_check_wins_over_every_later_one() {
    assert_eq!(call(&[]).code, ReturnCode::JOB_STARTED);
    for (index, (first, code)) in FAULTS.into_iter().enumerate() {
        assert_eq!(call(&[first]).code.0, code, "{first:?}");
        for (second, _) in FAULTS.into_iter().skip(index + 1) {
            assert_eq!(call(&[first, second]).code.0, code, "{first:?} before {second:?}");
        }
    }
}

#[test]
fn the_codes_come_in_the_documented_order() {
    let mut codes: Vec<u32> = FAULTS.iter().map(|(_, code)| *code).collect();
    codes.dedup();
    assert_eq!(codes, [32776, 32773, 32770, 32775, 32774, 32779]);
}
