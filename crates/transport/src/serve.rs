//! The server's side: connections become sessions once their client has proved the key.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use crate::channel::Channel;
use crate::handshake::{Reply, Request, answer, send};
use crate::{Error, Key, Limits};

/// Connections that have not proved the key, at most; more wait in the system's queue.
const STRANGERS: usize = 16;

/// A client that has proved the key and awaits an answer.
pub struct Session {
    /// What it wants.
    pub request: Request,
    channel: Channel<TcpStream>,
}

impl Session {
    /// Tells the client that the work begins, on a disk of so many bytes.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn accept(mut self, size: u64) -> Result<Channel<TcpStream>, Error> {
        send(&mut self.channel, &Reply::Accepted { size }).await?;
        Ok(self.channel)
    }

    /// Tells the client why not.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn refuse(mut self, why: String) -> Result<(), Error> {
        send(&mut self.channel, &Reply::Refused(why)).await?;
        self.channel.writer.close().await
    }
}

/// Takes connections for ever; those whose client proves the key come out as sessions, the others as errors.
pub async fn accept(
    listener: TcpListener,
    key: Key,
    limits: Limits,
    out: mpsc::Sender<Result<Session, Error>>,
) {
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    loop {
        let Ok(permit) = Arc::clone(&strangers).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors or the like: it passes.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let (key, out) = (key.clone(), out.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let session = answer(stream, &key, limits).await;
            drop(permit);
            let _ = out.send(session.map(|(channel, request)| Session { request, channel })).await;
        });
    }
}
