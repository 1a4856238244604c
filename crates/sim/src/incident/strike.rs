//! Carries an incident of the catalogue out, and ends it.

use hvrsim_replica::exchange::Input;
use hvrsim_replica::operation::{Operation, PointChoice, SettingsChange};
use hvrsim_replica::service::Trust;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{CopyId, HostId, PointId};
use hvrsim_types::size::{Bytes, Rate};
use hvrsim_types::state::{Mode, Power, ReplicationState};
use hvrsim_types::time::Span;
use serde::{Deserialize, Serialize};

use super::table::{Act, Deed, Incident};
use crate::ledger::{Entry, Written};
use crate::sim::Sim;
use crate::store::{DiskStore, StoreResult, Write};
use crate::trace::What;
use crate::world::{Event, LinkId};

/// A flapping link is down for so long ...
const FLAP_DOWN: Span = Span::minutes(1);
/// ... at the end of each of these.
const FLAP_PERIOD: Span = Span::minutes(5);
/// What somebody changes in a disk behind the back of the log, in bytes.
const OFFLINE_EDIT: Bytes = Bytes(64 << 10);

/// A disk that somebody attaches.
const NEW_DISK: Bytes = Bytes(1 << 30);
/// What is written behind the old end of a disk that was enlarged.
const NEW_SPACE: Bytes = Bytes(1 << 20);

/// What an incident is done to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Target {
    /// A link, by its ends in the topology's order.
    Link((HostId, HostId)),
    /// A host.
    Host(HostId),
    /// A copy of a machine.
    Copy(CopyId),
}

/// What stays broken until it is mended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Ill {
    /// The link carries nothing.
    LinkCut,
    /// The link has a lower rate.
    LinkSlow,
    /// The link has a higher latency.
    LinkLatent,
    /// The link goes down for a minute in every five.
    LinkFlaps,
    /// A proxy on the link cuts what replication sends.
    ProxyCuts,
    /// Nothing comes back over the link from its second host.
    HalfOpen,
    /// The host's firewall drops what comes to the listener.
    PortBlocked,
    /// Nobody can resolve the host's name.
    NameUnresolved,
    /// The host is refused by others, or refuses them.
    Untrusted(Trust),
    /// The host is not enabled as a replica server.
    NotReplicaServer,
    /// The host's volume for replicas is full.
    StoreFull,
    /// Another process locks the replicas' files.
    FilesLocked,
    /// The host's volume for running machines is full: they stand still.
    VolumeFull,
    /// The host's disks are slow.
    DisksSlow,
    /// The host's clock is ahead.
    ClockAhead,
    /// The machine is the only domain controller.
    DirectoryWithin,
    /// The broker of the node's cluster is offline.
    BrokerOffline,
    /// The account of the broker of the node's cluster is broken: it does not come online.
    BrokerAccount,
    /// A disk file of the copy is missing.
    DiskMissing,
    /// The undo logs of all points but the newest are damaged.
    PointsDamaged,
    /// The VSS writers of the guest fail.
    VssFails,
}

/// Something that is broken, with what it needs to be mended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Struck {
    /// Tells it from a later one of the same kind.
    pub number: u64,
    /// The rate before, of a link; the rate now, of disks.
    pub rate: Rate,
    /// The latency before, of a link; how far ahead, of a clock.
    pub span: Span,
    /// Damaged points.
    pub points: Vec<PointId>,
    /// It was so before: mending changes nothing.
    pub before: bool,
}

/// An incident at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strike {
    /// What.
    pub incident: &'static Incident,
    /// Where.
    pub target: Target,
    /// How long it lasts, if it can be mended; `None` is until it is.
    pub lasts: Option<Span>,
    /// In place of the catalogue's rate.
    pub rate: Option<Rate>,
    /// In place of the catalogue's time.
    pub by: Option<Span>,
}

/// Why an incident cannot happen there.
pub type Impossible = &'static str;

type Happens = StoreResult<Result<(), Impossible>>;

impl Target {
    fn host(self) -> HostId {
        match self {
            Self::Link((host, _)) | Self::Host(host) => host,
            Self::Copy(copy) => copy.host,
        }
    }

    fn places(self) -> (HostId, Option<hvrsim_types::id::VmId>, Option<HostId>) {
        match self {
            Self::Link((host, to)) => (host, None, Some(to)),
            Self::Host(host) => (host, None, None),
            Self::Copy(copy) => (copy.host, Some(copy.vm), None),
        }
    }
}

impl<D: DiskStore> Sim<D> {
    /// Lets an incident happen.
    ///
    /// # Errors
    /// It cannot happen there; or, outside, the store failed.
    pub fn strike(&mut self, strike: &Strike) -> Happens {
        let name = strike.incident.name.to_owned();
        let (host, vm, to) = strike.target.places();
        if let Err(why) = self.possible(strike) {
            return Ok(Err(why));
        }
        self.record(Some(host), vm, What::Incident { name, to });
        match (strike.incident.act, strike.target) {
            (Act::Ill(ill), target) => {
                let number = self.fall_ill(ill, target, strike)?;
                if let Some(span) = strike.lasts {
                    self.world.after(span, Event::Mended { ill, target, number });
                }
            }
            (Act::Power(power), _) => self.host_power(host, power)?,
            (Act::Reboot, _) => self.reboot(host)?,
            (Act::RestartService, _) => self.restart_service(host)?,
            (Act::Do(deed), Target::Copy(copy)) => self.deed(copy, deed)?,
            (Act::Do(_), _) => return Ok(Err("it happens to a copy of a machine")),
        }
        Ok(Ok(()))
    }

    /// Ends an incident; nothing happens if it is not there.
    ///
    /// # Errors
    /// The store failed.
    pub fn mend(&mut self, incident: &Incident, target: Target) -> StoreResult<()> {
        match incident.act {
            Act::Ill(ill) => self.get_well(ill, target),
            _ => Ok(()),
        }
    }

    pub(crate) fn mended_by_itself(&mut self, ill: Ill, target: Target, number: u64) -> StoreResult<()> {
        match self.world.ills.get(&(ill, target)) {
            Some(struck) if struck.number == number => self.get_well(ill, target),
            _ => Ok(()),
        }
    }

    fn possible(&self, strike: &Strike) -> Result<(), Impossible> {
        if let (Act::Ill(Ill::BrokerOffline | Ill::BrokerAccount), Target::Host(host)) =
            (strike.incident.act, strike.target)
            && !self.world.is_clustered(host)
        {
            return Err("the host is no node of a cluster with a broker");
        }
        let Target::Copy(copy) = strike.target else { return Ok(()) };
        let Some(machine) = self.world.machine(copy) else {
            let stray = strike.incident.act == Act::Do(Deed::StrayCopy);
            return if stray { Ok(()) } else { Err("the host holds no copy of the machine") };
        };
        let state = self.world.host(copy.host).service.copies.get(&copy.vm);
        let (mode, now) = state.map_or((Mode::None, ReplicationState::Disabled), |c| (c.mode, c.state()));
        let steady = mode == Mode::None || (mode == Mode::Primary && now == ReplicationState::Replicating);
        let points = state.map_or(0, |c| c.points.len());
        match strike.incident.act {
            Act::Do(Deed::StrayCopy) => Err("the host holds a machine with this id already"),
            Act::Do(Deed::GrowDisk | Deed::OutgrowLog) if machine.power != Power::Running => {
                Err("the machine does not run there")
            }
            Act::Do(Deed::AddDisk) if self.store.has_failover(copy) || self.store.has_test(copy) => {
                Err("the disks of the copy are under those of a failover, or of a test machine")
            }
            Act::Do(Deed::ExcludeDisk) if self.store.sizes(copy).len() < 2 => {
                Err("the machine has one disk only: Enable-VMReplication needs at least one")
            }
            Act::Do(Deed::WorkerCrash) if !matches!(machine.power, Power::Running | Power::Paused) => {
                Err("the machine does not run there")
            }
            Act::Do(Deed::EditOffline | Deed::ApplyCheckpoint) if machine.power != Power::Off => {
                Err("the machine is not Off there")
            }
            Act::Do(Deed::EditOffline | Deed::ApplyCheckpoint | Deed::LoseLog) if !steady => {
                Err("it is simulated on a replicating primary, and on a machine that is not replicated")
            }
            Act::Do(Deed::ApplyCheckpoint) if points > 0 => {
                Err("it is not simulated while the copy keeps recovery points of its own")
            }
            Act::Do(Deed::ApplyCheckpoint)
                if !machine.checkpoint.is_some_and(|(point, _)| self.store.has_point(copy, point)) =>
            {
                Err("the copy has no checkpoint: Checkpoint-VM takes one")
            }
            Act::Do(Deed::MoveNode | Deed::MoveTest) if !self.world.has_other_node(copy) => {
                Err("no other node of a cluster takes it")
            }
            Act::Do(Deed::MoveTest) if !self.store.has_test(copy) => Err("the replica has no test machine"),
            Act::Do(Deed::TestSwitch | Deed::ForgetAddress) if machine.adapters.is_empty() => {
                Err("the machine has no network adapter")
            }
            Act::Do(Deed::RestoreBackup)
                if (mode, now) != (Mode::Replica, ReplicationState::Replicating) || points == 0 =>
            {
                Err("it is simulated on a replicating replica that keeps a recovery point")
            }
            _ => Ok(()),
        }
    }

    fn fall_ill(&mut self, ill: Ill, target: Target, strike: &Strike) -> StoreResult<u64> {
        if self.world.has(ill, target) {
            self.get_well(ill, target)?;
        }
        self.world.sequence += 1;
        let number = self.world.sequence;
        let rate = strike.rate.unwrap_or(strike.incident.rate);
        let span = strike.by.unwrap_or(strike.incident.by);
        let mut struck = Struck { number, rate, span, points: Vec::new(), before: false };
        let host = target.host();
        match (ill, target) {
            (Ill::LinkCut, Target::Link((a, b))) => drop(self.cut_link(a, b, None)?),
            (Ill::LinkSlow, Target::Link(ends)) => struck.rate = self.link_rate(ends, rate).unwrap_or(rate),
            (Ill::LinkLatent, Target::Link(ends)) => {
                struck.span = self.link_latency(ends, span).unwrap_or(span);
            }
            (Ill::LinkFlaps, Target::Link((a, b))) => {
                if let Some(link) = self.world.link_between(a, b) {
                    self.world.after(Span(FLAP_PERIOD.0 - FLAP_DOWN.0), Event::Flap { link, number });
                }
            }
            (Ill::Untrusted(trust), _) => self.set_trust(host, trust),
            (Ill::NotReplicaServer, _) => {
                struck.before = !std::mem::replace(&mut self.world.host_mut(host).service.accepts, false);
            }
            (Ill::PointsDamaged, Target::Copy(copy)) => {
                let state = self.world.host(copy.host).service.copies.get(&copy.vm);
                let points = state.map(|c| c.points.iter().map(|p| p.id).collect::<Vec<_>>());
                struck.points = points.unwrap_or_default();
                struck.points.pop();
            }
            _ => {}
        }
        self.world.ills.insert((ill, target), struck);
        if ill == Ill::VolumeFull {
            self.machines_stand(host, true)?;
        }
        self.break_what_is_barred()?;
        Ok(number)
    }

    fn get_well(&mut self, ill: Ill, target: Target) -> StoreResult<()> {
        let Some(struck) = self.world.ills.remove(&(ill, target)) else { return Ok(()) };
        let (host, vm, to) = target.places();
        if let Some(incident) = super::table::of(ill) {
            self.record(Some(host), vm, What::Mended { name: incident.name.to_owned(), to });
        }
        match (ill, target) {
            (Ill::LinkCut | Ill::LinkFlaps, Target::Link((a, b))) => drop(self.mend_link(a, b)),
            (Ill::LinkSlow, Target::Link(ends)) => drop(self.link_rate(ends, struck.rate)),
            (Ill::LinkLatent, Target::Link(ends)) => drop(self.link_latency(ends, struck.span)),
            (Ill::Untrusted(_), _) => self.set_trust(host, Trust::Intact),
            (Ill::NotReplicaServer, _) => self.world.host_mut(host).service.accepts = !struck.before,
            (Ill::StoreFull | Ill::FilesLocked, _) => {
                for copy in self.copies_on(host) {
                    self.input(copy, Input::StorageBack)?;
                }
            }
            (Ill::VolumeFull, _) => self.machines_stand(host, false)?,
            _ => {}
        }
        Ok(())
    }

    /// Running machines of a host are paused, or go on.
    fn machines_stand(&mut self, host: HostId, still: bool) -> StoreResult<()> {
        let (from, to) =
            if still { (Power::Running, Power::Paused) } else { (Power::Paused, Power::Running) };
        for copy in self.copies_on(host) {
            if self.world.machine(copy).is_some_and(|m| m.power == from) {
                self.set_power(copy, to)?;
            }
        }
        Ok(())
    }

    /// Sessions whose connection cannot live any longer break at once.
    fn break_what_is_barred(&mut self) -> StoreResult<()> {
        let barred: Vec<_> = self
            .world
            .sessions
            .iter()
            .filter(|(_, session)| {
                let leader = session.leader.host;
                let spec = session.spec;
                let other = if leader == spec.source { spec.target } else { spec.source };
                !self.world.carries_session(leader, other)
            })
            .map(|(id, _)| *id)
            .collect();
        barred.into_iter().try_for_each(|id| self.break_session(id))
    }

    fn link_rate(&mut self, ends: (HostId, HostId), rate: Rate) -> Option<Rate> {
        let link = self.world.link_between(ends.0, ends.1)?;
        let now = self.world.now;
        let before = self.world.links[usize::from(link)].set_rate(now, rate);
        self.watch_flows(link);
        Some(before)
    }

    fn link_latency(&mut self, ends: (HostId, HostId), latency: Span) -> Option<Span> {
        let link = self.world.link_between(ends.0, ends.1)?;
        Some(std::mem::replace(&mut self.world.links[usize::from(link)].latency, latency))
    }

    pub(crate) fn flap(&mut self, link: LinkId, number: u64) -> StoreResult<()> {
        let ends = self.world.links[usize::from(link)].ends;
        let struck = self.world.ills.get(&(Ill::LinkFlaps, Target::Link(ends)));
        if struck.is_none_or(|struck| struck.number != number) {
            return Ok(());
        }
        self.world.after(FLAP_PERIOD, Event::Flap { link, number });
        self.cut_link(ends.0, ends.1, Some(FLAP_DOWN)).map(drop)
    }

    // What happens once.

    fn deed(&mut self, copy: CopyId, deed: Deed) -> StoreResult<()> {
        let call = |text: &'static str, operation| Some((text, operation));
        let operated = match deed {
            Deed::Suspend => call("Suspend-VMReplication", Operation::Suspend),
            Deed::Failover => call("Start-VMFailover", Operation::Failover { point: PointChoice::Latest }),
            Deed::TestFailover => {
                call("Start-VMFailover -AsTest", Operation::TestFailover { point: PointChoice::Latest })
            }
            Deed::Prepare => call("Start-VMFailover -Prepare", Operation::Prepare),
            Deed::AsReplica => call("Set-VMReplication -AsReplica", Operation::AsReplica),
            Deed::Remove => call("Remove-VMReplication", Operation::Remove),
            Deed::ImportWrongFolder => {
                call("Import-VMInitialReplication", Operation::ImportInitialReplica { from: None })
            }
            Deed::DestroyVm => {
                self.operate(copy, "Remove-VMReplication", Operation::Remove)?;
                call("Remove-VM", Operation::DestroyVm)
            }
            _ => None,
        };
        if let Some((text, operation)) = operated {
            return self.operate(copy, text, operation).map(drop);
        }
        match deed {
            Deed::WorkerCrash => self.worker_crash(copy).map(drop),
            Deed::LoseLog => self.input(copy, Input::ResyncNeeded),
            Deed::EditOffline => self.edit_offline(copy),
            Deed::ApplyCheckpoint => self.apply_checkpoint(copy),
            Deed::RestoreBackup => self.restore_backup(copy),
            Deed::StrayCopy => self.stray_copy(copy),
            Deed::MoveNode => self.move_on(copy).map(drop),
            Deed::MoveTest => self.move_test(copy).map(drop),
            Deed::TestSwitch => self.test_on_production(copy),
            Deed::ForgetAddress => self.forget_address(copy),
            Deed::AddDisk => self.add_disk(copy, NEW_DISK),
            Deed::GrowDisk => self.grow_disk(copy, true),
            Deed::GrowBeforeResync => {
                self.grow_disk(copy, false)?;
                self.input(copy, Input::ResyncNeeded)
            }
            Deed::ShrinkDisk => self.shrink_disk(copy),
            Deed::ExcludeDisk => self.exclude_disk(copy),
            Deed::OutgrowLog => self.outgrow_log(copy),
            _ => Ok(()),
        }
    }

    /// The first disk gets twice its size; `used` writes into the new space.
    fn grow_disk(&mut self, copy: CopyId, used: bool) -> StoreResult<()> {
        let Some(size) = self.store.sizes(copy).first().copied() else { return Ok(()) };
        let resize = Operation::ResizeDisk { disk: 0, size: Some(size.0 * 2) };
        self.operate(copy, "Resize-VHD", resize)?;
        if used {
            drop(self.write(copy, 0, size.0, NEW_SPACE, "new space")?);
        }
        Ok(())
    }

    /// The first disk is written over from its start, for a little more than half of all disks.
    fn outgrow_log(&mut self, copy: CopyId) -> StoreResult<()> {
        let sizes = self.store.sizes(copy);
        let half: u64 = sizes.iter().map(|size| size.0).sum::<u64>() / 2;
        let end = sizes.first().map_or(0, |size| size.0);
        let mut left = half.next_multiple_of(NEW_SPACE.0) + NEW_SPACE.0;
        while left > 0 {
            let len = left.min(end);
            drop(self.write(copy, 0, 0, Bytes(len), "more than half")?);
            left -= len.max(1).min(left);
        }
        Ok(())
    }

    fn shrink_disk(&mut self, copy: CopyId) -> StoreResult<()> {
        let resize = Operation::ResizeDisk { disk: 0, size: None };
        self.operate(copy, "Resize-VHD -ToMinimumSize", resize).map(drop)
    }

    /// The last disk of the list is left out.
    fn exclude_disk(&mut self, copy: CopyId) -> StoreResult<()> {
        let others = DiskSet::first(self.store.sizes(copy).len().saturating_sub(1));
        let change = SettingsChange { disks: Some(others), ..SettingsChange::default() };
        self.operate(copy, "Set-VMReplication -ReplicatedDiskPaths", Operation::Modify(change)).map(drop)
    }

    /// Somebody writes into the disk of a machine that is Off: no log sees it.
    fn edit_offline(&mut self, copy: CopyId) -> StoreResult<()> {
        self.input(copy, Input::ResyncNeeded)?;
        let size = self.world.disk_size(copy.vm, 0).unwrap_or_default();
        let len = OFFLINE_EDIT.0.min(size.0);
        let no = self.world.next_write;
        self.world.next_write.0 += 1;
        let write = Write { no, disk: 0, offset: 0, len };
        self.store.write(copy, &write)?;
        let now = self.world.now;
        let what = Written::Tagged(write, "edited offline".to_owned());
        self.enter(copy, Entry { what, bytes: len, from: now, to: now });
        Ok(())
    }

    /// A user's checkpoint is taken, or all are deleted. What the newest one holds is kept, to be applied.
    pub(crate) fn checkpoint(&mut self, copy: CopyId, add: bool) -> StoreResult<()> {
        let old = self.world.machine(copy).and_then(|m| m.checkpoint);
        if let Some((point, _)) = old.filter(|(point, _)| self.store.has_point(copy, *point)) {
            self.store.point_drop(copy, point)?;
        }
        let mut kept = None;
        if add && !self.store.has_failover(copy) && !copy.vm.is_test() {
            self.world.sequence += 1;
            let point = PointId(u64::MAX - self.world.sequence);
            self.store.point_take(copy, point)?;
            kept = self.world.machine(copy).map(|m| (point, m.content.live));
        }
        self.with(copy, |m| {
            m.checkpoints = if add { m.checkpoints + 1 } else { 0 };
            m.checkpoint = kept;
        });
        Ok(())
    }

    /// The disks go back to what the newest checkpoint holds: what was written since is lost.
    fn apply_checkpoint(&mut self, copy: CopyId) -> StoreResult<()> {
        let Some((point, content)) = self.world.machine(copy).and_then(|m| m.checkpoint) else {
            return Ok(());
        };
        self.input(copy, Input::ResyncNeeded)?;
        let lost = self.world.machine(copy).map(|m| self.world.ledger.lost(m.content.live, content));
        self.break_sessions(|s| s.spec.source == copy.host && s.leader.vm == copy.vm)?;
        self.store.point_rollback(copy, point)?;
        // The checkpoint itself stays.
        self.store.point_take(copy, point)?;
        self.with(copy, |m| m.content.set(content));
        if let Some(lost) = lost.filter(|lost| !lost.is_empty()) {
            self.record(Some(copy.host), Some(copy.vm), What::Lost(lost));
        }
        Ok(())
    }

    /// The replica is replaced by a backup of it: as old as its oldest recovery point.
    fn restore_backup(&mut self, copy: CopyId) -> StoreResult<()> {
        let state = self.world.host(copy.host).service.copies.get(&copy.vm);
        let Some(point) = state.and_then(|c| c.points.first()).map(|p| p.id) else { return Ok(()) };
        // What a middle copy has sent on is ahead of the backup, and what reads it stops before the disks change.
        if self.world.host(copy.host).service.relationship(copy.vm.extended()).is_some() {
            self.input(copy.extended(), Input::ResyncNeeded)?;
        }
        self.store.log_forget_received(copy)?;
        self.with(copy, |m| m.content.received.clear());
        self.rollback(copy, point)?;
        self.input(copy, Input::Restored(point))
    }

    /// A machine with the same id is left on the host, from an earlier relationship or a copy by hand.
    fn stray_copy(&mut self, copy: CopyId) -> StoreResult<()> {
        let like = self.world.copies().find(|other| other.vm == copy.vm).map(|other| other.host);
        if let Some(like) = like {
            self.create_copy(copy, like)?;
            self.world.host_mut(copy.host).service.add(copy.vm);
        }
        Ok(())
    }
}
