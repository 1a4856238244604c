//! Finding the parent of a differencing file, and finding the files that stand over one.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::{Error, ErrorKind};
use crate::file::FileSystem;
use crate::image::Format;
use crate::open::probe_in;
use crate::{vhd, vhdx};

/// Longest chain of differencing files that is followed; Hyper-V itself stops earlier.
const MAX_CHAIN: usize = 256;

/// What a file says of its parent.
pub(crate) struct ParentLink {
    /// Host paths where the parent may be, in the order in which the format has them tried.
    pub candidates: Vec<PathBuf>,
    /// The identities that a parent may have (VHDX: DataWriteGuid, VHD: its id).
    pub accepted: Vec<Uuid>,
}

/// What a file is to those who stand over it, and over whom it stands itself.
pub(crate) struct Kin {
    /// The identity by which children name it.
    pub identity: Uuid,
    pub parent: Option<ParentLink>,
}

/// The first of the places of a parent where a file is. `child` is the file that names them, and the
/// `depth`-th of its chain.
pub(crate) fn find(
    fs: &dyn FileSystem,
    child: &Path,
    candidates: &[PathBuf],
    depth: usize,
) -> Result<PathBuf, Error> {
    let found = candidates.iter().find(|path| fs.open(path, false).is_ok()).ok_or_else(|| {
        let tried: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        Error::new(ErrorKind::ParentNotFound, "parent locator")
            .in_file(child)
            .found(format!("no file at {}", tried.join(" nor at ")))
            .requires("the parent of the differencing file at one of these places")
            .remedy("put the parent back where the differencing file expects it")
    })?;
    if depth >= MAX_CHAIN {
        return Err(Error::new(ErrorKind::Unsupported, "chain of differencing files")
            .in_file(child)
            .found(format!("more than {MAX_CHAIN} files"))
            .remedy("merge the older files; if the chain runs in a circle, restore it from a backup"));
    }
    Ok(found.clone())
}

/// Reads of a file what it says of itself and of its parent; neither the parent nor any block is looked at.
fn kin(fs: &dyn FileSystem, path: &Path) -> Result<Option<Kin>, Error> {
    match probe_in(fs, path)? {
        Format::Raw => Ok(None),
        Format::Vhdx => vhdx::kin(fs, path).map(Some),
        Format::Vhd => vhd::kin(fs, path).map(Some),
    }
}

/// Those of `files` that are differencing files right over `path` as it is now: they name its identity, and
/// the place where they look for their parent is this file's. Files that cannot be read are left out.
pub(crate) fn children(fs: &dyn FileSystem, path: &Path, files: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let others: Vec<&PathBuf> = files.iter().filter(|file| !fs.is_same(file, path)).collect();
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let Some(own) = kin(fs, path)? else { return Ok(Vec::new()) };
    let depends = |file: &&&PathBuf| {
        let Ok(Some(Kin { parent: Some(link), .. })) = kin(fs, file) else { return false };
        let place = link.candidates.iter().find(|place| fs.open(place, false).is_ok());
        link.accepted.contains(&own.identity) && place.is_some_and(|place| fs.is_same(place, path))
    };
    Ok(others.iter().filter(depends).map(|file| (*file).clone()).collect())
}

/// The differencing files right over `path` that lie in one of these folders. A folder that cannot be listed
/// holds none.
pub(crate) fn children_in_folders(
    fs: &dyn FileSystem,
    path: &Path,
    folders: &[&Path],
) -> Result<Vec<PathBuf>, Error> {
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs.list(folder).unwrap_or_default())
        .filter(|path| is_image(path))
        .collect();
    files.sort();
    let mut found: Vec<PathBuf> = Vec::new();
    for file in children(fs, path, &files)? {
        // Two of the folders may be one.
        if !found.iter().any(|other| fs.is_same(other, &file)) {
            found.push(file);
        }
    }
    Ok(found)
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().map(std::ffi::OsStr::to_ascii_lowercase).unwrap_or_default();
    ["vhdx", "avhdx", "vhd", "avhd"].iter().any(|known| ending == *known)
}

/// The folder that a file lies in.
pub(crate) fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Refuses a change of an image under the files that stand over it.
pub(crate) fn refuse_under(path: &Path, children: &[PathBuf]) -> Result<(), Error> {
    let Some(first) = children.first() else { return Ok(()) };
    let more = match children.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(Error::new(ErrorKind::HasChildren, "image")
        .in_file(path)
        .found(format!("{}{more}, made over it", first.display()))
        .requires("a parent to stay as it was when its children were made (MS-VHDX 2.6.2.6.3)")
        .remedy("merge or remove the differencing files first"))
}
