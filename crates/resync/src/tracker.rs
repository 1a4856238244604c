//! What changed on a disk since another one was equal to it.
//!
//! A tracker belongs to two sides: it names the *generation* of the source at which the target was made equal, and
//! the target keeps the same name. Only while both say the same do the tracked blocks hold every difference; when the
//! chain of generations is broken, everything has to be compared.
//!
//! A run freezes the set and lets a successor take the writes that come meanwhile. A block leaves the frozen set only
//! when the target has acknowledged that what was sent of it is durable; a later write stands in the successor, so
//! nothing is forgotten. A run that fails merges the two again.

use serde::{Deserialize, Serialize};

use crate::candidates::Candidates;
use crate::changes::Changes;
use crate::runs::Run;

/// The name of a content that a side once had.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Generation(pub [u8; 16]);

/// What a run has to go through.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Frozen {
    since: Generation,
    left: Changes,
}

/// The blocks that were written since a generation.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Tracker {
    since: Generation,
    written: Changes,
    frozen: Option<Frozen>,
}

impl Tracker {
    /// Starts tracking where source and target are equal.
    #[must_use]
    pub fn new(since: Generation) -> Self {
        Self { since, written: Changes::default(), frozen: None }
    }

    /// A write at the source; call it before the write is acknowledged to the guest.
    pub fn write(&mut self, disk: u8, offset: u64, len: u64) {
        self.written.add(disk, offset, len);
    }

    /// Adds changes that were noted elsewhere: a log, a bitmap.
    pub fn add(&mut self, changes: &Changes) {
        self.written.add_all(changes);
    }

    /// The generation at which the target was equal, as far as this side knows: the frozen one while a run is under way.
    #[must_use]
    pub fn since(&self) -> Generation {
        self.frozen.as_ref().map_or(self.since, |frozen| frozen.since)
    }

    /// Everything that may differ.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let mut all = self.written.clone();
        if let Some(frozen) = &self.frozen {
            all.add_all(&frozen.left);
        }
        all
    }

    /// Begins a run: from now on writes are noted since `now`, which names the source's content at this moment. Says
    /// where to look, given the generation that the target says it was equal to: everywhere, if that is another one.
    pub fn freeze(&mut self, now: Generation, target: Option<Generation>) -> Candidates {
        self.merge_back();
        let candidates =
            if target == Some(self.since) { self.written.candidates() } else { Candidates::Everything };
        let left = std::mem::take(&mut self.written);
        self.frozen = Some(Frozen { since: self.since, left });
        self.since = now;
        candidates
    }

    /// The target has made durable what was sent of these blocks, or found them equal.
    pub fn acknowledge(&mut self, disk: u8, blocks: Run) {
        if let Some(frozen) = &mut self.frozen {
            frozen.left.remove_blocks(disk, blocks);
        }
    }

    /// The run is through and durable: the target is equal to the generation of the freeze, and has to keep its name.
    pub fn complete(&mut self) -> Generation {
        self.frozen = None;
        self.since
    }

    /// The run failed, or the machine did: what is left of it and what was written since are one set again.
    pub fn merge_back(&mut self) {
        if let Some(Frozen { since, left }) = self.frozen.take() {
            self.written.add_all(&left);
            self.since = since;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const BLOCKS: usize = 12;

    #[derive(Clone, Debug)]
    enum Step {
        Write(usize),
        Freeze,
        /// A block arrives and is durable.
        Send(usize),
        Fail,
        Complete,
        /// The target's disk is exchanged: it says that it was never equal.
        Exchange,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let one = prop_oneof![
            6 => (0..BLOCKS).prop_map(Step::Write),
            2 => Just(Step::Freeze),
            6 => (0..BLOCKS).prop_map(Step::Send),
            1 => Just(Step::Fail),
            2 => Just(Step::Complete),
            1 => Just(Step::Exchange),
        ];
        prop::collection::vec(one, 0..60)
    }

    fn looked_at(candidates: &Candidates) -> BTreeSet<usize> {
        let ranges = candidates.within(0, 0..BLOCKS as u64 * 65_536);
        let looked_at = |block: &usize| ranges.iter().any(|range| range.contains(&(*block as u64 * 65_536)));
        (0..BLOCKS).filter(looked_at).collect()
    }

    proptest! {
        #[test]
        fn no_difference_is_forgotten_and_none_is_invented(steps in steps()) {
            let (mut source, mut target) = ([0; BLOCKS], [0; BLOCKS]);
            let mut tracker = Tracker::new(Generation([0; 16]));
            // What the target says, and the blocks that the run under way has yet to go through.
            let (mut knows, mut run) = (Some(Generation([0; 16])), None::<BTreeSet<usize>>);
            let (mut writes, mut names) = (0, 0);
            // Whether a run was agreed with by the target since it was exchanged.
            let mut whole = true;
            let mut written_since_equal = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Write(block) => {
                        writes += 1;
                        tracker.write(0, block as u64 * 65_536 + 4096, 10);
                        source[block] = writes;
                        written_since_equal.insert(block);
                    }
                    Step::Freeze => {
                        names += 1;
                        let candidates = tracker.freeze(Generation([names; 16]), knows);
                        prop_assert_eq!(matches!(candidates, Candidates::Everything), !whole);
                        run = Some(looked_at(&candidates));
                    }
                    Step::Send(block) => {
                        if let Some(left) = &mut run && left.remove(&block) {
                            target[block] = source[block];
                            tracker.acknowledge(0, Run { start: block as u64, len: 1 });
                        }
                    }
                    Step::Fail => {
                        tracker.merge_back();
                        run = None;
                    }
                    Step::Complete => {
                        if run.as_ref().is_some_and(BTreeSet::is_empty) {
                            knows = Some(tracker.complete());
                            (run, whole) = (None, true);
                            written_since_equal.retain(|block| source[*block] != target[*block]
                                || tracker.changes().contains(0, *block as u64));
                        }
                    }
                    Step::Exchange => {
                        target = [u8::MAX; BLOCKS];
                        (knows, whole, run) = (None, false, None);
                        tracker.merge_back();
                    }
                }
                let noted = tracker.changes();
                for block in 0..BLOCKS {
                    let is_noted = noted.contains(0, block as u64);
                    if whole {
                        prop_assert!(source[block] == target[block] || is_noted, "block {block} is forgotten");
                    }
                    prop_assert!(!is_noted || written_since_equal.contains(&block), "block {block} is invented");
                }
            }
        }
    }

    #[test]
    fn a_write_during_the_run_outlives_its_acknowledgement() {
        let mut tracker = Tracker::new(Generation([1; 16]));
        tracker.write(0, 0, 4096);
        tracker.freeze(Generation([2; 16]), Some(Generation([1; 16])));
        tracker.write(0, 100, 1);
        tracker.acknowledge(0, Run { start: 0, len: 1 });
        assert_eq!(tracker.complete(), Generation([2; 16]));
        assert!(tracker.changes().contains(0, 0));
    }

    #[test]
    fn a_broken_chain_of_generations_is_compared_everywhere() {
        let mut tracker = Tracker::new(Generation([1; 16]));
        tracker.write(0, 0, 4096);
        assert_eq!(tracker.freeze(Generation([2; 16]), Some(Generation([9; 16]))), Candidates::Everything);
        tracker.merge_back();
        assert_eq!(tracker.freeze(Generation([3; 16]), None), Candidates::Everything);
        tracker.merge_back();
        let agreed = tracker.freeze(Generation([4; 16]), Some(Generation([1; 16])));
        assert!(matches!(agreed, Candidates::Tracked(_)));
    }
}
