//! The run folder: its names, its files, its errors.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hvrsim_disk::file::{BlockFile, FileSystem, HostFs};
use hvrsim_disk::{Error, Seed};
use hvrsim_types::id::{CopyId, TEST_SUFFIX, guid};

use crate::store::{StoreError, StoreResult};

/// The host's files without waiting for its disks: each run makes its folder anew, so nothing in it must
/// outlive a power cut of the machine that simulates.
pub(super) struct RunFs;

struct RunFile(Arc<dyn BlockFile>);

impl FileSystem for RunFs {
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn BlockFile>> {
        Ok(Arc::new(RunFile(HostFs.open(path, writable)?)))
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn BlockFile>> {
        Ok(Arc::new(RunFile(HostFs.create_new(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        HostFs.remove(path)
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        HostFs.absolute(path)
    }

    /// The owner of the run folder knows what stands over what: nothing need be looked for.
    fn list(&self, _folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    fn is_same(&self, left: &Path, right: &Path) -> bool {
        HostFs.is_same(left, right)
    }
}

impl BlockFile for RunFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        self.0.punch_hole(offset, len)
    }

    fn data_extents(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        self.0.data_extents(range)
    }
}

/// A failure of an image or a log in the run folder.
pub(super) fn at(path: &Path) -> impl FnOnce(Error) -> StoreError + '_ {
    move |error| {
        let path = error.path().unwrap_or(path).to_path_buf();
        StoreError::Folder { what: without_path(&error, &path), path }
    }
}

/// A failure of the host's.
pub(super) fn host(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
    move |error| StoreError::Folder { path: path.to_path_buf(), what: error.to_string() }
}

/// The text of an error of a user's image.
pub(super) fn given(path: &Path) -> impl FnOnce(Error) -> StoreError + '_ {
    move |error| StoreError::Given { path: path.to_path_buf(), what: without_path(&error, path) }
}

/// The error's text without the file's name in front, which the store's error names itself.
fn without_path(error: &Error, path: &Path) -> String {
    let text = error.to_string();
    let lead = format!("{}: ", path.display());
    text.strip_prefix(&lead).map_or(text.clone(), str::to_owned)
}

/// Removes a file.
pub(super) fn remove(path: &Path) -> StoreResult<()> {
    RunFs.remove(path).map_err(host(path))
}

/// Where the files of each copy lie, and what their ids derive from.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
    hosts: Vec<String>,
    machines: Vec<String>,
    seed: u64,
}

impl Folder {
    pub(super) fn make(root: PathBuf, hosts: &[String], machines: &[String], seed: u64) -> StoreResult<Self> {
        let hosts: Vec<String> = hosts.iter().map(|name| file_name(name)).collect();
        for name in &hosts {
            let path = root.join(name);
            std::fs::create_dir_all(&path).map_err(host(&path))?;
        }
        Ok(Self { root, hosts, machines: machines.iter().map(|name| file_name(name)).collect(), seed })
    }

    /// The path of a copy's file: `<host>/<machine>-<rest>`.
    pub(super) fn path(&self, copy: CopyId, rest: &str) -> PathBuf {
        let host = &self.hosts[usize::from(copy.host.0)];
        let machine = self.machines.get(copy.vm.index());
        let machine = machine.expect("the machine has a name");
        let test = if copy.vm.is_test() { TEST_SUFFIX } else { "" };
        self.root.join(host).join(format!("{machine}{test}-{rest}"))
    }

    /// A GUID for a file of the run folder.
    pub(super) fn guid(&self, path: &Path) -> hvrsim_disk::Guid {
        guid(self.seed, "file", &self.name(path))
    }

    /// A seed for the GUIDs inside a file of the run folder.
    pub(super) fn seed(&self, path: &Path) -> Seed {
        let mut hasher = blake3::Hasher::new_derive_key("hvrsim image of a run folder");
        hasher.update(&self.seed.to_le_bytes()).update(self.name(path).as_bytes());
        Seed::new(*hasher.finalize().as_bytes())
    }

    /// The same wherever the run folder lies.
    fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }
}

/// A name as it can stand in a path.
fn file_name(name: &str) -> String {
    let fits = |c: char| c.is_alphanumeric() || "-_. ()".contains(c);
    let name: String = name.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}
