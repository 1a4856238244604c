//! What holds the simulator to its word: every situation of a small world visited, larger ones sampled, every claim
//! checked by something that does not share the code, every failure handed over as a short scenario.
//!
//! * [`act`]: one thing that an operator does or that happens, in words that mean the same in every world
//! * [`small`]: small worlds to begin from; [`space`]: what is tried in them
//! * [`situation`]: what is the same about two worlds that differ in clock, counters and ids
//! * [`property`]: what must hold at every moment
//! * [`oracle`]: what every disk must hold; [`watch`]: an onlooker who asks it
//! * [`walk`]: random walks of any length; [`recover`]: an operator who knows the way out
//! * [`shrink`]: a failing trace made short
//! * [`trace`]: a trace as a scenario file; [`sweep`]: many seeds in shards
//! * [`known`]: dead ends that the real system has
//! * [`explore`]: every reachable situation, breadth-first; the shortest way from one to another

pub mod act;
pub mod explore;
pub mod known;
pub mod oracle;
pub mod property;
pub mod recover;
pub mod shrink;
pub mod situation;
pub mod small;
pub mod space;
pub mod sweep;
pub mod trace;
pub mod walk;
pub mod watch;
