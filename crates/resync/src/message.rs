//! What the two halves say to each other.

use hvrsim_types::size::CELL;
use serde::{Deserialize, Serialize};

use crate::blocks::{Digest, Position};
use crate::candidates::Candidates;
use crate::runs::{self, Run};

/// The version of the protocol, told in [`Message::Open`].
pub const VERSION: u32 = 1;

/// Bytes that each message costs beside what it carries.
const FRAMING: u64 = 64;
/// Bytes of a run.
const RUN: u64 = 8;

/// Content of a region's cells.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Data<P> {
    /// Which cells.
    pub cells: Vec<Run>,
    /// Their content.
    pub payload: P,
}

/// The next region and what the source has in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Next {
    /// The region.
    pub at: Position,
    /// Candidate cells present at the source.
    pub present: Vec<Run>,
}

/// A message between the two halves. The first three go to the target, the others to the source.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Message<P> {
    /// Begins, or begins again after an interruption.
    Open {
        /// [`VERSION`].
        version: u32,
        /// Cells of each disk; the target's must be the same.
        sizes: Vec<u64>,
        /// Where to look.
        candidates: Candidates,
        /// Nothing is compared: what is present at the source is sent.
        full: bool,
    },
    /// The present region is done with this data (none: nothing differs); go on to the next one.
    Step {
        /// What differs in the present region.
        data: Option<Data<P>>,
        /// The next region, or none: the work is done.
        next: Option<Next>,
    },
    /// Digests of the cells of these blocks are wanted.
    Want {
        /// Blocks of the present region whose digests differ.
        blocks: Vec<Run>,
    },
    /// The answer to `Open`.
    Resume {
        /// Everything in front of it is done and durable.
        position: Position,
    },
    /// What the target has in the region that `Step` named.
    Offer {
        /// The candidate blocks that are present at the target.
        blocks: Vec<Run>,
        /// Digests of the blocks present on both sides, in order.
        digests: Vec<Digest>,
    },
    /// The answer to `Want`.
    Cells {
        /// The cells of these blocks that are present at the target.
        present: Vec<Run>,
        /// Digests of their cells present on both sides, in order.
        digests: Vec<Digest>,
    },
    /// Everything is done and durable.
    Finished,
}

impl<P> Message<P> {
    /// Whether it goes from the source to the target.
    #[must_use]
    pub const fn to_target(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Step { .. } | Self::Want { .. })
    }

    /// Bytes on the link: payload, 16 for each digest, 8 for each run, and a fixed framing.
    #[must_use]
    pub fn link_bytes(&self) -> u64 {
        let runs = |runs: &[Run]| RUN * count(runs);
        let digests = |digests: &[Digest]| 16 * count(digests);
        FRAMING
            + match self {
                Self::Open { sizes, candidates, .. } => {
                    8 * count(sizes)
                        + match candidates {
                            Candidates::Everything => 0,
                            Candidates::Tracked(tracked) => tracked.values().map(|all| runs(all)).sum(),
                        }
                }
                Self::Step { data, next } => {
                    self.payload_bytes()
                        + data.as_ref().map_or(0, |data| runs(&data.cells))
                        + next.as_ref().map_or(0, |next| runs(&next.present))
                }
                Self::Want { blocks } => runs(blocks),
                Self::Offer { blocks, digests: list } => runs(blocks) + digests(list),
                Self::Cells { present, digests: list } => runs(present) + digests(list),
                Self::Resume { .. } | Self::Finished => 0,
            }
    }

    /// Bytes of disk content in it.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        match self {
            Self::Step { data: Some(data), .. } => CELL * runs::total(&data.cells),
            _ => 0,
        }
    }

    /// The name of its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Step { .. } => "step",
            Self::Want { .. } => "want",
            Self::Resume { .. } => "resume",
            Self::Offer { .. } => "offer",
            Self::Cells { .. } => "cells",
            Self::Finished => "finished",
        }
    }
}

/// A slice's length as bytes are counted.
pub(crate) const fn count<T>(items: &[T]) -> u64 {
    items.len() as u64
}

/// A message to carry to the other half.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Output<P> {
    /// The message.
    pub message: Message<P>,
    /// Bytes read from the disks to make it.
    pub read_bytes: u64,
}
