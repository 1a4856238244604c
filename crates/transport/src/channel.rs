//! Authenticated frames over a stream of bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hvrsim_resync::throttle::Throttle;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{Error, LONGEST_FRAME};

const TAG: usize = 16;
/// Bytes that have to move within the time for silence: a frame may take longer on a slow way.
const STEP: usize = 16 << 10;

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
    limit: Option<Limit>,
    order: Order,
    silence: Duration,
    traffic: Traffic,
}

/// A throttle on the runtime's clock.
struct Limit {
    throttle: Throttle,
    since: Instant,
}

impl Limit {
    fn burst(&self) -> usize {
        usize::try_from(self.throttle.burst()).unwrap_or(usize::MAX)
    }

    async fn wait(&mut self, bytes: usize) {
        let now = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let at = self.throttle.take(now, bytes as u64);
        sleep_until(self.since + Duration::from_nanos(at)).await;
    }
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
            writer: Writer {
                half: write,
                limit: None,
                order: order(keys.outgoing),
                silence,
                traffic: traffic.clone(),
            },
            digest_key: keys.digest,
            traffic,
        }
    }

    /// From now on no second sees more bytes than this from this side.
    pub fn limit(&mut self, bytes_per_second: u64) {
        self.writer.limit(bytes_per_second);
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
        let mut len = [0; 4];
        let first = timeout(silence, self.half.read(&mut len[..1])).await;
        if first.map_err(|_| Error::Silent(silence))?? == 0 {
            return Ok(None);
        }
        self.fill(&mut len[1..]).await?;
        let announced = u32::from_le_bytes(len);
        let len = usize::try_from(announced).unwrap_or(usize::MAX);
        if len > LONGEST_FRAME {
            return Err(Error::TooLong(announced));
        }
        let mut body = vec![0; len];
        self.fill(&mut body).await?;
        let mut tag = [0; TAG];
        self.fill(&mut tag).await?;
        self.traffic.add(4 + len + TAG);
        let expected = self.order.tag(&body);
        // Without an early end, so that time tells nothing.
        let differ = tag.iter().zip(&expected).fold(0, |differ, (a, b)| differ | (a ^ b));
        if differ == 0 { Ok(Some(body)) } else { Err(Error::Forged) }
    }

    async fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        let silence = self.silence;
        for part in buffer.chunks_mut(STEP) {
            timeout(silence, self.half.read_exact(part)).await.map_err(|_| Error::Silent(silence))??;
        }
        Ok(())
    }
}

impl<S: AsyncWrite> Writer<S> {
    pub(crate) async fn write(&mut self, body: &[u8]) -> Result<(), Error> {
        let len = u32::try_from(body.len()).ok().filter(|_| body.len() <= LONGEST_FRAME);
        let len = len.ok_or(Error::TooLong(u32::MAX))?;
        let tag = self.order.tag(body);
        let silence = self.silence;
        for part in [&len.to_le_bytes()[..], body, &tag] {
            self.part(part, silence).await?;
        }
        timeout(silence, self.half.flush()).await.map_err(|_| Error::Silent(silence))??;
        self.traffic.add(4 + body.len() + TAG);
        Ok(())
    }

    /// From now on no second sees more bytes than this.
    pub(crate) fn limit(&mut self, bytes_per_second: u64) {
        self.limit = Some(Limit { throttle: Throttle::new(bytes_per_second), since: Instant::now() });
    }

    async fn part(&mut self, bytes: &[u8], silence: Duration) -> Result<(), Error> {
        let at_once = self.limit.as_ref().map_or(STEP, |limit| limit.burst().min(STEP));
        for bytes in bytes.chunks(at_once) {
            if let Some(limit) = &mut self.limit {
                limit.wait(bytes.len()).await;
            }
            timeout(silence, self.half.write_all(bytes)).await.map_err(|_| Error::Silent(silence))??;
        }
        Ok(())
    }

    pub(crate) async fn close(&mut self) -> Result<(), Error> {
        let silence = self.silence;
        Ok(timeout(silence, self.half.shutdown()).await.map_err(|_| Error::Silent(silence))??)
    }
}
