//! Peers that are slow, silent, strangers or hostile, on a stream in memory and with time that costs none.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use hvrsim_disk::file::MemFs;
use hvrsim_disk::{CreateOptions, Image, create_in};
use hvrsim_resync::wire::{SourceEnd, TargetEnd};
use hvrsim_transport::{Direction, Error, Key, Limits, Request, accept, drive, request, runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

fn key(text: &str) -> Key {
    Key::new(text.as_bytes()).unwrap()
}

fn wanted() -> Request {
    Request { name: "disk".to_owned(), direction: Direction::Push }
}

fn image(filled: u64) -> Box<dyn Image> {
    let mut image = create_in(&MemFs::new(), Path::new("/i"), &CreateOptions::raw(64 << 20)).unwrap();
    let content: Vec<u8> = (0..filled).flat_map(|n| noise(n).to_le_bytes()).collect();
    image.write_at(1 << 20, &content).unwrap();
    image
}

/// Numbers that do not compress.
fn noise(n: u64) -> u64 {
    (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[test]
fn short_keys_are_refused() {
    assert!(matches!(Key::new(b"fifteen bytes.. \n\n"), Err(Error::ShortKey(15))));
    assert!(Key::new(b"sixteen bytes...").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_left() {
    let (here, _there) = duplex(1024);
    let begun = tokio::time::Instant::now();
    let left = request(here, &key("the key of both sides"), &wanted(), Limits::default()).await;
    assert!(matches!(left, Err(Error::Silent(_))));
    assert_eq!(begun.elapsed(), Limits::default().silence);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_know_the_key_is_left() {
    let (here, mut there) = duplex(1024);
    tokio::spawn(async move {
        let mut hello = [0; 40];
        there.read_exact(&mut hello).await.unwrap();
        there.write_all(&[9; 64]).await.unwrap();
        // It learns nothing more.
        assert_eq!(there.read(&mut hello).await.unwrap(), 0);
    });
    let left = request(here, &key("the key of both sides"), &wanted(), Limits::default()).await;
    assert!(matches!(left, Err(Error::Key)));
}

#[test]
fn a_limit_holds() {
    let begun = std::time::Instant::now();
    let (client, served, equal) = push_at(Some(4 << 20), |_, _| {});
    client.unwrap();
    served.unwrap();
    assert!(equal);
    // 2.4 MB that do not compress, at 4 MiB a second; a burst goes at once.
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
}

/// A server on a real socket; what its sessions come to.
async fn server(
    text: &str,
    limits: Limits,
) -> (std::net::SocketAddr, mpsc::Receiver<Result<hvrsim_transport::Session, Error>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, sessions) = mpsc::channel(4);
    tokio::spawn(accept(listener, key(text), limits, told));
    (address, sessions)
}

const SHORT: Limits = Limits {
    handshake: Duration::from_millis(300),
    silence: Duration::from_millis(400),
    progress: Duration::from_millis(800),
};

#[tokio::test]
async fn strangers_do_not_become_sessions() {
    let (address, mut sessions) = server("the key of both sides", SHORT).await;
    let mut garbage = TcpStream::connect(address).await.unwrap();
    garbage.write_all(&[0x41; 4000]).await.unwrap();
    assert!(matches!(sessions.recv().await.unwrap(), Err(Error::Key)));

    let _silent = TcpStream::connect(address).await.unwrap();
    assert!(matches!(sessions.recv().await.unwrap(), Err(Error::Silent(_))));

    let stranger = TcpStream::connect(address).await.unwrap();
    let refused = request(stranger, &key("another key, long enough"), &wanted(), SHORT).await;
    assert!(matches!(refused, Err(Error::Key)), "the server cannot prove it either");
    assert!(sessions.recv().await.unwrap().is_err());
}

/// Something between the two sides that looks at what the client sends, chunk by chunk.
async fn between(
    address: std::net::SocketAddr,
    mut change: impl FnMut(usize, &mut Vec<u8>) + Send + 'static,
) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = TcpStream::connect(address).await.unwrap().into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        let (mut buffer, mut seen) = (vec![0; 8192], 0);
        loop {
            let len = from_client.read(&mut buffer).await.unwrap_or(0);
            if len == 0 {
                return;
            }
            let mut chunk = buffer[..len].to_vec();
            change(seen, &mut chunk);
            seen += len;
            if to_server.write_all(&chunk).await.is_err() {
                return;
            }
        }
    });
    own
}

/// Runs a push between two ends; the client's bytes go through `change`. Gives what both sides came to.
fn push(
    change: impl FnMut(usize, &mut Vec<u8>) + Send + 'static,
) -> (Result<(), Error>, Result<(), Error>, bool) {
    push_at(None, change)
}

fn push_at(
    rate: Option<u64>,
    change: impl FnMut(usize, &mut Vec<u8>) + Send + 'static,
) -> (Result<(), Error>, Result<(), Error>, bool) {
    let runtime = runtime().unwrap();
    let handle = runtime.handle().clone();
    let (address, mut sessions) = handle.block_on(server("the key of both sides", Limits::default()));
    let through = handle.block_on(between(address, change));
    let (source, mut target) = (image(400_000), image(100_000));
    let client = std::thread::spawn({
        let handle = handle.clone();
        move || {
            let stream = handle.block_on(TcpStream::connect(through)).unwrap();
            let (mut channel, size) =
                handle.block_on(request(stream, &key("the key of both sides"), &wanted(), SHORT))?;
            assert_eq!(size, 64 << 20);
            if let Some(rate) = rate {
                channel.limit(rate);
            }
            let mut end = SourceEnd::new(&*source, None, channel.digest_key, [0; 32]);
            drive(&handle, channel, &mut end, SHORT)
        }
    });
    let session = sessions.blocking_recv().unwrap().unwrap();
    let channel = handle.block_on(session.accept(target.size())).unwrap();
    let mut end = TargetEnd::new(&mut *target, channel.digest_key, Box::new(|_, _| Ok(None)));
    let served = drive(&handle, channel, &mut end, SHORT);
    drop(end);
    let mut equal = true;
    let source = image(400_000);
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    for at in (0..64).map(|mib| mib << 20) {
        source.read_at(at, &mut a).unwrap();
        target.read_at(at, &mut b).unwrap();
        equal &= a == b;
    }
    (client.join().unwrap(), served, equal)
}

#[test]
fn an_untouched_session_ends_equal() {
    let (client, served, equal) = push(|_, _| {});
    client.unwrap();
    served.unwrap();
    assert!(equal);
}

#[test]
fn a_changed_byte_ends_the_session() {
    let (client, served, _) = push(|seen, chunk| {
        if seen > 100_000 {
            chunk[0] ^= 1;
        }
    });
    assert!(client.is_err());
    assert!(matches!(served, Err(Error::Forged | Error::TooLong(_) | Error::Silent(_))), "{served:?}");
}

#[test]
fn bytes_left_out_and_repeated_end_the_session() {
    let (_, served, _) = push(|seen, chunk| {
        if (100_000..120_000).contains(&seen) {
            chunk.clear();
        }
    });
    assert!(served.is_err());
    let (_, served, _) = push(|seen, chunk| {
        if seen > 100_000 {
            let twice = chunk.clone();
            chunk.extend(twice);
        }
    });
    assert!(served.is_err());
}
