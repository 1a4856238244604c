//! Files in memory, sparse, for tests and for callers that want an image without a host file.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{BlockFile, FileSystem};
use crate::bytes::{to_u64, to_usize};

const PAGE: u64 = 4096;

#[derive(Debug, Clone, Default)]
struct Content {
    len: u64,
    pages: BTreeMap<u64, Arc<[u8]>>,
}

/// A sparse file in memory: pages of 4 KiB, absent ones are holes. A clone shares the pages
/// until one of the two changes them.
#[derive(Debug, Default)]
pub struct MemFile(Mutex<Content>);

impl Clone for MemFile {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.lock().clone()))
    }
}

impl MemFile {
    /// An empty file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pieces of a range by page: (page, offset in the page, offset in the range, length).
fn pieces(offset: u64, len: u64) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done;
        let step = (PAGE - at % PAGE).min(len - done);
        let piece = (at / PAGE, to_usize(at % PAGE), to_usize(done), to_usize(step));
        done += step;
        (step > 0).then_some(piece)
    })
}

impl BlockFile for MemFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut content = self.lock();
        if len < content.len {
            content.pages.split_off(&len.div_ceil(PAGE));
            if let Some(page) = content.pages.get_mut(&(len / PAGE)) {
                Arc::make_mut(page)[to_usize(len % PAGE)..].fill(0);
            }
        }
        content.len = len;
        Ok(())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let content = self.lock();
        let len = to_u64(buf.len());
        if offset.checked_add(len).is_none_or(|end| end > content.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (page, at, done, step) in pieces(offset, len) {
            match content.pages.get(&page) {
                Some(page) => buf[done..done + step].copy_from_slice(&page[at..at + step]),
                None => buf[done..done + step].fill(0),
            }
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut content = self.lock();
        let len = to_u64(data.len());
        let end = offset.checked_add(len).ok_or(io::ErrorKind::FileTooLarge)?;
        for (page, at, done, step) in pieces(offset, len) {
            let part = &data[done..done + step];
            if to_u64(step) == PAGE {
                content.pages.insert(page, part.into());
                continue;
            }
            let page = content.pages.entry(page).or_insert_with(|| vec![0; to_usize(PAGE)].into());
            Arc::make_mut(page)[at..at + step].copy_from_slice(part);
        }
        content.len = content.len.max(end);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut content = self.lock();
        let end = offset.saturating_add(len).min(content.len);
        let first_whole = offset.div_ceil(PAGE);
        let end_whole = if end == content.len { end.div_ceil(PAGE) } else { end / PAGE };
        if first_whole < end_whole {
            let mut tail = content.pages.split_off(&first_whole);
            content.pages.append(&mut tail.split_off(&end_whole));
        }
        for (page, at, _, step) in [(offset, first_whole * PAGE), (end_whole * PAGE, end)]
            .into_iter()
            .filter(|(from, to)| from < to)
            .flat_map(|(from, to)| pieces(from.max(offset), to.min(end).saturating_sub(from.max(offset))))
        {
            if let Some(page) = content.pages.get_mut(&page) {
                Arc::make_mut(page)[at..at + step].fill(0);
            }
        }
        Ok(())
    }

    fn data_extents(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        let content = self.lock();
        let end = range.end.min(content.len);
        let mut found: Vec<Range<u64>> = Vec::new();
        for page in content.pages.range(range.start / PAGE..end.div_ceil(PAGE)).map(|(page, _)| page * PAGE) {
            let (from, to) = (page.max(range.start), (page + PAGE).min(end));
            match found.last_mut() {
                Some(last) if last.end == from => last.end = to,
                _ if from < to => found.push(from..to),
                _ => {}
            }
        }
        Ok(found)
    }
}

/// A flat set of named files in memory. Paths are compared as they are given.
#[derive(Default)]
pub struct MemFs(Mutex<BTreeMap<PathBuf, Arc<dyn BlockFile>>>);

impl MemFs {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file under a name, in place of what had it.
    pub fn insert(&self, path: impl Into<PathBuf>, file: Arc<dyn BlockFile>) {
        self.lock().insert(path.into(), file);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<dyn BlockFile>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes `.` and `x/..` from a path, so that relative locators find their file.
fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

impl FileSystem for MemFs {
    fn open(&self, path: &Path, _writable: bool) -> io::Result<Arc<dyn BlockFile>> {
        self.lock().get(&tidy(path)).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn BlockFile>> {
        let mut files = self.lock();
        if files.contains_key(&tidy(path)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file: Arc<dyn BlockFile> = Arc::new(MemFile::new());
        files.insert(tidy(path), Arc::clone(&file));
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.lock();
        let file = files.remove(&tidy(from)).ok_or(io::ErrorKind::NotFound)?;
        files.insert(tidy(to), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.lock().remove(&tidy(path)).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(tidy(&Path::new("/").join(path)))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let folder = tidy(folder);
        Ok(self.lock().keys().filter(|path| path.parent() == Some(&folder)).cloned().collect())
    }

    fn is_same(&self, left: &Path, right: &Path) -> bool {
        tidy(left) == tidy(right) && self.lock().contains_key(&tidy(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_like_a_vector() {
        let file = MemFile::new();
        let mut model = vec![0_u8; 40_000];
        file.set_len(40_000).unwrap();
        for (offset, len, byte) in [(0, 9000, 1), (5000, 4096, 2), (12_288, 20_000, 3), (39_000, 1000, 4)] {
            file.write_at(offset, &vec![byte; to_usize(len)]).unwrap();
            model[to_usize(offset)..to_usize(offset + len)].fill(byte);
        }
        for (offset, len) in [(100, 50), (4096, 4096), (13_000, 9000), (38_000, 5000), (8190, 4)] {
            file.punch_hole(offset, len).unwrap();
            let end = to_usize(offset + len).min(model.len());
            model[to_usize(offset)..end].fill(0);
            let mut all = vec![9; model.len()];
            file.read_at(0, &mut all).unwrap();
            assert!(all == model, "punch {offset} {len}");
        }
        for extent in file.data_extents(0..40_000).unwrap().windows(2) {
            assert!(extent[0].end < extent[1].start);
        }
        file.set_len(10_000).unwrap();
        file.set_len(40_000).unwrap();
        model[10_000..].fill(0);
        let mut all = vec![9; model.len()];
        file.read_at(0, &mut all).unwrap();
        assert!(all == model);
        assert!(file.read_at(39_999, &mut [0; 2]).is_err());
    }

    #[test]
    fn relative_paths_find_their_file() {
        let fs = MemFs::new();
        fs.create_new(Path::new("/a/x")).unwrap();
        assert!(fs.open(Path::new("/a/b/../x"), false).is_ok());
        assert!(fs.open(Path::new("/a/./x"), false).is_ok());
        assert!(fs.create_new(Path::new("/a/x")).is_err());
    }
}
