//! Power cuts: a writer's operations are recorded; for every prefix, and for any part of what was not
//! flushed, down to torn sectors, the file must open, what was flushed must be there, and every sector must
//! hold something it was given.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use hvrsim_disk::file::{BlockFile, FileSystem, MemFile, MemFs};
use hvrsim_disk::{ChildOptions, CreateOptions, OpenOptions, create_child_in, create_in, open_in};

use crate::support::{MIB, Rng, read, read_all, seed};

pub const SIZE: u64 = 6 * MIB + 1024;
const SECTOR: u64 = 512;

#[derive(Clone)]
pub enum Op {
    Write(u64, Arc<[u8]>),
    SetLen(u64),
    Punch(u64, u64),
    Flush,
}

/// A file that records what is done to it.
pub struct Recorder {
    pub now: MemFile,
    pub ops: Mutex<Vec<Op>>,
}

impl Recorder {
    fn record(&self, op: Op) {
        self.ops.lock().unwrap().push(op);
    }

    /// Records the sectors that a change from `start` to `end` touched as they are now: the host's cache
    /// holds whole sectors, so a later change of one carries the earlier ones with it.
    fn record_sectors(&self, start: u64, end: u64) {
        let whole = start / SECTOR * SECTOR..end.next_multiple_of(SECTOR).min(self.now.len().unwrap());
        if start < end && whole.start < whole.end {
            let mut data = vec![0; usize::try_from(whole.end - whole.start).unwrap()];
            self.now.read_at(whole.start, &mut data).unwrap();
            self.record(Op::Write(whole.start, data.into()));
        }
    }

    fn count(&self) -> usize {
        self.ops.lock().unwrap().len()
    }
}

impl BlockFile for Recorder {
    fn len(&self) -> io::Result<u64> {
        self.now.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.record(Op::SetLen(len));
        self.now.set_len(len)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.now.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.now.write_at(offset, data)?;
        self.record_sectors(offset, offset + u64::try_from(data.len()).unwrap());
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.record(Op::Flush);
        Ok(())
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        self.now.punch_hole(offset, len)?;
        let inner = offset.next_multiple_of(SECTOR)..(offset + len) / SECTOR * SECTOR;
        if inner.start < inner.end {
            self.record(Op::Punch(inner.start, inner.end - inner.start));
            self.record_sectors(offset, inner.start);
            self.record_sectors(inner.end, offset + len);
        } else {
            self.record_sectors(offset, offset + len);
        }
        Ok(())
    }

    fn data_extents(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        self.now.data_extents(range)
    }
}

/// What the disk may hold: the content at the last flush, and by sector what it was given since.
#[derive(Clone)]
pub struct Model {
    flushed: Vec<u8>,
    latest: Vec<u8>,
    since: BTreeMap<u64, Vec<Vec<u8>>>,
}

impl Model {
    fn sector(content: &[u8], sector: u64) -> &[u8] {
        let start = usize::try_from(sector * SECTOR).unwrap();
        &content[start..start + 512]
    }

    pub fn change(&mut self, at: u64, data: &[u8]) {
        let start = usize::try_from(at).unwrap();
        self.latest[start..start + data.len()].copy_from_slice(data);
        let end = at + u64::try_from(data.len()).unwrap();
        for sector in at / SECTOR..end.div_ceil(SECTOR) {
            let version = Self::sector(&self.latest, sector).to_vec();
            self.since.entry(sector).or_default().push(version);
        }
    }

    pub fn flush(&mut self) {
        self.flushed = self.latest.clone();
        self.since.clear();
    }

    pub fn check(&self, content: &[u8], when: &str) {
        if self.since.is_empty() {
            assert!(content == self.flushed, "{when}: flushed content differs");
        }
        for sector in 0..SIZE / SECTOR {
            let found = Self::sector(content, sector);
            let fits = found == Self::sector(&self.flushed, sector)
                || self
                    .since
                    .get(&sector)
                    .is_some_and(|versions| versions.iter().any(|version| version == found));
            assert!(fits, "{when}: sector {sector} holds {:?}.., which it was never given", &found[..8]);
        }
    }
}

/// A recorded run: the file before, the operations, and the model from each operation on.
struct Run {
    before: MemFile,
    ops: Vec<Op>,
    models: Vec<(usize, Model)>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Write(u64, u64),
    Zero(u64, u64),
    Flush,
    Reopen,
}

fn random_steps(rng: &mut Rng, count: u64) -> Vec<Step> {
    let range = |rng: &mut Rng| {
        let at = match rng.below(3) {
            0 => rng.below(SIZE),
            1 => rng.below(SIZE / SECTOR) * SECTOR,
            _ => rng.below(6) * MIB,
        };
        let len = match rng.below(4) {
            0 => rng.below(3000) + 1,
            1 => 4096,
            _ => MIB,
        };
        (at, len.min(SIZE - at))
    };
    let step = |rng: &mut Rng| {
        let (at, len) = range(rng);
        match rng.below(10) {
            0..5 => Step::Write(at, len),
            5..8 => Step::Zero(at, len),
            8 => Step::Flush,
            _ => Step::Reopen,
        }
    };
    (0..count).map(|_| step(rng)).collect()
}

/// Does the steps on the image at `path`, recording what they do to its file.
fn work(fs: &MemFs, path: &str, model: &mut Model, rng: &mut Rng, steps: &[Step]) -> Run {
    let path = Path::new(path);
    let before = copy_of(&*fs.open(path, false).unwrap());
    let recorder = Arc::new(Recorder { now: before.clone(), ops: Mutex::default() });
    fs.insert(path, Arc::<Recorder>::clone(&recorder));
    let open = || open_in(fs, path, &OpenOptions::read_write(seed(3))).unwrap();
    let mut image = open();
    let mut models = vec![(0, model.clone())];
    for step in steps {
        // A change may be there in part from its first operation on, a flush counts only after its last.
        match *step {
            Step::Write(at, len) => {
                let data: Vec<u8> = (0..len).map(|_| u8::try_from(rng.below(255) + 1).unwrap()).collect();
                model.change(at, &data);
                models.push((recorder.count(), model.clone()));
                image.write_at(at, &data).unwrap();
                continue;
            }
            Step::Zero(at, len) => {
                model.change(at, &vec![0; usize::try_from(len).unwrap()]);
                models.push((recorder.count(), model.clone()));
                image.zero_at(at, len).unwrap();
                continue;
            }
            Step::Flush => image.flush().unwrap(),
            Step::Reopen => {
                image.close().unwrap();
                image = open();
            }
        }
        model.flush();
        models.push((recorder.count(), model.clone()));
    }
    image.close().unwrap();
    model.flush();
    models.push((recorder.count(), model.clone()));
    let ops = recorder.ops.lock().unwrap().clone();
    Run { before, ops, models }
}

pub fn copy_of(file: &dyn BlockFile) -> MemFile {
    let copy = MemFile::new();
    let len = file.len().unwrap();
    copy.set_len(len).unwrap();
    for part in file.data_extents(0..len).unwrap() {
        let mut bytes = vec![0; usize::try_from(part.end - part.start).unwrap()];
        file.read_at(part.start, &mut bytes).unwrap();
        copy.write_at(part.start, &bytes).unwrap();
    }
    copy
}

/// Does an operation, or of a write only the sectors that `keep` says.
pub fn apply(file: &MemFile, op: &Op, mut keep: impl FnMut() -> bool) {
    match op {
        Op::Write(offset, data) => {
            let kept: Vec<bool> = data.chunks(512).map(|_| keep()).collect();
            let mut at = 0;
            for run in kept.chunk_by(|left, right| left == right) {
                let end = (at + 512 * run.len()).min(data.len());
                if run[0] {
                    file.write_at(offset + u64::try_from(at).unwrap(), &data[at..end]).unwrap();
                }
                at = end;
            }
        }
        Op::SetLen(len) if keep() => file.set_len(*len).unwrap(),
        Op::Punch(offset, len) if keep() => file.punch_hole(*offset, *len).unwrap(),
        _ => {}
    }
}

/// Which of the operations that were not flushed survive a cut.
#[derive(Clone, Copy, PartialEq)]
enum Survivors {
    /// None, all, some whole ones, some sectors of some.
    Sample,
    /// Every set of whole ones.
    EverySet,
}

impl Survivors {
    fn count(self, pending: usize) -> u64 {
        match self {
            _ if pending == 0 => 1,
            Self::Sample => 4,
            Self::EverySet => 1 << pending,
        }
    }

    /// The file with what survives in the case `case` of [`Self::count`].
    fn file(self, case: u64, durable: &MemFile, pending: &[Op], rng: &mut Rng) -> MemFile {
        let file = durable.clone();
        for (n, op) in pending.iter().enumerate() {
            let whole = rng.below(2) == 0;
            match (self, case) {
                (Self::EverySet, set) => apply(&file, op, || set >> n & 1 != 0),
                (Self::Sample, 0) => {}
                (Self::Sample, 1) => apply(&file, op, || true),
                (Self::Sample, 2) => apply(&file, op, || whole),
                (Self::Sample, _) => apply(&file, op, || rng.below(2) == 0),
            }
        }
        file
    }
}

/// Cuts the power after every operation, and checks what `check` makes of the file.
fn cut_everywhere(
    before: &MemFile,
    ops: &[Op],
    survivors: Survivors,
    rng: &mut Rng,
    mut check: impl FnMut(usize, MemFile, String),
) {
    let durable = before.clone();
    let mut pending: Vec<Op> = Vec::new();
    for count in 0..=ops.len() {
        for case in 0..survivors.count(pending.len()) {
            let file = survivors.file(case, &durable, &pending, rng);
            check(count, file, format!("after {count} of {} operations, case {case}", ops.len()));
        }
        match ops.get(count) {
            Some(Op::Flush) => pending.drain(..).for_each(|op| apply(&durable, &op, || true)),
            Some(op) => pending.push(op.clone()),
            None => {}
        }
    }
}

/// Opens what a power cut left, for reading and for writing, and compares with the model.
fn check_cut(fs: &MemFs, path: &str, file: MemFile, model: &Model, when: &str) {
    let path = Path::new(path);
    fs.insert(path, Arc::new(file));
    let open = |options| open_in(fs, path, &options).unwrap_or_else(|error| panic!("{when}: {error}"));
    let content = read_all(&*open(OpenOptions::read_only()));
    model.check(&content, when);
    let mut image = open(OpenOptions::read_write(seed(4)));
    assert!(read_all(&*image) == content, "{when}: the replays differ");
    image.write_at(MIB, &[0x99; 700]).unwrap();
    image.close().unwrap();
    let image = open(OpenOptions::read_only());
    let mut want = content;
    want[1 << 20..(1 << 20) + 700].fill(0x99);
    assert!(read_all(&*image) == want, "{when}: going on after the cut");
}

fn check_run(fs: &MemFs, path: &str, run: &Run, survivors: Survivors, rng: &mut Rng) {
    cut_everywhere(&run.before, &run.ops, survivors, rng, |count, file, when| {
        let model = &run.models.iter().rev().find(|(from, _)| *from <= count).unwrap().1;
        check_cut(fs, path, file, model, &when);
    });
}

/// An empty disk at `/d.vhdx`, and its model.
pub fn fresh() -> (MemFs, Model) {
    let fs = MemFs::new();
    let options = CreateOptions::vhdx(SIZE, seed(1)).block_size(MIB);
    create_in(&fs, Path::new("/d.vhdx"), &options).unwrap().close().unwrap();
    let zeros = vec![0; usize::try_from(SIZE).unwrap()];
    (fs, Model { flushed: zeros.clone(), latest: zeros, since: BTreeMap::new() })
}

#[test]
fn dynamic_disk_survives_a_power_cut_at_every_operation() {
    for round in 0..4 {
        let (fs, mut model) = fresh();
        let mut rng = Rng(round);
        let steps = random_steps(&mut rng, 20);
        let run = work(&fs, "/d.vhdx", &mut model, &mut rng, &steps);
        check_run(&fs, "/d.vhdx", &run, Survivors::Sample, &mut rng);
    }
}

#[test]
fn differencing_disk_survives_a_power_cut_at_every_operation() {
    for round in 10..14 {
        let (fs, mut model) = fresh();
        let mut rng = Rng(round);
        let steps = random_steps(&mut rng, 12);
        work(&fs, "/d.vhdx", &mut model, &mut rng, &steps);
        let options = ChildOptions::new(seed(1)).block_size(MIB);
        create_child_in(&fs, Path::new("/d.vhdx"), Path::new("/c.avhdx"), &options).unwrap().close().unwrap();
        let steps = random_steps(&mut rng, 20);
        let run = work(&fs, "/c.avhdx", &mut model, &mut rng, &steps);
        check_run(&fs, "/c.avhdx", &run, Survivors::Sample, &mut rng);
    }
}

#[test]
fn vhds_survive_a_power_cut_at_every_operation() {
    for round in 30..36 {
        let (fs, mut model) = fresh();
        let mut rng = Rng(round);
        let options = CreateOptions::vhd(SIZE, seed(1)).block_size(512 << 10).fixed(round % 3 == 0);
        create_in(&fs, Path::new("/d.vhd"), &options).unwrap().close().unwrap();
        let steps = random_steps(&mut rng, 15);
        let run = work(&fs, "/d.vhd", &mut model, &mut rng, &steps);
        if round % 2 == 0 {
            check_run(&fs, "/d.vhd", &run, Survivors::Sample, &mut rng);
            continue;
        }
        let options = ChildOptions::new(seed(1)).block_size(512 << 10);
        create_child_in(&fs, Path::new("/d.vhd"), Path::new("/c.avhd"), &options).unwrap().close().unwrap();
        let steps = random_steps(&mut rng, 15);
        let run = work(&fs, "/c.avhd", &mut model, &mut rng, &steps);
        check_run(&fs, "/c.avhd", &run, Survivors::Sample, &mut rng);
    }
}

#[test]
fn space_used_again_never_shows_what_was_there() {
    let (fs, mut model) = fresh();
    let mut rng = Rng(20);
    let steps = [
        Step::Write(0, MIB),
        Step::Flush,
        Step::Zero(0, MIB),
        Step::Flush,
        Step::Write(3 * MIB, 4096),
        Step::Flush,
    ];
    let run = work(&fs, "/d.vhdx", &mut model, &mut rng, &steps);
    check_run(&fs, "/d.vhdx", &run, Survivors::EverySet, &mut rng);
}

#[test]
fn an_entry_stays_in_the_log_until_its_changes_are_durable() {
    let path = Path::new("/d.vhdx");
    let fs = MemFs::new();
    // Two pages of BAT, so that the later entry does not carry the changes of the earlier one.
    let options = CreateOptions::vhdx(600 * MIB, seed(1)).block_size(MIB);
    create_in(&fs, path, &options).unwrap().close().unwrap();
    let before = copy_of(&*fs.open(path, false).unwrap());
    let recorder = Arc::new(Recorder { now: before.clone(), ops: Mutex::default() });
    fs.insert(path, Arc::<Recorder>::clone(&recorder));
    let mut image = open_in(&fs, path, &OpenOptions::read_write(seed(3))).unwrap();
    let places = [0, 550 * MIB, MIB, 551 * MIB];
    let mut flushed = Vec::new();
    for at in places {
        image.write_at(at, &[0xAB; 512]).unwrap();
        image.flush().unwrap();
        flushed.push(recorder.count());
    }
    image.close().unwrap();
    let ops = recorder.ops.lock().unwrap().clone();
    cut_everywhere(&before, &ops, Survivors::EverySet, &mut Rng(21), |count, file, when| {
        fs.insert(path, Arc::new(file));
        let image = open_in(&fs, path, &OpenOptions::read_only()).unwrap();
        for (at, _) in places.iter().zip(&flushed).filter(|(_, from)| **from <= count) {
            assert_eq!(read(&*image, *at, 512), [0xAB; 512], "{when}: {at}");
        }
    });
}

#[test]
fn a_power_cut_during_replay_loses_nothing() {
    let (fs, mut model) = fresh();
    let mut image = open_in(&fs, Path::new("/d.vhdx"), &OpenOptions::read_write(seed(3))).unwrap();
    for (at, byte) in [(0, 1), (3 * MIB, 2), (MIB, 3)] {
        image.write_at(at, &[byte; 5000]).unwrap();
        model.change(at, &[byte; 5000]);
        image.flush().unwrap();
    }
    model.flush();
    drop(image);
    let before = copy_of(&*fs.open(Path::new("/d.vhdx"), false).unwrap());
    // The BAT as it was before: the replay has work to do.
    before.punch_hole(3 * MIB, 4096).unwrap();
    let recorder = Arc::new(Recorder { now: before.clone(), ops: Mutex::default() });
    fs.insert("/d.vhdx", Arc::<Recorder>::clone(&recorder));
    open_in(&fs, Path::new("/d.vhdx"), &OpenOptions::read_write(seed(5))).unwrap().close().unwrap();
    let ops = recorder.ops.lock().unwrap().clone();
    assert!(ops.len() > 8);
    cut_everywhere(&before, &ops, Survivors::EverySet, &mut Rng(7), |_, file, when| {
        check_cut(&fs, "/d.vhdx", file, &model, &when);
    });
}

#[test]
fn a_power_cut_during_creation_leaves_no_half_disk() {
    let fs = MemFs::new();
    let recorder = Arc::new(Recorder { now: MemFile::new(), ops: Mutex::default() });
    /// Hands out the recorder for the new file.
    struct One(Arc<Recorder>, MemFs);
    impl FileSystem for One {
        fn open(&self, _: &Path, _: bool) -> io::Result<Arc<dyn BlockFile>> {
            Ok(Arc::<Recorder>::clone(&self.0))
        }
        fn create_new(&self, _: &Path) -> io::Result<Arc<dyn BlockFile>> {
            Ok(Arc::<Recorder>::clone(&self.0))
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.1.rename(from, to)
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            self.1.remove(path)
        }
        fn absolute(&self, path: &Path) -> io::Result<std::path::PathBuf> {
            self.1.absolute(path)
        }
        fn list(&self, folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
            self.1.list(folder)
        }
        fn is_same(&self, left: &Path, right: &Path) -> bool {
            self.1.is_same(left, right)
        }
    }
    let one = One(Arc::clone(&recorder), MemFs::new());
    let options = CreateOptions::vhdx(SIZE, seed(1)).block_size(MIB);
    create_in(&one, Path::new("/d.vhdx"), &options).unwrap().close().unwrap();
    let ops = recorder.ops.lock().unwrap().clone();
    let mut opened = 0;
    cut_everywhere(&MemFile::new(), &ops, Survivors::EverySet, &mut Rng(8), |count, file, when| {
        fs.insert("/d.vhdx", Arc::new(file));
        match open_in(&fs, Path::new("/d.vhdx"), &OpenOptions::read_only()) {
            Ok(image) => {
                assert!(read_all(&*image).iter().all(|byte| *byte == 0), "{when}");
                opened += 1;
            }
            Err(error) => assert!(count < ops.len(), "{when}: {error}"),
        }
    });
    assert!(opened > 0);
}
