//! Change logs as files.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use hvrsim_disk::Guid;
use hvrsim_disk::hrl::{HrlOptions, HrlReader, HrlWriter};
use hvrsim_resync::runs::{self, Run, RunSet};
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::CopyId;
use hvrsim_types::size::CELL;

use super::content;
use super::disk::Disk;
use super::files::RunFs;
use super::files::{self, Folder};
use crate::store::tally::Tally;
use crate::store::{BlockSet, LogStats, StoreResult, tally};

/// A file for each disk that the log takes, with the disk's number.
pub(super) type LogFiles = Vec<(u8, PathBuf)>;

struct Closed {
    files: LogFiles,
    bytes: u64,
    blocks: BlockSet,
}

/// The change log of a copy: the open log and the closed ones, oldest first.
pub(super) struct Tracking {
    copy: CopyId,
    sizes: Vec<u64>,
    /// The disks whose writes it takes.
    disks: DiskSet,
    /// In the order of `files`.
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
    /// Starts with an empty open log of these disks. `count` logs had been made before, whose names are not used again.
    pub(super) fn start(
        folder: &Folder,
        copy: CopyId,
        sizes: Vec<u64>,
        disks: DiskSet,
        count: u64,
    ) -> StoreResult<Self> {
        let mut tracking = Self {
            copy,
            open: Vec::new(),
            files: Vec::new(),
            ids: vec![Guid::nil(); sizes.len()],
            tally: Tally::new(number(&sizes), disks),
            disks,
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
        let (count, disks) = (number(&self.sizes), self.disks);
        (0..count).filter(|disk| disks.contains(*disk)).try_for_each(|disk| self.open_file(folder, disk))
    }

    fn open_file(&mut self, folder: &Folder, disk: u8) -> StoreResult<()> {
        let of = if self.copy.vm.is_extended() { "extended-" } else { "" };
        let path = folder.path(self.copy, &format!("disk{disk}-{of}{}.hrl", self.count));
        let id = &mut self.ids[usize::from(disk)];
        let previous_id = std::mem::replace(id, folder.guid(&path));
        let options = HrlOptions { unique_id: *id, previous_id, data_write_guid: Guid::nil(), created: 0 };
        self.open.push(HrlWriter::create_in(&RunFs, &path, &options).map_err(files::at(&path))?);
        self.files.push((disk, path));
        Ok(())
    }

    /// Whether it takes writes of this disk.
    pub(super) fn takes(&self, disk: u8) -> bool {
        self.disks.contains(disk)
    }

    /// From now on it takes writes of these disks, and drops what its open log has of others; `sizes` are those of the copy's disks.
    pub(super) fn choose(&mut self, folder: &Folder, sizes: Vec<u64>, disks: DiskSet) -> StoreResult<()> {
        self.sizes = sizes;
        self.disks = disks;
        self.ids.resize(self.sizes.len(), Guid::nil());
        self.tally.choose(number(&self.sizes), disks);
        self.blocks.retain(|(disk, _)| disks.contains(*disk));
        let dropped: Vec<usize> =
            (0..self.files.len()).filter(|at| !disks.contains(self.files[*at].0)).collect();
        for at in dropped.into_iter().rev() {
            drop(self.open.remove(at));
            files::remove(&self.files.remove(at).1)?;
        }
        let missing = (0..number(&self.sizes)).filter(|disk| disks.contains(*disk));
        let missing: Vec<u8> = missing.filter(|disk| self.files.iter().all(|(of, _)| of != disk)).collect();
        missing.into_iter().try_for_each(|disk| self.open_file(folder, disk))
    }

    /// A disk has another size.
    pub(super) fn resize(&mut self, disk: u8, size: u64) {
        if let Some(known) = self.sizes.get_mut(usize::from(disk)) {
            *known = size;
        }
    }

    /// Adds a write to the open log: cells and their bytes, cut at the disk's end.
    pub(super) fn add(&mut self, disk: u8, run: Run, content: &[u8]) -> StoreResult<()> {
        let bytes = tally::bytes(run, self.sizes[usize::from(disk)]);
        let cut = usize::try_from(bytes).unwrap_or(usize::MAX).min(content.len());
        let at = self.files.iter().position(|(of, _)| *of == disk).expect("the log takes the disk");
        self.open[at].append(run.start * CELL, &content[..cut], 0).map_err(files::at(&self.files[at].1))?;
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
        self.tally = Tally::new(number(&self.sizes), self.disks);
        self.close()?;
        let (files, blocks) = (std::mem::take(&mut self.files), std::mem::take(&mut self.blocks));
        self.closed.push_back(Closed { files, bytes: stats.bytes, blocks });
        self.closed_bytes += stats.bytes;
        self.open_next(folder)?;
        Ok(stats)
    }

    /// Ends the open log's files.
    pub(super) fn close(&mut self) -> StoreResult<()> {
        for (log, (_, path)) in std::mem::take(&mut self.open).into_iter().zip(&self.files) {
            log.close(0).map_err(files::at(path))?;
        }
        Ok(())
    }

    /// Puts the open log of another tracking, which has no closed one, behind the own, and deletes it. Returns how many
    /// logs had been made by either.
    pub(super) fn append(&mut self, mut other: Self) -> StoreResult<u64> {
        assert!(other.closed.is_empty(), "the other tracking has closed no log");
        other.close()?;
        let disks = self.disks;
        for (number, path) in other.files.iter().filter(|(disk, _)| disks.contains(*disk)) {
            let log = HrlReader::open_in(&RunFs, path).map_err(files::at(path))?;
            for entry in log.entries() {
                let entry = entry.map_err(files::at(path))?;
                self.add(*number, tally::cells(entry.offset, entry.data.len() as u64), &entry.data)?;
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
    log.iter().try_for_each(|(_, path)| files::remove(path))
}

/// The end of what the log of one disk writes, in cells.
pub(super) fn end(path: &Path) -> StoreResult<u64> {
    let log = HrlReader::open_in(&RunFs, path).map_err(files::at(path))?;
    let mut end = 0;
    for entry in log.entries() {
        let entry = entry.map_err(files::at(path))?;
        end = end.max(tally::cells(entry.offset, entry.data.len() as u64).end());
    }
    Ok(end)
}

fn number(sizes: &[u64]) -> u8 {
    u8::try_from(sizes.len()).unwrap_or(u8::MAX)
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
