//! One disk of a copy, by the numbers of the writes in its cells.

use hvrsim_resync::runs::Run;
use serde::{Deserialize, Serialize};

use super::frozen::Frozen;
use crate::store::Seen;
use crate::store::extents::Stamped;
use hvrsim_types::canary::{Canary, is_planted};

/// A run of cells and the write that they hold; 0 for absent cells.
pub(super) type Part = (Run, u64);

/// One disk: the base, what recovery points keep, the failover disk.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Disk {
    /// Bytes.
    pub(super) size: u64,
    base: Stamped,
    /// One for each recovery point but the newest, oldest first: what the base held in the cells that
    /// were overwritten between the point and the next one.
    older: Vec<Frozen>,
    /// The newest point's.
    newest: Option<Stamped>,
    /// The failover disk's own cells.
    failover: Option<Box<Stamped>>,
    /// The test machine's.
    test: Option<Box<Stamped>>,
}

impl Disk {
    pub(super) fn new(size: u64) -> Self {
        Self { size, base: Stamped::default(), older: Vec::new(), newest: None, failover: None, test: None }
    }

    /// Cells of the disk.
    pub(super) const fn cells(&self) -> u64 {
        self.size.div_ceil(hvrsim_types::size::CELL)
    }

    /// Gives it another size; what lies behind it is gone, of recovery points too.
    pub(super) fn resize(&mut self, size: u64) {
        let before = self.cells();
        self.size = size;
        let behind = Run::new(self.cells().min(before), before);
        self.base.clear(behind);
        if let Some(newest) = &mut self.newest {
            newest.clear(behind);
        }
        for older in &mut self.older {
            let mut kept = older.thaw();
            kept.clear(behind);
            *older = Frozen::new(&kept);
        }
    }

    /// The end of the last cell of the base that holds something.
    pub(super) fn end(&self) -> u64 {
        self.base.iter().last().map_or(0, |(run, _)| run.end())
    }

    /// Fills the base before anything else happens.
    pub(super) fn fill(&mut self, run: Run, stamp: u64) {
        self.base.set(run, stamp);
    }

    /// What the guest writes.
    pub(super) fn write(&mut self, run: Run, stamp: u64) {
        match &mut self.failover {
            Some(failover) => failover.set(run, stamp),
            None => self.overwrite(run, stamp),
        }
    }

    /// What the test machine writes.
    pub(super) fn write_test(&mut self, run: Run, stamp: u64) {
        self.test.as_mut().expect("there is a test machine").set(run, stamp);
    }

    /// The disks over the base keep what they see of it.
    fn keep(&mut self, run: Run) {
        for over in [&mut self.failover, &mut self.test].into_iter().flatten() {
            over.keep(&self.base, run);
        }
    }

    /// Changes the base: recovery points, a failover disk and a test machine keep seeing what they saw.
    pub(super) fn overwrite(&mut self, run: Run, stamp: u64) {
        self.keep(run);
        if let Some(newest) = &mut self.newest
            && !(is_planted(Canary::UndoForgets) && (run.start / 16).is_multiple_of(3))
        {
            newest.keep(&self.base, run);
        }
        self.put(run, stamp);
    }

    fn put(&mut self, run: Run, stamp: u64) {
        if stamp == 0 {
            self.base.clear(run);
        } else {
            self.base.set(run, stamp);
        }
    }

    /// A recovery point is taken: it is the newest.
    pub(super) fn take_point(&mut self) {
        self.older.extend(self.newest.replace(Stamped::default()).map(|before| Frozen::new(&before)));
    }

    /// Drops the recovery point at this place; older ones keep what they need of it.
    pub(super) fn drop_point(&mut self, at: usize) {
        let is_newest = at == self.older.len();
        let dropped = if is_newest { self.newest.take() } else { Some(self.older.remove(at).thaw()) };
        let Some(before) = at.checked_sub(1) else { return };
        let mut merged = self.older.remove(before).thaw();
        for (run, stamp) in
            dropped.iter().flat_map(Stamped::iter).filter(|_| !is_planted(Canary::MergeForgets))
        {
            merged.fill(run, stamp);
        }
        if is_newest {
            self.newest = Some(merged);
        } else {
            self.older.insert(before, Frozen::new(&merged));
        }
    }

    /// Sets the base back to a point; it and all newer ones are gone.
    pub(super) fn roll_back(&mut self, at: usize) {
        let undone = self.undone(at);
        self.older.truncate(at);
        self.newest = self.older.pop().map(|newest| newest.thaw());
        for (run, stamp) in undone.iter() {
            self.keep(run);
            self.put(run, stamp);
        }
    }

    /// What the base held at a point, in the cells that changed since.
    pub(super) fn undone(&self, at: usize) -> Stamped {
        let mut out = Stamped::default();
        for (run, stamp) in self.older.iter().skip(at).flat_map(|older| older.from(0)) {
            out.fill(run, stamp);
        }
        for (run, stamp) in self.newest.iter().flat_map(Stamped::iter) {
            out.fill(run, stamp);
        }
        out
    }

    /// Puts a failover disk over the base, showing a point or the present.
    pub(super) fn create_failover(&mut self, point: Option<usize>) {
        self.failover = Some(Box::new(point.map_or_else(Stamped::default, |at| self.undone(at))));
    }

    /// As [`Disk::create_failover`], for a test machine.
    pub(super) fn create_test(&mut self, point: Option<usize>) {
        self.test = Some(Box::new(point.map_or_else(Stamped::default, |at| self.undone(at))));
    }

    /// Drops the test machine's disk.
    pub(super) fn discard_test(&mut self) {
        self.test = None;
    }

    /// Drops the failover disk.
    pub(super) fn discard_failover(&mut self) {
        if is_planted(Canary::RevertKeeps) {
            self.commit_failover();
        }
        self.failover = None;
    }

    /// Merges the failover disk into the base and drops all points. Returns the cells merged.
    pub(super) fn commit_failover(&mut self) -> u64 {
        self.older.clear();
        self.newest = None;
        let failover = self.failover.take().unwrap_or_default();
        for (run, stamp) in failover.iter() {
            self.keep(run);
            self.put(run, stamp);
        }
        failover.cells()
    }

    /// The failover disk's own cells.
    pub(super) fn failover(&self) -> Option<&Stamped> {
        self.failover.as_deref()
    }

    /// The layers over the base that a view looks through, nearest first.
    fn layers(&self, seen: Seen) -> impl Iterator<Item = Layer<'_>> {
        let (over, older, newest) = match seen {
            Seen::Guest => (self.failover.as_deref(), &[][..], None),
            Seen::Base => (None, &[][..], None),
            Seen::Test => (self.test.as_deref(), &[][..], None),
            Seen::Point(at) => (None, &self.older[at..], self.newest.as_ref()),
        };
        let older = over.map(Layer::Open).into_iter().chain(older.iter().map(Layer::Frozen));
        older.chain(newest.map(Layer::Open))
    }

    /// The content of a run as somebody sees it, without absent parts.
    pub(super) fn view(&self, seen: Seen, run: Run) -> Vec<Part> {
        let (mut found, mut open) = (Vec::new(), vec![run]);
        for layer in self.layers(seen) {
            let mut left = Vec::new();
            for part in open {
                for (part, stamp) in layer.look(part) {
                    match stamp {
                        Some(stamp) => found.push((part, stamp)),
                        None => left.push(part),
                    }
                }
            }
            open = left;
        }
        for part in open {
            found.extend(self.base.within(part));
        }
        found.retain(|(_, stamp)| *stamp != 0);
        found.sort_unstable_by_key(|(part, _)| part.start);
        joined(&found)
    }

    /// The one stamp of a whole run, where nothing lies over the base and one look tells it.
    pub(super) fn plain_stamp(&self, seen: Seen, run: Run) -> Option<u64> {
        if self.layers(seen).next().is_some() {
            return None;
        }
        let (end, stamp) = self.base.run_at(run.start);
        (end >= run.end()).then_some(stamp.unwrap_or(0))
    }

    /// The content of a run as somebody sees it, with absent parts.
    pub(super) fn view_whole(&self, seen: Seen, run: Run) -> Vec<Part> {
        let (mut out, mut from) = (Vec::new(), run.start);
        for (part, stamp) in self.view(seen, run) {
            if part.start > from {
                out.push((Run::new(from, part.start), 0));
            }
            from = part.end();
            out.push((part, stamp));
        }
        if from < run.end() {
            out.push((Run::new(from, run.end()), 0));
        }
        out
    }

    /// Present cells as the guest, or the test machine, sees them.
    pub(super) fn present_cells(&self, seen: Seen) -> u64 {
        let mut cells = self.base.cells();
        let over = if seen == Seen::Test { &self.test } else { &self.failover };
        for (run, stamp) in over.iter().flat_map(|over| over.iter()) {
            let covered: u64 = self.base.within(run).map(|(part, _)| part.len).sum();
            cells = cells - covered + if stamp == 0 { 0 } else { run.len };
        }
        cells
    }
}

/// What lies over the base in a view.
enum Layer<'a> {
    Open(&'a Stamped),
    Frozen(&'a Frozen),
}

impl Layer<'_> {
    fn look(&self, run: Run) -> Vec<(Run, Option<u64>)> {
        match self {
            Self::Open(map) => map.segments(run).collect(),
            Self::Frozen(map) => map.segments(run),
        }
    }
}

/// Joins neighbours with one stamp.
fn joined(parts: &[Part]) -> Vec<Part> {
    let mut out: Vec<Part> = Vec::with_capacity(parts.len());
    for &(run, stamp) in parts {
        match out.last_mut() {
            Some((last, same)) if *same == stamp && last.end() == run.start => last.len += run.len,
            _ => out.push((run, stamp)),
        }
    }
    out
}
