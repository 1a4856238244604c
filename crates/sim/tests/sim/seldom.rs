//! Rules for situations that ordinary steps reach by a hair's breadth only, or never: the world is put there.

use hvrsim_replica::copy::{Copy, Phase, RunStep};
use hvrsim_replica::operation::{Operation, PointChoice};
use hvrsim_sim::incident::table::incident;
use hvrsim_sim::incident::{Strike, Target};
use hvrsim_sim::store::{DiskFormat, DiskSpec, DiskStore, Initial};
use hvrsim_sim::trace::{HostPower, What};
use hvrsim_types::id::CopyId;
use hvrsim_types::size::Bytes;
use hvrsim_types::state::ReplicationState as S;
use hvrsim_types::time::Span;

use crate::world::*;

fn copy_of(sim: &mut Tested, copy: CopyId) -> &mut Copy {
    let host = &mut sim.world.hosts[usize::from(copy.host.0)];
    host.service.copies.get_mut(&copy.vm).expect("the copy exists")
}

/// The rules that the records tell of, taken or refusing.
fn rules(sim: &Tested) -> Vec<String> {
    let rule = |what: &What| match what {
        What::Note(hvrsim_replica::exchange::Note::Rule { rule, .. }) | What::Refused { rule, .. } => {
            Some(rule.clone())
        }
        _ => None,
    };
    sim.recorder.clone().take().iter().filter_map(|record| rule(&record.what)).collect()
}

fn takes(sim: &Tested, rule: &str) {
    assert!(rules(sim).iter().any(|taken| taken == rule), "{rule} is not taken\n{}", tail(sim));
}

fn need_resync(sim: &mut Tested) {
    let incident = incident("log-write-failure").expect("it is known");
    let strike = Strike { incident, target: Target::Copy(A), lasts: None, rate: None, by: None };
    sim.strike(&strike).expect("the store works").expect("it replicates");
}

#[test]
fn rs_45_disks_of_other_sizes_are_not_resynchronized() {
    let mut sim = protected();
    need_resync(&mut sim);
    sim.store.remove(B).expect("the store works");
    let size = Bytes(2 << 30);
    let disk = DiskSpec { size, format: DiskFormat::Vhdx, initial: Initial::Blank };
    sim.store.create(B, &[disk]).expect("the store works");
    copy_of(&mut sim, B).points.clear();
    job_end(&mut sim, A, &Operation::Resynchronize { at: None });
    assert_eq!(state(&sim, A).1, S::WaitingForStartResynchronize);
    takes(&sim, "RS-45");
}

#[test]
fn rs_51_a_merge_is_not_stopped() {
    let mut sim = small_protected();
    need_resync(&mut sim);
    call(&mut sim, A, Operation::Resynchronize { at: None });
    until(&mut sim, A, S::Resynchronizing);
    if let Phase::Resync(run) = &mut copy_of(&mut sim, A).phase {
        run.step = RunStep::Finishing;
    }
    let refused = call(&mut sim, A, Operation::StopResynchronize);
    assert!(!refused.code.accepted());
    takes(&sim, "RS-51");
}

#[test]
fn tf_119_a_test_beside_a_committed_failover_is_ended() {
    let mut sim = small_protected();
    job(&mut sim, B, &Operation::TestFailover { point: PointChoice::Latest });
    copy_of(&mut sim, B).phase = Phase::Committed { point: None, failback: None };
    job(&mut sim, B, &Operation::RevertFailover);
    takes(&sim, "TF-119");
    assert_eq!(state(&sim, B).1, S::Committed);
}

#[test]
fn uf_118_a_merge_is_done_again_after_a_crash() {
    let mut sim = small_protected();
    copy_of(&mut sim, B).merging = true;
    sim.host_power(HV2, HostPower::Lost).expect("the store works");
    sim.host_power(HV2, HostPower::Back).expect("the store works");
    takes(&sim, "UF-118");
    sim.advance(Span::minutes(10)).expect("the store works");
    assert!(!copy_of(&mut sim, B).merging);
}
