//! Tests of the disk crate over its public interface, one module a theme.
#![allow(clippy::unwrap_used, reason = "tests")]

mod calls;
mod chain;
mod change;
mod corpus;
mod crash;
mod damage;
mod faults;
mod history;
mod hrl;
mod hrl_chain;
mod links;
mod log;
mod maps;
mod model;
mod slow;
mod support;
mod tools;
mod vhd;
