//! A host that fails, files that lie, copies that cannot be finished.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hvrsim_disk::file::{BlockFile, FileSystem, MemFs};
use hvrsim_disk::{
    CopyOptions, CreateOptions, Error, ErrorKind, Image, OpenOptions, copy_sparse_in, create_in, open_in,
};
use proptest::prelude::*;

use crate::crash::{Model, fresh};
use crate::support::{DISK, LOG, METADATA, MIB, Victim, intact, read_all, seed};

/// A file whose operations fail from the n-th on.
struct Faulty {
    inner: Arc<dyn BlockFile>,
    left: AtomicU64,
    error: io::ErrorKind,
}

impl Faulty {
    fn spend(&self) -> io::Result<()> {
        let spent = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        spent.map(|_| ()).map_err(|_| self.error.into())
    }
}

impl BlockFile for Faulty {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.spend()?;
        self.inner.set_len(len)
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.spend()?;
        self.inner.write_at(offset, data)
    }
    fn flush(&self) -> io::Result<()> {
        self.spend()?;
        self.inner.flush()
    }
    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        self.spend()?;
        self.inner.punch_hole(offset, len)
    }
    fn data_extents(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        self.inner.data_extents(range)
    }
}

/// Some changes; the model follows. Stops at the first failure.
fn work(image: &mut dyn Image, model: &mut Model) -> Result<(), Error> {
    for (round, byte) in (0..3).zip(1_u8..) {
        for (at, len) in [(0, 3000), (2 * MIB - 100, 5000), (4 * MIB, 4096)] {
            let data = vec![byte; len];
            model.change(at + round * 8192, &data);
            image.write_at(at + round * 8192, &data)?;
        }
        image.flush()?;
        model.flush();
        model.change(2 * MIB, &vec![0; 1 << 20]);
        image.zero_at(2 * MIB, MIB)?;
    }
    image.flush()?;
    model.flush();
    Ok(())
}

#[test]
fn a_host_that_fails_at_any_operation_costs_nothing_that_was_flushed() {
    for error in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        let mut finished = false;
        for left in 0.. {
            let (fs, mut model) = fresh();
            let sound = fs.open(Path::new(DISK), true).unwrap();
            let faulty = Faulty { inner: Arc::clone(&sound), left: AtomicU64::new(left), error };
            fs.insert(DISK, Arc::new(faulty));
            let mut image = open_in(&fs, Path::new(DISK), &OpenOptions::read_write(seed(3))).unwrap();
            let done = work(&mut *image, &mut model);
            finished = done.is_ok();
            if let Err(failure) = done {
                let want = if error == io::ErrorKind::Other { ErrorKind::Io } else { ErrorKind::NoSpace };
                assert_eq!((failure.kind(), failure.path()), (want, Some(Path::new(DISK))), "{failure}");
                // What comes after must fail in good order.
                assert!(image.flush().is_err() || left == 0);
                drop(image);
            }
            fs.insert(DISK, sound);
            let image = open_in(&fs, Path::new(DISK), &OpenOptions::read_only()).unwrap();
            model.check(&read_all(&*image), &format!("{left} operations, then {error:?}"));
            if finished {
                break;
            }
        }
        assert!(finished);
    }
}

#[test]
fn after_a_failed_flush_changes_are_refused() {
    let (fs, _) = fresh();
    let inner = fs.open(Path::new(DISK), true).unwrap();
    let faulty = Arc::new(Faulty { inner, left: AtomicU64::new(u64::MAX), error: io::ErrorKind::Other });
    fs.insert(DISK, Arc::<Faulty>::clone(&faulty));
    let mut image = open_in(&fs, Path::new(DISK), &OpenOptions::read_write(seed(3))).unwrap();
    image.write_at(0, &[1]).unwrap();
    faulty.left.store(0, Ordering::Relaxed);
    assert!(image.flush().is_err());
    faulty.left.store(u64::MAX, Ordering::Relaxed);
    let refused = image.write_at(0, &[1]).unwrap_err();
    assert!(refused.to_string().contains("open it again"), "{refused}");
    assert!(image.flush().is_err());
    assert!(image.close().is_err());
}

#[test]
fn a_dirty_source_is_copied_and_left_as_it_is() {
    let (fs, mut model) = fresh();
    let mut image = open_in(&fs, Path::new(DISK), &OpenOptions::read_write(seed(3))).unwrap();
    work(&mut *image, &mut model).unwrap();
    drop(image);
    let file = fs.open(Path::new(DISK), false).unwrap();
    // The BAT as before: only the log has the blocks.
    file.punch_hole(3 * MIB, 4096).unwrap();
    let bytes = |file: &dyn BlockFile| {
        let mut all = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(0, &mut all).unwrap();
        all
    };
    let before = bytes(&*file);
    for (name, options) in
        [("/copy.vhdx", CopyOptions::vhdx(seed(6)).block_size(2 * MIB)), ("/copy.img", CopyOptions::raw())]
    {
        copy_sparse_in(&fs, Path::new(DISK), Path::new(name), &options).unwrap();
        model.check(&read_all(&*open_in(&fs, Path::new(name), &OpenOptions::read_only()).unwrap()), name);
    }
    assert!(bytes(&*file) == before);
}

#[test]
fn a_copy_that_fails_leaves_what_was_there() {
    let fs = MemFs::new();
    create_in(&fs, Path::new("/s.img"), &CreateOptions::raw(MIB)).unwrap().close().unwrap();
    create_in(&fs, Path::new("/d.vhdx"), &CreateOptions::vhdx(MIB, seed(1))).unwrap().close().unwrap();
    let wrong = CopyOptions::vhdx(seed(2)).block_size(3 * MIB);
    let error = copy_sparse_in(&fs, Path::new("/s.img"), Path::new("/d.vhdx"), &wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    assert!(open_in(&fs, Path::new("/d.vhdx"), &OpenOptions::read_only()).is_ok());
    assert!(fs.open(Path::new("/d.vhdx.partial"), false).is_err());
    // Another's unfinished copy is not touched.
    fs.create_new(Path::new("/d.vhdx.partial")).unwrap();
    let right = CopyOptions::vhdx(seed(2));
    let error = copy_sparse_in(&fs, Path::new("/s.img"), Path::new("/d.vhdx"), &right).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert!(fs.open(Path::new("/d.vhdx.partial"), false).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever stands in a file, opening and reading it ends with an answer or an error, never with a panic.
    #[test]
    fn damage_never_panics(
        changes in prop::collection::vec(
            (prop_oneof![
                Just((64 << 10, 4096)), Just((128 << 10, 4096)), Just((192 << 10, 200)), Just((256 << 10, 200)),
                Just((METADATA, 300)), Just((METADATA + 65_536, 100)), Just((3 * MIB, 200)), Just((LOG, 300)),
            ], any::<u64>(), prop_oneof![Just(0_u8), Just(0xFF), any::<u8>()], 1..9_usize),
            1..4,
        ),
        mend in any::<bool>(),
        dirty in any::<bool>(),
        writable in any::<bool>(),
    ) {
        let victim = Victim::new();
        if dirty {
            let mut image = victim.open_writable().unwrap();
            image.write_at(9 * MIB, &[9; 512]).unwrap();
            image.flush().unwrap();
        }
        for ((area, len), at, byte, count) in changes {
            let at = at % len;
            victim.put(area + at, &vec![byte; count]);
            let sealed = match area {
                LOG => Some(8192),
                area if area < 192 << 10 => Some(4096),
                area if area < MIB => Some(65_536),
                _ => None,
            };
            if let Some(len) = sealed.filter(|_| mend) {
                victim.patch(area, len, at.max(8), &[byte]);
            }
        }
        let opened = if writable { victim.open_writable() } else { victim.open() };
        if let Ok(mut image) = opened {
            let size = image.size();
            let _ = image.extents(0..size);
            let _ = image.read_at(size - 512, &mut [0; 512]);
            let _ = image.read_at(0, &mut vec![0; usize::try_from(size.min(16 * MIB)).unwrap()]);
            let _ = image.write_at(size / 2, &[1; 700]);
            let _ = image.zero_at(0, size.min(3 * MIB));
            let _ = image.close();
        }
    }
}

#[test]
fn an_untouched_victim_is_intact() {
    assert_eq!(Victim::new().firsts(), intact());
}
