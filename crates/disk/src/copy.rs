//! Copying the content of a disk into a new file, without its holes and its history.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::bytes::MIB;
use crate::cells::for_each_filled;
use crate::error::{Error, ErrorKind};
use crate::file::{FileSystem, HostFs};
use crate::image::Image;
use crate::open::{CreateOptions, OpenOptions, create_in, open_in};
use crate::seed::Seed;

/// Zero parts of this many bytes are left out of the copy.
const CELL: u64 = 4096;

/// Bytes of the disk after which the host is asked to bring them to its disk.
const WRITE_BEHIND: u64 = 16 * MIB;

/// What a copy is to be; size and sector size are the source's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyOptions {
    target: CreateOptions,
}

impl CopyOptions {
    /// A raw image with holes. The logical sector size is lost: raw has no place for it.
    #[must_use]
    pub const fn raw() -> Self {
        Self { target: CreateOptions::raw(0) }
    }

    /// A dynamic VHDX; the seed makes its GUIDs.
    #[must_use]
    pub const fn vhdx(seed: Seed) -> Self {
        Self { target: CreateOptions::vhdx(0, seed) }
    }

    /// A dynamic VHD; the seed makes its identity. The logical sector size is lost: VHD knows 512 only.
    #[must_use]
    pub const fn vhd(seed: Seed) -> Self {
        Self { target: CreateOptions::vhd(0, seed) }
    }

    /// Whether the copy is a fixed disk.
    #[must_use]
    pub const fn fixed(mut self, fixed: bool) -> Self {
        self.target = self.target.fixed(fixed);
        self
    }

    /// Bytes of a block of the copy, as [`CreateOptions::block_size`].
    #[must_use]
    pub const fn block_size(mut self, bytes: u64) -> Self {
        self.target = self.target.block_size(bytes);
        self
    }
}

/// Copies the content of the image `src` into a new image at `dst`. `src` is opened read-only: a user's file
/// is not changed, also when its log is to be replayed. A chain becomes one file. What is zero takes no space
/// in the copy.
///
/// The copy is made beside `dst` under the name `dst` + `.partial` and renamed when it is complete and
/// durable, so that `dst` is there whole or not at all; what `dst` was before is replaced.
///
/// # Errors
/// Those of [`crate::open`] for the source and of [`crate::create`] for the copy. `Exists` when the
/// `.partial` file of an interrupted copy is in the way. After a failure nothing is left behind.
pub fn copy_sparse(src: impl AsRef<Path>, dst: impl AsRef<Path>, options: &CopyOptions) -> Result<(), Error> {
    copy_sparse_in(&HostFs, src.as_ref(), dst.as_ref(), options)
}

/// [`copy_sparse`] over another file system.
///
/// # Errors
/// As [`copy_sparse`].
pub fn copy_sparse_in(
    fs: &dyn FileSystem,
    src: &Path,
    dst: &Path,
    options: &CopyOptions,
) -> Result<(), Error> {
    copy_sparse_observed(fs, src, dst, options, &mut |_| ())
}

/// [`copy_sparse_in`], telling how far on the disk it has come: for a progress display.
///
/// # Errors
/// As [`copy_sparse`].
pub fn copy_sparse_observed(
    fs: &dyn FileSystem,
    src: &Path,
    dst: &Path,
    options: &CopyOptions,
    reached: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let source = open_in(fs, src, &OpenOptions::read_only())?;
    let partial = partial_name(dst);
    let target = options.target.size(source.size()).logical_sector(source.logical_sector());
    let copy = create_in(fs, &partial, &target).map_err(|error| match error.kind() {
        ErrorKind::Exists => {
            error.remedy("remove this rest of an interrupted copy, unless a copy is under way")
        }
        _ => error,
    })?;
    let done = fill(&*source, copy, reached).and_then(|()| {
        fs.rename(&partial, dst).map_err(|error| Error::io("finished copy", error).in_file(dst))
    });
    if done.is_err() {
        // The first failure is the one to tell.
        let _ = fs.remove(&partial);
    }
    done
}

/// Writes what the source holds, and has the host bring it to the disk meanwhile: the flush at the end finds
/// little left to do. Reading ahead in a second thread was tried and is slower: the buffers change processors.
fn fill(source: &dyn Image, mut copy: Box<dyn Image>, reached: &mut dyn FnMut(u64)) -> Result<(), Error> {
    let mut behind = 0;
    for_each_filled(source, CELL, |range, content| {
        copy.write_at(range.start, content)?;
        if range.end / WRITE_BEHIND > behind / WRITE_BEHIND {
            copy.begin_flush(behind..range.end);
            behind = range.end;
        }
        reached(range.end);
        Ok(())
    })?;
    copy.close()
}

fn partial_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".partial");
    name.into()
}
