//! Raw images: the disk's bytes, with holes of the host's file system for what holds nothing.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bytes::to_u64;
use crate::details::{Details, Kind};
use crate::error::{Error, ErrorKind};
use crate::file::BlockFile;
use crate::image::{Extent, ExtentKind, Format, Image, Level, check_range, push_stored};

/// Sector size of a raw image: the format has no field for it.
pub(crate) const SECTOR: u32 = 512;

/// An open raw image.
pub(crate) struct RawImage {
    path: PathBuf,
    file: Arc<dyn BlockFile>,
    size: u64,
    writable: bool,
}

impl RawImage {
    /// Takes over an open file as a raw image.
    ///
    /// # Errors
    /// `Misaligned` when the size is not a multiple of 512: such a file is cut short or is no disk at all.
    pub(crate) fn open(path: &Path, file: Arc<dyn BlockFile>, writable: bool) -> Result<Self, Error> {
        let size = file.len().map_err(|error| Error::io("raw image", error).in_file(path))?;
        if !size.is_multiple_of(u64::from(SECTOR)) {
            return Err(Error::new(ErrorKind::Misaligned, "raw image")
                .in_file(path)
                .found(format!("a size of {size} bytes"))
                .requires("a multiple of 512 bytes, one sector")
                .remedy("check that the copy is complete and that the file is a disk image"));
        }
        Ok(Self { path: path.to_path_buf(), file, size, writable })
    }

    fn fail(&self, what: &'static str, offset: u64, error: std::io::Error) -> Error {
        Error::io(what, error).at(offset).in_file(&self.path)
    }

    fn check(&self, offset: u64, len: u64) -> Result<(), Error> {
        check_range(self.size, offset, len).map_err(|error| error.in_file(&self.path))
    }

    fn check_write(&self, offset: u64, len: u64) -> Result<(), Error> {
        if !self.writable {
            return Err(read_only(&self.path));
        }
        self.check(offset, len)
    }
}

/// The refusal of a change to an image that was opened read-only.
pub(crate) fn read_only(path: &Path) -> Error {
    Error::new(ErrorKind::ReadOnly, "image")
        .in_file(path)
        .found("a change of an image opened read-only")
        .remedy("open it for writing")
}

impl Image for RawImage {
    fn size(&self) -> u64 {
        self.size
    }

    fn logical_sector(&self) -> u32 {
        SECTOR
    }

    fn format(&self) -> Format {
        Format::Raw
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        self.check(offset, to_u64(buf.len()))?;
        let read = crate::file::read_structure(&*self.file, "data", offset, buf);
        read.map_err(|error| error.in_file(&self.path))
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.check_write(offset, to_u64(data.len()))?;
        self.file.write_at(offset, data).map_err(|error| self.fail("data", offset, error))
    }

    fn zero_at(&mut self, offset: u64, len: u64) -> Result<(), Error> {
        self.check_write(offset, len)?;
        self.file.punch_hole(offset, len).map_err(|error| self.fail("data", offset, error))
    }

    fn resize(&mut self, size: u64) -> Result<(), Error> {
        self.check_write(0, 0)?;
        if !size.is_multiple_of(u64::from(SECTOR)) {
            return Err(Error::new(ErrorKind::InvalidOption, "disk size")
                .in_file(&self.path)
                .found(format!("{size} bytes"))
                .requires("a multiple of 512 bytes"));
        }
        self.flush()?;
        self.file.set_len(size).map_err(|error| self.fail("file length", size, error))?;
        self.size = size;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Error> {
        if !self.writable {
            return Ok(());
        }
        self.file.flush().map_err(|error| self.fail("data", 0, error))
    }

    fn begin_flush(&self, range: Range<u64>) {
        self.file.begin_flush(range);
    }

    fn extents_at(&self, range: Range<u64>, level: Level) -> Result<Vec<Extent>, Error> {
        self.check(range.start, range.end.saturating_sub(range.start))?;
        let (mut found, place) = (Vec::new(), range.start);
        push_stored(&mut found, range, (&*self.file, place), level, ExtentKind::Absent)
            .map_err(|error| error.in_file(&self.path))?;
        Ok(found)
    }

    fn details(&self) -> Result<Details, Error> {
        Ok(Details {
            path: self.path.clone(),
            format: Format::Raw,
            kind: Kind::Fixed,
            size: self.size,
            file_len: self.size,
            block_size: None,
            present_blocks: None,
            logical_sector: SECTOR,
            physical_sector: None,
            id: None,
            file_write_guid: None,
            data_write_guid: None,
            geometry: None,
            creator: None,
            log_to_replay: false,
            weak: Vec::new(),
            parent: None,
        })
    }

    fn close(mut self: Box<Self>) -> Result<(), Error> {
        self.flush()
    }
}
