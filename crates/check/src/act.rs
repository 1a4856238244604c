//! One thing that an operator does, that breaks, or that happens, in words that mean the same in every world: recovery
//! points by their place, jobs by being under way. A list of acts is a trace that can be made again, cut and told.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hvrsim_replica::exchange::{Outcome, TimerKind};
use hvrsim_replica::operation::{
    FailbackSettings, Frequency, InitialKind, Operation, PointChoice, Settings, SettingsChange,
};
use hvrsim_replica::rule::Call;
use hvrsim_replica::service::Trust;
use hvrsim_sim::pending::Key;
use hvrsim_sim::sim::WriteError;
use hvrsim_sim::store::{DiskStore, ResyncCounts, StoreResult};
use hvrsim_sim::trace::HostPower;
use hvrsim_sim::world::{Event, Load, World};
use hvrsim_sim::{Look, Sim};
use hvrsim_types::id::{CopyId, HostId, PointId, SessionId};
use hvrsim_types::size::Bytes;
use hvrsim_types::time::Span;
use serde::Serialize;

use crate::property::{Violation, state};

/// What an operator's call takes, where there is a choice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum With {
    /// The defaults: now, over the network, to or from the other host, the latest recovery point.
    Defaults,
    /// This recovery point, counted from the newest, which is 0. Of a failback: of the other host's.
    Point(u8),
    /// A recovery point that does not exist.
    NoSuchPoint,
    /// Initial replication from a copy that is already there.
    Seeded,
    /// In ten minutes.
    Later,
    /// To or from this host.
    Host(HostId),
    /// This frequency and number of additional recovery points, automatic resynchronization at any time or never.
    Settings {
        /// See [`Settings::frequency`].
        frequency: Frequency,
        /// See [`Settings::recovery_history`].
        history: u8,
        /// See [`Settings::auto_resync`].
        auto_resync: bool,
    },
}

/// What happens by itself: the oldest of its kind that is under way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum Happening {
    /// A copy's timer fires.
    Timer(CopyId, TimerKind),
    /// What is first on a link arrives.
    Delivery(u16),
    /// A host notices that a request is not answered.
    Unanswered(CopyId),
    /// A disk operation of a copy ends.
    DiskWork(CopyId),
    /// A session's disks have been read.
    Read(CopyId),
    /// The leader of a session notices that its connection broke.
    Broken(CopyId),
    /// A link's cut ends.
    LinkBack(u16),
}

/// One act.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum Act {
    /// An operator calls on a copy.
    Ask(CopyId, Call, With),
    /// A guest writes so many blocks of 64 KiB from this one on.
    Write {
        /// The copy.
        copy: CopyId,
        /// The first block.
        block: u16,
        /// How many.
        blocks: u16,
    },
    /// Time passes, and what is due in it happens.
    Wait(Span),
    /// An hour passes in which nothing happens: what was due is late.
    Hour,
    /// This happens next, whatever else is due.
    Happens(Happening),
    /// The link between two hosts is cut.
    Cut(HostId, HostId),
    /// It is mended.
    Mend(HostId, HostId),
    /// A host loses power, shuts down or is back.
    Power(HostId, Turn),
    /// What others find when they authenticate to the host.
    Trust(HostId, Trust),
    /// The worker process of a machine crashes.
    Worker(CopyId),
}

/// What becomes of a host's power.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum Turn {
    /// It is lost.
    Lost,
    /// The host shuts down in order.
    Off,
    /// It is back.
    Back,
}

impl Turn {
    const fn power(self) -> HostPower {
        match self {
            Self::Lost => HostPower::Lost,
            Self::Off => HostPower::Off,
            Self::Back => HostPower::Back,
        }
    }
}

/// What became of an act.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Done {
    /// It happened.
    Yes,
    /// There was nothing for it to act on.
    Nothing,
    /// An operator's call was answered.
    Answered(Outcome),
}

/// A guest's writes are of this size.
pub const BLOCK: u64 = 64 << 10;

impl Act {
    /// Whether it breaks something; recovery must not need it.
    #[must_use]
    pub const fn is_fault(self) -> bool {
        match self {
            Self::Cut(..) | Self::Worker(_) => true,
            Self::Power(_, turn) => !matches!(turn, Turn::Back),
            Self::Trust(_, trust) => !matches!(trust, Trust::Intact),
            _ => false,
        }
    }

    /// Carries it out.
    ///
    /// # Errors
    /// The store failed.
    pub fn perform<D: DiskStore>(self, sim: &mut Sim<D>) -> StoreResult<Done> {
        match self {
            Self::Ask(copy, call, with) => return ask(sim, copy, call, with),
            Self::Write { copy, block, blocks } => {
                let (offset, len) = (u64::from(block) * BLOCK, Bytes(u64::from(blocks) * BLOCK));
                let tag = format!("w{}", sim.recorder.count());
                let written: Result<(), WriteError> = sim.write(copy, 0, offset, len, &tag)?;
                return Ok(if written.is_ok() { Done::Yes } else { Done::Nothing });
            }
            Self::Wait(span) => sim.advance(span)?,
            Self::Hour => sim.pass(Span::HOUR),
            Self::Happens(happening) => return happen(sim, happening),
            Self::Cut(a, b) => {
                sim.cut_link(a, b, None)?;
            }
            Self::Mend(a, b) => {
                sim.mend_link(a, b);
            }
            Self::Power(host, turn) => sim.host_power(host, turn.power())?,
            Self::Trust(host, trust) => sim.set_trust(host, trust),
            Self::Worker(copy) => {
                sim.worker_crash(copy)?;
            }
        }
        Ok(Done::Yes)
    }
}

/// Carries an act out; a panic, which is a broken invariant of the program, is a violation. The world is of no use then.
///
/// # Errors
/// The store failed.
pub fn attempt<D: DiskStore>(act: Act, sim: &mut Sim<D>) -> StoreResult<Result<Done, Violation>> {
    let done = catch_unwind(AssertUnwindSafe(|| act.perform(sim)));
    match done {
        Ok(done) => Ok(Ok(done?)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let found = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned();
            Ok(Err(Violation { claim: "panic", found }))
        }
    }
}

/// A call on a host that is down, or that has not got the machine, does not reach anybody.
fn ask<D: DiskStore>(sim: &mut Sim<D>, copy: CopyId, call: Call, with: With) -> StoreResult<Done> {
    if !sim.world.host(copy.host).up || sim.world.machine(copy).is_none() {
        return Ok(Done::Nothing);
    }
    let Some(operation) = operation(&sim.world, copy, call, with) else { return Ok(Done::Nothing) };
    Ok(Done::Answered(sim.operate(copy, call.cmdlet(), operation)?))
}

fn happen<D: DiskStore>(sim: &mut Sim<D>, wanted: Happening) -> StoreResult<Done> {
    let found = sim.world.pending().find(|(_, event)| happening(&sim.world, event) == Some(wanted));
    let Some((key, _)) = found else { return Ok(Done::Nothing) };
    let Happening::Delivery(link) = wanted else {
        sim.fire(key)?;
        return Ok(Done::Yes);
    };
    let before = progress(sim);
    let mut next = Some(key);
    // Steps of a session that nobody can tell apart are one.
    while let Some(key) = next {
        let of_session = carries_sessions_only(&sim.world, link);
        sim.fire(key)?;
        // What has crossed a link is there: nothing comes between.
        while let Some(key) = arriving(&sim.world) {
            sim.fire(key)?;
        }
        let read = of_session && progress(sim) == before;
        next = if read { after_read(sim, link)? } else { None };
    }
    Ok(Done::Yes)
}

/// How far every session is.
fn progress<D: DiskStore>(sim: &Sim<D>) -> Vec<(SessionId, ResyncCounts)> {
    sim.world.sessions().keys().map(|id| (*id, sim.store.resync_counts(*id))).collect()
}

fn carries_sessions_only(world: &World, link: u16) -> bool {
    let mut flows = world.flows().values().filter(|flow| flow.link == link);
    flows.all(|flow| matches!(flow.load, Load::Session(..)))
}

/// A session's disks are read; what then goes over the link, if that is all that does.
fn after_read<D: DiskStore>(sim: &mut Sim<D>, link: u16) -> StoreResult<Option<Key>> {
    let find = |world: &World, wanted: &dyn Fn(&Event) -> bool| {
        world.pending().find(|(_, event)| wanted(event)).map(|(key, _)| key)
    };
    let Some(key) = find(&sim.world, &|event| matches!(event, Event::SessionRead { .. })) else {
        return Ok(None);
    };
    sim.fire(key)?;
    if !carries_sessions_only(&sim.world, link) {
        return Ok(None);
    }
    Ok(find(&sim.world, &|event| matches!(event, Event::Flows { link: of, .. } if *of == link)))
}

/// What has crossed a link.
fn arriving(world: &World) -> Option<Key> {
    let arrives = |event: &Event| matches!(event, Event::Arrive(_) | Event::SessionArrived { .. });
    world.pending().find(|(_, event)| arrives(event)).map(|(key, _)| key)
}

/// What an event of the queue is called; `None` for what belongs to another happening.
#[must_use]
pub fn happening(world: &World, event: &Event) -> Option<Happening> {
    let leader = |session| world.sessions().get(session).map(|s| s.leader);
    Some(match event {
        Event::Timer(copy, kind) => Happening::Timer(*copy, *kind),
        Event::Flows { link, .. } => Happening::Delivery(*link),
        Event::Arrive(_) | Event::SessionArrived { .. } => return None,
        Event::Broken { to, vm, .. } => Happening::Unanswered(CopyId { host: *to, vm: *vm }),
        Event::Done { copy, .. } => Happening::DiskWork(*copy),
        Event::SessionRead { session, .. } => Happening::Read(leader(session)?),
        Event::SessionBroken { session, .. } => Happening::Broken(leader(session)?),
        Event::LinkBack { link, .. } => Happening::LinkBack(*link),
        // Ends of incidents that nothing here begins.
        Event::HostBack { .. } | Event::NodeSilent { .. } | Event::Flap { .. } | Event::Mended { .. } => {
            return None;
        }
    })
}

/// The recovery point at this place, counted from the newest.
#[must_use]
pub fn point_at(world: &World, copy: CopyId, place: u8) -> Option<PointId> {
    let points = &state(world, copy)?.points;
    points.iter().rev().nth(place.into()).map(|point| point.id)
}

/// Where a copy's data goes, or comes from, if nobody says otherwise: its peer, or the first other host.
#[must_use]
pub fn other_host(world: &World, copy: CopyId) -> HostId {
    let peer = state(world, copy).and_then(|state| state.peer);
    peer.unwrap_or(if copy.host == HostId(0) { HostId(1) } else { HostId(0) })
}

/// A relationship's settings where a small world has no others.
#[must_use]
pub fn settings() -> Settings {
    Settings { recovery_history: 1, ..Settings::default() }
}

/// The operation with its parameters out of the present world; `None` if it makes no sense here.
#[must_use]
pub fn operation(world: &World, copy: CopyId, call: Call, with: With) -> Option<Operation> {
    let later = (with == With::Later).then(|| world.now + Span::minutes(10));
    let other = if let With::Host(host) = with { host } else { other_host(world, copy) };
    let choice = |of: CopyId| match with {
        With::Point(place) => point_at(world, of, place).map(PointChoice::Id),
        With::NoSuchPoint => Some(PointChoice::Unknown),
        _ => Some(PointChoice::Latest),
    };
    Some(match call {
        Call::Enable => Operation::Enable { to: other, settings: settings() },
        Call::AsReplica => Operation::AsReplica,
        Call::StartInitialReplication => {
            let kind = if with == With::Seeded { InitialKind::Seeded } else { InitialKind::Network };
            Operation::StartInitialReplication { kind, at: later }
        }
        Call::StopInitialReplication => Operation::StopInitialReplication,
        Call::Modify => Operation::Modify(change(with)),
        Call::PromoteExtended => Operation::PromoteExtended,
        Call::Suspend => Operation::Suspend,
        Call::Resume => Operation::Resume,
        Call::Resynchronize => Operation::Resynchronize { at: later },
        Call::StopResynchronize => Operation::StopResynchronize,
        Call::Prepare => Operation::Prepare,
        Call::Failover => Operation::Failover { point: choice(copy)? },
        Call::ManagerFailover => Operation::ManagerFailover { point: choice(copy)? },
        Call::TestFailover => Operation::TestFailover { point: choice(copy)? },
        Call::RevertFailover => Operation::RevertFailover,
        Call::CommitFailover => Operation::CommitFailover,
        Call::Reverse => {
            let to = if let With::Host(host) = with { Some(host) } else { None };
            Operation::Reverse { to, change: SettingsChange::default() }
        }
        Call::InitiateFailback => {
            let settings = FailbackSettings::Given { from: Some(other), capable: true };
            let point = choice(CopyId { host: other, vm: copy.vm })?;
            Operation::InitiateFailback { settings, point }
        }
        Call::Remove => Operation::Remove,
        Call::ResetStatistics => Operation::ResetStatistics,
        // A small world has no network adapters and no cluster.
        Call::SetAdapters | Call::MoveVm => return None,
        Call::StartVm => Operation::StartVm,
        Call::StopVm => Operation::StopVm,
        Call::TurnOffVm => Operation::TurnOffVm,
        Call::SaveVm => Operation::SaveVm,
        Call::RemoveSavedState => Operation::RemoveSavedState,
        Call::Checkpoint => Operation::Checkpoint,
        Call::RemoveCheckpoints => Operation::RemoveCheckpoints,
        Call::DestroyVm => Operation::DestroyVm,
        // The oracle's disks have one size, and no media are carried.
        Call::ResizeDisk | Call::ExportInitialReplica | Call::ImportInitialReplica => return None,
        Call::CancelJob => {
            let state = state(world, copy)?;
            Operation::CancelJob(state.job.or(state.scheduled.map(|s| s.job))?)
        }
    })
}

fn change(with: With) -> SettingsChange {
    match with {
        With::Settings { frequency, history, auto_resync } => SettingsChange {
            frequency: Some(frequency),
            recovery_history: Some(history),
            auto_resync: Some(auto_resync),
            auto_resync_start: Some(Span::ZERO),
            auto_resync_end: Some(Span::minutes(60 * 24 - 1)),
            ..SettingsChange::default()
        },
        _ => SettingsChange::default(),
    }
}

/// An act with the names of a world.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a, D>(pub &'a Sim<D>, pub Act);

impl<D: DiskStore> fmt::Display for Told<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(sim, act) = *self;
        let host = |id: HostId| sim.host_name(id).to_owned();
        let copy = |id: CopyId| format!("{}/{}", sim.host_name(id.host), sim.vm_name(id.vm));
        let link = |id: u16| {
            let ends = sim.world.links[usize::from(id)].ends;
            format!("{}-{}", host(ends.0), host(ends.1))
        };
        match act {
            Act::Ask(id, call, with) => {
                write!(f, "{}: {}", copy(id), call.cmdlet())?;
                match with {
                    With::Defaults => Ok(()),
                    With::Point(place) => write!(f, ", recovery point -{}", place + 1),
                    With::NoSuchPoint => f.write_str(", a recovery point that is not there"),
                    With::Seeded => f.write_str(", from a copy that is there"),
                    With::Later => f.write_str(", in ten minutes"),
                    With::Host(id) => write!(f, ", {}", host(id)),
                    With::Settings { frequency, history, auto_resync } => {
                        let every = frequency.interval_s();
                        write!(f, ", every {every}s, {history} points, automatic resync {auto_resync}")
                    }
                }
            }
            Act::Write { copy: id, blocks, .. } => {
                write!(f, "{}: the guest writes {}", copy(id), Bytes(u64::from(blocks) * BLOCK))
            }
            Act::Wait(span) => write!(f, "{span} pass"),
            Act::Hour => f.write_str("an hour passes"),
            Act::Happens(happening) => match happening {
                Happening::Timer(id, kind) => write!(f, "{}: {}", copy(id), timer(kind)),
                Happening::Delivery(id) => write!(f, "{}: what is on its way arrives", link(id)),
                Happening::Unanswered(id) => write!(f, "{}: no answer comes", copy(id)),
                Happening::DiskWork(id) => write!(f, "{}: the disks are done", copy(id)),
                Happening::Read(id) => write!(f, "{}: the session's disks are read", copy(id)),
                Happening::Broken(id) => write!(f, "{}: the session's connection is found broken", copy(id)),
                Happening::LinkBack(id) => write!(f, "{}: carries again", link(id)),
            },
            Act::Cut(a, b) => write!(f, "{}-{}: cut", host(a), host(b)),
            Act::Mend(a, b) => write!(f, "{}-{}: mended", host(a), host(b)),
            Act::Power(id, turn) => {
                let text = match turn {
                    Turn::Lost => "loses power",
                    Turn::Off => "shuts down",
                    Turn::Back => "is started",
                };
                write!(f, "{}: {text}", host(id))
            }
            Act::Trust(id, trust) => write!(f, "{}: {}", host(id), trust.text()),
            Act::Worker(id) => write!(f, "{}: the worker process crashes", copy(id)),
        }
    }
}

const fn timer(kind: TimerKind) -> &'static str {
    match kind {
        TimerKind::Cycle => "the next cycle is due",
        TimerKind::Retry => "it tries again",
        TimerKind::Point => "the hourly recovery point is due",
        TimerKind::Window => "the window of the automatic resynchronization opens",
        TimerKind::Scheduled => "the scheduled start is due",
        TimerKind::Watch => "it asks whether the other side still goes on",
    }
}
