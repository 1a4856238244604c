//! VHD files (version 1): fixed, dynamic and differencing. All integers are big-endian, sectors 512 bytes.
//!
//! ```text
//!   footer   what the disk is; at the very end, in sparse files at the front as well
//!   header   where a sparse file's table stands; who its parent is
//!   create   new files
//!   image    opening either footer, the table, reading, extents
//!   write    the writing session
//!   resize   another size in place
//!   relink   another parent with the same content
//! ```
//!
//! The format has no log. What a power cut may leave is therefore decided by order alone: nothing is pointed
//! at before it is durable, and of a sparse file's two footers the front one is never in the way of data.

mod create;
mod footer;
mod header;
mod image;
mod relink;
mod resize;
mod write;

pub(crate) use create::{NewParent, NewVhd};
pub(crate) use footer::{COOKIE, LEN as FOOTER};
pub(crate) use image::{VhdImage, kin};

/// Bytes of a sector.
pub(crate) const SECTOR: u64 = 512;
/// Block size of a new sparse disk.
pub(crate) const DEFAULT_BLOCK: u64 = 2 << 20;

fn get_u32(buf: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(crate::bytes::array(buf, at))
}

fn get_u64(buf: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(crate::bytes::array(buf, at))
}

/// One's complement of the sum of all bytes but the 4 of the checksum field.
fn checksum(buf: &[u8], field: usize) -> u32 {
    let sum = |part: &[u8]| part.iter().fold(0, |sum: u32, byte| sum.wrapping_add(u32::from(*byte)));
    !sum(&buf[..field]).wrapping_add(sum(&buf[field + 4..]))
}

/// Writes the checksum of a structure into its field.
fn seal(buf: &mut [u8], field: usize) {
    let sum = checksum(buf, field);
    crate::bytes::put(buf, field, &sum.to_be_bytes());
}
