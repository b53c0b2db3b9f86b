//! Amounts of memory as people write them.

/// What [`bytes()`] understands, for messages.
pub const SPELLING: &str = "write a number of bytes, or one with KiB, MiB, GiB, TiB, KB, MB, GB or TB";

/// The number of bytes that `text` says: `4096`, `1.5GiB`, `4 MB`. `None` where it says none, or more than 64 bits hold.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
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
