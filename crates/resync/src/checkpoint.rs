//! Where an interrupted run goes on: a small file with two slots, beside the target.
//!
//! The order is always data, flush, slot, flush. The slots are written in turn, each in a sector of its own, so that a
//! power cut in the middle of one leaves the other. A slot counts only for the run that it belongs to: the same images
//! with the same content and the same candidates. For any other run the work begins again, by comparing.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hvrsim_disk::Guid;
use hvrsim_disk::file::{BlockFile, FileSystem};
use serde::{Deserialize, Serialize};

use crate::direct::Summary;

/// What names a run: a digest over all that must be the same for going on.
pub type Identity = [u8; 32];

const MAGIC: &[u8; 8] = b"hvrsync1";
/// Slots lie this far apart: no torn write reaches from one into the other.
const SLOT: u64 = 4096;
/// Bytes of a slot in front of its digest.
const BODY: usize = 8 + 8 + 32 + 16 + 5 * 8;
const DIGEST: usize = 32;

/// How far a run came.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Everything in front of this byte of the disk is equal and durable.
    pub done_to: u64,
    /// What was done until then.
    pub summary: Summary,
}

/// The file of a run. It is made with the first progress that is kept, and goes when the work is complete.
pub struct Checkpoint {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    identity: Identity,
    file: Option<Arc<dyn BlockFile>>,
    sequence: u64,
    found: Option<Progress>,
    sent_interval: u64,
}

impl Checkpoint {
    /// At most so much content is sent again after an interruption, unless [`Checkpoint::every`] says otherwise.
    pub const SENT_INTERVAL: u64 = 256 << 20;
    /// Progress is also kept after so much of the disk, however little of it differed.
    pub const DISK_INTERVAL: u64 = 64 << 30;

    /// Looks for progress of this run. `target` is the identifier that the target's content has now, where its format
    /// has one: another than the noted one means that somebody else wrote there.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn open(
        fs: Arc<dyn FileSystem>,
        path: PathBuf,
        identity: Identity,
        target: Option<Guid>,
    ) -> io::Result<Self> {
        let file = match fs.open(&path, true) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut checkpoint =
            Self { fs, path, identity, file, sequence: 0, found: None, sent_interval: Self::SENT_INTERVAL };
        let slots = [checkpoint.read(0)?, checkpoint.read(1)?];
        if let Some(slot) = slots.into_iter().flatten().max_by_key(|slot| slot.sequence) {
            checkpoint.sequence = slot.sequence;
            let same = slot.identity == identity && slot.target == guid_bytes(target);
            checkpoint.found = same.then_some(slot.progress);
        }
        Ok(checkpoint)
    }

    /// Keeps progress after so much content.
    #[must_use]
    pub fn every(mut self, sent_bytes: u64) -> Self {
        self.sent_interval = sent_bytes;
        self
    }

    /// Progress is kept after so much content.
    #[must_use]
    pub const fn sent_interval(&self) -> u64 {
        self.sent_interval
    }

    /// Whether so much was done since the last time that doing it again would hurt.
    #[must_use]
    pub fn is_due(&self, since: &Progress, now: &Progress) -> bool {
        now.summary.sent_bytes.saturating_sub(since.summary.sent_bytes) >= self.sent_interval
            || now.done_to.saturating_sub(since.done_to) >= Self::DISK_INTERVAL
    }

    /// The progress to go on from.
    #[must_use]
    pub fn found(&self) -> Option<Progress> {
        self.found
    }

    /// Whether there is a file that belongs to another run.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.file.is_some() && self.found.is_none()
    }

    /// Notes progress whose data is durable.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&mut self, progress: &Progress, target: Option<Guid>) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => self.fs.create_new(&self.path)?,
        };
        self.sequence += 1;
        let slot = Slot {
            sequence: self.sequence,
            identity: self.identity,
            target: guid_bytes(target),
            progress: *progress,
        };
        file.write_at(self.sequence % 2 * SLOT, &slot.encode())?;
        file.flush()?;
        self.file = Some(file);
        Ok(())
    }

    /// Takes the file away: the work is complete.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&mut self) -> io::Result<()> {
        match self.file.take() {
            Some(_) => self.fs.remove(&self.path),
            None => Ok(()),
        }
    }

    fn read(&self, slot: u64) -> io::Result<Option<Slot>> {
        let mut bytes = [0; BODY + DIGEST];
        let Some(file) = &self.file else { return Ok(None) };
        if file.len()? < slot * SLOT + bytes.len() as u64 {
            return Ok(None);
        }
        file.read_at(slot * SLOT, &mut bytes)?;
        Ok(Slot::decode(&bytes))
    }
}

fn guid_bytes(guid: Option<Guid>) -> [u8; 16] {
    guid.map_or([0; 16], Guid::into_bytes)
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Slot {
    sequence: u64,
    identity: Identity,
    target: [u8; 16],
    progress: Progress,
}

impl Slot {
    fn encode(&self) -> Vec<u8> {
        let Progress { done_to, summary } = self.progress;
        let numbers = [
            done_to,
            summary.compared_bytes,
            summary.sent_bytes,
            summary.zeroed_bytes,
            summary.written_bytes,
        ];
        let mut out = MAGIC.to_vec();
        out.extend(self.sequence.to_le_bytes());
        out.extend(self.identity);
        out.extend(self.target);
        out.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
        out.extend(blake3::hash(&out).as_bytes());
        out
    }

    fn decode(bytes: &[u8; BODY + DIGEST]) -> Option<Self> {
        let (body, digest) = bytes.split_at(BODY);
        let (magic, mut rest) = body.split_at(8);
        if magic != MAGIC || blake3::hash(body).as_bytes() != digest {
            return None;
        }
        let sequence = number(&mut rest)?;
        let (identity, after) = rest.split_first_chunk()?;
        let (target, mut rest) = after.split_first_chunk()?;
        let done_to = number(&mut rest)?;
        let summary = Summary {
            compared_bytes: number(&mut rest)?,
            sent_bytes: number(&mut rest)?,
            zeroed_bytes: number(&mut rest)?,
            written_bytes: number(&mut rest)?,
        };
        Some(Self { sequence, identity: *identity, target: *target, progress: Progress { done_to, summary } })
    }
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*first))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hvrsim_disk::file::MemFs;

    use super::*;

    fn open(fs: &Arc<MemFs>, identity: u8) -> Checkpoint {
        let fs: Arc<dyn FileSystem> = Arc::<MemFs>::clone(fs);
        Checkpoint::open(fs, "/c".into(), [identity; 32], None).unwrap()
    }

    #[test]
    fn the_newest_whole_slot_of_the_same_run_counts() {
        let fs = Arc::new(MemFs::new());
        let summary = Summary { sent_bytes: 7, ..Summary::default() };
        let mut checkpoint = open(&fs, 1);
        assert_eq!(checkpoint.found(), None);
        for done_to in [10, 20, 30] {
            checkpoint.keep(&Progress { done_to, summary }, None).unwrap();
        }
        assert_eq!(open(&fs, 1).found(), Some(Progress { done_to: 30, summary }));
        assert!(open(&fs, 2).is_stale());

        // The third write was torn: its slot is the second one.
        let file = fs.open(Path::new("/c"), true).unwrap();
        file.write_at(SLOT + 40, &[1, 2, 3]).unwrap();
        assert_eq!(open(&fs, 1).found().map(|found| found.done_to), Some(20));

        let mut checkpoint = open(&fs, 1);
        checkpoint.remove().unwrap();
        assert!(fs.open(Path::new("/c"), false).is_err());
    }

    #[test]
    fn a_target_that_somebody_wrote_to_is_compared_again() {
        let fs: Arc<dyn FileSystem> = Arc::new(MemFs::new());
        let reopen = |guid| Checkpoint::open(Arc::clone(&fs), "/c".into(), [1; 32], guid).unwrap();
        let ours = Guid::from_bytes([5; 16]);
        reopen(Some(ours)).keep(&Progress { done_to: 10, ..Progress::default() }, Some(ours)).unwrap();
        assert!(reopen(Some(ours)).found().is_some());
        assert!(reopen(Some(Guid::from_bytes([6; 16]))).is_stale());
    }
}
