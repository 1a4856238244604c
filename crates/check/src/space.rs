//! The spaces that are explored: which world one begins with, and what is tried in it. Some are small enough to
//! be visited to their end; the others have a bound on situations.

use hvrsim_replica::profile::{Generation, Profile};
use hvrsim_replica::rule::Call::{
    self, AsReplica, CancelJob, CommitFailover, Enable, Failover, InitiateFailback, Modify, Prepare,
    PromoteExtended, Remove, Resume, Resynchronize, Reverse, RevertFailover, StartInitialReplication,
    StartVm, StopInitialReplication, StopResynchronize, Suspend, TestFailover, TurnOffVm,
};
use hvrsim_sim::store::{Stamps, StoreResult};
use hvrsim_types::time::Span;

use crate::act::{Act, With};
use crate::explore::{World0, replay};
use crate::small::{Shape, copy};

/// What is tried.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bounds {
    /// Operators' calls.
    pub calls: Vec<Call>,
    /// Links are cut.
    pub cuts: bool,
    /// Hosts lose power.
    pub crashes: bool,
    /// Hosts shut down in order.
    pub shutdowns: bool,
    /// Hosts are not trusted for a while.
    pub distrust: bool,
    /// Worker processes crash.
    pub workers: bool,
    /// At most so many things are broken at once.
    pub broken_at_once: usize,
    /// Calls that can be scheduled are, too.
    pub later: bool,
    /// Guests write.
    pub writes: bool,
    /// Guests write more than half of the disk.
    pub floods: bool,
    /// Hours pass.
    pub hours: bool,
    /// Operators call, timers fire and things break only while at most so many messages, logs and disk operations are
    /// under way: otherwise they could pile up without end.
    pub under_way: usize,
    /// At most so many situations; 0: all.
    pub situations: usize,
    /// The first protected situation ends it.
    pub until_protected: bool,
}

impl Bounds {
    fn of(calls: &[Call]) -> Self {
        Self { calls: calls.to_vec(), ..Self::default() }
    }

    /// Planned and unplanned failover and the way back; nothing breaks.
    #[must_use]
    pub fn runbooks() -> Self {
        Self::of(&[
            Prepare,
            Failover,
            RevertFailover,
            CommitFailover,
            Reverse,
            StartVm,
            TurnOffVm,
            AsReplica,
            StartInitialReplication,
            Resume,
            Resynchronize,
        ])
    }

    /// Pauses and resynchronizations, with a failover in their middle.
    #[must_use]
    pub fn resync() -> Self {
        let calls = [Suspend, Resume, Resynchronize, StopResynchronize, Failover, RevertFailover, CancelJob];
        Self::of(&calls)
    }

    /// An unplanned failover and the failback of a recovery point to the former primary.
    #[must_use]
    pub fn failback() -> Self {
        Self::of(&[
            Failover,
            CommitFailover,
            AsReplica,
            InitiateFailback,
            Reverse,
            TurnOffVm,
            StartInitialReplication,
            Resynchronize,
            CancelJob,
        ])
    }

    /// What can be done after a failback.
    #[must_use]
    pub fn failed_back() -> Self {
        let calls = [
            InitiateFailback,
            Reverse,
            RevertFailover,
            CommitFailover,
            AsReplica,
            Resume,
            Resynchronize,
            StartInitialReplication,
            StartVm,
            TurnOffVm,
            CancelJob,
        ];
        Self { situations: 10_000, ..Self::of(&calls) }
    }

    /// What another generation does otherwise.
    #[must_use]
    pub fn r2012() -> Self {
        let calls = [Enable, StartInitialReplication, Resume, Resynchronize, StartVm, Remove, AsReplica];
        Self {
            shutdowns: true,
            floods: true,
            hours: true,
            broken_at_once: 1,
            situations: 10_000,
            ..Self::of(&calls)
        }
    }

    /// A failover, and another host to go on to.
    #[must_use]
    pub fn third() -> Self {
        let calls = [
            Failover,
            CommitFailover,
            Reverse,
            AsReplica,
            Enable,
            Remove,
            StartInitialReplication,
            Resynchronize,
        ];
        Self { situations: 10_000, ..Self::of(&calls) }
    }

    /// Failover and the way back while links are cut and hosts lose power, one thing at a time.
    #[must_use]
    pub fn faults() -> Self {
        let calls = [
            Failover,
            CommitFailover,
            AsReplica,
            Reverse,
            Resume,
            TurnOffVm,
            Resynchronize,
            StartInitialReplication,
        ];
        Self { cuts: true, crashes: true, broken_at_once: 1, ..Self::of(&calls) }
    }

    /// From an unprotected machine to a protected one, and away again.
    #[must_use]
    pub fn begin() -> Self {
        let calls = [
            Enable,
            AsReplica,
            StartInitialReplication,
            StopInitialReplication,
            Suspend,
            Resume,
            Remove,
            CancelJob,
        ];
        Self { later: true, cuts: true, crashes: true, broken_at_once: 1, ..Self::of(&calls) }
    }

    /// What a relationship goes through day by day: pauses, settings, writes, everything that breaks.
    #[must_use]
    pub fn days() -> Self {
        Self {
            cuts: true,
            crashes: true,
            shutdowns: true,
            distrust: true,
            workers: true,
            floods: true,
            broken_at_once: 1,
            ..Self::of(&[Suspend, Resume, Resynchronize, Modify, StartVm])
        }
    }

    /// Test failover beside everything that it is in the way of.
    #[must_use]
    pub fn test() -> Self {
        Self::of(&[
            TestFailover,
            RevertFailover,
            Suspend,
            Resume,
            Resynchronize,
            Failover,
            CommitFailover,
            AsReplica,
            Reverse,
            StartInitialReplication,
            TurnOffVm,
        ])
    }

    /// Every call and every fault, while something is under way, too: more than can be visited.
    #[must_use]
    pub fn all() -> Self {
        Self {
            calls: Call::ALL
                .iter()
                .copied()
                .filter(|call| {
                    !matches!(call, Call::DestroyVm | Call::ResizeDisk | Call::SetAdapters | Call::MoveVm)
                })
                .collect(),
            shutdowns: true,
            distrust: true,
            workers: true,
            broken_at_once: 2,
            later: true,
            writes: true,
            floods: true,
            hours: true,
            under_way: 1,
            situations: 12_000,
            ..Self::faults()
        }
    }

    /// Replication to a second host and on to a third.
    #[must_use]
    pub fn chain() -> Self {
        let calls =
            [Failover, RevertFailover, CommitFailover, PromoteExtended, Resume, Resynchronize, TurnOffVm];
        Self { situations: 60_000, ..Self::of(&calls) }
    }

    /// Two machines on one host: pauses and failures of what they share.
    #[must_use]
    pub fn two() -> Self {
        let calls = [Suspend, Resume, Resynchronize];
        Self { cuts: true, broken_at_once: 1, situations: 60_000, ..Self::of(&calls) }
    }
}

/// A space by its name.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// What it is asked for by.
    pub name: &'static str,
    /// What is tried.
    pub what: &'static str,
    /// The world that it begins with.
    pub start: fn() -> StoreResult<World0>,
    /// What is tried.
    pub bounds: fn() -> Bounds,
}

fn bare() -> StoreResult<World0> {
    Shape::default().bare(0, Stamps::default())
}

fn pair() -> StoreResult<World0> {
    Shape::default().protected(0, Stamps::default())
}

fn r2012() -> StoreResult<World0> {
    let profile = Profile { generation: Generation::Server2012R2, ..Profile::default() };
    Shape { profile, ..Shape::default() }.bare(0, Stamps::default())
}

fn third() -> StoreResult<World0> {
    Shape { hosts: 3, ..Shape::default() }.protected(0, Stamps::default())
}

/// Failed over to the second host, replicating from there, and failed back.
fn failed_back() -> StoreResult<World0> {
    let ask = |host, call| [Act::Ask(copy(host), call, With::Defaults), Act::Wait(Span::MINUTE)];
    let over = [
        ask(1, Failover),
        ask(1, CommitFailover),
        ask(0, TurnOffVm),
        ask(0, AsReplica),
        ask(1, StartVm),
        ask(1, Reverse),
        ask(0, InitiateFailback),
    ];
    replay(&pair()?, &over.concat())
}

fn chain() -> StoreResult<World0> {
    Shape { hosts: 3, ..Shape::default() }.chain(0, Stamps::default())
}

fn two() -> StoreResult<World0> {
    Shape { vms: 2, ..Shape::default() }.protected(0, Stamps::default())
}

/// All spaces.
pub const SPACES: &[Space] = &[
    Space {
        name: "runbooks",
        what: "planned and unplanned failover, and the way back by reversing",
        start: pair,
        bounds: Bounds::runbooks,
    },
    Space { name: "resync", what: "pauses and resynchronizations", start: pair, bounds: Bounds::resync },
    Space {
        name: "faults",
        what: "failover and the way back while the link is cut and hosts lose power",
        start: pair,
        bounds: Bounds::faults,
    },
    Space {
        name: "begin",
        what: "from an unprotected machine to a protected one while things break",
        start: bare,
        bounds: Bounds::begin,
    },
    Space {
        name: "days",
        what: "pauses, settings, floods of writes, and everything that breaks",
        start: pair,
        bounds: Bounds::days,
    },
    Space {
        name: "test",
        what: "test failover beside everything that it is in the way of",
        start: pair,
        bounds: Bounds::test,
    },
    Space {
        name: "chain",
        what: "a chain of three hosts: failovers, and whoever takes over",
        start: chain,
        bounds: Bounds::chain,
    },
    Space {
        name: "two",
        what: "two machines that share hosts and link, which break",
        start: two,
        bounds: Bounds::two,
    },
    Space {
        name: "failback",
        what: "unplanned failover, and the failback of a recovery point",
        start: pair,
        bounds: Bounds::failback,
    },
    Space {
        name: "failed-back",
        what: "what follows a failback that is complete",
        start: failed_back,
        bounds: Bounds::failed_back,
    },
    Space {
        name: "r2012",
        what: "Server 2012 R2: shutdowns, floods of writes, initial replication",
        start: r2012,
        bounds: Bounds::r2012,
    },
    Space {
        name: "third",
        what: "a failover, and a third host to go on to",
        start: third,
        bounds: Bounds::third,
    },
    Space {
        name: "all",
        what: "every call and every fault: more than can be visited, --situations says how many",
        start: pair,
        bounds: Bounds::all,
    },
    Space {
        name: "chain-all",
        what: "the same of a chain of three hosts",
        start: chain,
        bounds: Bounds::all,
    },
];

/// The space of this name.
#[must_use]
pub fn space(name: &str) -> Option<&'static Space> {
    SPACES.iter().find(|space| space.name == name)
}
