//! Why a half cannot go on.

use crate::frame::VERSION;

/// Why a half cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error<E> {
    /// The disk, or something that belongs to it, failed.
    #[error(transparent)]
    Disk(#[from] E),
    /// The other half speaks another version.
    #[error("the other side speaks version {theirs} of the protocol, this side version {VERSION}")]
    Version {
        /// The other half's version.
        theirs: u32,
    },
    /// The disks are not of one size.
    #[error("the sizes differ: the source has {source_bytes} bytes, the target {target_bytes}")]
    Sizes {
        /// Bytes of the source's disk.
        source_bytes: u64,
        /// Bytes of the target's disk.
        target_bytes: u64,
    },
    /// A frame that does not fit here.
    #[error("the other side sent {0}, which does not fit here")]
    Unexpected(&'static str),
    /// The caller wanted it to stop.
    #[error("interrupted")]
    Stopped,
    /// Bytes that are no frame.
    #[error("the other side sent what is no frame")]
    Garbage,
}
