//! Every call in every mode and state, as a text to be reviewed. `HVRSIM_BLESS=1` writes it anew.

use std::fmt::Write;

use hvrsim_replica::rule::{Call, Guard, To};
use hvrsim_replica::service::{Decision, decide};
use hvrsim_types::state::{Mode, ReplicationState as S};

/// A situation in which nothing else stands in the way.
fn holds(guard: Guard, call: Call, running: bool, state: S) -> bool {
    let back = state == S::FailbackComplete;
    match guard {
        // A replica is extended; an extended relationship is there only where the call is about it.
        Guard::IsExtended => call == Call::Enable && state == S::Replicating,
        Guard::HasExtended => call == Call::PromoteExtended,
        Guard::VmOff | Guard::VmNotRunning => !running,
        Guard::VmNotOff | Guard::VmRunning => running,
        Guard::AfterFailback => back,
        Guard::NotAfterFailback => !back,
        Guard::SavedState
        | Guard::Merging
        | Guard::PlannedPoint
        | Guard::TestVm
        | Guard::PrimaryRuns
        | Guard::InitialUnfinished
        | Guard::Held
        | Guard::NoSuchExtended
        | Guard::Unsettled
        | Guard::Later
        | Guard::AddsDisk
        | Guard::RestoresDisks
        | Guard::Generation2012R2 => false,
        _ => true,
    }
}

fn answer(call: Call, mode: Mode, state: S, running: bool) -> String {
    match decide(call, mode, state, &|guard| holds(guard, call, running, state)) {
        Decision::Take(rule) => format!("accepted {}", rule.id),
        Decision::Refuse(code, refusal) => format!("{} {}", code.0, refusal.rule),
    }
}

fn matrix() -> String {
    let mut text = String::from(
        "Every call by mode and state, with the machine Off | Running, nothing else in the way.\n\
         A call that is not named in a state is refused there with 32775, whatever the power.\n",
    );
    for call in Call::ALL {
        writeln!(text, "\n{} ({})", call.cmdlet(), call.method()).expect("a string takes it");
        for mode in Mode::ALL {
            // A test machine is in no other state.
            let states = if *mode == Mode::TestReplica { &[S::Disabled][..] } else { S::ALL };
            for state in states {
                let off = answer(*call, *mode, *state, false);
                let running = answer(*call, *mode, *state, true);
                let of_extended = |guard: &Guard| {
                    matches!(guard, Guard::IsExtended | Guard::NoSuchExtended | Guard::Unsettled)
                };
                let concerned = hvrsim_replica::table::rules()
                    .filter(|r| !matches!(r.to, To::Refused(_)) || !r.guards.iter().any(of_extended))
                    .any(|r| r.concerns(*mode, *state, hvrsim_replica::rule::Trigger::Call(*call)));
                if concerned {
                    let name = state.powershell(*mode);
                    writeln!(text, "  {mode:<8} {:>2} {name:<29} {off} | {running}", state.number())
                        .expect("a string takes it");
                } else {
                    assert!(off.starts_with("32775 ") && running == off, "{call:?} {mode} {state}: {off}");
                }
            }
        }
    }
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "only a test looks at its environment, to be told to bless")]
fn every_call_in_every_mode_and_state() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules/matrix.txt");
    let now = matrix();
    if std::env::var_os("HVRSIM_BLESS").is_some() {
        std::fs::write(path, &now).expect("the file can be written");
    }
    let reviewed = std::fs::read_to_string(path).unwrap_or_default();
    for (number, (old, new)) in reviewed.lines().zip(now.lines()).enumerate() {
        assert_eq!(old, new, "line {} differs; review it and set HVRSIM_BLESS=1", number + 1);
    }
    assert_eq!(reviewed.lines().count(), now.lines().count(), "review it and set HVRSIM_BLESS=1");
}
