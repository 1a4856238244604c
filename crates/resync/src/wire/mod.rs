//! The two halves over a wire: one image here, one there, many pieces on their way at once.
//!
//! [`SourceEnd`] and [`TargetEnd`] are state machines of bytes in and bytes out; how [`Frame`]s travel, and that they
//! arrive whole, in order and from whom they claim to be, is the driver's work. The target speaks first, so that the
//! direction that is usually the narrow one carries digests only where both sides hold something:
//!
//! | from | frame | says |
//! |---|---|---|
//! | source | `Open` | the disk's size, the generation of its content |
//! | target | `Begin` | where it goes on |
//! | target | `WantMap` | asks for the map from here on |
//! | source | `Map` | where to look, and what may hold something there |
//! | target | `Ask` | a piece: digests of the blocks that hold something here |
//! | source | `Refine` | digests of the cells of these blocks are wanted |
//! | target | `Cells` | they are these |
//! | source | `Answer` | what differs in the piece: nothing, zeros, content |
//! | target | `Finished` | everything is equal and durable |
//!
//! A guest chooses what its disk holds, so digests are BLAKE3 with a key of the session, cut to 16 bytes.

mod source;
mod target;

use serde::{Deserialize, Serialize};

pub use source::SourceEnd;
pub use target::TargetEnd;

use crate::blocks::Digest;
use crate::direct::{Error as ImageError, Summary};

/// The version of the frames, told in [`Frame::Open`].
pub const VERSION: u32 = 1;
/// No frame is longer than this many bytes.
pub const LONGEST_FRAME: usize = (2 << 20) + (64 << 10);
/// Pieces that are asked for and not answered: what a long way costs is paid once for all of them.
pub const WINDOW: usize = 16;
/// The longest piece.
pub(crate) const PIECE: u64 = 2 << 20;
/// Runs in a map, at most.
const MAP_RUNS: usize = 16_384;

/// The first block or cell, and how many.
pub type Span = (u64, u64);

/// What the two ends say to each other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Frame {
    /// The source begins.
    Open {
        /// [`VERSION`].
        version: u32,
        /// Bytes of the disk.
        size: u64,
        /// Names the content of the source: another one is compared from the beginning.
        generation: [u8; 32],
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
        /// The digests of all cells of the blocks, in order.
        digests: Vec<Digest>,
    },
    /// What differs in a piece; what is named in neither list is equal.
    Answer(Answer),
    /// Everything is equal and durable.
    Finished {
        /// What was done, in earlier runs that this one went on from too.
        summary: Summary,
    },
}

/// What differs in a piece.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// The piece.
    pub start: u64,
    /// Cells of blocks that hold something on both sides.
    pub compared: u32,
    /// Runs of cells of the piece that are zero.
    pub zero: Vec<(u32, u32)>,
    /// Runs of cells of the piece with other content.
    pub write: Vec<(u32, u32)>,
    /// Whether the content is compressed.
    pub packed: bool,
    /// The content, in order.
    #[serde(with = "bytes")]
    pub content: Vec<u8>,
}

/// Why an end cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An image, the bitmap or the checkpoint failed; or the disks differ in size.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The other end speaks another version.
    #[error("the other side speaks version {theirs} of the protocol, this side version {VERSION}")]
    Version {
        /// The other end's version.
        theirs: u32,
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

impl Frame {
    /// The frame as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Bytes as a frame. What a frame takes in memory is bounded by the bytes that came.
    ///
    /// # Errors
    /// The bytes are no frame, or too many, or followed by others.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > LONGEST_FRAME {
            return Err(Error::Garbage);
        }
        match postcard::take_from_bytes(bytes) {
            Ok((frame, [])) => Ok(frame),
            _ => Err(Error::Garbage),
        }
    }

    const fn name(&self) -> &'static str {
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

/// What a driver moves: frames in, frames out.
pub trait End {
    /// Takes a frame.
    ///
    /// # Errors
    /// An image failed, or the frame does not fit.
    fn handle(&mut self, frame: Frame) -> Result<(), Error>;
    /// The next frame to send; `None` until another one has come, and for ever when the work is done.
    ///
    /// # Errors
    /// An image failed.
    fn next(&mut self) -> Result<Option<Frame>, Error>;
    /// What was done, once everything is equal and durable on the target's side.
    fn finished(&self) -> Option<Summary>;
    /// The connection is gone: keeps what can be kept.
    ///
    /// # Errors
    /// The target or the checkpoint failed.
    fn interrupted(&mut self) -> Result<(), Error>;
}

fn digest(key: &[u8; 32], content: &[u8]) -> Digest {
    let mut out = [0; 16];
    out.copy_from_slice(&blake3::keyed_hash(key, content).as_bytes()[..16]);
    out
}

/// Content as one byte string: a sequence would cost a call for each byte.
mod bytes {
    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Vec<u8>, A::Error> {
                Err(A::Error::custom("a byte string"))
            }
        }
        from.deserialize_bytes(Bytes)
    }
}
