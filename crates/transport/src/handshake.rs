//! Who is there: both ends prove that they know the key, then the client says what it wants.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::channel::{Channel, Keys, Traffic};
use crate::{Error, Limits};

const MAGIC: &[u8; 8] = b"hvrsync\x02";
/// A request or its answer is no longer than this.
const LONGEST: usize = 4096;
/// Fewer bytes are guessed.
const SHORTEST_KEY: usize = 16;

/// What both sides know.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// Makes a key of a file's content; white space at its end does not count.
    ///
    /// # Errors
    /// It is shorter than 16 bytes.
    pub fn new(content: &[u8]) -> Result<Self, Error> {
        let content = content.trim_ascii_end();
        if content.len() < SHORTEST_KEY {
            return Err(Error::ShortKey(content.len()));
        }
        Ok(Self(blake3::derive_key("hvrsim resync 2026 shared key", content)))
    }

    /// A value that only who knows the key can make, for one purpose in one session.
    fn derive(&self, purpose: &str, nonces: &[[u8; 32]; 2]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&nonces[0]).update(&nonces[1]).update(purpose.as_bytes());
        hasher.finalize()
    }
}

/// Which way content goes, seen from the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Direction {
    /// The client has the source.
    Push,
    /// The client has the target.
    Pull,
}

/// What a client wants.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The export.
    pub name: String,
    /// Which way.
    pub direction: Direction,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The export's disk has so many bytes; the work begins.
    Accepted {
        size: u64,
    },
    Refused(String),
}

/// The client's part on a fresh connection: proves the key, has it proved, and asks. Gives the size of the disk there.
///
/// # Errors
/// The connection failed, the other side does not know the key or refused.
pub async fn request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    key: &Key,
    request: &Request,
    limits: Limits,
) -> Result<(Channel<S>, u64), Error> {
    let all = async {
        let mut channel = prove(stream, key, limits).await?;
        send(&mut channel, request).await?;
        match receive(&mut channel).await? {
            Reply::Accepted { size } => Ok((channel, size)),
            Reply::Refused(why) => Err(Error::Refused(why)),
        }
    };
    // The server opens the image before it answers.
    timeout(limits.silence, all).await.map_err(|_| Error::Silent(limits.silence))?
}

async fn prove<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    key: &Key,
    limits: Limits,
) -> Result<Channel<S>, Error> {
    let traffic = Traffic::default();
    let mine = nonce()?;
    write(&mut stream, &[MAGIC, &mine], &traffic).await?;
    let answer: [u8; 64] = read(&mut stream, &traffic).await?;
    let (theirs, proof) = halves(&answer);
    let nonces = [mine, theirs];
    // `Hash` compares in constant time.
    if key.derive("server", &nonces) != blake3::Hash::from_bytes(proof) {
        return Err(Error::Key);
    }
    write(&mut stream, &[key.derive("client", &nonces).as_bytes()], &traffic).await?;
    Ok(Channel::new(stream, &keys(key, &nonces, true), limits.silence, traffic))
}

/// The server's part: gives what the client wants, once it has proved the key.
pub(crate) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    key: &Key,
    limits: Limits,
) -> Result<(Channel<S>, Request), Error> {
    let all = async {
        let traffic = Traffic::default();
        let hello: [u8; 40] = read(&mut stream, &traffic).await?;
        let (magic, theirs) = hello.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(Error::Key);
        }
        let mut nonces = [[0; 32], nonce()?];
        nonces[0].copy_from_slice(theirs);
        write(&mut stream, &[&nonces[1], key.derive("server", &nonces).as_bytes()], &traffic).await?;
        let proof: [u8; 32] = read(&mut stream, &traffic).await?;
        if key.derive("client", &nonces) != blake3::Hash::from_bytes(proof) {
            return Err(Error::Key);
        }
        let mut channel = Channel::new(stream, &keys(key, &nonces, false), limits.silence, traffic);
        let request = receive(&mut channel).await?;
        Ok((channel, request))
    };
    timeout(limits.handshake, all).await.map_err(|_| Error::Silent(limits.handshake))?
}

fn keys(key: &Key, nonces: &[[u8; 32]; 2], client: bool) -> Keys {
    let derive = |purpose| *key.derive(purpose, nonces).as_bytes();
    let (to_server, to_client) = (derive("frames to the server"), derive("frames to the client"));
    let (incoming, outgoing) = if client { (to_client, to_server) } else { (to_server, to_client) };
    Keys { incoming, outgoing, digest: derive("digests") }
}

fn nonce() -> Result<[u8; 32], Error> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(std::io::Error::other)?;
    Ok(nonce)
}

fn halves(both: &[u8; 64]) -> ([u8; 32], [u8; 32]) {
    let (mut a, mut b) = ([0; 32], [0; 32]);
    a.copy_from_slice(&both[..32]);
    b.copy_from_slice(&both[32..]);
    (a, b)
}

async fn read<S: AsyncRead + Unpin, const N: usize>(
    stream: &mut S,
    traffic: &Traffic,
) -> Result<[u8; N], Error> {
    let mut out = [0; N];
    stream.read_exact(&mut out).await?;
    traffic.add(N);
    Ok(out)
}

async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    parts: &[&[u8]],
    traffic: &Traffic,
) -> Result<(), Error> {
    let all = parts.concat();
    stream.write_all(&all).await?;
    stream.flush().await?;
    traffic.add(all.len());
    Ok(())
}

pub(crate) async fn send<S: AsyncRead + AsyncWrite, T: Serialize>(
    channel: &mut Channel<S>,
    value: &T,
) -> Result<(), Error> {
    let body = postcard::to_stdvec(value).map_err(std::io::Error::other)?;
    channel.writer.write(&body).await
}

async fn receive<S: AsyncRead + AsyncWrite, T: DeserializeOwned>(
    channel: &mut Channel<S>,
) -> Result<T, Error> {
    let body = channel.reader.read().await?.ok_or(std::io::Error::from(std::io::ErrorKind::UnexpectedEof))?;
    let short = (body.len() <= LONGEST).then_some(&body[..]);
    short.and_then(|body| postcard::from_bytes(body).ok()).ok_or(Error::Forged)
}
