//! Power cuts over whole histories of a chain: writes, trims, other sizes, children, merges, flushes. The
//! power fails after every operation on any file, any part of what was not flushed is lost, and sometimes it
//! fails again during the replay. What was flushed must be there, and nothing else than was ever written.
//!
//! A sample with fixed seeds runs always. `HVRSIM_HISTORIES=20000` runs that many (`cargo xtask deep histories`);
//! use a release build.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hvrsim_disk::file::{BlockFile, FileSystem, MemFile, MemFs};
use hvrsim_disk::{
    ChildOptions, CreateOptions, Image, OpenOptions, Trim, create_child_in, create_in, merge_in, open_in,
};

use crate::crash::{Op, Recorder, apply};
use crate::support::{MIB, Rng, read_all, seed};

const SECTOR: u64 = 512;
/// What is compared at once.
const PIECE: usize = 16 << 10;
const SAMPLE: u64 = 40;

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

/// A state that sectors were given: from the first one on, whole sectors.
struct Version {
    first: usize,
    content: Vec<u8>,
}

impl Version {
    fn sector(&self, sector: usize) -> Option<&[u8]> {
        self.content.get(sector.checked_sub(self.first)? * 512..)?.get(..512)
    }
}

/// What the disk may hold at a moment. Copies are cheap: there is one for each step of a history.
#[derive(Clone)]
struct Model {
    /// The files that may be the topmost one; the first that is there is.
    tops: Vec<PathBuf>,
    /// The size, and the other one while it changes.
    sizes: Vec<u64>,
    latest: Arc<Vec<u8>>,
    flushed: Arc<Vec<u8>>,
    /// What sectors were given since the last flush.
    since: Vec<Arc<Version>>,
}

impl Model {
    fn change(&mut self, at: usize, data: &[u8]) {
        let latest = Arc::make_mut(&mut self.latest);
        latest[at..at + data.len()].copy_from_slice(data);
        let (first, end) = (at / 512, (at + data.len()).div_ceil(512));
        let content = latest[first * 512..end * 512].to_vec();
        self.since.push(Arc::new(Version { first, content }));
    }

    fn flush(&mut self) {
        self.flushed = Arc::clone(&self.latest);
        self.since.clear();
    }

    fn resize(&mut self, size: usize) {
        Arc::make_mut(&mut self.latest).resize(size, 0);
        self.flush();
        self.sizes = vec![u64::try_from(size).unwrap()];
    }

    fn check(&self, content: &[u8], when: &str) {
        let size = u64::try_from(content.len()).unwrap();
        assert!(self.sizes.contains(&size), "{when}: a disk of {size} bytes, wanted {:?}", self.sizes);
        let zeros = [0; 512];
        // Most of the disk is as it was or as it is: only the rest is looked at by sectors.
        for (number, piece) in content.chunks(PIECE).enumerate() {
            let place = number * PIECE..number * PIECE + piece.len();
            if [&self.flushed, &self.latest].iter().any(|known| known.get(place.clone()) == Some(piece)) {
                continue;
            }
            for (sector, found) in (place.start / 512..).zip(piece.chunks(512)) {
                let old = self.flushed.get(sector * 512..sector * 512 + 512).unwrap_or(&zeros);
                let given = || self.since.iter().any(|version| version.sector(sector) == Some(found));
                assert!(
                    found == old || given(),
                    "{when}: sector {sector} holds {:?}.., never given",
                    &found[..8]
                );
            }
        }
    }
}

/// What a history's first file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Vhd,
    Fixed,
    Dynamic,
    /// Dynamic, with logical sectors of 4096 bytes.
    Large,
}

impl Base {
    const ALL: [Self; 8] = [
        Self::Vhd,
        Self::Vhd,
        Self::Fixed,
        Self::Dynamic,
        Self::Dynamic,
        Self::Dynamic,
        Self::Large,
        Self::Large,
    ];

    fn sector(self) -> u64 {
        if self == Self::Large { 4096 } else { SECTOR }
    }

    fn options(self, size: u64) -> CreateOptions {
        match self {
            Self::Vhd => CreateOptions::vhd(size, seed(1)).block_size(512 << 10),
            _ => CreateOptions::vhdx(size, seed(1))
                .block_size(MIB)
                .fixed(self == Self::Fixed)
                .logical_sector(u32::try_from(self.sector()).unwrap()),
        }
    }
}

/// What a history does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Write,
    Trim,
    Flush,
    Reopen,
    Resize,
    Snapshot,
    MergeNewest,
    MergeMiddle,
}

const STEPS: [Step; 18] = [
    Step::Write,
    Step::Write,
    Step::Write,
    Step::Write,
    Step::Write,
    Step::Trim,
    Step::Trim,
    Step::Trim,
    Step::Flush,
    Step::Flush,
    Step::Reopen,
    Step::Resize,
    Step::Resize,
    Step::Snapshot,
    Step::Snapshot,
    Step::MergeNewest,
    Step::MergeMiddle,
    Step::MergeMiddle,
];

/// A history: what was done to the files, and what the disk may hold from each event on.
struct History {
    events: Vec<Event>,
    models: Vec<(usize, Model)>,
    steps: Vec<Step>,
}

fn open_top(fs: &dyn FileSystem, path: &Path, by: u8) -> Box<dyn Image> {
    open_in(fs, path, &OpenOptions::read_write(seed(by))).unwrap()
}

/// A history while it is lived.
struct Life<'a> {
    rng: &'a mut Rng,
    fs: TrackedFs,
    base: Base,
    /// The files, the oldest first.
    chain: Vec<PathBuf>,
    image: Option<Box<dyn Image>>,
    model: Model,
    models: Vec<(usize, Model)>,
}

/// Does random steps on a chain, all of it tracked from the first file's creation on.
fn live(rng: &mut Rng) -> History {
    let mut life = Life::begin(rng);
    let mut steps = Vec::new();
    for number in 3..13 {
        let step = STEPS[life.below(STEPS.len())];
        if life.can(step) {
            steps.push(step);
            life.step(step, number);
        }
    }
    life.close();
    let events = life.fs.events.lock().unwrap().clone();
    History { events, models: life.models, steps }
}

impl<'a> Life<'a> {
    fn begin(rng: &'a mut Rng) -> Self {
        let fs = TrackedFs::default();
        let base = Base::ALL[usize::try_from(rng.below(8)).unwrap()];
        let size = 2 * MIB + rng.below(MIB / 2 / base.sector()) * base.sector();
        let path = PathBuf::from("/0");
        create_in(&fs, &path, &base.options(size)).unwrap().close().unwrap();
        let zeros = Arc::new(vec![0; usize::try_from(size).unwrap()]);
        let model = Model {
            tops: vec![path.clone()],
            sizes: vec![size],
            latest: Arc::clone(&zeros),
            flushed: zeros,
            since: Vec::new(),
        };
        let image = Some(open_top(&fs, &path, 2));
        let mut life = Self { rng, fs, base, chain: vec![path], image, model, models: Vec::new() };
        life.note();
        life
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(u64::try_from(bound).unwrap())).unwrap()
    }

    fn image(&mut self) -> &mut dyn Image {
        &mut **self.image.as_mut().unwrap()
    }

    fn top(&self) -> &Path {
        self.chain.last().unwrap()
    }

    /// From the next event on the model is what it is now.
    fn note(&mut self) {
        self.models.push((self.fs.count(), self.model.clone()));
    }

    /// All changes are durable.
    fn settle(&mut self) {
        self.model.flush();
        self.note();
    }

    fn close(&mut self) {
        self.image.take().unwrap().close().unwrap();
        self.settle();
    }

    fn can(&self, step: Step) -> bool {
        let (vhd, depth) = (self.base == Base::Vhd, self.chain.len());
        match step {
            Step::Write | Step::Trim | Step::Flush | Step::Reopen => true,
            Step::Resize => !vhd || depth == 1,
            Step::Snapshot => depth < 3,
            Step::MergeNewest => depth > 1,
            Step::MergeMiddle => !vhd && depth == 3,
        }
    }

    fn step(&mut self, step: Step, by: u8) {
        match step {
            Step::Write => self.write(),
            Step::Trim => self.trim(),
            Step::Flush => {
                self.image().flush().unwrap();
                self.settle();
            }
            Step::Reopen => {
                self.close();
                self.open(by);
            }
            Step::Resize => self.resize(),
            Step::Snapshot => self.snapshot(by),
            Step::MergeNewest => self.merge_newest(by),
            Step::MergeMiddle => self.merge_middle(by),
        }
    }

    fn open(&mut self, by: u8) {
        self.image = Some(open_top(&self.fs, self.chain.last().unwrap(), by));
    }

    fn range(&mut self) -> (u64, u64) {
        let size = self.image().size();
        let skew = if self.below(4) == 0 { self.rng.below(500) } else { 0 };
        let at = self.rng.below(size / SECTOR) * SECTOR + skew;
        let len = [700, 4096, 70_000, MIB][self.below(4)];
        (at, len.min(size - at))
    }

    fn write(&mut self) {
        let (at, len) = self.range();
        let byte = u8::try_from(self.rng.below(255) + 1).unwrap();
        let data: Vec<u8> = (0..len).map(|n| byte ^ u8::try_from(n / 512 % 256).unwrap()).collect();
        self.model.change(usize::try_from(at).unwrap(), &data);
        self.note();
        self.image().write_at(at, &data).unwrap();
    }

    fn trim(&mut self) {
        let differencing = self.base != Base::Vhd && self.chain.len() > 1;
        let kinds = if differencing { 4 } else { 3 };
        let how = [Trim::Zero, Trim::FreeSpace, Trim::FileSpace, Trim::Transparent][self.below(kinds)];
        let (at, len) = self.range();
        let (at, len) = if how == Trim::Zero { (at, len) } else { (at / MIB * MIB, MIB) };
        let len = len.min(self.image().size() - at);
        let mut given = vec![0; usize::try_from(len).unwrap()];
        if how == Trim::Transparent {
            let parent = &self.chain[self.chain.len() - 2];
            let parent = open_in(&self.fs, parent, &OpenOptions::read_only()).unwrap();
            let shared = usize::try_from(parent.size().saturating_sub(at).min(len)).unwrap();
            parent.read_at(at.min(parent.size()), &mut given[..shared]).unwrap();
        }
        let was = Arc::clone(&self.model.latest);
        self.model.change(usize::try_from(at).unwrap(), &given);
        self.note();
        self.image().trim(at, len, how).unwrap();
        // Parts of blocks, and blocks that are a parent's, may stay: the image knows.
        let now = read_all(self.image());
        for (sector, found) in now.chunks(512).enumerate() {
            let at = sector * 512..sector * 512 + 512;
            if *found != self.model.latest[at.clone()] {
                assert!(how != Trim::Zero && *found == was[at], "{how:?}: sector {sector}");
                self.model.change(sector * 512, found);
            }
        }
        self.note();
    }

    fn resize(&mut self) {
        self.image().flush().unwrap();
        self.settle();
        let sector = self.base.sector();
        let new = (1 + self.rng.below(3 * MIB / sector)) * sector;
        self.model.sizes = vec![self.image().size(), new];
        self.note();
        self.image().resize(new).unwrap();
        self.model.resize(usize::try_from(new).unwrap());
        self.note();
    }

    fn snapshot(&mut self, by: u8) {
        self.close();
        let path = PathBuf::from(format!("/{by}"));
        let options = ChildOptions::new(seed(by)).block_size(MIB);
        create_child_in(&self.fs, self.top(), &path, &options).unwrap().close().unwrap();
        self.chain.push(path.clone());
        self.open(by);
        self.model.tops = vec![path];
        self.note();
    }

    fn merge_newest(&mut self, by: u8) {
        self.close();
        let newest = self.chain.pop().unwrap();
        self.model.tops = vec![newest.clone(), self.top().to_path_buf()];
        self.note();
        merge_in(&self.fs, &newest, &[], seed(by)).unwrap();
        self.open(by);
        self.model.tops.remove(0);
        self.note();
    }

    fn merge_middle(&mut self, by: u8) {
        self.close();
        let middle = self.chain.remove(1);
        merge_in(&self.fs, &middle, &[self.top().to_path_buf()], seed(by)).unwrap();
        self.open(by);
        self.note();
    }
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

    /// What a power cut leaves of what was not flushed: nothing, all, whole operations or single sectors.
    fn cut(&self, rng: &mut Rng) -> Files {
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

/// What a power cut left.
pub type Files = BTreeMap<PathBuf, MemFile>;

fn tracked(files: &Files) -> TrackedFs {
    let fs = TrackedFs::default();
    for (path, file) in files {
        fs.put(path, file.clone());
    }
    fs
}

/// One cut: what it left, the topmost file, and what the disk may hold.
pub struct Cut<'a> {
    pub files: &'a Files,
    pub top: &'a Path,
    pub when: String,
    model: &'a Model,
}

/// What is read from the files, in memory that is used again.
#[derive(Default)]
struct Contents {
    first: Vec<u8>,
    again: Vec<u8>,
}

impl Cut<'_> {
    /// The files, to be opened.
    pub fn file_system(&self) -> impl FileSystem {
        tracked(self.files)
    }

    fn read(&self, fs: &TrackedFs, content: &mut Vec<u8>) {
        let image = open_in(fs, self.top, &OpenOptions::read_only());
        let image = image.unwrap_or_else(|error| panic!("{}: {error}", self.when));
        content.resize(usize::try_from(image.size()).unwrap(), 0xEE);
        image.read_at(0, content).unwrap();
    }

    /// Opens what the cut left: for reading, for writing, after a second cut during the replay, and once more.
    /// Gives how many second cuts that were.
    fn check(&self, rng: &mut Rng, contents: &mut Contents) -> u64 {
        let Contents { first: content, again: other } = contents;
        let when = &self.when;
        let fs = tracked(self.files);
        self.read(&fs, content);
        assert_eq!(fs.count(), 0, "{when}: reading wrote");
        self.model.check(content, when);
        if rng.below(3) > 0 {
            return 0;
        }
        open_top(&fs, self.top, 99).close().unwrap();
        let mut disk = Disk::default();
        for (path, file) in self.files {
            disk.files.insert(path.clone(), (file.clone(), Vec::new()));
        }
        let events = fs.events.lock().unwrap().clone();
        let count = usize::try_from(rng.below(u64::try_from(events.len()).unwrap() + 1)).unwrap();
        events[..count].iter().for_each(|event| disk.step(event));
        let again = tracked(&disk.cut(rng));
        self.read(&again, other);
        assert!(other == content, "{when}: a second cut, after {count} operations of the replay");
        for fs in [&again, &fs] {
            open_top(fs, self.top, 98).close().unwrap();
            self.read(fs, other);
            assert!(other == content, "{when}: replayed again");
        }
        1
    }
}

/// Lives one history, cuts the power after each of its events, and shows what each cut left.
pub fn cuts(number: u64, mut see: impl FnMut(&Cut, &mut Rng)) -> Vec<String> {
    let mut rng = Rng(0x5EED ^ number << 20);
    let History { events, models, steps } = live(&mut rng);
    let mut disk = Disk::default();
    let first = models[0].0;
    for (count, event) in (1..).zip(&events) {
        disk.step(event);
        if count < first {
            continue;
        }
        let model = &models.iter().rev().find(|(from, _)| *from <= count).unwrap().1;
        let files = disk.cut(&mut rng);
        let top = model.tops.iter().find(|path| files.contains_key(*path)).unwrap();
        let when = format!("history {number}, after {count} of {} operations", events.len());
        see(&Cut { files: &files, top, when, model }, &mut rng);
    }
    steps.iter().map(|step| format!("{step:?}")).collect()
}

/// What a run went through.
#[derive(Default)]
struct Tally {
    histories: u64,
    cuts: u64,
    second_cuts: u64,
    steps: BTreeMap<String, u64>,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { histories, cuts, second_cuts, steps } = self;
        write!(
            f,
            "{histories} histories, {cuts} cuts, {second_cuts} of them cut again in the replay; {steps:?}"
        )
    }
}

fn cut_everywhere(number: u64, tally: &Mutex<Tally>) {
    let mut contents = Contents::default();
    let (mut examined, mut again) = (0, 0);
    let steps = cuts(number, |cut, rng| {
        examined += 1;
        again += cut.check(rng, &mut contents);
    });
    let mut tally = tally.lock().unwrap();
    tally.histories += 1;
    tally.cuts += examined;
    tally.second_cuts += again;
    for step in steps {
        *tally.steps.entry(step).or_default() += 1;
    }
    if tally.histories.is_multiple_of(1000) {
        println!("{tally}");
    }
}

/// How many histories are lived: a sample, or what the environment asks for.
pub fn wanted(sample: u64) -> u64 {
    std::env::var("HVRSIM_HISTORIES").map_or(sample, |text| text.parse().unwrap())
}

#[test]
fn histories_survive_a_power_cut_at_every_operation() {
    let count = wanted(SAMPLE);
    let tally = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, |n| u64::try_from(n.get()).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let own = (thread..count).step_by(usize::try_from(threads).unwrap());
            scope.spawn(|| own.for_each(|number| cut_everywhere(number, &tally)));
        }
    });
    let tally = tally.into_inner().unwrap();
    println!("{tally}");
    assert_eq!(tally.histories, count);
    assert!(tally.cuts >= 20 * count && tally.second_cuts >= 5 * count, "{tally}");
}
