//! Sets of changed blocks, as trackers, logs and the tables of images tell them.

use std::collections::BTreeMap;

use hvrsim_disk::hrl::HrlReader;
use hvrsim_disk::{ExtentKind, Image, Level};
use hvrsim_types::size::BLOCK;
use serde::{Deserialize, Serialize};

use crate::candidates::Candidates;
use crate::runs::{self, Run, RunSet};

/// Blocks of 64 KiB by disk, kept as runs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Changes {
    /// A disk without any block has no entry.
    disks: BTreeMap<u8, RunSet>,
}

impl Changes {
    /// Adds the blocks that a range of bytes touches.
    pub fn add(&mut self, disk: u8, offset: u64, len: u64) {
        if len > 0 {
            self.add_blocks(disk, Run::new(offset / BLOCK, (offset + len).div_ceil(BLOCK)));
        }
    }

    /// Adds a run of blocks.
    pub fn add_blocks(&mut self, disk: u8, blocks: Run) {
        self.disks.entry(disk).or_default().insert(blocks);
    }

    /// Takes a run of blocks out.
    pub fn remove_blocks(&mut self, disk: u8, blocks: Run) {
        if let Some(set) = self.disks.get_mut(&disk) {
            set.remove(blocks);
            if set.is_empty() {
                self.disks.remove(&disk);
            }
        }
    }

    /// Adds what another set has.
    pub fn add_all(&mut self, other: &Self) {
        for (disk, run) in other.iter() {
            self.add_blocks(disk, run);
        }
    }

    /// Adds what a change log names: a closed log of one disk, whose place in the chain the caller has checked.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn add_log(&mut self, disk: u8, log: &HrlReader) -> Result<(), hvrsim_disk::Error> {
        for entry in log.entries() {
            let entry = entry?;
            self.add(disk, entry.offset, entry.data.len() as u64);
        }
        Ok(())
    }

    /// Adds what a differencing image holds over its parent, from its block table and sector bitmaps: no content is
    /// read.
    ///
    /// # Errors
    /// The image's tables cannot be read.
    pub fn add_child(&mut self, disk: u8, child: &dyn Image) -> Result<(), hvrsim_disk::Error> {
        for extent in child.extents_at(0..child.size(), Level::Format)? {
            if matches!(extent.kind, ExtentKind::Data | ExtentKind::Zero) {
                self.add(disk, extent.start, extent.len);
            }
        }
        Ok(())
    }

    /// Whether there is no block in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.disks.is_empty()
    }

    /// Whether a block is in it.
    #[must_use]
    pub fn contains(&self, disk: u8, block: u64) -> bool {
        self.disks.get(&disk).is_some_and(|set| set.contains(block))
    }

    /// The runs of blocks by disk, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Run)> + '_ {
        self.disks.iter().flat_map(|(disk, set)| set.iter().map(|run| (*disk, run)))
    }

    /// The blocks as candidates of a resynchronization.
    #[must_use]
    pub fn candidates(&self) -> Candidates {
        let mut out = BTreeMap::<u8, Vec<Run>>::new();
        for (disk, run) in self.iter() {
            runs::push(out.entry(disk).or_default(), run);
        }
        Candidates::Tracked(out)
    }
}

impl FromIterator<(u8, u64)> for Changes {
    fn from_iter<I: IntoIterator<Item = (u8, u64)>>(blocks: I) -> Self {
        let mut out = Self::default();
        for (disk, block) in blocks {
            out.add_blocks(disk, Run { start: block, len: 1 });
        }
        out
    }
}
