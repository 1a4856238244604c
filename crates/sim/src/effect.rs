//! Carries out what the life cycle asks for: messages, timers, disks, sessions.

use hvrsim_replica::copy::{Copy, Phase};
use hvrsim_replica::exchange::{Effect, Envelope, Input, Log, Output, Request, Scope, SessionSpec};
use hvrsim_resync::heat::Heat;
use hvrsim_resync::history::{self, History, Step};
use hvrsim_resync::{Candidates, Changes, Generation};
use hvrsim_types::canary::{Canary, is_planted};
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{CopyId, HostId, PointId, SessionId};
use hvrsim_types::size::Bytes;
use hvrsim_types::state::{Mode, Power, ReplicationState};
use hvrsim_types::time::Span;

use crate::incident::{Ill, Target};
use crate::link::FlowId;
use crate::look::Look;
use crate::sim::{Sim, new_machine};
use crate::store::{BlockSet, DiskSpec, DiskStore, Initial, ResyncCounts, ResyncSpec, StoreResult, View};
use crate::trace::{Choice, Finding, What};
use crate::world::{
    CONNECT_TIMEOUT, DiskWork, Event, Flow, LinkId, Load, MESSAGE_BYTES, Machine, Message, PointInfo, Session,
};

type Follows = StoreResult<Option<(CopyId, Input)>>;

impl<D: DiskStore> Sim<D> {
    /// Carries out one output; an input that follows at once is returned.
    pub(crate) fn output(&mut self, host: HostId, output: Output) -> Follows {
        match output {
            Output::Effect(vm, effect) => return self.effect(CopyId { host, vm }, &effect),
            Output::Request(to, envelope) => {
                self.world.exchanges.insert(envelope.exchange, (host, to, envelope.vm));
                let bytes = match &envelope.body {
                    Request::Delta { log, .. } => log.bytes + MESSAGE_BYTES,
                    _ => MESSAGE_BYTES,
                };
                self.send(host, to, bytes, Message::Request(to, envelope));
            }
            Output::Reply(to, envelope) => {
                self.send(host, to, MESSAGE_BYTES, Message::Reply(to, envelope));
            }
            Output::SetTimer(vm, kind, at) => self.world.set_timer(CopyId { host, vm }, kind, at),
            Output::CancelTimer(vm, kind) => self.world.cancel_timer(CopyId { host, vm }, kind),
            Output::Note(vm, note) => self.record(Some(host), Some(vm), What::Note(note)),
        }
        Ok(None)
    }

    // Messages.

    fn send(&mut self, from: HostId, to: HostId, bytes: u64, message: Message) {
        let (request, bulk) = match &message {
            Message::Request(_, envelope) => (true, matches!(envelope.body, Request::Delta { .. })),
            Message::Reply(..) => (false, false),
        };
        let new = matches!(&message, Message::Request(_, e) if matches!(e.body, Request::Create { .. }));
        match self.world.carries(from, to, request, bulk).filter(|_| !new || self.world.takes_new(to)) {
            Some(link) => self.start_flow(link, from, to, bytes, Load::Message(message)),
            None => self.message_lost(&message),
        }
    }

    /// The requester notices after the time-out; a lost answer is noticed by it, too.
    fn message_lost(&mut self, message: &Message) {
        let exchange = match message {
            Message::Request(_, envelope) => envelope.exchange,
            Message::Reply(_, envelope) => envelope.exchange,
        };
        let Some((requester, _, vm)) = self.world.exchanges.remove(&exchange) else { return };
        let boot = self.world.host(requester).boot;
        self.world.after(CONNECT_TIMEOUT, Event::Broken { to: requester, boot, vm, exchange });
    }

    fn start_flow(&mut self, link: LinkId, from: HostId, to: HostId, bytes: u64, load: Load) {
        self.world.sequence += 1;
        let id = FlowId(self.world.sequence);
        self.world.flows.insert(id, Flow { link, from, to, load });
        let now = self.world.now;
        self.world.links[usize::from(link)].start(now, from, id, bytes);
        self.watch_flows(link);
    }

    pub(crate) fn watch_flows(&mut self, link: LinkId) {
        let state = &self.world.links[usize::from(link)];
        let version = state.version;
        if let Some(at) = state.next_end() {
            self.world.at(at, Event::Flows { link, version });
        }
    }

    pub(crate) fn flows_ended(&mut self, link: LinkId, version: u64) -> StoreResult<()> {
        if self.world.links[usize::from(link)].version != version {
            return Ok(());
        }
        let now = self.world.now;
        let through = self.world.links[usize::from(link)].ended(now);
        let latency = self.world.links[usize::from(link)].latency;
        for id in through {
            let Some(flow) = self.world.flows.remove(&id) else { continue };
            let event = match flow.load {
                Load::Message(message) => Event::Arrive(message),
                Load::Session(session, version) => Event::SessionArrived { session, version },
            };
            self.world.after(latency, event);
        }
        self.watch_flows(link);
        Ok(())
    }

    pub(crate) fn arrived(&mut self, message: Message) -> StoreResult<()> {
        match message {
            Message::Request(to, envelope) => {
                let known = self.world.exchanges.get(&envelope.exchange).copied();
                let Some((from, _, vm)) = known else { return Ok(()) };
                if self.world.reachable(from, to).is_none() || self.is_withdrawn(&envelope) {
                    self.message_lost(&Message::Request(to, envelope));
                    return Ok(());
                }
                self.input(CopyId { host: to, vm: vm.machine() }, Input::Request(*envelope))
            }
            Message::Reply(to, envelope) => {
                let from = envelope.from;
                if self.world.reachable(from, to).is_none() {
                    self.message_lost(&Message::Reply(to, envelope));
                    return Ok(());
                }
                if self.world.exchanges.remove(&envelope.exchange).is_none() {
                    return Ok(());
                }
                self.input(CopyId { host: to, vm: envelope.vm }, Input::Reply(*envelope))
            }
        }
    }

    /// A log whose sender has given it up meanwhile: its content may be gone.
    fn is_withdrawn(&self, envelope: &Envelope<Request>) -> bool {
        let sender = self.world.host(envelope.from).service.relationship(envelope.vm);
        let sending = sender.and_then(|copy| copy.sending).and_then(|s| s.exchange);
        matches!(envelope.body, Request::Delta { .. }) && sending != Some(envelope.exchange)
    }

    /// What is on its way over a link, or to or from a host, is lost.
    pub(crate) fn drop_flows(&mut self, dead: impl Fn(&Flow) -> bool) -> StoreResult<()> {
        // A session that is broken takes its flow away itself, and what has crossed of it counts.
        let mut sessions = Vec::new();
        for flow in self.world.flows.values().filter(|flow| dead(flow)) {
            if let Load::Session(session, _) = flow.load {
                sessions.push(session);
            }
        }
        sessions.into_iter().try_for_each(|id| self.break_session(id))?;
        let ids: Vec<FlowId> =
            self.world.flows.iter().filter(|(_, flow)| dead(flow)).map(|(id, _)| *id).collect();
        let now = self.world.now;
        for index in 0..self.world.links.len() {
            let link = LinkId::try_from(index).unwrap_or(LinkId::MAX);
            self.world.links[index].abort(now, |id| ids.contains(&id));
            self.watch_flows(link);
        }
        for id in ids {
            if let Some(Load::Message(message)) = self.world.flows.remove(&id).map(|flow| flow.load) {
                self.message_lost(&message);
            }
        }
        Ok(())
    }

    /// How long a host's disks take for so many bytes.
    fn disk_time(&self, host: HostId, bytes: u64) -> Span {
        let slow = self.world.ills.get(&(Ill::DisksSlow, Target::Host(host)));
        Span::of_transfer(bytes, slow.map_or(self.world.host(host).disk_rate, |struck| struck.rate).0)
    }

    pub(crate) fn disk_work(&mut self, copy: CopyId, bytes: u64, work: DiskWork) {
        let boot = self.world.host(copy.host).boot;
        let span = self.disk_time(copy.host, bytes);
        self.world.after(span, Event::Done { copy, boot, work });
    }

    // Effects.

    fn effect(&mut self, copy: CopyId, effect: &Effect) -> Follows {
        match *effect {
            Effect::Power(power) => self.set_power(copy, power)?,
            Effect::Checkpoints { add } => self.checkpoint(copy, add)?,
            Effect::SetAdapters(ref changes) => self.set_adapters(copy, changes),
            Effect::CreateCopy { like } => self.create_copy(copy, like)?,
            Effect::LogStart => {
                let state = self.world.host(copy.host).service.relationship(copy.vm);
                if let Some(disks) = state.map(|state| state.settings.disks) {
                    self.store.log_choose(copy, disks)?;
                }
                self.store.log_start(copy)?;
            }
            Effect::LogChoose(disks) => self.store.log_choose(copy, disks)?,
            Effect::MakeDisks { like, disks } => self.make_disks(copy, like, disks)?,
            Effect::DropDisks(disks) => self.drop_disks(copy, disks)?,
            Effect::ResizeDisk { disk, size } => self.resize_disk(copy, disk, Bytes(size))?,
            Effect::LogStop => {
                self.store.log_stop(copy)?;
                self.with(copy, |m| m.content.closed_of(copy.vm).clear());
            }
            Effect::SwitchLog => {
                let stats = self.store.log_switch(copy)?;
                self.with(copy, |m| m.content.close(copy.vm));
                return Ok(Some((copy, Input::LogSwitched(stats.bytes))));
            }
            Effect::DropSentLog => {
                self.store.log_drop_oldest(copy)?;
                self.with(copy, |m| {
                    m.content.closed_of(copy.vm).pop_front();
                });
            }
            Effect::LogPromote => {
                self.store.log_promote(copy)?;
                self.with(copy, |m| m.content.closed = std::mem::take(&mut m.content.extended));
            }
            Effect::StoreLog { from } => self.store_log(copy, from)?,
            Effect::ApplyLog(log) => self.disk_work(copy, log.bytes, DiskWork::Apply(log)),
            Effect::ForgetReceived => {
                self.store.log_forget_received(copy)?;
                self.with(copy, |m| m.content.received.clear());
            }
            Effect::RememberUnsent { known } => {
                let blocks = known.then(|| self.store.log_blocks(copy));
                self.with(copy, |m| m.unsent = blocks);
                self.tell_unsent(copy);
            }
            Effect::TakePoint(point) => self.take_point(copy, point)?,
            Effect::DropPoint(point) => {
                self.break_sessions(|s| s.spec.source == copy.host && s.spec.view == Some(point))?;
                self.store.point_drop(copy, point)?;
                self.forget_point(copy, point);
            }
            Effect::Rollback(point) => self.rollback(copy, point)?,
            Effect::FailoverDisk { view } => {
                let bytes = view.map_or(0, |point| self.store.point_undo_bytes(copy, point));
                self.disk_work(copy, bytes, DiskWork::FailoverDisk(view));
            }
            Effect::DiscardFailover => self.discard_failover(copy)?,
            Effect::AskBroker => return Ok(self.redirect(copy).map(|input| (copy, input))),
            Effect::MoveVm(to) => self.live_migrate(copy, to)?,
            Effect::MakeTest { view } => self.make_test(copy, view)?,
            Effect::RemoveTest => self.remove_test(copy)?,
            Effect::DestroyVm if copy.vm.is_test() && !self.store.is_apart(copy) => {
                self.remove_test(copy.machine())?;
            }
            Effect::DestroyVm => {
                self.store.remove(copy)?;
                self.delete_machine(copy);
            }
            Effect::CommitFailover => {
                let bytes =
                    if self.store.has_failover(copy) { self.store.failover_commit(copy)? } else { 0 };
                self.with(copy, |m| m.content.base = m.content.live);
                self.disk_work(copy, bytes, DiskWork::Merge);
            }
            Effect::ExportMedia { session, view, ref folder } => {
                self.export_media(copy, session, view, folder);
            }
            Effect::ImportMedia(session) => self.import_media(copy, session),
            Effect::MergeResync => self.disk_work(copy, 0, DiskWork::Merge),
            Effect::OpenSession(id, spec) => self.open_session(copy, id, spec)?,
            Effect::RunSession(id) => return self.run_session(id),
            Effect::PauseSession(id) => self.pause_session(id)?,
            Effect::BreakSession(id) => self.break_session(id)?,
            Effect::CloseSession(id) => self.close_session(id, false)?,
            Effect::LogAddChanges { of, since } => {
                let changes = self.store.point_changes(CopyId { host: of, vm: copy.vm.machine() }, since);
                self.store.log_add(copy, &changes)?;
            }
        }
        Ok(None)
    }

    pub(crate) fn with(&mut self, copy: CopyId, change: impl FnOnce(&mut Machine)) {
        if let Some(machine) = self.world.machine_mut(copy) {
            change(machine);
        }
    }

    pub(crate) fn set_power(&mut self, copy: CopyId, power: Power) -> StoreResult<()> {
        self.write_guest(copy)?;
        self.with(copy, |m| m.power = power);
        self.record(Some(copy.host), Some(copy.vm), What::Power(power));
        if power == Power::Running {
            self.look_for_trouble(copy);
            self.network_starts(copy);
        }
        Ok(())
    }

    fn look_for_trouble(&mut self, copy: CopyId) {
        let elsewhere = self.world.copies().any(|other| {
            other.vm == copy.vm
                && other.host != copy.host
                && self.world.machine(other).is_some_and(|m| m.power == Power::Running)
        });
        let elsewhere = elsewhere && !is_planted(Canary::SilentSplit);
        let state = self.world.host(copy.host).service.copies.get(&copy.vm);
        let inconsistent = state.is_some_and(|c| c.inconsistent);
        let disks = DiskSet::first(self.store.sizes(copy).len());
        let lacks = |c: &Copy| c.mode.is_replica() && !disks.without(c.settings.disks).is_empty();
        let found = [
            (elsewhere, Finding::SplitBrain),
            (inconsistent, Finding::StartedInconsistent),
            (state.is_some_and(lacks), Finding::StartedWithoutDisk),
        ];
        for (_, finding) in found.into_iter().filter(|(there, _)| *there) {
            self.world.findings.push((self.world.now, copy.host, copy.vm, finding));
            self.record(Some(copy.host), Some(copy.vm), What::Finding(finding));
        }
    }

    pub(crate) fn create_copy(&mut self, copy: CopyId, like: HostId) -> StoreResult<()> {
        let sizes = self.store.sizes(CopyId { host: like, vm: copy.vm });
        let formats = self.world.vm(copy.vm).disks.iter().map(|d| d.format);
        let blank = |(size, format)| DiskSpec { size, format, initial: Initial::Blank };
        let disks: Vec<DiskSpec> = sizes.into_iter().zip(formats).map(blank).collect();
        self.store.create(copy, &disks)?;
        // Empty disks are no content of the machine; nothing is read from them before a session filled them.
        let content = self.world.ledger.begin(copy.vm);
        let mut machine = new_machine(content);
        machine.mixed = true;
        machine.adapters = self.new_adapters(copy);
        self.world.host_mut(copy.host).machines.insert(copy.vm, machine);
        Ok(())
    }

    fn store_log(&mut self, copy: CopyId, sender: CopyId) -> StoreResult<()> {
        self.store.log_deliver(sender, copy)?;
        let sent = |m: &mut Machine| m.content.closed_of(sender.vm).front().copied();
        let content = self.world.machine_mut(sender).and_then(sent);
        if let Some(content) = content {
            self.with(copy, |m| m.content.received.push_back(content));
        }
        Ok(())
    }

    fn take_point(&mut self, copy: CopyId, point: PointId) -> StoreResult<()> {
        self.store.point_take(copy, point)?;
        if let Some(content) = self.world.machine(copy).map(|m| m.content.base) {
            self.world.points.insert(point, PointInfo { vm: copy.vm.machine(), content });
        }
        Ok(())
    }

    /// A point that nobody keeps any more.
    fn forget_point(&mut self, copy: CopyId, point: PointId) {
        let kept = |host| {
            let there = CopyId { host, vm: copy.vm };
            self.world.machine(there).is_some() && self.store.has_point(there, point)
        };
        let mut hosts = (0..self.world.hosts.len()).filter_map(|n| u16::try_from(n).ok()).map(HostId);
        if !hosts.any(kept) {
            self.world.points.remove(&point);
        }
    }

    pub(crate) fn rollback(&mut self, copy: CopyId, point: PointId) -> StoreResult<()> {
        self.break_sessions(|s| s.spec.target == copy.host && s.leader.vm.machine() == copy.vm)?;
        self.store.point_rollback(copy, point)?;
        if let Some(content) = self.world.points.get(&point).map(|p| p.content) {
            self.with(copy, |m| {
                m.content.set(content);
                m.mixed = false;
            });
        }
        Ok(())
    }

    fn discard_failover(&mut self, copy: CopyId) -> StoreResult<()> {
        if !self.store.has_failover(copy) {
            return Ok(());
        }
        let dropped =
            self.world.machine(copy).map(|m| self.world.ledger.lost(m.content.live, m.content.base));
        self.store.failover_discard(copy)?;
        self.with(copy, |m| {
            m.content.live = m.content.base;
            m.to_be_told = false;
        });
        self.tell_lost(copy, dropped.unwrap_or_default());
        Ok(())
    }

    pub(crate) fn disk_work_done(&mut self, copy: CopyId, boot: u32, work: DiskWork) -> StoreResult<()> {
        let host = self.world.host(copy.host);
        if !host.up || host.boot != boot {
            return Ok(());
        }
        match work {
            DiskWork::Apply(log) => self.apply(copy, log),
            DiskWork::FailoverDisk(view) => self.failover_ready(copy, view),
            DiskWork::TestMachine(job, content) => self.test_ready(copy, job, content),
            DiskWork::Merge => self.input(copy, Input::Merged),
            DiskWork::Export(session) => self.media_exported(copy, session),
            DiskWork::Import(session) => self.media_imported(copy, session),
        }
    }

    fn apply(&mut self, copy: CopyId, log: Log) -> StoreResult<()> {
        // Logs that were dropped meanwhile are not applied.
        let waiting = self.world.host(copy.host).service.copies.get(&copy.vm);
        if waiting.and_then(|c| c.received.front()) != Some(&log) {
            return Ok(());
        }
        self.store.log_apply(copy)?;
        self.with(copy, |m| {
            if let Some(content) = m.content.received.pop_front() {
                m.content.set(content);
                m.mixed = false;
            }
        });
        self.input(copy, Input::LogApplied)
    }

    fn failover_ready(&mut self, copy: CopyId, point: Option<PointId>) -> StoreResult<()> {
        // A failover that was reverted meanwhile, or started anew to another point, is not this one.
        let phase = self.world.host(copy.host).service.copies.get(&copy.vm).map(|c| &c.phase);
        let wanted = matches!(phase, Some(Phase::Recovering { point: wanted, .. }) if *wanted == point);
        if !wanted || self.store.has_failover(copy) {
            return Ok(());
        }
        let damaged = self.world.ills.get(&(Ill::PointsDamaged, Target::Copy(copy)));
        if damaged.is_some_and(|struck| point.is_some_and(|point| struck.points.contains(&point))) {
            return self.input(copy, Input::FailoverFailed("the undo log of the recovery point is damaged"));
        }
        let cut = |m: &Machine| point.is_some_and(|point| m.cut.contains(&point));
        if self.world.machine(copy).is_some_and(cut) {
            let why = "the recovery point is older than a shrink of the disk: choose a newer one";
            return self.input(copy, Input::FailoverFailed(why));
        }
        let view = point.map_or(View::Live, View::Point);
        self.store.failover_create(copy, view)?;
        let content = point.and_then(|p| self.world.points.get(&p)).map(|p| p.content);
        self.with(copy, |m| m.content.live = content.unwrap_or(m.content.base));
        self.adapters_failed_over(copy);
        self.input(copy, Input::FailoverReady)?;
        self.tell_failed_over(copy, point);
        Ok(())
    }

    // Losses.

    fn tell_lost(&mut self, copy: CopyId, losses: Vec<crate::ledger::Loss>) {
        if !losses.is_empty() {
            self.record(Some(copy.host), Some(copy.vm), What::Lost(losses));
        }
    }

    fn other_copy(&self, copy: CopyId) -> Option<CopyId> {
        let peer = self.world.host(copy.host).service.copies.get(&copy.vm)?.peer?;
        let other = CopyId { host: peer, vm: copy.vm };
        self.world.machine(other).is_some().then_some(other)
    }

    /// What `whole` has and `kept` has not.
    fn tell_difference(&mut self, at: CopyId, whole: CopyId, kept: CopyId) {
        let content = |copy| self.world.machine(copy).filter(|m| !m.mixed).map(|m| m.content.live);
        if let (Some(whole), Some(kept)) = (content(whole), content(kept)) {
            let losses = self.world.ledger.lost(whole, kept);
            self.tell_lost(at, losses);
        }
    }

    /// What the primary wrote and the failed-over copy has not.
    fn tell_failed_over(&mut self, copy: CopyId, point: Option<PointId>) {
        if let Some(primary) = self.origin(copy) {
            self.tell_choices(copy, primary, point);
            self.tell_difference(copy, primary, copy);
        }
    }

    /// What each recovery point of `copy` costs of what `whole` has.
    fn tell_choices(&mut self, copy: CopyId, whole: CopyId, chosen: Option<PointId>) {
        let Some(machine) = self.world.machine(whole).filter(|m| !m.mixed) else { return };
        let points = self.points(copy).into_iter().filter_map(|point| {
            let content = self.world.points.get(&point.id)?.content;
            let lost = self.world.ledger.lost(machine.content.live, content);
            Some(Choice { point: point.id, taken: point.taken, kind: point.kind, lost })
        });
        let points: Vec<Choice> = points.collect();
        if !points.is_empty() {
            self.record(Some(copy.host), Some(copy.vm), What::Choices { chosen, points });
        }
    }

    /// Tells of every replica that can be failed over what each of its recovery points would cost now.
    pub fn tell_all_choices(&mut self) {
        let copies: Vec<CopyId> = self.world.copies().filter(|copy| !copy.vm.is_test()).collect();
        for copy in copies {
            let replica = self.copy(copy).is_some_and(|view| {
                view.mode == Mode::Replica && view.state == ReplicationState::Replicating
            });
            if let (true, Some(primary)) = (replica, self.origin(copy)) {
                self.tell_choices(copy, primary, None);
            }
        }
    }

    /// Where what a replica receives is written: on its primary, or, at the third host of a chain, on the first one
    /// unless the middle copy is failed over.
    pub(crate) fn origin(&self, copy: CopyId) -> Option<CopyId> {
        let first = self.other_copy(copy)?;
        let middle = self.world.host(first.host).service.copies.get(&first.vm);
        let passes_on = middle.is_some_and(|c| {
            let extends = c.extended.as_ref().is_some_and(|extended| extended.peer == Some(copy.host));
            extends && !matches!(c.state(), ReplicationState::Recovered | ReplicationState::Committed)
        });
        if passes_on { self.other_copy(first).or(Some(first)) } else { Some(first) }
    }

    /// What a former primary wrote and the other side never got.
    fn tell_unsent(&mut self, copy: CopyId) {
        if let Some(other) = self.other_copy(copy) {
            self.tell_difference(copy, copy, other);
        }
    }

    // Sessions.

    fn open_session(&mut self, leader: CopyId, id: SessionId, spec: SessionSpec) -> StoreResult<()> {
        let source = CopyId { host: spec.source, vm: leader.vm.machine() };
        let target = CopyId { host: spec.target, vm: leader.vm.machine() };
        let view = spec.view.map_or(View::Live, View::Point);
        let candidates = self.candidates(source, target, spec);
        let SessionSpec { disks, full, .. } = spec;
        self.store.resync_open(id, &ResyncSpec { source, view, target, disks, candidates, full })?;
        let live = self.world.machine(source).map(|m| m.content.live);
        let point = spec.view.and_then(|p| self.world.points.get(&p)).map(|p| p.content);
        if let Some(brings) = point.or(live) {
            let session = Session { leader, spec, brings, running: false, version: 0 };
            self.world.sessions.insert(id, session);
        }
        if spec.view.is_some() && !spec.part {
            self.tell_choices(source, source, spec.view);
        }
        Ok(())
    }

    fn candidates(&self, source: CopyId, target: CopyId, spec: SessionSpec) -> Candidates {
        match (spec.scope, spec.view) {
            (Scope::Since(point), _) => Candidates::tracked(&self.store.point_changes(source, point)),
            (Scope::Diverged, Some(point)) => self.way_back(source, target, point),
            _ => Candidates::Everything,
        }
    }

    /// The way from a former primary's content back to where the sides parted, over what the new one wrote since, to
    /// the recovery point.
    fn way_back(&self, source: CopyId, target: CopyId, point: PointId) -> Candidates {
        let [parted, there, here, chosen] = [1, 2, 3, 4].map(|name| Generation([name; 16]));
        let known = |blocks: BlockSet| Some(blocks.into_iter().collect::<Changes>());
        let step = |from, to, term, blocks| Step { from, to, term, blocks };
        let unsent = self.world.machine(target).and_then(|m| m.unsent.clone());
        let old =
            History { now: there, term: 1, steps: vec![step(parted, there, 1, unsent.and_then(known))] };
        // What a point's undo logs hold leads from the present to the point.
        let since = step(parted, here, 2, known(self.store.log_blocks(source)));
        let undo = step(here, chosen, 2, known(self.store.point_changes(source, point)));
        let new = History { now: here, term: 2, steps: vec![since, undo] };
        history::candidates(&new, chosen, &old).expect("a failover gave the source a later term")
    }

    /// Whether the target is still what the session may write into: it may have gone on before its leader knows.
    fn is_received(&self, id: SessionId) -> bool {
        let Some(session) = self.world.sessions.get(&id) else { return false };
        let target = self.world.host(session.spec.target).service.copies.get(&session.leader.vm.machine());
        target.is_some_and(|copy| {
            copy.receives(id) || copy.extended.as_ref().is_some_and(|extended| extended.receives(id))
        })
    }

    fn run_session(&mut self, id: SessionId) -> Follows {
        if !self.is_received(id) {
            self.refuse_session(id);
            return Ok(None);
        }
        if let Some(session) = self.world.sessions.get_mut(&id) {
            session.running = true;
            session.version += 1;
            let (source, leader) = (session.spec.source, session.leader);
            let counts = self.store.resync_counts(id);
            let percent = u8::try_from(counts.blocks_done * 100 / counts.blocks_total.max(1)).unwrap_or(100);
            if counts.blocks_total > 0 {
                self.record(Some(leader.host), Some(leader.vm), What::Transfer { source, percent });
            }
        }
        self.next_message(id)
    }

    /// Takes what the engine has to say next; an empty answer ends the session.
    fn next_message(&mut self, id: SessionId) -> Follows {
        let Some(session) = self.world.sessions.get(&id).cloned() else { return Ok(None) };
        let SessionSpec { source, target, .. } = session.spec;
        let leader = session.leader.host;
        if !self.world.carries_session(leader, if leader == source { target } else { source }) {
            self.break_session(id)?;
            return Ok(None);
        }
        match self.store.resync_next(id)? {
            Some(next) => {
                let sender = if next.to_target { source } else { target };
                let span = self.disk_time(sender, next.read_bytes);
                self.world.after(span, Event::SessionRead { session: id, version: session.version });
                Ok(None)
            }
            None => {
                let target = CopyId { host: target, vm: session.leader.vm.machine() };
                if !session.spec.part {
                    self.with(target, |m| {
                        m.content.set(session.brings);
                        m.mixed = false;
                    });
                }
                if let Some(session) = self.world.sessions.get_mut(&id) {
                    session.running = false;
                }
                self.record_session(id, &session, true);
                if source != session.leader.host {
                    self.adapters_failed_over(target);
                    self.tell_difference(target, CopyId { host: source, vm: target.vm }, target);
                }
                Ok(Some((session.leader, Input::SessionDone(id))))
            }
        }
    }

    fn current(&self, id: SessionId, version: u32) -> Option<Session> {
        self.world.sessions.get(&id).filter(|s| s.running && s.version == version).cloned()
    }

    pub(crate) fn session_read(&mut self, id: SessionId, version: u32) -> StoreResult<()> {
        let Some(session) = self.current(id, version) else { return Ok(()) };
        let SessionSpec { source, target, .. } = session.spec;
        let (Some(next), Some(link)) = (self.store.resync_next(id)?, self.world.reachable(source, target))
        else {
            return self.break_session(id);
        };
        let (from, to) = if next.to_target { (source, target) } else { (target, source) };
        self.start_flow(link, from, to, next.link_bytes, Load::Session(id, version));
        Ok(())
    }

    pub(crate) fn session_arrived(&mut self, id: SessionId, version: u32) -> StoreResult<()> {
        let Some(session) = self.current(id, version) else { return Ok(()) };
        let reachable = self.world.reachable(session.spec.source, session.spec.target).is_some();
        if !reachable || !self.is_received(id) {
            return self.break_session(id);
        }
        self.store.resync_deliver(id)?;
        self.mark_mixed(id);
        match self.next_message(id)? {
            Some((copy, input)) => self.input(copy, input),
            None => Ok(()),
        }
    }

    /// The connection of a session broke: its engine goes back to its checkpoint, its leader notices later.
    pub(crate) fn break_session(&mut self, id: SessionId) -> StoreResult<()> {
        let Some(session) = self.world.sessions.get_mut(&id).filter(|s| s.running) else { return Ok(()) };
        session.running = false;
        session.version += 1;
        let version = session.version;
        self.interrupt_session(id)?;
        self.world.after(CONNECT_TIMEOUT, Event::SessionBroken { session: id, version });
        Ok(())
    }

    /// Nobody takes the session's connection: its leader notices later.
    fn refuse_session(&mut self, id: SessionId) {
        if let Some(session) = self.world.sessions.get_mut(&id) {
            session.version += 1;
            let version = session.version;
            self.world.after(CONNECT_TIMEOUT, Event::SessionBroken { session: id, version });
        }
    }

    pub(crate) fn session_broken(&mut self, id: SessionId, version: u32) -> StoreResult<()> {
        let Some(session) = self.world.sessions.get(&id).filter(|s| s.version == version && !s.running)
        else {
            return Ok(());
        };
        let leader = session.leader;
        if self.world.host(leader.host).up {
            self.input(leader, Input::SessionBroken(id))?;
        }
        Ok(())
    }

    fn pause_session(&mut self, id: SessionId) -> StoreResult<()> {
        if let Some(session) = self.world.sessions.get_mut(&id).filter(|s| s.running) {
            session.running = false;
            session.version += 1;
            self.interrupt_session(id)?;
        }
        Ok(())
    }

    /// What a session has on its way goes no further: what has crossed by now is there.
    fn interrupt_session(&mut self, id: SessionId) -> StoreResult<()> {
        let of_session = |flow: &Flow| matches!(flow.load, Load::Session(other, _) if other == id);
        let flow =
            self.world.flows.iter().find(|(_, flow)| of_session(flow)).map(|(at, flow)| (*at, flow.link));
        let mut crossed = 0;
        if let Some((flow, link)) = flow {
            self.world.flows.remove(&flow);
            let left = self.world.links[usize::from(link)].abort(self.world.now, |other| other == flow);
            self.watch_flows(link);
            let total = self.store.resync_next(id)?.map_or(0, |next| next.link_bytes);
            crossed = if self.is_received(id) { total.saturating_sub(left) } else { 0 };
        }
        self.store.resync_interrupt(id, crossed)?;
        self.mark_mixed(id);
        Ok(())
    }

    /// A target that a session has written into holds no one moment's content until the session is done.
    fn mark_mixed(&mut self, id: SessionId) {
        let Some(session) = self.world.sessions.get(&id) else { return };
        if !session.spec.part && self.store.resync_counts(id).has_written() {
            let target = CopyId { host: session.spec.target, vm: session.leader.vm.machine() };
            self.with(target, |m| m.mixed = true);
        }
    }

    /// Sessions that lose what they read, or write, stand still until their leader asks again.
    pub(crate) fn break_sessions(&mut self, loses: impl Fn(&Session) -> bool) -> StoreResult<()> {
        let ids: Vec<SessionId> =
            self.world.sessions.iter().filter(|(_, s)| loses(s)).map(|(id, _)| *id).collect();
        ids.into_iter().try_for_each(|id| self.break_session(id))
    }

    fn close_session(&mut self, id: SessionId, done: bool) -> StoreResult<()> {
        let Some(session) = self.world.sessions.remove(&id) else { return Ok(()) };
        let finished = self.store.resync_next(id)?.is_none();
        if !finished && !done {
            self.record_session(id, &session, false);
        }
        let counts = self.store.resync_counts(id);
        let total = self.world.session_counts.entry(id).or_default();
        *total = total.plus(counts);
        self.store.resync_close(id)
    }

    fn record_session(&mut self, id: SessionId, session: &Session, done: bool) {
        let counts = self.store.resync_counts(id);
        let source = session.spec.source;
        let (host, vm) = (Some(session.spec.target), Some(session.leader.vm.machine()));
        self.record(host, vm, What::Session { source, counts, done });
        for (disk, map) in (0..).zip(self.store.resync_heat(id)) {
            if map.total() != Heat::default() {
                self.record(host, vm, What::Heat { source, disk, map });
            }
        }
    }

    /// Counts of a session, closed or not.
    pub(crate) fn session_total(&self, id: SessionId) -> ResyncCounts {
        let closed = self.world.session_counts.get(&id).copied().unwrap_or_default();
        match self.world.sessions.get(&id) {
            Some(_) => closed.plus(self.store.resync_counts(id)),
            None => closed,
        }
    }

    /// Every machine of a host, and every extended relationship in front of its machine.
    pub(crate) fn copies_on(&self, host: HostId) -> Vec<CopyId> {
        let service = &self.world.host(host).service;
        let mut all = Vec::new();
        for vm in self.world.host(host).machines.keys() {
            let copy = CopyId { host, vm };
            all.extend(service.relationship(vm.extended()).map(|_| copy.extended()));
            all.push(copy);
        }
        all
    }
}
