//! Comparing two disks and making one equal to the other: a sans-IO engine of two halves.
//!
//! [`Source`] and [`Target`] are state machines without clock, threads or input and output. They
//! exchange [`Message`]s, one on its way at a time, and the disks are passed into each call as
//! [`Blocks`] and [`BlocksMut`]. So the same engine runs inside a simulation, between two files, and over a network.
//!
//! The work goes region by region ([`REGION_CELLS`]), and in each region by what is present:
//!
//! | source | target | what happens |
//! |---|---|---|
//! | absent | absent | nothing is read |
//! | absent | present | the target zeroes, without a message of its own |
//! | present | absent | the source's present cells are sent without a digest |
//! | present | present | the target sends digests of the 64 KiB blocks, for those that differ digests of the 4 KiB cells, and gets the cells that differ |
//!
//! The course of messages: `Open`, `Resume`, then for each region `Step` (the data of the region
//! before, and what the source has in the next one), `Offer`, and where digests differ `Want` and
//! `Cells`; at the end `Finished`. Everything in front of [`Target::position`] is durable at the
//! target: that is the checkpoint to which an interruption goes back.

mod blocks;
mod candidates;
pub mod checkpoint;
pub mod direct;
mod image;
pub mod local;
mod message;
pub mod runs;
mod source;
mod target;
pub mod throttle;
pub mod wire;

pub use blocks::{BLOCK_CELLS, Blocks, BlocksMut, Digest, Position, REGION_CELLS};
pub use candidates::{Candidates, candidate_blocks};
pub use image::{ImageBlocks, ImageError};
pub use message::{Data, Message, Next, Output, VERSION};
pub use source::{Counts, Options, Source};
pub use target::Target;

/// Why a half cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error<E> {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] E),
    /// The other half speaks another version of the protocol.
    #[error("the other side speaks version {theirs} of the protocol, this side version {VERSION}")]
    Version {
        /// The other half's version.
        theirs: u32,
    },
    /// The disks of the two sides are not of the same number and sizes.
    #[error("the disks differ in number or size: {source_cells:?} and {target_cells:?} cells of 4 KiB")]
    Sizes {
        /// Cells of the source's disks.
        source_cells: Vec<u64>,
        /// Cells of the target's disks.
        target_cells: Vec<u64>,
    },
    /// A message that this half does not expect now, or whose parts do not fit each other.
    #[error("the other side sent `{message}`, which does not fit here")]
    Unexpected {
        /// The kind of the message.
        message: &'static str,
    },
}
