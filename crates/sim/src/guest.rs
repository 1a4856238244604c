//! Guests that write by profile: so much a second, into a hot spot, at places drawn from a named stream.

use hvrsim_types::id::HostId;
use hvrsim_types::size::{Bytes, CELL, Rate};
use hvrsim_types::time::{Instant, Span};
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::store::{Write, WriteNo};

/// What a guest writes by itself while it runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct GuestProfile {
    /// Bytes a second.
    pub churn: Rate,
    /// Bytes a write; a multiple of 4 KiB.
    pub write_size: Bytes,
    /// The part of the disk, from its start, that is written.
    pub hot_spot: Bytes,
    /// Which disk.
    pub disk: u8,
}

/// A run of a guest's writes that always stay together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Burst {
    /// Number of its first write; the others follow.
    pub first: WriteNo,
    /// How many.
    pub writes: u64,
    /// Position in the guest's stream of places before it.
    pub drawn: u64,
}

/// A guest's own clock and purse.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct GuestState {
    /// Up to when it has written.
    pub until: Instant,
    /// What it may write before the next whole write is due, in byte-nanoseconds per second.
    carry: u64,
    /// Places drawn so far.
    pub drawn: u64,
}

impl GuestState {
    /// How many writes fall due up to `now`.
    pub fn due(&mut self, profile: &GuestProfile, now: Instant) -> u64 {
        let nanos = now - self.until;
        self.until = now;
        let per_write = u128::from(profile.write_size.0) * u128::from(Span::seconds(1).0);
        let purse = u128::from(nanos.0) * u128::from(profile.churn.0) + u128::from(self.carry);
        self.carry = u64::try_from(purse % per_write).unwrap_or(0);
        u64::try_from(purse / per_write).unwrap_or(u64::MAX)
    }
}

/// The stream of places of one guest on one host.
#[must_use]
pub fn places(seed: u64, host: HostId, vm: &str, from: u64) -> ChaCha8Rng {
    let name = format!("hvrsim/guest/{seed}/{}/{vm}", host.0);
    let mut rng = ChaCha8Rng::from_seed(*blake3::hash(name.as_bytes()).as_bytes());
    rng.set_word_pos(u128::from(from) * 2);
    rng
}

/// The writes of a burst, in order.
pub fn writes<'a>(
    profile: &'a GuestProfile,
    disk_size: Bytes,
    burst: Burst,
    mut rng: ChaCha8Rng,
) -> impl Iterator<Item = Write> + 'a {
    let area = profile.hot_spot.0.min(disk_size.0);
    let slots = (area / profile.write_size.0).max(1);
    (0..burst.writes).map(move |n| Write {
        no: WriteNo(burst.first.0 + n),
        disk: profile.disk,
        offset: rng.next_u64() % slots * profile.write_size.0,
        len: profile.write_size.0.min(disk_size.0),
    })
}

impl GuestProfile {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// A write size that is no multiple of 4 KiB, or larger than the hot spot.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.write_size.0 == 0 || !self.write_size.0.is_multiple_of(CELL) {
            return Err("write-size must be a multiple of 4KiB");
        }
        if self.hot_spot < self.write_size {
            return Err("hot-spot must hold at least one write");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: GuestProfile =
        GuestProfile { churn: Rate(100_000), write_size: Bytes(65536), hot_spot: Bytes(1 << 20), disk: 0 };

    #[test]
    fn looking_often_or_seldom_gives_the_same_number_of_writes() {
        let mut often = GuestState::default();
        let mut seldom = GuestState::default();
        let many: u64 = (1..=3600).map(|s| often.due(&PROFILE, Instant::START + Span::seconds(s))).sum();
        assert_eq!(many, seldom.due(&PROFILE, Instant::START + Span::HOUR));
        assert_eq!(many, 100_000 * 3600 / 65536);
    }

    #[test]
    fn places_do_not_depend_on_how_a_burst_is_cut() {
        let burst = |first, writes, drawn| Burst { first: WriteNo(first), writes, drawn };
        let draw = |b: Burst| -> Vec<u64> {
            writes(&PROFILE, Bytes(1 << 30), b, places(7, HostId(0), "web01", b.drawn))
                .map(|w| w.offset)
                .collect()
        };
        let whole = draw(burst(2, 10, 0));
        let parts = [draw(burst(2, 4, 0)), draw(burst(6, 6, 4))].concat();
        assert_eq!(whole, parts);
    }
}
