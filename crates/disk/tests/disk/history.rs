//! Power cuts over whole histories of a chain: writes, trims, other sizes, children, merges, flushes. The
//! power fails after every operation on any file, any part of what was not flushed is lost, and sometimes it
//! fails again during the replay. What was flushed must be there, and nothing else than was ever written.
//!
//! A sample with fixed seeds runs always. `HVRSIM_HISTORIES=20000` runs that many; use a release build.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hvrsim_disk::file::{BlockFile, FileSystem, MemFile, MemFs};
use hvrsim_disk::{
    ChildOptions, CreateOptions, Image, OpenOptions, Trim, create_child_in, create_in, merge_in, open_in,
};

use crate::crash::{Op, Recorder, apply, copy_of};
use crate::support::{MIB, Rng, read_all, seed};

const SECTOR: u64 = 512;
const SAMPLE: u64 = 10;

/// What was done to which file.
#[derive(Clone)]
enum Event {
    Create(PathBuf),
    Remove(PathBuf),
    File(PathBuf, Op),
}

type Events = Arc<Mutex<Vec<Event>>>;

/// A file that tells what is done to it.
struct Tracked {
    path: PathBuf,
    inner: Recorder,
    events: Events,
}

impl Tracked {
    fn tell<T>(&self, result: io::Result<T>) -> io::Result<T> {
        let done = std::mem::take(&mut *self.inner.ops.lock().unwrap());
        self.events.lock().unwrap().extend(done.into_iter().map(|op| Event::File(self.path.clone(), op)));
        result
    }
}

impl BlockFile for Tracked {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.tell(self.inner.set_len(len))
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.tell(self.inner.write_at(offset, data))
    }
    fn flush(&self) -> io::Result<()> {
        self.tell(self.inner.flush())
    }
    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        self.tell(self.inner.punch_hole(offset, len))
    }
    fn data_extents(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        self.inner.data_extents(range)
    }
}

/// Tracked files by path.
#[derive(Default)]
struct TrackedFs {
    files: MemFs,
    events: Events,
}

impl TrackedFs {
    fn put(&self, path: &Path, content: MemFile) -> Arc<Tracked> {
        let inner = Recorder { now: content, ops: Mutex::default() };
        let file = Arc::new(Tracked { path: path.to_path_buf(), inner, events: Arc::clone(&self.events) });
        self.files.insert(path, Arc::<Tracked>::clone(&file));
        file
    }

    fn count(&self) -> usize {
        self.events.lock().unwrap().len()
    }
}

/// Where the tests' locators lead: `/x/../y` and `/./y` are `/y`.
fn plain(path: &Path) -> PathBuf {
    Path::new("/").join(path.file_name().unwrap())
}

impl FileSystem for TrackedFs {
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn BlockFile>> {
        self.files.open(path, writable)
    }
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn BlockFile>> {
        self.files.create_new(path)?;
        self.events.lock().unwrap().push(Event::Create(plain(path)));
        Ok(self.put(&plain(path), MemFile::new()))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.events.lock().unwrap().push(Event::Remove(plain(path)));
        self.files.remove(path)
    }
    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        self.files.absolute(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.files.list(folder)
    }
    fn is_same(&self, left: &Path, right: &Path) -> bool {
        self.files.is_same(left, right)
    }
}

/// What the disk may hold at a moment.
#[derive(Clone)]
struct Model {
    /// The files that may be the topmost one; the first that is there is.
    tops: Vec<PathBuf>,
    /// The size, and the other one while it changes.
    sizes: Vec<u64>,
    latest: Vec<u8>,
    flushed: Vec<u8>,
    /// What sectors were given since the last flush.
    since: BTreeMap<usize, Vec<Vec<u8>>>,
}

impl Model {
    fn change(&mut self, at: usize, data: &[u8]) {
        self.latest[at..at + data.len()].copy_from_slice(data);
        for sector in at / 512..(at + data.len()).div_ceil(512) {
            let version = self.latest[sector * 512..][..512].to_vec();
            self.since.entry(sector).or_default().push(version);
        }
    }

    fn flush(&mut self) {
        self.flushed = self.latest.clone();
        self.since.clear();
    }

    fn resize(&mut self, size: usize) {
        self.latest.resize(size, 0);
        self.flush();
        self.sizes = vec![u64::try_from(size).unwrap()];
    }

    fn check(&self, content: &[u8], when: &str) {
        let size = u64::try_from(content.len()).unwrap();
        assert!(self.sizes.contains(&size), "{when}: a disk of {size} bytes, wanted {:?}", self.sizes);
        for (sector, found) in content.chunks(512).enumerate() {
            let zeros = [0; 512];
            let old = self.flushed.get(sector * 512..sector * 512 + 512).unwrap_or(&zeros);
            let given = || self.since.get(&sector).is_some_and(|all| all.iter().any(|one| one == found));
            assert!(
                found == old || given(),
                "{when}: sector {sector} holds {:?}.., never given",
                &found[..8]
            );
        }
    }
}

/// A history: what was done to the files, and what the disk may hold from each event on.
struct History {
    events: Vec<Event>,
    models: Vec<(usize, Model)>,
}

fn open_top(fs: &dyn FileSystem, path: &Path, by: u8) -> Box<dyn Image> {
    open_in(fs, path, &OpenOptions::read_write(seed(by))).unwrap()
}

/// Does random steps on a chain, all of it tracked from the first file's creation on.
fn live(rng: &mut Rng) -> History {
    let fs = TrackedFs::default();
    let vhd = rng.below(4) == 0;
    let size = 2 * MIB + rng.below(1024) * SECTOR;
    let options = if vhd {
        CreateOptions::vhd(size, seed(1)).block_size(512 << 10)
    } else {
        CreateOptions::vhdx(size, seed(1)).block_size(MIB)
    };
    let mut chain = vec![PathBuf::from("/0")];
    create_in(&fs, &chain[0], &options).unwrap().close().unwrap();
    let zeros = vec![0; usize::try_from(size).unwrap()];
    let mut model = Model {
        tops: chain.clone(),
        sizes: vec![size],
        latest: zeros.clone(),
        flushed: zeros,
        since: BTreeMap::new(),
    };
    let mut models = vec![(fs.count(), model.clone())];
    let mut image = open_top(&fs, &chain[0], 2);
    for number in 3..13 {
        let size = image.size();
        let at = rng.below(size / SECTOR) * SECTOR + if rng.below(4) == 0 { rng.below(500) } else { 0 };
        let len = [700, 4096, 70_000, MIB][usize::try_from(rng.below(4)).unwrap()].min(size - at);
        let top = chain.last().unwrap().clone();
        match rng.below(14) {
            0..5 => {
                let byte = u8::try_from(rng.below(255) + 1).unwrap();
                let data: Vec<u8> = (0..len).map(|n| byte ^ u8::try_from(n / 512 % 256).unwrap()).collect();
                model.change(usize::try_from(at).unwrap(), &data);
                models.push((fs.count(), model.clone()));
                image.write_at(at, &data).unwrap();
                continue;
            }
            5..7 => {
                let how =
                    [Trim::Zero, Trim::FreeSpace, Trim::FileSpace][usize::try_from(rng.below(3)).unwrap()];
                let (at, len) = if how == Trim::Zero { (at, len) } else { (at / MIB * MIB, MIB) };
                let len = len.min(size - at);
                let was = model.latest.clone();
                model.change(usize::try_from(at).unwrap(), &vec![0; usize::try_from(len).unwrap()]);
                models.push((fs.count(), model.clone()));
                image.trim(at, len, how).unwrap();
                // Parts of blocks, and blocks that are a parent's, may stay: the image knows.
                let now = read_all(&*image);
                let fits = |(n, byte): (usize, &u8)| *byte == was[n] || *byte == model.latest[n];
                assert!(now.iter().enumerate().all(fits));
                let kept: Vec<usize> = (0..now.len() / 512)
                    .filter(|n| now[n * 512..][..512] != model.latest[n * 512..][..512])
                    .collect();
                for sector in kept {
                    model.change(sector * 512, &now[sector * 512..][..512]);
                }
                models.push((fs.count(), model.clone()));
                continue;
            }
            7 | 8 => image.flush().unwrap(),
            9 | 12 | 13 if !(vhd && chain.len() > 1) => {
                image.flush().unwrap();
                model.flush();
                models.push((fs.count(), model.clone()));
                let new = (1 + rng.below(3 * MIB / SECTOR)) * SECTOR;
                model.sizes = vec![size, new];
                models.push((fs.count(), model.clone()));
                image.resize(new).unwrap();
                model.resize(usize::try_from(new).unwrap());
            }
            10 if chain.len() < 3 => {
                image.close().unwrap();
                model.flush();
                models.push((fs.count(), model.clone()));
                let path = PathBuf::from(format!("/{number}"));
                let options = ChildOptions::new(seed(number)).block_size(MIB);
                create_child_in(&fs, &top, &path, &options).unwrap().close().unwrap();
                image = open_top(&fs, &path, number);
                model.tops = vec![path.clone()];
                chain.push(path);
            }
            11 if chain.len() > 1 => {
                image.close().unwrap();
                model.flush();
                chain.pop();
                model.tops = vec![top.clone(), chain.last().unwrap().clone()];
                models.push((fs.count(), model.clone()));
                merge_in(&fs, &top, &[], seed(number)).unwrap();
                image = open_top(&fs, chain.last().unwrap(), number);
                model.tops.remove(0);
            }
            _ => {
                image.close().unwrap();
                image = open_top(&fs, &top, number);
            }
        }
        model.flush();
        models.push((fs.count(), model.clone()));
    }
    image.close().unwrap();
    model.flush();
    models.push((fs.count(), model));
    let events = fs.events.lock().unwrap().clone();
    History { events, models }
}

/// The files on the disk, and what is only in the host's cache.
#[derive(Clone, Default)]
struct Disk {
    files: BTreeMap<PathBuf, (MemFile, Vec<Op>)>,
}

impl Disk {
    fn step(&mut self, event: &Event) {
        match event {
            Event::Create(path) => drop(self.files.insert(path.clone(), Default::default())),
            Event::Remove(path) => drop(self.files.remove(path)),
            Event::File(path, op) => {
                let (durable, pending) = self.files.get_mut(path).unwrap();
                match op {
                    Op::Flush => pending.drain(..).for_each(|op| apply(durable, &op, || true)),
                    op => pending.push(op.clone()),
                }
            }
        }
    }

    /// What a power cut leaves: none, all, whole operations or single sectors of what was not flushed.
    fn cut(&self, rng: &mut Rng) -> BTreeMap<PathBuf, MemFile> {
        let how = rng.below(4);
        let survivor = |(path, (durable, pending)): (&PathBuf, &(MemFile, Vec<Op>))| {
            let file = durable.clone();
            for op in pending {
                let whole = rng.below(2) == 0;
                match how {
                    0 => {}
                    1 => apply(&file, op, || true),
                    2 => apply(&file, op, || whole),
                    _ => apply(&file, op, || rng.below(2) == 0),
                }
            }
            (path.clone(), file)
        };
        self.files.iter().map(survivor).collect()
    }
}

fn tracked(files: &BTreeMap<PathBuf, MemFile>) -> TrackedFs {
    let fs = TrackedFs::default();
    for (path, file) in files {
        fs.put(path, copy_of(file));
    }
    fs
}

/// Opens what a cut left: for reading, for writing, after a second cut during the replay, and once more.
fn check_cut(files: &BTreeMap<PathBuf, MemFile>, model: &Model, rng: &mut Rng, when: &str) {
    let fs = tracked(files);
    let top = model.tops.iter().find(|path| files.contains_key(*path)).unwrap();
    let read = |fs: &TrackedFs| {
        let image = open_in(fs, top, &OpenOptions::read_only());
        read_all(&*image.unwrap_or_else(|error| panic!("{when}: {error}")))
    };
    let content = read(&fs);
    assert_eq!(fs.count(), 0, "{when}: reading wrote");
    model.check(&content, when);
    if rng.below(3) > 0 {
        return;
    }
    open_top(&fs, top, 99).close().unwrap();
    let mut disk = Disk::default();
    for (path, file) in files {
        disk.files.insert(path.clone(), (copy_of(file), Vec::new()));
    }
    let events = fs.events.lock().unwrap().clone();
    let count = usize::try_from(rng.below(u64::try_from(events.len()).unwrap() + 1)).unwrap();
    events[..count].iter().for_each(|event| disk.step(event));
    let again = tracked(&disk.cut(rng));
    assert!(read(&again) == content, "{when}: a second cut, after {count} operations of the replay");
    for fs in [&again, &fs] {
        open_top(fs, top, 98).close().unwrap();
        assert!(read(fs) == content, "{when}: replayed again");
    }
}

/// Lives one history and cuts the power after each of its events.
fn cut_everywhere(number: u64) {
    let mut rng = Rng(0x5EED ^ number << 20);
    let History { events, models } = live(&mut rng);
    let mut disk = Disk::default();
    let first = models[0].0;
    for (count, event) in (1..).zip(&events) {
        disk.step(event);
        if count < first {
            continue;
        }
        let model = &models.iter().rev().find(|(from, _)| *from <= count).unwrap().1;
        let when = format!("history {number}, after {count} of {} operations", events.len());
        check_cut(&disk.cut(&mut rng), model, &mut rng, &when);
    }
}

#[test]
fn histories_survive_a_power_cut_at_every_operation() {
    let count = std::env::var("HVRSIM_HISTORIES").map_or(SAMPLE, |text| text.parse().unwrap());
    let threads = std::thread::available_parallelism().map_or(1, |n| u64::try_from(n.get()).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let own = (thread..count).step_by(usize::try_from(threads).unwrap());
            scope.spawn(move || own.for_each(cut_everywhere));
        }
    });
}
