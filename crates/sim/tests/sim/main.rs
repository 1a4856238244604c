//! Tests of the simulated world, a module a theme.

mod failback;
mod failover;
mod steady;
mod world;
