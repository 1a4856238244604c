//! The file layer: the only place where the crate touches files.
//!
//! [`BlockFile`] is a file with positional access and nothing else; [`FileSystem`] finds and makes such files
//! by path. The two are the seam for tests: a double may keep everything in memory, drop writes that were not
//! flushed, tear sectors, or fail.

mod host;
mod mem;
mod overlay;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use host::{HostFile, HostFs};
pub use mem::{MemFile, MemFs};
pub(crate) use overlay::Overlay;

use crate::bytes::to_u64;
use crate::error::{Error, ErrorKind};

/// A file with positional access. Methods take `&self`: the file has no cursor, and the host orders
/// concurrent calls.
pub trait BlockFile: Send + Sync {
    /// Length in bytes.
    ///
    /// # Errors
    /// The host's.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// The host's.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends the file; what is added reads as zeros and takes no space.
    ///
    /// # Errors
    /// The host's.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before, else the host's.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Writes all of `data` at `offset`, extending the file where needed.
    ///
    /// # Errors
    /// The host's.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Makes everything done so far, length included, survive a power cut.
    ///
    /// # Errors
    /// The host's.
    fn flush(&self) -> io::Result<()>;

    /// Asks the host to begin bringing a range to the disk, without waiting for it: a flush later finds less
    /// to do. A hint; nothing is promised.
    fn begin_flush(&self, _range: Range<u64>) {}

    /// Makes a range read as zeros and gives its space back where the host can. The file's length stays; what
    /// lies past it is ignored.
    ///
    /// # Errors
    /// The host's.
    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()>;

    /// The parts of `range` that may hold anything but zeros: sorted, not touching, within the range and the
    /// file. A host that cannot tell answers with all of it.
    ///
    /// # Errors
    /// The host's.
    fn data_extents(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>>;
}

/// Files by path.
pub trait FileSystem: Send + Sync {
    /// Opens an existing file.
    ///
    /// # Errors
    /// `NotFound` and the host's.
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn BlockFile>>;

    /// Creates a file for writing, its name durable.
    ///
    /// # Errors
    /// `AlreadyExists` and the host's.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn BlockFile>>;

    /// Gives a file another name in the same folder, replacing what had it, and makes that durable.
    ///
    /// # Errors
    /// The host's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The host's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The path from the root.
    ///
    /// # Errors
    /// The host's.
    fn absolute(&self, path: &Path) -> io::Result<PathBuf>;

    /// The files in a folder, in order of their names. The empty path is the present folder.
    ///
    /// # Errors
    /// The host's.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// Whether two paths lead to one file that is there.
    fn is_same(&self, left: &Path, right: &Path) -> bool;
}

/// Opens a file; `what` is what it is to be.
pub(crate) fn open_file(
    fs: &dyn FileSystem,
    path: &Path,
    what: &'static str,
    writable: bool,
) -> Result<Arc<dyn BlockFile>, Error> {
    fs.open(path, writable).map_err(|error| {
        let told = match error.kind() {
            io::ErrorKind::NotFound => Error::new(ErrorKind::NotFound, what)
                .found("no such file")
                .remedy("check its name and its folder"),
            io::ErrorKind::PermissionDenied => {
                let how = if writable { "change" } else { "read" };
                Error::io(what, error).remedy(format!("ask for the right to {how} it"))
            }
            _ => Error::io(what, error),
        };
        told.in_file(path)
    })
}

/// Makes a file that is not there; `what` is what it is to be.
pub(crate) fn make_file(
    fs: &dyn FileSystem,
    path: &Path,
    what: &'static str,
) -> Result<Arc<dyn BlockFile>, Error> {
    fs.create_new(path).map_err(|error| {
        let told = match error.kind() {
            io::ErrorKind::NotFound => Error::new(ErrorKind::NotFound, what)
                .found("no such folder")
                .remedy("make the folder first, or check its name"),
            io::ErrorKind::AlreadyExists => {
                Error::new(ErrorKind::Exists, what).found("a file of this name").remedy("choose another name")
            }
            _ => Error::io(what, error),
        };
        told.in_file(path)
    })
}

/// Reads a structure of a format whole. A file that ends before it is told with its length.
pub(crate) fn read_structure(
    file: &dyn BlockFile,
    structure: &'static str,
    at: u64,
    buf: &mut [u8],
) -> Result<(), Error> {
    file.read_at(at, buf)
        .map_err(|error| unreadable(file, structure, at..at.saturating_add(to_u64(buf.len())), error))
}

/// The failure of a read: one past the file's end names where that is.
fn unreadable(file: &dyn BlockFile, structure: &'static str, range: Range<u64>, error: io::Error) -> Error {
    let len = match file.len() {
        Ok(len) if error.kind() == io::ErrorKind::UnexpectedEof => len,
        _ => return Error::io(structure, error).at(range.start),
    };
    let wanted = range.end - range.start;
    if len >= range.end {
        return Error::new(ErrorKind::Io, structure)
            .at(range.start)
            .found(format!("fewer than {wanted} bytes, though the file goes on to {len}"))
            .remedy("check the storage under the file");
    }
    Error::new(ErrorKind::Truncated, structure)
        .at(range.start)
        .found(format!("the end of the file at {len}"))
        .requires(format!("{wanted} bytes, up to {}", range.end))
        .remedy("restore the file from a complete copy")
}

/// Writes zeros piece by piece, for hosts that cannot punch holes.
fn write_zeros(file: &dyn BlockFile, offset: u64, len: u64) -> io::Result<()> {
    const PIECE: u64 = 1 << 20;
    let zeros = vec![0; crate::bytes::to_usize(len.min(PIECE))];
    let mut done = 0;
    while done < len {
        let step = (len - done).min(PIECE);
        file.write_at(offset + done, &zeros[..crate::bytes::to_usize(step)])?;
        done += step;
    }
    Ok(())
}
