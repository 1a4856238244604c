//! The TCP driver of the resynchronization: two machines, an image on each.
//!
//! Both sides know a key. Each proves it to the other over fresh random numbers of both, and from then on every frame
//! carries a digest under keys of this session, one for each direction, that covers its place in the order: what is
//! changed, repeated, left out or put in is noticed and ends the session. Nothing is encrypted.
//!
//! A peer can make this side neither allocate more than a frame ([`LONGEST_FRAME`]), nor wait longer than [`Limits`]
//! say. The engine itself works on the caller's thread ([`drive`]); only bytes are moved on the runtime.

mod channel;
mod drive;
mod handshake;
mod serve;

use std::io;
use std::time::Duration;

pub use channel::{Channel, Traffic};
pub use drive::{drive, runtime};
pub use handshake::{Direction, Key, Request, request};
pub use hvrsim_resync::throttle::Settings;
pub use hvrsim_resync::wire::LONGEST_FRAME;
pub use serve::{Session, accept};

/// How long this side waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// For the proof of the key and the request.
    pub handshake: Duration,
    /// For any sign of life; a side at work gives one more often than that.
    pub silence: Duration,
    /// For a frame that carries the work on.
    pub progress: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            silence: Duration::from_secs(60),
            progress: Duration::from_secs(600),
        }
    }
}

/// Why a session ended before its work was done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection failed or was closed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The other side kept silent for too long.
    #[error("the other side gave no sign of life for {} s", .0.as_secs())]
    Silent(Duration),
    /// The other side does not know the key, or is no side of this protocol.
    #[error("the other side could not prove that it knows the key")]
    Key,
    /// A frame that was changed, repeated, left out or put in on the way.
    #[error("a frame was not what the other side sent")]
    Forged,
    /// A frame longer than any that this protocol has.
    #[error("the other side announced a frame of {0} bytes")]
    TooLong(u32),
    /// The other side does not do what was asked.
    #[error("the other side refused: {0}")]
    Refused(String),
    /// The key is too short to be one.
    #[error("the key has {0} bytes; at least 16 are needed")]
    ShortKey(usize),
    /// The engine cannot go on.
    #[error(transparent)]
    Engine(#[from] hvrsim_resync::wire::Error),
}
