//! VHDX files (MS-VHDX): fixed, dynamic and differencing.
//!
//! ```text
//!   header    which of the two headers counts; replacing both safely
//!   region    where BAT and metadata stand
//!   metadata  what the disk is; locator: who its parent is
//!   bat       which block stands where, in what state; space: which parts of the file are free
//!   log       changes of BAT and bitmaps, replayed after a power cut
//!   check     what must hold between all of these
//!   create    new files
//!   kin       what a file says of its parent, read alone
//!   image     opening, reading, extents
//!   write     the writing session
//!   resize    another size, other metadata, blocks given up
//!   carry     metadata that travels with the disk
//! ```

mod bat;
mod carry;
mod check;
mod create;
mod header;
mod image;
mod kin;
mod locator;
mod log;
mod metadata;
mod region;
mod resize;
mod space;
mod write;

pub(crate) use create::{CHILD_BLOCK, DEFAULT_BLOCK, NewDisk, NewParent};
pub(crate) use image::{VhdxImage, is_vhdx};
pub(crate) use kin::kin;

/// What a VHDX file begins with (MS-VHDX 2.2.1).
pub(crate) const SIGNATURE: &[u8; 8] = b"vhdxfile";
