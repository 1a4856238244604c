//! Files of the host.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags, SeekFrom};
use rustix::io::Errno;

use super::{BlockFile, FileSystem, write_zeros};

/// A file of the host.
#[derive(Debug)]
pub struct HostFile(File);

impl HostFile {
    /// Takes over an open file.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self(file)
    }

    /// The next place from `from` that is data, or `None` when only holes follow.
    fn seek(&self, to: SeekFrom) -> Result<Option<u64>, Errno> {
        match rustix::fs::seek(&self.0, to) {
            Ok(at) => Ok(Some(at)),
            Err(Errno::NXIO) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl BlockFile for HostFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn flush(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn begin_flush(&self, range: Range<u64>) {
        // Linux begins to write what is dirty in such a range, and drops from memory only what is not. A hint
        // that is refused is none.
        let len = NonZeroU64::new(range.end.saturating_sub(range.start));
        let _ = rustix::fs::fadvise(&self.0, range.start, len, Advice::DontNeed);
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        let len = len.min(self.len()?.saturating_sub(offset));
        if len == 0 {
            return Ok(());
        }
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.0, how, offset, len) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(self, offset, len),
            result => Ok(result?),
        }
    }

    fn data_extents(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        let end = range.end.min(self.len()?);
        let mut found = Vec::new();
        let mut at = range.start;
        while at < end {
            let data = match self.seek(SeekFrom::Data(at)) {
                Ok(Some(data)) if data < end => data,
                Ok(_) => break,
                // A file system that cannot tell: everything from here may be data.
                Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                    found.push(at..end);
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            let hole = self.seek(SeekFrom::Hole(data))?.unwrap_or(end).min(end);
            found.push(data..hole);
            at = hole;
        }
        Ok(found)
    }
}

/// Makes the names in the folder of `path` durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// The host's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostFs;

impl FileSystem for HostFs {
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn BlockFile>> {
        // Looked at first: opening a pipe would wait for ever, and only plain files have a length to go by.
        if !std::fs::metadata(path)?.is_file() {
            let what = "it is a folder or a device, and only plain files can be images";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let file = OpenOptions::new().read(true).write(writable).open(path)?;
        Ok(Arc::new(HostFile(file)))
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn BlockFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        sync_folder(path)?;
        Ok(Arc::new(HostFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)?;
        sync_folder(to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        std::path::absolute(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?;
        // Names as they are given: `x` in the present folder is not `./x`.
        let mut files = Vec::new();
        for entry in entries {
            files.push(folder.join(entry?.file_name()));
        }
        files.sort();
        Ok(files)
    }

    fn is_same(&self, left: &Path, right: &Path) -> bool {
        let identity = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino()));
        matches!((identity(left), identity(right)), (Ok(left), Ok(right)) if left == right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_seen_and_made() {
        let file = HostFile::new(tempfile::tempfile().unwrap());
        file.set_len(1 << 20).unwrap();
        assert_eq!(file.data_extents(0..1 << 20).unwrap(), []);
        file.write_at(256 << 10, &[7; 128 << 10]).unwrap();
        file.punch_hole(320 << 10, 10 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 1 << 20);
        let data = |range| file.data_extents(range).unwrap().pop();
        assert_eq!(data(0..1 << 30), Some(256 << 10..320 << 10));
        assert_eq!(data(300 << 10..310 << 10), Some(300 << 10..310 << 10));
        let mut byte = [1];
        file.read_at(321 << 10, &mut byte).unwrap();
        assert_eq!(byte, [0]);
    }
}
