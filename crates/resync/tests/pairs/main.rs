//! Pairs of images, in one place and over a wire.

#![expect(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test fails by panicking, its numbers are small, and threads are what is tested"
)]

mod changes;
mod corpus;
mod direct;
mod power;
mod support;
mod wire;
