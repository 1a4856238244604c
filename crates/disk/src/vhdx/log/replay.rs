//! Finding the active sequence and replaying it (MS-VHDX 2.3.2, 2.3.3).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use super::SECTOR;
use super::entry::{self, Change, Head};
use crate::bytes::{to_u64, to_usize};
use crate::error::{Error, ErrorKind};
use crate::file::{BlockFile, Overlay, read_structure};

/// The active sequence of a log: what has to be done to the file, in order.
pub(crate) struct Sequence {
    changes: Vec<Change>,
    /// The file must be at least this long before the replay.
    flushed_len: u64,
    /// The file is at least this long after it.
    last_len: u64,
}

/// How much of a log is read at once to find where entries begin.
const PIECE: u64 = 1 << 20;

/// The bytes of a log, read in a ring.
struct Ring<'a> {
    file: &'a dyn BlockFile,
    offset: u64,
    len: u64,
}

impl Ring<'_> {
    fn read(&self, at: u64, len: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; to_usize(len)];
        let straight = len.min(self.len - at);
        let (first, wrapped) = bytes.split_at_mut(to_usize(straight));
        for (part, from) in [(first, self.offset + at), (wrapped, self.offset)] {
            if !part.is_empty() {
                read_structure(self.file, "log", from, part)?;
            }
        }
        Ok(bytes)
    }

    /// The places of all sectors that look like the head of an entry. Holes of the host's file are not read.
    fn starts(&self) -> Result<Vec<u64>, Error> {
        let mut found = Vec::new();
        for part in self.written(0..self.len)? {
            let mut at = part.start.next_multiple_of(SECTOR);
            while at < part.end {
                let piece = self.read(at, (self.len - at).min(PIECE))?;
                let heads = piece.chunks(to_usize(SECTOR)).zip((at..).step_by(to_usize(SECTOR)));
                found.extend(heads.filter(|(sector, _)| entry::is_head(sector)).map(|(_, at)| at));
                at += to_u64(piece.len());
            }
        }
        // Pieces may reach into the next part.
        found.dedup();
        Ok(found)
    }

    /// The parts of a range of the log that are no holes of the host's file.
    fn written(&self, range: Range<u64>) -> Result<Vec<Range<u64>>, Error> {
        let place = self.offset + range.start..self.offset + range.end;
        let parts = self.file.data_extents(place.clone());
        let parts = parts.map_err(|error| Error::io("log", error).at(place.start))?;
        Ok(parts.into_iter().map(|part| part.start - self.offset..part.end - self.offset).collect())
    }

    /// Whether holes are in a range of the ring. No sector of an entry is all zero.
    fn has_holes(&self, at: u64, len: u64) -> Result<bool, Error> {
        let straight = len.min(self.len - at);
        let mut written = 0;
        for part in [at..at + straight, 0..len - straight].into_iter().filter(|part| !part.is_empty()) {
            written += self.written(part)?.iter().map(|part| part.end - part.start).sum::<u64>();
        }
        Ok(written < len)
    }

    /// The entry at a place, where a valid one of at most `room` bytes is there.
    fn entry(&self, at: u64, room: u64, log_guid: Uuid) -> Result<Option<(Head, Vec<Change>)>, Error> {
        let length = entry::peek(&self.read(at, SECTOR)?, room);
        // Looked at before so much memory is taken as an entry claims to have.
        match length {
            Some(length) if !self.has_holes(at, length)? => {
                Ok(entry::decode(&self.read(at, length)?, log_guid, self.len))
            }
            _ => Ok(None),
        }
    }
}

impl Sequence {
    /// Finds the active sequence of a log that the header says is to be replayed.
    ///
    /// From every start, entries are collected while their sequence numbers rise by exactly one; a collection
    /// counts when the tail of its last entry lies within it, and of those that count the one with the
    /// highest last number is active.
    pub(crate) fn find(file: &dyn BlockFile, offset: u64, len: u64, log_guid: Uuid) -> Result<Self, Error> {
        // Before anything of the length that an entry claims is read into memory.
        let file_len = file.len().map_err(|error| Error::io("file", error))?;
        if offset.checked_add(len).is_none_or(|end| end > file_len) {
            return Err(Error::new(ErrorKind::Truncated, "log")
                .at(offset)
                .found(format!("{len} bytes in a file of {file_len}"))
                .requires("every object to lie within the file (MS-VHDX 2.1)")
                .remedy("restore the file from a complete copy"));
        }
        let ring = Ring { file, offset, len };
        let starts = ring.starts()?;
        let mut heads = BTreeMap::new();
        for (index, at) in starts.iter().enumerate() {
            // An entry reaches to the next one's head at most: none of its further sectors begins like one. What
            // is read for all of them together is therefore no more than the log, whatever they claim.
            let next = starts.get(index + 1).copied().unwrap_or(starts[0] + len);
            if let Some((head, _)) = ring.entry(*at, next - at, log_guid)? {
                heads.insert(*at, head);
            }
        }
        let run = active(&heads, len).ok_or_else(|| {
            Error::corrupt("log")
                .at(offset)
                .found(format!("no valid sequence of entries, though the header names log {log_guid}"))
                .requires("one to replay (MS-VHDX 2.3.2)")
                .remedy("restore the file from a backup; its last changes are lost")
        })?;
        let last = &heads[run.last().expect("a run has an entry")];
        let mut changes = Vec::new();
        for at in run.iter().skip_while(|at| **at != last.tail) {
            changes.extend(
                ring.entry(*at, heads[at].length, log_guid)?.map(|found| found.1).unwrap_or_default(),
            );
        }
        Ok(Self { changes, flushed_len: last.flushed_len, last_len: last.last_len })
    }

    /// Refuses a file that lost its end.
    pub(crate) fn check_len(&self, file: &dyn BlockFile) -> Result<(), Error> {
        let len = file.len().map_err(|error| Error::io("file", error))?;
        if len < self.flushed_len {
            return Err(Error::new(ErrorKind::Truncated, "file")
                .at(len)
                .found(format!("a length of {len} bytes"))
                .requires(format!(
                    "at least the {} bytes that the log says were flushed (MS-VHDX 2.3.3)",
                    self.flushed_len
                ))
                .remedy("restore the file from a complete copy"));
        }
        Ok(())
    }

    /// Replays into memory: the file stays as it is.
    pub(crate) fn overlay(&self, file: Arc<dyn BlockFile>) -> Result<Overlay, Error> {
        self.check_len(&*file)?;
        let mut overlay = Overlay::new(file).map_err(|error| Error::io("file", error))?;
        for change in &self.changes {
            match change {
                Change::Data { offset, sector } => overlay.write(*offset, sector),
                Change::Zero { offset, len } => overlay.zero(*offset, *len),
            }
        }
        overlay.extend(self.last_len);
        Ok(overlay)
    }

    /// Replays into the file and flushes. Doing it again changes nothing.
    pub(crate) fn apply(&self, file: &dyn BlockFile) -> Result<(), Error> {
        self.check_len(file)?;
        let fail = |error| Error::io("log replay", error);
        for change in &self.changes {
            let end = match change {
                Change::Data { offset, sector } => {
                    file.write_at(*offset, sector).map_err(fail)?;
                    offset + to_u64(sector.len())
                }
                Change::Zero { offset, len } => {
                    file.punch_hole(*offset, *len).map_err(fail)?;
                    offset + len
                }
            };
            extend(file, end).map_err(fail)?;
        }
        extend(file, self.last_len).and_then(|()| file.flush()).map_err(fail)
    }
}

fn extend(file: &dyn BlockFile, len: u64) -> std::io::Result<()> {
    if file.len()? < len { file.set_len(len) } else { Ok(()) }
}

/// The places of the active sequence's entries, from the first collected to the last.
fn active(heads: &BTreeMap<u64, Head>, log_len: u64) -> Option<Vec<u64>> {
    let follower = |at: u64| {
        let head = &heads[&at];
        let next = (at + head.length) % log_len;
        heads.get(&next).filter(|other| other.sequence == head.sequence.wrapping_add(1)).map(|_| next)
    };
    // A run that begins in the middle of another ends where that one ends and holds less: it need not be
    // tried.
    let inner: BTreeSet<u64> = heads.keys().filter_map(|at| follower(*at)).collect();
    let mut best: Option<Vec<u64>> = None;
    for start in heads.keys().filter(|at| !inner.contains(at)) {
        let run: Vec<u64> = std::iter::successors(Some(*start), |at| follower(*at)).collect();
        let last = &heads[run.last()?];
        let better =
            best.as_ref().and_then(|best| best.last()).is_none_or(|at| last.sequence > heads[at].sequence);
        if run.contains(&last.tail) && better {
            best = Some(run);
        }
    }
    best
}
