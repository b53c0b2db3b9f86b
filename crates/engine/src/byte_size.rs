//! Parsing and formatting of byte sizes.

/// The forms that [`bytes()`] accepts, for error messages.
pub const SPELLING: &str = "write a number of bytes, or one with KiB, MiB, GiB, TiB, KB, MB, GB or TB";

/// Parses a byte size: `4096`, `1.5GiB`, `4 MB`. `None` if `text` has another form or exceeds 64 bits.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit);
    }
    let bytes = number.parse::<f64>().ok()? * unit as f64;
    (bytes.is_finite() && bytes < u64::MAX as f64).then_some(bytes as u64)
}

/// Formats a byte size with three significant digits and a binary unit: `1.50 KiB`.
#[must_use]
pub fn text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = match value {
        _ if unit == 0 => 0,
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_formatted_with_three_digits() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "0.98 KiB"),
            (1536, "1.50 KiB"),
            (10 << 20, "10.0 MiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(super::text(number), text);
        }
    }

    #[test]
    fn sizes_with_units_are_parsed() {
        for (text, expected) in [
            ("0", 0),
            ("123", 123),
            ("2KiB", 2048),
            ("1.5GiB", 3 << 29),
            ("4 MB", 4_000_000),
            ("1g", 1 << 30),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for text in ["", "GiB", "1 parsec", "-1", "99999999999TiB", "1.2.3"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
