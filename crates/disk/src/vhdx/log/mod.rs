//! The log (MS-VHDX 2.3): a ring through which every change of the BAT and of sector bitmaps goes, so that
//! each is wholly there or not at all after a power cut.

mod entry;
mod replay;
mod writer;

pub(crate) use replay::Sequence;
pub(crate) use writer::{BATCH, LogWriter};

/// Bytes of a log sector.
pub(crate) const SECTOR: u64 = 4096;
