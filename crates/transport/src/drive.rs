//! An end of the engine on a channel: the engine on the caller's thread, bytes on the runtime.

use hvrsim_resync::wire::{End, Frame};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::channel::{Channel, Reader, Writer};
use crate::{Error, Limits};

/// Frames that came and wait for the engine.
const IN: usize = 2;
/// Frames that wait for the wire. All that a target has to say in a window fit in, so that it never waits for a source
/// that waits for it.
const OUT: usize = 64;
/// Bytes that wait for the wire, beyond which a sender waits: a source's frames are long.
const OUT_BYTES: usize = 8 << 20;

/// A runtime that moves bytes.
///
/// # Errors
/// The system gives no thread.
pub fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// Drives an end until its work is done. Call it outside the runtime whose handle is given.
///
/// # Errors
/// The connection or the engine failed; the end has kept what can be kept.
pub fn drive<S: AsyncRead + AsyncWrite + Send + 'static>(
    runtime: &Handle,
    channel: Channel<S>,
    end: &mut dyn End,
    limits: Limits,
) -> Result<(), Error> {
    let (out, to_send) = mpsc::channel::<Vec<u8>>(OUT);
    let (came, mut incoming) = mpsc::channel(IN);
    let room = std::sync::Arc::new(tokio::sync::Semaphore::new(OUT_BYTES));
    let writing = runtime.spawn(write(channel.writer, to_send, std::sync::Arc::clone(&room), limits));
    let reading = runtime.spawn(read(channel.reader, came));
    let mut outlet = Outlet { runtime, out, room, patience: limits.progress };
    let mut done = work(runtime, end, &mut outlet, &mut incoming, limits);
    drop(outlet);
    // A peer that takes a few bytes now and then must not hold this side up for ever.
    let stop = writing.abort_handle();
    let last = runtime.block_on(async { timeout(limits.progress, writing).await });
    let written = last.map_or_else(|_| Err(Error::Silent(limits.progress)), |done| done.unwrap_or(Ok(())));
    stop.abort();
    if done.is_ok() {
        // The other side's last bytes count, too; it closes when it is done.
        let rest = async { while incoming.recv().await.is_some() {} };
        let _ = runtime.block_on(async { timeout(limits.silence, rest).await });
    }
    reading.abort();
    if end.finished().is_some() {
        return done.and(written);
    }
    if let Err(Error::Io(_)) = &done {
        // Why the wire ended is worth more than that it did.
        done = written.and(done);
    }
    end.interrupted()?;
    done
}

struct Outlet<'a> {
    runtime: &'a Handle,
    out: mpsc::Sender<Vec<u8>>,
    room: std::sync::Arc<tokio::sync::Semaphore>,
    patience: std::time::Duration,
}

impl Outlet<'_> {
    fn send(&mut self, frame: &Frame) -> Result<(), Error> {
        let bytes = frame.encode();
        let closed = || Error::Io(std::io::ErrorKind::BrokenPipe.into());
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let sending = async {
            self.room.acquire_many(size).await.map_err(|_| closed())?.forget();
            self.out.send(bytes).await.map_err(|_| closed())
        };
        let sent = self.runtime.block_on(async { timeout(self.patience, sending).await });
        sent.unwrap_or(Err(Error::Silent(self.patience)))
    }
}

fn work(
    runtime: &Handle,
    end: &mut dyn End,
    outlet: &mut Outlet<'_>,
    incoming: &mut mpsc::Receiver<Result<Vec<u8>, Error>>,
    limits: Limits,
) -> Result<(), Error> {
    loop {
        // By turns: a peer that asks and does not listen makes nothing pile up here, and what came makes room for more
        // to be asked for.
        if let Ok(body) = incoming.try_recv() {
            end.handle(Frame::decode(&body?)?)?;
        }
        if let Some(frame) = end.next()? {
            outlet.send(&frame)?;
            continue;
        }
        if end.finished().is_some() {
            return Ok(());
        }
        let next = runtime.block_on(async { timeout(limits.progress, incoming.recv()).await });
        match next {
            Ok(Some(body)) => end.handle(Frame::decode(&body?)?)?,
            Ok(None) => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            Err(_) => return Err(Error::Silent(limits.progress)),
        }
    }
}

async fn read<S: AsyncRead>(mut reader: Reader<S>, came: mpsc::Sender<Result<Vec<u8>, Error>>) {
    loop {
        let told = match reader.read().await {
            Ok(None) => return,
            Ok(Some(body)) if body.is_empty() => continue,
            Ok(Some(body)) => Ok(body),
            Err(error) => Err(error),
        };
        let last = told.is_err();
        if came.send(told).await.is_err() || last {
            return;
        }
    }
}

/// Sends what there is, tells what arrived, and gives a sign of life when there is nothing.
async fn write<S: AsyncWrite>(
    mut writer: Writer<S>,
    mut to_send: mpsc::Receiver<Vec<u8>>,
    room: std::sync::Arc<tokio::sync::Semaphore>,
    limits: Limits,
) -> Result<(), Error> {
    let arrivals = writer.arrivals();
    loop {
        let sent = tokio::select! {
            body = to_send.recv() => match body {
                Some(body) => {
                    let sent = writer.write(&body).await;
                    room.add_permits(body.len());
                    sent
                }
                None => return writer.close().await,
            },
            () = arrivals.due() => writer.acknowledge().await,
            () = sleep(limits.silence / 4) => writer.write(&[]).await,
        };
        if sent.is_err() {
            room.close();
            return sent;
        }
    }
}

#[cfg(test)]
mod tests {
    //! A peer that knows the key and means no good.

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use hvrsim_resync::direct::Summary;
    use hvrsim_resync::wire::Error as WireError;
    use tokio::io::{DuplexStream, duplex};

    use super::*;
    use crate::LONGEST_FRAME;
    use crate::channel::{Keys, Traffic};

    const LIMITS: Limits = Limits {
        handshake: Duration::from_secs(1),
        silence: Duration::from_secs(1),
        progress: Duration::from_secs(2),
    };

    /// An end that answers each frame with a long one, and counts.
    struct Talker {
        heard: Arc<AtomicUsize>,
        owed: usize,
    }

    impl End for Talker {
        fn handle(&mut self, _: Frame) -> Result<(), WireError> {
            self.heard.fetch_add(1, Ordering::Relaxed);
            self.owed += 1;
            Ok(())
        }

        fn next(&mut self) -> Result<Option<Frame>, WireError> {
            let Some(owed) = self.owed.checked_sub(1) else { return Ok(None) };
            self.owed = owed;
            Ok(Some(Frame::Map { from: 0, to: 1, candidates: vec![(1, 1); 50_000], held: Vec::new() }))
        }

        fn finished(&self) -> Option<Summary> {
            None
        }

        fn interrupted(&mut self) -> Result<(), WireError> {
            Ok(())
        }
    }

    /// Our end against what a peer does with its channel or its bare stream; how it ends, after how long, and how many
    /// frames were heard.
    fn against<F>(peer: impl FnOnce(Channel<DuplexStream>) -> F) -> (Result<(), Error>, Duration, usize)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = runtime().unwrap();
        let (here, there) = duplex(64 << 10);
        let keys =
            |incoming, outgoing| Keys { incoming: [incoming; 32], outgoing: [outgoing; 32], digest: [0; 32] };
        let channel = Channel::new(here, &keys(1, 2), LIMITS.silence, Traffic::default());
        let theirs = Channel::new(there, &keys(2, 1), Duration::from_secs(3600), Traffic::default());
        let at_work = runtime.spawn(peer(theirs));
        let heard = Arc::new(AtomicUsize::new(0));
        let mut end = Talker { heard: Arc::clone(&heard), owed: 0 };
        let begun = Instant::now();
        let done = drive(runtime.handle(), channel, &mut end, LIMITS);
        let took = begun.elapsed();
        at_work.abort();
        (done, took, heard.load(Ordering::Relaxed))
    }

    /// Far above the limits: a machine may be busy.
    const LATE: Duration = Duration::from_secs(30);

    #[test]
    fn signs_of_life_are_no_progress() {
        let (done, took, _) = against(|mut peer| async move {
            while peer.writer.write(&[]).await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(matches!(done, Err(Error::Silent(_))), "{done:?}");
        assert!(took < LATE, "{took:?}");
    }

    #[test]
    fn own_frames_without_end_are_no_progress() {
        let (done, took, _) = against(|mut peer| async move {
            while peer.writer.acknowledge().await.is_ok() {
                sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(matches!(done, Err(Error::Silent(_))), "{done:?}");
        assert!(took < LATE, "{took:?}");
    }

    #[test]
    fn a_frame_that_never_ends_is_left() {
        let (done, took, _) = against(|mut peer| async move {
            let whole = vec![7; LONGEST_FRAME];
            peer.writer.drip(&whole, Duration::from_millis(50)).await;
        });
        assert!(matches!(done, Err(Error::Silent(_))), "{done:?}");
        assert!(took < LATE, "{took:?}");
    }

    #[test]
    fn a_frame_too_long_is_refused_before_it_comes() {
        for announced in [u32::try_from(LONGEST_FRAME + 1).unwrap(), u32::MAX, 1 << 31 | 7] {
            let (done, _, heard) = against(|mut peer| async move {
                peer.writer.drip_head(announced).await;
                sleep(LATE).await;
            });
            assert!(matches!(done, Err(Error::TooLong(told)) if told == announced), "{done:?}");
            assert_eq!(heard, 0);
        }
    }

    #[test]
    fn a_peer_that_asks_and_does_not_listen_makes_nothing_pile_up() {
        let (done, took, heard) = against(|mut peer| async move {
            let ask = Frame::WantMap { from: 0 }.encode();
            while peer.writer.write(&ask).await.is_ok() {}
        });
        assert!(matches!(done, Err(Error::Silent(_))), "{done:?}");
        assert!(took < LATE, "{took:?}");
        // Each would have been answered with 100 kB; no more than what waits for the wire was.
        assert!(heard * 100_000 <= 2 * OUT_BYTES, "{heard} answers");
    }

    #[test]
    fn a_frame_said_twice_is_noticed() {
        let (done, _, heard) = against(|mut peer| async move {
            peer.writer.write(&Frame::WantMap { from: 0 }.encode()).await.unwrap();
            peer.writer.say_again();
            peer.writer.write(&Frame::WantMap { from: 0 }.encode()).await.unwrap();
            while peer.reader.read().await.is_ok_and(|frame| frame.is_some()) {}
        });
        assert!(matches!(done, Err(Error::Forged)), "{done:?}");
        assert_eq!(heard, 1);
    }
}
