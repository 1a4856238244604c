//! Images on the host's disk beside plain files with the same content: what an image format costs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use hvrsim_disk::{CreateOptions, Error, Image, OpenOptions, Seed, create, open};

/// One mebibyte.
pub const MIB: u64 = 1 << 20;
/// The seed of all images here: their GUIDs are of no interest.
pub const SEED: Seed = Seed::new([7; 32]);

/// Where accesses go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// One behind the other.
    Sequential,
    /// Each place once, in an order that looks random.
    Random,
}

/// `count` places for accesses, `step` bytes apart, from 0 on. `count` is a power of two.
pub fn places(order: Order, count: u64, step: u64) -> impl Iterator<Item = u64> + Clone {
    debug_assert!(count.is_power_of_two());
    let mut state = 0_u64;
    (0..count).map(move |number| match order {
        Order::Sequential => number * step,
        Order::Random => {
            // A linear congruential generator of full period visits every number below `count` once.
            let next = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state = next & (count - 1);
            state * step
        }
    })
}

/// Content that neither compression nor a search for zeros shortens.
#[must_use]
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(bytes / 8).flatten().collect()
}

/// An empty dynamic VHDX.
///
/// # Errors
/// Those of [`create`].
pub fn empty(path: &Path, size: u64, block_size: u64) -> Result<Box<dyn Image>, Error> {
    create(path, &CreateOptions::vhdx(size, SEED).block_size(block_size))
}

/// An image opened for writing.
///
/// # Errors
/// Those of [`open`].
pub fn writable(path: &Path) -> Result<Box<dyn Image>, Error> {
    open(path, &OpenOptions::read_write(SEED))
}

/// Fills every second part of `part` bytes of a disk, or all of it; what is filled is in the host's memory
/// then.
///
/// # Errors
/// Those of writing.
pub fn fill(image: &mut dyn Image, part: u64, all: bool) -> Result<(), Error> {
    let content = noise(1 << 20, 1);
    for number in (0..image.size() / part).filter(|number| all || number % 2 == 0) {
        for at in (0..part).step_by(1 << 20) {
            image.write_at(number * part + at, &content)?;
        }
    }
    image.flush()
}

/// What accesses go to: an image, or a plain file.
pub enum Medium {
    /// An image, by this project's library.
    Image(Box<dyn Image>),
    /// A plain file, by the host's calls and nothing else.
    Plain(File),
}

impl Medium {
    /// Reads so many bytes at each place.
    ///
    /// # Errors
    /// Those of the image or the file.
    pub fn read(&self, places: impl Iterator<Item = u64>, buf: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Image(image) => places.into_iter().try_for_each(|at| image.read_at(at, buf)).map_err(other),
            Self::Plain(file) => places.into_iter().try_for_each(|at| file.read_exact_at(buf, at)),
        }
    }

    /// Writes the same bytes at each place.
    ///
    /// # Errors
    /// Those of the image or the file.
    pub fn write(&mut self, places: impl Iterator<Item = u64>, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Image(image) => {
                places.into_iter().try_for_each(|at| image.write_at(at, data)).map_err(other)
            }
            Self::Plain(file) => places.into_iter().try_for_each(|at| file.write_all_at(data, at)),
        }
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// Those of the image or the file.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Image(image) => image.flush().map_err(other),
            Self::Plain(file) => file.sync_data(),
        }
    }
}

fn other(error: Error) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_place_is_visited_once() {
        for order in [Order::Sequential, Order::Random] {
            for count in [1, 2, 1024] {
                let seen: BTreeSet<u64> = places(order, count, 4096).collect();
                assert_eq!(seen.len(), usize::try_from(count).unwrap());
                assert_eq!(seen.last(), Some(&((count - 1) * 4096)));
            }
        }
        let far = |(a, b): (u64, u64)| a.abs_diff(b) > 4096;
        let random: Vec<u64> = places(Order::Random, 1024, 4096).collect();
        assert!(
            random.iter().copied().zip(random[1..].iter().copied()).filter(|pair| far(*pair)).count() > 900
        );
    }
}
