//! The store that keeps no content: a cell holds the number of its last write.
//!
//! A disk costs what was written to it, whatever its size, and comparing two disks compares numbers.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Index, IndexMut};

use hvrsim_resync::heat::HeatMap;
use hvrsim_resync::runs::{self, Run, RunSet};
use hvrsim_resync::{Blocks, BlocksMut, Candidates};
use hvrsim_types::canary::{Canary, is_planted};
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{CopyId, PointId, SessionId};
use hvrsim_types::size::{Bytes, CELL};
use hvrsim_types::vm_map::VmMap;
use serde::{Deserialize, Serialize};

use super::session::{Session, Sides};
use super::{
    BlockSet, Difference, DiskSpec, DiskStore, Glance, Initial, LogStats, Move, ResyncCounts, ResyncSpec,
    Seen, StoreError, StoreResult, View, Write, WriteNo, tally,
};

mod disk;
mod frozen;
mod log;
mod side;

use disk::{Disk, Part};
use log::{Log, Tracking};
use side::Side;

/// One copy's disks and logs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Copy {
    disks: Box<[Disk]>,
    /// Oldest first, as the disks have them.
    points: Vec<PointId>,
    has_failover: bool,
    has_test: bool,
    tracking: Option<Box<Tracking>>,
    /// The change log of the extended relationship.
    extended: Option<Box<Tracking>>,
    received: VecDeque<Log>,
    /// The disks that its change log takes, and that of its extended relationship.
    chosen: [DiskSet; 2],
}

impl Copy {
    /// The place of a view's point.
    fn place(&self, view: View) -> Option<usize> {
        match view {
            View::Live => None,
            View::Point(point) => Some(self.place_of(point)),
        }
    }

    fn place_of(&self, point: PointId) -> usize {
        self.points.iter().position(|p| *p == point).expect("the recovery point exists")
    }

    fn seen(&self, view: View) -> Seen {
        self.place(view).map_or(Seen::Guest, Seen::Point)
    }

    fn write(&mut self, write: &Write) {
        let run = tally::cells(write.offset, write.len);
        self.disks[usize::from(write.disk)].write(run, write.no.0);
        if let Some(tracking) = self.tracking.as_mut().filter(|tracking| tracking.takes(write.disk)) {
            tracking.add(write.disk, write.len, [(run, write.no.0)]);
        }
    }

    /// The change log of the machine, or of its extended relationship.
    fn log(&self, id: CopyId) -> &Option<Box<Tracking>> {
        if id.vm.is_extended() { &self.extended } else { &self.tracking }
    }

    fn log_mut(&mut self, id: CopyId) -> &mut Option<Box<Tracking>> {
        if id.vm.is_extended() { &mut self.extended } else { &mut self.tracking }
    }

    fn tracking(&mut self, id: CopyId) -> &mut Tracking {
        self.log_mut(id).as_mut().expect("tracking is on")
    }

    /// What a log has changed in the base goes on.
    fn extend(&mut self, log: &Log) {
        let Some(extended) = &mut self.extended else { return };
        for (number, disk) in (0..).zip(&self.disks) {
            if !extended.takes(number) {
                continue;
            }
            let mut covered = RunSet::default();
            log.iter().filter(|(of, ..)| *of == number).for_each(|(_, run, _)| covered.insert(run));
            let covered: Vec<Run> = covered.iter().collect();
            for piece in tally::pieces(&covered) {
                extended.add(number, tally::bytes(piece, disk.size), disk.view_whole(Seen::Base, piece));
            }
        }
    }
}

/// All copies, by host and machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
struct Copies(Vec<VmMap<Copy>>);

impl Index<CopyId> for Copies {
    type Output = Copy;

    fn index(&self, id: CopyId) -> &Copy {
        self.0.get(usize::from(id.host.0)).and_then(|host| host.get(&id.vm)).expect("the copy exists")
    }
}

impl IndexMut<CopyId> for Copies {
    fn index_mut(&mut self, id: CopyId) -> &mut Copy {
        let host = self.0.get_mut(usize::from(id.host.0));
        host.and_then(|host| host.get_mut(&id.vm)).expect("the copy exists")
    }
}

impl Copies {
    fn has(&self, id: CopyId) -> bool {
        self.0.get(usize::from(id.host.0)).is_some_and(|host| host.contains_key(&id.vm))
    }

    fn insert(&mut self, id: CopyId, copy: Copy) {
        let host = usize::from(id.host.0);
        if host >= self.0.len() {
            self.0.resize_with(host + 1, VmMap::default);
        }
        self.0[host].insert(id.vm, copy);
    }

    fn remove(&mut self, id: CopyId) -> Copy {
        self.0.get_mut(usize::from(id.host.0)).and_then(|host| host.remove(&id.vm)).expect("the copy exists")
    }
}

/// The copies of a session.
struct Pair<'a> {
    copies: &'a mut Copies,
    from: (CopyId, View),
    to: CopyId,
}

impl Sides<Vec<Part>> for Pair<'_> {
    fn source(
        &mut self,
        disk: u8,
        candidates: &Candidates,
    ) -> impl Blocks<Content = Vec<Part>, Error = StoreError> {
        let (copy, view) = self.from;
        let copy = &self.copies[copy];
        let seen = copy.seen(view);
        Side { disk: &copy.disks[usize::from(disk)], seen, candidates: Some((disk, candidates)) }
    }

    fn target(&mut self, disk: u8) -> impl BlocksMut<Content = Vec<Part>, Error = StoreError> {
        let copy = &mut self.copies[self.to];
        Side { disk: &mut copy.disks[usize::from(disk)], seen: Seen::Guest, candidates: None }
    }
}

/// The store that keeps the numbers of writes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Stamps {
    copies: Copies,
    sessions: BTreeMap<SessionId, Box<Session<Vec<Part>>>>,
}

impl Stamps {
    /// A store without any copy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The copy, or the replica that a test machine was made from.
    fn copy(&self, id: CopyId) -> &Copy {
        &self.copies[self.owner(id)]
    }

    fn copy_mut(&mut self, id: CopyId) -> &mut Copy {
        let owner = self.owner(id);
        &mut self.copies[owner]
    }

    /// Whose disks these are: a test machine's are the replica's, unless they were parted.
    fn owner(&self, id: CopyId) -> CopyId {
        if id.vm.is_test() && self.copies.has(id) { id } else { id.machine() }
    }

    fn seen(&self, (id, view): (CopyId, View)) -> Seen {
        if id.vm.is_test() && !self.copies.has(id) { Seen::Test } else { self.copy(id).seen(view) }
    }

    fn pair(&mut self, from: (CopyId, View), to: CopyId) -> Pair<'_> {
        Pair { copies: &mut self.copies, from, to }
    }

    fn session(&self, id: SessionId) -> &Session<Vec<Part>> {
        self.sessions.get(&id).expect("the session exists")
    }
}

fn make(spec: &DiskSpec) -> StoreResult<Disk> {
    let mut disk = Disk::new(spec.size.0);
    match &spec.initial {
        Initial::Blank => {}
        Initial::Used(used) => {
            let used = tally::cells(0, used.0.min(spec.size.0));
            if used.len > 0 {
                disk.fill(used, WriteNo::INITIAL.0);
            }
        }
        Initial::Given(path) => {
            let what = "a given image needs the image store (--store images)".to_owned();
            return Err(StoreError::Given { path: path.clone(), what });
        }
    }
    Ok(disk)
}

#[cfg(test)]
impl Stamps {
    /// The write that the guest reads in a cell; 0: none.
    pub(super) fn stamp(&self, copy: CopyId, disk: u8, cell: u64) -> u64 {
        let seen = self.seen((copy, View::Live));
        let parts = self.copy(copy).disks[usize::from(disk)].view(seen, Run { start: cell, len: 1 });
        parts.first().map_or(0, |(_, stamp)| *stamp)
    }
}

impl DiskStore for Stamps {
    fn create(&mut self, copy: CopyId, disks: &[DiskSpec]) -> StoreResult<()> {
        let disks: StoreResult<Box<[Disk]>> = disks.iter().map(make).collect();
        let made = Copy {
            disks: disks?,
            points: Vec::new(),
            has_failover: false,
            has_test: false,
            tracking: None,
            extended: None,
            received: VecDeque::new(),
            chosen: [DiskSet::ALL; 2],
        };
        self.copies.insert(copy, made);
        Ok(())
    }

    fn remove(&mut self, copy: CopyId) -> StoreResult<()> {
        self.copies.remove(copy);
        Ok(())
    }

    fn sizes(&self, copy: CopyId) -> Vec<Bytes> {
        self.copy(copy).disks.iter().map(|disk| Bytes(disk.size)).collect()
    }

    fn disk_make(&mut self, copy: CopyId, disk: u8, spec: &DiskSpec) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        let mut made = make(spec)?;
        copy.points.iter().for_each(|_| made.take_point());
        let at = usize::from(disk);
        if at < copy.disks.len() {
            copy.disks[at] = made;
        } else {
            let mut disks = std::mem::take(&mut copy.disks).into_vec();
            disks.push(made);
            copy.disks = disks.into();
        }
        Ok(())
    }

    fn disk_resize(&mut self, copy: CopyId, disk: u8, size: Bytes) -> StoreResult<()> {
        self.copy_mut(copy).disks[usize::from(disk)].resize(size.0);
        Ok(())
    }

    fn disk_end(&self, copy: CopyId, disk: u8) -> Bytes {
        let disk = &self.copy(copy).disks[usize::from(disk)];
        Bytes((disk.end() * CELL).min(disk.size))
    }

    fn write(&mut self, copy: CopyId, write: &Write) -> StoreResult<()> {
        self.write_all(copy, &mut std::iter::once(*write))
    }

    fn write_all(&mut self, copy: CopyId, writes: &mut dyn Iterator<Item = Write>) -> StoreResult<()> {
        let is_test = copy.vm.is_test() && !self.copies.has(copy);
        let copy = self.copy_mut(copy);
        for write in writes {
            if is_test {
                let run = tally::cells(write.offset, write.len);
                copy.disks[usize::from(write.disk)].write_test(run, write.no.0);
            } else {
                copy.write(&write);
            }
        }
        Ok(())
    }

    fn log_choose(&mut self, copy: CopyId, disks: DiskSet) -> StoreResult<()> {
        let id = copy;
        let copy = self.copy_mut(copy);
        copy.chosen[usize::from(id.vm.is_extended())] = disks;
        let count = number(copy.disks.len());
        if let Some(tracking) = copy.log_mut(id) {
            tracking.choose(count, disks);
        }
        Ok(())
    }

    fn log_fits(&self, from: CopyId, to: CopyId) -> StoreResult<bool> {
        let (sender, receiver) = (self.copy(from), self.copy(to));
        if sender.disks.iter().map(|disk| disk.size).eq(receiver.disks.iter().map(|disk| disk.size)) {
            return Ok(true);
        }
        let log = sender.log(from).as_ref().and_then(|tracking| tracking.oldest());
        let end = |disk: u8| receiver.disks.get(usize::from(disk)).map_or(0, Disk::cells);
        Ok(log.is_none_or(|log| log.iter().all(|(disk, run, _)| run.end() <= end(disk))))
    }

    fn log_start(&mut self, copy: CopyId) -> StoreResult<()> {
        let id = copy;
        let copy = self.copy_mut(copy);
        let chosen = copy.chosen[usize::from(id.vm.is_extended())];
        let mut tracking = Tracking::new(number(copy.disks.len()), chosen);
        let own = |number: &u8| !id.vm.is_extended() && chosen.contains(*number);
        for (number, disk) in (0..).zip(&copy.disks).filter(|(number, _)| own(number)) {
            let Some(failover) = disk.failover() else { continue };
            let mut covered = Vec::new();
            for (run, _) in failover.iter() {
                runs::push(&mut covered, run);
            }
            for piece in tally::pieces(&covered) {
                tracking.add(number, tally::bytes(piece, disk.size), failover.within(piece));
            }
        }
        *copy.log_mut(id) = Some(Box::new(tracking));
        Ok(())
    }

    fn log_stop(&mut self, copy: CopyId) -> StoreResult<()> {
        *self.copy_mut(copy).log_mut(copy) = None;
        Ok(())
    }

    fn log_is_on(&self, copy: CopyId) -> bool {
        !copy.vm.is_test() && self.copy(copy).log(copy).is_some()
    }

    fn log_pending(&self, copy: CopyId) -> u64 {
        let tracking = self.copy(copy).log(copy).as_ref().filter(|_| !copy.vm.is_test());
        tracking.map_or(0, |tracking| tracking.pending())
    }

    fn glance(&self, copy: CopyId) -> Glance {
        let id = copy;
        let copy = self.copy(copy);
        let tracking = copy.log(id).as_ref().filter(|_| !id.vm.is_test());
        Glance {
            sizes: copy.disks.iter().map(|disk| disk.size).collect(),
            pending_bytes: tracking.map_or(0, |tracking| tracking.pending()),
            has_test: copy.has_test,
        }
    }

    fn log_switch(&mut self, copy: CopyId) -> StoreResult<LogStats> {
        Ok(self.copy_mut(copy).tracking(copy).switch())
    }

    fn log_drop_oldest(&mut self, copy: CopyId) -> StoreResult<()> {
        assert!(self.copy_mut(copy).tracking(copy).drop_oldest(), "there is a closed log");
        Ok(())
    }

    fn log_deliver(&mut self, from: CopyId, to: CopyId) -> StoreResult<()> {
        let log = self.copy(from).log(from).as_ref().and_then(|tracking| tracking.oldest());
        let log = log.expect("there is a closed log").clone();
        self.copy_mut(to).received.push_back(log);
        Ok(())
    }

    fn log_apply(&mut self, copy: CopyId) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        let log = copy.received.pop_front().expect("a log was received");
        let cut = usize::from(is_planted(Canary::LogCutShort));
        let parts = log.iter().count().saturating_sub(cut);
        for (disk, run, stamp) in log.iter().take(parts) {
            copy.disks[usize::from(disk)].overwrite(run, stamp);
        }
        copy.extend(&log);
        Ok(())
    }

    fn log_forget_received(&mut self, copy: CopyId) -> StoreResult<()> {
        self.copy_mut(copy).received.clear();
        Ok(())
    }

    fn log_add(&mut self, copy: CopyId, blocks: &BlockSet) -> StoreResult<()> {
        let id = copy;
        let seen = if id.vm.is_extended() { Seen::Base } else { Seen::Guest };
        let copy = self.copy_mut(copy);
        for &(number, block) in blocks {
            let size = copy.disks.get(usize::from(number)).map_or(0, |disk| disk.size);
            if !copy.tracking(id).takes(number) || start_of(block) >= size {
                continue;
            }
            let disk = &copy.disks[usize::from(number)];
            let run = tally::block(block, disk.size);
            let parts = disk.view_whole(seen, run);
            let bytes = tally::bytes(run, disk.size);
            copy.tracking(id).add(number, bytes, parts);
        }
        Ok(())
    }

    fn log_blocks(&self, copy: CopyId) -> BlockSet {
        self.copy(copy).log(copy).as_ref().map_or_else(BlockSet::new, |tracking| tracking.blocks())
    }

    fn log_promote(&mut self, copy: CopyId) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        let own = copy.tracking.take().expect("tracking is on");
        let mut extended = copy.extended.take().expect("the extended relationship is tracked");
        extended.append(*own);
        copy.tracking = Some(extended);
        Ok(())
    }

    fn point_take(&mut self, copy: CopyId, point: PointId) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        copy.points.push(point);
        copy.disks.iter_mut().for_each(Disk::take_point);
        Ok(())
    }

    fn has_point(&self, copy: CopyId, point: PointId) -> bool {
        self.copy(copy).points.contains(&point)
    }

    fn point_drop(&mut self, copy: CopyId, point: PointId) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        let at = copy.place_of(point);
        copy.points.remove(at);
        copy.disks.iter_mut().for_each(|disk| disk.drop_point(at));
        Ok(())
    }

    fn point_rollback(&mut self, copy: CopyId, point: PointId) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        let at = copy.place_of(point);
        copy.points.truncate(at);
        copy.disks.iter_mut().for_each(|disk| disk.roll_back(at));
        Ok(())
    }

    fn point_changes(&self, copy: CopyId, point: PointId) -> BlockSet {
        let copy = self.copy(copy);
        let at = copy.place_of(point);
        let mut out = BlockSet::new();
        for (number, disk) in (0..).zip(&copy.disks) {
            for (run, _) in disk.undone(at).iter() {
                out.extend(runs::each(&runs::blocks_of(&[run])).map(|block| (number, block)));
            }
        }
        out
    }

    fn point_undo_bytes(&self, copy: CopyId, point: PointId) -> u64 {
        let copy = self.copy(copy);
        let at = copy.place_of(point);
        copy.disks.iter().map(|disk| CELL * disk.undone(at).cells()).sum()
    }

    fn failover_create(&mut self, copy: CopyId, view: View) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        assert!(!copy.has_failover, "there is no failover disk yet");
        let place = copy.place(view);
        copy.has_failover = true;
        copy.disks.iter_mut().for_each(|disk| disk.create_failover(place));
        Ok(())
    }

    fn failover_discard(&mut self, copy: CopyId) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        copy.has_failover = false;
        copy.disks.iter_mut().for_each(Disk::discard_failover);
        Ok(())
    }

    fn failover_commit(&mut self, copy: CopyId) -> StoreResult<u64> {
        let copy = self.copy_mut(copy);
        copy.has_failover = false;
        copy.points.clear();
        Ok(copy.disks.iter_mut().map(|disk| CELL * disk.commit_failover()).sum())
    }

    fn has_failover(&self, copy: CopyId) -> bool {
        !copy.vm.is_test() && self.copy(copy).has_failover
    }

    fn test_create(&mut self, copy: CopyId, view: View) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        assert!(!copy.has_test, "there is no test machine yet");
        let place = copy.place(view);
        copy.has_test = true;
        copy.disks.iter_mut().for_each(|disk| disk.create_test(place));
        Ok(())
    }

    fn test_discard(&mut self, copy: CopyId) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        copy.has_test = false;
        copy.disks.iter_mut().for_each(Disk::discard_test);
        Ok(())
    }

    fn test_detach(&mut self, copy: CopyId, test: CopyId) -> StoreResult<()> {
        let replica = self.copy(copy);
        let alone = |disk: &Disk| {
            let mut own = Disk::new(disk.size);
            for (run, stamp) in disk.view(Seen::Test, Run { start: 0, len: disk.cells() }) {
                if stamp != 0 {
                    own.fill(run, stamp);
                }
            }
            own
        };
        let made = Copy {
            disks: replica.disks.iter().map(alone).collect(),
            points: Vec::new(),
            has_failover: false,
            has_test: false,
            chosen: [DiskSet::ALL; 2],
            tracking: None,
            extended: None,
            received: VecDeque::new(),
        };
        self.test_discard(copy)?;
        self.copies.insert(test, made);
        Ok(())
    }

    fn is_apart(&self, test: CopyId) -> bool {
        self.copies.has(test)
    }

    fn relocate(&mut self, from: CopyId, to: CopyId) -> StoreResult<()> {
        let copy = self.copies.remove(from);
        self.copies.insert(to, copy);
        self.sessions.values_mut().for_each(|session| session.relocate(from, to));
        Ok(())
    }

    fn has_test(&self, copy: CopyId) -> bool {
        self.copy(copy).has_test
    }

    fn resync_open(&mut self, session: SessionId, spec: &ResyncSpec) -> StoreResult<()> {
        let disks = number(self.copy(spec.source).disks.len());
        let opened = Session::open(spec, disks, &mut self.pair((spec.source, spec.view), spec.target))?;
        self.sessions.insert(session, Box::new(opened));
        Ok(())
    }

    fn resync_next(&mut self, session: SessionId) -> StoreResult<Option<Move>> {
        Ok(self.session(session).next())
    }

    fn resync_deliver(&mut self, session: SessionId) -> StoreResult<()> {
        let mut running = self.sessions.remove(&session).expect("the session exists");
        assert!(!self.has_failover(running.to), "the target of a resynchronization has a failover disk");
        let delivered = running.deliver(&mut self.pair(running.from, running.to));
        self.sessions.insert(session, running);
        delivered
    }

    fn resync_interrupt(&mut self, session: SessionId, crossed: u64) -> StoreResult<()> {
        let mut running = self.sessions.remove(&session).expect("the session exists");
        let interrupted = running.interrupt(&mut self.pair(running.from, running.to), skipped(crossed));
        self.sessions.insert(session, running);
        interrupted
    }

    fn resync_counts(&self, session: SessionId) -> ResyncCounts {
        self.session(session).counts()
    }

    fn resync_heat(&self, session: SessionId) -> Vec<HeatMap> {
        self.session(session).heat().to_vec()
    }

    fn resync_close(&mut self, session: SessionId) -> StoreResult<()> {
        self.sessions.remove(&session).expect("the session exists");
        Ok(())
    }

    fn difference(&self, a: (CopyId, View), b: (CopyId, View)) -> StoreResult<Option<Difference>> {
        let side = |(copy, view)| (&*self.copy(copy).disks, self.seen((copy, view)));
        let (a, b) = (side(a), side(b));
        let number_of_disks = a.0.len().max(b.0.len());
        for number in 0..number(number_of_disks) {
            let parts = |(disks, seen): (&[Disk], Seen)| {
                let disk = disks.get(usize::from(number))?;
                let all = Run { start: 0, len: disk.cells() };
                Some((disk.size, if all.len == 0 { Vec::new() } else { disk.view(seen, all) }))
            };
            let cell = match (parts(a), parts(b)) {
                (Some((x, a)), Some((y, b))) => {
                    let sizes = (x != y).then(|| x.min(y) / CELL);
                    first_difference(&a, &b).into_iter().chain(sizes).min()
                }
                _ => Some(0),
            };
            if let Some(cell) = cell {
                return Ok(Some(Difference { disk: number, offset: cell * CELL }));
            }
        }
        Ok(None)
    }

    fn present_bytes(&self, copy: CopyId) -> u64 {
        let seen = self.seen((copy, View::Live));
        self.copy(copy).disks.iter().map(|disk| CELL * disk.present_cells(seen)).sum()
    }
}

/// Where a block begins, in bytes.
const fn start_of(block: u64) -> u64 {
    block * hvrsim_types::size::BLOCK
}

/// How far a session is that was cut.
fn skipped(crossed: u64) -> u64 {
    if is_planted(Canary::ResumeSkips) { crossed + (64 << 10) } else { crossed }
}

/// A number of disks, which a machine has few of.
fn number(disks: usize) -> u8 {
    u8::try_from(disks).expect("at most 255 disks")
}

/// The first cell with another stamp; both lists are sorted and joined.
fn first_difference(a: &[Part], b: &[Part]) -> Option<u64> {
    let at = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    match (a.get(at), b.get(at)) {
        (None, None) => None,
        (Some((x, _)), None) | (None, Some((x, _))) => Some(x.start),
        (Some((x, p)), Some((y, q))) if x.start == y.start && p == q => Some(x.end().min(y.end())),
        (Some((x, _)), Some((y, _))) => Some(x.start.min(y.start)),
    }
}
