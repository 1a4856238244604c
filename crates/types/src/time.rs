//! Virtual time: nanoseconds since the scenario's start, which has a calendar date and a time zone.
//!
//! The time-zone rules are the ones bundled with the program, never the machine's.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, civil};
use serde::{Deserialize, Serialize};

/// A moment: nanoseconds since the scenario's start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Instant(pub u64);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Span(pub u64);

const NANOS_PER_SECOND: u64 = 1_000_000_000;

impl Span {
    /// No time.
    pub const ZERO: Self = Self(0);
    /// One minute.
    pub const MINUTE: Self = Self::seconds(60);
    /// One hour.
    pub const HOUR: Self = Self::seconds(3600);
    /// One day of 24 hours.
    pub const DAY: Self = Self::seconds(86_400);
    /// What a time looks like, for messages.
    pub const EXPECTED: &'static str = "a time such as 30s, 5m, 2h, 1d or 1h30m";

    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds * NANOS_PER_SECOND)
    }

    /// A span of whole minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(minutes * 60)
    }

    /// Whole seconds, cut off.
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        self.0 / NANOS_PER_SECOND
    }

    /// How long `bytes` take at `rate_bytes_per_s`, rounded up; without end at rate 0.
    #[must_use]
    pub fn of_transfer(bytes: u64, rate_bytes_per_s: u64) -> Self {
        if rate_bytes_per_s == 0 {
            return Self(u64::MAX);
        }
        let nanos = (u128::from(bytes) * u128::from(NANOS_PER_SECOND)).div_ceil(u128::from(rate_bytes_per_s));
        Self(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Reads `30s`, `5m`, `1h30m`, `250ms`. A bare `0` is a time; any other number needs its unit.
    ///
    /// # Errors
    /// A text that is not a sequence of whole numbers with units.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not {}", Self::EXPECTED);
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut total = 0u64;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let unit = match rest[..end].trim() {
                "ms" => 1_000_000,
                "s" => NANOS_PER_SECOND,
                "m" | "min" => 60 * NANOS_PER_SECOND,
                "h" => 3600 * NANOS_PER_SECOND,
                "d" => 86_400 * NANOS_PER_SECOND,
                _ => return Err(wrong()),
            };
            rest = &rest[end..];
            total = number.checked_mul(unit).and_then(|n| total.checked_add(n)).ok_or_else(wrong)?;
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Span {
    /// `2h05m`, `5m`, `30s`, `1.250s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0 / 1_000_000;
        let (h, m, s, ms) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60, millis % 1000);
        match (h, m, s, ms) {
            (0, 0, s, 0) => write!(f, "{s}s"),
            (0, 0, s, ms) => write!(f, "{s}.{ms:03}s"),
            (0, m, 0, _) => write!(f, "{m}m"),
            (0, m, s, _) => write!(f, "{m}m{s:02}s"),
            (h, 0, 0, _) => write!(f, "{h}h"),
            (h, m, 0, _) => write!(f, "{h}h{m:02}m"),
            (h, m, s, _) => write!(f, "{h}h{m:02}m{s:02}s"),
        }
    }
}

impl Instant {
    /// The scenario's start.
    pub const START: Self = Self(0);

    /// The time passed since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Instant {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Instant {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub for Instant {
    type Output = Span;

    fn sub(self, earlier: Self) -> Span {
        self.since(earlier)
    }
}

impl fmt::Display for Instant {
    /// `+0d 02:05:30.000`, without the day when it is the first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0 / 1_000_000;
        let days = millis / 86_400_000;
        if days > 0 {
            write!(f, "+{days}d ")?;
        } else {
            write!(f, "+")?;
        }
        let (h, m, s) = (millis / 3_600_000 % 24, millis / 60_000 % 60, millis / 1000 % 60);
        write!(f, "{h:02}:{m:02}:{s:02}.{:03}", millis % 1000)
    }
}

/// The date and the zone of the scenario's start: turns instants into local times.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Calendar {
    start_unix_s: i64,
    zone: String,
}

impl Calendar {
    /// What a start looks like, for messages.
    pub const EXPECTED: &'static str =
        "a date and time such as 2026-01-05T09:00:00 or 2026-01-05T09:00:00[Europe/Berlin]";

    /// Reads a local date and time, with an optional IANA zone in brackets (UTC without one).
    ///
    /// # Errors
    /// A text that is no date and time, or a zone that is not in the bundled data.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not {}", Self::EXPECTED);
        let (local, zone) = match text.trim().split_once('[') {
            Some((local, rest)) => (local, rest.strip_suffix(']').ok_or_else(wrong)?),
            None => (text.trim(), "UTC"),
        };
        let local: civil::DateTime = local.trim_end_matches('Z').parse().map_err(|_| wrong())?;
        let tz = TimeZoneDatabase::bundled()
            .get(zone)
            .map_err(|_| format!("`{zone}` is not a time zone of the IANA database"))?;
        let zoned = local.to_zoned(tz).map_err(|_| wrong())?;
        Ok(Self { start_unix_s: zoned.timestamp().as_second(), zone: zone.to_owned() })
    }

    fn zone(&self) -> TimeZone {
        TimeZoneDatabase::bundled().get(&self.zone).unwrap_or(TimeZone::UTC)
    }

    fn local(&self, at: Instant) -> civil::DateTime {
        let seconds = i64::try_from(at.0 / NANOS_PER_SECOND).unwrap_or(i64::MAX);
        let stamp =
            Timestamp::from_second(self.start_unix_s.saturating_add(seconds)).unwrap_or(Timestamp::MAX);
        self.zone().to_datetime(stamp)
    }

    /// The local time of day at `at`, in whole seconds since midnight.
    #[must_use]
    pub fn time_of_day(&self, at: Instant) -> Span {
        let t = self.local(at).time();
        let seconds = i64::from(t.hour()) * 3600 + i64::from(t.minute()) * 60 + i64::from(t.second());
        Span::seconds(u64::try_from(seconds).unwrap_or(0))
    }

    /// The first moment at or after `at` when the local clock shows `time_of_day`.
    #[must_use]
    pub fn next(&self, at: Instant, time_of_day: Span) -> Instant {
        let now = self.time_of_day(at);
        let wait = (time_of_day.0 + Span::DAY.0 - now.0) % Span::DAY.0;
        at + Span(wait)
    }

    /// Seconds since 1970-01-01 UTC at `at`.
    #[must_use]
    pub fn unix_s(&self, at: Instant) -> i64 {
        self.start_unix_s.saturating_add(i64::try_from(at.0 / NANOS_PER_SECOND).unwrap_or(i64::MAX))
    }

    /// The calendar of a clock that is ahead by so much, in whole seconds.
    #[must_use]
    pub fn ahead(&self, by: Span) -> Self {
        let by = i64::try_from(by.as_seconds()).unwrap_or(i64::MAX);
        Self { start_unix_s: self.start_unix_s.saturating_add(by), zone: self.zone.clone() }
    }

    /// The local date and time, `2026-01-05 09:00:00`.
    #[must_use]
    pub fn show(&self, at: Instant) -> String {
        self.local(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

impl Default for Calendar {
    /// 2026-01-05 09:00 UTC, the start of a scenario that names none.
    fn default() -> Self {
        Self { start_unix_s: 1_767_603_600, zone: "UTC".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print() {
        assert_eq!(Span::parse("1h30m"), Ok(Span::minutes(90)));
        assert_eq!(Span::parse("250ms"), Ok(Span(250_000_000)));
        assert!(Span::parse("5").is_err());
        assert!(Span::parse("10:30").is_err());
        assert_eq!(Span::minutes(125).to_string(), "2h05m");
        assert_eq!(Span(1_250_000_000).to_string(), "1.250s");
    }

    #[test]
    fn the_default_start_is_a_monday_morning() {
        let calendar = Calendar::default();
        assert_eq!(calendar.show(Instant::START), "2026-01-05 09:00:00");
        assert_eq!(Calendar::parse("2026-01-05T09:00:00"), Ok(calendar));
    }

    #[test]
    fn zones_move_the_window() {
        let berlin = Calendar::parse("2026-07-01T18:00:00[Europe/Berlin]").unwrap();
        assert_eq!(berlin.time_of_day(Instant::START), Span::seconds(18 * 3600));
        assert_eq!(
            berlin.next(Instant::START, Span::minutes(18 * 60 + 30)),
            Instant::START + Span::minutes(30)
        );
        assert!(Calendar::parse("2026-07-01T18:00:00[Mars/Base]").is_err());
    }
}
