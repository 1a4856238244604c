//! Reads one input and counts what that allocates.

use crate::input::Target;

#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// What opening and reading a file may hold at any moment, whatever the file says of itself: the files here have
/// at most 8 MiB, one of which is read at a time.
const BOUND: usize = 16 << 20;

/// Lays the input over the target's good file and reads it.
///
/// # Panics
/// When reading held more than the bound.
pub fn run(target: &Target, input: &[u8]) {
    let Some(fs) = (target.prepare)(input) else { return };
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    (target.read)(&fs);
    let held = MEMORY.peak_usage().saturating_sub(before);
    assert!(held <= BOUND, "reading held {held} bytes, more than {BOUND}");
}
