//! Authenticated frames over a stream of bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;

use crate::{Error, LONGEST_FRAME};

const TAG: usize = 16;

/// Bytes on the wire in both directions, everything included.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<AtomicU64>);

impl Traffic {
    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many until now.
    #[must_use]
    pub fn wire_bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream whose other end has proved that it knows the key.
pub struct Channel<S> {
    pub(crate) reader: Reader<S>,
    pub(crate) writer: Writer<S>,
    /// The key of the session for digests of content; both ends have the same.
    pub digest_key: [u8; 32],
    /// What went over the stream.
    pub traffic: Traffic,
}

pub(crate) struct Reader<S> {
    half: ReadHalf<S>,
    order: Order,
    silence: Duration,
    traffic: Traffic,
}

pub(crate) struct Writer<S> {
    half: WriteHalf<S>,
    order: Order,
    silence: Duration,
    traffic: Traffic,
}

/// The key of a direction, and which frame is next.
struct Order {
    key: [u8; 32],
    next: u64,
}

impl Order {
    fn tag(&mut self, body: &[u8]) -> [u8; TAG] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&self.next.to_le_bytes()).update(body);
        self.next += 1;
        let mut tag = [0; TAG];
        hasher.finalize_xof().fill(&mut tag);
        tag
    }
}

impl<S: AsyncRead + AsyncWrite> Channel<S> {
    pub(crate) fn new(stream: S, keys: &Keys, silence: Duration, traffic: Traffic) -> Self {
        let (read, write) = tokio::io::split(stream);
        let order = |key| Order { key, next: 0 };
        Self {
            reader: Reader { half: read, order: order(keys.incoming), silence, traffic: traffic.clone() },
            writer: Writer { half: write, order: order(keys.outgoing), silence, traffic: traffic.clone() },
            digest_key: keys.digest,
            traffic,
        }
    }
}

/// The keys of a session, as one end uses them.
pub(crate) struct Keys {
    pub incoming: [u8; 32],
    pub outgoing: [u8; 32],
    pub digest: [u8; 32],
}

impl<S: AsyncRead> Reader<S> {
    /// The next frame; none when the other end closed between two frames. An empty one is a sign of life.
    pub(crate) async fn read(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let silence = self.silence;
        let frame = timeout(silence, self.frame()).await.map_err(|_| Error::Silent(silence))??;
        Ok(frame)
    }

    async fn frame(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut len = [0; 4];
        if self.half.read(&mut len[..1]).await? == 0 {
            return Ok(None);
        }
        self.half.read_exact(&mut len[1..]).await?;
        let announced = u32::from_le_bytes(len);
        let len = usize::try_from(announced).unwrap_or(usize::MAX);
        if len > LONGEST_FRAME {
            return Err(Error::TooLong(announced));
        }
        let mut body = vec![0; len];
        self.half.read_exact(&mut body).await?;
        let mut tag = [0; TAG];
        self.half.read_exact(&mut tag).await?;
        self.traffic.add(4 + len + TAG);
        let expected = self.order.tag(&body);
        // Without an early end, so that time tells nothing.
        let differ = tag.iter().zip(&expected).fold(0, |differ, (a, b)| differ | (a ^ b));
        if differ == 0 { Ok(Some(body)) } else { Err(Error::Forged) }
    }
}

impl<S: AsyncWrite> Writer<S> {
    pub(crate) async fn write(&mut self, body: &[u8]) -> Result<(), Error> {
        let len = u32::try_from(body.len()).ok().filter(|_| body.len() <= LONGEST_FRAME);
        let len = len.ok_or(Error::TooLong(u32::MAX))?;
        let tag = self.order.tag(body);
        let silence = self.silence;
        let all = async {
            self.half.write_all(&len.to_le_bytes()).await?;
            self.half.write_all(body).await?;
            self.half.write_all(&tag).await?;
            self.half.flush().await
        };
        timeout(silence, all).await.map_err(|_| Error::Silent(silence))??;
        self.traffic.add(4 + body.len() + TAG);
        Ok(())
    }

    pub(crate) async fn close(&mut self) -> Result<(), Error> {
        let silence = self.silence;
        Ok(timeout(silence, self.half.shutdown()).await.map_err(|_| Error::Silent(silence))??)
    }
}
