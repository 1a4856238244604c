//! The ledger of what was written: which content each copy, log and recovery point has, and so what is lost.
//!
//! A content is a place in a tree of histories: a branch and how many of its entries are in it. A copy
//! that starts from another's content and is written to begins a branch of its own.

use hvrsim_types::id::{CopyId, VmId};
use hvrsim_types::size::Bytes;
use hvrsim_types::time::Instant;
use serde::{Deserialize, Serialize};

use crate::guest::Burst;
use crate::store::Write;

/// A branch of the histories.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct BranchId(u32);

/// A content: the first `entries` of a branch, on top of what the branch began from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Position {
    /// The branch.
    pub branch: BranchId,
    /// Entries of it that are in.
    pub entries: u32,
}

/// What an entry is made of.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Written {
    /// A guest's writes by profile.
    Burst(Burst),
    /// One write by script, with its tag or an empty text.
    Tagged(Write, String),
}

/// Writes that always stay together.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// What.
    pub what: Written,
    /// Bytes.
    pub bytes: u64,
    /// From when.
    pub from: Instant,
    /// Until when.
    pub to: Instant,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Branch {
    vm: VmId,
    writer: Option<CopyId>,
    parent: Option<Position>,
    entries: Vec<Entry>,
}

/// What was lost: by tag, or untagged, with count, size and time.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Loss {
    /// The tag; `None` for what guests write by profile.
    pub tag: Option<String>,
    /// Writes.
    pub writes: u64,
    /// Bytes.
    pub bytes: u64,
    /// First moment.
    pub from: Instant,
    /// Last moment.
    pub to: Instant,
}

/// The ledger.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    branches: Vec<Branch>,
}

impl Ledger {
    /// The content that a machine has from the start.
    pub fn begin(&mut self, vm: VmId) -> Position {
        self.open(Branch { vm, writer: None, parent: None, entries: Vec::new() })
    }

    fn open(&mut self, branch: Branch) -> Position {
        let id = BranchId(u32::try_from(self.branches.len()).unwrap_or(u32::MAX));
        self.branches.push(branch);
        Position { branch: id, entries: 0 }
    }

    fn branch(&self, id: BranchId) -> &Branch {
        &self.branches[id.0 as usize]
    }

    /// A copy with this content is written to; the content it has then.
    pub fn write(&mut self, copy: CopyId, at: Position, entry: Entry) -> Position {
        let branch = self.branch(at.branch);
        let mine = branch.writer == Some(copy) && branch.entries.len() == at.entries as usize;
        let place = if mine {
            at
        } else {
            self.open(Branch { vm: copy.vm, writer: Some(copy), parent: Some(at), entries: Vec::new() })
        };
        self.branches[place.branch.0 as usize].entries.push(entry);
        Position { entries: place.entries + 1, ..place }
    }

    /// Every place that a content goes through, newest first: itself, what its branch began from, and so on.
    fn path(&self, at: Position) -> impl Iterator<Item = Position> + '_ {
        std::iter::successors(Some(at), |p| self.branch(p.branch).parent)
    }

    /// Whether all that is in `older` is in `newer`, too.
    #[must_use]
    pub fn contains(&self, newer: Position, older: Position) -> bool {
        self.path(newer).any(|p| p.branch == older.branch && p.entries >= older.entries)
            || (older.entries == 0
                && self.branch(older.branch).parent.is_none_or(|parent| self.contains(newer, parent)))
    }

    /// The entries of a content, oldest first, each with the copy that wrote it.
    #[must_use]
    pub fn entries(&self, at: Position) -> Vec<(CopyId, &Entry)> {
        let mut parts: Vec<Position> = self.path(at).collect();
        parts.reverse();
        let mut all = Vec::new();
        for part in parts {
            let branch = self.branch(part.branch);
            let Some(writer) = branch.writer else { continue };
            all.extend(branch.entries.iter().take(part.entries as usize).map(|entry| (writer, entry)));
        }
        all
    }

    /// What is in `whole` and not in `kept`, by tag.
    #[must_use]
    pub fn lost(&self, whole: Position, kept: Position) -> Vec<Loss> {
        let mut losses = Vec::new();
        for part in self.path(whole) {
            let shared = self.path(kept).find(|p| p.branch == part.branch).map_or(0, |p| p.entries);
            let branch = self.branch(part.branch);
            let gone = branch.entries.iter().take(part.entries as usize).skip(shared as usize);
            gone.for_each(|entry| add(&mut losses, entry));
        }
        sorted(losses)
    }

    /// Everything that was ever written for a machine and is not in `kept`, by tag.
    #[must_use]
    pub fn lost_in_all(&self, vm: VmId, kept: Position) -> Vec<Loss> {
        let mut losses = Vec::new();
        for (index, branch) in self.branches.iter().enumerate().filter(|(_, b)| b.vm == vm) {
            let id = BranchId(u32::try_from(index).unwrap_or(u32::MAX));
            let shared = self.path(kept).find(|p| p.branch == id).map_or(0, |p| p.entries);
            branch.entries.iter().skip(shared as usize).for_each(|entry| add(&mut losses, entry));
        }
        sorted(losses)
    }
}

fn sorted(mut losses: Vec<Loss>) -> Vec<Loss> {
    losses.sort_by(|a, b| (a.tag.is_none(), &a.tag).cmp(&(b.tag.is_none(), &b.tag)));
    losses
}

fn add(losses: &mut Vec<Loss>, entry: &Entry) {
    let (tag, writes) = match &entry.what {
        Written::Burst(burst) => (None, burst.writes),
        Written::Tagged(_, tag) => (Some(tag.clone()).filter(|tag| !tag.is_empty()), 1),
    };
    match losses.iter_mut().find(|l| l.tag == tag) {
        Some(loss) => {
            loss.writes += writes;
            loss.bytes += entry.bytes;
            loss.from = loss.from.min(entry.from);
            loss.to = loss.to.max(entry.to);
        }
        None => losses.push(Loss { tag, writes, bytes: entry.bytes, from: entry.from, to: entry.to }),
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = self.tag.as_deref().map_or("untagged writes".to_owned(), |tag| format!("`{tag}`"));
        let many = if self.writes == 1 { "write" } else { "writes" };
        write!(f, "{what}: {} {many}, {}, {} to {}", self.writes, Bytes(self.bytes), self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use hvrsim_types::id::HostId;

    use super::*;
    use crate::store::WriteNo;

    fn tagged(tag: &str) -> Entry {
        let write = Write { no: WriteNo::FIRST, disk: 0, offset: 0, len: 4096 };
        let what = Written::Tagged(write, tag.to_owned());
        Entry { what, bytes: 4096, from: Instant(1), to: Instant(1) }
    }

    fn copy(host: u16) -> CopyId {
        CopyId { host: HostId(host), vm: VmId(0) }
    }

    #[test]
    fn what_forks_away_is_lost_to_the_other() {
        let mut ledger = Ledger::default();
        let start = ledger.begin(VmId(0));
        let sent = ledger.write(copy(0), start, tagged("sent"));
        let unsent = ledger.write(copy(0), sent, tagged("unsent"));
        let there = ledger.write(copy(1), sent, tagged("there"));
        assert!(
            ledger.contains(unsent, sent) && ledger.contains(there, sent) && ledger.contains(there, start)
        );
        assert!(!ledger.contains(there, unsent) && !ledger.contains(sent, unsent));
        let tags = |losses: Vec<Loss>| losses.into_iter().filter_map(|l| l.tag).collect::<Vec<_>>();
        assert_eq!(tags(ledger.lost(unsent, there)), ["unsent"]);
        assert_eq!(tags(ledger.lost(there, unsent)), ["there"]);
        assert_eq!(tags(ledger.lost_in_all(VmId(0), sent)), ["there", "unsent"]);
    }
}
