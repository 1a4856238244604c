//! Through the library.

mod determinism;
mod gallery;
mod incidents;
mod schema;
mod shipped;
