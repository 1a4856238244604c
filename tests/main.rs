//! Whole-system tests: first the library, then the program, then the checkout itself.
//!
//! `HVRSIM_BLESS=1` records goldens instead of comparing them.

mod golden;
mod images;
mod library;
mod program;
mod scenarios;
mod standalone;

use std::path::Path;

/// The checkout.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands in the checkout")
}
