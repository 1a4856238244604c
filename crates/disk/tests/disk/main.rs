//! Tests of the disk crate over its public interface, one module a theme.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; the long ones tell how far they are")]

mod calls;
mod chain;
mod change;
mod corpus;
mod crash;
mod damage;
mod faults;
mod grid;
mod history;
mod hrl;
mod hrl_chain;
mod large;
mod links;
mod log;
mod maps;
mod model;
mod oracle;
mod outside;
mod slow;
mod support;
mod tools;
mod vhd;
