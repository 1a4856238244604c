//! Changing chains: merging a file into its parent, making a chain one file, finding who depends on a file.

use std::path::{Path, PathBuf};

use crate::bytes::{MIB, to_usize};
use crate::copy::{CopyOptions, copy_sparse_in};
use crate::details::{Details, Kind};
use crate::error::{Error, ErrorKind};
use crate::file::{FileSystem, HostFs};
use crate::image::{ExtentKind, Format, Image};
use crate::open::{OpenOptions, open_in, probe_in};
use crate::seed::Seed;
use crate::vhdx::VhdxImage;

/// Merges a differencing file into its parent and removes it: the parent then has the content of the chain as
/// seen from the child. `children` are all files that have the child for their parent; they then stand over
/// the parent directly. Gives the parent's path.
///
/// After a power cut at any moment the chain has the content it had; the merge can be done again. For that a
/// VHDX child learns of the parent's coming DataWriteGuid (`parent_linkage2`) before the parent is changed. A
/// VHD names its parent by an id that no change of content touches.
///
/// # Errors
/// `Unsupported` for an image without a parent, and for a VHD with children; those of [`crate::open`] and of
/// writing.
pub fn merge(child: impl AsRef<Path>, children: &[PathBuf], seed: Seed) -> Result<PathBuf, Error> {
    merge_in(&HostFs, child.as_ref(), children, seed)
}

/// [`merge`] over another file system.
///
/// # Errors
/// As [`merge`].
pub fn merge_in(
    fs: &dyn FileSystem,
    child: &Path,
    children: &[PathBuf],
    seed: Seed,
) -> Result<PathBuf, Error> {
    let source = open_in(fs, child, &OpenOptions::read_only())?;
    let Some(parent) = source.details()?.parent.map(|parent| parent.path) else {
        return Err(Error::new(ErrorKind::Unsupported, "merge")
            .in_file(child)
            .found("a disk without a parent")
            .requires("a differencing file"));
    };
    if source.format() == Format::Vhd {
        if !children.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, "merge")
                .in_file(child)
                .found("a VHD with children of its own")
                .remedy("merge the newest file first"));
        }
        let mut target = open_in(fs, &parent, &OpenOptions::read_write(seed))?;
        fill(&*source, &mut *target)?;
        target.close()?;
    } else {
        merge_vhdx(fs, &*source, (child, &parent), children, seed)?;
    }
    drop(source);
    fs.remove(child).map_err(|error| Error::io("merged file", error).in_file(child))?;
    Ok(parent)
}

fn merge_vhdx(
    fs: &dyn FileSystem,
    source: &dyn Image,
    (child, parent): (&Path, &Path),
    children: &[PathBuf],
    seed: Seed,
) -> Result<(), Error> {
    let mut target = VhdxImage::open(fs, parent, Some(seed))?;
    let coming = target.plan_content()?;
    let mut link = VhdxImage::open(fs, child, Some(seed))?;
    link.accept_parent(coming)?;
    Box::new(link).close()?;
    if source.size() > target.size() {
        target.resize(source.size())?;
    }
    fill(source, &mut target)?;
    if source.size() < target.size() {
        target.resize(source.size())?;
    }
    // A child that held nothing leaves the parent as it was, with the GUID that it had.
    let guid = target.data_write_guid().unwrap_or(coming);
    Box::new(target).close()?;
    for path in children {
        let mut grandchild = VhdxImage::open(fs, path, Some(seed))?;
        grandchild.stand_over(fs, parent, guid)?;
        Box::new(grandchild).close()?;
    }
    Ok(())
}

/// Writes what the child's own file holds into the parent.
fn fill(source: &dyn Image, target: &mut dyn Image) -> Result<(), Error> {
    let mut buf = vec![0; to_usize(MIB)];
    for extent in source.extents(0..source.size())? {
        match extent.kind {
            ExtentKind::Zero => target.zero_at(extent.start, extent.len)?,
            ExtentKind::Data => {
                let mut at = extent.start;
                while at < extent.end() {
                    let part = &mut buf[..to_usize((extent.end() - at).min(MIB))];
                    source.read_at(at, part)?;
                    target.write_at(at, part)?;
                    at += crate::bytes::to_u64(part.len());
                }
            }
            ExtentKind::Absent | ExtentKind::Parent => {}
        }
    }
    Ok(())
}

/// Makes a chain one file: a copy with the content of all takes the place of the topmost file, in its format
/// and with its block size. The parents stay as they are. Files that have the topmost one for their parent do
/// not fit it any more.
///
/// # Errors
/// Those of [`crate::copy_sparse`].
pub fn flatten(path: impl AsRef<Path>, seed: Seed) -> Result<(), Error> {
    flatten_in(&HostFs, path.as_ref(), seed)
}

/// [`flatten`] over another file system.
///
/// # Errors
/// As [`flatten`].
pub fn flatten_in(fs: &dyn FileSystem, path: &Path, seed: Seed) -> Result<(), Error> {
    let details = open_in(fs, path, &OpenOptions::read_only())?.details()?;
    let options = match details.format {
        Format::Raw => CopyOptions::raw(),
        Format::Vhdx => CopyOptions::vhdx(seed),
        Format::Vhd => CopyOptions::vhd(seed),
    };
    let options = details.block_size.map_or(options, |bytes| options.block_size(bytes));
    copy_sparse_in(fs, path, path, &options.fixed(details.kind == Kind::Fixed))
}

/// Those of `files` that are differencing files right over `path` as it is now. A change of `path` would make
/// them useless. Files that cannot be opened are left out.
///
/// # Errors
/// Those of [`crate::open`] for `path`.
pub fn children_among(path: impl AsRef<Path>, files: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    children_among_in(&HostFs, path.as_ref(), files)
}

/// [`children_among`] over another file system.
///
/// # Errors
/// As [`children_among`].
pub fn children_among_in(fs: &dyn FileSystem, path: &Path, files: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let identity = |details: &Details| details.data_write_guid.or(details.id);
    if probe_in(fs, path)? == Format::Raw {
        return Ok(Vec::new());
    }
    let own = identity(&open_in(fs, path, &OpenOptions::read_only())?.details()?);
    let depends = |file: &&PathBuf| {
        file.as_path() != path
            && open_in(fs, file, &OpenOptions::read_only())
                .and_then(|image| image.details())
                .is_ok_and(|details| details.parent.is_some_and(|parent| identity(&parent) == own))
    };
    Ok(files.iter().filter(depends).cloned().collect())
}
