//! CRC-32C of tensors and files, to detect corruption by a network or a disk.
//!
//! # Source
//!
//! RFC 3720, appendix B.4; computed with CPU instructions if available.

use crc_fast::{CrcAlgorithm, Digest};

/// CRC-32C is listed as CRC-32/ISCSI in the catalogue of parametrised CRC algorithms.
const CASTAGNOLI: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

/// CRC-32C of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CASTAGNOLI, bytes) as u32
}

/// CRC-32C of a concatenation, from the CRC-32C of both parts and the length of the second.
#[must_use]
pub fn joined(first: u32, second: u32, second_length: usize) -> u32 {
    crc_fast::checksum_combine(CASTAGNOLI, first.into(), second.into(), second_length as u64) as u32
}

/// Incremental CRC-32C.
#[derive(Clone, Debug)]
pub struct Crc32c(Digest);

impl Crc32c {
    /// The checksum of no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self(Digest::new(CASTAGNOLI))
    }

    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The CRC-32C of all bytes appended so far.
    #[must_use]
    pub fn value(&self) -> u32 {
        self.0.finalize() as u32
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn checksums_match_the_examples_of_the_standard() {
        let up: Vec<u8> = (0..32).collect();
        let down: Vec<u8> = (0..32).rev().collect();
        for (bytes, expected) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&up, 0x46dd_794e),
            (&down, 0x113f_db5c),
            (b"123456789", 0xe306_9283),
            (b"", 0),
        ] {
            assert_eq!(crc32c(bytes), expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn combined_and_incremental_checksums_equal_that_of_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..3000),
            cut in any::<proptest::sample::Index>(),
        ) {
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(joined(crc32c(first), crc32c(second), second.len()), crc32c(&bytes));
            let mut pieces = Crc32c::new();
            pieces.update(first);
            pieces.update(second);
            prop_assert_eq!(pieces.value(), crc32c(&bytes));
        }
    }
}
