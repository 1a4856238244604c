//! Through the library.

mod determinism;
mod shipped;
