//! Tests of the simulated world, a module a theme.

mod failback;
mod failover;
mod general;
mod regressions;
mod steady;
mod walk;
mod watch;
mod world;
