//! The rules of the life cycle, as data: one row a rule, by subject.
//!
//! Ids are those of the published transition table of this project (`docs/`), grouped by subject:
//! EN enabling and initial replication, ST steady state, RS resynchronization, PF planned failover,
//! TF test failover, UF unplanned failover and return, FB failback, XF extended replication and removal, W power and rules that only the WMI
//! text has. They are never renumbered.

mod enable;
mod extended;
mod failback;
mod planned;
mod power;
mod prelude;
mod resync;
mod steady;
mod test;
mod unplanned;

use crate::rule::Rule;

/// Every rule, in order of precedence: of the rules that concern a call, the first whose guards hold is taken.
pub static RULES: &[&[Rule]] = &[
    extended::REFUSALS,
    enable::RULES,
    steady::RULES,
    resync::RULES,
    test::RULES,
    planned::RULES,
    failback::RULES,
    unplanned::RULES,
    power::RULES,
    extended::RULES,
];

/// Every rule.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().flat_map(|group| group.iter())
}

/// The rule with this id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().find(|r| r.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rule::To;

    #[test]
    fn ids_are_unique() {
        let mut seen = BTreeSet::new();
        for rule in rules() {
            assert!(seen.insert(rule.id), "{} stands twice", rule.id);
        }
    }

    #[test]
    fn a_refusal_never_moves_the_other_side() {
        for rule in rules() {
            if matches!(rule.to, To::Refused(_)) {
                assert!(rule.other.is_none(), "{}", rule.id);
            }
        }
    }
}
