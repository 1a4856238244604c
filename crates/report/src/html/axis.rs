//! Two scales for one run: true to time, and by step, where every step has room and long waits are squeezed.
//!
//! Places are thousandths of a per cent of the width, in whole numbers, so that a page is the same on every machine.

use hvrsim_sim::trace::{Record, What};
use hvrsim_types::time::{Instant, Span};

/// The whole width.
pub(super) const FULL: u64 = 100_000;

/// A place on both scales.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Place {
    /// True to time.
    pub(super) time: u64,
    /// By step.
    pub(super) step: u64,
}

impl Place {
    /// The end of the width.
    pub(super) const END: Self = Self { time: FULL, step: FULL };

    /// As custom properties of an element that begins here and ends at `to`.
    pub(super) fn style(self, to: Self) -> String {
        format!("--a:{};--b:{};--c:{};--d:{}", self.time, to.time, self.step, to.step)
    }

    /// As custom properties of a mark.
    pub(super) fn mark(self) -> String {
        self.style(self)
    }
}

/// A step's part of the width.
struct Part {
    from: Instant,
    to: Instant,
    records: u64,
    start: u64,
    width: u64,
}

/// Both scales of a run.
pub(super) struct Axis {
    end: Instant,
    /// One for what is before the first step, and one for each step.
    parts: Vec<Part>,
}

impl Axis {
    pub(super) fn new(records: &[Record], end: Instant) -> Self {
        let mut starts = vec![(Instant::START, 0)];
        for record in records {
            match record.what {
                What::Step { .. } => starts.push((record.at, 1)),
                _ => starts.last_mut().into_iter().for_each(|(_, count)| *count += 1),
            }
        }
        let mut parts: Vec<Part> = Vec::new();
        for (index, (from, records)) in starts.iter().enumerate() {
            let to = starts.get(index + 1).map_or(end, |(next, _)| *next);
            parts.push(Part { from: *from, to, records: *records, start: 0, width: weight(to - *from) });
        }
        // Nothing before the first step needs no room.
        if let Some(first) = parts.first_mut().filter(|first| first.from == first.to && first.records == 0) {
            first.width = 0;
        }
        let total: u64 = parts.iter().map(|part| part.width).sum::<u64>().max(1);
        let mut before = 0;
        for part in &mut parts {
            let start = before * FULL / total;
            before += part.width;
            part.start = start;
            part.width = before * FULL / total - start;
        }
        Self { end, parts }
    }

    fn time(&self, at: Instant) -> u64 {
        share(at.0.min(self.end.0), self.end.0)
    }

    /// Where a record is: the `nth` of its step, counted from 0; step 0 is what is before the first.
    pub(super) fn place(&self, step: usize, nth: u64, at: Instant) -> Place {
        let Some(part) = self.parts.get(step) else { return Place::END };
        let within = if part.to > part.from {
            share(at.since(part.from).0.min((part.to - part.from).0), (part.to - part.from).0)
        } else {
            share(nth + 1, part.records + 1)
        };
        Place { time: self.time(at), step: part.start + within * part.width / FULL }
    }

    /// Where a moment is that is no record's: in the last step that has begun by then.
    pub(super) fn moment(&self, at: Instant) -> Place {
        let next = self.parts.partition_point(|part| part.from <= at);
        self.place(next.saturating_sub(1), 0, at)
    }

    /// The part of a step.
    pub(super) fn part(&self, step: usize) -> (Place, Place) {
        let Some(part) = self.parts.get(step) else { return (Place::END, Place::END) };
        (
            Place { time: self.time(part.from), step: part.start },
            Place { time: self.time(part.to), step: part.start + part.width },
        )
    }

    /// At most `most` round moments.
    pub(super) fn ticks(&self, most: u64) -> Vec<Instant> {
        const ROUND: &[u64] =
            &[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
        let seconds = Span(self.end.0).as_seconds();
        let grain = ROUND.iter().copied().find(|grain| seconds / grain <= most).unwrap_or_else(|| {
            let days = (seconds / 86_400).div_ceil(most);
            days.max(1) * 86_400
        });
        (0..=seconds / grain).map(|n| Instant::START + Span::seconds(n * grain)).collect()
    }
}

/// How much room a stretch of time gets: ten times as long is a little wider.
fn weight(span: Span) -> u64 {
    2 + u64::from((span.as_seconds() + 1).ilog2())
}

fn share(part: u64, whole: u64) -> u64 {
    let share = u128::from(part) * u128::from(FULL) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(FULL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(seq: u64, at: u64) -> Record {
        let what = What::Step { number: 1, line: 1, text: String::new() };
        Record { seq, at: Instant::START + Span::seconds(at), host: None, vm: None, what }
    }

    #[test]
    fn every_step_has_room_and_no_place_goes_back() {
        let end = Instant::START + Span::seconds(86_400);
        let axis = Axis::new(&[step(0, 0), step(1, 10), step(2, 10), step(3, 20)], end);
        let mut last = 0;
        for index in 1..=4 {
            let (from, to) = axis.part(index);
            assert!(to.step > from.step && from.step >= last, "{index}");
            last = to.step;
        }
        assert_eq!(last, FULL);
        assert_eq!(axis.moment(end).time, FULL);
        assert!(axis.part(4).1.time - axis.part(4).0.time > 99_000, "a day is nearly all of the time");
        assert!(axis.ticks(6).len() <= 7);
    }
}
