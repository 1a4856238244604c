//! Scenarios: a YAML file that says which hosts and virtual machines there are, what is done to them, and
//! what must come out of it.
//!
//! * [`source`]: the text and places in it
//! * [`model`]: a scenario with every word resolved to its typed value, each with its place
//! * [`mod@check`]: from a text to its scenarios, or to all that is wrong with it
//! * [`mod@run`]: carries a scenario out
//! * [`batch`]: many runs at once, a thread each, results in order
//! * [`schema`]: what editors complete by
//! * [`diagnostic`]: one thing that is wrong, with the line shown and the nearest right name

pub mod batch;
pub mod check;
pub mod diagnostic;
mod expand;
pub mod model;
mod parse;
pub mod run;
pub mod schema;
pub mod source;
mod yaml;

pub use check::{Checked, check, load};
pub use diagnostic::{Diagnostic, Severity};
pub use expand::Choices;
pub use model::Scenario;
pub use source::{At, Place, Source};
