//! Looks on while something is done to a world: tells the oracle what an onlooker can know, and holds every claim, and
//! what the oracle says, against the world.

use std::collections::BTreeMap;

use hvrsim_replica::copy::{Copy, FailbackStep, Phase, Run};
use hvrsim_replica::exchange::Log;
use hvrsim_sim::Sim;
use hvrsim_sim::guest::{places, writes};
use hvrsim_sim::ledger::{Entry, Written};
use hvrsim_sim::store::{DiskStore, StoreResult, View, Write, WriteNo};
use hvrsim_sim::world::World;
use hvrsim_types::id::{CopyId, HostId, SessionId};
use hvrsim_types::state::{Mode, ReplicationType};
use hvrsim_types::time::Span;

use crate::act::{Act, BLOCK, Done, attempt};
use crate::oracle::{Content, LogName, Oracle};
use crate::property::{self, Held, Violation, broken};

/// An onlooker.
#[derive(Clone, Debug)]
pub struct Watch {
    /// What everything must hold.
    pub oracle: Oracle,
    before: BTreeMap<CopyId, Copy>,
    world: World,
}

/// More events in so little time go on without end.
const EVENTS: u64 = 5_000;

impl Watch {
    /// Begins with a world in which nothing has been written and nothing replicates, whose machines' disks have so many
    /// blocks in use.
    #[must_use]
    pub fn new(world: &World, used: u64) -> Self {
        let mut oracle = Oracle::default();
        for copy in world.copies() {
            oracle.begin(copy, used);
        }
        let mut watch = Self { oracle, before: BTreeMap::new(), world: world.clone() };
        watch.remember(world);
        watch
    }

    fn remember(&mut self, world: &World) {
        let state = |copy| property::state(world, copy).map(|state| (copy, state.clone()));
        self.before = world.copies().filter(|copy| !copy.vm.is_test()).filter_map(state).collect();
        self.world.clone_from(world);
    }

    /// Carries an act out, one event after the other, and looks at each.
    ///
    /// # Errors
    /// Outside, the store failed; inside, a claim that does not hold.
    pub fn perform<D: DiskStore>(
        &mut self,
        act: Act,
        sim: &mut Sim<D>,
    ) -> StoreResult<Result<Done, Violation>> {
        if let Act::Wait(span) = act {
            return Ok(self.wait(span, sim)?.map(|()| Done::Yes));
        }
        let done = match attempt(act, sim)? {
            Ok(done) => done,
            Err(violation) => return Ok(Err(violation)),
        };
        if let Done::Answered(outcome) = &done
            && let Err(violation) = self.answered(act, outcome, &sim.world)
        {
            return Ok(Err(violation));
        }
        Ok(self.look(&sim.world).map(|()| done))
    }

    fn wait<D: DiskStore>(&mut self, span: Span, sim: &mut Sim<D>) -> StoreResult<Held> {
        let limit = sim.world.now + span;
        let mut events = 0;
        loop {
            let step = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sim.step(limit)));
            let Ok(step) = step else { return Ok(broken("panic", "while time passed")) };
            let more = step?;
            if let Err(violation) = self.look(&sim.world) {
                return Ok(Err(violation));
            }
            events += 1;
            if !more {
                return Ok(Ok(()));
            }
            if events > EVENTS + span.as_seconds() {
                return Ok(broken("rest", format!("{events} events in {span}")));
            }
        }
    }

    /// A refusal changes nothing and says why; what is accepted says by which rule.
    fn answered(&self, act: Act, outcome: &hvrsim_replica::Outcome, world: &World) -> Held {
        let Act::Ask(copy, call, _) = act else { return Ok(()) };
        let accepted = outcome.code.accepted();
        if accepted != outcome.refusal.is_none() {
            return broken("refusal", format!("{call:?} is answered {outcome:?}"));
        }
        let was = self.before.get(&copy).map(|state| (state.mode, state.state()));
        if !accepted && was.is_some_and(|was| was != property::side(world, copy)) {
            return broken("refusal", format!("a refused {call:?} changed the state"));
        }
        Ok(())
    }

    /// Looks at the world after an event.
    ///
    /// # Errors
    /// A claim that does not hold.
    pub fn look(&mut self, world: &World) -> Held {
        for copy in world.copies().filter(|copy| !copy.vm.is_test()) {
            self.follow(world, copy);
        }
        let held = property::step(&self.world, world).and_then(|()| property::now(world));
        self.remember(world);
        held
    }

    /// What the guest has written since the last look.
    fn written(&mut self, world: &World, copy: CopyId) {
        let (Some(was), Some(now)) = (self.world.machine(copy), world.machine(copy)) else { return };
        let (was, now) = (was.content.live, &now.content);
        if was == now.live {
            return;
        }
        let over = now.base != now.live;
        let entries = world.ledger.entries(now.live);
        let fresh =
            |(writer, entry): &&(CopyId, &Entry)| *writer == copy && first(entry) > self.oracle.newest();
        let count = entries.iter().rev().take_while(fresh).count();
        for (_, entry) in entries.iter().skip(entries.len() - count) {
            for write in writes_of(world, copy, entry) {
                let blocks = write.offset / BLOCK..(write.offset + write.len).div_ceil(BLOCK);
                self.oracle.write(copy, write.no.0, blocks, over);
            }
        }
    }

    /// What an event has done to a copy, as far as an onlooker sees it.
    fn follow(&mut self, world: &World, copy: CopyId) {
        self.written(world, copy);
        let Some(now) = property::state(world, copy) else { return };
        if !self.oracle.knows(copy) {
            self.oracle.create(copy);
        }
        let was = self.before.get(&copy).cloned().unwrap_or_default();
        // Logs that this copy closed, and those that it applied, in their order.
        if let Some(sending) = now.sending
            && was.sending.is_none_or(|before| {
                before.log.closed != sending.log.closed || before.log.seq != sending.log.seq
            })
        {
            self.oracle.close(copy, name(copy, sending.log));
        }
        let from = was.peer.or(now.peer).map(|host| CopyId { host, vm: copy.vm });
        let applied = was.received.front().filter(|log| now.received.front() != Some(*log));
        if let (Some(log), Some(from)) = (applied, from)
            && now.last_apply > was.last_apply
        {
            self.oracle.apply(copy, name(from, *log));
        }
        self.follow_sessions(copy, &was, now);
        self.follow_failover(copy, &was, now);
        for point in now.points.iter().filter(|point| was.points.iter().all(|known| known.id != point.id)) {
            self.oracle.point(copy, point.id);
        }
    }

    fn follow_sessions(&mut self, copy: CopyId, was: &Copy, now: &Copy) {
        if let Some(run) = run(now)
            && run_of(was) != Some(run.session)
        {
            self.oracle.bring(copy, run.session);
        }
        if let Some(served) = now.served
            && was.served.map(|s| s.session) != Some(served.session)
        {
            if served.unlisted && now.point(served.point).is_none() {
                self.oracle.bring(copy, served.session);
            } else {
                self.oracle.bring_point(served.point, served.session);
            }
        }
        match (&was.phase, &now.phase) {
            (
                Phase::Awaiting { session: Some(session) } | Phase::ResyncReceiving { session, .. },
                Phase::Replicating,
            ) if now.initial_complete && now.last_replication != was.last_replication => {
                self.oracle.arrived(copy, *session);
            }
            (Phase::ResyncReceiving { .. }, Phase::ResyncReceiving { .. }) => {}
            (Phase::ResyncReceiving { .. }, _) => self.oracle.restore(copy),
            (
                _,
                Phase::Awaiting { session: Some(_) } | Phase::ResyncReceiving { .. } | Phase::Failback(_),
            ) => {
                // An inconsistent disk that is being resynchronized goes back to being inconsistent.
                self.oracle.mix(copy);
            }
            (Phase::Failback(run), Phase::FailbackDone(received)) if received.session == run.session => {
                if now.failed_over_type == ReplicationType::Planned {
                    self.oracle.equals(copy, CopyId { host: run.from, vm: copy.vm });
                } else {
                    self.oracle.arrived(copy, run.session);
                }
            }
            (Phase::Failback(run), _) if !now.inconsistent || !began(&run.step) => self.oracle.restore(copy),
            _ => {}
        }
        if now.inconsistent {
            self.oracle.mix(copy);
        }
    }

    fn follow_failover(&mut self, copy: CopyId, was: &Copy, now: &Copy) {
        match (&was.phase, &now.phase) {
            (Phase::Recovering { .. }, Phase::Recovered { point }) => self.oracle.failover(copy, *point),
            (Phase::Recovered { .. }, Phase::Recovered { .. }) => {}
            (Phase::Recovered { .. }, Phase::Replicating) if now.mode == Mode::Replica => {
                self.oracle.revert(copy);
            }
            (Phase::Recovered { .. }, _) => self.oracle.commit(copy),
            _ => {}
        }
    }

    /// Holds what every copy and every listed recovery point has against what the oracle says, and asks for what a
    /// failover would show.
    ///
    /// # Errors
    /// Outside, the store failed; inside, a claim that does not hold.
    pub fn contents<D: DiskStore>(&self, sim: &mut Sim<D>) -> StoreResult<Held> {
        let copies: Vec<CopyId> = sim.world.copies().filter(|copy| !copy.vm.is_test()).collect();
        for copy in copies {
            if let Some(content) = self.oracle.content(copy)
                && differs(sim, copy, View::Live, content)?
            {
                let host = &sim.world.host(copy.host).name;
                return Ok(broken("content", format!("the disk on {host} is not what was written")));
            }
            let points = property::state(&sim.world, copy).map(|c| c.points.clone()).unwrap_or_default();
            for point in points {
                let Some(content) = self.oracle.content_of(point.id) else { continue };
                if differs(sim, copy, View::Point(point.id), content)? {
                    let text = format!("{:?} does not show the moment that it was taken of", point.id);
                    return Ok(broken("recovery-point", text));
                }
            }
        }
        Ok(Ok(()))
    }
}

fn name(copy: CopyId, log: Log) -> LogName {
    (copy, log.seq.0, log.closed.0)
}

/// The number of an entry's first write.
fn first(entry: &Entry) -> u64 {
    match &entry.what {
        Written::Tagged(write, _) => write.no.0,
        Written::Burst(burst) => burst.first.0,
    }
}

fn writes_of(world: &World, copy: CopyId, entry: &Entry) -> Vec<Write> {
    let vm = world.vm(copy.vm);
    match (&entry.what, vm.guest) {
        (Written::Tagged(write, _), _) => vec![*write],
        (Written::Burst(burst), Some(guest)) => {
            let size = world.disk_size(copy.vm, guest.disk).unwrap_or_default();
            let rng = places(world.seed, copy.host, &vm.name, burst.drawn);
            writes(&guest, size, *burst, rng).collect()
        }
        (Written::Burst(_), None) => Vec::new(),
    }
}

fn run(copy: &Copy) -> Option<Run> {
    match &copy.phase {
        Phase::Initial(run, _) | Phase::Resync(run) | Phase::ResyncSuspended(run) => Some(*run),
        _ => None,
    }
}

fn run_of(copy: &Copy) -> Option<SessionId> {
    run(copy).map(|run| run.session)
}

const fn began(step: &FailbackStep) -> bool {
    !matches!(step, FailbackStep::Asking)
}

/// Whether a view of a copy differs from what it must hold. The content is written into a disk of its own, on a host
/// beyond the last one, for which a store of images needs a name, too.
fn differs<D: DiskStore>(sim: &mut Sim<D>, copy: CopyId, view: View, content: &Content) -> StoreResult<bool> {
    let beside = u16::try_from(sim.world.hosts.len()).unwrap_or(u16::MAX);
    let fresh = CopyId { host: HostId(beside), vm: copy.vm };
    let mut disks = sim.world.vm(copy.vm).disks.clone();
    for disk in &mut disks {
        disk.initial = hvrsim_sim::store::Initial::Blank;
    }
    sim.store.create(fresh, &disks)?;
    for (block, number) in content {
        let write = Write { no: WriteNo(*number), disk: 0, offset: block * BLOCK, len: BLOCK };
        sim.store.write(fresh, &write)?;
    }
    let difference = sim.store.difference((copy, view), (fresh, View::Live))?;
    sim.store.remove(fresh)?;
    Ok(difference.is_some())
}
