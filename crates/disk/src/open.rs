//! Recognising, opening and creating images by path.

use std::path::Path;
use std::sync::Arc;

use crate::bytes::to_usize;
use crate::error::{Error, ErrorKind};
use crate::file::{BlockFile, FileSystem, HostFs, make_file, open_file, read_structure};
use crate::image::{Format, Image};
use crate::parent;
use crate::raw::{self, RawImage};
use crate::seed::Seed;
use crate::vhd::{self, COOKIE as VHD_COOKIE, FOOTER as VHD_FOOTER, NewVhd, VhdImage};
use crate::vhdx::{self, CHILD_BLOCK, DEFAULT_BLOCK, NewDisk, NewParent, VhdxImage};

/// How an image is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// No file is changed, not even to replay a log: that happens in memory.
    ReadOnly,
    /// The image may be changed, its parents are not. A log that is to be replayed is replayed into the file
    /// at once; else nothing is written before the first change. The seed makes the GUIDs of the session.
    ReadWrite(Seed),
}

/// Options of [`open`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    access: Access,
    format: Option<Format>,
    under_children: bool,
}

impl OpenOptions {
    /// Opens for reading, format found by content.
    #[must_use]
    pub const fn read_only() -> Self {
        Self { access: Access::ReadOnly, format: None, under_children: false }
    }

    /// Opens for writing, format found by content.
    #[must_use]
    pub const fn read_write(seed: Seed) -> Self {
        Self { access: Access::ReadWrite(seed), format: None, under_children: false }
    }

    /// Takes the file for this format without looking. Use it for a raw image whose content a guest controls:
    /// a guest can write another format's signature at its front.
    #[must_use]
    pub const fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Opens for writing though differencing files stand over the image: the caller knows that a change makes
    /// them useless, or makes none that a guest can see.
    #[must_use]
    pub const fn under_children(mut self) -> Self {
        self.under_children = true;
        self
    }

    /// How the image is opened.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }
}

/// Options of [`create`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateOptions {
    format: Format,
    size: u64,
    block_size: Option<u64>,
    logical_sector: u32,
    physical_sector: u32,
    fixed: bool,
    seed: Seed,
}

impl CreateOptions {
    /// A raw image of `size` bytes, a multiple of 512, all holes.
    #[must_use]
    pub const fn raw(size: u64) -> Self {
        Self { format: Format::Raw, ..Self::vhdx(size, Seed::new([0; 32])) }
    }

    /// A dynamic VHDX of `size` bytes (whole logical sectors, at most 64 TiB) with blocks of 32 MiB, logical
    /// sectors of 512 and physical ones of 4096 bytes, as Windows makes them. The seed makes its GUIDs.
    #[must_use]
    pub const fn vhdx(size: u64, seed: Seed) -> Self {
        let format = Format::Vhdx;
        Self {
            format,
            size,
            block_size: None,
            logical_sector: 512,
            physical_sector: 4096,
            fixed: false,
            seed,
        }
    }

    /// A dynamic VHD of `size` bytes (whole sectors of 512 bytes, at most 2040 GiB) with blocks of 2 MiB. The
    /// seed makes its identity.
    #[must_use]
    pub const fn vhd(size: u64, seed: Seed) -> Self {
        Self { format: Format::Vhd, ..Self::vhdx(size, seed) }
    }

    /// Whether the disk is fixed: as large as its content from the beginning, its blocks never given back.
    /// The host's file has holes where nothing was written. Raw images are the same either way.
    #[must_use]
    pub const fn fixed(mut self, fixed: bool) -> Self {
        self.fixed = fixed;
        self
    }

    /// Bytes of a block: a power of two, for VHDX from 1 to 256 MiB, for VHD from 512 KiB. Raw images and
    /// fixed VHDs have none.
    #[must_use]
    pub const fn block_size(mut self, bytes: u64) -> Self {
        self.block_size = Some(bytes);
        self
    }

    /// Bytes of a logical sector: 512 or 4096. Raw images and VHD know 512 only.
    #[must_use]
    pub const fn logical_sector(mut self, bytes: u32) -> Self {
        self.logical_sector = bytes;
        self
    }

    /// Bytes of a physical sector: 512 or 4096.
    #[must_use]
    pub const fn physical_sector(mut self, bytes: u32) -> Self {
        self.physical_sector = bytes;
        self
    }

    /// The size of the new disk in bytes.
    #[must_use]
    pub const fn size(mut self, bytes: u64) -> Self {
        self.size = bytes;
        self
    }
}

/// Options of [`create_child`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildOptions {
    block_size: u64,
    seed: Seed,
}

impl ChildOptions {
    /// Blocks of 2 MiB, as Windows makes differencing files; the seed makes the file's GUIDs.
    #[must_use]
    pub const fn new(seed: Seed) -> Self {
        Self { block_size: CHILD_BLOCK, seed }
    }

    /// Bytes of a block: a power of two from 1 to 256 MiB. Need not be the parent's.
    #[must_use]
    pub const fn block_size(mut self, bytes: u64) -> Self {
        self.block_size = bytes;
        self
    }
}

/// Recognises the format of a file by its content: a VHDX signature, a VHD cookie at the front or in the
/// footer, else raw.
///
/// # Errors
/// `Corrupt` when the name ends in `.vhdx`, `.avhdx`, `.vhd` or `.avhd` and the content is not of that
/// format; `Misaligned` when what would be raw is not a whole number of sectors; `NotFound` and `Io`.
pub fn probe(path: impl AsRef<Path>) -> Result<Format, Error> {
    probe_in(&HostFs, path.as_ref())
}

/// [`probe`] over another file system.
///
/// # Errors
/// As [`probe`].
pub fn probe_in(fs: &dyn FileSystem, path: &Path) -> Result<Format, Error> {
    let file = open_file(fs, path, "image", false)?;
    recognise(&*file, path).map_err(|error| error.in_file(path))
}

fn recognise(file: &dyn BlockFile, path: &Path) -> Result<Format, Error> {
    let len = file.len().map_err(|error| Error::io("file", error))?;
    let read = |name, at: u64, want: usize| {
        let mut bytes = vec![0; want.min(to_usize(len.saturating_sub(at)))];
        read_structure(file, name, at, &mut bytes).map(|()| bytes)
    };
    let front = read("front of the file", 0, VHD_COOKIE.len())?;
    if vhdx::is_vhdx(&front) {
        return Ok(Format::Vhdx);
    }
    let footer = read("end of the file", len.saturating_sub(VHD_FOOTER), VHD_COOKIE.len() + 1)?;
    if front == VHD_COOKIE || footer.windows(VHD_COOKIE.len()).any(|part| part == VHD_COOKIE) {
        return Ok(Format::Vhd);
    }
    let extension = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
    let claimed = match extension.as_ref().and_then(|name| name.to_str()) {
        Some("vhdx" | "avhdx") => {
            Some(("file identifier", 0, "the signature \"vhdxfile\" at its front (MS-VHDX 2.2.1)"))
        }
        Some("vhd" | "avhd") => Some((
            "VHD footer",
            len.saturating_sub(VHD_FOOTER),
            "the cookie \"conectix\" in the last 512 bytes",
        )),
        _ => None,
    };
    if let Some((structure, at, requires)) = claimed {
        let found =
            if len == 0 { "an empty file" } else { "nothing of the format that the file's name claims" };
        return Err(Error::corrupt(structure)
            .at(at)
            .found(found)
            .requires(requires)
            .remedy("restore the file, or give a raw image another name"));
    }
    if !len.is_multiple_of(u64::from(raw::SECTOR)) {
        return Err(Error::new(ErrorKind::Misaligned, "raw image")
            .found(format!("no known signature, and a size of {len} bytes"))
            .requires("a multiple of 512 bytes for a raw image")
            .remedy("check that the copy is complete and that the file is a disk image"));
    }
    Ok(Format::Raw)
}

/// Opens an image and the whole chain of its parents.
///
/// Opening for writing looks for differencing files over the image in its folder, and refuses it when there are
/// any: see [`OpenOptions::under_children`].
///
/// # Errors
/// Those of [`probe`]; `Corrupt`, `Truncated`, `Unsupported` with the structure
/// concerned; `ParentNotFound`, `ParentMismatch`; `HasChildren`; `ReadOnly` and `Io` from the host.
pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Box<dyn Image>, Error> {
    open_in(&HostFs, path.as_ref(), options)
}

/// [`open`] over another file system.
///
/// # Errors
/// As [`open`].
pub fn open_in(fs: &dyn FileSystem, path: &Path, options: &OpenOptions) -> Result<Box<dyn Image>, Error> {
    let format = match options.format {
        Some(format) => format,
        None => probe_in(fs, path)?,
    };
    let seed = match options.access {
        Access::ReadOnly => None,
        Access::ReadWrite(seed) => Some(seed),
    };
    if seed.is_some() && !options.under_children && format != Format::Raw {
        parent::refuse_under(path, &parent::children_in_folders(fs, path, &[parent::folder(path)])?)?;
    }
    match format {
        Format::Raw => {
            let file = open_file(fs, path, "image", seed.is_some())?;
            Ok(Box::new(RawImage::open(path, file, seed.is_some())?))
        }
        Format::Vhdx => Ok(Box::new(VhdxImage::open(fs, path, seed)?)),
        Format::Vhd => Ok(Box::new(VhdImage::open(fs, path, seed)?)),
    }
}

/// Creates an empty disk and opens it for writing.
///
/// # Errors
/// `Exists` when the file is there, `InvalidOption` for what the format does not allow, `NoSpace` and `Io`.
/// After a failure no file is left behind.
pub fn create(path: impl AsRef<Path>, options: &CreateOptions) -> Result<Box<dyn Image>, Error> {
    create_in(&HostFs, path.as_ref(), options)
}

/// [`create`] over another file system.
///
/// # Errors
/// As [`create`].
pub fn create_in(fs: &dyn FileSystem, path: &Path, options: &CreateOptions) -> Result<Box<dyn Image>, Error> {
    match options.format {
        Format::Vhdx => {
            let disk = NewDisk {
                size: options.size,
                block_size: options.block_size.unwrap_or(DEFAULT_BLOCK),
                logical_sector: options.logical_sector,
                physical_sector: options.physical_sector,
                fixed: options.fixed,
                seed: options.seed,
                parent: None,
            };
            disk.check().map_err(|error| error.in_file(path))?;
            new_file(fs, path, |file| disk.write(&*file))?;
        }
        Format::Vhd => {
            let block_size = options.block_size.unwrap_or(vhd::DEFAULT_BLOCK);
            let (size, fixed, seed) = (options.size, options.fixed, options.seed);
            let disk = NewVhd { size, block_size, fixed, seed, parent: None };
            disk.check().map_err(|error| error.in_file(path))?;
            new_file(fs, path, |file| disk.write(&*file))?;
        }
        Format::Raw => {
            if options.size == 0 || !options.size.is_multiple_of(u64::from(raw::SECTOR)) {
                return Err(Error::new(ErrorKind::InvalidOption, "disk size")
                    .in_file(path)
                    .found(format!("{} bytes", options.size))
                    .requires("whole sectors of 512 bytes, at least one"));
            }
            new_file(fs, path, |file| {
                let made = file.set_len(options.size).and_then(|()| file.flush());
                made.map_err(|error| Error::io("raw image", error))
            })?;
        }
    }
    // Nothing can stand over a file that is new.
    open_in(fs, path, &OpenOptions::read_write(options.seed).format(options.format).under_children())
}

/// Creates a differencing file over `parent` and opens it for writing: a VHDX over a VHDX, a VHD over a VHD,
/// each fixed, dynamic or differencing. It takes size and sector sizes of its parent, names it by its
/// DataWriteGuid (VHD: its id), by a relative and by an absolute path.
///
/// The parent must not be changed from then on: the child would no longer fit it.
///
/// # Errors
/// Those of [`open`] for the parent, `Unsupported` when it is raw, and those of [`create`].
pub fn create_child(
    parent: impl AsRef<Path>,
    child: impl AsRef<Path>,
    options: &ChildOptions,
) -> Result<Box<dyn Image>, Error> {
    create_child_in(&HostFs, parent.as_ref(), child.as_ref(), options)
}

/// [`create_child`] over another file system.
///
/// # Errors
/// As [`create_child`].
pub fn create_child_in(
    fs: &dyn FileSystem,
    parent: &Path,
    child: &Path,
    options: &ChildOptions,
) -> Result<Box<dyn Image>, Error> {
    let format = probe_in(fs, parent)?;
    let absolute = |path: &Path| fs.absolute(path).map_err(|error| Error::io("path", error).in_file(path));
    match format {
        Format::Vhdx => {
            let base = VhdxImage::open(fs, parent, None)?;
            let disk = NewDisk {
                size: base.size(),
                block_size: options.block_size,
                logical_sector: base.logical_sector(),
                physical_sector: base.physical_sector(),
                fixed: false,
                seed: options.seed,
                parent: Some(NewParent {
                    disk_id: base.disk_id(),
                    data_write_guid: base.write_guid(),
                    items: base.disk_items()?,
                    child_path: absolute(child)?,
                    path: absolute(parent)?,
                }),
            };
            disk.check().map_err(|error| error.in_file(child))?;
            new_file(fs, child, |file| disk.write(&*file))?;
        }
        Format::Vhd => {
            let base = VhdImage::open(fs, parent, None)?;
            let (id, time) = (base.id(), base.time());
            let disk = NewVhd {
                size: base.size(),
                block_size: options.block_size,
                fixed: false,
                seed: options.seed,
                parent: Some(vhd::NewParent {
                    id,
                    time,
                    child_path: absolute(child)?,
                    path: absolute(parent)?,
                }),
            };
            disk.check().map_err(|error| error.in_file(child))?;
            new_file(fs, child, |file| disk.write(&*file))?;
        }
        Format::Raw => {
            return Err(Error::new(ErrorKind::Unsupported, "parent")
                .in_file(parent)
                .found(format!("a {format} image"))
                .requires("a VHDX or a VHD (MS-VHDX 2.6.2.6.3)")
                .remedy("convert the parent to VHDX first"));
        }
    }
    open_in(fs, child, &OpenOptions::read_write(options.seed).format(format).under_children())
}

/// Makes a file and fills it; removes it again when that fails.
fn new_file(
    fs: &dyn FileSystem,
    path: &Path,
    fill: impl FnOnce(Arc<dyn BlockFile>) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = make_file(fs, path, "new image")?;
    fill(file).map_err(|error| {
        // The first failure is the one to tell; a file that stays has no signature and is not taken for a
        // disk.
        let _ = fs.remove(path);
        error.in_file(path)
    })
}
