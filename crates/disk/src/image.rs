//! What every open image can do, whatever its format.

use std::ops::Range;

use crate::error::Error;
use crate::file::BlockFile;

/// The container format of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// The disk's bytes and nothing else.
    Raw,
    /// VHDX, format version 1 (MS-VHDX), `.vhdx` and `.avhdx`.
    Vhdx,
    /// VHD (version 1), `.vhd` and `.avhd`.
    Vhd,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Vhdx => "VHDX",
            Self::Vhd => "VHD",
        })
    }
}

/// Where the content of a range of the virtual disk comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExtentKind {
    /// Nothing was ever stored here: no block in any file of the chain, or a hole of a raw file. Reads as
    /// zeros.
    Absent,
    /// Known to be zero without looking: a block marked zero or given up, or a present block over a hole of
    /// the host's file system.
    Zero,
    /// Stored in this image's own file. May still be zeros.
    Data,
    /// Stored in the file of a parent, near or far. May still be zeros.
    Parent,
}

/// How deep a map of a disk looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The tables of the format alone: what stands in a block that is present is data.
    Format,
    /// The holes of the host's files as well: a present block over one is known to be zero.
    Host,
}

/// A range of the virtual disk with one kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extent {
    /// First byte on the virtual disk.
    pub start: u64,
    /// Bytes, at least 1.
    pub len: u64,
    /// Where the content comes from.
    pub kind: ExtentKind,
}

impl Extent {
    /// The byte after the last.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start + self.len
    }

    /// Whether reading is needed to know the content.
    #[must_use]
    pub const fn may_hold_data(&self) -> bool {
        matches!(self.kind, ExtentKind::Data | ExtentKind::Parent)
    }
}

/// What becomes of blocks whose content is given up (MS-VHDX 2.5.1.1). Only whole blocks that are present
/// change; the rest of the range is left alone, but for `Zero`, which is exact to the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trim {
    /// UNMAPPED: the block reads as zeros and keeps its space in the file.
    FileSpace,
    /// UNDEFINED: the block reads as zeros and gives its space back.
    FreeSpace,
    /// ZERO: zeros are asked for.
    Zero,
    /// NOT_PRESENT: a differencing file shows its parent's content again.
    Transparent,
}

/// An open virtual disk image: a whole chain, seen as one disk.
///
/// Offsets and lengths are bytes of the virtual disk at any alignment. A range that leaves the disk is
/// refused with [`crate::ErrorKind::OutOfRange`] and nothing of it is done. A change is durable after
/// [`Image::flush`]; until then a power cut may keep any part of it. Dropping an image without
/// [`Image::close`] is like a power cut for what was not flushed and leaves a VHDX to be repaired from its
/// log at the next open, never a broken file.
pub trait Image: Send + Sync {
    /// Size of the virtual disk in bytes.
    fn size(&self) -> u64;

    /// Logical sector size in bytes: 512 or 4096.
    fn logical_sector(&self) -> u32;

    /// The container format of the topmost file.
    fn format(&self) -> Format;

    /// The GUID that names the present content of the disk (VHDX: DataWriteGuid, MS-VHDX 2.2.2), where the
    /// format has one. It changes with the first change of a writing session.
    fn data_write_guid(&self) -> Option<uuid::Uuid> {
        None
    }

    /// Fills `buf` from `offset`. What no file holds reads as zeros.
    ///
    /// # Errors
    /// `OutOfRange`, or `Io` and `Truncated` from the files.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error>;

    /// Writes `data` at `offset`.
    ///
    /// # Errors
    /// `OutOfRange`, `ReadOnly`, or `Io` and `NoSpace` from the files.
    fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), Error>;

    /// Makes `len` bytes from `offset` read as zeros and gives their space back where whole blocks, or holes
    /// of the host's file system, allow it.
    ///
    /// # Errors
    /// As [`Image::write_at`].
    fn zero_at(&mut self, offset: u64, len: u64) -> Result<(), Error>;

    /// Gives the content of a range up, as `how` says. Formats without such states write zeros.
    ///
    /// # Errors
    /// `Unsupported` for [`Trim::Transparent`] where there is no parent, else as [`Image::write_at`].
    fn trim(&mut self, offset: u64, len: u64, how: Trim) -> Result<(), Error> {
        if how == Trim::Transparent {
            return Err(Error::new(crate::ErrorKind::Unsupported, "trim")
                .found("a request to show the parent's content again")
                .requires("a differencing VHDX"));
        }
        self.zero_at(offset, len)
    }

    /// Gives the disk another size. What is added reads as zeros, what is cut off is gone; after a power cut
    /// the disk has the old size or the new one, and below both nothing is lost.
    ///
    /// # Errors
    /// `InvalidOption` for a size that the format does not allow, `Unsupported` for a differencing VHD, and
    /// those of [`Image::write_at`].
    fn resize(&mut self, size: u64) -> Result<(), Error>;

    /// Makes everything written so far survive a power cut.
    ///
    /// # Errors
    /// `Io` or `NoSpace`. After a failed flush the image takes no more changes: what the disk holds is not
    /// known.
    fn flush(&mut self) -> Result<(), Error>;

    /// Asks the host to begin bringing what was written in `range` to its disk, without waiting for it, so
    /// that a flush later finds less to do. A hint: nothing is promised, and nothing fails.
    fn begin_flush(&self, _range: Range<u64>) {}

    /// What `range` consists of, in order and without gaps, neighbours of one kind joined; no data is read.
    /// Looks at the format's own tables and at the holes of the host's files.
    ///
    /// # Errors
    /// `OutOfRange`, or `Io` from the files.
    fn extents(&self, range: Range<u64>) -> Result<Vec<Extent>, Error> {
        self.extents_at(range, Level::Host)
    }

    /// [`Image::extents`] as far as this level knows.
    ///
    /// # Errors
    /// As [`Image::extents`].
    fn extents_at(&self, range: Range<u64>, level: Level) -> Result<Vec<Extent>, Error>;

    /// What the files of the chain say of themselves, the topmost first.
    ///
    /// # Errors
    /// `Io` from the files.
    fn details(&self) -> Result<crate::Details, Error>;

    /// Mends what [`crate::Details::weak`] names. The content stays what it is, and so do children. A log was
    /// replayed when the image was opened for writing.
    ///
    /// # Errors
    /// `ReadOnly`, or `Io` and `NoSpace` from the files.
    fn repair(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Flushes and leaves the file clean, with no log to replay.
    ///
    /// # Errors
    /// As [`Image::flush`].
    fn close(self: Box<Self>) -> Result<(), Error>;
}

impl std::fmt::Debug for dyn Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} image of {} bytes", self.format(), self.size())
    }
}

/// Refuses a range that leaves a disk of `size` bytes.
pub(crate) fn check_range(size: u64, offset: u64, len: u64) -> Result<(), Error> {
    match offset.checked_add(len) {
        Some(end) if end <= size => Ok(()),
        _ => Err(Error::new(crate::ErrorKind::OutOfRange, "range of the virtual disk")
            .at(offset)
            .found(format!("{len} bytes"))
            .requires(format!("to end within the disk's {size} bytes"))),
    }
}

/// Appends what a range is made of that stands at `place` of a file: data, or `nothing` over holes of the host.
pub(crate) fn push_stored(
    list: &mut Vec<Extent>,
    range: Range<u64>,
    (file, place): (&dyn BlockFile, u64),
    level: Level,
    nothing: ExtentKind,
) -> Result<(), Error> {
    let len = range.end - range.start;
    let end = place.saturating_add(len);
    if level == Level::Format {
        push_extent(list, range.start, len, ExtentKind::Data);
        return Ok(());
    }
    let data = file.data_extents(place..end);
    let mut at = place;
    for part in data.map_err(|error| Error::io("holes of the file", error).at(place))? {
        push_extent(list, range.start + (at - place), part.start - at, nothing);
        push_extent(list, range.start + (part.start - place), part.end - part.start, ExtentKind::Data);
        at = part.end;
    }
    push_extent(list, range.start + (at - place), end - at, nothing);
    Ok(())
}

/// Appends an extent, joining it with the last where both are of one kind.
pub(crate) fn push_extent(list: &mut Vec<Extent>, start: u64, len: u64, kind: ExtentKind) {
    if len == 0 {
        return;
    }
    match list.last_mut() {
        Some(last) if last.kind == kind && last.end() == start => last.len += len,
        _ => list.push(Extent { start, len, kind }),
    }
}
