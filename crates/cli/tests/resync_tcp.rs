//! `hvrsim resync` between two processes, through a proxy that counts, delays, stalls and cuts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use hvrsim_disk::{CreateOptions, OpenOptions, Seed, create, open};

const SIZE: u64 = 96 << 20;

fn image(path: &Path, vhdx: bool, seed: u8, blocks: std::ops::Range<u64>) -> PathBuf {
    let options = if vhdx { CreateOptions::vhdx(SIZE, Seed::new([1; 32])) } else { CreateOptions::raw(SIZE) };
    let mut image = create(path, &options).unwrap();
    let mut block = vec![0; 65_536];
    for number in blocks {
        let mut state = number * 251 + u64::from(seed) + 1;
        for byte in &mut block {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = state.to_be_bytes()[0];
        }
        image.write_at(number * 65_536, &block).unwrap();
    }
    image.close().unwrap();
    path.to_owned()
}

fn same(a: &Path, b: &Path) -> bool {
    let all = |path: &Path| {
        let image = open(path, &OpenOptions::read_only()).unwrap();
        let mut out = vec![0; usize::try_from(SIZE).unwrap()];
        image.read_at(0, &mut out).unwrap();
        out
    };
    all(a) == all(b)
}

/// `resync serve`, which ends with its test.
struct Server(Child, SocketAddr);

impl Server {
    fn start(folder: &Path, image: &Path, options: &[&str]) -> Self {
        std::fs::write(folder.join("key"), "a key that both machines know").unwrap();
        let mut export = std::ffi::OsString::from("disk=");
        export.push(image);
        let mut child = Command::new(env!("CARGO_BIN_EXE_hvrsim"))
            .args(["resync", "serve", "--listen", "127.0.0.1:0", "--key-file"])
            .arg(folder.join("key"))
            .arg("--export")
            .arg(export)
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").unwrap().split(';').next().unwrap();
        Self(child, address.parse().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What lies between the two machines.
#[derive(Clone, Copy, Default)]
struct Way {
    latency: Duration,
    /// The connection is cut after so many bytes of both directions.
    cut_after: Option<u64>,
    /// After so many bytes nothing goes on for a while.
    stall: Option<(u64, Duration)>,
}

/// Carries one connection; gives its address and the count of bytes that it took from both sides.
fn proxy(to: SocketAddr, way: Way) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(to).unwrap();
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (from, to, count) =
                (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(&counted));
            std::thread::spawn(move || carry(from, to, way, &count));
        }
    });
    (address, count)
}

fn carry(mut from: TcpStream, mut to: TcpStream, way: Way, count: &AtomicU64) {
    let (late, due) = channel::<(Instant, Vec<u8>)>();
    let mut out = to.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        for (at, bytes) in due {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if out.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = out.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; 65_536];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let total = count.fetch_add(len as u64, Ordering::Relaxed) + len as u64;
        if way.cut_after.is_some_and(|cut| total >= cut) {
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
        if let Some((at, pause)) = way.stall
            && (at..at + 65_536).contains(&total)
        {
            std::thread::sleep(pause);
        }
        let _ = late.send((Instant::now() + way.latency, buffer[..len].to_vec()));
    }
    drop(late);
    let _ = sender.join();
    let _ = to.flush();
}

fn resync(folder: &Path, source: &str, target: &str, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hvrsim"))
        .args(["resync", source, target])
        .args(options)
        .arg("--key-file")
        .arg(folder.join("key"))
        .output()
        .unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn there(address: SocketAddr) -> String {
    format!("tcp://{address}/disk")
}

#[test]
fn a_long_way_ends_equal_and_every_byte_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let source = image(&file("a.vhdx"), true, 1, 0..320);
    let target = image(&file("b.raw"), false, 1, 40..600);
    let path = source.to_str().unwrap();
    let dry = json(&resync(folder.path(), path, target.to_str().unwrap(), &["--dry-run", "--json"]));

    let server = Server::start(folder.path(), &target, &["--write"]);
    let way = Way {
        latency: Duration::from_millis(100),
        stall: Some((1 << 20, Duration::from_secs(2))),
        cut_after: None,
    };
    let (address, count) = proxy(server.1, way);
    let done = json(&resync(folder.path(), path, &there(address), &["--json"]));
    assert!(same(&source, &target));
    for key in ["compared_bytes", "sent_bytes", "zeroed_bytes"] {
        assert_eq!(done[key], dry[key], "{key}");
    }
    assert_eq!(done["wire_bytes"].as_u64(), Some(count.load(Ordering::Relaxed)));

    let time = std::fs::metadata(&target).unwrap().modified().unwrap();
    let again = json(&resync(folder.path(), path, &there(server.1), &["--json"]));
    assert_eq!(again["was_equal"], true);
    assert_eq!(std::fs::metadata(&target).unwrap().modified().unwrap(), time);
}

#[test]
fn a_report_of_both_directions_maps_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let source = image(&file("a.raw"), false, 1, 0..20);
    let old = image(&file("b.raw"), false, 2, 10..30);
    let page = file("map.html");
    let tiles = || {
        let text = std::fs::read_to_string(&page).unwrap();
        text.split("title=\"")
            .skip(1)
            .map(|tile| tile.split('"').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let report = ["--report", page.to_str().unwrap(), "--json"];
    let mut maps = Vec::new();
    for pull in [false, true] {
        std::fs::copy(&old, file("target.raw")).unwrap();
        let (served, options): (_, &[&str]) =
            if pull { (&source, &[]) } else { (&file("target.raw"), &["--write"]) };
        let server = Server::start(folder.path(), served, options);
        let (from, to) = if pull {
            (there(server.1), file("target.raw").display().to_string())
        } else {
            (source.display().to_string(), there(server.1))
        };
        json(&resync(folder.path(), &from, &to, &report));
        assert!(same(&source, &file("target.raw")));
        maps.push(tiles());
    }
    assert!(maps[0].iter().any(|tile| tile.contains("sent")), "{:?}", maps[0]);
    assert_eq!(maps[0], maps[1]);
}

#[test]
fn a_cut_is_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let source = image(&file("a.raw"), false, 1, 0..1500);
    let target = image(&file("b.vhdx"), true, 2, 0..1500);
    let server = Server::start(folder.path(), &target, &["--write"]);
    let path = source.to_str().unwrap();
    let (address, _) = proxy(server.1, Way { cut_after: Some(60 << 20), ..Way::default() });
    let cut = resync(folder.path(), path, &there(address), &[]);
    let told = String::from_utf8_lossy(&cut.stderr).into_owned();
    assert_eq!(cut.status.code(), Some(3), "{told}");
    assert!(told.contains("goes on from there"), "{told}");

    let (address, count) = proxy(server.1, Way::default());
    let done = json(&resync(folder.path(), path, &there(address), &["--json"]));
    assert!(same(&source, &target));
    assert!(count.load(Ordering::Relaxed) < 75 << 20, "it did not begin again");
    assert_eq!(done["wire_bytes"].as_u64(), Some(count.load(Ordering::Relaxed)));
    assert!(!file("b.vhdx.hvrsim-resync").exists());
}

#[test]
fn the_other_way_round_and_refusals() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let source = image(&file("a.raw"), false, 1, 0..100);
    let target = image(&file("b.raw"), false, 3, 50..200);
    let server = Server::start(folder.path(), &source, &[]);
    let to = target.to_str().unwrap();
    json(&resync(folder.path(), &there(server.1), to, &["--json"]));
    assert!(same(&source, &target));

    let refused = resync(folder.path(), to, &there(server.1), &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("may only be read"));
    let unknown = resync(folder.path(), &format!("tcp://{}/other", server.1), to, &[]);
    assert_eq!(unknown.status.code(), Some(2));

    std::fs::write(file("key"), "another key, long enough").unwrap();
    let stranger = resync(folder.path(), &there(server.1), to, &[]);
    assert_eq!(stranger.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&stranger.stderr).contains("key"));
}

/// Overwrites a cell, or a whole block, of some blocks with noise of another seed.
fn patch(path: &Path, blocks: impl Iterator<Item = u64>, len: usize) -> u64 {
    let mut image = open(path, &OpenOptions::read_write(Seed::new([5; 32]))).unwrap();
    let mut changed = 0;
    for number in blocks {
        let mut state = number ^ 0x5555_5555;
        let content: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .take(len)
        .collect();
        image.write_at(number * 65_536 + 8192 * u64::from(len < 65_536), &content).unwrap();
        changed += len as u64;
    }
    image.close().unwrap();
    changed
}

#[test]
fn the_wire_carries_little_more_than_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let source = image(&file("a.raw"), false, 1, 0..1024);
    for (len, blocks) in [(65_536, 10), (4096, 200)] {
        let target = image(&file(&format!("b{len}.raw")), false, 1, 0..1024);
        let changed = patch(&target, (0..blocks).map(|n| n * 977 % 1024), len);
        let server = Server::start(folder.path(), &target, &["--write"]);
        let (address, count) = proxy(server.1, Way::default());
        let done = json(&resync(folder.path(), source.to_str().unwrap(), &there(address), &["--json"]));
        assert!(same(&source, &target));
        let wire = count.load(Ordering::Relaxed);
        assert_eq!((done["sent_bytes"].as_u64(), done["wire_bytes"].as_u64()), (Some(changed), Some(wire)));
        let compared = done["compared_bytes"].as_u64().unwrap();
        let most = if len == 65_536 {
            // 1.02 times what changed, and 0.03 % of what was compared.
            changed * 102 / 100 + compared * 3 / 10_000
        } else {
            // A quarter of sending whole blocks.
            blocks * 65_536 / 4
        };
        assert!(wire <= most, "{wire} bytes on the wire, at most {most}");
    }
}

#[test]
fn a_server_works_on_several_sessions_and_lets_one_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let exported = image(&file("a.raw"), false, 1, 0..100);
    let other = format!("other={}", image(&file("o.raw"), false, 2, 0..2).display());
    let server =
        Server::start(folder.path(), &exported, &["--write", "--rate", "2MiB/s", "--export", &other]);
    let slow = image(&file("slow.raw"), false, 3, 0..1);
    let pull = |name: &str, to: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hvrsim"));
        command
            .args(["resync", &format!("tcp://{}/{name}", server.1)])
            .arg(to)
            .arg("--key-file")
            .arg(file("key"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let mut first = pull("disk", &slow).spawn().unwrap();
    while !written(&slow) {
        assert!(first.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    // 6 MiB at 2 MiB a second: the first is at work for a while.
    let quick = image(&file("quick.raw"), false, 4, 0..1);
    assert!(pull("other", &quick).status().unwrap().success());
    let refused = resync(folder.path(), quick.to_str().unwrap(), &there(server.1), &[]);
    assert!(first.try_wait().unwrap().is_none(), "the first is still at work");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another session is reading it"));
    assert!(first.wait().unwrap().success());
    assert!(same(&exported, &slow) && same(&file("o.raw"), &quick));
    // Whoever comes last may write.
    json(&resync(folder.path(), quick.to_str().unwrap(), &there(server.1), &["--json"]));
    assert!(same(&exported, &quick));
}

/// Whether anything came to a target whose second block was empty.
fn written(target: &Path) -> bool {
    let image = open(target, &OpenOptions::read_only()).unwrap();
    let mut block = vec![0; 65_536];
    image.read_at(65_536, &mut block).unwrap();
    block.iter().any(|byte| *byte != 0)
}

#[test]
fn memory_does_not_grow_with_a_disk_on_another_machine() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, value: u8| {
        let path = folder.path().join(name);
        let mut image = create(&path, &CreateOptions::raw(8 << 40)).unwrap();
        image.write_at(5 << 40, &vec![value; 8 << 20]).unwrap();
        image.close().unwrap();
        path
    };
    let (source, target) = (make("a.raw", 1), make("b.raw", 2));
    let server = Server::start(folder.path(), &source, &[]);
    let done = json(&resync(folder.path(), &there(server.1), target.to_str().unwrap(), &["--json"]));
    assert_eq!(done["sent_bytes"].as_u64(), Some(8 << 20));
    let peak = done["peak_memory_bytes"].as_u64().unwrap();
    assert!(peak < 64 << 20, "{} MiB", peak >> 20);
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.0.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 64 << 10, "the server: {} MiB", peak >> 10);
}

#[test]
fn the_rate_follows_the_way_below_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let source = image(&file("a.raw"), false, 1, 0..60);
    let target = image(&file("b.raw"), false, 1, 0..1);
    let server = Server::start(folder.path(), &target, &["--write"]);
    let (address, count) = proxy(server.1, Way { latency: Duration::from_millis(50), ..Way::default() });
    let begun = Instant::now();
    let paced = [
        "--json",
        "--fill-target",
        "1MiB",
        "--plan-ahead",
        "1s",
        "--min-rate",
        "512KiB/s",
        "--rate",
        "2MiB/s",
    ];
    let done = json(&resync(folder.path(), source.to_str().unwrap(), &there(address), &paced));
    // 3.7 MiB: the limit holds; and the way takes more than the minimum.
    assert!(begun.elapsed() >= Duration::from_millis(1700), "{:?}", begun.elapsed());
    assert!(same(&source, &target));
    assert_eq!(done["wire_bytes"].as_u64(), Some(count.load(Ordering::Relaxed)));
}
