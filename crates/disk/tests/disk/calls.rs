//! A host that fails at every single call: with an error, with no room, with a short read, with half a write
//! that ends inside a sector; once, or from then on for ever. Whatever is being done, it ends with an error that
//! names file and structure; what was flushed is there afterwards, every byte is the old or the new one, and doing
//! it again succeeds.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hvrsim_disk::file::{BlockFile, FileSystem, MemFile, MemFs};
use hvrsim_disk::hrl::{HrlChain, HrlOptions, HrlReader, HrlWriter};
use hvrsim_disk::{
    ChildOptions, CopyOptions, CreateOptions, Error, ErrorKind, Guid, Image, OpenOptions, Trim,
    copy_sparse_in, create_child_in, create_in, merge_in, open_in,
};

use crate::crash::copy_of;
use crate::support::{MIB, read_all, seed};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Any call ends with an I/O error.
    Error,
    /// Calls that need room have none.
    NoRoom,
    /// Reads give half of what was asked for.
    ShortRead,
    /// Writes stop in the middle, within a sector.
    TornWrite,
}

/// When and how calls fail.
struct Trouble {
    fault: Fault,
    /// Calls of the kind that go well.
    left: AtomicU64,
    /// Whether all that follow fail as well.
    lasting: bool,
}

impl Trouble {
    /// Whether this call is one that fails.
    fn strikes(&self) -> bool {
        let before = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| match left {
            u64::MAX => None,
            0 if self.lasting => None,
            left => Some(left.wrapping_sub(1)),
        });
        matches!(before, Ok(0) | Err(0))
    }

    fn any(&self) -> io::Result<()> {
        if self.fault == Fault::Error && self.strikes() { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    }

    fn room(&self) -> io::Result<()> {
        if self.fault == Fault::NoRoom && self.strikes() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.any()
    }

    /// Whether it has struck at least once.
    fn struck(&self) -> bool {
        matches!(self.left.load(Ordering::Relaxed), 0 | u64::MAX)
    }
}

struct File {
    inner: Arc<dyn BlockFile>,
    trouble: Arc<Trouble>,
}

impl BlockFile for File {
    fn len(&self) -> io::Result<u64> {
        self.trouble.any()?;
        self.inner.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.trouble.room()?;
        self.inner.set_len(len)
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.trouble.any()?;
        if self.trouble.fault == Fault::ShortRead && self.trouble.strikes() {
            let half = buf.len() / 2;
            self.inner.read_at(offset, &mut buf[..half])?;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.inner.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.trouble.room()?;
        if self.trouble.fault == Fault::TornWrite && self.trouble.strikes() {
            let part = data.len() / 2 / 512 * 512 + 77;
            self.inner.write_at(offset, &data[..part.min(data.len())])?;
            return Err(io::ErrorKind::Other.into());
        }
        self.inner.write_at(offset, data)
    }
    fn flush(&self) -> io::Result<()> {
        self.trouble.room()?;
        self.inner.flush()
    }
    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        self.trouble.room()?;
        self.inner.punch_hole(offset, len)
    }
    fn data_extents(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        self.trouble.any()?;
        self.inner.data_extents(range)
    }
}

struct Fs<'a> {
    inner: &'a MemFs,
    trouble: Arc<Trouble>,
}

impl Fs<'_> {
    fn wrap(&self, inner: Arc<dyn BlockFile>) -> Arc<dyn BlockFile> {
        Arc::new(File { inner, trouble: Arc::clone(&self.trouble) })
    }
}

impl FileSystem for Fs<'_> {
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn BlockFile>> {
        self.trouble.any()?;
        Ok(self.wrap(self.inner.open(path, writable)?))
    }
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn BlockFile>> {
        self.trouble.room()?;
        Ok(self.wrap(self.inner.create_new(path)?))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.trouble.any()?;
        self.inner.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.trouble.any()?;
        self.inner.remove(path)
    }
    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        self.trouble.any()?;
        self.inner.absolute(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.trouble.any()?;
        self.inner.list(folder)
    }
    fn is_same(&self, left: &Path, right: &Path) -> bool {
        self.inner.is_same(left, right)
    }
}

/// Files to begin with; each attempt gets a copy.
#[derive(Default)]
struct Scene(BTreeMap<PathBuf, MemFile>);

impl Scene {
    fn of(fs: &MemFs) -> Self {
        let files = fs.list(Path::new("/")).unwrap();
        let copy = |path: PathBuf| {
            let file = copy_of(&*fs.open(&path, false).unwrap());
            (path, file)
        };
        Self(files.into_iter().map(copy).collect())
    }

    fn fs(&self) -> MemFs {
        let fs = MemFs::new();
        for (path, file) in &self.0 {
            fs.insert(path, Arc::new(file.clone()));
        }
        fs
    }
}

/// Bytes of disks that a flush has made safe.
type Safe = Vec<(PathBuf, Range<usize>)>;

/// What is done while calls fail: told what is safe as soon as it is.
type Work<'a> = &'a dyn Fn(&dyn FileSystem, &mut Safe) -> Result<(), Error>;

/// The content of the disks that can be opened.
fn contents(fs: &MemFs, disks: &[&str]) -> BTreeMap<PathBuf, Vec<u8>> {
    let read = |path: &&str| {
        let image = open_in(fs, Path::new(path), &OpenOptions::read_only()).ok()?;
        Some((PathBuf::from(path), read_all(&*image)))
    };
    disks.iter().filter_map(read).collect()
}

/// Does the work with a fault at each of its calls. `disks` are those that must open afterwards, with old or new
/// bytes; `mend` clears away what a repetition would find in its way, and the repetition must end as the work
/// without faults does.
fn at_every_call(scene: &Scene, disks: &[&str], work: Work<'_>, mend: &dyn Fn(&MemFs)) {
    let before = contents(&scene.fs(), disks);
    assert_eq!(before.len(), disks.len());
    let fs = scene.fs();
    work(&fs, &mut Safe::new()).unwrap();
    let after = contents(&fs, disks);
    for fault in [Fault::Error, Fault::NoRoom, Fault::ShortRead, Fault::TornWrite] {
        for lasting in [false, true] {
            let mut calls = 0;
            while one_call(
                scene,
                (&before, &after),
                work,
                mend,
                Trouble { fault, left: AtomicU64::new(calls), lasting },
            ) {
                calls += 1;
            }
            assert!(calls > 0 || fault != Fault::Error, "nothing was done");
        }
    }
}

type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// One attempt; whether the fault struck.
fn one_call(
    scene: &Scene,
    (before, after): (&Contents, &Contents),
    work: Work<'_>,
    mend: &dyn Fn(&MemFs),
    trouble: Trouble,
) -> bool {
    let when = format!("{:?} at call {:?}, lasting {}", trouble.fault, trouble.left, trouble.lasting);
    let files = scene.fs();
    let trouble = Arc::new(trouble);
    let faulty = Fs { inner: &files, trouble: Arc::clone(&trouble) };
    let mut safe = Safe::new();
    let done = work(&faulty, &mut safe);
    if let Err(error) = &done {
        assert!(trouble.struck(), "{when}: {error}");
        check_message(error, trouble.fault, &when);
    }
    for (path, old) in before {
        let new = after.get(path).unwrap_or(old);
        // What a merge removed need not be there.
        let gone = !after.contains_key(path) && files.open(path, false).is_err();
        if gone {
            continue;
        }
        let image = open_in(&files, path, &OpenOptions::read_only());
        let now = read_all(&*image.unwrap_or_else(|error| panic!("{when}: {error}")));
        assert!(now.len() == old.len() || now.len() == new.len(), "{when}: {} bytes", now.len());
        for (at, part) in (0..).step_by(4096).zip(now.chunks(4096)) {
            let same = |other: &[u8]| other.get(at..at + part.len()) == Some(part);
            let fits = |(at, byte)| old.get(at) == Some(byte) || new.get(at) == Some(byte);
            let fit = same(old) || same(new) || (at..).zip(part).all(fits);
            assert!(fit, "{when}: {} holds what it was never given, from {at} on", path.display());
        }
        for (_, range) in safe.iter().filter(|(of, _)| of == path) {
            assert!(now[range.clone()] == new[range.clone()], "{when}: {} lost {range:?}", path.display());
        }
    }
    if done.is_err() {
        mend(&files);
        work(&files, &mut Safe::new()).unwrap_or_else(|error| panic!("{when}, and again: {error}"));
    }
    for (path, want) in after {
        let image = open_in(&files, path, &OpenOptions::read_only());
        let now = read_all(&*image.unwrap_or_else(|error| panic!("{when}, in the end: {error}")));
        assert!(now == *want, "{when}: {} in the end", path.display());
    }
    trouble.struck()
}

fn check_message(error: &Error, fault: Fault, when: &str) {
    let path = error.path().unwrap_or_else(|| panic!("{when}: no file in {error}"));
    let text = error.to_string();
    assert!(text.starts_with(&format!("{}: {}", path.display(), error.structure())), "{when}: {text}");
    assert!(!error.structure().is_empty() && !text.contains("failed to fill whole buffer"), "{when}: {text}");
    if fault == Fault::NoRoom {
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{when}: {text}");
    }
}

fn write(fs: &dyn FileSystem, path: &str) -> Result<Box<dyn Image>, Error> {
    open_in(fs, Path::new(path), &OpenOptions::read_write(seed(7)))
}

/// A disk of 2 MiB and a bit, half of it filled, in the format that the name's ending says.
fn filled(fs: &MemFs, path: &str) {
    let size = SIZE;
    let options = match Path::new(path).extension().and_then(|ending| ending.to_str()) {
        Some("vhdx") => CreateOptions::vhdx(size, seed(1)).block_size(MIB),
        Some("vhd") => CreateOptions::vhd(size, seed(1)).block_size(512 << 10),
        _ => CreateOptions::raw(size),
    };
    let mut image = create_in(fs, Path::new(path), &options).unwrap();
    image.write_at(0, &vec![0xA1; 5 << 18]).unwrap();
    image.close().unwrap();
}

const SIZE: u64 = 2 * MIB + 1024;

fn nothing(_: &MemFs) {}

const FORMATS: [&str; 3] = ["/d.vhdx", "/d.vhd", "/d.img"];

#[test]
fn writes_and_flushes() {
    for path in FORMATS {
        let fs = MemFs::new();
        filled(&fs, path);
        let work = |fs: &dyn FileSystem, safe: &mut Safe| {
            let mut image = write(fs, path)?;
            image.write_at(1000, &[0xB1; 3000])?;
            image.write_at(MIB - 500, &[0xB2; 4096])?;
            image.flush()?;
            safe.push((path.into(), 0..4000));
            safe.push((path.into(), (1 << 20) - 500..(1 << 20) + 3596));
            image.write_at(2 * MIB, &[0xB3; 1024])?;
            image.close()?;
            safe.push((path.into(), 2 << 20..(2 << 20) + 1024));
            Ok(())
        };
        at_every_call(&Scene::of(&fs), &[path], &work, &nothing);
    }
}

#[test]
fn trims_and_zeros() {
    for path in FORMATS {
        for how in [Trim::FileSpace, Trim::FreeSpace, Trim::Zero] {
            let fs = MemFs::new();
            filled(&fs, path);
            let work = |fs: &dyn FileSystem, safe: &mut Safe| {
                let mut image = write(fs, path)?;
                image.trim(0, MIB, how)?;
                image.zero_at(MIB + 100, 5000)?;
                image.flush()?;
                safe.push((path.into(), 0..(1 << 20) + 5100));
                image.close()
            };
            at_every_call(&Scene::of(&fs), &[path], &work, &nothing);
        }
    }
}

#[test]
fn other_sizes() {
    for path in FORMATS {
        for size in [4 * MIB + 512, MIB + 512] {
            let fs = MemFs::new();
            filled(&fs, path);
            let work = |fs: &dyn FileSystem, safe: &mut Safe| {
                let mut image = write(fs, path)?;
                image.resize(size)?;
                safe.push((path.into(), 0..1 << 20));
                image.close()
            };
            at_every_call(&Scene::of(&fs), &[path], &work, &nothing);
        }
    }
}

#[test]
fn new_disks_and_children() {
    for [parent, path, sibling] in
        [["/d.vhdx", "/c.avhdx", "/n.vhdx"], ["/d.vhd", "/c.avhd", "/n.vhd"], ["/d.img", "", "/n.img"]]
    {
        let fs = MemFs::new();
        filled(&fs, parent);
        let work = |fs: &dyn FileSystem, _: &mut Safe| {
            let size = 2 * MIB;
            let options = match parent {
                "/d.vhdx" => CreateOptions::vhdx(size, seed(3)),
                "/d.vhd" => CreateOptions::vhd(size, seed(3)),
                _ => CreateOptions::raw(size),
            };
            create_in(fs, Path::new(sibling), &options)?.close()?;
            if path.is_empty() {
                return Ok(());
            }
            let options = ChildOptions::new(seed(2)).block_size(MIB);
            let mut image = create_child_in(fs, Path::new(parent), Path::new(path), &options)?;
            image.write_at(10, &[0xC1; 10])?;
            image.close()
        };
        // What a failed creation could not remove is no disk, or an empty one.
        let mend = |fs: &MemFs| {
            for path in [path, sibling] {
                let _ = fs.remove(Path::new(path));
            }
        };
        at_every_call(&Scene::of(&fs), &[parent], &work, &mend);
    }
}

#[test]
fn a_creation_that_failed_once_leaves_no_file() {
    for (path, options) in [
        ("/n.vhdx", CreateOptions::vhdx(3 * MIB, seed(3))),
        ("/n.vhd", CreateOptions::vhd(3 * MIB, seed(3))),
        ("/n.vhd", CreateOptions::vhd(3 * MIB, seed(3)).fixed(true)),
        ("/n.img", CreateOptions::raw(3 * MIB)),
    ] {
        for calls in 0.. {
            let files = MemFs::new();
            let trouble = Trouble { fault: Fault::NoRoom, left: AtomicU64::new(calls), lasting: false };
            let faulty = Fs { inner: &files, trouble: Arc::new(trouble) };
            match create_in(&faulty, Path::new(path), &options) {
                Ok(_) => break,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::NoSpace);
                    assert!(files.open(Path::new(path), false).is_err(), "{path}, call {calls}: {error}");
                }
            }
        }
    }
}

#[test]
fn merges_with_children() {
    for names in
        [["/0.vhdx", "/1.avhdx", "/2.avhdx", "/3.avhdx"], ["/0.vhd", "/1.avhd", "/2.avhd", "/3.avhd"]]
    {
        let fs = MemFs::new();
        filled(&fs, names[0]);
        for (byte, parent, own) in [(0xC1, 0, 1), (0xC2, 1, 2), (0xC3, 1, 3)] {
            let options = ChildOptions::new(seed(byte)).block_size(MIB);
            let (parent, own) = (Path::new(names[parent]), Path::new(names[own]));
            let mut image = create_child_in(&fs, parent, own, &options).unwrap();
            image.write_at(u64::from(byte) * 1024, &[byte; 1500]).unwrap();
            image.zero_at(MIB + 4096, 4096).unwrap();
            image.close().unwrap();
        }
        let merge =
            |fs: &dyn FileSystem, _: &mut Safe| merge_in(fs, Path::new(names[1]), &[], seed(9)).map(drop);
        let work = |fs: &dyn FileSystem, safe: &mut Safe| match merge(fs, safe) {
            // Done but for the removal of the file that is not needed any more.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            done => done,
        };
        at_every_call(&Scene::of(&fs), &[names[2], names[3]], &work, &nothing);
    }
}

#[test]
fn conversions() {
    let fs = MemFs::new();
    FORMATS.iter().for_each(|path| filled(&fs, path));
    for source in FORMATS {
        for (target, options) in [
            ("/n.vhdx", CopyOptions::vhdx(seed(5)).block_size(MIB)),
            ("/n.vhd", CopyOptions::vhd(seed(5)).fixed(true)),
            ("/n.img", CopyOptions::raw()),
        ] {
            let work = |fs: &dyn FileSystem, _: &mut Safe| {
                copy_sparse_in(fs, Path::new(source), Path::new(target), &options)
            };
            let mend = |fs: &MemFs| {
                let _ = fs.remove(Path::new(&format!("{target}.partial")));
                if fs.open(Path::new(target), false).is_ok() {
                    let whole = open_in(fs, Path::new(target), &OpenOptions::read_only()).unwrap();
                    assert_eq!(whole.size(), SIZE, "a target is there whole or not at all");
                }
            };
            at_every_call(&Scene::of(&fs), &[source], &work, &mend);
        }
    }
}

#[test]
fn repairs() {
    let fs = MemFs::new();
    filled(&fs, "/d.vhdx");
    let mut image = write(&fs, "/d.vhdx").unwrap();
    image.write_at(3 << 19, &[0xB1; 5000]).unwrap();
    image.flush().unwrap();
    drop(image);
    let file = fs.open(Path::new("/d.vhdx"), true).unwrap();
    file.punch_hole(3 * MIB, 4096).unwrap();
    file.write_at(256 << 10, &[0xFF; 4096]).unwrap();
    filled(&fs, "/d.vhd");
    fs.open(Path::new("/d.vhd"), true).unwrap().write_at(0, &[0; 512]).unwrap();
    let work = |fs: &dyn FileSystem, safe: &mut Safe| {
        for path in ["/d.vhdx", "/d.vhd"] {
            safe.push((path.into(), 0..2 << 20));
            let mut image = write(fs, path)?;
            image.repair()?;
            image.close()?;
        }
        Ok(())
    };
    at_every_call(&Scene::of(&fs), &["/d.vhdx", "/d.vhd"], &work, &nothing);
}

fn log_options(id: u128) -> HrlOptions {
    let guid = Guid::from_u128;
    HrlOptions { unique_id: guid(id), previous_id: guid(id - 1), data_write_guid: guid(9), created: 5 }
}

#[test]
fn change_logs() {
    let [first, second] = ["/1.hrl", "/2.hrl"].map(Path::new);
    // How far it came: writes that are in a closed log.
    let work = |fs: &dyn FileSystem, closed: &mut u64| -> Result<(), Error> {
        let mut log = HrlWriter::create_in(fs, first, &log_options(1))?;
        for at in 0..130 {
            log.append(at * 512, &[0xD1; 512], 1)?;
        }
        log.rotate_in(fs, second, Guid::from_u128(2), Guid::from_u128(9), 6)?;
        *closed = 130;
        log.append(0, &[0xD2; 700], 2)?;
        log.close(7)?;
        *closed = 131;
        Ok(())
    };
    for fault in [Fault::Error, Fault::NoRoom, Fault::TornWrite] {
        for lasting in [false, true] {
            for calls in 0.. {
                let files = MemFs::new();
                let trouble = Arc::new(Trouble { fault, left: AtomicU64::new(calls), lasting });
                let faulty = Fs { inner: &files, trouble: Arc::clone(&trouble) };
                let mut closed = 0;
                let done = work(&faulty, &mut closed);
                let when = format!("{fault:?} at call {calls}, lasting {lasting}");
                if let Err(error) = &done {
                    check_message(error, fault, &when);
                }
                let whole = |path: &Path, count: usize| {
                    let log =
                        HrlReader::open_in(&files, path).unwrap_or_else(|error| panic!("{when}: {error}"));
                    assert_eq!(log.entries().map(Result::unwrap).count(), count, "{when}");
                };
                if closed >= 130 {
                    whole(first, 130);
                }
                if closed >= 131 {
                    whole(second, 1);
                }
                // A log that was not closed is refused, or is whole: only its last flush failed.
                for (path, count) in [(first, 130), (second, 1)] {
                    match HrlReader::open_in(&files, path) {
                        Ok(_) => whole(path, count),
                        Err(error) => assert!(closed < 131, "{when}: {error}"),
                    }
                }
                if done.is_ok() {
                    break;
                }
            }
        }
    }
}

#[test]
fn logs_that_cannot_be_read_are_not_applied() {
    let fs = MemFs::new();
    filled(&fs, "/d.vhdx");
    let mut log = HrlWriter::create_in(&fs, Path::new("/1.hrl"), &log_options(1)).unwrap();
    for at in 0..130 {
        log.append(at * 4096, &[0xD1; 4096], 1).unwrap();
    }
    log.close(7).unwrap();
    let work = |fs: &dyn FileSystem, safe: &mut Safe| {
        let mut image = write(fs, "/d.vhdx")?;
        let chain = HrlChain::open_in(fs, &["/1.hrl".into()], Guid::nil())?;
        assert_eq!(chain.apply(&mut *image)?, 130);
        safe.push(("/d.vhdx".into(), 0..130 * 4096));
        image.close()
    };
    at_every_call(&Scene::of(&fs), &["/d.vhdx"], &work, &nothing);
}
