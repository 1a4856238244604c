//! An end of the engine on a channel: the engine on the caller's thread, bytes on the runtime.

use hvrsim_resync::wire::{End, Frame};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;

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
    let mut outlet = Outlet { runtime, out, room };
    let mut done = work(runtime, end, &mut outlet, &mut incoming, limits);
    drop(outlet);
    let written = runtime.block_on(writing).unwrap_or(Ok(()));
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
}

impl Outlet<'_> {
    fn send(&mut self, frame: &Frame) -> Result<(), Error> {
        let bytes = frame.encode();
        let closed = || Error::Io(std::io::ErrorKind::BrokenPipe.into());
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let permit = self.runtime.block_on(self.room.acquire_many(size)).map_err(|_| closed())?;
        permit.forget();
        self.out.blocking_send(bytes).map_err(|_| closed())
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
        // What came goes first: it makes room for more to be asked for.
        while let Ok(body) = incoming.try_recv() {
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

/// Sends what there is, and a sign of life when there is nothing.
async fn write<S: AsyncWrite>(
    mut writer: Writer<S>,
    mut to_send: mpsc::Receiver<Vec<u8>>,
    room: std::sync::Arc<tokio::sync::Semaphore>,
    limits: Limits,
) -> Result<(), Error> {
    loop {
        let sent = match timeout(limits.silence / 4, to_send.recv()).await {
            Ok(Some(body)) => {
                let sent = writer.write(&body).await;
                room.add_permits(body.len());
                sent
            }
            Ok(None) => return writer.close().await,
            Err(_) => writer.write(&[]).await,
        };
        if sent.is_err() {
            room.close();
            return sent;
        }
    }
}
