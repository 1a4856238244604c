//! A hard limit on bytes per second, on a clock that the caller brings.
//!
//! A bucket fills at fifteen sixteenths of the limit and holds one sixteenth: whatever second one looks at, no more than
//! the limit went out in it. Inside the limit a [`Controller`] finds the rate that the way takes, and a [`Window`] says at
//! which hours work goes on at all.

mod controller;
mod window;

pub use controller::{Controller, Settings};
pub use window::Window;

/// The part of the limit that may go out at once.
const BURST_PART: u64 = 16;
const SECOND: u64 = 1_000_000_000;

/// The bucket. Times are nanoseconds from any start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Throttle {
    fill: u64,
    burst: u64,
    /// When the bucket would be full if nothing more were taken.
    full_at: u64,
}

impl Throttle {
    /// A limit in bytes per second; less than 16 counts as 16.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let limit = limit.max(BURST_PART);
        let burst = limit / BURST_PART;
        Self { fill: limit - burst, burst, full_at: 0 }
    }

    /// The most that can be taken at once.
    #[must_use]
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// From now on another limit; what was taken stays taken.
    pub fn retune(&mut self, limit: u64) {
        let Self { fill, burst, .. } = Self::new(limit);
        (self.fill, self.burst) = (fill, burst);
    }

    /// Takes bytes, at most [`Throttle::burst`] of them, and says when they may go out.
    pub fn take(&mut self, now: u64, bytes: u64) -> u64 {
        let bytes = bytes.min(self.burst);
        self.full_at = self.full_at.max(now) + self.nanos(bytes);
        // With so much taken the bucket is empty when it needs a whole burst's time to be full again.
        self.full_at.saturating_sub(self.burst_nanos()).max(now)
    }

    fn nanos(&self, bytes: u64) -> u64 {
        let exact = (u128::from(bytes) * u128::from(SECOND)).div_ceil(u128::from(self.fill));
        u64::try_from(exact).unwrap_or(u64::MAX / 4)
    }

    /// Rounded down, so that rounding is never to the good of the sender.
    fn burst_nanos(&self) -> u64 {
        let exact = u128::from(self.burst) * u128::from(SECOND) / u128::from(self.fill);
        u64::try_from(exact).unwrap_or(u64::MAX / 4)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_second_exceeds_the_limit(
            limit in 16u64..1 << 40, asks in proptest::collection::vec((0u64..400_000_000, 1u64..=1000), 1..200),
        ) {
            let mut throttle = Throttle::new(limit);
            let (mut now, mut out) = (0, Vec::new());
            for (pause, share) in asks {
                now += pause;
                let bytes = (throttle.burst() * share / 1000).max(1);
                // A sender waits until what it took may go.
                now = throttle.take(now, bytes);
                out.push((now, bytes));
            }
            for (first, (start, _)) in out.iter().enumerate() {
                let second: u64 =
                    out[first..].iter().take_while(|(at, _)| at - start < SECOND).map(|(_, bytes)| bytes).sum();
                prop_assert!(second <= limit, "{second} of {limit}");
            }
        }

        #[test]
        fn a_busy_sender_gets_most_of_the_limit(limit in 1600u64..1 << 40) {
            let mut throttle = Throttle::new(limit);
            let (mut now, mut sent) = (0, 0);
            while now < 10 * SECOND {
                now = throttle.take(now, throttle.burst());
                sent += throttle.burst();
            }
            prop_assert!(sent >= limit * 9, "{sent} of {limit} a second in ten");
        }
    }
}
