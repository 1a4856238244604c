//! Which cells of a disk hold anything: the content of an image as a set, independent of its format and
//! history.

use std::ops::Range;

use crate::bytes::{MIB, is_zero, to_u64, to_usize};
use crate::error::{Error, ErrorKind};
use crate::image::Image;

/// What a disk consists of is asked for by so many bytes of it, to bound the list.
const WINDOW: u64 = 1 << 40;

/// The cells of `cell` bytes with at least one non-zero byte, as byte ranges: sorted, neighbours joined,
/// every bound a multiple of `cell` (or the end of the disk). Ranges that the format or the host's file
/// system knows to be zero are not read.
///
/// # Errors
/// `InvalidOption` unless `cell` is a power of two from 512 bytes to 1 MiB; else those of reading the image.
pub fn present_cells(image: &dyn Image, cell: u32) -> Result<Vec<Range<u64>>, Error> {
    let cell = u64::from(cell);
    if !cell.is_power_of_two() || !(512..=MIB).contains(&cell) {
        return Err(Error::new(ErrorKind::InvalidOption, "cell size")
            .found(format!("{cell} bytes"))
            .requires("a power of two from 512 to 1048576"));
    }
    let mut present: Vec<Range<u64>> = Vec::new();
    for_each_filled(image, cell, |range, _| {
        match present.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => present.push(range),
        }
        Ok(())
    })?;
    Ok(present)
}

/// Calls `visit` with the runs of cells that hold a non-zero byte, and their content, in order. A run is at
/// most 1 MiB long; the next may follow at once.
pub(crate) fn for_each_filled(
    image: &dyn Image,
    cell: u64,
    mut visit: impl FnMut(Range<u64>, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let size = image.size();
    let mut buf = vec![0; to_usize(MIB)];
    let mut next = 0;
    for window in (0..size).step_by(to_usize(WINDOW)) {
        for extent in image.extents(window..(window + WINDOW).min(size))? {
            if !extent.may_hold_data() {
                continue;
            }
            // Cells are looked at whole; one that two extents share is looked at once.
            let end = extent.end().next_multiple_of(cell).min(size);
            let mut at = (extent.start / cell * cell).max(next);
            while at < end {
                let part = &mut buf[..to_usize((end - at).min(MIB))];
                image.read_at(at, part)?;
                for run in filled_runs(part, to_usize(cell)) {
                    visit(at + to_u64(run.start)..at + to_u64(run.end), &part[run])?;
                }
                at += to_u64(part.len());
            }
            next = next.max(end);
        }
    }
    Ok(())
}

/// The runs of cells of a buffer that are not all zero.
fn filled_runs(buf: &[u8], cell: usize) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (index, content) in buf.chunks(cell).enumerate().filter(|(_, content)| !is_zero(content)) {
        let (start, end) = (index * cell, index * cell + content.len());
        match runs.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}
