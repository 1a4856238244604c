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
    with: "WaitingForInitialReplication",
    without: "Primary",
    why: "no copy leads and one was made a replica: Remove-VMReplication on the copy to keep, start it, enable anew (rule G-17; Set-VMReplication, parameter AsReplica)",
}];

/// Why a situation, told in words, has no way out short of removing the relationship.
#[must_use]
pub fn dead_end(situation: &str) -> Option<&'static str> {
    let is = |end: &&DeadEnd| situation.contains(end.with) && !situation.contains(end.without);
    DEAD_ENDS.iter().find(is).map(|end| end.why)
}

/// Rules that exploration does not take, each with the reason.
///
/// Things break and operators call only while little is on its way, guests write little, and no space is as deep as a
/// day of work: scenarios, tests of single rules and random walks take these.
pub const NOT_TAKEN: &[(&str, &str)] = &[
    ("EN-8", "nobody exports an initial replica in a space: random walks do"),
    ("EN-10", "as EN-8: nothing is imported"),
    ("EN-125", "as EN-8: nothing is imported"),
    ("PF-108", "needs a second recovery point, an hour older, while the primary is prepared"),
    ("PF-115", "needs a link that is cut between a reverse and its answer"),
    ("RS-45", "needs disks of two sizes: no call changes one"),
    ("RS-51", "needs a call while the resynchronized disks are merged"),
    ("ST-19", "an hour without a log changes health alone, and health is a reading of the moment"),
    ("ST-33", "disks keep their sizes in a space"),
    ("ST-37", "the set of replicated disks stays as it is in a space"),
    ("ST-38", "as ST-37: no disk is added"),
    ("ST-39", "as ST-37: no disk is added"),
    ("ST-39A", "as ST-37: no disk is added"),
    ("ST-39B", "as ST-37: no disk is added"),
    ("TF-63", "the hosts of a space are in no cluster"),
    ("TF-119", "needs a test machine that is left over beside a failover that was completed"),
    ("UF-118", "needs a host that loses power while disks are merged"),
    ("W-8", "machines are not deleted: no way leads back from that"),
    ("W-9", "the machines of a space have no network adapters"),
    ("W-10", "as ST-33: no disk is resized"),
    ("W-11", "the hosts of a space are in no cluster"),
    ("XF-134", "needs a resynchronization from the first host through to the third"),
    ("XF-136", "needs the first host's copy as the seed of the third host"),
    ("XF-98W", "needs a failover of the middle copy to an older point, without a reverse to the first host"),
    ("XF-99", "needs a reverse of the middle copy to the first host, with the third still linked"),
    ("XF-D", "as XF-99: what becomes of the extended relationship then"),
    ("XF-I", "needs a failover of the middle copy in the middle of the third host's initial replication"),
    ("XF-N", "calls on an extended relationship are tried where there is one"),
    ("XF-R", "needs a failover of the middle copy while it resynchronizes the third host"),
];

/// Why exploration does not take a rule.
#[must_use]
pub fn not_taken(rule: &str) -> Option<&'static str> {
    NOT_TAKEN.iter().find(|(id, _)| *id == rule).map(|(_, why)| *why)
}
