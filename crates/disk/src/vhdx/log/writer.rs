//! Writing the log of a session.

use uuid::Uuid;

use super::SECTOR;
use super::entry::{self, Change, Head};
use crate::bytes::{MIB, round_up, to_u64, to_usize};
use crate::file::BlockFile;

/// Changed sectors in one entry at most. Three entries of this size fit into the smallest log (1 MiB): the
/// last durable one, the one that its tail may name, and the one being written, so that the ring never runs
/// full.
pub(crate) const BATCH: usize = 84;

/// Writes entries into the ring. The caller flushes after each, then writes the changes to their places; a
/// later flush makes those durable, which is when the tail may move.
#[derive(Debug, Clone)]
pub(crate) struct LogWriter {
    offset: u64,
    len: u64,
    guid: Uuid,
    sequence: u64,
    head: u64,
    /// The first entry whose changes may not be durable at their places.
    pending: Option<u64>,
}

impl LogWriter {
    pub(crate) fn new(offset: u64, len: u64, guid: Uuid) -> Self {
        Self { offset, len, guid, sequence: 0, head: 0, pending: None }
    }

    pub(crate) fn guid(&self) -> Uuid {
        self.guid
    }

    /// Writes one entry of at most [`BATCH`] sectors (file offset, 4 KiB). `flushed_len` is the length that
    /// the file surely has on the disk, `len` the one that it has now.
    pub(crate) fn write(
        &mut self,
        file: &dyn BlockFile,
        sectors: &[(u64, Vec<u8>)],
        flushed_len: u64,
        len: u64,
    ) -> std::io::Result<()> {
        let start = self.head;
        self.sequence += 1;
        let head = Head {
            length: 0,
            tail: self.pending.unwrap_or(start),
            sequence: self.sequence,
            log_guid: self.guid,
            flushed_len: flushed_len / MIB * MIB,
            last_len: round_up(len, MIB),
        };
        let changes: Vec<Change> = sectors
            .iter()
            .map(|(offset, sector)| Change::Data { offset: *offset, sector: sector.as_slice().into() })
            .collect();
        let bytes = entry::encode(&head, &changes);
        let straight = to_usize((self.len - start).min(to_u64(bytes.len())));
        file.write_at(self.offset + start, &bytes[..straight])?;
        if straight < bytes.len() {
            file.write_at(self.offset, &bytes[straight..])?;
        }
        self.head = (start + to_u64(bytes.len())) % self.len;
        // The flush that makes this entry durable does the same for the changes of the ones before it.
        self.pending = Some(start);
        debug_assert!(bytes.len() <= to_usize(SECTOR) * (BATCH + 1));
        Ok(())
    }

    /// Notes that everything written so far, at its place too, is durable.
    pub(crate) fn settled(&mut self) {
        self.pending = None;
    }
}
