//! The undo log of a recovery point: the log layout with the old content of what was overwritten.

use std::path::PathBuf;

use hvrsim_disk::file::FileSystem;
use hvrsim_disk::hrl::{HrlOptions, HrlWriter};
use hvrsim_resync::runs::Run;
use hvrsim_types::size::CELL;

use super::content;
use super::files::{self, Folder, RunFs};
use crate::store::extents::Extents;
use crate::store::{StoreResult, tally};

/// Places in the file are counted in sectors, since a disk's last cell may be cut.
const SECTOR: u64 = 512;
/// Sectors of a cell: by so much a place grows from cell to cell.
const CELL_SECTORS: u64 = CELL / SECTOR;
/// Where the first data of a log stands: behind the header and an empty metadata block.
const FIRST: u64 = 8192;
/// A metadata block, and after how many entries it stands.
const METADATA: u64 = 4096;
const ENTRIES: u64 = 127;

/// Which cells a log has, and where their content stands in its file; 0: they were absent.
pub(super) type Places = Extents<CELL_SECTORS>;

/// An undo log.
pub(super) struct Undo {
    path: PathBuf,
    size: u64,
    writer: Option<HrlWriter>,
    places: Places,
    /// Where the next data will stand, and how many entries there are.
    end: u64,
    entries: u64,
}

impl Undo {
    /// Creates an empty log for a disk of that size.
    pub(super) fn create(folder: &Folder, path: PathBuf, size: u64) -> StoreResult<Self> {
        let options = HrlOptions {
            unique_id: folder.guid(&path),
            previous_id: hvrsim_disk::Guid::nil(),
            data_write_guid: hvrsim_disk::Guid::nil(),
            created: 0,
        };
        let writer = HrlWriter::create_in(&RunFs, &path, &options).map_err(files::at(&path))?;
        Ok(Self { path, size, writer: Some(writer), places: Places::default(), end: FIRST, entries: 0 })
    }

    /// Its disk has another size; it forgets the cells behind.
    pub(super) fn resize(&mut self, size: u64, behind: Run) {
        self.size = size;
        self.places.clear(behind);
    }

    /// Which cells it has.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// Adds the old content of cells that it has not yet; none: they were absent.
    pub(super) fn add(&mut self, run: Run, old: Option<&[u8]>) -> StoreResult<()> {
        let zeros;
        let content = match old {
            Some(content) => content,
            None => {
                zeros = vec![0; content::bytes(run)];
                &zeros
            }
        };
        let len = tally::bytes(run, self.size);
        let cut = content.len().min(usize::try_from(len).unwrap_or(usize::MAX));
        let writer = self.writer.as_mut().expect("only the newest undo log grows");
        writer.append(run.start * CELL, &content[..cut], 0).map_err(files::at(&self.path))?;
        self.places.set(run, old.map_or(0, |_| self.end / SECTOR));
        self.entries += 1;
        self.end += len + if self.entries.is_multiple_of(ENTRIES) { METADATA } else { 0 };
        Ok(())
    }

    /// Reads cells whose content starts at this place.
    pub(super) fn read(&self, place: u64, run: Run, out: &mut [u8]) -> StoreResult<()> {
        let file = RunFs.open(&self.path, false).map_err(files::host(&self.path))?;
        let len = usize::try_from(tally::bytes(run, self.size)).unwrap_or(usize::MAX).min(out.len());
        file.read_at(place * SECTOR, &mut out[..len]).map_err(files::host(&self.path))
    }

    /// Ends the log: no more will be added.
    pub(super) fn close(&mut self) -> StoreResult<()> {
        match self.writer.take() {
            Some(writer) => writer.close(0).map(drop).map_err(files::at(&self.path)),
            None => Ok(()),
        }
    }

    /// Writes the log anew, with what `newer` has and this log has not, and leaves it open.
    pub(super) fn reopen(self, folder: &Folder, newer: Option<&Self>) -> StoreResult<Self> {
        let partial = self.path.with_extension("hru.partial");
        let mut fresh = Self::create(folder, partial.clone(), self.size)?;
        for log in [Some(&self), newer].into_iter().flatten() {
            for (run, _) in log.places.iter() {
                for part in content::parts(run) {
                    fresh.take(log, part)?;
                }
            }
        }
        RunFs.rename(&partial, &self.path).map_err(files::host(&self.path))?;
        fresh.path.clone_from(&self.path);
        Ok(fresh)
    }

    /// Takes over what it has not yet of a part of another log.
    fn take(&mut self, from: &Self, part: Run) -> StoreResult<()> {
        let missing: Vec<Run> =
            self.places.segments(part).filter(|(_, have)| have.is_none()).map(|(run, _)| run).collect();
        for run in missing {
            for (run, place) in from.places.within(run) {
                if place == 0 {
                    self.add(run, None)?;
                } else {
                    let mut old = vec![0; content::bytes(run)];
                    from.read(place, run, &mut old)?;
                    self.add(run, Some(&old))?;
                }
            }
        }
        Ok(())
    }

    /// Deletes the log.
    pub(super) fn remove(self) -> StoreResult<()> {
        files::remove(&self.path)
    }
}
