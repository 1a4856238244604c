//! Changing chains: merging a file into its parent, making a chain one file, finding who depends on a file.

use std::path::{Path, PathBuf};

use crate::bytes::{MIB, to_usize};
use crate::copy::{CopyOptions, copy_sparse_in};
use crate::details::Kind;
use crate::error::{Error, ErrorKind};
use crate::file::{FileSystem, HostFs};
use crate::image::{ExtentKind, Format, Image};
use crate::open::{OpenOptions, open_in};
use crate::parent;
use crate::seed::Seed;
use crate::vhd::VhdImage;
use crate::vhdx::VhdxImage;

/// Options of a merge.
#[derive(Debug, Clone)]
pub struct MergeOptions {
    seed: Seed,
    children: Vec<PathBuf>,
    over_siblings: bool,
}

impl MergeOptions {
    /// A merge that refuses to harm other files. The seed makes the GUIDs of the files that are changed.
    #[must_use]
    pub const fn new(seed: Seed) -> Self {
        Self { seed, children: Vec::new(), over_siblings: false }
    }

    /// Files that have the merged one for their parent and lie in other folders than it and its parent: those
    /// that lie there are found.
    #[must_use]
    pub fn children(mut self, children: &[PathBuf]) -> Self {
        self.children = children.to_vec();
        self
    }

    /// Merges though other differencing files stand over the parent: they will not fit it any more.
    #[must_use]
    pub const fn over_siblings(mut self) -> Self {
        self.over_siblings = true;
        self
    }
}

/// What a merge has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The file that has the content now.
    pub parent: PathBuf,
    /// The files that stood over the merged one, and stand over the parent now.
    pub children: Vec<PathBuf>,
}

/// Merges a differencing file into its parent and removes it: the parent then has the content of the chain as
/// seen from the child, its size, and what its metadata say of the disk (MS-VHDX 2.6.1.2, IsVirtualDisk).
/// `children` are files that have the child for their parent; those beside it and beside the parent are found.
/// They then stand over the parent directly. Gives the parent's path.
///
/// After a power cut at any moment every chain has the content it had; the merge can be done again. For that a
/// VHDX child learns of the parent's coming DataWriteGuid (`parent_linkage2`) before the parent is changed. A
/// VHD names its parent by an id that no change of content touches.
///
/// # Errors
/// `Unsupported` for an image without a parent; `HasChildren` when other files stand over the parent; those of
/// [`crate::open`] and of writing.
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
    let options = MergeOptions::new(seed).children(children);
    merge_observed(fs, child, &options, &mut |_| ()).map(|merged| merged.parent)
}

/// [`merge_in`] with all options, telling how far on the disk it has come: for a progress display.
///
/// # Errors
/// As [`merge`].
pub fn merge_observed(
    fs: &dyn FileSystem,
    child: &Path,
    options: &MergeOptions,
    reached: &mut dyn FnMut(u64),
) -> Result<Merged, Error> {
    let source = open_in(fs, child, &OpenOptions::read_only())?;
    let Some(parent) = source.details()?.parent.map(|parent| parent.path) else {
        return Err(Error::new(ErrorKind::Unsupported, "merge")
            .in_file(child)
            .found("a disk without a parent")
            .requires("a differencing file"));
    };
    let folders = [parent::folder(child), parent::folder(&parent)];
    let mut siblings = parent::children_in_folders(fs, &parent, &folders)?;
    siblings.retain(|file| !fs.is_same(file, child));
    let mut children = parent::children_in_folders(fs, child, &folders)?;
    let known = |file: &&PathBuf| !children.iter().any(|found| fs.is_same(found, file));
    let further: Vec<PathBuf> = options.children.iter().filter(known).cloned().collect();
    children.extend(further);

    let merge = Merge { fs, child, parent: &parent, children: &children, seed: options.seed };
    let held = match source.format() {
        Format::Vhd => source.details()?.present_blocks != Some(0),
        _ => siblings.is_empty() || !merge.is_filled()?,
    };
    // A merge that was cut off after its content was complete has moved children already: they are no
    // siblings, and the content is left alone.
    if held && !options.over_siblings {
        parent::refuse_under(&parent, &siblings)?;
    }
    if source.format() == Format::Vhd {
        merge.vhd(&*source, held, reached)?;
    } else {
        merge.vhdx(&*source, held, reached)?;
    }
    drop(source);
    fs.remove(child).map_err(|error| Error::io("merged file", error).in_file(child))?;
    Ok(Merged { parent, children })
}

/// A merge under way.
struct Merge<'a> {
    fs: &'a dyn FileSystem,
    child: &'a Path,
    parent: &'a Path,
    /// The files over the child.
    children: &'a [PathBuf],
    seed: Seed,
}

impl Merge<'_> {
    /// Whether the parent was changed by an earlier attempt: it has the DataWriteGuid that the child was told
    /// of. Files that stand over it since were moved by that attempt, when the content was complete.
    fn is_filled(&self) -> Result<bool, Error> {
        let link = VhdxImage::open(self.fs, self.child, None)?;
        Ok(link.parent_came())
    }

    fn vhdx(&self, source: &dyn Image, held: bool, reached: &mut dyn FnMut(u64)) -> Result<(), Error> {
        let Self { fs, child, parent, seed, .. } = *self;
        let mut target = VhdxImage::open(fs, parent, Some(seed))?;
        if held {
            let coming = target.plan_content()?;
            let mut link = VhdxImage::open(fs, child, Some(seed))?;
            link.accept_parent(coming)?;
            let carried = link.disk_items()?;
            Box::new(link).close()?;
            target.take_disk_items(&carried)?;
            if source.size() > target.size() {
                target.resize(source.size())?;
            }
            fill(source, &mut target, reached)?;
            if source.size() < target.size() {
                target.resize(source.size())?;
            }
        }
        let guid = target.write_guid();
        Box::new(target).close()?;
        for path in self.children {
            let mut grandchild = VhdxImage::open(fs, path, Some(seed))?;
            grandchild.stand_over(fs, parent, guid)?;
            Box::new(grandchild).close()?;
        }
        Ok(())
    }

    fn vhd(&self, source: &dyn Image, held: bool, reached: &mut dyn FnMut(u64)) -> Result<(), Error> {
        let Self { fs, child, parent, seed, .. } = *self;
        let mut target = VhdImage::open(fs, parent, Some(seed))?;
        if held {
            if source.size() != target.size() {
                Image::resize(&mut target, source.size())?;
            }
            fill(source, &mut target, reached)?;
            target.flush()?;
            // The parent has all of it now. Once the child holds nothing, a merge that is cut off and done again
            // does not change the parent under those that were moved.
            VhdImage::open(fs, child, Some(seed))?.forget_blocks()?;
        }
        let (id, time) = (target.id(), target.time());
        Box::new(target).close()?;
        for path in self.children {
            let mut grandchild = VhdImage::open(fs, path, Some(seed))?;
            grandchild.stand_over(fs, parent, id, time)?;
            Box::new(grandchild).close()?;
        }
        Ok(())
    }
}

/// Writes what the child's own file holds into the parent.
fn fill(source: &dyn Image, target: &mut dyn Image, reached: &mut dyn FnMut(u64)) -> Result<(), Error> {
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
        reached(extent.end());
    }
    Ok(())
}

/// Makes a chain one file: a copy with the content of all takes the place of the topmost file, in its format
/// and with its block size. The parents stay as they are.
///
/// # Errors
/// `HasChildren` when files beside it have it for their parent: they would not fit it any more. Those of
/// [`crate::copy_sparse`].
pub fn flatten(path: impl AsRef<Path>, seed: Seed) -> Result<(), Error> {
    flatten_in(&HostFs, path.as_ref(), seed)
}

/// [`flatten`] over another file system.
///
/// # Errors
/// As [`flatten`].
pub fn flatten_in(fs: &dyn FileSystem, path: &Path, seed: Seed) -> Result<(), Error> {
    parent::refuse_under(path, &children_beside_in(fs, path)?)?;
    let details = open_in(fs, path, &OpenOptions::read_only())?.details()?;
    let options = match details.format {
        Format::Raw => CopyOptions::raw(),
        Format::Vhdx => CopyOptions::vhdx(seed),
        Format::Vhd => CopyOptions::vhd(seed),
    };
    let options = details.block_size.map_or(options, |bytes| options.block_size(bytes));
    copy_sparse_in(fs, path, path, &options.fixed(details.kind == Kind::Fixed))
}

/// Those of `files` that are differencing files right over `path` as it is now: they name its identity, and it
/// stands where they look for their parent. A change of `path` would make them useless. Files that cannot be
/// read are left out.
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
    parent::children(fs, path, files)
}

/// [`children_among`] the files in the folder of `path`.
///
/// # Errors
/// As [`children_among`].
pub fn children_beside(path: impl AsRef<Path>) -> Result<Vec<PathBuf>, Error> {
    children_beside_in(&HostFs, path.as_ref())
}

/// [`children_beside`] over another file system.
///
/// # Errors
/// As [`children_beside`].
pub fn children_beside_in(fs: &dyn FileSystem, path: &Path) -> Result<Vec<PathBuf>, Error> {
    parent::children_in_folders(fs, path, &[parent::folder(path)])
}
