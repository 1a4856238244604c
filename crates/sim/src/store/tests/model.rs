//! What the stores should do, told in the simplest way: a vector of write numbers for each disk, full
//! copies for recovery points and failover disks.

use std::collections::{BTreeSet, VecDeque};

use hvrsim_types::id::PointId;

use crate::store::{BlockSet, Difference, LogStats, ResyncCounts, Write};

/// Cells of a block.
const BLOCK: usize = 16;

pub type Content = Vec<Vec<u64>>;
pub type Cell = (usize, usize);

/// A logged write: disk, first cell, content, bytes.
pub type Logged = (usize, usize, Vec<u64>, u64);

/// A model of a copy.
#[derive(Clone, Debug)]
pub struct Copy {
    pub sizes: Vec<u64>,
    pub base: Content,
    /// Each point with its content and the length of `history` when it was taken.
    pub points: Vec<(PointId, Content, usize)>,
    /// Cells of the base in the order in which they were overwritten.
    history: Vec<Cell>,
    /// What the guest sees through a failover disk, and which cells that disk has.
    pub failover: Option<(Content, BTreeSet<Cell>)>,
    /// What the test machine sees.
    pub test: Option<Content>,
    /// The closed logs and the open one, if tracking is on.
    pub logs: Option<Vec<Vec<Logged>>>,
    /// The same of the extended relationship.
    pub extended: Option<Vec<Vec<Logged>>>,
    pub received: VecDeque<Vec<Logged>>,
}

impl Copy {
    pub fn new(sizes: Vec<u64>, used: u64) -> Self {
        let cell = |n: u64| u64::from(n * 4096 < used);
        let base = sizes.iter().map(|size| (0..size.div_ceil(4096)).map(cell).collect()).collect();
        Self {
            sizes,
            base,
            points: vec![],
            history: vec![],
            failover: None,
            test: None,
            logs: None,
            extended: None,
            received: VecDeque::new(),
        }
    }

    pub fn live(&self) -> &Content {
        self.failover.as_ref().map_or(&self.base, |(view, _)| view)
    }

    pub fn view(&self, point: Option<usize>) -> &Content {
        point.map_or(self.live(), |at| &self.points[at].1)
    }

    pub fn overwrite(&mut self, (disk, cell): Cell, value: u64) {
        if let Some((_, own)) = &mut self.failover {
            own.insert((disk, cell));
        }
        self.history.push((disk, cell));
        self.base[disk][cell] = value;
    }

    pub fn write(&mut self, write: &Write) {
        let disk = usize::from(write.disk);
        let start = (write.offset / 4096) as usize;
        let cells = write.len.div_ceil(4096) as usize;
        for cell in start..start + cells {
            match &mut self.failover {
                Some((view, own)) => {
                    view[disk][cell] = write.no.0;
                    own.insert((disk, cell));
                }
                None => self.overwrite((disk, cell), write.no.0),
            }
        }
        if let Some(logs) = &mut self.logs {
            logs.last_mut().unwrap().push((disk, start, vec![write.no.0; cells], write.len));
        }
    }

    /// What the test machine writes.
    pub fn write_test(&mut self, write: &Write) {
        let start = (write.offset / 4096) as usize;
        let cells = write.len.div_ceil(4096) as usize;
        self.test.as_mut().unwrap()[usize::from(write.disk)][start..start + cells].fill(write.no.0);
    }

    pub fn bytes(&self, disk: usize, start: usize, cells: usize) -> u64 {
        ((start + cells) as u64 * 4096).min(self.sizes[disk]) - start as u64 * 4096
    }

    /// The logs of the machine, or of its extended relationship.
    pub fn logs_of(&mut self, extended: bool) -> &mut Option<Vec<Vec<Logged>>> {
        if extended { &mut self.extended } else { &mut self.logs }
    }

    fn log(&mut self, extended: bool, disk: usize, start: usize, cells: usize) {
        let seen = if extended { &self.base } else { self.live() };
        let content = seen[disk][start..start + cells].to_vec();
        let bytes = self.bytes(disk, start, cells);
        self.logs_of(extended).as_mut().unwrap().last_mut().unwrap().push((disk, start, content, bytes));
    }

    /// One write for each run of these cells in a block.
    fn log_cells(&mut self, extended: bool, cells: &[Cell]) {
        let mut at = 0;
        while at < cells.len() {
            let (disk, start) = cells[at];
            let same = |n: usize| cells.get(at + n) == Some(&(disk, start + n));
            let len = (1..).find(|n| !same(*n) || (start + n) % BLOCK == 0).unwrap();
            self.log(extended, disk, start, len);
            at += len;
        }
    }

    pub fn log_start(&mut self, extended: bool) {
        *self.logs_of(extended) = Some(vec![vec![]]);
        if !extended {
            let own: Vec<Cell> = self.failover.iter().flat_map(|(_, own)| own.iter().copied()).collect();
            self.log_cells(false, &own);
        }
    }

    pub fn log_promote(&mut self) {
        let own = self.logs.take().unwrap().remove(0);
        let mut logs = self.extended.take().unwrap();
        logs.last_mut().unwrap().extend(own);
        self.logs = Some(logs);
    }

    pub fn stats(&self, log: &[Logged]) -> LogStats {
        let mut stats = LogStats { writes: log.len() as u64, bytes: 0 };
        for disk in 0..self.sizes.len() {
            let writes = log.iter().filter(|write| write.0 == disk);
            let data: u64 = writes.clone().map(|write| write.3).sum();
            stats.bytes += 4096 + data + 4096 * (writes.count() as u64).div_ceil(127);
        }
        stats
    }

    pub fn pending(&self, logs: &Option<Vec<Vec<Logged>>>) -> u64 {
        logs.iter().flatten().map(|log| self.stats(log).bytes).sum()
    }

    pub fn log_blocks(logs: &Option<Vec<Vec<Logged>>>) -> BlockSet {
        let writes = logs.iter().flatten().flatten();
        let cells =
            writes.flat_map(|(disk, start, content, _)| (0..content.len()).map(move |n| (*disk, start + n)));
        blocks(cells)
    }

    pub fn log_add(&mut self, extended: bool, blocks: &BlockSet) {
        for &(disk, block) in blocks {
            let (disk, start) = (usize::from(disk), block as usize * BLOCK);
            let len = BLOCK.min(self.base[disk].len() - start);
            self.log(extended, disk, start, len);
        }
    }

    pub fn log_apply(&mut self) {
        let mut touched = BTreeSet::new();
        for (disk, start, content, _) in self.received.pop_front().unwrap() {
            for (n, value) in content.into_iter().enumerate() {
                touched.insert((disk, start + n));
                self.overwrite((disk, start + n), value);
            }
        }
        if self.extended.is_some() {
            self.log_cells(true, &touched.into_iter().collect::<Vec<_>>());
        }
    }

    pub fn changed(&self, at: usize) -> BTreeSet<Cell> {
        self.history[self.points[at].2..].iter().copied().collect()
    }

    pub fn take_point(&mut self, point: PointId) {
        self.points.push((point, self.base.clone(), self.history.len()));
    }

    pub fn roll_back(&mut self, at: usize) {
        let changed = self.changed(at);
        if let Some((_, own)) = &mut self.failover {
            own.extend(changed);
        }
        let (_, content, history) = self.points.swap_remove(at);
        self.points.truncate(at);
        self.history.truncate(history);
        self.base = content;
    }

    pub fn create_failover(&mut self, point: Option<usize>) {
        let own = point.map_or_else(BTreeSet::new, |at| self.changed(at));
        self.failover = Some((self.view(point).clone(), own));
    }

    pub fn create_test(&mut self, point: Option<usize>) {
        self.test = Some(point.map_or(&self.base, |at| &self.points[at].1).clone());
    }

    pub fn commit(&mut self) -> u64 {
        let (view, own) = self.failover.take().unwrap();
        self.base = view;
        self.points.clear();
        self.history.clear();
        4096 * own.len() as u64
    }

    pub fn present(&self) -> u64 {
        4096 * self.live().iter().flatten().filter(|value| **value != 0).count() as u64
    }
}

/// The blocks of cells.
pub fn blocks(cells: impl Iterator<Item = Cell>) -> BlockSet {
    cells.map(|(disk, cell)| (disk as u8, (cell / BLOCK) as u64)).collect()
}

pub fn difference(a: &Content, b: &Content) -> Option<Difference> {
    for (disk, (a, b)) in a.iter().zip(b).enumerate() {
        if let Some(cell) = a.iter().zip(b).position(|(a, b)| a != b) {
            return Some(Difference { disk: disk as u8, offset: cell as u64 * 4096 });
        }
    }
    None
}

/// Makes the target's candidate blocks equal; what an undisturbed session counts.
pub fn resync(
    source: &Content,
    target: &mut Copy,
    candidates: Option<&BlockSet>,
    full: bool,
) -> ResyncCounts {
    let mut counts = ResyncCounts::default();
    for (disk, from) in source.iter().enumerate() {
        for (block, from) in from.chunks(BLOCK).enumerate() {
            let start = block * BLOCK;
            let to = target.base[disk][start..start + from.len()].to_vec();
            let candidate = candidates.is_none_or(|set| set.contains(&(disk as u8, block as u64)));
            let here = from.iter().any(|value| *value != 0);
            let there = to.iter().any(|value| *value != 0);
            if !candidate {
                continue;
            }
            counts.blocks_total += u64::from(here || there);
            let compare = here && there && !full;
            if compare {
                counts.compared_bytes += 4096 * from.len() as u64;
            }
            for (n, (from, to)) in from.iter().zip(&to).enumerate() {
                if *from != 0 && (!compare || from != to) {
                    counts.sent_bytes += 4096;
                    target.overwrite((disk, start + n), *from);
                } else if *from == 0 && *to != 0 {
                    counts.zeroed_bytes += 4096;
                    target.overwrite((disk, start + n), 0);
                }
            }
        }
    }
    counts.blocks_done = counts.blocks_total;
    counts
}
