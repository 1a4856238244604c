//! From where to where content goes, and which blocks may differ: told by the histories of two sides, without a scan.
//!
//! A side's history is a chain of steps, each from one generation of its content to the next with the blocks that
//! changed in between. Undo logs, change logs and differencing images are such steps. Two copies of a machine have a
//! common past; the newest generation that both histories name is where they parted. What has to be looked at to bring
//! a point of one side to the other is the way between them: back from the target's present to where they parted, and
//! from there to the point. That way holds what the target got or wrote after the point, what never reached the other
//! side, and what the other side wrote since.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::candidates::Candidates;
use crate::changes::Changes;
use crate::tracker::Generation;

/// What changed from one generation to the next.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Step {
    /// The generation before.
    pub from: Generation,
    /// The generation after.
    pub to: Generation,
    /// Counts the failovers before it. Content of a later term supersedes another side's of an earlier one.
    pub term: u32,
    /// The blocks that changed; `None` when that is no longer known.
    pub blocks: Option<Changes>,
}

/// A side's history.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct History {
    /// The generation of the present content.
    pub now: Generation,
    /// The term in which the side is.
    pub term: u32,
    /// Oldest first. A step may be missing: then the chain has a gap there.
    pub steps: Vec<Step>,
}

/// Why content must not go from one side to the other.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The point is none of the source's.
    #[error("the source has no such point; it has: {source_history}")]
    UnknownPoint {
        /// The generations of the source.
        source_history: String,
    },
    /// The target has what the source lacks, and not the other way round.
    #[error("the target is ahead of the source\n  source: {source_history}\n  target: {target_history}")]
    Backwards {
        /// The generations of the source.
        source_history: String,
        /// The generations of the target.
        target_history: String,
    },
    /// Both sides went on in the same term: none supersedes the other.
    #[error("both sides went on by themselves\n  source: {source_history}\n  target: {target_history}")]
    Diverged {
        /// The generations of the source.
        source_history: String,
        /// The generations of the target.
        target_history: String,
    },
}

impl History {
    /// Whether the content had this generation.
    #[must_use]
    pub fn knows(&self, generation: Generation) -> bool {
        self.now == generation
            || self.steps.iter().any(|step| step.from == generation || step.to == generation)
    }

    /// The newest generation that the other side had, too.
    fn parted_from(&self, other: &Self) -> Option<Generation> {
        if other.knows(self.now) {
            return Some(self.now);
        }
        let newest_first = self.steps.iter().rev().flat_map(|step| [step.to, step.from]);
        newest_first.into_iter().find(|generation| other.knows(*generation))
    }

    /// The blocks that changed between two generations, whichever is the older; `None` when the chain has a gap there.
    fn between(&self, a: Generation, b: Generation) -> Option<Changes> {
        self.after(a, b).or_else(|| self.after(b, a))
    }

    fn after(&self, from: Generation, to: Generation) -> Option<Changes> {
        let mut changes = Changes::default();
        let mut at = to;
        // From the newest back, so that a generation that came again is met where it was last.
        let mut steps = self.steps.iter().rev().skip_while(|step| step.to != to);
        while at != from {
            let step = steps.next().filter(|step| step.to == at)?;
            changes.add_all(step.blocks.as_ref()?);
            at = step.from;
        }
        Some(changes)
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for step in &self.steps {
            match last {
                None => write!(f, "{}", step.from)?,
                Some(last) if last != step.from => write!(f, " ... {}", step.from)?,
                Some(_) => {}
            }
            let sign = if step.blocks.is_some() { "->" } else { "?>" };
            write!(f, " {sign} {} (term {})", step.to, step.term)?;
            last = Some(step.to);
        }
        match last {
            Some(last) if last == self.now => Ok(()),
            Some(_) => write!(f, " ... {}", self.now),
            None => write!(f, "{}", self.now),
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where to look to make the target equal to a point of the source: the whole way between them, or everywhere where
/// that is not known.
///
/// # Errors
/// The generations do not allow this direction.
pub fn candidates(source: &History, point: Generation, target: &History) -> Result<Candidates, Refused> {
    let (source_history, target_history) = (source.to_string(), target.to_string());
    if !source.knows(point) {
        return Err(Refused::UnknownPoint { source_history });
    }
    let parted = target.parted_from(source);
    let superseded = source.term > target.term;
    if parted != Some(target.now) && !superseded {
        return Err(match parted {
            Some(parted) if parted == source.now => Refused::Backwards { source_history, target_history },
            _ => Refused::Diverged { source_history, target_history },
        });
    }
    let way = parted.and_then(|parted| {
        let mut way = target.between(parted, target.now)?;
        way.add_all(&source.between(parted, point)?);
        Some(way)
    });
    Ok(way.map_or(Candidates::Everything, |way| way.candidates()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::runs::Run;

    const BLOCKS: usize = 10;
    type Content = [u16; BLOCKS];

    /// A side with all that it ever was: the oracle looks here, the plan only at the history.
    #[derive(Clone)]
    struct Side {
        content: Content,
        history: History,
        past: Vec<(Generation, Content)>,
    }

    struct World {
        names: u16,
        writes: u16,
    }

    impl World {
        /// The side writes some blocks and comes to a new generation.
        fn go_on(&mut self, side: &mut Side, blocks: &BTreeSet<usize>) -> Step {
            self.names += 1;
            let mut name = [0; 16];
            name[..2].copy_from_slice(&self.names.to_le_bytes());
            let mut changes = Changes::default();
            for block in blocks {
                self.writes += 1;
                side.content[*block] = self.writes;
                changes.add_blocks(0, Run { start: *block as u64, len: 1 });
            }
            let to = Generation(name);
            let step = Step { from: side.history.now, to, term: side.history.term, blocks: Some(changes) };
            side.history.now = to;
            side.history.steps.push(step.clone());
            side.past.push((to, side.content));
            step
        }
    }

    fn side() -> Side {
        let now = Generation([0xff; 16]);
        let history = History { now, term: 1, steps: Vec::new() };
        Side { content: [0; BLOCKS], history, past: vec![(now, [0; BLOCKS])] }
    }

    /// Sets of blocks that are written, cycle by cycle.
    fn cycles(most: usize) -> impl Strategy<Value = Vec<BTreeSet<usize>>> {
        prop::collection::vec(prop::collection::btree_set(0..BLOCKS, 0..4), 0..most)
    }

    /// What becomes of a step's record in a history.
    #[derive(Clone, Copy, Debug)]
    enum Gap {
        Missing,
        Unknown,
    }

    fn gap() -> impl Strategy<Value = Option<(bool, usize, Gap)>> {
        let kind = prop_oneof![Just(Gap::Missing), Just(Gap::Unknown)];
        prop::option::of((any::<bool>(), 0..20usize, kind))
    }

    fn apply(candidates: &Candidates, from: &Content, to: &mut Content) -> BTreeSet<usize> {
        let ranges = candidates.within(0, 0..BLOCKS as u64 * 65_536);
        let looked_at = |block: &usize| ranges.iter().any(|range| range.contains(&(*block as u64 * 65_536)));
        let blocks: BTreeSet<usize> = (0..BLOCKS).filter(looked_at).collect();
        for block in &blocks {
            to[*block] = from[*block];
        }
        blocks
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]
        #[test]
        fn failback_equals_the_chosen_point(
            before in cycles(6), sent in 0..7usize, unsent_after in cycles(3), after in cycles(5),
            chosen: prop::sample::Index, gap in gap(),
        ) {
            let mut world = World { names: 0, writes: 0 };
            let (mut old, mut new) = (side(), side());
            // The old primary writes; the first so many cycles reach the new one, then it is cut off.
            for (number, blocks) in before.iter().chain(&unsent_after).enumerate() {
                let step = world.go_on(&mut old, blocks);
                if number < sent.min(before.len()) {
                    new.content = old.content;
                    new.history.now = step.to;
                    new.history.steps.push(step);
                    new.past.push((new.history.now, new.content));
                }
            }
            // The failover, and what the new primary writes.
            new.history.term = 2;
            for blocks in &after {
                world.go_on(&mut new, blocks);
            }
            let whole = candidates(&new.history, new.history.now, &old.history).unwrap();
            let (point, content) = new.past[chosen.index(new.past.len())];
            if let Some((at_old, place, kind)) = gap {
                let steps = if at_old { &mut old.history.steps } else { &mut new.history.steps };
                if place < steps.len() {
                    match kind {
                        Gap::Missing => drop(steps.remove(place)),
                        Gap::Unknown => steps[place].blocks = None,
                    }
                }
            }
            if !new.history.knows(point) {
                let refused = matches!(
                    candidates(&new.history, point, &old.history), Err(Refused::UnknownPoint { .. })
                );
                prop_assert!(refused);
                return Ok(());
            }
            let found = candidates(&new.history, point, &old.history).unwrap();
            let mut result = old.content;
            let looked_at = apply(&found, &content, &mut result);
            prop_assert_eq!(result, content);
            if gap.is_none() {
                // Nothing is looked at that was not written on the way.
                prop_assert!(matches!(&whole, Candidates::Tracked(_)));
                let written: BTreeSet<usize> =
                    before.iter().chain(&unsent_after).chain(&after).flatten().copied().collect();
                prop_assert!(looked_at.is_subset(&written));
            }
            // The other direction is refused while the term says otherwise.
            if old.history.now != new.history.now && new.history.parted_from(&old.history) != Some(new.history.now) {
                let back = candidates(&old.history, old.history.now, &new.history);
                let refused = matches!(back, Err(Refused::Backwards { .. } | Refused::Diverged { .. }));
                prop_assert!(refused);
            }
        }

        #[test]
        fn two_sides_of_one_term_are_refused(mine in cycles(4), theirs in cycles(4)) {
            let mut world = World { names: 0, writes: 0 };
            let (mut a, mut b) = (side(), side());
            mine.iter().for_each(|blocks| drop(world.go_on(&mut a, blocks)));
            theirs.iter().for_each(|blocks| drop(world.go_on(&mut b, blocks)));
            let told = candidates(&a.history, a.history.now, &b.history);
            match (mine.is_empty(), theirs.is_empty()) {
                (_, true) => prop_assert!(told.is_ok()),
                (true, false) => {
                    let refused = matches!(told, Err(Refused::Backwards { .. }));
                    prop_assert!(refused);
                }
                (false, false) => {
                    let Err(Refused::Diverged { source_history, target_history }) = told else {
                        return Err(TestCaseError::fail("a diverged pair"));
                    };
                    prop_assert_eq!(source_history, a.history.to_string());
                    prop_assert_eq!(target_history, b.history.to_string());
                }
            }
        }
    }

    #[test]
    fn a_history_shows_its_gaps() {
        let name = |n: u8| Generation([n; 16]);
        let step = |from, to, blocks| Step { from: name(from), to: name(to), term: 1, blocks };
        let steps = vec![
            step(1, 2, Some(Changes::default())),
            step(2, 3, None),
            step(4, 5, Some(Changes::default())),
        ];
        let history = History { now: name(6), term: 1, steps };
        assert_eq!(
            history.to_string(),
            "01010101 -> 02020202 (term 1) ?> 03030303 (term 1) ... 04040404 -> 05050505 (term 1) ... 06060606"
        );
    }
}
