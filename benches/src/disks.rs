//! Two images in memory, equal but for some of their blocks.

use std::path::Path;

use hvrsim_disk::file::MemFs;
use hvrsim_disk::{CreateOptions, Error, Image, Seed, create_in};
use hvrsim_resync::wire::{End, Error as WireError, SourceEnd, TargetEnd};
use hvrsim_types::size::BLOCK;

/// Every so many-th block differs.
pub const DIFFERS: u64 = 20;

/// Images of a source and a target.
pub type Two = (Box<dyn Image>, Box<dyn Image>);

/// Two images full of content of so many bytes: a VHDX, and a raw one in which every 20th block differs.
///
/// # Errors
/// An image cannot be made.
pub fn differing(size: u64) -> Result<Two, Error> {
    let fs = MemFs::new();
    let mut source =
        create_in(&fs, Path::new("source.vhdx"), &CreateOptions::vhdx(size, Seed::new([1; 32])))?;
    let mut target = create_in(&fs, Path::new("target.raw"), &CreateOptions::raw(size))?;
    for block in 0..size / BLOCK {
        source.write_at(block * BLOCK, &content(block))?;
        let there = if block.is_multiple_of(DIFFERS) { !block } else { block };
        target.write_at(block * BLOCK, &content(there))?;
    }
    Ok((source, target))
}

/// A block of content that no compression or zero detection shortens.
fn content(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(8192).flatten().collect()
}

/// Makes the target equal to the source with the two halves of `hvrsim resync`; gives back the bytes sent.
///
/// # Errors
/// An image failed, or the sizes differ.
pub fn resync((source, mut target): Two) -> Result<u64, WireError> {
    let key = [7; 32];
    let mut here = SourceEnd::new(&*source, None, key, [0; 32]);
    let mut there = TargetEnd::new(&mut *target, key, Box::new(|_, _| Ok(None)));
    loop {
        while let Some(frame) = here.next()? {
            there.handle(frame)?;
        }
        match there.next()? {
            Some(frame) => here.handle(frame)?,
            None => return Ok(here.sent_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_sent() {
        assert_eq!(resync(differing(40 * BLOCK).unwrap()).unwrap(), 2 * BLOCK);
    }
}
