//! Disk images side by side with QEMU's tools and with plain files: prints figures and ratios, and exits with 1
//! when a limit is missed.
//!
//! `disk [FOLDER] [ROUNDS]`: the folder, on the file system to be measured, needs 10 GiB; the default is the
//! one for temporary files. In every round each of the contestants does the same work once, in turn; three
//! rounds are the default. `qemu-img` and `qemu-io` must be there.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use hvrsim_benches::images::{self, MIB, Medium, Order, SEED, noise, places};
use hvrsim_disk::{CopyOptions, CreateOptions, OpenOptions, copy_sparse, create, open};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The disk that is read and written: all of it stays in memory.
const SIZE: u64 = 512 * MIB;
/// The disk that is converted.
const COPY: u64 = 4096 * MIB;
/// Accesses of 4 KiB in a round.
const COUNT: u64 = 1 << 16;
/// Blocks that are allocated in a round: QEMU flushes for each.
const ALLOCATIONS: u64 = 256;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let Ok(rounds) = arguments.next().map_or(Ok(3), |text| text.parse()) else {
        eprintln!("usage: disk [FOLDER] [ROUNDS]");
        return ExitCode::from(2);
    };
    match run(&folder, rounds) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(3)
        }
    }
}

fn run(folder: &Path, rounds: usize) -> Result<bool> {
    let folder = tempfile::tempdir_in(folder)?;
    let mut bench = Bench { folder: folder.path().to_path_buf(), rounds: rounds.max(1), met: true };
    bench.limits()?;
    bench.accesses()?;
    bench.allocations()?;
    bench.conversions()?;
    Ok(bench.met)
}

/// What the contestants took, a time for each round.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn best(&self) -> f64 {
        self.0.iter().min().map_or(0.0, Duration::as_secs_f64)
    }

    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map_or(0.0, Duration::as_secs_f64)
    }
}

struct Bench {
    folder: PathBuf,
    rounds: usize,
    met: bool,
}

/// The least ratio of another's time to ours, where there is a limit.
type Limit = Option<f64>;

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn verdict(&mut self, good: bool) -> &'static str {
        self.met &= good;
        if good { "met" } else { "MISSED" }
    }

    /// One line: our time beside others', as ratios of theirs to ours.
    fn line(&mut self, what: &str, ours: &Times, others: &[(&str, &Times, Limit)]) {
        let mut text = format!("{what:32} ours {:9.4} {:9.4} s", ours.best(), ours.median());
        for (name, theirs, limit) in others {
            let (best, median) = (theirs.best() / ours.best(), theirs.median() / ours.median());
            let _ = write!(
                text,
                "   {name} {:9.4} {:9.4} s, ratio {best:5.2} {median:5.2}",
                theirs.best(),
                theirs.median()
            );
            if let Some(limit) = limit {
                let verdict = self.verdict(best.max(median) >= *limit);
                let _ = write!(text, " (at least {limit}: {verdict})");
            }
        }
        println!("  {text}");
    }

    /// Making, opening and mapping the largest disks. First, so that the peak of memory is theirs.
    fn limits(&mut self) -> Result<()> {
        println!("limits (best of {} rounds)", self.rounds);
        let largest = 64 << 40;
        for (block, limit) in [(MIB, 1000), (32 * MIB, 50)] {
            let path = self.path("large.vhdx");
            let (mut made, mut mapped) = (Times::default(), Times::default());
            for _ in 0..self.rounds {
                made.0.push(timed(|| Ok(images::empty(&path, largest, block)?.close()?))?);
                mapped.0.push(timed(|| map(&path))?);
                fs::remove_file(&path)?;
            }
            let name = format!("64 TiB, empty, blocks of {} MiB", block / MIB);
            self.limit(&format!("{name}: create"), made.best() * 1e3, 50, "ms");
            self.limit(&format!("{name}: open and map"), mapped.best() * 1e3, limit, "ms");
        }
        self.limit("peak memory of all this", peak_mib()?, 64, "MiB");
        // A table that is full: 8 Mi entries in 64 MiB. A file system may not take a longer file.
        let path = self.path("full.vhdx");
        create(&path, &CreateOptions::vhdx(8 << 40, SEED).block_size(MIB).fixed(true))?.close()?;
        let mut mapped = Times::default();
        for _ in 0..self.rounds {
            mapped.0.push(timed(|| map(&path))?);
        }
        fs::remove_file(&path)?;
        println!("  8 TiB, fixed, blocks of 1 MiB: open and map    {:8.1} ms", mapped.best() * 1e3);
        self.limit("peak memory with that", peak_mib()?, 64, "MiB");
        Ok(())
    }

    fn limit(&mut self, what: &str, value: f64, limit: u32, unit: &str) {
        let verdict = self.verdict(value <= f64::from(limit));
        println!("  {what:46} {value:8.1} {unit} (at most {limit}: {verdict})");
    }

    /// Reads and writes of what is there, all in memory.
    fn accesses(&mut self) -> Result<()> {
        println!("accesses of 4 KiB in memory: best and median; ratios: their time to ours");
        let (vhdx, plain) = (self.path("d.vhdx"), self.path("d.raw"));
        for mut image in [images::empty(&vhdx, SIZE, 32 * MIB)?, create(&plain, &CreateOptions::raw(SIZE))?] {
            images::fill(&mut *image, MIB, true)?;
            image.close()?;
        }
        let start = qemu_io(&vhdx, "")?;
        for write in [false, true] {
            for order in [Order::Sequential, Order::Random] {
                let count = if write { COUNT / 4 } else { COUNT };
                let step = if order == Order::Sequential { 4096 } else { SIZE / count };
                let places = places(order, count, step);
                let (name, limit) = if write { ("write", None) } else { ("read", Some(0.9)) };
                let limit = limit.filter(|_| order == Order::Sequential);
                let script = script(name, places.clone());
                let (mut ours, mut raw, mut qemu) = (Times::default(), Times::default(), Times::default());
                for _ in 0..self.rounds {
                    for _ in 0..if write { 4 } else { 16 } {
                        let (image, file) = media(&vhdx, &plain, write)?;
                        ours.0.push(access(image, places.clone(), 4096, write)?);
                        raw.0.push(access(file, places.clone(), 4096, write)?);
                    }
                    qemu.0.push(qemu_io(&vhdx, &script)?.saturating_sub(start));
                }
                let what = format!("{count} {name}s, {order:?}");
                self.line(&what, &ours, &[("raw", &raw, limit), ("qemu-io", &qemu, None)]);
            }
        }
        let (mut ours, mut raw) = (Times::default(), Times::default());
        for _ in 0..4 * self.rounds {
            let (image, file) = media(&vhdx, &plain, false)?;
            let places = places(Order::Sequential, SIZE / MIB, MIB);
            ours.0.push(access(image, places.clone(), 1 << 20, false)?);
            raw.0.push(access(file, places, 1 << 20, false)?);
        }
        self.line("512 reads of 1 MiB, Sequential", &ours, &[("raw", &raw, Some(0.9))]);
        let bench = ["bench", "-f", "vhdx", "-c", "65536", "-d", "1", "-s", "4096"];
        let said = tool("qemu-img", &bench, &[&vhdx])?;
        println!("  qemu-img bench, 65536 reads, Sequential: {}", said.lines().last().unwrap_or_default());
        fs::remove_file(vhdx)?;
        Ok(fs::remove_file(plain)?)
    }

    /// Writes of 4 KiB, each into a block that is not there yet, and a flush.
    fn allocations(&mut self) -> Result<()> {
        println!("{ALLOCATIONS} writes of 4 KiB that allocate a block of 1 MiB each, then a flush");
        let path = self.path("new.vhdx");
        for order in [Order::Sequential, Order::Random] {
            let commands = script("write", places(order, ALLOCATIONS, MIB)) + "flush\n";
            let (mut ours, mut qemu) = (Times::default(), Times::default());
            for _ in 0..self.rounds {
                for theirs in [false, true] {
                    images::empty(&path, 2 * ALLOCATIONS * MIB, MIB)?.close()?;
                    if theirs {
                        qemu.0.push(qemu_io(&path, &commands)?);
                    } else {
                        ours.0.push(timed(|| {
                            let mut medium = Medium::Image(images::writable(&path)?);
                            medium.write(places(order, ALLOCATIONS, MIB), &noise(4096, 3))?;
                            Ok(medium.flush()?)
                        })?);
                    }
                    fs::remove_file(&path)?;
                }
            }
            self.line(&format!("write {order:?}"), &ours, &[("qemu-io", &qemu, Some(1.5))]);
        }
        Ok(())
    }

    /// A disk of 4 GiB, half of it empty in parts of 16 MiB, into another format; durable at the end.
    fn conversions(&mut self) -> Result<()> {
        println!("convert of {} GiB, half of it empty, durable at the end", COPY >> 30);
        for (from, to) in [("raw", "vhdx"), ("vhdx", "raw")] {
            let (source, target) = (self.path(&format!("in.{from}")), self.path(&format!("out.{to}")));
            let options =
                if from == "raw" { CreateOptions::raw(COPY) } else { CreateOptions::vhdx(COPY, SEED) };
            let mut image = create(&source, &options)?;
            images::fill(&mut *image, 16 * MIB, false)?;
            image.close()?;
            let how = if to == "raw" { CopyOptions::raw() } else { CopyOptions::vhdx(SEED) };
            let (mut ours, mut qemu) = (Times::default(), Times::default());
            for _ in 0..self.rounds {
                ours.0.push(timed(|| Ok(copy_sparse(&source, &target, &how)?))?);
                fs::remove_file(&target)?;
                qemu.0.push(timed(|| {
                    tool("qemu-img", &["convert", "-f", from, "-O", to], &[&source, &target])?;
                    Ok(File::open(&target)?.sync_all()?)
                })?);
                fs::remove_file(&target)?;
            }
            self.line(&format!("{from} to {to}"), &ours, &[("qemu-img", &qemu, Some(1.0))]);
            fs::remove_file(source)?;
        }
        Ok(())
    }
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

fn map(path: &Path) -> Result<()> {
    let image = open(path, &OpenOptions::read_only())?;
    image.extents(0..image.size())?;
    Ok(())
}

/// The image and the plain file.
fn media(image: &Path, plain: &Path, write: bool) -> Result<(Medium, Medium)> {
    let image = if write { images::writable(image)? } else { open(image, &OpenOptions::read_only())? };
    let file = File::options().read(true).write(write).open(plain)?;
    Ok((Medium::Image(image), Medium::Plain(file)))
}

/// One round of accesses. Writes are not flushed within the time; before the next contestant they are. The
/// first access, which an image begins its session with, comes before.
fn access(
    mut medium: Medium,
    places: impl Iterator<Item = u64>,
    bytes: usize,
    write: bool,
) -> Result<Duration> {
    let mut buf = noise(bytes, 2);
    if write {
        medium.write(std::iter::once(0), &buf)?;
    }
    let took = timed(|| {
        let done = if write { medium.write(places, &buf) } else { medium.read(places, &mut buf) };
        done.map_err(Into::into)
    })?;
    if write {
        medium.flush()?;
    }
    Ok(took)
}

/// Commands for `qemu-io`, 4 KiB each.
fn script(command: &str, places: impl Iterator<Item = u64>) -> String {
    places.fold(String::new(), |mut text, at| {
        let _ = writeln!(text, "{command} -q {at} 4096");
        text
    })
}

/// Runs commands with a write-back cache: with its default, `qemu-io` would flush after every write.
fn qemu_io(image: &Path, commands: &str) -> Result<Duration> {
    let mut child = Command::new("qemu-io")
        .args(["-f", "vhdx", "-t", "writeback"])
        .arg(image)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("qemu-io: {error}"))?;
    let begun = Instant::now();
    child.stdin.take().ok_or("no way to speak to qemu-io")?.write_all(commands.as_bytes())?;
    let status = child.wait()?;
    let took = begun.elapsed();
    if status.success() { Ok(took) } else { Err(format!("qemu-io: {status}").into()) }
}

fn tool(name: &str, arguments: &[&str], files: &[&Path]) -> Result<String> {
    let output = Command::new(name).args(arguments).args(files).output();
    let output = output.map_err(|error| io::Error::other(format!("{name}: {error}")))?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The most memory that this program has had, in MiB.
fn peak_mib() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kib: u32 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(f64::from(kib) / 1024.0)
}
