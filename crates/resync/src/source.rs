//! The half at the disks where the content comes from.

use hvrsim_types::size::CELL;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::blocks::{BLOCK_CELLS, Blocks, Digest, Position};
use crate::candidates::Candidates;
use crate::message::{Data, Message, Next, Output, VERSION, count};
use crate::runs::{self, Run};

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Options {
    /// Where to look.
    pub candidates: Candidates,
    /// Send what is present without comparing.
    pub full: bool,
}

/// What the source has done. Work done again after an interruption counts again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Bytes in blocks present on both sides and compared.
    pub compared_bytes: u64,
    /// Content sent, before compression, without digests and framing.
    pub sent_bytes: u64,
    /// The part of `sent_bytes` that had been sent before an interruption.
    pub resent_bytes: u64,
}

/// Cells of a region.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Region {
    at: Position,
    cells: Vec<Run>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum State {
    /// Not opened, or interrupted.
    Closed,
    /// `Open` is on its way or answered by nothing yet.
    Opened,
    /// A region was named; its present cells are known.
    Offered(Region),
    /// Cell digests of `wanted` blocks are awaited.
    Wanted { region: Region, wanted: Vec<Run>, sure: Vec<Run> },
    /// The last data is on its way.
    Closing,
    /// Everything is equal.
    Done,
}

/// The half that reads.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Source {
    options: Options,
    state: State,
    /// Cells sent that the target has not confirmed.
    unconfirmed: Option<Region>,
    counts: Counts,
}

impl Source {
    /// A half that has said nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, state: State::Closed, unconfirmed: None, counts: Counts::default() }
    }

    /// What was done so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the target has confirmed that everything is equal.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The first message, at the start and after an interruption.
    pub fn open<B: Blocks>(&mut self, disk: &B) -> Output<B::Payload> {
        self.state = State::Opened;
        let message = Message::Open {
            version: VERSION,
            sizes: disk.sizes(),
            candidates: self.options.candidates.clone(),
            full: self.options.full,
        };
        Output { message, read_bytes: 0 }
    }

    /// The connection broke: messages on their way are lost. [`Source::open`] begins again.
    pub fn interrupt(&mut self) {
        if self.state != State::Done {
            self.state = State::Closed;
        }
    }

    /// Takes a message and answers it; no answer: everything is equal.
    ///
    /// # Errors
    /// The disk failed, or the message does not fit.
    pub fn handle<B: Blocks>(
        &mut self,
        disk: &B,
        message: Message<B::Payload>,
    ) -> Result<Option<Output<B::Payload>>, Error<B::Error>> {
        let kind = message.kind();
        match (std::mem::replace(&mut self.state, State::Closed), message) {
            (State::Opened, Message::Resume { position }) => {
                if self.unconfirmed.as_ref().is_some_and(|sent| sent.at < position) {
                    self.unconfirmed = None;
                }
                self.step(disk, position, None, 0).map(Some)
            }
            (State::Offered(region), Message::Offer { blocks, digests }) => {
                if self.unconfirmed.as_ref().is_some_and(|sent| sent.at < region.at) {
                    self.unconfirmed = None;
                }
                self.offered(disk, region, &blocks, &digests).map(Some)
            }
            (State::Wanted { region, wanted, sure }, Message::Cells { present, digests }) => {
                let differ = differing_cells(disk, &region, &wanted, &present, &digests)?;
                let read = block_bytes(disk, region.at.disk, &wanted);
                let extra = CELL * runs::total(&sure);
                self.finish(disk, &region, &runs::union(&sure, &differ), read + extra).map(Some)
            }
            (State::Closing, Message::Finished) => {
                self.state = State::Done;
                self.unconfirmed = None;
                Ok(None)
            }
            _ => Err(Error::Unexpected { message: kind }),
        }
    }

    /// The target has said which blocks it has: what it lacks is sent, what both have is compared.
    fn offered<B: Blocks>(
        &mut self,
        disk: &B,
        region: Region,
        theirs: &[Run],
        digests: &[Digest],
    ) -> Result<Output<B::Payload>, Error<B::Error>> {
        let size = size_of(disk, region.at.disk);
        let common = runs::intersect(&runs::blocks_of(&region.cells), theirs);
        if runs::total(&common) != count(digests) {
            return Err(Error::Unexpected { message: "offer" });
        }
        let mut wanted = Vec::new();
        for (block, theirs) in runs::each(&common).zip(digests) {
            if disk.digest(region.at.disk, block)? != *theirs {
                runs::push(&mut wanted, Run { start: block, len: 1 });
            }
        }
        let compared = block_bytes(disk, region.at.disk, &common);
        self.counts.compared_bytes += compared;
        let sure = runs::subtract(&region.cells, &runs::cells_of(&common, size));
        if wanted.is_empty() {
            let read = compared + CELL * runs::total(&sure);
            return self.finish(disk, &region, &sure, read);
        }
        let message = Message::Want { blocks: wanted.clone() };
        self.state = State::Wanted { region, wanted, sure };
        Ok(Output { message, read_bytes: compared })
    }

    /// Sends what differs in a region and names the next one.
    fn finish<B: Blocks>(
        &mut self,
        disk: &B,
        region: &Region,
        cells: &[Run],
        read_bytes: u64,
    ) -> Result<Output<B::Payload>, Error<B::Error>> {
        if cells.is_empty() {
            return self.step(disk, region.at.next(), None, read_bytes);
        }
        self.counts.sent_bytes += CELL * runs::total(cells);
        let before = self.unconfirmed.take().filter(|sent| sent.at == region.at);
        let before = before.map_or_else(Vec::new, |sent| sent.cells);
        self.counts.resent_bytes += CELL * runs::total(&runs::intersect(&before, cells));
        self.unconfirmed = Some(Region { at: region.at, cells: runs::union(&before, cells) });
        let data = Data { cells: cells.to_vec(), payload: disk.read(region.at.disk, cells)? };
        self.step(disk, region.at.next(), Some(data), read_bytes)
    }

    /// Goes on to the first region at or behind `from`.
    fn step<B: Blocks>(
        &mut self,
        disk: &B,
        from: Position,
        data: Option<Data<B::Payload>>,
        read_bytes: u64,
    ) -> Result<Output<B::Payload>, Error<B::Error>> {
        let next = self.options.candidates.next_region(disk, &disk.sizes(), from, None)?;
        let next = next.map(|(at, present)| Next { at, present });
        self.state = match &next {
            Some(next) => State::Offered(Region { at: next.at, cells: next.present.clone() }),
            None => State::Closing,
        };
        Ok(Output { message: Message::Step { data, next }, read_bytes })
    }
}

/// The source's present cells in the wanted blocks that the target lacks or has with another content.
fn differing_cells<B: Blocks>(
    disk: &B,
    region: &Region,
    wanted: &[Run],
    theirs: &[Run],
    digests: &[Digest],
) -> Result<Vec<Run>, Error<B::Error>> {
    let size = size_of(disk, region.at.disk);
    let mine = runs::intersect(&region.cells, &runs::cells_of(wanted, size));
    let common = runs::intersect(&mine, theirs);
    if runs::total(&common) != count(digests) {
        return Err(Error::Unexpected { message: "cells" });
    }
    let mut differ = Vec::new();
    let mut loaded: Option<(u64, Vec<Digest>)> = None;
    for (cell, theirs) in runs::each(&common).zip(digests) {
        let block = cell / BLOCK_CELLS;
        let own = match loaded.take().filter(|(at, _)| *at == block) {
            Some((_, own)) => own,
            None => disk.cell_digests(region.at.disk, block)?,
        };
        if own.iter().zip(block * BLOCK_CELLS..).any(|(own, at)| at == cell && own != theirs) {
            runs::push(&mut differ, Run { start: cell, len: 1 });
        }
        loaded = Some((block, own));
    }
    Ok(runs::union(&runs::subtract(&mine, &common), &differ))
}

/// Cells of a disk.
pub(crate) fn size_of<B: Blocks>(disk: &B, number: u8) -> u64 {
    disk.sizes().get(usize::from(number)).copied().unwrap_or(0)
}

/// Bytes in blocks, cut at the disk's end.
pub(crate) fn block_bytes<B: Blocks>(disk: &B, number: u8, blocks: &[Run]) -> u64 {
    CELL * runs::total(&runs::cells_of(blocks, size_of(disk, number)))
}
