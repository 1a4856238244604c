//! The life cycle of Hyper-V Replica, pure: relationships, cycles, recovery points, jobs, health,
//! failover, reverse, failback.
//!
//! A [`Service`] is the replication service of one host. It gets one [`Input`] at a time and answers
//! with [`Output`]s: messages for other hosts, effects for the world to carry out, timers, and notes of
//! what happened. It never fails half-way: what is not allowed is an ordinary [`Outcome`] that changes
//! nothing. It knows nothing of images, files, hosts' power or links.
//!
//! * [`operation`]: what an operator can ask
//! * [`table`]: the rules, as data; [`rule`]: what a rule is
//! * [`copy`]: the state of one copy
//! * [`exchange`]: inputs, outputs and messages
//! * [`service`]: the service and its jobs

mod actions;
pub mod copy;
pub mod exchange;
pub mod job;
pub mod operation;
pub mod profile;
pub mod rule;
pub mod service;
pub mod table;

pub use exchange::{Effect, Input, Outcome, Output};
pub use service::Service;
