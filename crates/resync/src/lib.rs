//! Comparing two disks and making one equal to the other: a sans-IO engine of two halves.
//!
//! [`Source`] and [`Target`] are state machines without clock, threads or input and output. They exchange [`Frame`]s,
//! many pieces on their way at once, and a disk is handed into each call as [`Blocks`] or [`BlocksMut`]. So one engine
//! serves a simulation, where a disk is numbers of writes, and two machines with an image each ([`wire`]). Where both
//! images are in one place nothing has to be said: [`direct`] compares memory, by the same maps, candidates and counts.
//!
//! The target speaks first, so that the direction that is usually the narrow one carries digests only where both sides
//! hold something:
//!
//! | from | frame | says |
//! |---|---|---|
//! | source | `Open` | the disk's size, the generation of its content |
//! | target | `Begin` | where it goes on |
//! | target | `WantMap` | asks for the map from here on |
//! | source | `Map` | where to look, and what may hold something there |
//! | target | `Ask` | a piece: digests of the blocks that hold something here |
//! | source | `Refine` | digests of the cells of these blocks are wanted |
//! | target | `Cells` | they are these |
//! | source | `Answer` | what differs in the piece: nothing, zeros, content |
//! | target | `Finished` | everything is equal and durable |
//!
//! What happens in a block follows from what is there:
//!
//! | source | target | what happens |
//! |---|---|---|
//! | absent | absent | nothing is read |
//! | absent | present | the target makes it zero, unless it holds zeros, without asking |
//! | present | absent | the cells that are not zero are sent without a digest |
//! | present | present | digests of the 64 KiB blocks, where these differ of the 4 KiB cells; the cells that differ are sent |
//!
//! Everything in front of [`Target::done_to`] is done; what was kept of it is where an interrupted run goes on.

mod blocks;
mod buffer;
mod candidates;
mod changes;
pub mod checkpoint;
pub mod direct;
mod error;
mod frame;
pub mod heat;
pub mod history;
pub mod runs;
mod source;
mod target;
pub mod throttle;
mod tracker;
pub mod wire;

pub use blocks::{BLOCK_CELLS, Blocks, BlocksMut, Digest};
pub use candidates::Candidates;
pub use changes::Changes;
pub use error::Error;
pub use frame::{Answer, Cells, Frame, Span, VERSION};
pub use source::{Route, Source};
pub use target::{PIECE, Target, WINDOW};
pub use tracker::{Generation, Tracker};
