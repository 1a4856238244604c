//! The engine between two plain disks: a vector of small numbers each, 0 for an absent cell.

#![expect(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its numbers are small"
)]

use std::collections::BTreeSet;
use std::convert::Infallible;

use hvrsim_resync::runs::{Run, each, push};
use hvrsim_resync::{
    BLOCK_CELLS, Blocks, BlocksMut, Candidates, Counts, Digest, Error, Message, Options, Position,
    REGION_CELLS, Source, Target, VERSION, candidate_blocks, local,
};
use proptest::prelude::*;

const BLOCK: usize = BLOCK_CELLS as usize;

/// Disks; reads and writes are counted in cells.
#[derive(Clone, PartialEq, Debug)]
struct Plain(Vec<Vec<u8>>);

impl Blocks for Plain {
    type Payload = Vec<u8>;
    type Error = Infallible;

    fn sizes(&self) -> Vec<u64> {
        self.0.iter().map(|disk| disk.len() as u64).collect()
    }

    fn present(&self, disk: u8, cells: Run) -> Result<Vec<Run>, Infallible> {
        let mut out = Vec::new();
        for cell in (cells.start..cells.end()).filter(|cell| self.0[usize::from(disk)][*cell as usize] != 0) {
            push(&mut out, Run { start: cell, len: 1 });
        }
        Ok(out)
    }

    fn next_present(&self, disk: u8, from: u64) -> Result<Option<u64>, Infallible> {
        Ok((from..self.0[usize::from(disk)].len() as u64)
            .find(|cell| self.0[usize::from(disk)][*cell as usize] != 0))
    }

    fn digest(&self, disk: u8, block: u64) -> Result<Digest, Infallible> {
        let mut out = [0; BLOCK];
        let content = self.0[usize::from(disk)].chunks(BLOCK).nth(block as usize).unwrap();
        assert!(content.iter().any(|cell| *cell != 0), "an absent block is not read");
        out[..content.len()].copy_from_slice(content);
        Ok(out)
    }

    fn cell_digests(&self, disk: u8, block: u64) -> Result<Vec<Digest>, Infallible> {
        let content = self.0[usize::from(disk)].chunks(BLOCK).nth(block as usize).unwrap();
        Ok(content.iter().map(|cell| [*cell; 16]).collect())
    }

    fn read(&self, disk: u8, cells: &[Run]) -> Result<Vec<u8>, Infallible> {
        let content: Vec<u8> = each(cells).map(|cell| self.0[usize::from(disk)][cell as usize]).collect();
        assert!(!content.contains(&0), "an absent cell is not sent");
        Ok(content)
    }
}

impl BlocksMut for Plain {
    fn write(&mut self, disk: u8, cells: &[Run], payload: &Vec<u8>) -> Result<(), Infallible> {
        for (cell, value) in each(cells).zip(payload) {
            self.0[usize::from(disk)][cell as usize] = *value;
        }
        Ok(())
    }

    fn zero(&mut self, disk: u8, cells: &[Run]) -> Result<(), Infallible> {
        each(cells).for_each(|cell| self.0[usize::from(disk)][cell as usize] = 0);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What a run did.
#[derive(PartialEq, Debug)]
struct Ran {
    counts: Counts,
    done: u64,
    payload_lost: u64,
    messages: usize,
}

/// Carries messages until both are done; those at the places in `lost` are lost.
fn run(source: &Plain, target: &mut Plain, options: &Options, lost: &BTreeSet<usize>) -> Ran {
    let (mut reader, mut writer) = (Source::new(options.clone()), Target::new());
    let mut next = Some(reader.open(source));
    let (mut messages, mut payload_lost) = (0, 0);
    while let Some(output) = next {
        assert!(output.message.link_bytes() >= output.message.payload_bytes());
        if lost.contains(&messages) {
            payload_lost += output.message.payload_bytes();
            let position = writer.position();
            reader.interrupt();
            writer.interrupt();
            assert_eq!(writer.position(), position, "the checkpoint stays");
            next = Some(reader.open(source));
        } else if output.message.to_target() {
            next = Some(writer.handle(target, output.message).unwrap());
        } else {
            next = reader.handle(source, output.message).unwrap();
        }
        messages += 1;
        assert!(messages < 10_000, "the halves come to an end");
    }
    assert!(reader.is_done());
    Ran { counts: reader.counts(), done: writer.blocks_done(), payload_lost, messages }
}

/// What has to be sent and compared, told block by block, and the target as it has to become.
fn oracle(
    source: &Plain,
    target: &Plain,
    candidates: Option<&BTreeSet<(u8, u64)>>,
    full: bool,
) -> (Counts, Plain) {
    let (mut counts, mut result) = (Counts::default(), target.clone());
    for (disk, content) in source.0.iter().enumerate() {
        for (block, from) in content.chunks(BLOCK).enumerate() {
            if candidates.is_some_and(|set| !set.contains(&(u8::try_from(disk).unwrap(), block as u64))) {
                continue;
            }
            let at = block * BLOCK..block * BLOCK + from.len();
            let to = &target.0[disk][at.clone()];
            let compared = !full && from.iter().any(|cell| *cell != 0) && to.iter().any(|cell| *cell != 0);
            counts.compared_bytes += if compared { 4096 * from.len() as u64 } else { 0 };
            let sent = from.iter().zip(to).filter(|(from, to)| **from != 0 && !(compared && from == to));
            counts.sent_bytes += 4096 * sent.count() as u64;
            result.0[disk][at].copy_from_slice(from);
        }
    }
    (counts, result)
}

/// Two disks, one over a region's border; few places, so that both sides often meet.
fn plain() -> impl Strategy<Value = Plain> {
    let writes = prop::collection::vec((0..2usize, 0..90usize, 1..20usize, 0..3u8), 0..14);
    writes.prop_map(|writes| {
        let mut disks = vec![vec![0; 2 * REGION_CELLS as usize + 37], vec![0; 21]];
        for (disk, at, len, value) in writes {
            let at = match (disk, at) {
                (0, 0..40) => REGION_CELLS as usize - 20 + at,
                (0, 40..60) => 2 * REGION_CELLS as usize - 23 + at,
                (0, at) => at,
                (_, at) => at % 21,
            };
            let end = (at + len).min(disks[disk].len());
            disks[disk][at..end].fill(value);
        }
        Plain(disks)
    })
}

fn blocks() -> impl Strategy<Value = Option<BTreeSet<(u8, u64)>>> {
    let block =
        prop_oneof![(Just(0u8), 0..8u64), (Just(0), 252..260u64), (Just(0), 510..515u64), (Just(1), 0..2u64)];
    prop::option::of(prop::collection::btree_set(block, 0..12))
}

fn options(blocks: Option<&BTreeSet<(u8, u64)>>, full: bool) -> Options {
    Options { candidates: blocks.map_or(Candidates::Everything, Candidates::tracked), full }
}

proptest! {
    #[test]
    fn the_target_becomes_equal_and_nothing_more_is_sent(
        source in plain(), target in plain(), blocks in blocks(), full: bool
    ) {
        let (expected, result) = oracle(&source, &target, blocks.as_ref(), full);
        let options = options(blocks.as_ref(), full);
        let total = candidate_blocks(&source, &target, &options.candidates).unwrap();
        let mut found = target.clone();
        let ran = run(&source, &mut found, &options, &BTreeSet::new());
        prop_assert_eq!(&found, &result);
        prop_assert_eq!(ran.counts, expected);
        prop_assert_eq!(ran.done, total);

        let again = run(&source, &mut found, &Options { full: false, ..options.clone() }, &BTreeSet::new());
        prop_assert_eq!(again.counts.sent_bytes, 0);

        let mut local = target;
        let progress = local::run(&source, &mut local, options, Position::default(), |_| {}).unwrap();
        prop_assert_eq!(&local, &result);
        prop_assert_eq!((progress.counts, progress.blocks_done), (expected, total));
    }

    #[test]
    fn interruptions_cost_what_was_on_its_way(
        source in plain(), target in plain(), blocks in blocks(), full: bool,
        lost in prop::collection::btree_set(0..24usize, 1..6)
    ) {
        let (expected, result) = oracle(&source, &target, blocks.as_ref(), full);
        let options = options(blocks.as_ref(), full);
        let total = candidate_blocks(&source, &target, &options.candidates).unwrap();
        let mut found = target;
        let ran = run(&source, &mut found, &options, &lost);
        prop_assert_eq!(&found, &result);
        prop_assert_eq!(ran.done, total);
        prop_assert_eq!(ran.counts.sent_bytes, expected.sent_bytes + ran.payload_lost);
        prop_assert_eq!(ran.counts.resent_bytes, ran.payload_lost);
    }
}

#[test]
fn an_equal_region_costs_one_exchange() {
    let disks = Plain(vec![vec![1; 2 * REGION_CELLS as usize]]);
    let ran = run(&disks, &mut disks.clone(), &options(None, false), &BTreeSet::new());
    // Open, Resume, two regions of Step and Offer, the last Step, Finished.
    assert_eq!(ran.messages, 8);
}

#[test]
fn what_does_not_fit_is_refused() {
    let (mut small, large) = (Plain(vec![vec![0; 4]]), Plain(vec![vec![1; 5]]));
    let mut source = Source::new(options(None, false));
    let open = source.open(&large).message;
    assert!(matches!(Target::new().handle(&mut small, open), Err(Error::Sizes { .. })));
    let other = Message::Open {
        version: VERSION + 1,
        sizes: vec![4],
        candidates: Candidates::Everything,
        full: false,
    };
    assert!(
        matches!(Target::new().handle(&mut small, other), Err(Error::Version { theirs }) if theirs == VERSION + 1)
    );
    let early = Message::Step { data: None, next: None };
    assert!(matches!(Target::new().handle(&mut small, early), Err(Error::Unexpected { message: "step" })));
    assert!(matches!(
        source.handle(&large, Message::Finished),
        Err(Error::Unexpected { message: "finished" })
    ));
}
