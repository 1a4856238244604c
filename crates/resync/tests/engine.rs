//! The engine between two plain disks: a vector of small numbers each, 0 for an absent cell.

#![expect(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its numbers are small"
)]

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::ops::Range;

use hvrsim_resync::direct::Summary;
use hvrsim_resync::runs::{Run, push, union};
use hvrsim_resync::{
    Answer, BLOCK_CELLS, Blocks, BlocksMut, Candidates, Cells, Digest, Error, Frame, Route, Source, Target,
    VERSION,
};
use proptest::prelude::*;

const BLOCK: usize = BLOCK_CELLS as usize;
const CELL: u64 = 4096;
/// More than two of the longest pieces, and no whole number of blocks.
const LEN: usize = 2 * 512 + 37;

/// A disk that knows exactly what it holds.
#[derive(Clone, PartialEq, Debug)]
struct Plain {
    cells: Vec<u8>,
    candidates: Candidates,
}

fn cells(range: &Range<u64>) -> Range<usize> {
    (range.start / CELL) as usize..range.end.div_ceil(CELL) as usize
}

impl Plain {
    fn new(cells: Vec<u8>) -> Self {
        Self { cells, candidates: Candidates::Everything }
    }

    fn run(start: u64, &(first, count): &Cells) -> Range<usize> {
        let first = (start / CELL) as usize + first as usize;
        first..first + count as usize
    }
}

impl Blocks for Plain {
    type Content = Vec<u8>;
    type Error = Infallible;

    fn size(&self) -> u64 {
        CELL * self.cells.len() as u64
    }

    fn candidates(&mut self, range: Range<u64>) -> Result<Vec<Range<u64>>, Infallible> {
        Ok(self.candidates.within(0, range))
    }

    fn held(&mut self, range: Range<u64>) -> Result<Vec<Range<u64>>, Infallible> {
        Ok(self.filled(range)?.iter().map(|run| run.start * CELL..run.end() * CELL).collect())
    }

    fn filled(&mut self, range: Range<u64>) -> Result<Vec<Run>, Infallible> {
        let mut out = Vec::new();
        for cell in cells(&range).filter(|cell| self.cells[*cell] != 0) {
            push(&mut out, Run { start: cell as u64, len: 1 });
        }
        Ok(out)
    }

    fn digests(&mut self, piece: Range<u64>, wanted: u32) -> Result<Vec<Option<Digest>>, Infallible> {
        let blocks = self.cells[cells(&piece)].chunks(BLOCK).enumerate();
        let digest = |content: &[u8]| {
            let mut out = [0; BLOCK];
            out[..content.len()].copy_from_slice(content);
            (out != [0; BLOCK]).then_some(out)
        };
        Ok(blocks.filter(|(at, _)| wanted >> at & 1 != 0).map(|(_, content)| digest(content)).collect())
    }

    fn cell_digests(&mut self, piece: Range<u64>) -> Result<Vec<Option<Digest>>, Infallible> {
        Ok(self.cells[cells(&piece)].iter().map(|cell| (*cell != 0).then_some([*cell; 16])).collect())
    }

    fn read(&mut self, start: u64, cells: &[Cells]) -> Result<Vec<u8>, Infallible> {
        let content: Vec<u8> =
            cells.iter().flat_map(|run| self.cells[Self::run(start, run)].to_vec()).collect();
        assert!(!content.contains(&0), "an absent cell is not sent");
        Ok(content)
    }
}

impl BlocksMut for Plain {
    fn write(&mut self, start: u64, cells: &[Cells], content: &Vec<u8>) -> Result<bool, Infallible> {
        let mut content = content.iter();
        for cell in cells.iter().flat_map(|run| Self::run(start, run)) {
            self.cells[cell] = *content.next().unwrap();
        }
        Ok(content.next().is_none())
    }

    fn zero(&mut self, range: Range<u64>) -> Result<(), Infallible> {
        self.cells[cells(&range)].fill(0);
        Ok(())
    }
}

/// What a run did.
#[derive(PartialEq, Debug)]
struct Ran {
    summary: Summary,
    frames: usize,
    /// Content that was lost on its way.
    lost: u64,
}

/// Carries frames until both are done. After so many frames everything on its way is lost, again and again.
fn run(source: &mut Plain, target: &mut Plain, full: bool, piece: u64, mut cuts: VecDeque<usize>) -> Ran {
    let (mut reader, mut writer) = (Source::new([1; 32], full), Target::of_pieces(piece));
    let (mut down, mut up) = (VecDeque::new(), VecDeque::new());
    let (mut frames, mut since, mut lost) = (0, 0, 0);
    while reader.finished().is_none() {
        down.extend(std::iter::from_fn(|| reader.next(source).unwrap()));
        up.extend(std::iter::from_fn(|| writer.next(target).unwrap()));
        if cuts.front().is_some_and(|cut| since >= *cut) {
            cuts.pop_front();
            lost += down.iter().map(Frame::sent_bytes).sum::<u64>();
            let done_to = writer.done_to();
            reader.interrupt();
            writer.interrupt(target).unwrap();
            assert!(writer.done_to() >= done_to, "what is done stays so");
            (down, up, since) = (VecDeque::new(), VecDeque::new(), 0);
            continue;
        }
        if let Some(frame) = down.pop_front() {
            assert!(frame.link_bytes() > frame.sent_bytes());
            writer.handle(target, frame).unwrap();
        } else {
            reader.handle(source, up.pop_front().expect("the halves come to an end")).unwrap();
        }
        (frames, since) = (frames + 1, since + 1);
    }
    assert_eq!(reader.finished(), writer.finished());
    assert_eq!(writer.done_to(), source.size());
    assert_eq!(reader.sent_bytes() - lost, writer.summary().sent_bytes);
    Ran { summary: writer.summary(), frames, lost }
}

/// What has to be sent, compared and zeroed, told block by block, and the target as it has to become.
fn oracle(
    source: &[u8],
    target: &[u8],
    looked_at: Option<&BTreeSet<(u8, u64)>>,
    full: bool,
) -> (Summary, Vec<u8>) {
    let (mut counts, mut result) = (Summary::default(), target.to_vec());
    for (block, (from, to)) in source.chunks(BLOCK).zip(target.chunks(BLOCK)).enumerate() {
        if looked_at.is_some_and(|set| !set.contains(&(0, block as u64))) {
            continue;
        }
        let holds = |part: &[u8]| part.iter().any(|cell| *cell != 0);
        let compared = !full && holds(from) && holds(to);
        counts.compared_bytes += if compared { CELL * from.len() as u64 } else { 0 };
        for (from, to) in from.iter().zip(to) {
            counts.sent_bytes += if *from != 0 && !(compared && from == to) { CELL } else { 0 };
            counts.zeroed_bytes += if *from == 0 && *to != 0 { CELL } else { 0 };
        }
        result[block * BLOCK..][..from.len()].copy_from_slice(from);
    }
    counts.written_bytes = counts.sent_bytes;
    (counts, result)
}

/// Few places, so that both sides often meet.
fn plain() -> impl Strategy<Value = Vec<u8>> {
    let writes = prop::collection::vec((0..100usize, 1..20usize, 0..3u8), 0..14);
    writes.prop_map(|writes| {
        let mut cells = vec![0; LEN];
        for (at, len, value) in writes {
            let at = match at {
                40..70 => 512 - 60 + at,
                70..100 => 1024 - 90 + at,
                at => at,
            };
            cells[at..(at + len).min(LEN)].fill(value);
        }
        cells
    })
}

fn blocks() -> impl Strategy<Value = Option<BTreeSet<(u8, u64)>>> {
    let block = prop_oneof![0..8u64, 28..36u64, 60..67u64].prop_map(|block| (0, block));
    prop::option::of(prop::collection::btree_set(block, 0..12))
}

fn piece() -> impl Strategy<Value = u64> {
    prop_oneof![Just(64 << 10), Just(192 << 10), Just(2 << 20)]
}

fn sides(source: Vec<u8>, target: Vec<u8>, blocks: Option<&BTreeSet<(u8, u64)>>) -> (Plain, Plain) {
    let candidates = blocks.map_or(Candidates::Everything, Candidates::tracked);
    (Plain { cells: source, candidates }, Plain::new(target))
}

proptest! {
    #[test]
    fn the_target_becomes_equal_and_nothing_more_is_sent(
        source in plain(), target in plain(), blocks in blocks(), full: bool, piece in piece(),
    ) {
        let (expected, result) = oracle(&source, &target, blocks.as_ref(), full);
        let (mut source, mut target) = sides(source, target, blocks.as_ref());
        let ran = run(&mut source, &mut target, full, piece, VecDeque::new());
        prop_assert_eq!(&target.cells, &result);
        prop_assert_eq!(ran.summary, expected);

        let again = run(&mut source, &mut target, false, piece, VecDeque::new());
        prop_assert!(again.summary.was_equal());
        let mut reverse = Plain { candidates: source.candidates.clone(), ..target };
        prop_assert!(run(&mut reverse, &mut source, false, piece, VecDeque::new()).summary.was_equal());
    }

    #[test]
    fn interruptions_cost_what_was_on_its_way(
        source in plain(), target in plain(), blocks in blocks(), full: bool, piece in piece(),
        cuts in prop::collection::vec_deque(0..24usize, 1..6),
    ) {
        let (expected, result) = oracle(&source, &target, blocks.as_ref(), full);
        let (mut source, mut target) = sides(source, target, blocks.as_ref());
        let ran = run(&mut source, &mut target, full, piece, cuts);
        prop_assert_eq!(&target.cells, &result);
        // What arrived is not sent again, whatever was on its way with it.
        prop_assert_eq!(ran.summary.sent_bytes, expected.sent_bytes);
        prop_assert_eq!(ran.summary.zeroed_bytes, expected.zeroed_bytes);
        prop_assert!(ran.summary.compared_bytes >= expected.compared_bytes);
        prop_assert!(ran.lost <= 5 * expected.sent_bytes);
    }
}

/// A guest that writes to what is read, and where its writes are kept.
#[derive(Default)]
struct Guest {
    /// Which cell after how many frames.
    plan: VecDeque<(usize, usize)>,
    waiting: VecDeque<(usize, u8)>,
    log: Vec<(usize, u8)>,
    written: u8,
}

impl Guest {
    /// Values of the first write and on; what stands on the disks before is less.
    const FIRST: u8 = 10;

    /// Does what is due. A write that waits holds up those behind it, as a queue of a disk would.
    fn write(&mut self, frames: usize, reader: &Source, source: &mut Plain) {
        while let Some((_, cell)) = self.plan.pop_front_if(|(at, _)| *at <= frames) {
            self.waiting.push_back((cell, Self::FIRST + self.written));
            self.written += 1;
        }
        while let Some(&(cell, value)) = self.waiting.front() {
            let block = cell as u64 / BLOCK_CELLS;
            match reader.route(block) {
                Route::Wait => return,
                Route::Log => self.log.push((cell, value)),
                Route::Bitmap => {
                    if let Candidates::Tracked(disks) = &mut source.candidates {
                        let runs = disks.entry(0).or_default();
                        *runs = union(runs, &[Run { start: block, len: 1 }]);
                    }
                }
            }
            source.cells[cell] = value;
            self.waiting.pop_front();
        }
    }
}

proptest! {
    #[test]
    fn a_guest_s_writes_meanwhile_are_there_once(
        source in plain(), target in plain(), tracked: bool, piece in piece(), cut in prop::option::of(0..40usize),
        mut plan in prop::collection::vec((0..70usize, 0..LEN), 0..60), near: bool,
    ) {
        // Where the disks differ is known, or not.
        let known: BTreeSet<(u8, u64)> = (0..LEN).filter(|at| source[*at] != target[*at])
            .map(|at| (0, at as u64 / BLOCK_CELLS)).collect();
        let (mut source, mut target) = sides(source, target, tracked.then_some(&known));
        plan.sort_unstable();
        let place = |cell: usize| if near { cell % 80 } else { cell };
        let mut guest = Guest {
            plan: plan.into_iter().map(|(at, cell)| (at, place(cell))).collect(), ..Guest::default()
        };
        let (mut reader, mut writer) = (Source::new([1; 32], false), Target::of_pieces(piece));
        let (mut down, mut up) = (VecDeque::new(), VecDeque::new());
        let (mut frames, mut crossed) = (0, Vec::new());
        while reader.finished().is_none() {
            guest.write(frames, &reader, &mut source);
            // One frame at a time, so that writes come between any two.
            down.extend(reader.next(&mut source).unwrap());
            up.extend(std::iter::from_fn(|| writer.next(&mut target).unwrap()));
            if cut == Some(frames) {
                reader.interrupt();
                writer.interrupt(&mut target).unwrap();
                (down, up) = (VecDeque::new(), VecDeque::new());
            } else if let Some(frame) = down.pop_front() {
                if let Frame::Answer(answer) = &frame {
                    crossed.extend(answer.content.iter().copied().filter(|value| *value >= Guest::FIRST));
                }
                writer.handle(&mut target, frame).unwrap();
            } else if let Some(frame) = up.pop_front() {
                reader.handle(&source, frame).unwrap();
            }
            frames += 1;
            prop_assert!(frames < 10_000, "the halves come to an end");
        }
        guest.write(usize::MAX, &reader, &mut source);
        prop_assert!(guest.waiting.is_empty());
        crossed.extend(guest.log.iter().map(|(_, value)| *value));
        for (cell, value) in guest.log {
            target.cells[cell] = value;
        }
        prop_assert_eq!(target.cells, source.cells);
        if cut.is_none() {
            let crossings = crossed.len();
            crossed.sort_unstable();
            crossed.dedup();
            prop_assert_eq!(crossed.len(), crossings, "a write crosses once");
        }
    }
}

/// A newer write outside of the log would be overwritten when the log is applied.
#[test]
fn what_went_to_the_log_before_a_cut_goes_there_after_it() {
    let mut disk = Plain::new(vec![1; 64]);
    let mut source = Source::new([1; 32], false);
    for first in [Route::Bitmap, Route::Log] {
        assert!(matches!(source.next(&mut disk).unwrap(), Some(Frame::Open { .. })));
        source.handle(&disk, Frame::Begin { done_to: 0 }).unwrap();
        source.handle(&disk, Frame::WantMap { from: 0 }).unwrap();
        assert!(matches!(source.next(&mut disk).unwrap(), Some(Frame::Map { .. })));
        assert_eq!(source.route(0), first);
        source.handle(&disk, Frame::Ask { start: 0, len: 65_536, holds: 0, digests: Vec::new() }).unwrap();
        assert_eq!(source.route(0), Route::Wait);
        assert!(matches!(source.next(&mut disk).unwrap(), Some(Frame::Answer(_))));
        assert_eq!(source.route(0), Route::Log);
        source.interrupt();
        assert_eq!(source.route(0), Route::Log);
    }
}

#[test]
fn equal_disks_cost_a_frame_each_way_for_a_piece() {
    let mut disk = Plain::new(vec![1; 8 * 512]);
    let ran = run(&mut disk.clone(), &mut disk, false, 2 << 20, VecDeque::new());
    // Open, Begin, WantMap, Map, eight pieces asked for and answered, Finished.
    assert_eq!(ran.frames, 4 + 16 + 1);
}

#[test]
fn what_does_not_fit_is_refused() {
    let (mut small, mut large) = (Plain::new(vec![0; 4]), Plain::new(vec![1; 5]));
    let mut source = Source::new([0; 32], false);
    let open = source.next(&mut large).unwrap().unwrap();
    assert!(matches!(
        Target::new().handle(&mut small, open),
        Err(Error::Sizes { source_bytes: 20_480, target_bytes: 16_384 })
    ));
    let other = Frame::Open { version: VERSION + 1, size: 16_384, generation: [0; 32], full: false };
    let refused = Target::new().handle(&mut small, other);
    assert!(matches!(refused, Err(Error::Version { theirs }) if theirs == VERSION + 1));
    let early = Frame::Answer(Answer::default());
    assert!(matches!(Target::new().handle(&mut small, early), Err(Error::Unexpected("`answer`"))));
    let early = Frame::Finished { summary: Summary::default() };
    assert!(matches!(source.handle(&large, early), Err(Error::Unexpected("`finished`"))));
}
