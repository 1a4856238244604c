//! A resynchronization in a store: disk by disk both halves of the engine, and what is on its way between them.
//!
//! What a half has to say at once travels together, as one flow on the link: a long way is paid for once, as on a real
//! wire with many pieces on their way.

use std::collections::VecDeque;
use std::ops::Range;

use hvrsim_resync::heat::{Heat, HeatMap};
use hvrsim_resync::runs::{self, Run};
use hvrsim_resync::{Blocks, BlocksMut, Candidates, Error, Frame, Source, Target};
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::CopyId;
use hvrsim_types::size::{BLOCK, CELL};
use serde::{Deserialize, Serialize};

use super::{Move, ResyncCounts, ResyncSpec, StoreError, StoreResult, View};

/// What travels together is at most so much content and one frame more.
const TOGETHER: u64 = 8 << 20;

/// Frames on their way.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Burst<C> {
    frames: Vec<Frame<C>>,
    travels: Move,
}

/// A resynchronization whose content travels as `C`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Session<C> {
    pub(super) from: (CopyId, View),
    pub(super) to: CopyId,
    candidates: Candidates,
    full: bool,
    /// The disk that is worked on, and how many there are.
    disk: u8,
    disks: u8,
    /// Those that it is about.
    chosen: DiskSet,
    source: Source,
    target: Target,
    on_its_way: Option<Burst<C>>,
    /// Runs of blocks that a side held at the start and that are not done, by disk.
    left: VecDeque<(u8, Run)>,
    counts: ResyncCounts,
    /// What was done where, by disk.
    heat: Vec<HeatMap>,
}

/// The two sides as a session sees them: each disk by its place, as the source and as the target.
pub(super) trait Sides<C> {
    fn source(&mut self, disk: u8, candidates: &Candidates) -> impl Blocks<Content = C, Error = StoreError>;
    fn target(&mut self, disk: u8) -> impl BlocksMut<Content = C, Error = StoreError>;
}

/// What is wrong with the disks; whatever else the engine says is an error of the program.
fn disk_error(error: Error<StoreError>) -> StoreError {
    match error {
        Error::Disk(error) => error,
        other => panic!("a resynchronization between two copies: {other}"),
    }
}

impl<C> Session<C> {
    /// A side is another host's now.
    pub(super) fn relocate(&mut self, from: CopyId, to: CopyId) {
        for side in [&mut self.from.0, &mut self.to] {
            if *side == from {
                *side = to;
            }
        }
    }

    pub(super) fn open(spec: &ResyncSpec, disks: u8, sides: &mut impl Sides<C>) -> StoreResult<Self> {
        let mut opened = Self {
            from: (spec.source, spec.view),
            to: spec.target,
            candidates: spec.candidates.clone(),
            full: spec.full,
            disk: 0,
            disks,
            chosen: spec.disks,
            source: Source::new([0; 32], spec.full),
            target: Target::new(),
            on_its_way: None,
            left: VecDeque::new(),
            counts: ResyncCounts::default(),
            heat: Vec::new(),
        };
        for disk in 0..disks {
            let mut source = sides.source(disk, &opened.candidates);
            let all = 0..source.size();
            opened.heat.push(HeatMap::new(source.size()));
            if !spec.disks.contains(disk) {
                continue;
            }
            let (mut here, mut there, mut looked_at) = (Vec::new(), Vec::new(), Vec::new());
            for range in source.candidates(all)? {
                here.extend(blocks(source.held(range.clone())?));
                looked_at.push(range);
            }
            drop(source);
            let mut target = sides.target(disk);
            for range in looked_at {
                there.extend(blocks(target.held(range)?));
            }
            let held = runs::union(&here, &there);
            opened.counts.blocks_total += runs::total(&held);
            opened.left.extend(held.into_iter().map(|run| (disk, run)));
        }
        opened.skip_others();
        opened.make_next(sides)?;
        Ok(opened)
    }

    /// What is on its way; `None` when everything is equal.
    pub(super) fn next(&self) -> Option<Move> {
        self.on_its_way.as_ref().map(|burst| burst.travels)
    }

    /// It arrives, and the other half works on it.
    pub(super) fn deliver(&mut self, sides: &mut impl Sides<C>) -> StoreResult<()> {
        if let Some(Burst { frames, travels }) = self.on_its_way.take() {
            self.arrive(sides, travels.to_target, frames)?;
            self.make_next(sides)?;
        }
        Ok(())
    }

    /// The connection broke when so many bytes had crossed: whole frames among them arrived, the rest is lost, and the
    /// halves begin again where everything is done.
    pub(super) fn interrupt(&mut self, sides: &mut impl Sides<C>, crossed: u64) -> StoreResult<()> {
        let Some(Burst { frames, travels }) = self.on_its_way.take() else { return Ok(()) };
        let (mut arrived, mut left) = (Vec::new(), crossed);
        for frame in frames {
            let bytes = frame.link_bytes();
            if bytes > left {
                // A part of its content crossed in vain.
                let lost = frame.sent_bytes().min(left) / CELL * CELL;
                self.counts.sent_bytes += lost;
                self.counts.resent_bytes += lost;
                let resent = Heat { sent_bytes: lost, resent_bytes: lost, ..Heat::default() };
                if let Frame::Answer(answer) = &frame {
                    self.heat[usize::from(self.disk)].add(answer.start..answer.start + lost, &resent);
                }
                break;
            }
            left -= bytes;
            arrived.push(frame);
        }
        self.arrive(sides, travels.to_target, arrived)?;
        if self.source.finished().is_none() {
            self.source.interrupt();
            self.target.interrupt(&mut sides.target(self.disk))?;
        }
        self.make_next(sides)
    }

    fn arrive(
        &mut self,
        sides: &mut impl Sides<C>,
        to_target: bool,
        frames: Vec<Frame<C>>,
    ) -> StoreResult<()> {
        for frame in frames {
            if to_target {
                self.arrive_at_target(sides, frame)?;
            } else {
                let source = sides.source(self.disk, &self.candidates);
                self.source.handle(&source, frame).map_err(disk_error)?;
            }
        }
        self.count_done((self.disk, self.target.done_to() / BLOCK));
        Ok(())
    }

    fn arrive_at_target(&mut self, sides: &mut impl Sides<C>, frame: Frame<C>) -> StoreResult<()> {
        let before = self.target.summary();
        let range = match &frame {
            Frame::Answer(answer) => Some(answer.range()),
            _ => None,
        };
        self.target.handle(&mut sides.target(self.disk), frame).map_err(disk_error)?;
        if let Some(range) = range {
            let after = self.target.summary();
            let heat = Heat {
                compared_bytes: after.compared_bytes - before.compared_bytes,
                sent_bytes: after.sent_bytes - before.sent_bytes,
                zeroed_bytes: after.zeroed_bytes - before.zeroed_bytes,
                resent_bytes: 0,
            };
            self.heat[usize::from(self.disk)].add(range, &heat);
        }
        Ok(())
    }

    /// Everything in front of this block of this disk is done.
    fn count_done(&mut self, to: (u8, u64)) {
        while let Some((disk, run)) = self.left.pop_front() {
            let end = if disk < to.0 { run.end() } else { run.end().min(to.1) };
            let done = if disk > to.0 { 0 } else { end.saturating_sub(run.start) };
            self.counts.blocks_done += done;
            if done < run.len {
                self.left.push_front((disk, Run { start: run.start + done, len: run.len - done }));
                return;
            }
        }
    }

    /// Takes what a half has to say: the source first, which is asked before it answers.
    fn make_next(&mut self, sides: &mut impl Sides<C>) -> StoreResult<()> {
        loop {
            self.on_its_way = match self.burst_of_source(sides)? {
                Some(burst) => Some(burst),
                None => self.burst_of_target(sides)?,
            };
            if self.on_its_way.is_some() || self.disk == self.disks || self.source.finished().is_none() {
                return Ok(());
            }
            // This disk is equal; the next one's halves begin.
            self.counts = self.counts();
            self.disk += 1;
            self.skip_others();
            self.count_done((self.disk, 0));
            (self.source, self.target) = (Source::new([0; 32], self.full), Target::new());
            if self.disk == self.disks {
                return Ok(());
            }
        }
    }

    /// Goes on to the next disk that it is about.
    fn skip_others(&mut self) {
        while self.disk < self.disks && !self.chosen.contains(self.disk) {
            self.disk += 1;
        }
    }

    fn burst_of_source(&mut self, sides: &mut impl Sides<C>) -> StoreResult<Option<Burst<C>>> {
        if self.disk == self.disks {
            return Ok(None);
        }
        let read = self.source.read_bytes();
        let mut disk = sides.source(self.disk, &self.candidates);
        let frames = together(|| self.source.next(&mut disk).map_err(disk_error))?;
        Ok(Burst::new(frames, true, self.source.read_bytes() - read))
    }

    fn burst_of_target(&mut self, sides: &mut impl Sides<C>) -> StoreResult<Option<Burst<C>>> {
        if self.disk == self.disks {
            return Ok(None);
        }
        let read = self.target.read_bytes();
        let mut disk = sides.target(self.disk);
        let frames = together(|| self.target.next(&mut disk).map_err(disk_error))?;
        Ok(Burst::new(frames, false, self.target.read_bytes() - read))
    }

    pub(super) fn heat(&self) -> &[HeatMap] {
        &self.heat
    }

    pub(super) fn counts(&self) -> ResyncCounts {
        let done = self.target.summary();
        self.counts.plus(ResyncCounts {
            compared_bytes: done.compared_bytes,
            sent_bytes: done.sent_bytes,
            zeroed_bytes: done.zeroed_bytes,
            ..ResyncCounts::default()
        })
    }
}

impl<C> Burst<C> {
    fn new(frames: Vec<Frame<C>>, to_target: bool, read_bytes: u64) -> Option<Self> {
        let link_bytes = frames.iter().map(Frame::link_bytes).sum();
        (!frames.is_empty()).then_some(Self { frames, travels: Move { to_target, link_bytes, read_bytes } })
    }
}

/// Frames that travel together.
fn together<C>(mut next: impl FnMut() -> StoreResult<Option<Frame<C>>>) -> StoreResult<Vec<Frame<C>>> {
    let (mut frames, mut content) = (Vec::new(), 0);
    while content < TOGETHER
        && let Some(frame) = next()?
    {
        content += frame.sent_bytes();
        frames.push(frame);
    }
    Ok(frames)
}

fn blocks(held: Vec<Range<u64>>) -> Vec<Run> {
    let cells: Vec<Run> =
        held.into_iter().map(|range| Run::new(range.start / CELL, range.end.div_ceil(CELL))).collect();
    runs::blocks_of(&cells)
}
