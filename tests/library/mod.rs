//! Through the library.

mod determinism;
mod incidents;
mod schema;
mod shipped;
