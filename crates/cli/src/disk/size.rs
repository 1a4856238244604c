//! Sizes as people write them.

/// Reads a size: bytes, or a number with K, M, G or T (powers of 1024; `MiB` and `MB` mean the same).
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("`{text}` is no size: expected bytes or a number with K, M, G or T, for instance 64G");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let shift = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// A size with the largest unit that divides it, and the bytes.
pub(super) fn show(bytes: u64) -> String {
    for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes > 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{} {unit} ({bytes} bytes)", bytes >> shift);
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, want) in
            [("512", 512), ("1K", 1024), ("3MiB", 3 << 20), ("64gb", 64 << 30), ("2T", 2 << 40)]
        {
            assert_eq!(parse(text), Ok(want));
        }
        for text in ["", "K", "1X", "-1", "1.5G", "99999999T"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(show(3 << 20), "3 MiB (3145728 bytes)");
        assert_eq!(show(1000), "1000 bytes");
    }
}
