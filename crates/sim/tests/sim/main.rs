//! Tests of the simulated world, a module a theme.

mod chains;
mod cluster;
#[path = "../../../../tests/data/lines.rs"]
mod data;
mod disks;
mod extended;
mod failback;
mod failover;
mod findings;
mod general;
mod incidents;
mod media;
mod regressions;
mod seldom;
mod steady;
mod test_failover;
mod vss;
mod walk;
mod watch;
mod windows_log;
mod world;
