//! The simulator: a world and its disks, driven by one event after the other.

use hvrsim_replica::Service;
use hvrsim_replica::copy::Phase;
use hvrsim_replica::exchange::{Envelope, Input, Outcome, Output, Request};
use hvrsim_replica::operation::Operation;
use hvrsim_replica::profile::Profile;
use hvrsim_replica::rule::{Facts, Storage};
use hvrsim_replica::service::Moment;
use hvrsim_types::id::{CopyId, HostId, VmId, guid};
use hvrsim_types::network::Adapter;
use hvrsim_types::size::{Bytes, CELL, Rate};
use hvrsim_types::state::Power;
use hvrsim_types::time::{Calendar, Instant, Span};

use crate::guest::{Burst, GuestProfile, places, writes};
use crate::incident::{Ill, Target};
use crate::ledger::{Entry, Written};
use crate::link::Link;
use crate::store::{DiskSpec, DiskStore, StoreResult, Write};
use crate::trace::{Recorder, What, refusal_text};
use crate::world::{Content, Event, Host, Machine, VmInfo, World};

/// A machine to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewVm {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub host: HostId,
    /// Its disks.
    pub disks: Vec<DiskSpec>,
    /// What its guest writes.
    pub guest: Option<GuestProfile>,
    /// Power at the start.
    pub power: Power,
    /// Its network adapters.
    pub adapters: Vec<Adapter>,
    /// The guest's integration services answer.
    pub integration_services: bool,
}

/// Why a scripted write is not possible.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteError {
    /// The guest does not run there.
    #[error("the machine is {0} there; a guest writes only while it runs")]
    NotRunning(Power),
    /// There is no such copy.
    #[error("the host holds no copy of the machine")]
    NoCopy,
    /// There is no such disk.
    #[error("the machine has no disk {0}")]
    NoDisk(u8),
    /// Outside the disk.
    #[error("the write ends at {end}, the disk has {size}")]
    TooFar {
        /// Its end.
        end: Bytes,
        /// The disk's size.
        size: Bytes,
    },
    /// Not on the grain.
    #[error("offset and bytes must be multiples of 4KiB")]
    Misaligned,
}

/// A world with its disks.
#[derive(Clone, Debug)]
pub struct Sim<D> {
    /// The world.
    pub world: World,
    /// Its disks.
    pub store: D,
    /// The trace.
    pub recorder: Recorder,
}

impl<D: DiskStore> Sim<D> {
    /// An empty world.
    pub fn new(seed: u64, calendar: Calendar, profile: Profile, store: D) -> Self {
        Self { world: World::new(seed, calendar, profile), store, recorder: Recorder::default() }
    }

    /// Adds a host, which gets the next id.
    pub fn add_host(&mut self, name: &str, disk_rate: Rate, accepts: bool) -> HostId {
        let id = HostId(u16::try_from(self.world.hosts.len()).unwrap_or(u16::MAX));
        self.world.hosts.push(Host {
            name: name.to_owned(),
            up: true,
            boot: 0,
            disk_rate: Rate(disk_rate.0.max(1)),
            switches: None,
            service: Service::new(id, accepts),
            machines: hvrsim_types::vm_map::VmMap::default(),
        });
        id
    }

    /// Joins two hosts.
    pub fn add_link(&mut self, a: HostId, b: HostId, rate: Rate, latency: Span) {
        self.world.links.push(Link::new((a, b), rate, latency));
    }

    /// Adds a machine, which gets the next id, and makes its disks.
    ///
    /// # Errors
    /// The store cannot make the disks.
    pub fn add_vm(&mut self, vm: NewVm) -> StoreResult<VmId> {
        let id = VmId(u32::try_from(self.world.vms.len()).unwrap_or(u32::MAX));
        let copy = CopyId { host: vm.host, vm: id };
        self.store.create(copy, &vm.disks)?;
        let sizes = self.store.sizes(copy);
        let disks = vm.disks.into_iter().zip(sizes).map(|(spec, size)| DiskSpec { size, ..spec }).collect();
        let guid = guid(self.world.seed, "vm", &vm.name);
        let NewVm { name, guest, adapters, integration_services, .. } = vm;
        self.world.vms.push(VmInfo { name, guid, disks, guest, adapters, integration_services });
        let content = self.world.ledger.begin(id);
        let mut machine = new_machine(content);
        machine.power = vm.power;
        machine.adapters = self.new_adapters(copy);
        self.world.host_mut(vm.host).machines.insert(id, machine);
        self.world.host_mut(vm.host).service.add(id);
        Ok(id)
    }

    /// An operator calls; what follows at once is done at once. `text` is the call as it was written.
    ///
    /// # Errors
    /// The store failed.
    pub fn operate(&mut self, copy: CopyId, text: &str, operation: Operation) -> StoreResult<Outcome> {
        self.write_guest(copy)?;
        let power = self.world.machine(copy).map_or(Power::Off, |m| m.power);
        let mut outputs = Vec::new();
        let outcome = self.put(copy, Input::Call(operation), &mut outputs)?;
        self.record_call(copy, text, power, &outcome);
        self.carry_out(outputs)?;
        Ok(outcome)
    }

    fn record_call(&mut self, copy: CopyId, text: &str, power: Power, outcome: &Outcome) {
        let call = text.to_owned();
        let what = match &outcome.refusal {
            None => What::Called { call, code: outcome.code.0, job: outcome.job },
            Some(refusal) => {
                let host = &self.world.host(copy.host).name;
                let vm = self.world.label(copy.vm);
                let text = refusal_text(&call, refusal, host, &vm, power);
                What::Refused { call, code: outcome.code.0, rule: refusal.rule.to_owned(), text }
            }
        };
        self.record(Some(copy.host), Some(copy.vm), what);
    }

    /// Puts one input into a host's service. Its outputs go on the stack, the first one on top.
    fn put(&mut self, copy: CopyId, input: Input, stack: &mut Vec<(HostId, Output)>) -> StoreResult<Outcome> {
        let mut facts = self.facts(copy);
        if matches!(input, Input::Call(Operation::ManagerFailover { .. })) {
            facts.primary_runs = self.primary_runs(copy);
        }
        if let Input::Call(Operation::ResizeDisk { disk, .. }) = input {
            facts.disk_end = self.disk_end(copy, disk).0;
        }
        if let Input::Request(Envelope { from, vm, body: Request::Delta { .. }, .. }) = &input
            && self.world.machine(copy).is_some()
        {
            facts.log_fits = self.store.log_fits(CopyId { host: *from, vm: *vm }, copy)?;
        }
        if let Input::Request(envelope) = &input
            && !self.world.moves.is_empty()
        {
            let peer = self.world.host(copy.host).service.relationship(copy.vm).and_then(|state| state.peer);
            facts.peer_moved = peer.is_some_and(|peer| self.world.has_moved(copy.vm, peer, envelope.from));
        }
        let own = self.world.own_calendar(copy.host);
        let World { hosts, calendar, profile, now, .. } = &mut self.world;
        let host = &mut hosts[usize::from(copy.host.0)];
        let moment = Moment { now: *now, calendar: own.as_ref().unwrap_or(calendar), profile };
        let mut out = Vec::new();
        let outcome = host.service.apply(&moment, copy.vm, &facts, input, &mut out);
        stack.extend(out.into_iter().rev().map(|output| (copy.host, output)));
        Ok(outcome.unwrap_or(Outcome {
            code: hvrsim_types::code::ReturnCode::COMPLETED,
            job: None,
            rule: None,
            refusal: None,
        }))
    }

    /// What a client learns that asks the primary's host by remote WMI.
    fn primary_runs(&self, copy: CopyId) -> bool {
        let state = self.world.host(copy.host).service.copies.get(&copy.vm);
        let Some(peer) = state.and_then(|state| state.peer) else { return false };
        let there = self.world.machine(CopyId { host: peer, vm: copy.vm });
        self.world.reachable(copy.host, peer).is_some() && there.is_some_and(|m| m.power == Power::Running)
    }

    fn facts(&self, copy: CopyId) -> Facts {
        let Some(machine) = self.world.machine(copy) else {
            return Facts {
                power: Power::Off,
                checkpoints: 0,
                test_vm: false,
                primary_runs: false,
                disk_missing: false,
                storage: Storage::Sound,
                directory_down: self.world.directory_down(),
                sizes: Vec::new(),
                disk_end: 0,
                log_fits: true,
                vss_fails: false,
                clustered: self.world.is_clustered(copy.host),
                peer_moved: false,
                pending_bytes: 0,
                session_wrote: false,
            };
        };
        let glance = self.store.glance(copy);
        let state = self.world.host(copy.host).service.relationship(copy.vm);
        let session_wrote = match state.map(|state| &state.phase) {
            Some(Phase::Failback(run)) if self.world.sessions.contains_key(&run.session) => {
                self.store.resync_counts(run.session).has_written()
            }
            _ => false,
        };
        Facts {
            // The service itself writes what an extended relationship sends: a machine's crash spoils nothing of it.
            power: if copy.vm.is_extended() { Power::Off } else { machine.power },
            checkpoints: machine.checkpoints,
            test_vm: copy.vm == copy.vm.machine() && glance.has_test,
            primary_runs: false,
            disk_missing: self.world.has(Ill::DiskMissing, Target::Copy(copy)),
            storage: self.world.storage(copy.host),
            directory_down: self.world.directory_down(),
            sizes: glance.sizes,
            disk_end: 0,
            log_fits: true,
            vss_fails: self.world.has(Ill::VssFails, Target::Copy(copy)),
            clustered: self.world.is_clustered(copy.host),
            peer_moved: false,
            pending_bytes: glance.pending_bytes,
            session_wrote,
        }
    }

    /// An input that the world itself makes.
    pub(crate) fn input(&mut self, copy: CopyId, input: Input) -> StoreResult<()> {
        self.write_guest(copy)?;
        let mut outputs = Vec::new();
        self.put(copy, input, &mut outputs)?;
        self.carry_out(outputs)
    }

    /// What follows from an output at once is carried out before the output behind it.
    fn carry_out(&mut self, mut stack: Vec<(HostId, Output)>) -> StoreResult<()> {
        while let Some((host, output)) = stack.pop() {
            if let Some((copy, input)) = self.output(host, output)? {
                self.put(copy, input, &mut stack)?;
            }
        }
        Ok(())
    }

    pub(crate) fn record(&mut self, host: Option<HostId>, vm: Option<VmId>, what: What) {
        self.recorder.push(self.world.now, host, vm, what);
    }

    /// Writes a scenario's own words into the trace.
    pub fn say(&mut self, text: &str) {
        self.record(None, None, What::Text(text.to_owned()));
    }

    // Time.

    /// When the next event is.
    #[must_use]
    pub fn next_event(&self) -> Option<Instant> {
        self.world.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Carries out the next event if it is not after `limit`; otherwise the time becomes `limit`. Tells whether there was one.
    ///
    /// # Errors
    /// The store failed.
    pub fn step(&mut self, limit: Instant) -> StoreResult<bool> {
        match self.next_event() {
            Some(at) if at <= limit => {
                let Some((_, event)) = self.world.queue.pop_first() else { return Ok(false) };
                self.world.now = self.world.now.max(at);
                self.event(event)?;
                Ok(true)
            }
            _ => {
                self.world.now = self.world.now.max(limit);
                self.settle()?;
                Ok(false)
            }
        }
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// The store failed.
    pub fn advance(&mut self, span: Span) -> StoreResult<()> {
        let limit = self.world.now + span;
        while self.step(limit)? {}
        Ok(())
    }

    /// Lets every running guest write what is due by now.
    ///
    /// # Errors
    /// The store failed.
    pub fn settle(&mut self) -> StoreResult<()> {
        let copies: Vec<CopyId> = self.world.copies().collect();
        copies.into_iter().try_for_each(|copy| self.write_guest(copy))
    }

    pub(crate) fn event(&mut self, event: Event) -> StoreResult<()> {
        match event {
            Event::Timer(copy, kind) => {
                self.world.timers.remove(&(copy, kind));
                self.input(copy, Input::Timer(kind))
            }
            Event::Flows { link, version } => self.flows_ended(link, version),
            Event::Arrive(message) => self.arrived(message),
            Event::Broken { to, boot, vm, exchange } => {
                let host = self.world.host(to);
                if host.up && host.boot == boot {
                    self.input(CopyId { host: to, vm }, Input::Broken(exchange))?;
                }
                Ok(())
            }
            Event::Done { copy, boot, work } => self.disk_work_done(copy, boot, work),
            Event::SessionRead { session, version } => self.session_read(session, version),
            Event::SessionArrived { session, version } => self.session_arrived(session, version),
            Event::SessionBroken { session, version } => self.session_broken(session, version),
            Event::HostBack { host, boot } => self.host_back_by_itself(host, boot),
            Event::NodeSilent { node, boot, ran } => self.node_silent(node, boot, &ran),
            Event::Flap { link, number } => self.flap(link, number),
            Event::Mended { ill, target, number } => self.mended_by_itself(ill, target, number),
            Event::LinkBack { link, cuts } => {
                if self.world.links[usize::from(link)].cuts == cuts {
                    self.link_back(link);
                }
                Ok(())
            }
        }
    }

    // Guests.

    /// Lets a guest write what is due by now.
    pub(crate) fn write_guest(&mut self, copy: CopyId) -> StoreResult<()> {
        let copy = if copy.vm.is_extended() { copy.machine() } else { copy };
        let now = self.world.now;
        let profile = self.world.vm(copy.vm).guest;
        let Some(machine) = self.world.machine_mut(copy) else { return Ok(()) };
        let from = machine.guest.until;
        let Some(profile) = profile.filter(|_| machine.power == Power::Running) else {
            machine.guest.until = now;
            return Ok(());
        };
        let count = machine.guest.due(&profile, now);
        if count == 0 {
            return Ok(());
        }
        let drawn = machine.guest.drawn;
        machine.guest.drawn += count;
        let burst = Burst { first: self.world.next_write, writes: count, drawn };
        self.world.next_write.0 += count;
        let size = self.world.disk_size(copy.vm, profile.disk).unwrap_or_default();
        let rng = places(self.world.seed, copy.host, &self.world.vm(copy.vm).name, drawn);
        self.store.write_all(copy, &mut writes(&profile, size, burst, rng))?;
        let bytes = count * profile.write_size.0;
        self.enter(copy, Entry { what: Written::Burst(burst), bytes, from, to: now });
        Ok(())
    }

    pub(crate) fn enter(&mut self, copy: CopyId, entry: Entry) {
        let World { ledger, hosts, .. } = &mut self.world;
        let Some(machine) = hosts[usize::from(copy.host.0)].machines.get_mut(&copy.vm) else { return };
        let same = machine.content.live == machine.content.base;
        machine.content.live = ledger.write(copy, machine.content.live, entry);
        if same && !self.store.has_failover(copy) {
            machine.content.base = machine.content.live;
        }
    }

    /// A guest writes by script.
    ///
    /// # Errors
    /// The write is not possible; or, inside, the store failed.
    pub fn write(
        &mut self,
        copy: CopyId,
        disk: u8,
        offset: u64,
        len: Bytes,
        tag: &str,
    ) -> StoreResult<Result<(), WriteError>> {
        if let Err(error) = self.check_write(copy, disk, offset, len) {
            return Ok(Err(error));
        }
        self.write_guest(copy)?;
        let no = self.world.next_write;
        self.world.next_write.0 += 1;
        let write = Write { no, disk, offset, len: len.0 };
        self.store.write(copy, &write)?;
        let now = self.world.now;
        let what = Written::Tagged(write, tag.to_owned());
        self.enter(copy, Entry { what, bytes: len.0, from: now, to: now });
        let what = What::Wrote { tag: tag.to_owned(), bytes: len.0 };
        self.record(Some(copy.host), Some(copy.vm), what);
        Ok(Ok(()))
    }

    fn check_write(&self, copy: CopyId, disk: u8, offset: u64, len: Bytes) -> Result<(), WriteError> {
        let machine =
            self.world.machine(copy).filter(|_| !copy.vm.is_extended()).ok_or(WriteError::NoCopy)?;
        if machine.power != Power::Running {
            return Err(WriteError::NotRunning(machine.power));
        }
        let size = self.store.sizes(copy).get(usize::from(disk)).copied().ok_or(WriteError::NoDisk(disk))?;
        let end = offset.saturating_add(len.0);
        if end > size.0 {
            return Err(WriteError::TooFar { end: Bytes(end), size });
        }
        if !offset.is_multiple_of(CELL) || (!len.0.is_multiple_of(CELL) && end != size.0) {
            return Err(WriteError::Misaligned);
        }
        Ok(())
    }
}

pub(crate) fn new_machine(content: crate::ledger::Position) -> Machine {
    Machine {
        power: Power::Off,
        checkpoints: 0,
        guest: crate::guest::GuestState::default(),
        content: Content::of(content),
        unsent: None,
        mixed: false,
        cut: Vec::new(),
        checkpoint: None,
        adapters: Vec::new(),
        to_be_told: false,
    }
}

/// What the expectations of a scenario ask.
impl<D: DiskStore> Sim<D> {
    /// The copy of a machine that goes on: the one that runs, else the primary if its host is up, else one that has
    /// been failed back or over.
    #[must_use]
    pub fn survivor(&self, vm: VmId) -> Option<CopyId> {
        use hvrsim_types::state::{Mode, ReplicationState as S};
        let rank = |copy: &CopyId| {
            let running = self.world.machine(*copy).is_some_and(|m| m.power == Power::Running);
            let state = self.world.host(copy.host).service.copies.get(&vm);
            let leads = state.is_some_and(|c| c.mode == Mode::Primary);
            let back = state.is_some_and(|c| c.state() == S::FailbackComplete);
            let over = state.is_some_and(|c| matches!(c.state(), S::Recovered | S::Committed));
            let up = self.world.host(copy.host).up;
            (running, up && leads, back, over, leads)
        };
        self.world.copies().filter(|copy| copy.vm == vm).max_by_key(rank)
    }

    /// What was written for a machine and is not on the copy that goes on.
    #[must_use]
    pub fn losses(&self, vm: VmId) -> Vec<crate::ledger::Loss> {
        match self.survivor(vm).and_then(|copy| self.world.machine(copy)) {
            Some(machine) => self.world.ledger.lost_in_all(vm, machine.content.live),
            None => Vec::new(),
        }
    }

    /// Whether a message, or a session of the engine, is on its way between hosts.
    #[must_use]
    pub fn messages_under_way(&self) -> bool {
        !self.world.exchanges.is_empty() || self.world.sessions.values().any(|s| s.running)
    }

    /// Time that has passed.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.world.now
    }
}
