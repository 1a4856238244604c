//! Virtual disk images: raw files, VHDX and VHD (fixed, dynamic, differencing) and HRL change logs.
//!
//! The crate is a library for image tools. It reads and writes images the way their published formats
//! ask for, keeps the crash rules of those formats, and says in its errors which structure at which
//! offset is at fault and what to do about it. It uses no clock and no randomness: identifiers of files are
//! derived from a [`Seed`] that the caller gives, so that equal calls make equal files.
//!
//! ```text
//!   open, create, create_child, copy_sparse, merge, flatten     free functions over paths
//!   Image                                                      one object-safe trait for every open image
//!   raw    vhdx { header region metadata bat log ... }   vhd { footer header ... }   hrl   the formats
//!   file { BlockFile FileSystem }                              the only place that touches files
//! ```
//!
//! Every function that takes a path has a twin `*_in` that takes a [`file::FileSystem`], which is where tests
//! put memory instead of a disk, drop unflushed writes or make an operation fail.
//!
//! ```
//! use hvrsim_disk::{ChildOptions, CreateOptions, OpenOptions, Seed};
//! use hvrsim_disk::{create, create_child, open, present_cells};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let (base, child) = (folder.path().join("base.vhdx"), folder.path().join("child.avhdx"));
//!
//! let mut disk = create(&base, &CreateOptions::vhdx(64 << 20, Seed::new([1; 32])))?;
//! disk.write_at(8192, b"first")?;
//! disk.close()?;
//!
//! let mut disk = create_child(&base, &child, &ChildOptions::new(Seed::new([2; 32])))?;
//! disk.write_at(1 << 20, b"second")?;
//! disk.close()?;
//!
//! let disk = open(&child, &OpenOptions::read_only())?;
//! assert_eq!(present_cells(&*disk, 4096)?, [8192..12_288, 1_048_576..1_052_672]);
//! # Ok(())
//! # }
//! ```
//!
//! Opening and reading a file allocates at most its own length at a time, or 32 MiB where that is more,
//! whatever the file claims: lengths are held against the file before anything is read by them.
//!
//! Sources: MS-VHDX (Virtual Hard Disk v2 file format), MS-HRL (Hyper-V Replica Log file format), Virtual
//! Hard Disk Image Format Specification 1.0.

#[cfg(not(target_pointer_width = "64"))]
compile_error!("images are larger than a 32-bit address space");

mod bytes;
mod cells;
mod chain;
mod compare;
mod copy;
mod details;
mod error;
pub mod file;
pub mod hrl;
mod image;
mod open;
mod parent;
mod paths;
mod raw;
mod seed;
mod vhd;
mod vhdx;

pub use cells::present_cells;
pub use chain::{
    MergeOptions, Merged, children_among, children_among_in, children_beside, children_beside_in, flatten,
    flatten_in, merge, merge_in, merge_observed,
};
pub use compare::{Comparison, compare};
pub use copy::{CopyOptions, copy_sparse, copy_sparse_in, copy_sparse_observed};
pub use details::{Details, Kind};
pub use error::{Error, ErrorKind};
pub use image::{Extent, ExtentKind, Format, Image, Level, Trim};
pub use open::{
    Access, ChildOptions, CreateOptions, OpenOptions, create, create_child, create_child_in, create_in, open,
    open_in, probe, probe_in,
};
pub use seed::Seed;
pub use uuid::Uuid as Guid;
