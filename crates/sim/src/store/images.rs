//! The store of real files: VHDX or raw images, change logs and undo logs in a run folder.
//!
//! Content comes from the write's number and place and is never all zeros, so that a cell is present
//! exactly where it is not zero, and every figure is the one that the store of stamps gives. Content
//! takes the way that it takes in the real system: through logs, undo logs and digests of what is read
//! back from the files.
//!
//! ```text
//! <run>/<host>/<machine>-disk0.vhdx            the base (.raw when raw was asked for)
//!              <machine>-disk0-7.hrl           the 7th change log
//!              <machine>-disk0-extended-7.hrl  the same of its extended relationship
//!              <machine>-disk0-in-3.hrl        the 3rd log received
//!              <machine>-disk0-20000000001.hru the undo log of a recovery point
//!              <machine>-disk0-failover.avhdx  the failover disk (.raw over raw)
//!              <machine>-disk0-test.avhdx      the test machine's disk (.raw over raw)
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use hvrsim_resync::heat::HeatMap;
use hvrsim_resync::runs::{self, Run};
use hvrsim_resync::{Blocks, BlocksMut, Candidates};
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{CopyId, PointId, SessionId};
use hvrsim_types::size::{BLOCK, Bytes, CELL};

use super::session::{Session, Sides};
use super::{
    BlockSet, Difference, DiskSpec, DiskStore, LogStats, Move, ResyncCounts, ResyncSpec, Seen, StoreError,
    StoreResult, View, Write, tally,
};

mod content;
mod disk;
mod files;
mod log;
mod side;
mod undo;

use content::CELL_BYTES;
use disk::Disk;
use files::Folder;
use log::{LogFiles, Tracking};
use side::Side;

/// One copy's disks and logs.
struct Copy {
    disks: Vec<Disk>,
    /// Oldest first, as the disks have them.
    points: Vec<PointId>,
    has_failover: bool,
    has_test: bool,
    tracking: Option<Tracking>,
    /// The change log of the extended relationship.
    extended: Option<Tracking>,
    /// Change logs made and logs received so far, which name the files.
    logs_made: u64,
    logs_received: u64,
    received: VecDeque<LogFiles>,
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

    /// The change log of the machine, or of its extended relationship.
    fn log(&self, id: CopyId) -> &Option<Tracking> {
        if id.vm.is_extended() { &self.extended } else { &self.tracking }
    }

    fn log_mut(&mut self, id: CopyId) -> &mut Option<Tracking> {
        if id.vm.is_extended() { &mut self.extended } else { &mut self.tracking }
    }

    fn tracking(&mut self, id: CopyId) -> &mut Tracking {
        self.log_mut(id).as_mut().expect("tracking is on")
    }

    fn seen(&self, view: View) -> Seen {
        self.place(view).map_or(Seen::Guest, Seen::Point)
    }

    /// Adds what the guest sees in a run, or for the extended relationship what the base holds, to the open log, as one
    /// write.
    fn log_present(&mut self, id: CopyId, disk: u8, run: Run) -> StoreResult<()> {
        let seen = if id.vm.is_extended() { Seen::Base } else { Seen::Guest };
        let mut content = vec![0; content::bytes(run)];
        self.disks[usize::from(disk)].read(seen, run, &mut content)?;
        self.tracking(id).add(disk, run, &content)
    }
}

/// The copies of a session.
struct Pair<'a> {
    copies: &'a mut BTreeMap<CopyId, Copy>,
    from: (CopyId, View),
    to: CopyId,
    key: [u8; 32],
}

impl Sides<Vec<u8>> for Pair<'_> {
    fn source(
        &mut self,
        disk: u8,
        candidates: &Candidates,
    ) -> impl Blocks<Content = Vec<u8>, Error = StoreError> {
        let (copy, view) = self.from;
        let copy = self.copies.get(&copy).expect("the source exists");
        let seen = copy.seen(view);
        Side {
            disk: &copy.disks[usize::from(disk)],
            seen,
            candidates: Some((disk, candidates)),
            key: self.key,
        }
    }

    fn target(&mut self, disk: u8) -> impl BlocksMut<Content = Vec<u8>, Error = StoreError> {
        let copy = self.copies.get_mut(&self.to).expect("the target exists");
        Side { disk: &mut copy.disks[usize::from(disk)], seen: Seen::Guest, candidates: None, key: self.key }
    }
}

/// The store that keeps content in files.
pub struct Images {
    folder: Folder,
    /// The key of the digests of resynchronizations.
    key: [u8; 32],
    copies: BTreeMap<CopyId, Copy>,
    sessions: BTreeMap<SessionId, Session<Vec<u8>>>,
}

impl Images {
    /// A store in a run folder, with a folder for each host in it. Names stand in the order of the ids;
    /// characters that do not fit a file name become `_`. The GUIDs in all files derive from `seed`.
    ///
    /// # Errors
    /// [`StoreError::Folder`](super::StoreError::Folder) when a host's folder cannot be made.
    pub fn new(run: PathBuf, hosts: &[String], machines: &[String], seed: u64) -> StoreResult<Self> {
        let mut hasher = blake3::Hasher::new_derive_key("hvrsim resynchronization digests");
        let key = *hasher.update(&seed.to_le_bytes()).finalize().as_bytes();
        let folder = Folder::make(run, hosts, machines, seed)?;
        Ok(Self { folder, key, copies: BTreeMap::new(), sessions: BTreeMap::new() })
    }

    /// Leaves all files clean, so that any tool opens them.
    ///
    /// # Errors
    /// [`StoreError::Folder`](super::StoreError::Folder) when a file cannot be written.
    pub fn finish(self) -> StoreResult<()> {
        for mut copy in self.copies.into_values() {
            for tracking in [&mut copy.tracking, &mut copy.extended].into_iter().flatten() {
                tracking.close()?;
            }
            copy.disks.into_iter().try_for_each(Disk::close)?;
        }
        Ok(())
    }

    /// The copy, or the replica that a test machine was made from.
    fn copy(&self, id: CopyId) -> &Copy {
        self.copies.get(&self.owner(id)).expect("the copy exists")
    }

    fn copy_mut(&mut self, id: CopyId) -> &mut Copy {
        self.copies.get_mut(&self.owner(id)).expect("the copy exists")
    }

    /// Whose disks these are: a test machine's are the replica's, unless they were parted.
    fn owner(&self, id: CopyId) -> CopyId {
        if id.vm.is_test() && self.copies.contains_key(&id) { id } else { id.machine() }
    }

    fn seen(&self, (id, view): (CopyId, View)) -> Seen {
        if id.vm.is_test() && !self.copies.contains_key(&id) { Seen::Test } else { self.copy(id).seen(view) }
    }

    fn pair(&mut self, from: (CopyId, View), to: CopyId) -> Pair<'_> {
        Pair { copies: &mut self.copies, from, to, key: self.key }
    }

    fn session(&self, id: SessionId) -> &Session<Vec<u8>> {
        self.sessions.get(&id).expect("the session exists")
    }
}

#[cfg(test)]
impl Images {
    /// What the guest reads in a cell.
    pub(super) fn cell(&self, copy: CopyId, disk: u8, cell: u64) -> Vec<u8> {
        let mut out = vec![0; CELL_BYTES];
        let seen = self.seen((copy, View::Live));
        self.copy(copy).disks[usize::from(disk)].read(seen, Run { start: cell, len: 1 }, &mut out).unwrap();
        out
    }

    /// What it should read if this was the last write; 0: none was.
    pub(super) fn expected_cell(&self, copy: CopyId, no: super::WriteNo, disk: u8, cell: u64) -> Vec<u8> {
        let run = Run { start: cell, len: 1 };
        let mut out = if no.0 == 0 { vec![0; CELL_BYTES] } else { content::cells(no, disk, run) };
        let size = self.copy(copy).disks[usize::from(disk)].size();
        out[usize::try_from(tally::bytes(run, size)).unwrap()..].fill(0);
        out
    }
}

impl DiskStore for Images {
    fn create(&mut self, copy: CopyId, disks: &[DiskSpec]) -> StoreResult<()> {
        let make = |(number, spec)| Disk::make(&self.folder, copy, number, spec);
        let disks: StoreResult<Vec<Disk>> = (0..).zip(disks).map(make).collect();
        let made = Copy {
            disks: disks?,
            points: Vec::new(),
            has_failover: false,
            has_test: false,
            tracking: None,
            extended: None,
            logs_made: 0,
            logs_received: 0,
            received: VecDeque::new(),
            chosen: [DiskSet::ALL; 2],
        };
        self.copies.insert(copy, made);
        Ok(())
    }

    fn remove(&mut self, copy: CopyId) -> StoreResult<()> {
        self.log_forget_received(copy)?;
        let copy = self.copies.remove(&copy).expect("the copy exists");
        for tracking in [copy.tracking, copy.extended].into_iter().flatten() {
            tracking.remove()?;
        }
        copy.disks.into_iter().try_for_each(Disk::remove)
    }

    fn sizes(&self, copy: CopyId) -> Vec<Bytes> {
        self.copy(copy).disks.iter().map(|disk| Bytes(disk.size())).collect()
    }

    fn disk_make(&mut self, copy: CopyId, disk: u8, spec: &DiskSpec) -> StoreResult<()> {
        let id = copy;
        let copy = self.copies.get_mut(&id.machine()).expect("the copy exists");
        let at = usize::from(disk);
        if at < copy.disks.len() {
            copy.disks.remove(at).remove()?;
        }
        let mut made = Disk::make(&self.folder, id, disk, spec)?;
        for point in &copy.points {
            made.take_point(&self.folder, *point)?;
        }
        copy.disks.insert(at, made);
        Ok(())
    }

    fn disk_resize(&mut self, copy: CopyId, disk: u8, size: Bytes) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        for tracking in [&mut copy.tracking, &mut copy.extended].into_iter().flatten() {
            tracking.resize(disk, size.0);
        }
        copy.disks[usize::from(disk)].resize(size.0)
    }

    fn disk_end(&self, copy: CopyId, disk: u8) -> Bytes {
        let disk = &self.copy(copy).disks[usize::from(disk)];
        Bytes((disk.end() * CELL).min(disk.size()))
    }

    fn write(&mut self, copy: CopyId, write: &Write) -> StoreResult<()> {
        let is_test = copy.vm.is_test() && !self.copies.contains_key(&copy);
        let copy = self.copy_mut(copy);
        let run = tally::cells(write.offset, write.len);
        let content = content::cells(write.no, write.disk, run);
        if is_test {
            return copy.disks[usize::from(write.disk)].write_test(run, &content);
        }
        copy.disks[usize::from(write.disk)].write(run, &content)?;
        match &mut copy.tracking {
            Some(tracking) if tracking.takes(write.disk) => tracking.add(write.disk, run, &content),
            _ => Ok(()),
        }
    }

    fn log_choose(&mut self, copy: CopyId, disks: DiskSet) -> StoreResult<()> {
        let id = copy;
        let copy = self.copies.get_mut(&id.machine()).expect("the copy exists");
        copy.chosen[usize::from(id.vm.is_extended())] = disks;
        let sizes = copy.disks.iter().map(Disk::size).collect();
        match copy.log_mut(id) {
            Some(tracking) => tracking.choose(&self.folder, sizes, disks),
            None => Ok(()),
        }
    }

    fn log_fits(&self, from: CopyId, to: CopyId) -> StoreResult<bool> {
        let (sender, receiver) = (self.copy(from), self.copy(to));
        if sender.disks.iter().map(Disk::size).eq(receiver.disks.iter().map(Disk::size)) {
            return Ok(true);
        }
        for (number, path) in sender.log(from).as_ref().and_then(Tracking::oldest).into_iter().flatten() {
            let size = receiver.disks.get(usize::from(*number)).map_or(0, Disk::cells);
            if log::end(path)? > size {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn log_start(&mut self, copy: CopyId) -> StoreResult<()> {
        self.log_stop(copy)?;
        let id = copy;
        let copy = self.copies.get_mut(&id.machine()).expect("the copy exists");
        let sizes = copy.disks.iter().map(Disk::size).collect();
        let chosen = copy.chosen[usize::from(id.vm.is_extended())];
        *copy.log_mut(id) = Some(Tracking::start(&self.folder, id, sizes, chosen, copy.logs_made)?);
        if id.vm.is_extended() {
            return Ok(());
        }
        for number in (0..disk_number(copy.disks.len())).filter(|number| chosen.contains(*number)) {
            let covered = copy.disks[usize::from(number)].failover_cells();
            for piece in tally::pieces(&covered) {
                copy.log_present(id, number, piece)?;
            }
        }
        Ok(())
    }

    fn log_stop(&mut self, copy: CopyId) -> StoreResult<()> {
        let id = copy;
        let copy = self.copy_mut(copy);
        if let Some(tracking) = copy.log_mut(id).take() {
            copy.logs_made = copy.logs_made.max(tracking.remove()?);
        }
        Ok(())
    }

    fn log_is_on(&self, copy: CopyId) -> bool {
        !copy.vm.is_test() && self.copy(copy).log(copy).is_some()
    }

    fn log_pending(&self, copy: CopyId) -> u64 {
        self.copy(copy).log(copy).as_ref().filter(|_| !copy.vm.is_test()).map_or(0, Tracking::pending)
    }

    fn log_switch(&mut self, copy: CopyId) -> StoreResult<LogStats> {
        let id = copy;
        let copy = self.copies.get_mut(&id.machine()).expect("the copy exists");
        copy.tracking(id).switch(&self.folder)
    }

    fn log_drop_oldest(&mut self, copy: CopyId) -> StoreResult<()> {
        assert!(self.copy_mut(copy).tracking(copy).drop_oldest()?, "there is a closed log");
        Ok(())
    }

    fn log_deliver(&mut self, from: CopyId, to: CopyId) -> StoreResult<()> {
        let log = self.copy(from).log(from).as_ref().and_then(Tracking::oldest);
        let log = log.expect("there is a closed log").clone();
        let count = self.copy(to).logs_received + 1;
        let mut received = LogFiles::new();
        for (disk, path) in &log {
            let arrived = self.folder.path(to, &format!("disk{disk}-in-{count}.hrl"));
            std::fs::copy(path, &arrived).map_err(files::host(&arrived))?;
            received.push((*disk, arrived));
        }
        let to = self.copy_mut(to);
        to.logs_received = count;
        to.received.push_back(received);
        Ok(())
    }

    fn log_apply(&mut self, copy: CopyId) -> StoreResult<()> {
        let id = copy.extended();
        let copy = self.copy_mut(copy);
        let log = copy.received.pop_front().expect("a log was received");
        for (number, path) in &log {
            let covered = log::apply(path, &mut copy.disks[usize::from(*number)])?;
            if copy.extended.as_ref().is_some_and(|extended| extended.takes(*number)) {
                for piece in tally::pieces(&covered) {
                    copy.log_present(id, *number, piece)?;
                }
            }
        }
        log::remove(&log)
    }

    fn log_forget_received(&mut self, copy: CopyId) -> StoreResult<()> {
        let received = std::mem::take(&mut self.copy_mut(copy).received);
        received.iter().try_for_each(log::remove)
    }

    fn log_add(&mut self, copy: CopyId, blocks: &BlockSet) -> StoreResult<()> {
        let id = copy;
        let copy = self.copy_mut(copy);
        for &(number, block) in blocks {
            let size = copy.disks.get(usize::from(number)).map_or(0, Disk::size);
            if !copy.tracking(id).takes(number) || block * BLOCK >= size {
                continue;
            }
            let run = tally::block(block, copy.disks[usize::from(number)].size());
            copy.log_present(id, number, run)?;
        }
        Ok(())
    }

    fn log_blocks(&self, copy: CopyId) -> BlockSet {
        self.copy(copy).log(copy).as_ref().map_or_else(BlockSet::new, Tracking::blocks)
    }

    fn log_promote(&mut self, copy: CopyId) -> StoreResult<()> {
        let copy = self.copies.get_mut(&copy.machine()).expect("the copy exists");
        let own = copy.tracking.take().expect("tracking is on");
        let mut extended = copy.extended.take().expect("the extended relationship is tracked");
        copy.logs_made = extended.append(own)?;
        copy.tracking = Some(extended);
        Ok(())
    }

    fn point_take(&mut self, copy: CopyId, point: PointId) -> StoreResult<()> {
        let copy = self.copies.get_mut(&copy.machine()).expect("the copy exists");
        copy.points.push(point);
        copy.disks.iter_mut().try_for_each(|disk| disk.take_point(&self.folder, point))
    }

    fn has_point(&self, copy: CopyId, point: PointId) -> bool {
        self.copy(copy).points.contains(&point)
    }

    fn point_drop(&mut self, copy: CopyId, point: PointId) -> StoreResult<()> {
        let copy = self.copies.get_mut(&copy.machine()).expect("the copy exists");
        let at = copy.place_of(point);
        copy.points.remove(at);
        copy.disks.iter_mut().try_for_each(|disk| disk.drop_point(&self.folder, at))
    }

    fn point_rollback(&mut self, copy: CopyId, point: PointId) -> StoreResult<()> {
        let copy = self.copies.get_mut(&copy.machine()).expect("the copy exists");
        let at = copy.place_of(point);
        copy.points.truncate(at);
        copy.disks.iter_mut().try_for_each(|disk| disk.roll_back(&self.folder, at))
    }

    fn point_changes(&self, copy: CopyId, point: PointId) -> BlockSet {
        let copy = self.copy(copy);
        let at = copy.place_of(point);
        let mut out = BlockSet::new();
        for (number, disk) in (0..).zip(&copy.disks) {
            for (run, _) in disk.changed(at).iter() {
                out.extend(runs::each(&runs::blocks_of(&[run])).map(|block| (number, block)));
            }
        }
        out
    }

    fn point_undo_bytes(&self, copy: CopyId, point: PointId) -> u64 {
        let copy = self.copy(copy);
        let at = copy.place_of(point);
        copy.disks.iter().map(|disk| CELL * disk.changed(at).cells()).sum()
    }

    fn failover_create(&mut self, copy: CopyId, view: View) -> StoreResult<()> {
        let copy = self.copies.get_mut(&copy.machine()).expect("the copy exists");
        assert!(!copy.has_failover, "there is no failover disk yet");
        let place = copy.place(view);
        copy.has_failover = true;
        copy.disks.iter_mut().try_for_each(|disk| disk.create_failover(&self.folder, place))
    }

    fn failover_discard(&mut self, copy: CopyId) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        copy.has_failover = false;
        copy.disks.iter_mut().try_for_each(Disk::discard_failover)
    }

    fn failover_commit(&mut self, copy: CopyId) -> StoreResult<u64> {
        let copy = self.copy_mut(copy);
        copy.has_failover = false;
        copy.points.clear();
        copy.disks.iter_mut().map(|disk| Ok(CELL * disk.commit_failover()?)).sum()
    }

    fn has_failover(&self, copy: CopyId) -> bool {
        !copy.vm.is_test() && self.copy(copy).has_failover
    }

    fn test_create(&mut self, copy: CopyId, view: View) -> StoreResult<()> {
        let copy = self.copies.get_mut(&copy.machine()).expect("the copy exists");
        assert!(!copy.has_test, "there is no test machine yet");
        let place = copy.place(view);
        copy.has_test = true;
        copy.disks.iter_mut().try_for_each(|disk| disk.create_test(&self.folder, place))
    }

    fn test_discard(&mut self, copy: CopyId) -> StoreResult<()> {
        let copy = self.copy_mut(copy);
        copy.has_test = false;
        copy.disks.iter_mut().try_for_each(Disk::discard_test)
    }

    fn test_detach(&mut self, copy: CopyId, test: CopyId) -> StoreResult<()> {
        let disks: StoreResult<Vec<Disk>> =
            self.copy(copy).disks.iter().map(|disk| disk.alone(&self.folder, test)).collect();
        let made = Copy {
            disks: disks?,
            points: Vec::new(),
            has_failover: false,
            has_test: false,
            chosen: [DiskSet::ALL; 2],
            tracking: None,
            extended: None,
            logs_made: 0,
            logs_received: 0,
            received: VecDeque::new(),
        };
        self.test_discard(copy)?;
        self.copies.insert(test, made);
        Ok(())
    }

    fn is_apart(&self, test: CopyId) -> bool {
        self.copies.contains_key(&test)
    }

    /// The files stay where they are: the storage of the cluster.
    fn relocate(&mut self, from: CopyId, to: CopyId) -> StoreResult<()> {
        let copy = self.copies.remove(&from).expect("the copy exists");
        self.copies.insert(to, copy);
        self.sessions.values_mut().for_each(|session| session.relocate(from, to));
        Ok(())
    }

    fn has_test(&self, copy: CopyId) -> bool {
        self.copy(copy).has_test
    }

    fn resync_open(&mut self, session: SessionId, spec: &ResyncSpec) -> StoreResult<()> {
        let disks = disk_number(self.copy(spec.source).disks.len());
        let opened = Session::open(spec, disks, &mut self.pair((spec.source, spec.view), spec.target))?;
        self.sessions.insert(session, opened);
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
        let interrupted = running.interrupt(&mut self.pair(running.from, running.to), crossed);
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
        let side = |(copy, view)| (&self.copy(copy).disks, self.seen((copy, view)));
        let (a, b) = (side(a), side(b));
        for number in 0..disk_number(a.0.len().max(b.0.len())) {
            let at = usize::from(number);
            let cell = match (a.0.get(at), b.0.get(at)) {
                (Some(x), Some(y)) => {
                    let sizes = (x.size() != y.size()).then(|| x.size().min(y.size()) / CELL);
                    first_difference((x, a.1), (y, b.1))?.into_iter().chain(sizes).min()
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

/// A number of disks, which a machine has few of.
fn disk_number(disks: usize) -> u8 {
    u8::try_from(disks).expect("at most 255 disks")
}

/// The first cell whose content differs.
fn first_difference(a: (&Disk, Seen), b: (&Disk, Seen)) -> StoreResult<Option<u64>> {
    let all = |disk: &Disk, seen| match disk.cells() {
        0 => Vec::new(),
        len => disk.present(seen, Run { start: 0, len }),
    };
    let present = runs::union(&all(a.0, a.1), &all(b.0, b.1));
    let common = a.0.cells().min(b.0.cells());
    for part in present.into_iter().flat_map(content::parts) {
        let Some(part) = part.overlap(Run { start: 0, len: common }) else { return Ok(Some(common)) };
        let (mut x, mut y) = (vec![0; content::bytes(part)], vec![0; content::bytes(part)]);
        a.0.read(a.1, part, &mut x)?;
        b.0.read(b.1, part, &mut y)?;
        let cells = x.chunks_exact(CELL_BYTES).zip(y.chunks_exact(CELL_BYTES));
        if let Some((_, cell)) = cells.zip(part.start..).find(|((x, y), _)| x != y) {
            return Ok(Some(cell));
        }
    }
    Ok(None)
}
