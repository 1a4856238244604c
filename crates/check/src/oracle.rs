//! What every disk and every recovery point must hold, worked out from which guest wrote what and which moment of it
//! reached which side. It knows what was written, what a log, a recovery point and a session are a moment of, and
//! nothing else: no state of the life cycle, no rule, no store. It shares no code with what it judges.
//!
//! A content is a whole map from 64 KiB blocks to the number of the write that they hold; nothing is shared, nothing
//! is tracked, nothing is a difference of something else. That is slow, and too simple to be wrong in the same way.

use std::collections::BTreeMap;

use hvrsim_types::id::{CopyId, PointId, SessionId};

/// The writes that the blocks of a disk hold; a block that is not in it was never written.
pub type Content = BTreeMap<u64, u64>;

/// What a log is known by: its sender's count, and its sender.
pub type LogName = (CopyId, u64, u64);

/// One copy's disk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Disk {
    /// What the guest sees.
    live: Content,
    /// What is under a failover disk.
    base: Content,
    /// Between two contents: nobody can say what it holds.
    unknown: bool,
}

/// The oracle.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Oracle {
    disks: BTreeMap<CopyId, Disk>,
    logs: BTreeMap<LogName, Content>,
    points: BTreeMap<PointId, Content>,
    brought: BTreeMap<SessionId, Content>,
    newest: u64,
}

impl Oracle {
    /// A machine's first copy, with so many blocks in use. What was there before anything was written counts as one
    /// write, number 1.
    pub fn begin(&mut self, copy: CopyId, used: u64) {
        let live: Content = (0..used).map(|block| (block, 1)).collect();
        self.newest = self.newest.max(1);
        self.disks.insert(copy, Disk { base: live.clone(), live, unknown: false });
    }

    /// A copy with empty disks.
    pub fn create(&mut self, copy: CopyId) {
        self.disks.insert(copy, Disk { unknown: true, ..Disk::default() });
    }

    /// Whether the copy is known.
    #[must_use]
    pub fn knows(&self, copy: CopyId) -> bool {
        self.disks.contains_key(&copy)
    }

    /// The number of the newest write.
    #[must_use]
    pub const fn newest(&self) -> u64 {
        self.newest
    }

    /// A guest's write of this number has gone into these blocks; `over` a failover disk, or on the disk itself.
    pub fn write(&mut self, copy: CopyId, number: u64, blocks: std::ops::Range<u64>, over: bool) {
        self.newest = self.newest.max(number);
        let Some(disk) = self.disks.get_mut(&copy) else { return };
        for block in blocks {
            disk.live.insert(block, number);
            if !over {
                disk.base.insert(block, number);
            }
        }
    }

    /// A log was closed: what the guest has now is what the other side has after it.
    pub fn close(&mut self, copy: CopyId, log: LogName) {
        let live = self.live(copy);
        self.logs.entry(log).or_insert(live);
    }

    /// A log was applied.
    pub fn apply(&mut self, copy: CopyId, log: LogName) {
        let content = self.logs.get(&log).cloned();
        if let (Some(disk), Some(content)) = (self.disks.get_mut(&copy), content) {
            disk.base.clone_from(&content);
            disk.live = content;
            disk.unknown = false;
        }
    }

    /// A recovery point was taken, or is seen for the first time: it has what the copy has, and keeps it.
    pub fn point(&mut self, copy: CopyId, point: PointId) {
        let base = self.disks.get(&copy).map(|disk| disk.base.clone()).unwrap_or_default();
        self.points.entry(point).or_insert(base);
    }

    /// A session brings what the copy has now.
    pub fn bring(&mut self, copy: CopyId, session: SessionId) {
        let live = self.live(copy);
        self.brought.entry(session).or_insert(live);
    }

    /// A session brings a recovery point.
    pub fn bring_point(&mut self, point: PointId, session: SessionId) {
        if let Some(content) = self.points.get(&point).cloned() {
            self.brought.entry(session).or_insert(content);
        }
    }

    /// A session may have written something into the copy.
    pub fn mix(&mut self, copy: CopyId) {
        if let Some(disk) = self.disks.get_mut(&copy) {
            disk.unknown = true;
        }
    }

    /// A session gave its target everything.
    pub fn arrived(&mut self, copy: CopyId, session: SessionId) {
        let content = self.brought.get(&session).cloned();
        self.becomes(copy, content);
    }

    /// Everything that the other copy has now was brought.
    pub fn equals(&mut self, copy: CopyId, other: CopyId) {
        let content = self.disks.get(&other).map(|disk| disk.live.clone());
        self.becomes(copy, content);
    }

    fn becomes(&mut self, copy: CopyId, content: Option<Content>) {
        if let (Some(disk), Some(content)) = (self.disks.get_mut(&copy), content) {
            *disk = Disk { base: content.clone(), live: content, unknown: false };
        }
    }

    /// Failed over: the guest sees the recovery point, or the newest content.
    pub fn failover(&mut self, copy: CopyId, point: Option<PointId>) {
        let shown = point.and_then(|point| self.points.get(&point).cloned());
        if let Some(disk) = self.disks.get_mut(&copy) {
            disk.live = shown.unwrap_or_else(|| disk.base.clone());
        }
    }

    /// What was written since the failover is dropped.
    pub fn revert(&mut self, copy: CopyId) {
        if let Some(disk) = self.disks.get_mut(&copy) {
            disk.live = disk.base.clone();
        }
    }

    /// What the guest sees is the disk from now on.
    pub fn commit(&mut self, copy: CopyId) {
        if let Some(disk) = self.disks.get_mut(&copy) {
            disk.base = disk.live.clone();
        }
    }

    /// What the copy had before, as if nothing had been brought.
    pub fn restore(&mut self, copy: CopyId) {
        if let Some(disk) = self.disks.get_mut(&copy) {
            disk.unknown = false;
        }
    }

    fn live(&self, copy: CopyId) -> Content {
        self.disks.get(&copy).map(|disk| disk.live.clone()).unwrap_or_default()
    }

    /// What the guest of the copy must see; `None` where nobody can say.
    #[must_use]
    pub fn content(&self, copy: CopyId) -> Option<&Content> {
        self.disks.get(&copy).filter(|disk| !disk.unknown).map(|disk| &disk.live)
    }

    /// What the recovery point must show.
    #[must_use]
    pub fn content_of(&self, point: PointId) -> Option<&Content> {
        self.points.get(&point)
    }
}

#[cfg(test)]
mod tests {
    use hvrsim_types::id::{HostId, VmId};

    use super::*;

    const A: CopyId = CopyId { host: HostId(0), vm: VmId(0) };
    const B: CopyId = CopyId { host: HostId(1), vm: VmId(0) };

    #[test]
    fn a_log_brings_what_was_there_when_it_was_closed() {
        let mut oracle = Oracle::default();
        oracle.begin(A, 2);
        oracle.create(B);
        assert_eq!(oracle.content(B), None);
        oracle.write(A, 2, 1..2, false);
        oracle.close(A, (A, 1, 0));
        oracle.write(A, 3, 0..1, false);
        oracle.apply(B, (A, 1, 0));
        oracle.point(B, PointId(7));
        assert_eq!(oracle.content(B), Some(&BTreeMap::from([(0, 1), (1, 2)])));
        oracle.failover(B, Some(PointId(7)));
        oracle.write(B, 4, 5..6, true);
        oracle.revert(B);
        assert_eq!(oracle.content(B), oracle.content_of(PointId(7)));
        assert_eq!(oracle.content(A), Some(&BTreeMap::from([(0, 3), (1, 2)])));
    }
}
