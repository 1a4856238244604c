//! The hours at which work goes on.

use std::fmt;

const DAY: u32 = 24 * 60;

/// A stretch of the day, from one minute to another, across midnight if the second is earlier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Minutes since midnight.
    from: u32,
    /// Minutes since midnight, not inside any more.
    to: u32,
}

impl Window {
    /// Reads `18:30-06:00`.
    ///
    /// # Errors
    /// Another text, or a window without length.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no window of the day; expected HH:MM-HH:MM, for instance 18:30-06:00");
        let minute = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let digits = hour.len() <= 2
                && minute.len() == 2
                && (hour.to_owned() + minute).chars().all(|c| c.is_ascii_digit());
            let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
            (digits && hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
        if from == to {
            return Err(format!("`{text}` has no length; leave the window out to work at any hour"));
        }
        Ok(Self { from, to })
    }

    /// Whether a minute of the day is inside.
    #[must_use]
    pub const fn holds(&self, minute: u32) -> bool {
        let since = (minute % DAY + DAY - self.from) % DAY;
        since < (self.to + DAY - self.from) % DAY
    }

    /// Hour and minute at which it opens.
    #[must_use]
    pub const fn opens_at(&self) -> (u32, u32) {
        (self.from / 60, self.from % 60)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_across_midnight_is_open_at_night() {
        let night = Window::parse("18:30-06:00").unwrap();
        let at = |hour: u32, minute: u32| night.holds(hour * 60 + minute);
        assert!(at(18, 30) && at(23, 59) && at(0, 0) && at(5, 59));
        assert!(!at(6, 0) && !at(12, 0) && !at(18, 29));
        assert_eq!((night.to_string().as_str(), night.opens_at()), ("18:30-06:00", (18, 30)));
        let day = Window::parse(" 9:00 - 17:00").unwrap();
        assert!(day.holds(9 * 60) && !day.holds(17 * 60) && !day.holds(0));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "18:30", "18:30-24:00", "1:2-3:4", "18:60-06:00", "+8:00-06:00", "06:00-06:00", "a-b"]
        {
            assert!(Window::parse(text).is_err(), "{text}");
        }
    }
}
