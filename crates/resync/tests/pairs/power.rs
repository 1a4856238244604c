//! Files in memory whose power can be cut: of what was not flushed, any subset survives.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hvrsim_disk::file::{BlockFile, FileSystem, MemFile};

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Punch(u64, u64),
    Len(u64),
}

impl Change {
    fn apply(&self, file: &MemFile) -> io::Result<()> {
        match self {
            Self::Write(at, data) => file.write_at(*at, data),
            Self::Punch(at, len) => file.punch_hole(*at, *len),
            Self::Len(len) => file.set_len(*len),
        }
    }
}

#[derive(Default)]
struct Disk {
    durable: MemFile,
    now: MemFile,
    pending: Vec<Change>,
}

#[derive(Default)]
struct Power {
    /// Operations done so far, and after how many the power goes.
    operations: u64,
    fails_after: Option<u64>,
    changes: u64,
}

impl Power {
    fn spend(&mut self) -> io::Result<()> {
        if self.fails_after.is_some_and(|limit| self.operations >= limit) {
            return Err(io::Error::other("the power is gone"));
        }
        self.operations += 1;
        Ok(())
    }
}

/// A file whose unflushed changes a crash may drop.
pub struct PowerFile {
    disk: Mutex<Disk>,
    power: Arc<Mutex<Power>>,
}

impl PowerFile {
    fn change(&self, change: Change) -> io::Result<()> {
        let mut power = self.power.lock().unwrap();
        power.spend()?;
        power.changes += 1;
        let mut disk = self.disk.lock().unwrap();
        change.apply(&disk.now)?;
        disk.pending.push(change);
        Ok(())
    }
}

impl BlockFile for PowerFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.lock().unwrap().now.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Len(len))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.disk.lock().unwrap().now.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset, data.to_vec()))
    }

    fn flush(&self) -> io::Result<()> {
        self.power.lock().unwrap().spend()?;
        let mut disk = self.disk.lock().unwrap();
        for change in std::mem::take(&mut disk.pending) {
            change.apply(&disk.durable)?;
        }
        Ok(())
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        self.change(Change::Punch(offset, len))
    }

    fn data_extents(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        self.disk.lock().unwrap().now.data_extents(range)
    }
}

/// A flat set of such files. Names are durable at once.
#[derive(Default)]
pub struct PowerFs {
    files: Mutex<BTreeMap<PathBuf, Arc<PowerFile>>>,
    power: Arc<Mutex<Power>>,
}

impl PowerFs {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Changes of files so far; flushes are none.
    pub fn changes(&self) -> u64 {
        self.power.lock().unwrap().changes
    }

    /// From the n-th change or flush on everything fails.
    pub fn fail_after(&self, n: u64) {
        let mut power = self.power.lock().unwrap();
        power.fails_after = Some(power.operations + n);
    }

    /// Makes everything durable.
    pub fn settle(&self) {
        for file in self.files.lock().unwrap().values() {
            file.flush().unwrap();
        }
    }

    /// Cuts the power and brings it back: a subset of what was not flushed survives, chosen by the seed.
    pub fn crash(&self, mut seed: u64) {
        self.power.lock().unwrap().fails_after = None;
        for file in self.files.lock().unwrap().values() {
            let mut disk = file.disk.lock().unwrap();
            for change in std::mem::take(&mut disk.pending) {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if seed >> 63 == 1 {
                    change.apply(&disk.durable).unwrap();
                }
            }
            disk.now = disk.durable.clone();
        }
    }
}

impl FileSystem for PowerFs {
    fn open(&self, path: &Path, _writable: bool) -> io::Result<Arc<dyn BlockFile>> {
        let files = self.files.lock().unwrap();
        let file = files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::<PowerFile>::clone(file))
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn BlockFile>> {
        self.power.lock().unwrap().spend()?;
        let file = Arc::new(PowerFile { disk: Mutex::default(), power: Arc::clone(&self.power) });
        self.files.lock().unwrap().insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files.lock().unwrap();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.power.lock().unwrap().spend()?;
        self.files.lock().unwrap().remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    fn list(&self, _folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.files.lock().unwrap().keys().cloned().collect())
    }

    fn is_same(&self, left: &Path, right: &Path) -> bool {
        left == right
    }
}
