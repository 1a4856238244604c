//! Situations from which no operation leads back to protection in the real system either, each with its source.

/// A dead end: what copies show, why, and where that is known from.
struct DeadEnd {
    /// A part that a situation's words have.
    with: &'static str,
    /// A part that they have not.
    without: &'static str,
    why: &'static str,
}

/// The list. It only holds what the real system has, too.
const DEAD_ENDS: &[DeadEnd] = &[DeadEnd {
    with: "Replica WaitingForInitialReplication",
    without: "Primary",
    why: "no copy leads and one was made a replica: Remove-VMReplication on the copy to keep, start it, enable anew (rule G-17; Set-VMReplication, parameter AsReplica)",
}];

/// Why a situation, told in words, has no way out short of removing the relationship.
#[must_use]
pub fn dead_end(situation: &str) -> Option<&'static str> {
    let is = |end: &&DeadEnd| situation.contains(end.with) && !situation.contains(end.without);
    DEAD_ENDS.iter().find(is).map(|end| end.why)
}
