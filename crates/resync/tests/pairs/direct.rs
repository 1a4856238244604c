//! Two images in one place: equal contents whatever the formats, the counts of the two halves, and crashes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hvrsim_disk::file::{FileSystem, MemFile, MemFs};
use hvrsim_disk::{CreateOptions, Image, OpenOptions, Seed, create_in, open_in};
use hvrsim_resync::checkpoint::Checkpoint;
use hvrsim_resync::direct::{Direct, Error, Options, Outcome, Summary, Watch};
use proptest::prelude::*;

use crate::power::PowerFs;
use crate::support::{BLOCK, CELL, Kind, SIZE, content, kind, make, oracle, session, writes};

fn work<W: Watch>(
    source: &dyn Image,
    target: &mut dyn Image,
    options: Options,
    threads: usize,
    watch: &W,
) -> Result<Outcome, Error> {
    let pair = Direct::new(source, target, options, watch)?;
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(|| pair.work())).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).fold(Ok(()), Result::and)
    })?;
    pair.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pair_becomes_equal_and_counts_what_differs(
        kinds in (kind(), kind()), a in writes(), b in writes(), shared in writes(), threads in 1..4usize,
    ) {
        let fs = PowerFs::new();
        make(&*fs, "/a", kinds.0, &[&shared[..], &a].concat());
        make(&*fs, "/b", kinds.1, &[&shared[..], &b].concat());
        let (want, old) = (content(&*fs, "/a"), content(&*fs, "/b"));
        let source = open_in(&*fs, Path::new("/a"), &OpenOptions::read_only()).unwrap();

        let before = fs.changes();
        let mut target = open_in(&*fs, Path::new("/b"), &OpenOptions::read_only()).unwrap();
        let dry = Options { dry_run: true, ..Options::default() };
        let told = work(&*source, &mut *target, dry, threads, &()).unwrap();
        prop_assert_eq!(fs.changes(), before);

        let mut target = open_in(&*fs, Path::new("/b"), &session()).unwrap();
        let done = work(&*source, &mut *target, Options::default(), threads, &()).unwrap();
        target.close().unwrap();
        prop_assert!(done.complete && content(&*fs, "/b") == want);
        let expected = oracle(&want, &old, |_| true);
        prop_assert_eq!(done.summary, Summary { written_bytes: done.summary.written_bytes, ..expected });
        prop_assert_eq!(told.summary, Summary { written_bytes: 0, ..done.summary });
        prop_assert!(done.summary.written_bytes <= expected.sent_bytes);

        // A second run, and the reverse of a finished one, change nothing.
        let before = fs.changes();
        for (from, to) in [("/a", "/b"), ("/b", "/a")] {
            let source = open_in(&*fs, Path::new(from), &OpenOptions::read_only()).unwrap();
            let mut target = open_in(&*fs, Path::new(to), &session()).unwrap();
            let again = work(&*source, &mut *target, Options::default(), threads, &()).unwrap();
            target.close().unwrap();
            prop_assert!(again.summary.was_equal());
        }
        prop_assert_eq!(fs.changes(), before);
    }

    #[test]
    fn a_bitmap_bounds_what_is_looked_at(a in writes(), b in writes(), bits: [u8; 19]) {
        let fs = PowerFs::new();
        make(&*fs, "/a", Kind::Raw, &a);
        make(&*fs, "/b", Kind::Raw, &b);
        let (new, old) = (content(&*fs, "/a"), content(&*fs, "/b"));
        let bitmap = MemFile::new();
        hvrsim_disk::file::BlockFile::write_at(&bitmap, 0, &bits).unwrap();
        let looked_at = |block: u64| bits[block as usize / 8] >> (block % 8) & 1 != 0;
        let source = open_in(&*fs, Path::new("/a"), &OpenOptions::read_only()).unwrap();
        let mut target = open_in(&*fs, Path::new("/b"), &session()).unwrap();
        let options = Options { bitmap: Some(Arc::new(bitmap)), ..Options::default() };
        let done = work(&*source, &mut *target, options, 2, &()).unwrap();
        target.close().unwrap();
        let mut want = old.clone();
        for block in (0..SIZE.div_ceil(BLOCK)).filter(|block| looked_at(*block)) {
            let range = (block * BLOCK) as usize..((block + 1) * BLOCK).min(SIZE) as usize;
            want[range.clone()].copy_from_slice(&new[range]);
        }
        prop_assert!(content(&*fs, "/b") == want);
        prop_assert_eq!(done.summary.sent_bytes, oracle(&new, &old, looked_at).sent_bytes);
    }

    #[test]
    fn a_crash_anywhere_is_gone_on_from(
        kinds in (kind(), kind()), a in writes(), b in writes(), cut in 0..80u64, seed: u64, threads in 1..3usize,
    ) {
        let fs = PowerFs::new();
        make(&*fs, "/a", kinds.0, &a);
        make(&*fs, "/b", kinds.1, &b);
        fs.settle();
        let (want, old) = (content(&*fs, "/a"), content(&*fs, "/b"));
        let needed = oracle(&want, &old, |_| true).sent_bytes;
        let sent = Sent::default();
        fs.fail_after(cut);
        let first = attempt(&fs, threads, &sent);
        fs.crash(seed);
        if first.is_err() {
            let second = attempt(&fs, threads, &sent).unwrap();
            prop_assert!(second.complete);
            // A checkpoint falls due when a piece is done: what each thread has in hand comes on top.
            let slack = INTERVAL + threads as u64 * (2 << 20);
            prop_assert!(sent.0.load(Ordering::Relaxed) <= needed + slack);
        }
        prop_assert!(content(&*fs, "/b") == want);
        prop_assert!(fs.open(Path::new("/b.sync"), false).is_err(), "the checkpoint is put away");
    }
}

/// Small, so that a run keeps its progress often.
const INTERVAL: u64 = 128 << 10;

#[derive(Default)]
struct Sent(AtomicU64);

impl Watch for Sent {
    fn pace(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn attempt(fs: &Arc<PowerFs>, threads: usize, sent: &Sent) -> Result<Outcome, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let source = open_in(&**fs, Path::new("/a"), &OpenOptions::read_only()).map_err(|e| text(&e))?;
    let mut target = open_in(&**fs, Path::new("/b"), &session()).map_err(|e| text(&e))?;
    let files: Arc<dyn FileSystem> = Arc::<PowerFs>::clone(fs);
    let checkpoint =
        Checkpoint::open(files, "/b.sync".into(), [3; 32], target.data_write_guid()).map_err(|e| text(&e))?;
    let options = Options { checkpoint: Some(checkpoint.every(INTERVAL)), ..Options::default() };
    let done = work(&*source, &mut *target, options, threads, sent).map_err(|e| text(&e))?;
    target.close().map_err(|e| text(&e))?;
    Ok(done)
}

#[test]
fn a_stopped_run_goes_on_where_it_was() {
    struct StopAt(u64, AtomicU64);
    impl Watch for StopAt {
        fn stop(&self) -> bool {
            self.1.fetch_add(1, Ordering::Relaxed) >= self.0
        }
    }
    let fs: Arc<dyn FileSystem> = Arc::new(MemFs::new());
    make(&*fs, "/a", Kind::Raw, &vec![(0, 2300, 1)]);
    make(&*fs, "/b", Kind::Raw, &vec![(0, 2300, 2)]);
    let source = open_in(&*fs, Path::new("/a"), &OpenOptions::read_only()).unwrap();
    let mut done_to = 0;
    for pieces in [2, 1, 100] {
        let mut target = open_in(&*fs, Path::new("/b"), &session()).unwrap();
        let checkpoint = Checkpoint::open(Arc::clone(&fs), "/c".into(), [0; 32], None).unwrap();
        assert_eq!(checkpoint.found().map_or(0, |found| found.done_to), done_to);
        let options = Options { checkpoint: Some(checkpoint), ..Options::default() };
        let outcome = work(&*source, &mut *target, options, 1, &StopAt(pieces, AtomicU64::new(0))).unwrap();
        assert!(outcome.done_to > done_to);
        done_to = outcome.done_to;
        assert_eq!(outcome.complete, pieces == 100);
        // All attempts together send every cell once.
        assert_eq!(outcome.summary.sent_bytes, done_to.min(2300 * CELL));
    }
    assert!(content(&*fs, "/a") == content(&*fs, "/b"));
}

#[test]
fn unequal_sizes_are_refused() {
    let fs = MemFs::new();
    let image = |path: &str, size| create_in(&fs, Path::new(path), &CreateOptions::raw(size)).unwrap();
    let (source, mut target) = (image("/a", 1 << 20), image("/b", 2 << 20));
    let refused = Direct::new(&*source, &mut *target, Options::default(), &());
    assert!(matches!(refused, Err(Error::Sizes { source_bytes: 0x10_0000, target_bytes: 0x20_0000 })));
}

#[test]
fn zeros_arrive_as_absent_blocks() {
    // Zeros that the source has written, over a target full of content in blocks that are longer than a piece.
    for threads in 1..3 {
        let fs: Arc<dyn FileSystem> = Arc::new(MemFs::new());
        make(&*fs, "/a", Kind::Raw, &vec![(0, SIZE.div_ceil(CELL), 0)]);
        let options = CreateOptions::vhdx(SIZE, Seed::new([1; 32])).block_size(4 << 20);
        let mut target = create_in(&*fs, Path::new("/b"), &options).unwrap();
        target.write_at(0, &vec![9; SIZE as usize]).unwrap();
        let source = open_in(&*fs, Path::new("/a"), &OpenOptions::read_only()).unwrap();
        let done = work(&*source, &mut *target, Options::default(), threads, &()).unwrap();
        assert_eq!(done.summary.zeroed_bytes, SIZE.next_multiple_of(CELL));
        assert!(!target.extents(0..SIZE).unwrap().iter().any(hvrsim_disk::Extent::may_hold_data));
    }
}
