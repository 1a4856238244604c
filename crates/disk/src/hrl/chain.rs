//! Logs that follow each other, applied to a disk.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::HrlReader;
use crate::bytes::to_u64;
use crate::error::Error;
use crate::file::{FileSystem, HostFs};
use crate::image::{Image, check_range};

/// Closed logs, each the one after the one before it.
pub struct HrlChain {
    paths: Vec<PathBuf>,
    logs: Vec<HrlReader>,
}

impl HrlChain {
    /// Opens logs, the oldest first. `after` is the id of the log that was applied last, nil before the first.
    ///
    /// # Errors
    /// Those of [`HrlReader::open`]; `DiskMismatch` when a log does not follow the one before it: one between
    /// them is missing, or they are of two disks.
    pub fn open(paths: &[PathBuf], after: Uuid) -> Result<Self, Error> {
        Self::open_in(&HostFs, paths, after)
    }

    /// [`HrlChain::open`] over another file system.
    ///
    /// # Errors
    /// As [`HrlChain::open`].
    pub fn open_in(fs: &dyn FileSystem, paths: &[PathBuf], after: Uuid) -> Result<Self, Error> {
        let (mut logs, mut before) = (Vec::new(), after);
        for path in paths {
            let log = HrlReader::open_in(fs, path)?;
            log.check_follows(before)?;
            before = log.info().unique_id;
            logs.push(log);
        }
        Ok(Self { paths: paths.to_vec(), logs })
    }

    /// The logs, the oldest first.
    #[must_use]
    pub fn logs(&self) -> &[HrlReader] {
        &self.logs
    }

    /// Refuses logs of which one was not written for the content that this GUID names: the disk was swapped, or
    /// changed without its log.
    ///
    /// # Errors
    /// `DiskMismatch`.
    pub fn check_disk(&self, data_write_guid: Uuid) -> Result<(), Error> {
        self.logs.iter().try_for_each(|log| log.check_disk(data_write_guid))
    }

    /// Makes the writes of all logs to a disk, in the order in which they were made, and flushes. All of them are
    /// looked at before the first is made: of logs that cannot be used nothing is applied. Gives how many there
    /// were.
    ///
    /// # Errors
    /// `Corrupt` for data with a wrong checksum, `OutOfRange` for a write past the disk, `Io`; and those of
    /// writing the image.
    pub fn apply(&self, image: &mut dyn Image) -> Result<u64, Error> {
        let size = image.size();
        self.each(|path, offset, data| {
            check_range(size, offset, to_u64(data.len())).map_err(|error| error.in_file(path))
        })?;
        let count = self.each(|_, offset, data| image.write_at(offset, data))?;
        image.flush()?;
        Ok(count)
    }

    fn each(&self, mut visit: impl FnMut(&Path, u64, &[u8]) -> Result<(), Error>) -> Result<u64, Error> {
        let mut count = 0;
        for (log, path) in self.logs.iter().zip(&self.paths) {
            for entry in log.entries() {
                let entry = entry?;
                visit(path, entry.offset, &entry.data)?;
                count += 1;
            }
        }
        Ok(count)
    }
}
