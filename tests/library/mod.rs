//! Through the library.

mod determinism;
mod schema;
mod shipped;
