//! The rule table against the published transition table, and what it answers to every call.

mod codes;
mod conformance;
#[path = "../../../../tests/data/lines.rs"]
mod data;
mod matrix;
