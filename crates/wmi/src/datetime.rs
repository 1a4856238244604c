//! CIM datetimes: points in time with an offset, and intervals (DMTF DSP0004, intrinsic data types).

use jiff::{Timestamp, civil, tz::TimeZone};

/// What a moment looks like, for messages.
pub(crate) const MOMENT: &str = "yyyymmddHHMMSS.mmmmmm+UUU, with the offset from UTC in minutes";

/// Seconds since 1970-01-01 UTC of `20260106220000.000000+060`.
pub(crate) fn moment(text: &str) -> Option<i64> {
    let (local, offset) = (text.get(..21)?, text.get(21..)?);
    let (date_time, micros) = local.split_once('.')?;
    digits(micros)?;
    let local = civil::DateTime::strptime("%Y%m%d%H%M%S", date_time).ok()?;
    let sign = match offset.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let minutes = offset.get(1..).filter(|m| m.len() == 3)?;
    let minutes = i64::try_from(digits(minutes)?).ok()?;
    let utc = local.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    utc.checked_sub(sign * minutes * 60)
}

/// The moment so many seconds after 1970-01-01 UTC, in UTC: `20260105090000.000000-000`.
pub(crate) fn show(unix_s: i64) -> String {
    let at = Timestamp::from_second(unix_s).unwrap_or(Timestamp::MAX);
    format!("{}.000000-000", TimeZone::UTC.to_datetime(at).strftime("%Y%m%d%H%M%S"))
}

/// So many seconds as an interval: `00000000183000.000000:000`.
pub(crate) fn show_interval(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    format!("{days:08}{:02}{:02}{:02}.000000:000", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The whole seconds of `00000000183000.000000:000`.
pub(crate) fn interval_s(text: &str) -> Option<u64> {
    let body = text.strip_suffix(":000").filter(|b| b.len() == 21)?;
    let (whole, micros) = body.split_once('.')?;
    digits(micros)?;
    let part = |from: usize, to: usize| digits(whole.get(from..to)?);
    let (days, hours, minutes, seconds) = (part(0, 8)?, part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let valid = whole.len() == 14 && hours < 24 && minutes < 60 && seconds < 60;
    valid.then(|| days * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_count_from_utc() {
        assert_eq!(moment("19700101000000.000000+000"), Some(0));
        assert_eq!(moment("19700101020000.000000+060"), Some(3600));
        assert_eq!(moment("19691231233000.000000-060"), Some(1800));
        for wrong in ["", "2026-01-06T22:00", "19700101000000.000000", "19701301000000.000000+000", "é"] {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for at in [0, 1_767_603_600] {
            assert_eq!(moment(&show(at)), Some(at));
        }
        for seconds in [0, 66_600, 86_401] {
            assert_eq!(interval_s(&show_interval(seconds)), Some(seconds));
        }
    }

    #[test]
    fn intervals_are_the_documented_form() {
        assert_eq!(interval_s("00000000183000.000000:000"), Some(66_600));
        assert_eq!(interval_s("00000001000001.000000:000"), Some(86_401));
        assert_eq!(interval_s("99999999235959.999999:000"), Some(8_640_000_000_000 - 1));
        for wrong in
            ["18:30", "00000000240000.000000:000", "00000000183000.000000+000", "0000000018300.0000000:000"]
        {
            assert_eq!(interval_s(wrong), None, "{wrong}");
        }
    }
}
