//! What the two halves say to each other.

use std::ops::Range;

use hvrsim_types::size::CELL;
use serde::{Deserialize, Serialize};

use crate::blocks::Digest;
use crate::direct::Summary;

/// The version of the frames, told in [`Frame::Open`].
pub const VERSION: u32 = 2;
/// Stands for the digest of zeros.
pub(crate) const ZEROS: Digest = [0; 16];

/// Bytes that each frame costs on a simulated link beside what it carries.
const FRAMING: u64 = 32;
/// Bytes of a run there.
const RUN: u64 = 8;

/// A run of blocks: the first, and how many.
pub type Span = (u64, u64);
/// A run of cells of a piece: the first, and how many.
pub type Cells = (u32, u32);

/// What the two halves say to each other; content of cells travels as a `C`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Frame<C> {
    /// The source begins.
    Open {
        /// [`VERSION`].
        version: u32,
        /// Bytes of the disk.
        size: u64,
        /// Names the content of the source: another one is compared from the beginning.
        generation: [u8; 32],
        /// Nothing is compared: what the source holds is sent.
        full: bool,
    },
    /// The target is ready.
    Begin {
        /// Everything in front of it is done.
        done_to: u64,
    },
    /// The map from this byte on is wanted.
    WantMap {
        /// A block's start.
        from: u64,
    },
    /// A part of the source's map.
    Map {
        /// The byte at which it begins.
        from: u64,
        /// The byte in front of which it ends.
        to: u64,
        /// Runs of blocks to look at.
        candidates: Vec<Span>,
        /// Runs of blocks, among these, that may hold something.
        held: Vec<Span>,
    },
    /// A piece of the disk is to be made equal.
    Ask {
        /// Its first byte.
        start: u64,
        /// Its bytes.
        len: u32,
        /// The blocks that hold something at the target, a bit each.
        holds: u32,
        /// The digests of these.
        digests: Vec<Digest>,
    },
    /// Digests of cells are wanted.
    Refine {
        /// The piece.
        start: u64,
        /// The blocks, a bit each.
        blocks: u32,
    },
    /// The answer to `Refine`.
    Cells {
        /// The piece.
        start: u64,
        /// The digests of all cells of the blocks, in order; nothing but zero bytes for a cell of zeros.
        digests: Vec<Digest>,
    },
    /// What differs in a piece; what is named in neither list is equal.
    Answer(Answer<C>),
    /// Everything is equal and durable.
    Finished {
        /// What was done, in earlier runs that this one went on from too.
        summary: Summary,
    },
}

/// What differs in a piece.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Answer<C> {
    /// The piece.
    pub start: u64,
    /// Cells of blocks that hold something on both sides.
    pub compared: u32,
    /// Runs of cells of the piece that are zero.
    pub zero: Vec<Cells>,
    /// Runs of cells of the piece with other content.
    pub write: Vec<Cells>,
    /// The content of the latter, in order.
    pub content: C,
}

impl<C> Answer<C> {
    /// The bytes of the disk that it tells of, as far as the answer shows: a piece that is equal in its last blocks is
    /// longer.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        let told = self.zero.iter().chain(&self.write).map(|(first, count)| first + count).max();
        let cells = u64::from(told.unwrap_or(0).max(self.compared).max(1));
        self.start..self.start + cells * CELL
    }

    /// Bytes of disk content in it, in whole cells.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.write.iter().map(|(_, count)| u64::from(*count) * CELL).sum()
    }
}

impl<C> Frame<C> {
    /// Bytes that a simulated link carries: content, 16 for each digest, 8 for each run, and a fixed framing. The same
    /// for every kind of disk; a real wire counts its own.
    #[must_use]
    pub fn link_bytes(&self) -> u64 {
        let carried = match self {
            Self::Open { .. } => 48,
            Self::Map { candidates, held, .. } => RUN * (count(candidates) + count(held)),
            Self::Ask { digests, .. } | Self::Cells { digests, .. } => 16 * count(digests),
            Self::Answer(answer) => answer.sent_bytes() + RUN * (count(&answer.zero) + count(&answer.write)),
            Self::Begin { .. } | Self::WantMap { .. } | Self::Refine { .. } | Self::Finished { .. } => 0,
        };
        FRAMING + carried
    }

    /// Bytes of disk content in it, in whole cells.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        match self {
            Self::Answer(answer) => answer.sent_bytes(),
            _ => 0,
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "`open`",
            Self::Begin { .. } => "`begin`",
            Self::WantMap { .. } => "`want map`",
            Self::Map { .. } => "`map`",
            Self::Ask { .. } => "`ask`",
            Self::Refine { .. } => "`refine`",
            Self::Cells { .. } => "`cells`",
            Self::Answer(_) => "`answer`",
            Self::Finished { .. } => "`finished`",
        }
    }
}

const fn count<T>(items: &[T]) -> u64 {
    items.len() as u64
}

/// Cells of so many bytes; the last one may be cut.
pub(crate) fn cells_in(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(CELL)).unwrap_or(u32::MAX)
}

/// Adds a run behind the last one, joined with it where they touch.
pub(crate) fn push_cells(runs: &mut Vec<Cells>, first: u32, count: u32) {
    match runs.last_mut() {
        Some((start, len)) if *start + *len == first => *len += count,
        _ => runs.push((first, count)),
    }
}
