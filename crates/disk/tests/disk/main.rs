//! Tests of the disk crate over its public interface, one module a theme.
#![allow(clippy::unwrap_used, reason = "tests")]

mod hrl;
mod model;
mod support;
mod tools;
