//! Change logs of Hyper-V Replica (MS-HRL, version 2; version 1 is read): the writes to one disk since the log before.
//!
//! ```text
//!   header, 4096 bytes | metadata block (empty) | data of n writes | metadata block | data | ...
//! ```
//!
//! A metadata block describes the data in front of it and says how far back the block before it stands. A log
//! is read from its end: the header of a closed log names the end, the distances lead back to the first
//! block, and the writes are then applied forward. A log whose header names no end was not closed; what it
//! holds is not all that was written.

mod chain;
mod layout;
mod read;
mod write;

pub use chain::HrlChain;
pub use read::{Entries, Entry, HrlReader};
pub use write::{HrlOptions, HrlWriter};

use uuid::Uuid;

/// What is left to do with a log that cannot be used.
const REMEDY: &str = "throw the log away and resynchronize the disk";

/// What the header of a log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HrlInfo {
    /// The log's own id.
    pub unique_id: Uuid,
    /// The log before this one; nil for the first.
    pub previous_id: Uuid,
    /// The DataWriteGuid of the VHDX whose writes these are: it tells whether the disk was changed without
    /// the log. Nil in version 1, which has no such field.
    pub data_write_guid: Uuid,
    /// Seconds since 2000-01-01 UTC.
    pub created: u32,
    /// Seconds since 2000-01-01 UTC.
    pub modified: u32,
    /// Writes in the log.
    pub entries: u64,
}
