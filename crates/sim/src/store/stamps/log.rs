//! Change logs by the numbers of writes.

use std::collections::{BTreeSet, VecDeque};

use hvrsim_resync::runs::{self, Run};
use hvrsim_types::disks::DiskSet;
use serde::{Deserialize, Serialize};

use crate::store::tally::Tally;
use crate::store::{BlockSet, LogStats};

/// One run in a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Entry {
    run: Run,
    /// Disk and write in one number.
    stamp: u64,
}

/// Entries that a log may have room for and not use.
const ROOM: usize = 256;

/// Bits of an entry's stamp that hold the write.
const STAMP_BITS: u32 = 56;

/// The writes of a log in order.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Log(Vec<Entry>);

impl Log {
    fn push(&mut self, disk: u8, run: Run, stamp: u64) {
        self.0.push(Entry { run, stamp: (u64::from(disk) << STAMP_BITS) | stamp });
    }

    /// The runs in order, with disk and stamp.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, Run, u64)> + '_ {
        self.0.iter().map(|entry| {
            let disk = entry.stamp.to_be_bytes()[0];
            (disk, entry.run, entry.stamp & ((1 << STAMP_BITS) - 1))
        })
    }

    fn blocks(&self, out: &mut BlockSet) {
        for (disk, run, _) in self.iter() {
            out.extend(runs::each(&runs::blocks_of(&[run])).map(|block| (disk, block)));
        }
    }
}

/// The change log of a copy: the open log and the closed ones, oldest first.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Tracking {
    open: Log,
    tally: Tally,
    closed: VecDeque<(Log, u64)>,
    closed_bytes: u64,
    count: u8,
    disks: DiskSet,
}

impl Tracking {
    /// Of a copy with that many disks, of which it takes these.
    pub(super) fn new(count: u8, disks: DiskSet) -> Self {
        let tally = Tally::new(count, disks);
        Self { open: Log::default(), tally, closed: VecDeque::new(), closed_bytes: 0, count, disks }
    }

    /// Whether it takes writes of this disk.
    pub(super) fn takes(&self, disk: u8) -> bool {
        self.disks.contains(disk)
    }

    /// From now on it takes writes of these disks; what its open log has of others is dropped.
    pub(super) fn choose(&mut self, count: u8, disks: DiskSet) {
        (self.count, self.disks) = (count, disks);
        self.tally.choose(count, disks);
        self.open.0.retain(|entry| disks.contains(entry.stamp.to_be_bytes()[0]));
    }

    /// Adds a write of so many bytes to the open log; its content may be of several earlier writes.
    pub(super) fn add(&mut self, disk: u8, bytes: u64, parts: impl IntoIterator<Item = (Run, u64)>) {
        self.tally.add(disk, bytes);
        for (run, stamp) in parts {
            self.open.push(disk, run, stamp);
        }
    }

    /// Bytes in all logs.
    pub(super) fn pending(&self) -> u64 {
        self.closed_bytes + self.tally.stats().bytes
    }

    /// Closes the open log.
    pub(super) fn switch(&mut self) -> LogStats {
        let stats = self.tally.stats();
        self.tally = Tally::new(self.count, self.disks);
        // A log is often about as long as the one before.
        let room = (self.open.0.len() + self.open.0.len() / 4).min(ROOM);
        let mut log = std::mem::replace(&mut self.open, Log(Vec::with_capacity(room)));
        if log.0.capacity() > log.0.len() + ROOM {
            log.0.shrink_to_fit();
        }
        self.closed.push_back((log, stats.bytes));
        self.closed_bytes += stats.bytes;
        stats
    }

    /// Puts the open log of another tracking, which has no closed one, behind the own.
    pub(super) fn append(&mut self, other: Self) {
        assert!(other.closed.is_empty(), "the other tracking has closed no log");
        let disks = self.disks;
        let taken = |entry: &Entry| disks.contains(entry.stamp.to_be_bytes()[0]);
        self.open.0.extend(other.open.0.into_iter().filter(taken));
        self.tally.append(&other.tally);
    }

    /// The oldest closed log.
    pub(super) fn oldest(&self) -> Option<&Log> {
        self.closed.front().map(|(log, _)| log)
    }

    /// Drops the oldest closed log; whether there was one.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let dropped = self.closed.pop_front();
        self.closed_bytes -= dropped.as_ref().map_or(0, |(_, bytes)| *bytes);
        dropped.is_some()
    }

    /// The blocks that all logs touch.
    pub(super) fn blocks(&self) -> BlockSet {
        let mut out = BTreeSet::new();
        for log in self.closed.iter().map(|(log, _)| log).chain([&self.open]) {
            log.blocks(&mut out);
        }
        out
    }
}
