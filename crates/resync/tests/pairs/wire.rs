//! The two ends over a wire: equal contents, the counts of the direct way, crashes, and hostile peers.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use hvrsim_disk::file::FileSystem;
use hvrsim_disk::{CreateOptions, Image, OpenOptions, Seed, create_in, open_in};
use hvrsim_resync::checkpoint::Checkpoint;
use hvrsim_resync::direct::Summary;
use hvrsim_resync::wire::{Answer, Content, End, Error, Frame, LONGEST_FRAME, SourceEnd, TargetEnd};
use proptest::prelude::*;

use crate::power::PowerFs;
use crate::support::{CELL, Kind, SIZE, content, kind, make, oracle, session, writes};

const KEY: [u8; 32] = [4; 32];

fn open_target<'a>(fs: &'a Arc<PowerFs>, image: &'a mut dyn Image, piece: u64) -> TargetEnd<'a> {
    let files: Arc<dyn FileSystem> = Arc::<PowerFs>::clone(fs);
    let open = move |generation, image: &dyn Image| {
        let guid = image.data_write_guid();
        Ok(Some(Checkpoint::open(Arc::clone(&files), "/b.sync".into(), generation, guid)?.every(INTERVAL)))
    };
    TargetEnd::new(image, KEY, Box::new(open)).of_pieces(piece)
}

/// Small, so that a run keeps its progress often.
const INTERVAL: u64 = 512 << 10;
const PIECE: u64 = 128 << 10;

/// What went over the wire.
#[derive(Default)]
struct Wire {
    frames: usize,
    bytes: u64,
    /// Content in answers that reached the target.
    sent: u64,
}

/// Carries frames until the target is done, or until so many were carried.
fn carry(
    source: &mut SourceEnd<'_>,
    target: &mut TargetEnd<'_>,
    limit: usize,
    wire: &mut Wire,
) -> Result<Option<Summary>, Error> {
    let (mut down, mut up) = (VecDeque::new(), VecDeque::new());
    loop {
        while let Some(frame) = source.next()? {
            down.push_back(frame.encode());
        }
        while let Some(frame) = target.next()? {
            up.push_back(frame.encode());
        }
        let to_target = down.pop_front();
        let Some(bytes) = to_target.clone().or_else(|| up.pop_front()) else {
            assert_eq!(source.finished(), target.finished(), "the ends stop together");
            return Ok(source.finished());
        };
        wire.frames += 1;
        wire.bytes += bytes.len() as u64 + 20;
        assert!(bytes.len() <= LONGEST_FRAME);
        let frame = Frame::decode(&bytes)?;
        if let Frame::Answer(answer) = &frame {
            wire.sent += answer.write.iter().map(|(_, count)| u64::from(*count) * CELL).sum::<u64>();
        }
        if to_target.is_some() {
            target.handle(frame)?;
        } else {
            source.handle(frame)?;
        }
        if wire.frames >= limit {
            return Ok(None);
        }
    }
}

/// A run from /a to /b, cut after so many frames.
fn attempt(fs: &Arc<PowerFs>, piece: u64, limit: usize, wire: &mut Wire) -> Result<Option<Summary>, Error> {
    let wrong = |error| Error::from(hvrsim_resync::direct::Error::Target(error));
    let source = open_in(&**fs, Path::new("/a"), &OpenOptions::read_only()).map_err(wrong)?;
    let mut image = open_in(&**fs, Path::new("/b"), &session()).map_err(wrong)?;
    let mut end = open_target(fs, &mut *image, piece);
    let mut done = carry(&mut SourceEnd::new(&*source, None, KEY, [1; 32]), &mut end, limit, wire);
    if !matches!(done, Ok(Some(_))) {
        done = end.interrupted().and(done);
    }
    drop(end);
    image.close().map_err(wrong)?;
    done
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pair_becomes_equal_over_a_wire(
        kinds in (kind(), kind()), a in writes(), b in writes(), shared in writes(),
    ) {
        let fs = PowerFs::new();
        make(&*fs, "/a", kinds.0, &[&shared[..], &a].concat());
        make(&*fs, "/b", kinds.1, &[&shared[..], &b].concat());
        let (want, old) = (content(&*fs, "/a"), content(&*fs, "/b"));
        let expected = oracle(&want, &old, |_| true);
        let mut wire = Wire::default();
        let done = attempt(&fs, PIECE, usize::MAX, &mut wire).unwrap().unwrap();
        prop_assert!(content(&*fs, "/b") == want);
        prop_assert_eq!(done, Summary { written_bytes: done.written_bytes, ..expected });
        prop_assert_eq!(wire.sent, expected.sent_bytes);

        let before = fs.changes();
        let again = attempt(&fs, PIECE, usize::MAX, &mut Wire::default()).unwrap().unwrap();
        prop_assert!(again.was_equal());
        prop_assert_eq!(fs.changes(), before);
    }

    #[test]
    fn cuts_and_crashes_are_gone_on_from(
        kinds in (kind(), kind()), a in writes(), b in writes(),
        crashes in proptest::collection::vec((1..60usize, 0..120u64, any::<u64>()), 1..4),
    ) {
        let fs = PowerFs::new();
        make(&*fs, "/a", kinds.0, &a);
        make(&*fs, "/b", kinds.1, &b);
        fs.settle();
        let want = content(&*fs, "/a");
        let needed = oracle(&want, &content(&*fs, "/b"), |_| true).sent_bytes;
        let mut wire = Wire::default();
        for (frames, cut, seed) in &crashes {
            wire.frames = 0;
            fs.fail_after(*cut);
            let _ = attempt(&fs, PIECE, *frames, &mut wire);
            fs.crash(*seed);
        }
        prop_assert!(attempt(&fs, PIECE, usize::MAX, &mut wire).unwrap().is_some());
        prop_assert!(content(&*fs, "/b") == want);
        prop_assert!(fs.open(Path::new("/b.sync"), false).is_err(), "the checkpoint is put away");
        let again = INTERVAL * crashes.len() as u64;
        prop_assert!(wire.sent <= needed + again, "{} of {needed}", wire.sent);
    }

    /// Frames that are lost, come twice, late or cut short: the end is refused or never comes, or it is the right one.
    #[test]
    fn a_wire_that_plays_tricks_gives_no_wrong_data(
        a in writes(), b in writes(), tricks in proptest::collection::vec((0..60usize, trick()), 1..5),
    ) {
        let fs = PowerFs::new();
        make(&*fs, "/a", Kind::Raw, &a);
        make(&*fs, "/b", Kind::Vhdx, &b);
        let source = open_in(&*fs, Path::new("/a"), &OpenOptions::read_only()).unwrap();
        let mut image = open_in(&*fs, Path::new("/b"), &session()).unwrap();
        let mut end = open_target(&fs, &mut *image, PIECE);
        let mut other = SourceEnd::new(&*source, None, KEY, [1; 32]);
        let told = play(&mut other, &mut end, &tricks);
        drop(end);
        image.close().unwrap();
        if told.is_some() {
            prop_assert!(content(&*fs, "/b") == content(&*fs, "/a"));
        }
        // Whatever was left behind, the next run makes it right.
        prop_assert!(attempt(&fs, PIECE, usize::MAX, &mut Wire::default()).unwrap().is_some());
        prop_assert!(content(&*fs, "/b") == content(&*fs, "/a"));
    }

    #[test]
    fn any_bytes_are_a_frame_or_garbage(bytes: Vec<u8>, kind in 0..9u8) {
        let _ = Frame::decode(&bytes);
        let _ = Frame::decode(&[&[kind], &bytes[..]].concat());
    }

    /// Frames that a peer made up are refused or harmless: no panic, nothing outside of what was asked for.
    #[test]
    fn made_up_frames_do_no_harm(a in writes(), made_up in proptest::collection::vec(frame(), 1..6), at in 0..8usize) {
        let fs = PowerFs::new();
        make(&*fs, "/a", Kind::Raw, &a);
        make(&*fs, "/b", Kind::Raw, &vec![(0, 900, 7)]);
        let source = open_in(&*fs, Path::new("/a"), &OpenOptions::read_only()).unwrap();
        let mut image = open_in(&*fs, Path::new("/b"), &session()).unwrap();
        for to_source in [true, false] {
            let mut end = open_target(&fs, &mut *image, PIECE);
            let mut other = SourceEnd::new(&*source, None, KEY, [1; 32]);
            let _ = carry(&mut other, &mut end, at, &mut Wire::default());
            for frame in &made_up {
                let victim: &mut dyn End = if to_source { &mut other } else { &mut end };
                if victim.handle(frame.clone()).is_err() {
                    break;
                }
                for _ in 0..100 {
                    let Ok(Some(_)) = victim.next() else { break };
                }
            }
        }
        drop(image);
        prop_assert_eq!(content(&*fs, "/b").len() as u64, SIZE);
    }
}

#[derive(Clone, Copy, Debug)]
enum Trick {
    Drop,
    Repeat,
    /// It goes behind all others that are on their way.
    Delay,
    /// So many bytes of it come.
    Truncate(usize),
}

fn trick() -> impl Strategy<Value = Trick> {
    prop_oneof![
        Just(Trick::Drop),
        Just(Trick::Repeat),
        Just(Trick::Delay),
        (0..200usize).prop_map(Trick::Truncate)
    ]
}

/// Carries frames with tricks until an end refuses one, nothing comes any more, or the work is done.
fn play(
    source: &mut SourceEnd<'_>,
    target: &mut TargetEnd<'_>,
    tricks: &[(usize, Trick)],
) -> Option<Summary> {
    let (mut down, mut up) = (VecDeque::new(), VecDeque::new());
    for number in 0..10_000 {
        while let Some(frame) = source.next().ok()? {
            down.push_back(frame.encode());
        }
        while let Some(frame) = target.next().ok()? {
            up.push_back(frame.encode());
        }
        let to_target = !down.is_empty();
        let queue = if to_target { &mut down } else { &mut up };
        let Some(mut bytes) = queue.pop_front() else { return source.finished().and(target.finished()) };
        match tricks.iter().find(|(at, _)| *at == number).map(|(_, trick)| *trick) {
            Some(Trick::Drop) => continue,
            Some(Trick::Repeat) => queue.push_front(bytes.clone()),
            Some(Trick::Delay) => {
                queue.push_back(bytes);
                continue;
            }
            Some(Trick::Truncate(len)) => bytes.truncate(len),
            None => {}
        }
        let frame = Frame::decode(&bytes).ok()?;
        if to_target { target.handle(frame).ok()? } else { source.handle(frame).ok()? }
    }
    panic!("the ends come to an end")
}

#[test]
fn zeros_arrive_as_absent_blocks() {
    let fs = PowerFs::new();
    let zeros = (0, SIZE.div_ceil(CELL), 0);
    // Zeros that the source has written and zeros that it never had, over a target full of content in blocks that are
    // longer than a piece.
    for (number, source) in [vec![zeros], vec![(10, 1, 5), (10, 1, 255)]].into_iter().enumerate() {
        let target = format!("/b{number}");
        make(&*fs, &format!("/a{number}"), Kind::Raw, &source);
        let options = CreateOptions::vhdx(SIZE, Seed::new([1; 32])).block_size(4 << 20);
        let mut image = create_in(&*fs, Path::new(&target), &options).unwrap();
        image.write_at(0, &vec![9; SIZE as usize]).unwrap();
        let source = open_in(&*fs, Path::new(&format!("/a{number}")), &OpenOptions::read_only()).unwrap();
        let mut end = open_target(&fs, &mut *image, PIECE);
        let done = carry(
            &mut SourceEnd::new(&*source, None, KEY, [1; 32]),
            &mut end,
            usize::MAX,
            &mut Wire::default(),
        );
        assert_eq!(done.unwrap().unwrap().zeroed_bytes, SIZE.next_multiple_of(CELL));
        drop(end);
        let held =
            image.extents(0..SIZE).unwrap().into_iter().filter(hvrsim_disk::Extent::may_hold_data).count();
        assert_eq!(held, 0, "pair {number}");
        fs.remove(Path::new("/b.sync")).unwrap_or_default();
    }
}

fn frame() -> impl Strategy<Value = Frame> {
    let number = || prop_oneof![Just(0u64), 0..SIZE, Just(1 << 20), Just(2 << 20), Just(SIZE), any::<u64>()];
    let small = || prop_oneof![0..40u32, Just(512), any::<u32>()];
    let runs = || proptest::collection::vec((small(), small()), 0..3);
    let spans = || proptest::collection::vec((0..200u64, 0..200u64), 0..3);
    prop_oneof![
        (0..4u32, number(), any::<bool>()).prop_map(|(version, size, full)| Frame::Open {
            version,
            size,
            generation: [1; 32],
            full
        }),
        number().prop_map(|done_to| Frame::Begin { done_to }),
        number().prop_map(|from| Frame::WantMap { from }),
        (number(), number(), spans(), spans()).prop_map(|(from, to, candidates, held)| Frame::Map {
            from,
            to,
            candidates,
            held
        }),
        (number(), small(), small(), 0..4usize).prop_map(|(start, len, holds, digests)| Frame::Ask {
            start,
            len,
            holds,
            digests: vec![[0; 16]; digests]
        }),
        (number(), small()).prop_map(|(start, blocks)| Frame::Refine { start, blocks }),
        (number(), 0..40usize)
            .prop_map(|(start, cells)| Frame::Cells { start, digests: vec![[0; 16]; cells] }),
        (number(), runs(), runs(), any::<bool>(), 0..3usize).prop_map(
            |(start, zero, write, packed, cells)| {
                Frame::Answer(Answer {
                    start,
                    compared: 0,
                    zero,
                    write,
                    content: Content { packed, bytes: vec![3; cells * 4096] },
                })
            }
        ),
    ]
}

#[test]
fn little_goes_over_the_wire() {
    // Nothing compressible: 9 MiB of noise, and 1 block of 100 changed.
    let fs = PowerFs::new();
    let noise = |seed: u64| {
        let mut out = vec![0; SIZE as usize];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
        out
    };
    for path in ["/a", "/b"] {
        make(&*fs, path, Kind::Raw, &Vec::new());
        fs.open(Path::new(path), true).unwrap().write_at(0, &noise(1)).unwrap();
    }
    let file = fs.open(Path::new("/a"), true).unwrap();
    file.write_at(50 * 65_536, &noise(2)[..65_536]).unwrap();
    let mut whole = Wire::default();
    let done = attempt(&fs, 2 << 20, usize::MAX, &mut whole).unwrap().unwrap();
    assert_eq!(done.sent_bytes, 65_536);
    // Framing and digests of the transport are in it; 400 bytes open and close a session.
    assert!(whole.bytes <= 65_536 * 102 / 100 + SIZE * 3 / 10_000 + 400, "{}", whole.bytes);

    // 4 KiB written here and there: at most a quarter of whole blocks.
    for block in [3u64, 30, 60, 90] {
        file.write_at(block * 65_536 + 8192, &noise(3)[..4096]).unwrap();
    }
    let mut parts = Wire::default();
    attempt(&fs, 2 << 20, usize::MAX, &mut parts).unwrap().unwrap();
    assert!(parts.bytes <= 4 * 65_536 / 4, "{}", parts.bytes);
    assert!(content(&*fs, "/a") == content(&*fs, "/b"));
}
