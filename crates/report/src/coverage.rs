//! Which rules runs took, of all that there are, and which ways copies went from state to state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use hvrsim_replica::exchange::Note;
use hvrsim_replica::table::{RULES, rules};
use hvrsim_sim::trace::{Record, What};
use hvrsim_types::state::{Mode, ReplicationState};

/// Mode and state of a copy.
pub type State = (Mode, ReplicationState);

/// A way from one state to another.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Way {
    /// The rules by which it was gone.
    pub rules: BTreeSet<String>,
    /// How often.
    pub times: u64,
    /// Which one it was, from 1, in the order in which ways were gone for the first time.
    pub order: usize,
}

/// What runs went through.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Coverage {
    /// Rules that were taken, or refused, and how often.
    rules: BTreeMap<String, u64>,
    ways: BTreeMap<(State, State), Way>,
}

impl Coverage {
    /// What these records went through.
    pub fn add(&mut self, records: &[Record]) {
        for record in records {
            match &record.what {
                What::Note(Note::Rule { rule, before, after }) => {
                    *self.rules.entry(rule.clone()).or_default() += 1;
                    if before != after {
                        self.way((*before, *after), rule);
                    }
                }
                What::Refused { rule, .. } => *self.rules.entry(rule.clone()).or_default() += 1,
                _ => {}
            }
        }
    }

    fn way(&mut self, way: (State, State), rule: &str) {
        let order = self.ways.len() + 1;
        let way = self.ways.entry(way).or_insert(Way { order, ..Way::default() });
        way.rules.insert(rule.to_owned());
        way.times += 1;
    }

    /// What other runs went through, too.
    pub fn join(&mut self, other: &Self) {
        for (rule, times) in &other.rules {
            *self.rules.entry(rule.clone()).or_default() += times;
        }
        let mut ways: Vec<_> = other.ways.iter().collect();
        ways.sort_by_key(|(_, way)| way.order);
        for (ends, way) in ways {
            let order = self.ways.len() + 1;
            let mine = self.ways.entry(*ends).or_insert(Way { order, ..Way::default() });
            mine.rules.extend(way.rules.iter().cloned());
            mine.times += way.times;
        }
    }

    /// Every way that was gone.
    #[must_use]
    pub const fn ways(&self) -> &BTreeMap<(State, State), Way> {
        &self.ways
    }

    /// How often a rule was taken, or refused.
    #[must_use]
    pub fn times(&self, rule: &str) -> u64 {
        self.rules.get(rule).copied().unwrap_or(0)
    }

    /// How many rules of the table were taken, and how many there are.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        (rules().filter(|rule| self.times(rule.id) > 0).count(), rules().count())
    }

    /// `31 of 155 rules`.
    #[must_use]
    pub fn summary(&self) -> String {
        let (taken, all) = self.count();
        format!("{taken} of {all} rules")
    }

    /// By subject: how many rules were taken, and which were not.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("coverage: {}\n", self.summary());
        for (subject, group) in SUBJECTS.iter().zip(RULES) {
            let missed: Vec<&str> =
                group.iter().map(|rule| rule.id).filter(|id| self.times(id) == 0).collect();
            let taken = group.len() - missed.len();
            let missed =
                if missed.is_empty() { String::new() } else { format!("  not: {}", missed.join(" ")) };
            let _ = writeln!(out, "  {subject:<32} {taken:>3} of {:>3}{missed}", group.len());
        }
        out
    }
}

/// What the groups of the table are about, in its order.
pub(crate) const SUBJECTS: &[&str] = &[
    "refusals of extended replication",
    "enabling, initial replication",
    "steady state",
    "resynchronization",
    "test failover",
    "planned failover",
    "failback",
    "unplanned failover and return",
    "power",
    "extended replication",
];

#[cfg(test)]
mod tests {
    use hvrsim_types::time::Instant;

    use super::*;

    fn taken(rule: &str, before: State, after: State) -> Record {
        let what = What::Note(Note::Rule { rule: rule.to_owned(), before, after });
        Record { seq: 0, at: Instant::START, host: None, vm: None, what }
    }

    #[test]
    fn every_group_of_the_table_has_a_subject() {
        assert_eq!(SUBJECTS.len(), RULES.len());
    }

    #[test]
    fn rules_are_counted_once_over_all_runs() {
        let off = (Mode::None, ReplicationState::Disabled);
        let on = (Mode::Primary, ReplicationState::ReadyForInitialReplication);
        let mut one = Coverage::default();
        one.add(&[taken("EN-1", off, on), taken("EN-1", off, on), taken("no rule", on, on)]);
        let mut two = Coverage::default();
        two.add(&[taken("EN-1", off, on), taken("EN-9", on, off)]);
        one.join(&two);
        let all = rules().count();
        assert_eq!(one.count(), (2, all));
        assert_eq!(one.summary(), format!("2 of {all} rules"));
        assert_eq!(
            (one.times("EN-1"), one.ways()[&(off, on)].times, one.ways()[&(on, off)].order),
            (3, 3, 2)
        );
        assert!(one.text().contains("not: ") && !one.text().contains(" EN-9 "));
    }
}
