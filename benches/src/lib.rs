//! What the benches measure, in one place, so that criterion and the plain programs run the same work.
//!
//! * [`process`]: what the running process has used
//! * [`pairs`]: replicated machines between two hosts, as many as wanted
//! * [`anchor`]: a plain loop of events
//! * [`disks`]: two images in memory that differ
//! * [`images`]: one image on the host's disk, read and written piece by piece

pub mod anchor;
pub mod disks;
pub mod images;
pub mod pairs;
pub mod process;

/// Whether the benches are only tried (`cargo bench -- --test`): then everything is small.
#[must_use]
pub fn is_trial() -> bool {
    std::env::args().any(|argument| argument == "--test")
}
