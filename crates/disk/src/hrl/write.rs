//! Writing a change log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::HrlInfo;
use super::layout::{self, HEADER, Header, METADATA, Slot, VERSION};
use crate::bytes::to_u64;
use crate::error::{Error, ErrorKind};
use crate::file::{BlockFile, FileSystem, HostFs, make_file};
use crate::image::check_range;

/// What a new log is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HrlOptions {
    /// The log's own id.
    pub unique_id: Uuid,
    /// The log before this one; nil for the first.
    pub previous_id: Uuid,
    /// The DataWriteGuid of the disk.
    pub data_write_guid: Uuid,
    /// Seconds since 2000-01-01 UTC.
    pub created: u32,
}

/// A log that is being written. Dropped without [`HrlWriter::close`] it stays open for ever: readers refuse
/// it, as after a crash of its writer.
pub struct HrlWriter {
    path: PathBuf,
    file: Arc<dyn BlockFile>,
    header: Header,
    /// Writes since the last metadata block.
    slots: Vec<Slot>,
    /// Where the last metadata block stands, and where the next byte goes.
    block: u64,
    end: u64,
    /// A write of the log has failed: what the file holds is not known.
    failed: bool,
}

impl HrlWriter {
    /// Creates a log.
    ///
    /// # Errors
    /// `Exists`, `NoSpace`, `Io`.
    pub fn create(path: impl AsRef<Path>, options: &HrlOptions) -> Result<Self, Error> {
        Self::create_in(&HostFs, path.as_ref(), options)
    }

    /// [`HrlWriter::create`] over another file system.
    ///
    /// # Errors
    /// As [`HrlWriter::create`].
    pub fn create_in(fs: &dyn FileSystem, path: &Path, options: &HrlOptions) -> Result<Self, Error> {
        let file = make_file(fs, path, "new change log")?;
        let info = HrlInfo {
            unique_id: options.unique_id,
            previous_id: options.previous_id,
            data_write_guid: options.data_write_guid,
            created: options.created,
            modified: options.created,
            entries: 0,
        };
        let header = Header { info, version: VERSION, end: 0, error: 0, metadata_size: METADATA };
        let path = path.to_path_buf();
        let mut log = Self { path, file, header, slots: Vec::new(), block: 0, end: HEADER, failed: false };
        let begun = log.put(0, &log.header.encode()).and_then(|()| log.put_block());
        if let Err(error) = begun {
            // The first failure is the one to tell.
            let _ = fs.remove(&log.path);
            return Err(error);
        }
        Ok(log)
    }

    /// Ends this log and goes on in a new one at `path`, which names this one as the log before it. `now` is in
    /// seconds since 2000-01-01 UTC. Gives the size of the log that ended.
    ///
    /// # Errors
    /// As [`HrlWriter::create`]: this log then goes on. As [`HrlWriter::close`]: no log goes on, since what the
    /// disk holds of this one is not known.
    pub fn rotate(
        &mut self,
        path: impl AsRef<Path>,
        unique_id: Uuid,
        data_write_guid: Uuid,
        now: u32,
    ) -> Result<u64, Error> {
        self.rotate_in(&HostFs, path.as_ref(), unique_id, data_write_guid, now)
    }

    /// [`HrlWriter::rotate`] over another file system.
    ///
    /// # Errors
    /// As [`HrlWriter::rotate`].
    pub fn rotate_in(
        &mut self,
        fs: &dyn FileSystem,
        path: &Path,
        unique_id: Uuid,
        data_write_guid: Uuid,
        now: u32,
    ) -> Result<u64, Error> {
        let previous_id = self.header.info.unique_id;
        let options = HrlOptions { unique_id, previous_id, data_write_guid, created: now };
        let next = Self::create_in(fs, path, &options)?;
        let size = match self.finish(now) {
            Ok(size) => size,
            Err(error) => {
                // The first failure is the one to tell.
                let _ = fs.remove(path);
                return Err(error);
            }
        };
        *self = next;
        Ok(size)
    }

    /// Appends one write to the disk, made `time` seconds after 2000-01-01 UTC. An empty one leaves no trace.
    ///
    /// # Errors
    /// `OutOfRange` when offset and length overflow, `InvalidOption` from 4 GiB on, `NoSpace`, `Io`.
    pub fn append(&mut self, offset: u64, data: &[u8], time: u32) -> Result<(), Error> {
        check_range(u64::MAX, offset, to_u64(data.len())).map_err(|error| error.in_file(&self.path))?;
        let len = u32::try_from(data.len()).map_err(|_| {
            Error::new(ErrorKind::InvalidOption, "write")
                .in_file(&self.path)
                .found(format!("{} bytes", data.len()))
                .requires("less than 4 GiB in one entry (MS-HRL 2.2)")
        })?;
        if len == 0 {
            return Ok(());
        }
        self.check_usable()?;
        self.put(self.end, data)?;
        self.end += u64::from(len);
        self.slots.push(Slot { offset, len, time, data_sum: layout::sum(data) });
        self.header.info.entries += 1;
        if self.slots.len() < layout::slots_in(self.header.metadata_size) {
            return Ok(());
        }
        let put = self.put_block();
        self.failed |= put.is_err();
        put
    }

    /// Bytes that the log would have if it were closed now: 4096 for the header, 4096 for the first metadata
    /// block and for every begun 127 writes, and the data as written.
    #[must_use]
    pub fn size(&self) -> u64 {
        let open_block = if self.slots.is_empty() { 0 } else { u64::from(self.header.metadata_size) };
        self.end + open_block
    }

    /// Writes so far.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.header.info.entries
    }

    /// Writes the last metadata block, makes everything durable, then names the end in the header. Gives the
    /// log's size.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: the log is then not closed.
    pub fn close(mut self, modified: u32) -> Result<u64, Error> {
        self.finish(modified)
    }

    fn finish(&mut self, modified: u32) -> Result<u64, Error> {
        self.check_usable()?;
        // Until all of it is durable.
        self.failed = true;
        if !self.slots.is_empty() {
            self.put_block()?;
        }
        self.flush()?;
        self.header.end = self.end;
        self.header.info.modified = modified;
        self.put(0, &self.header.encode())?;
        self.flush()?;
        self.failed = false;
        Ok(self.end)
    }

    fn check_usable(&self) -> Result<(), Error> {
        if !self.failed {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Io, "change log")
            .in_file(&self.path)
            .found("a write after one that failed")
            .requires("a log without gaps (MS-HRL 2.2)")
            .remedy(super::REMEDY))
    }

    fn put_block(&mut self) -> Result<(), Error> {
        let distance = if self.block == 0 { 0 } else { self.end - self.block };
        let bytes = layout::encode_block(self.header.metadata_size, distance, &self.slots);
        self.put(self.end, &bytes)?;
        self.block = self.end;
        self.end += to_u64(bytes.len());
        self.slots.clear();
        Ok(())
    }

    fn put(&self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        let put = self.file.write_at(at, bytes);
        put.map_err(|error| Error::io("change log", error).at(at).in_file(&self.path))
    }

    fn flush(&self) -> Result<(), Error> {
        self.file.flush().map_err(|error| Error::io("change log", error).in_file(&self.path))
    }
}
