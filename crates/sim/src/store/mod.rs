//! What the model needs of disks, with two implementations of one behaviour: *stamps*, where a cell
//! holds the number of its last write, and *images*, real files in a run folder.
//!
//! Every figure that a store returns is virtual: a function of which cells were written, never of how
//! a file lies on the host. So the same scenario gives the same event log on both.
//!
//! A copy's disks have, from the bottom up: the *base*; *recovery points*, each an undo log of what was
//! overwritten since it was taken; an optional *failover disk* over the chosen point, which takes the
//! guest's writes while it exists; an optional *test disk*, the same for a test machine, whose id
//! ([`CopyId::test`]) names it wherever a guest writes or a content is looked at; and, while tracking is on, the *change log*: closed logs that wait for
//! their acknowledgement and an open one. A middle copy of a chain has a second change log, for its extended relationship, whose id
//! ([`CopyId::extended`]) names it in the log's operations: it takes what is applied to the base, not what a guest writes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hvrsim_resync::Candidates;
use hvrsim_resync::heat::HeatMap;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{CopyId, PointId, SessionId};
use hvrsim_types::size::Bytes;
use serde::{Deserialize, Serialize};

mod extents;
mod images;
mod session;
mod stamps;
mod tally;
#[cfg(test)]
mod tests;

pub use images::Images;
pub use stamps::Stamps;

/// The number of a guest's write, counted over the whole scenario from [`WriteNo::FIRST`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct WriteNo(pub u64);

impl WriteNo {
    /// What a disk holds from the start counts as one write before all others.
    pub const INITIAL: Self = Self(1);
    /// The first write of a scenario.
    pub const FIRST: Self = Self(2);
}

/// A guest's write. Offset and length are multiples of 4 KiB, but at a disk's end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Write {
    /// Its number; the content written is a function of it and of the place.
    pub no: WriteNo,
    /// Which disk of the machine.
    pub disk: u8,
    /// Where, in bytes.
    pub offset: u64,
    /// How much, in bytes.
    pub len: u64,
}

/// A format of the files in a run folder.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum DiskFormat {
    /// Dynamic VHDX.
    #[default]
    Vhdx,
    /// Raw with holes.
    Raw,
}

/// What a disk holds when it is made.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Initial {
    /// Nothing.
    Blank,
    /// That many bytes from the disk's start, written before the scenario.
    Used(Bytes),
    /// The content of a user's file, which is only read. Images only.
    Given(PathBuf),
}

/// A disk to be made.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DiskSpec {
    /// Virtual size in bytes. Ignored for [`Initial::Given`].
    pub size: Bytes,
    /// The format of its file, where it has one.
    pub format: DiskFormat,
    /// Its content.
    pub initial: Initial,
}

/// A log that was closed: bytes as the HRL layout has them (4,096 + data + 4,096 for every 127 writes, for each disk).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct LogStats {
    /// Number of writes in it.
    pub writes: u64,
    /// Bytes to send.
    pub bytes: u64,
}

/// A moment of a copy's disks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum View {
    /// What the guest sees now.
    Live,
    /// What it was when the recovery point was taken.
    Point(PointId),
}

/// What somebody sees of a copy's disk: a view whose point has been found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    /// The guest.
    Guest,
    /// What is received and applied.
    Base,
    /// The test machine.
    Test,
    /// The recovery point at this place.
    Point(usize),
}

/// A set of 64 KiB blocks, by disk and block number.
pub type BlockSet = BTreeSet<(u8, u64)>;

/// What a resynchronization is to do.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ResyncSpec {
    /// Where the content comes from.
    pub source: CopyId,
    /// Which moment of it.
    pub view: View,
    /// The copy whose base becomes equal to it. Its writes are kept in undo logs as a guest's are, not in its change log.
    pub target: CopyId,
    /// Which disks; the others are left alone, on either side.
    pub disks: DiskSet,
    /// Where to look.
    pub candidates: Candidates,
    /// Send what is present at the source without comparing (a full initial replication).
    pub full: bool,
}

/// What one half of the engine has to say to the other, on its way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Move {
    /// From the source to the target; otherwise back.
    pub to_target: bool,
    /// Bytes that the link carries: content, digests and a fixed framing, a pure function of what is said.
    pub link_bytes: u64,
    /// Bytes that the sender read from its disks to make it.
    pub read_bytes: u64,
}

/// What a session has done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ResyncCounts {
    /// Bytes in 64 KiB blocks present on both sides and compared.
    pub compared_bytes: u64,
    /// Payload before compression, without digests and framing.
    pub sent_bytes: u64,
    /// The part of `sent_bytes` that crossed the link in vain before an interruption, and had to be sent again.
    pub resent_bytes: u64,
    /// Cells of the target, in bytes, that held something and were made zero.
    pub zeroed_bytes: u64,
    /// Candidate blocks done.
    pub blocks_done: u64,
    /// Candidate blocks that a side held at the start.
    pub blocks_total: u64,
}

impl ResyncCounts {
    /// Whether anything has been written into the target.
    #[must_use]
    pub const fn has_written(&self) -> bool {
        self.sent_bytes + self.zeroed_bytes > self.resent_bytes
    }

    /// Both counts together.
    #[must_use]
    pub const fn plus(self, more: Self) -> Self {
        Self {
            compared_bytes: self.compared_bytes + more.compared_bytes,
            sent_bytes: self.sent_bytes + more.sent_bytes,
            resent_bytes: self.resent_bytes + more.resent_bytes,
            zeroed_bytes: self.zeroed_bytes + more.zeroed_bytes,
            blocks_done: self.blocks_done + more.blocks_done,
            blocks_total: self.blocks_total + more.blocks_total,
        }
    }
}

/// The first difference between two views.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// Which disk.
    pub disk: u8,
    /// The byte offset of the 4 KiB cell.
    pub offset: u64,
}

/// A store that cannot go on: the run ends with exit code 3, or 2 when a user's image is at fault.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The image that a user gave cannot be used.
    #[error("{path}: {what}")]
    Given {
        /// The user's file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        what: String,
    },
    /// The run folder cannot be used.
    #[error("{path}: {what}")]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        what: String,
    },
}

/// A result of a store.
pub type StoreResult<T> = Result<T, StoreError>;

/// What a store tells at one look at a copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glance {
    /// Virtual sizes of the disks in bytes, in order.
    pub sizes: Vec<u64>,
    /// As [`DiskStore::log_pending`].
    pub pending_bytes: u64,
    /// As [`DiskStore::has_test`].
    pub has_test: bool,
}

/// What the model needs of disks. Bytes are counted in whole cells of 4 KiB, but in logs, which count bytes as
/// written. All operations are on all disks of a copy at one instant.
///
/// The caller (the world) keeps the order of the life cycle; a store may panic on a copy, point or
/// session that does not exist, since that is an error of the program.
pub trait DiskStore {
    /// Makes a copy's disks.
    fn create(&mut self, copy: CopyId, disks: &[DiskSpec]) -> StoreResult<()>;
    /// Deletes a copy's disks and all that belongs to them.
    fn remove(&mut self, copy: CopyId) -> StoreResult<()>;
    /// Virtual sizes, in order.
    fn sizes(&self, copy: CopyId) -> Vec<Bytes>;
    /// Makes a blank disk of that size: in place of the one with that number, or behind the last one. Recovery points
    /// have it blank, too. Not under a failover disk or a test machine's.
    fn disk_make(&mut self, copy: CopyId, disk: u8, spec: &DiskSpec) -> StoreResult<()>;
    /// Gives a disk another size, at least that of its [`DiskStore::disk_end`]. Recovery points keep what they have of
    /// it below the smaller size. Not under a failover disk or a test machine's.
    fn disk_resize(&mut self, copy: CopyId, disk: u8, size: Bytes) -> StoreResult<()>;
    /// The end of the last cell that the base of a disk holds.
    fn disk_end(&self, copy: CopyId, disk: u8) -> Bytes;

    /// A guest's write: into the failover disk if there is one, else the base; into the open log if tracking is on.
    fn write(&mut self, copy: CopyId, write: &Write) -> StoreResult<()>;
    /// A guest's writes in order, as [`DiskStore::write`].
    fn write_all(&mut self, copy: CopyId, writes: &mut dyn Iterator<Item = Write>) -> StoreResult<()> {
        for write in writes {
            self.write(copy, &write)?;
        }
        Ok(())
    }

    /// From now on the log takes writes of these disks only, when it is started, too; at first it takes all. What the
    /// open log has of others is dropped.
    fn log_choose(&mut self, copy: CopyId, disks: DiskSet) -> StoreResult<()>;
    /// Whether all that the oldest closed log of `from` writes lies within the disks of `to`.
    fn log_fits(&self, from: CopyId, to: CopyId) -> StoreResult<bool>;
    /// Starts tracking with an empty open log; in the machine's own log, an existing failover disk's content over the base is its
    /// first entries, one write for each run of cells in a 64 KiB block, so that the log always leads from
    /// the base that the peer knows to the present. Logs of an earlier start are dropped.
    fn log_start(&mut self, copy: CopyId) -> StoreResult<()>;
    /// Stops tracking and drops all logs.
    fn log_stop(&mut self, copy: CopyId) -> StoreResult<()>;
    /// Whether tracking is on.
    fn log_is_on(&self, copy: CopyId) -> bool;
    /// Bytes in the open and the closed logs.
    fn log_pending(&self, copy: CopyId) -> u64;
    /// What the life cycle asks at every input, in one look.
    fn glance(&self, copy: CopyId) -> Glance {
        Glance {
            sizes: self.sizes(copy).into_iter().map(|size| size.0).collect(),
            pending_bytes: self.log_pending(copy),
            has_test: self.has_test(copy),
        }
    }
    /// Closes the open log and opens a fresh one. The closed one is the newest of the copy's closed logs.
    fn log_switch(&mut self, copy: CopyId) -> StoreResult<LogStats>;
    /// Drops the oldest closed log: it was acknowledged.
    fn log_drop_oldest(&mut self, copy: CopyId) -> StoreResult<()>;
    /// Copies the oldest closed log of `from` to the end of what `to` has received and not yet applied.
    fn log_deliver(&mut self, from: CopyId, to: CopyId) -> StoreResult<()>;
    /// Applies the oldest received log to the base and drops it. Undo logs, and a failover disk, keep what it
    /// overwrites: recovery points and the guest on the failover disk see what they saw. What it touched goes into the
    /// open log of the extended relationship, if that is tracked, as one write for each run of cells in a 64 KiB block.
    fn log_apply(&mut self, copy: CopyId) -> StoreResult<()>;
    /// Drops what was received and not yet applied.
    fn log_forget_received(&mut self, copy: CopyId) -> StoreResult<()>;
    /// Adds what the guest sees in these blocks to the open log, one write a block; a cell that is absent is
    /// added as zeros, and is absent where the log is applied. To the extended relationship's log, what the base holds.
    fn log_add(&mut self, copy: CopyId, blocks: &BlockSet) -> StoreResult<()>;
    /// Blocks that the open and the closed logs touch.
    fn log_blocks(&self, copy: CopyId) -> BlockSet;

    /// Puts the machine's logs behind those of its extended relationship, which are the machine's from then on; both
    /// are tracked, and no log of the machine is closed.
    fn log_promote(&mut self, copy: CopyId) -> StoreResult<()>;

    /// Takes a recovery point of the base: from now on what is overwritten is kept.
    fn point_take(&mut self, copy: CopyId, point: PointId) -> StoreResult<()>;
    /// Whether the point is there.
    fn has_point(&self, copy: CopyId, point: PointId) -> bool;
    /// Drops a recovery point; the older ones stay readable. Not the point that an open session reads.
    fn point_drop(&mut self, copy: CopyId, point: PointId) -> StoreResult<()>;
    /// Sets the base back to the point; the point and all newer ones are gone. A failover disk keeps its view.
    fn point_rollback(&mut self, copy: CopyId, point: PointId) -> StoreResult<()>;
    /// Blocks of the base that changed since the point was taken.
    fn point_changes(&self, copy: CopyId, point: PointId) -> BlockSet;
    /// Bytes that would have to be undone to show the base at this point: 0 for the newest content. Walks the
    /// undo logs from the point on.
    fn point_undo_bytes(&self, copy: CopyId, point: PointId) -> u64;

    /// Puts a failover disk over the base, showing `view`.
    fn failover_create(&mut self, copy: CopyId, view: View) -> StoreResult<()>;
    /// Drops the failover disk: the base is as it was.
    fn failover_discard(&mut self, copy: CopyId) -> StoreResult<()>;
    /// Merges the failover disk into the base and drops all recovery points. Returns the bytes merged.
    fn failover_commit(&mut self, copy: CopyId) -> StoreResult<u64>;
    /// Whether there is a failover disk.
    fn has_failover(&self, copy: CopyId) -> bool;

    /// Puts a test machine's disk over the base of `copy`, showing `view`; [`View::Live`] is the base.
    fn test_create(&mut self, copy: CopyId, view: View) -> StoreResult<()>;
    /// Drops the test machine's disk with what was written on it.
    fn test_discard(&mut self, copy: CopyId) -> StoreResult<()>;
    /// The test machine's disk becomes a disk of its own, with all that it shows: nothing links it to the replica any more.
    fn test_detach(&mut self, copy: CopyId, test: CopyId) -> StoreResult<()>;
    /// Whether this test machine has disks of its own.
    fn is_apart(&self, test: CopyId) -> bool;
    /// What a copy has is another host's from now on: the nodes of a cluster share their storage.
    fn relocate(&mut self, from: CopyId, to: CopyId) -> StoreResult<()>;
    /// Whether there is a test machine's disk.
    fn has_test(&self, copy: CopyId) -> bool;

    /// Opens a resynchronization. The target has no failover disk, and its guest does not write meanwhile; a
    /// source seen as [`View::Point`] may be written.
    fn resync_open(&mut self, session: SessionId, spec: &ResyncSpec) -> StoreResult<()>;
    /// What to carry next, or `None` when everything is equal. The same answer until it is delivered.
    fn resync_next(&mut self, session: SessionId) -> StoreResult<Option<Move>>;
    /// What `resync_next` told has arrived: the other half works on it.
    fn resync_deliver(&mut self, session: SessionId) -> StoreResult<()>;
    /// The connection broke when so many bytes of `resync_next` had crossed the link: whole frames among them arrived,
    /// the rest is lost, and the engine begins again where everything is done.
    fn resync_interrupt(&mut self, session: SessionId, crossed_bytes: u64) -> StoreResult<()>;
    /// Counts so far.
    fn resync_counts(&self, session: SessionId) -> ResyncCounts;
    /// What was done so far where, by disk.
    fn resync_heat(&self, session: SessionId) -> Vec<HeatMap>;
    /// Ends the session, finished or not.
    fn resync_close(&mut self, session: SessionId) -> StoreResult<()>;

    /// The first difference between two views, by content; `None` when they are equal.
    fn difference(&self, a: (CopyId, View), b: (CopyId, View)) -> StoreResult<Option<Difference>>;
    /// Bytes present: ever written, or non-zero in the given image, by 4 KiB.
    fn present_bytes(&self, copy: CopyId) -> u64;
}
