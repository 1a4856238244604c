//! Tests of the disk crate over its public interface, one module a theme.
#![allow(clippy::unwrap_used, reason = "tests")]

mod chain;
mod change;
mod corpus;
mod crash;
mod damage;
mod faults;
mod history;
mod hrl;
mod links;
mod log;
mod model;
mod support;
mod tools;
mod vhd;
