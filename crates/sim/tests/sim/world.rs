//! A small world of two hosts, and an oracle that replays the ledger.

use hvrsim_replica::exchange::Outcome;
use hvrsim_replica::operation::{InitialKind, Operation, Settings};
use hvrsim_replica::profile::Profile;
use hvrsim_sim::guest::{GuestProfile, places, writes};
use hvrsim_sim::ledger::{Position, Written};
use hvrsim_sim::sim::NewVm;
use hvrsim_sim::store::{DiskFormat, DiskSpec, DiskStore, Initial, Stamps, View};
use hvrsim_sim::trace::{Record, What};
use hvrsim_sim::{Look, Sim};
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::job::JobState;
use hvrsim_types::size::{Bytes, Rate};
use hvrsim_types::state::{Mode, Power, ReplicationState};
use hvrsim_types::time::{Calendar, Span};

pub const HV1: HostId = HostId(0);
pub const HV2: HostId = HostId(1);
pub const VM: VmId = VmId(0);
pub const A: CopyId = CopyId { host: HV1, vm: VM };
pub const B: CopyId = CopyId { host: HV2, vm: VM };

pub type Tested = Sim<Stamps>;

/// Two hosts, one machine of 1 GiB that is in use and written to, not replicated yet.
pub fn bare() -> Tested {
    bare_with(Profile::default())
}

pub fn bare_with(profile: Profile) -> Tested {
    let mut sim = Sim::new(7, Calendar::default(), profile, Stamps::default());
    sim.add_host("HV1", Rate(400 << 20), true);
    sim.add_host("HV2", Rate(400 << 20), true);
    sim.add_link(HV1, HV2, Rate(12_500_000), Span(5_000_000));
    let disk =
        DiskSpec { size: Bytes(1 << 30), format: DiskFormat::Vhdx, initial: Initial::Used(Bytes(256 << 20)) };
    let guest =
        GuestProfile { churn: Rate(40_000), write_size: Bytes(65536), hot_spot: Bytes(128 << 20), disk: 0 };
    let vm = NewVm {
        name: "web01".into(),
        host: HV1,
        disks: vec![disk],
        guest: Some(guest),
        power: Power::Running,
        adapters: Vec::new(),
        integration_services: true,
    };
    sim.add_vm(vm).expect("it is there, and the store works");
    sim
}

/// As [`bare`], with one disk of 64 MiB, and a slow link and slow disks, so that little data takes its time.
pub fn small() -> Tested {
    small_with(Profile::default())
}

pub fn small_with(profile: Profile) -> Tested {
    let mut sim = Sim::new(7, Calendar::default(), profile, Stamps::default());
    sim.add_host("HV1", Rate(16 << 20), true);
    sim.add_host("HV2", Rate(16 << 20), true);
    sim.add_link(HV1, HV2, Rate(2_000_000), Span(5_000_000));
    let disk =
        DiskSpec { size: Bytes(64 << 20), format: DiskFormat::Vhdx, initial: Initial::Used(Bytes(8 << 20)) };
    let guest =
        GuestProfile { churn: Rate(2_000), write_size: Bytes(65536), hot_spot: Bytes(8 << 20), disk: 0 };
    let vm = NewVm {
        name: "web01".into(),
        host: HV1,
        disks: vec![disk],
        guest: Some(guest),
        power: Power::Running,
        adapters: Vec::new(),
        integration_services: true,
    };
    sim.add_vm(vm).expect("it is there, and the store works");
    sim
}

/// As [`small`], protected.
pub fn small_protected() -> Tested {
    small_protected_with(Profile::default())
}

pub fn small_protected_with(profile: Profile) -> Tested {
    let mut sim = small_with(profile);
    job(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
    job(&mut sim, A, &Operation::StartInitialReplication { kind: InitialKind::Network, at: None });
    sim
}

pub fn settings() -> Settings {
    Settings { recovery_history: 4, ..Settings::default() }
}

/// As [`bare`], protected.
pub fn protected() -> Tested {
    protected_with(Profile::default())
}

pub fn protected_with(profile: Profile) -> Tested {
    let mut sim = bare_with(profile);
    job(&mut sim, A, &Operation::Enable { to: HV2, settings: settings() });
    job(&mut sim, A, &Operation::StartInitialReplication { kind: InitialKind::Network, at: None });
    assert_states(
        &sim,
        (Mode::Primary, ReplicationState::Replicating),
        (Mode::Replica, ReplicationState::Replicating),
    );
    sim
}

pub fn call(sim: &mut Tested, copy: CopyId, operation: Operation) -> Outcome {
    sim.operate(copy, "test", operation).expect("it is there, and the store works")
}

/// Calls, and waits for the job; it must be accepted. The job's end state.
pub fn job_end(sim: &mut Tested, copy: CopyId, operation: &Operation) -> JobState {
    let outcome = call(sim, copy, operation.clone());
    assert!(outcome.code.accepted(), "{operation:?}: {outcome:?}");
    let Some(id) = outcome.job else { return JobState::Completed };
    let limit = sim.world.now + Span::DAY;
    loop {
        let view = sim.job(copy.host, id).expect("a job under way is known");
        if view.state.ended() {
            return view.state;
        }
        assert!(
            sim.step(limit).expect("it is there, and the store works"),
            "the job {operation:?} does not end: {view:?}"
        );
    }
}

pub fn job(sim: &mut Tested, copy: CopyId, operation: &Operation) {
    let end = job_end(sim, copy, operation);
    assert_eq!(end, JobState::Completed, "{operation:?}\n{}", transcript(sim));
}

pub fn until(sim: &mut Tested, copy: CopyId, state: ReplicationState) {
    let limit = sim.world.now + Span(3 * Span::DAY.0);
    while sim.copy(copy).map(|c| c.state) != Some(state) {
        assert!(
            sim.step(limit).expect("it is there, and the store works"),
            "{copy:?} never becomes {state}\n{}",
            transcript(sim)
        );
    }
}

pub fn state(sim: &Tested, copy: CopyId) -> (Mode, ReplicationState) {
    sim.copy(copy).map(|c| (c.mode, c.state)).expect("the copy exists")
}

pub fn assert_states(sim: &Tested, a: (Mode, ReplicationState), b: (Mode, ReplicationState)) {
    assert_eq!((state(sim, A), state(sim, B)), (a, b), "\n{}", transcript(sim));
}

pub fn hours(sim: &mut Tested, hours: u64) {
    sim.advance(Span(hours * Span::HOUR.0)).expect("it is there, and the store works");
}

pub fn write(sim: &mut Tested, copy: CopyId, tag: &str, offset: u64) {
    sim.write(copy, 0, offset, Bytes(1 << 20), tag)
        .expect("it is there, and the store works")
        .expect("it is there, and the store works");
}

pub fn tags(losses: &[hvrsim_sim::ledger::Loss]) -> Vec<&str> {
    losses.iter().filter_map(|l| l.tag.as_deref()).collect()
}

pub fn transcript(sim: &Tested) -> String {
    let records: Vec<Record> = sim.recorder.clone().take();
    let line = |r: &Record| format!("{} {:?} {:?}\n", r.at, r.host, r.what);
    let quiet =
        |r: &&Record| !matches!(&r.what, What::Note(hvrsim_replica::exchange::Note::Delivered { .. }));
    records.iter().filter(quiet).map(line).collect()
}

/// The last part of the transcript.
pub fn tail(sim: &Tested) -> String {
    let all = transcript(sim);
    let lines: Vec<&str> = all.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// Replays the ledger into fresh disks: what a view of a copy must hold.
pub fn assert_content(sim: &Tested, copy: CopyId, view: View, content: Position) {
    let mut store = sim.store.clone();
    let fresh = CopyId { host: HostId(99), vm: copy.vm.machine() };
    let vm = sim.world.vm(copy.vm);
    store.create(fresh, &vm.disks).expect("it is there, and the store works");
    for (writer, entry) in sim.world.ledger.entries(content) {
        match &entry.what {
            Written::Tagged(write, _) => store.write(fresh, write).expect("it is there, and the store works"),
            Written::Burst(burst) => {
                let name = &sim.world.vm(writer.vm).name;
                let rng = places(sim.world.seed, writer.host, name, burst.drawn);
                for write in writes(
                    &vm.guest.expect("it is there, and the store works"),
                    vm.disks[0].size,
                    *burst,
                    rng,
                ) {
                    store.write(fresh, &write).expect("it is there, and the store works");
                }
            }
        }
    }
    let difference =
        store.difference((copy, view), (fresh, View::Live)).expect("it is there, and the store works");
    assert_eq!(difference, None, "{copy:?} {view:?}\n{}", tail(sim));
}

/// Every copy and every listed point holds what the ledger says.
pub fn assert_contents(sim: &Tested) {
    for copy in sim.world.copies().collect::<Vec<_>>() {
        let machine = sim.world.machine(copy).expect("it is there, and the store works");
        if machine.mixed {
            continue;
        }
        assert_content(sim, copy, View::Live, machine.content.live);
        for point in sim.points(copy) {
            assert_content(sim, copy, View::Point(point.id), sim.world.points[&point.id].content);
        }
    }
}
