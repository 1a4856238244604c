//! The half at the disks that are made equal.

use hvrsim_types::size::CELL;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::blocks::{BLOCK_CELLS, Blocks, BlocksMut, Digest, Position, REGION_CELLS};
use crate::candidates::Candidates;
use crate::message::{Data, Message, Next, Output, VERSION};
use crate::runs::{self, Run};
use crate::source::{Options, block_bytes, size_of};

/// The region that both halves are at.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Current {
    at: Position,
    /// Candidate cells present at the source.
    theirs: Vec<Run>,
    /// Candidate cells present here.
    mine: Vec<Run>,
}

/// The half that writes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Target {
    /// What `Open` told; none before it and after an interruption.
    options: Option<Options>,
    current: Option<Current>,
    position: Position,
    blocks_done: u64,
}

impl Target {
    /// A half that has heard nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A half that goes on from a checkpoint of an earlier one.
    #[must_use]
    pub fn resume(position: Position) -> Self {
        Self { position, ..Self::default() }
    }

    /// The checkpoint: everything in front of it is equal and durable.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Candidate blocks that are done.
    #[must_use]
    pub const fn blocks_done(&self) -> u64 {
        self.blocks_done
    }

    /// The connection broke: the next `Open` goes on from the checkpoint.
    pub fn interrupt(&mut self) {
        self.options = None;
        self.current = None;
    }

    /// Takes a message and answers it.
    ///
    /// # Errors
    /// The disk failed, or the message does not fit.
    pub fn handle<B: BlocksMut>(
        &mut self,
        disk: &mut B,
        message: Message<B::Payload>,
    ) -> Result<Output<B::Payload>, Error<B::Error>> {
        let kind = message.kind();
        match (message, self.options.take()) {
            (Message::Open { version, sizes, candidates, full }, None) => {
                if version != VERSION {
                    return Err(Error::Version { theirs: version });
                }
                if sizes != disk.sizes() {
                    return Err(Error::Sizes { source_cells: sizes, target_cells: disk.sizes() });
                }
                self.options = Some(Options { candidates, full });
                Ok(Output { message: Message::Resume { position: self.position }, read_bytes: 0 })
            }
            (Message::Step { data, next }, Some(options)) => {
                self.complete(disk, &options.candidates, data)?;
                let answer = self.begin(disk, &options, next);
                self.options = Some(options);
                answer
            }
            (Message::Want { blocks }, Some(options)) => {
                self.options = Some(options);
                self.cells(disk, &blocks)
            }
            _ => Err(Error::Unexpected { message: kind }),
        }
    }

    /// Makes the present region equal and moves the checkpoint behind it.
    fn complete<B: BlocksMut>(
        &mut self,
        disk: &mut B,
        candidates: &Candidates,
        data: Option<Data<B::Payload>>,
    ) -> Result<(), Error<B::Error>> {
        let Some(current) = self.current.take() else {
            return match data {
                None => Ok(()),
                Some(_) => Err(Error::Unexpected { message: "step" }),
            };
        };
        disk.zero(current.at.disk, &runs::subtract(&current.mine, &current.theirs))?;
        if let Some(data) = data {
            if !runs::subtract(&data.cells, &current.theirs).is_empty() {
                return Err(Error::Unexpected { message: "step" });
            }
            disk.write(current.at.disk, &data.cells, &data.payload)?;
        }
        let touched = runs::blocks_of(&runs::union(&current.mine, &current.theirs));
        self.advance(disk, candidates, current.at.next(), &touched)
    }

    /// Moves the checkpoint over regions with these present blocks.
    fn advance<B: BlocksMut>(
        &mut self,
        disk: &mut B,
        candidates: &Candidates,
        to: Position,
        blocks: &[Run],
    ) -> Result<(), Error<B::Error>> {
        disk.flush()?;
        let tracked = candidates.tracked_between(self.position, to);
        self.blocks_done += tracked.unwrap_or_else(|| runs::total(blocks));
        self.position = to;
        Ok(())
    }

    /// Whether a region is on the disks and not in front of the checkpoint, and its runs are inside it.
    fn may_follow(&self, next: &Next, sizes: &[u64]) -> bool {
        let size = sizes.get(usize::from(next.at.disk)).copied().unwrap_or(0);
        next.at >= self.position
            && next.at.region.checked_mul(REGION_CELLS).is_some_and(|start| start < size)
            && runs::subtract(&next.present, &[next.at.cells(size)]).is_empty()
    }

    /// Zeroes what lies in front of the source's next region, and says what is here in that one.
    fn begin<B: BlocksMut>(
        &mut self,
        disk: &mut B,
        options: &Options,
        next: Option<Next>,
    ) -> Result<Output<B::Payload>, Error<B::Error>> {
        let sizes = disk.sizes();
        if next.as_ref().is_some_and(|next| !self.may_follow(next, &sizes)) {
            return Err(Error::Unexpected { message: "step" });
        }
        let limit = next.as_ref().map(|next| next.at);
        while let Some((at, mine)) = options.candidates.next_region(disk, &sizes, self.position, limit)? {
            disk.zero(at.disk, &mine)?;
            self.advance(disk, &options.candidates, at.next(), &runs::blocks_of(&mine))?;
        }
        let end = Position { disk: u8::try_from(sizes.len()).unwrap_or(u8::MAX), region: 0 };
        self.advance(disk, &options.candidates, limit.unwrap_or(end), &[])?;
        let Some(next) = next else {
            return Ok(Output { message: Message::Finished, read_bytes: 0 });
        };
        let size = size_of(disk, next.at.disk);
        let mine = options.candidates.present(disk, next.at, size)?;
        let blocks = if options.full { Vec::new() } else { runs::blocks_of(&mine) };
        let common = runs::intersect(&blocks, &runs::blocks_of(&next.present));
        let digests: Result<Vec<Digest>, _> =
            runs::each(&common).map(|block| disk.digest(next.at.disk, block)).collect();
        let message = Message::Offer { blocks, digests: digests? };
        let read_bytes = block_bytes(disk, next.at.disk, &common);
        self.current = Some(Current { at: next.at, theirs: next.present, mine });
        Ok(Output { message, read_bytes })
    }

    /// Digests of the cells that both sides have in these blocks.
    fn cells<B: Blocks>(&self, disk: &B, blocks: &[Run]) -> Result<Output<B::Payload>, Error<B::Error>> {
        let Some(current) = &self.current else {
            return Err(Error::Unexpected { message: "want" });
        };
        if !runs::subtract(blocks, &runs::blocks_of(&current.theirs)).is_empty() {
            return Err(Error::Unexpected { message: "want" });
        }
        let number = current.at.disk;
        let inside = runs::cells_of(blocks, size_of(disk, number));
        let present = runs::intersect(&current.mine, &inside);
        let common = runs::intersect(&present, &current.theirs);
        let mut digests = Vec::new();
        for block in runs::each(&runs::blocks_of(&common)) {
            let all = disk.cell_digests(number, block)?;
            let mine = runs::intersect(&common, &[Run { start: block * BLOCK_CELLS, len: BLOCK_CELLS }]);
            let places = runs::each(&mine).map(|cell| cell % BLOCK_CELLS);
            digests.extend(places.filter_map(|at| all.get(usize::try_from(at).ok()?).copied()));
        }
        let read_bytes =
            CELL * runs::total(&runs::cells_of(&runs::blocks_of(&common), size_of(disk, number)));
        Ok(Output { message: Message::Cells { present, digests }, read_bytes })
    }
}
