//! A resynchronization in a store: both halves of the engine and the one message on its way.

use hvrsim_resync::{Blocks, BlocksMut, Error, Options, Output, Source, Target, candidate_blocks};
use hvrsim_types::id::CopyId;
use serde::{Deserialize, Serialize};

use super::{Candidates, Move, ResyncCounts, ResyncSpec, StoreError, StoreResult, View};

/// A resynchronization whose messages carry `P`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Session<P> {
    pub(super) from: (CopyId, View),
    pub(super) to: CopyId,
    source: Source,
    target: Target,
    on_its_way: Option<Output<P>>,
    blocks_total: u64,
}

/// What is wrong with the disks; whatever else the engine says is an error of the program.
fn disk_error(error: Error<StoreError>) -> StoreError {
    match error {
        Error::Disk(error) => error,
        other => panic!("a resynchronization between two copies: {other}"),
    }
}

impl<P> Session<P> {
    pub(super) fn open<S, T>(spec: &ResyncSpec, source: &S, target: &T) -> StoreResult<Self>
    where
        S: Blocks<Payload = P, Error = StoreError>,
        T: Blocks<Payload = P, Error = StoreError>,
    {
        let candidates = match &spec.candidates {
            Candidates::Everything => hvrsim_resync::Candidates::Everything,
            Candidates::Tracked(blocks) => hvrsim_resync::Candidates::tracked(blocks),
        };
        let blocks_total = candidate_blocks(source, target, &candidates)?;
        let mut half = Source::new(Options { candidates, full: spec.full });
        let on_its_way = Some(half.open(source));
        Ok(Self {
            from: (spec.source, spec.view),
            to: spec.target,
            source: half,
            target: Target::new(),
            on_its_way,
            blocks_total,
        })
    }

    /// The message on its way; `None` when everything is equal.
    pub(super) fn next(&self) -> Option<Move> {
        self.on_its_way.as_ref().map(|output| Move {
            to_target: output.message.to_target(),
            link_bytes: output.message.link_bytes(),
            read_bytes: output.read_bytes,
        })
    }

    /// The message arrives at the target.
    pub(super) fn deliver_to_target<T>(&mut self, disk: &mut T) -> StoreResult<()>
    where
        T: BlocksMut<Payload = P, Error = StoreError>,
    {
        if let Some(output) = self.on_its_way.take() {
            self.on_its_way = Some(self.target.handle(disk, output.message).map_err(disk_error)?);
        }
        Ok(())
    }

    /// The message arrives at the source.
    pub(super) fn deliver_to_source<S>(&mut self, disk: &S) -> StoreResult<()>
    where
        S: Blocks<Payload = P, Error = StoreError>,
    {
        if let Some(output) = self.on_its_way.take() {
            self.on_its_way = self.source.handle(disk, output.message).map_err(disk_error)?;
        }
        Ok(())
    }

    /// The message is lost; the halves begin again at the checkpoint.
    pub(super) fn interrupt<S: Blocks<Payload = P>>(&mut self, disk: &S) {
        if !self.source.is_done() {
            self.source.interrupt();
            self.target.interrupt();
            self.on_its_way = Some(self.source.open(disk));
        }
    }

    pub(super) fn counts(&self) -> ResyncCounts {
        let counts = self.source.counts();
        ResyncCounts {
            compared_bytes: counts.compared_bytes,
            sent_bytes: counts.sent_bytes,
            resent_bytes: counts.resent_bytes,
            blocks_done: self.target.blocks_done(),
            blocks_total: self.blocks_total,
        }
    }
}
