//! Images, bitmaps and checkpoints as the command line names them.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hvrsim_disk::file::{BlockFile, FileSystem, HostFile, HostFs};
use hvrsim_disk::{ErrorKind, Image, OpenOptions, Seed};
use hvrsim_resync::checkpoint::Checkpoint;

use super::Failure;

pub(super) fn open(path: &Path, write: bool) -> Result<Box<dyn Image>, Failure> {
    let options = if write { OpenOptions::read_write(seed(path)) } else { OpenOptions::read_only() };
    hvrsim_disk::open(path, &options).map_err(|error| refused(&error))
}

/// An image that cannot be opened is a wrong input, unless the machine is at fault.
pub(super) fn refused(error: &hvrsim_disk::Error) -> Failure {
    match error.kind() {
        ErrorKind::Io | ErrorKind::NoSpace => Failure::environment(error.to_string()),
        _ => Failure::input(error.to_string()),
    }
}

/// The GUIDs that a VHDX gets in this session: other ones each time.
fn seed(target: &Path) -> Seed {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"hvrsim resync session");
    hasher.update(target.as_os_str().as_encoded_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    hasher.update(&now.as_nanos().to_le_bytes());
    Seed::new(*hasher.finalize().as_bytes())
}

pub(super) fn bitmap(path: Option<&Path>, size: u64) -> Result<Option<Arc<dyn BlockFile>>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let file = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (len, file) = file.map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    let needed = size.div_ceil(hvrsim_types::size::BLOCK).div_ceil(8);
    if len < needed {
        return Err(Failure::input(format!(
            "{}: a bitmap of {len} bytes; this disk of {size} bytes needs {needed}, a bit for each 64 KiB",
            path.display()
        )));
    }
    Ok(Some(Arc::new(HostFile::new(file))))
}

/// Names the source as it stands, and where is looked: another answer is compared from the beginning.
pub(super) fn generation(source: &Path, bitmap: Option<&Path>) -> std::io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let stat = std::fs::metadata(source)?;
    hasher.update(b"hvrsim resync source 1");
    for number in [stat.dev(), stat.ino(), stat.size()] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(&stat.mtime().to_le_bytes());
    hasher.update(&stat.mtime_nsec().to_le_bytes());
    if let Some(bitmap) = bitmap {
        hasher.update_reader(File::open(bitmap)?)?;
    }
    Ok(*hasher.finalize().as_bytes())
}

pub(super) fn checkpoint_path(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".hvrsim-resync");
    name.into()
}

/// The checkpoint of a run from a source of this generation to a target.
pub(super) fn checkpoint(
    path: PathBuf,
    generation: [u8; 32],
    target: &Path,
    image: &dyn Image,
) -> std::io::Result<Checkpoint> {
    let stat = std::fs::metadata(target)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&generation).update(&stat.dev().to_le_bytes()).update(&stat.ino().to_le_bytes());
    let fs: Arc<dyn FileSystem> = Arc::new(HostFs);
    Checkpoint::open(fs, path, *hasher.finalize().as_bytes(), image.data_write_guid())
}

pub(super) fn refuse_sizes(source: (&str, u64), target: (&str, u64)) -> Result<(), Failure> {
    if source.1 == target.1 {
        return Ok(());
    }
    Err(Failure::input(format!(
        "the disks differ in size: {} has {} bytes, {} has {}; make them equal first, the target is not resized",
        source.0, source.1, target.0, target.1
    )))
}
