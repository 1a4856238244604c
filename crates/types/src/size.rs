//! Sizes and rates, as people write them: `64MiB`, `1TiB`, `100Mbit/s`, `2MiB/s`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The grain at which disks are compared down to and written: 4 KiB.
pub const CELL: u64 = 4096;
/// The grain at which disks are compared and tracked: 64 KiB.
pub const BLOCK: u64 = 65536;

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Bytes(pub u64);

/// Bytes per second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Rate(pub u64);

const BYTE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Units of rates given in bits.
const BIT_UNITS: &[(&str, u64)] =
    &[("bit", 1), ("kbit", 1_000), ("Mbit", 1_000_000), ("Gbit", 1_000_000_000)];

/// Splits `12MiB` into the number and the unit.
pub(crate) fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

fn lookup(unit: &str, table: &[(&str, u64)]) -> Option<u64> {
    table.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor)
}

impl Bytes {
    /// What a size looks like, for messages.
    pub const EXPECTED: &'static str = "a size such as 64MiB, 1TiB or 0B";

    /// Reads `64MiB`, `1TiB`, `4096B`. A bare `0` is a size; any other number needs its unit.
    ///
    /// # Errors
    /// A text that is not a whole number with a unit, or a size over 2^64 - 1 bytes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not {}", Self::EXPECTED);
        let (number, unit) = split(text).ok_or_else(wrong)?;
        if unit.is_empty() && number == 0 {
            return Ok(Self(0));
        }
        let factor = lookup(unit, BYTE_UNITS).ok_or_else(wrong)?;
        number.checked_mul(factor).map(Self).ok_or_else(wrong)
    }
}

impl Rate {
    /// What a rate looks like, for messages.
    pub const EXPECTED: &'static str = "a rate such as 100Mbit/s, 1Gbit or 2MiB/s";

    /// Reads `100Mbit/s`, `1Gbit`, `2MiB/s`; `/s` may be left out.
    ///
    /// # Errors
    /// A text that is not a whole number with a unit.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not {}", Self::EXPECTED);
        let bare = text.trim().strip_suffix("/s").unwrap_or(text.trim());
        let (number, unit) = split(bare).ok_or_else(wrong)?;
        let rate = match (lookup(unit, BIT_UNITS), lookup(unit, BYTE_UNITS)) {
            (Some(bits), _) => number.checked_mul(bits).map(|b| b / 8),
            (None, Some(bytes)) => number.checked_mul(bytes),
            (None, None) => None,
        };
        rate.map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Bytes {
    /// Exact when a unit divides, else one decimal of the largest fitting binary unit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        for (name, factor) in units {
            if self.0 >= factor {
                if self.0.is_multiple_of(factor) {
                    return write!(f, "{} {name}", self.0 / factor);
                }
                let tenths = u128::from(self.0) * 10 / u128::from(factor);
                return write!(f, "{}.{} {name}", tenths / 10, tenths % 10);
            }
        }
        write!(f, "{} B", self.0)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rates_read_as_written() {
        assert_eq!(Bytes::parse("64MiB"), Ok(Bytes(64 << 20)));
        assert_eq!(Bytes::parse("0B"), Ok(Bytes(0)));
        assert!(Bytes::parse("64").is_err());
        assert!(Bytes::parse("99999999999TiB").is_err());
        assert_eq!(Rate::parse("100Mbit/s"), Ok(Rate(12_500_000)));
        assert_eq!(Rate::parse("2MiB/s"), Ok(Rate(2 << 20)));
        assert_eq!(Bytes(1536).to_string(), "1.5 KiB");
        assert_eq!(Bytes(5).to_string(), "5 B");
    }
}
