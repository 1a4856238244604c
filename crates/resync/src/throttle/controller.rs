//! The rate that a way takes, found from what the other side acknowledges.
//!
//! The controller keeps a wanted number of bytes on the way (the *fill target*): enough that the way never runs dry, not
//! so many that they queue up in front of other traffic. In each step of 100 ms it compares what is on the way with the
//! target and spreads the correction over the steps that it *plans ahead*, so that a change that shows only after a round
//! trip is not made twice. Plan ahead for at least five round trips.

use std::collections::VecDeque;

/// A step in nanoseconds.
const STEP: u64 = 100_000_000;
const STEPS_PER_SECOND: u64 = 10;
/// More steps of silence than this count as this many: the plan is empty by then.
const LONGEST_PLAN: u64 = 600;

/// What a controller is to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Bytes on the way: sent and not acknowledged.
    pub fill_target_bytes: u64,
    /// How long a correction is spread, in tenths of a second; 1 to 600.
    pub plan_ahead_tenths: u32,
    /// Never slower than this.
    pub min_bytes_per_s: u64,
    /// Never faster than this.
    pub max_bytes_per_s: u64,
}

/// The controller, on a clock that the caller brings: nanoseconds from any start, never going back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Controller {
    settings: Settings,
    /// Corrections of the next steps, in bytes; the front is the present step.
    plan: VecDeque<i64>,
    on_the_way: u64,
    /// Bytes acknowledged since the step began.
    acknowledged: u64,
    step_ends: u64,
    rate: u64,
}

impl Controller {
    /// A controller at its minimum.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let steps = u64::from(settings.plan_ahead_tenths).clamp(1, LONGEST_PLAN);
        let max = settings.max_bytes_per_s.max(1);
        let min = settings.min_bytes_per_s.clamp(1, max);
        Self {
            settings: Settings { min_bytes_per_s: min, max_bytes_per_s: max, ..settings },
            plan: (0..steps).map(|_| 0).collect(),
            on_the_way: 0,
            acknowledged: 0,
            step_ends: STEP,
            rate: min,
        }
    }

    /// So many bytes went out.
    pub fn sent(&mut self, bytes: u64) {
        self.on_the_way = self.on_the_way.saturating_add(bytes);
    }

    /// So many bytes arrived at the other side, which said so.
    pub fn acknowledged(&mut self, bytes: u64) {
        let bytes = bytes.min(self.on_the_way);
        self.on_the_way -= bytes;
        self.acknowledged = self.acknowledged.saturating_add(bytes);
    }

    /// Bytes sent and not acknowledged.
    #[must_use]
    pub const fn on_the_way(&self) -> u64 {
        self.on_the_way
    }

    /// The rate now, in bytes per second.
    pub fn rate(&mut self, now: u64) -> u64 {
        let passed =
            (now.saturating_sub(self.step_ends) / STEP).saturating_add(u64::from(now >= self.step_ends));
        for _ in 0..passed.min(LONGEST_PLAN) {
            self.step();
        }
        self.step_ends = self.step_ends.saturating_add(passed.saturating_mul(STEP));
        self.rate
    }

    fn step(&mut self) {
        let steps = signed(self.plan.len() as u64);
        let planned: i64 = self.plan.iter().sum();
        let correction = signed(self.settings.fill_target_bytes) - signed(self.on_the_way) - planned;
        let each = correction / steps;
        self.plan.iter_mut().for_each(|later| *later += each);
        let now = self.plan.pop_front().unwrap_or(0);
        self.plan.push_back(0);
        // What left the way may be replaced; the correction comes on top.
        let wanted =
            u64::try_from(signed(self.acknowledged) + now).unwrap_or(0).saturating_mul(STEPS_PER_SECOND);
        self.acknowledged = 0;
        self.rate = wanted.clamp(self.settings.min_bytes_per_s, self.settings.max_bytes_per_s);
    }
}

/// Far below the end of the numbers, so that sums of a plan stay inside.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes.min(1 << 50)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::throttle::Throttle;

    const SECOND: u64 = 1_000_000_000;
    /// The way is looked at this often.
    const TICK: u64 = 10_000_000;

    /// A way of a capacity and a round trip, with the queue in front of it; gives what went out, by tick, and the most
    /// and the least that was on the way in the last quarter.
    fn way(settings: Settings, capacity: u64, round_trip: u64, seconds: u64) -> (Vec<u64>, u64, u64) {
        let mut controller = Controller::new(settings);
        let (mut hard, mut soft) =
            (Throttle::new(settings.max_bytes_per_s), Throttle::new(settings.min_bytes_per_s));
        let (mut now, mut free_at) = (0, 0);
        let ticks = seconds * SECOND / TICK;
        let (mut out, mut due) = (vec![0; usize::try_from(ticks).unwrap()], VecDeque::new());
        let (mut most, mut least) = (0, u64::MAX);
        let ends = seconds * SECOND;
        let mut next = 0;
        while now < ends {
            while due.front().is_some_and(|(at, _)| *at <= now) {
                let (_, bytes) = due.pop_front().unwrap_or((0, 0));
                controller.acknowledged(bytes);
            }
            soft.retune(controller.rate(now));
            while next <= now {
                let bytes = hard.burst().min(soft.burst()).clamp(1, 16 << 10);
                next = hard.take(now, bytes).max(soft.take(now, bytes));
                controller.sent(bytes);
                if let Some(gone) = out.get_mut(usize::try_from(next / TICK).unwrap()) {
                    *gone += bytes;
                }
                free_at = u64::max(free_at, next) + bytes * SECOND / capacity;
                due.push_back((free_at + round_trip, bytes));
            }
            if now > ends / 4 * 3 {
                (most, least) = (most.max(controller.on_the_way()), least.min(controller.on_the_way()));
            }
            now += TICK;
        }
        (out, most, least)
    }

    #[test]
    fn the_target_stays_on_the_way_and_the_capacity_is_used() {
        let (capacity, round_trip) = (10 << 20, 50_000_000);
        let settings = Settings {
            fill_target_bytes: 2 << 20,
            plan_ahead_tenths: 20,
            min_bytes_per_s: 256 << 10,
            max_bytes_per_s: 1 << 30,
        };
        let (out, most, least) = way(settings, capacity, round_trip, 60);
        assert!(most < 4 << 20, "{most} on the way");
        assert!(least > 1 << 20, "{least} on the way");
        let last: u64 = out[out.len() / 4 * 3..].iter().sum();
        assert!(last > capacity * 15 * 9 / 10, "{last} in 15 s of {capacity} a second");
    }

    #[test]
    fn a_way_that_is_cut_gets_the_minimum() {
        let settings = Settings {
            fill_target_bytes: 1 << 20,
            plan_ahead_tenths: 10,
            min_bytes_per_s: 100_000,
            max_bytes_per_s: 10_000_000,
        };
        let mut controller = Controller::new(settings);
        controller.sent(8 << 20);
        assert_eq!(controller.rate(30 * SECOND), 100_000);
        controller.acknowledged(u64::MAX);
        assert_eq!(controller.on_the_way(), 0);
        assert!(controller.rate(31 * SECOND) > 100_000);
    }

    proptest! {
        #[test]
        fn no_second_exceeds_the_maximum_whatever_the_way_does(
            fill_target_bytes in 0u64..64 << 20, plan_ahead_tenths in 0u32..100, min in 0u64..4 << 20,
            max in 65_536u64..64 << 20, capacity in 10_000u64..128 << 20, round_trip in 0u64..500_000_000,
        ) {
            let settings = Settings { fill_target_bytes, plan_ahead_tenths, min_bytes_per_s: min, max_bytes_per_s: max };
            let (out, ..) = way(settings, capacity, round_trip, 6);
            for second in out.windows(100) {
                let sum: u64 = second.iter().sum();
                prop_assert!(sum <= max, "{sum} of {max}");
            }
        }

        #[test]
        fn the_rate_is_inside_its_bounds(
            fill_target_bytes in any::<u64>(), plan_ahead_tenths in any::<u32>(), min in any::<u64>(), max in any::<u64>(),
            steps in proptest::collection::vec((0u64..10 * SECOND, any::<u64>(), any::<u64>()), 1..40),
        ) {
            let settings = Settings { fill_target_bytes, plan_ahead_tenths, min_bytes_per_s: min, max_bytes_per_s: max };
            let mut controller = Controller::new(settings);
            let (max, mut now) = (max.max(1), 0);
            for (pause, sent, acknowledged) in steps {
                now += pause;
                controller.sent(sent);
                controller.acknowledged(acknowledged);
                let rate = controller.rate(now);
                prop_assert!(rate >= min.clamp(1, max) && rate <= max);
            }
        }
    }
}
