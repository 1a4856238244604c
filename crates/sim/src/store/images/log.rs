//! Change logs as files.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use hvrsim_disk::Guid;
use hvrsim_disk::hrl::{HrlOptions, HrlReader, HrlWriter};
use hvrsim_resync::runs::{self, Run, RunSet};
use hvrsim_types::id::CopyId;
use hvrsim_types::size::CELL;

use super::content;
use super::disk::Disk;
use super::files::RunFs;
use super::files::{self, Folder};
use crate::store::tally::Tally;
use crate::store::{BlockSet, LogStats, StoreResult, tally};

/// One file for each disk, in order.
pub(super) type LogFiles = Vec<PathBuf>;

struct Closed {
    files: LogFiles,
    bytes: u64,
    blocks: BlockSet,
}

/// The change log of a copy: the open log and the closed ones, oldest first.
pub(super) struct Tracking {
    copy: CopyId,
    sizes: Vec<u64>,
    open: Vec<HrlWriter>,
    files: LogFiles,
    ids: Vec<Guid>,
    tally: Tally,
    blocks: BlockSet,
    closed: VecDeque<Closed>,
    closed_bytes: u64,
    /// Logs made so far.
    count: u64,
}

impl Tracking {
    /// Starts with an empty open log. `count` logs had been made before, whose names are not used again.
    pub(super) fn start(folder: &Folder, copy: CopyId, sizes: Vec<u64>, count: u64) -> StoreResult<Self> {
        let mut tracking = Self {
            copy,
            open: Vec::new(),
            files: Vec::new(),
            ids: vec![Guid::nil(); sizes.len()],
            tally: Tally::new(sizes.len()),
            blocks: BTreeSet::new(),
            closed: VecDeque::new(),
            closed_bytes: 0,
            count,
            sizes,
        };
        tracking.open_next(folder)?;
        Ok(tracking)
    }

    fn open_next(&mut self, folder: &Folder) -> StoreResult<()> {
        self.count += 1;
        for disk in 0..self.sizes.len() {
            let of = if self.copy.vm.is_extended() { "extended-" } else { "" };
            let path = folder.path(self.copy, &format!("disk{disk}-{of}{}.hrl", self.count));
            let previous_id = std::mem::replace(&mut self.ids[disk], folder.guid(&path));
            let options = HrlOptions {
                unique_id: self.ids[disk],
                previous_id,
                data_write_guid: Guid::nil(),
                created: 0,
            };
            self.open.push(HrlWriter::create_in(&RunFs, &path, &options).map_err(files::at(&path))?);
            self.files.push(path);
        }
        Ok(())
    }

    /// Adds a write to the open log: cells and their bytes, cut at the disk's end.
    pub(super) fn add(&mut self, disk: u8, run: Run, content: &[u8]) -> StoreResult<()> {
        let at = usize::from(disk);
        let bytes = tally::bytes(run, self.sizes[at]);
        let cut = usize::try_from(bytes).unwrap_or(usize::MAX).min(content.len());
        self.open[at].append(run.start * CELL, &content[..cut], 0).map_err(files::at(&self.files[at]))?;
        self.tally.add(disk, bytes);
        self.blocks.extend(runs::each(&runs::blocks_of(&[run])).map(|block| (disk, block)));
        Ok(())
    }

    /// Bytes in all logs.
    pub(super) fn pending(&self) -> u64 {
        self.closed_bytes + self.tally.stats().bytes
    }

    /// Closes the open log and opens the next.
    pub(super) fn switch(&mut self, folder: &Folder) -> StoreResult<LogStats> {
        let stats = self.tally.stats();
        self.tally = Tally::new(self.sizes.len());
        self.close()?;
        let (files, blocks) = (std::mem::take(&mut self.files), std::mem::take(&mut self.blocks));
        self.closed.push_back(Closed { files, bytes: stats.bytes, blocks });
        self.closed_bytes += stats.bytes;
        self.open_next(folder)?;
        Ok(stats)
    }

    /// Ends the open log's files.
    pub(super) fn close(&mut self) -> StoreResult<()> {
        for (log, path) in std::mem::take(&mut self.open).into_iter().zip(&self.files) {
            log.close(0).map_err(files::at(path))?;
        }
        Ok(())
    }

    /// Puts the open log of another tracking, which has no closed one, behind the own, and deletes it. Returns how many
    /// logs had been made by either.
    pub(super) fn append(&mut self, mut other: Self) -> StoreResult<u64> {
        assert!(other.closed.is_empty(), "the other tracking has closed no log");
        other.close()?;
        for (number, path) in (0..).zip(&other.files) {
            let log = HrlReader::open_in(&RunFs, path).map_err(files::at(path))?;
            for entry in log.entries() {
                let entry = entry.map_err(files::at(path))?;
                self.add(number, tally::cells(entry.offset, entry.data.len() as u64), &entry.data)?;
            }
        }
        self.copy = other.copy;
        self.count = self.count.max(other.count);
        other.remove()?;
        Ok(self.count)
    }

    /// The files of the oldest closed log.
    pub(super) fn oldest(&self) -> Option<&LogFiles> {
        self.closed.front().map(|log| &log.files)
    }

    /// Drops the oldest closed log; whether there was one.
    pub(super) fn drop_oldest(&mut self) -> StoreResult<bool> {
        let Some(log) = self.closed.pop_front() else { return Ok(false) };
        self.closed_bytes -= log.bytes;
        remove(&log.files)?;
        Ok(true)
    }

    /// The blocks that all logs touch.
    pub(super) fn blocks(&self) -> BlockSet {
        let all = self.closed.iter().map(|log| &log.blocks).chain([&self.blocks]);
        all.flatten().copied().collect()
    }

    /// Deletes all logs. Returns how many had been made.
    pub(super) fn remove(self) -> StoreResult<u64> {
        drop(self.open);
        remove(&self.files)?;
        self.closed.iter().try_for_each(|log| remove(&log.files))?;
        Ok(self.count)
    }
}

/// Deletes a log's files.
pub(super) fn remove(log: &LogFiles) -> StoreResult<()> {
    log.iter().try_for_each(|path| files::remove(path))
}

/// Applies the log of one disk to its base, in the order of the writes. Returns the cells that it touched.
pub(super) fn apply(path: &Path, disk: &mut Disk) -> StoreResult<Vec<Run>> {
    let mut covered = RunSet::default();
    let log = HrlReader::open_in(&RunFs, path).map_err(files::at(path))?;
    for entry in log.entries() {
        let mut entry = entry.map_err(files::at(path))?;
        let run = tally::cells(entry.offset, entry.data.len() as u64);
        entry.data.resize(content::bytes(run), 0);
        disk.overwrite_mixed(run, &entry.data)?;
        covered.insert(run);
    }
    Ok(covered.iter().collect())
}
