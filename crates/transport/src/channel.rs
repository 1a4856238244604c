//! Authenticated frames over a stream of bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hvrsim_resync::throttle::{Controller, Settings, Throttle};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use crate::{Error, LONGEST_FRAME};

const TAG: usize = 16;
/// The bit of a frame's length that marks one of the channel's own: how many bytes have arrived.
const OWN: u32 = 1 << 31;
/// Bytes of such a frame.
const OWN_LEN: u32 = 8;
/// The other side is told after so many bytes.
const ACKNOWLEDGE_EVERY: u64 = 64 << 10;
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
    half: BufReader<ReadHalf<S>>,
    order: Order,
    silence: Duration,
    traffic: Traffic,
    arrivals: Arc<Arrivals>,
}

pub(crate) struct Writer<S> {
    half: WriteHalf<S>,
    pacing: Option<Pacing>,
    order: Order,
    silence: Duration,
    traffic: Traffic,
    arrivals: Arc<Arrivals>,
}

/// What arrived, in bytes of whole frames since the handshake; both sides count alike.
#[derive(Default)]
pub(crate) struct Arrivals {
    here: AtomicU64,
    there: AtomicU64,
    /// So much came that the other side is to be told.
    due: Notify,
}

impl Arrivals {
    fn came(&self, bytes: u64) {
        let before = self.here.fetch_add(bytes, Ordering::Relaxed);
        if before / ACKNOWLEDGE_EVERY != (before + bytes) / ACKNOWLEDGE_EVERY {
            self.due.notify_one();
        }
    }

    /// Returns when the other side is to be told.
    pub(crate) async fn due(&self) {
        self.due.notified().await;
    }
}

/// A hard limit, and inside it the rate that the way takes, on the runtime's clock.
struct Pacing {
    limit: Option<Throttle>,
    controlled: Option<(Controller, Throttle)>,
    /// Bytes that the controller knows to have arrived.
    arrived: u64,
    since: Instant,
}

impl Pacing {
    fn new() -> Self {
        Self { limit: None, controlled: None, arrived: 0, since: Instant::now() }
    }

    /// The most that may go at once.
    fn at_once(&self) -> usize {
        let bursts =
            self.limit.iter().chain(self.controlled.iter().map(|(_, soft)| soft)).map(Throttle::burst);
        bursts.min().map_or(STEP, |burst| usize::try_from(burst).unwrap_or(STEP).min(STEP))
    }

    async fn wait(&mut self, bytes: usize, arrivals: &Arrivals) {
        let now = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let bytes = bytes as u64;
        let mut at = self.limit.as_mut().map_or(now, |limit| limit.take(now, bytes));
        if let Some((controller, soft)) = &mut self.controlled {
            let arrived = arrivals.there.load(Ordering::Relaxed);
            controller.acknowledged(arrived.saturating_sub(self.arrived));
            self.arrived = self.arrived.max(arrived);
            soft.retune(controller.rate(now));
            at = at.max(soft.take(now, bytes));
            controller.sent(bytes);
        }
        sleep_until(self.since + Duration::from_nanos(at)).await;
    }
}

/// The key of a direction, and which frame is next.
struct Order {
    key: [u8; 32],
    next: u64,
}

impl Order {
    fn tag(&mut self, head: [u8; 4], body: &[u8]) -> [u8; TAG] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&self.next.to_le_bytes()).update(&head).update(body);
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
        let arrivals = Arc::new(Arrivals::default());
        Self {
            reader: Reader {
                half: BufReader::with_capacity(STEP, read),
                order: order(keys.incoming),
                silence,
                traffic: traffic.clone(),
                arrivals: Arc::clone(&arrivals),
            },
            writer: Writer {
                half: write,
                pacing: None,
                order: order(keys.outgoing),
                silence,
                traffic: traffic.clone(),
                arrivals,
            },
            digest_key: keys.digest,
            traffic,
        }
    }

    /// From now on no second sees more bytes than this from this side.
    pub fn limit(&mut self, bytes_per_second: u64) {
        self.writer.pacing().limit = Some(Throttle::new(bytes_per_second));
    }

    /// From now on this side sends as the way takes it, inside these settings.
    pub fn control(&mut self, settings: Settings) {
        let soft = Throttle::new(settings.min_bytes_per_s);
        // The few bytes of the handshake's frames count as arrived once, which is nothing to a controller.
        let pacing = self.writer.pacing();
        pacing.controlled = Some((Controller::new(settings), soft));
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
        loop {
            let Some((own, body)) = self.frame().await? else { return Ok(None) };
            if !own {
                return Ok(Some(body));
            }
            let arrived = body.try_into().map(u64::from_le_bytes).map_err(|_| Error::Forged)?;
            self.arrivals.there.fetch_max(arrived, Ordering::Relaxed);
        }
    }

    /// A frame, and whether it is the channel's own.
    async fn frame(&mut self) -> Result<Option<(bool, Vec<u8>)>, Error> {
        let silence = self.silence;
        let mut head = [0; 4];
        let first = timeout(silence, self.half.read(&mut head[..1])).await;
        if first.map_err(|_| Error::Silent(silence))?? == 0 {
            return Ok(None);
        }
        self.fill(&mut head[1..]).await?;
        let announced = u32::from_le_bytes(head);
        let own = announced & OWN != 0;
        let len = usize::try_from(announced & !OWN).unwrap_or(usize::MAX);
        if len > LONGEST_FRAME || own && announced != OWN | OWN_LEN {
            return Err(Error::TooLong(announced));
        }
        let mut body = vec![0; len];
        self.fill(&mut body).await?;
        let mut tag = [0; TAG];
        self.fill(&mut tag).await?;
        self.traffic.add(4 + len + TAG);
        self.arrivals.came((4 + len + TAG) as u64);
        let expected = self.order.tag(head, &body);
        // Without an early end, so that time tells nothing.
        let differ = tag.iter().zip(&expected).fold(0, |differ, (a, b)| differ | (a ^ b));
        if differ == 0 { Ok(Some((own, body))) } else { Err(Error::Forged) }
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
        self.frame(len.ok_or(Error::TooLong(u32::MAX))?, body).await
    }

    /// Tells the other side what has arrived here.
    pub(crate) async fn acknowledge(&mut self) -> Result<(), Error> {
        let arrived = self.arrivals.here.load(Ordering::Relaxed).to_le_bytes();
        self.frame(OWN | OWN_LEN, &arrived).await
    }

    pub(crate) fn arrivals(&self) -> Arc<Arrivals> {
        Arc::clone(&self.arrivals)
    }

    fn pacing(&mut self) -> &mut Pacing {
        self.pacing.get_or_insert_with(Pacing::new)
    }

    async fn frame(&mut self, head: u32, body: &[u8]) -> Result<(), Error> {
        let head = head.to_le_bytes();
        let tag = self.order.tag(head, body);
        let silence = self.silence;
        // Parts that went by themselves would each wake the other side.
        self.part(&[&head[..], body, &tag].concat(), silence).await?;
        timeout(silence, self.half.flush()).await.map_err(|_| Error::Silent(silence))??;
        self.traffic.add(head.len() + body.len() + TAG);
        Ok(())
    }

    async fn part(&mut self, bytes: &[u8], silence: Duration) -> Result<(), Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            // The rate may change from one to the next.
            let at_once = self.pacing.as_ref().map_or(STEP, Pacing::at_once).min(rest.len());
            let (now, later) = rest.split_at(at_once);
            if let Some(pacing) = &mut self.pacing {
                pacing.wait(now.len(), &self.arrivals).await;
            }
            timeout(silence, self.half.write_all(now)).await.map_err(|_| Error::Silent(silence))??;
            rest = later;
        }
        Ok(())
    }

    pub(crate) async fn close(&mut self) -> Result<(), Error> {
        let silence = self.silence;
        Ok(timeout(silence, self.half.shutdown()).await.map_err(|_| Error::Silent(silence))??)
    }
}

#[cfg(test)]
impl<S: AsyncWrite> Writer<S> {
    /// Sends a frame byte by byte.
    pub(crate) async fn drip(&mut self, body: &[u8], pause: Duration) {
        let head = u32::try_from(body.len()).unwrap_or(0);
        self.drip_head(head).await;
        for byte in body {
            if self.half.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Announces a frame that does not come.
    pub(crate) async fn drip_head(&mut self, head: u32) {
        let _ = self.half.write_all(&head.to_le_bytes()).await;
    }

    /// The next frame claims the place of the last one.
    pub(crate) fn say_again(&mut self) {
        self.order.next -= 1;
    }
}
