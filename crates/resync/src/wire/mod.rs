//! The engine between images on two machines: bytes in, bytes out.
//!
//! [`SourceEnd`] and [`TargetEnd`] are the two halves with an image each; how [`Frame`]s travel, and that they arrive
//! whole, in order and from whom they claim to be, is the driver's work. A guest chooses what its disk holds, so digests
//! are BLAKE3 with a key of the session, cut to 16 bytes; content is packed with zstd where that shrinks it.

mod image;

use std::sync::Arc;

use hvrsim_disk::Image;
use hvrsim_disk::file::BlockFile;
use serde::{Deserialize, Serialize};

use self::image::{ImageDisk, Notes};
use crate::checkpoint::Checkpoint;
use crate::direct::{Error as ImageError, Side, Summary};
pub use crate::frame::{Span, VERSION};
use crate::source::Source;
use crate::target::Target;
pub use crate::target::{PIECE, WINDOW};

/// No frame is longer than this many bytes.
pub const LONGEST_FRAME: usize = (2 << 20) + (64 << 10);

/// What the two ends say to each other.
pub type Frame = crate::frame::Frame<Content>;
/// What differs in a piece.
pub type Answer = crate::frame::Answer<Content>;
/// Why an end cannot go on.
pub type Error = crate::error::Error<ImageError>;

/// Content of cells on the wire.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Content {
    /// Whether it is compressed.
    pub packed: bool,
    /// The content, in order.
    #[serde(with = "bytes")]
    pub bytes: Vec<u8>,
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

/// The end at the image that is read.
pub struct SourceEnd<'a> {
    half: Source,
    disk: ImageDisk<&'a dyn Image, Option<Arc<dyn BlockFile>>>,
}

impl<'a> SourceEnd<'a> {
    /// An end that has said nothing yet. `key` is the session's, for digests; `generation` names the image's content.
    #[must_use]
    pub fn new(
        image: &'a dyn Image,
        bitmap: Option<Arc<dyn BlockFile>>,
        key: [u8; 32],
        generation: [u8; 32],
    ) -> Self {
        let disk = ImageDisk::new(image, bitmap, Side::Source, key);
        Self { half: Source::new(generation, false), disk }
    }

    /// Content sent in this run, before compression.
    #[must_use]
    pub const fn sent_bytes(&self) -> u64 {
        self.half.sent_bytes()
    }
}

impl End for SourceEnd<'_> {
    fn handle(&mut self, frame: Frame) -> Result<(), Error> {
        self.half.handle(&self.disk, frame)
    }

    fn next(&mut self) -> Result<Option<Frame>, Error> {
        self.half.next(&mut self.disk)
    }

    fn finished(&self) -> Option<Summary> {
        self.half.finished()
    }

    fn interrupted(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Makes the checkpoint of a run, once the source's generation is known.
pub type OpenCheckpoint<'a> =
    Box<dyn FnMut([u8; 32], &dyn Image) -> std::io::Result<Option<Checkpoint>> + Send + 'a>;

/// The end at the image that is made equal.
pub struct TargetEnd<'a> {
    half: Target,
    disk: ImageDisk<&'a mut dyn Image, Notes<'a>>,
}

impl<'a> TargetEnd<'a> {
    /// An end that has heard nothing yet. `key` is the session's, for digests.
    pub fn new(image: &'a mut dyn Image, key: [u8; 32], open: OpenCheckpoint<'a>) -> Self {
        let notes = Notes { open, checkpoint: None };
        Self { half: Target::new(), disk: ImageDisk::new(image, notes, Side::Target, key) }
    }

    /// Asks for pieces of at most so many bytes, a multiple of 64 KiB up to [`PIECE`].
    #[must_use]
    pub fn of_pieces(self, bytes: u64) -> Self {
        Self { half: Target::of_pieces(bytes), ..self }
    }

    /// Everything in front of it is done.
    #[must_use]
    pub fn done_to(&self) -> u64 {
        self.half.done_to()
    }
}

impl End for TargetEnd<'_> {
    fn handle(&mut self, frame: Frame) -> Result<(), Error> {
        self.half.handle(&mut self.disk, frame)
    }

    fn next(&mut self) -> Result<Option<Frame>, Error> {
        self.half.next(&mut self.disk)
    }

    fn finished(&self) -> Option<Summary> {
        self.half.finished()
    }

    fn interrupted(&mut self) -> Result<(), Error> {
        Ok(self.half.interrupt(&mut self.disk)?)
    }
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
