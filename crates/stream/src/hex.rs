//! Hashes as hexadecimal text.

use prost::bytes::Bytes;

/// Two digits for each byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of [`hexadecimal`] text; `None` if it is other text.
pub(super) fn from_hexadecimal(text: &str) -> Option<Bytes> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}

/// A short prefix of a hash, for messages.
pub(super) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_hexadecimal_is_refused() {
        for text in ["0", "zz", "0é"] {
            assert_eq!(from_hexadecimal(text), None, "{text}");
        }
    }
}
