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

/// The generator, without its highest power. Here as in all polynomials the highest bit is the coefficient of 1.
const GENERATOR: u32 = 0x82f6_3b78;

/// x to the power of 2^k modulo the generator, for each k that the bits of a length in memory can have.
const POWERS: [u32; 67] = {
    let mut powers = [1 << 30; 67];
    let mut k = 1;
    while k < powers.len() {
        powers[k] = product(powers[k - 1], powers[k - 1]);
        k += 1;
    }
    powers
};

/// The product of two polynomials over GF(2) modulo the generator.
const fn product(a: u32, mut b: u32) -> u32 {
    let (mut sum, mut bit) = (0, 32);
    while bit > 0 {
        bit -= 1;
        sum ^= b & (a >> bit & 1).wrapping_neg();
        b = b >> 1 ^ GENERATOR & (b & 1).wrapping_neg();
    }
    sum
}

/// CRC-32C of a concatenation, from the CRC-32C of each and the length of the second: that of the first times x to the power of
/// the bits behind it, plus that of the second. Takes a product for each bit that is set in the length; `crc_fast::checksum_combine` takes 25 µs.
#[must_use]
pub fn joined(first: u32, second: u32, second_length: usize) -> u32 {
    let bits = (0..usize::BITS as usize).filter(|bit| second_length >> bit & 1 == 1);
    // Eight bits in a byte: two to the power of three.
    bits.fold(first, |moved, bit| product(moved, POWERS[bit + 3])) ^ second
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

    /// Appends `from` and copies it to `to`, in pieces that the nearest cache holds: `from` is read from memory once.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    pub fn update_and_copy(&mut self, from: &[u8], to: &mut [u8]) {
        const PIECE: usize = 24 << 10;
        assert_eq!(from.len(), to.len(), "the lengths differ");
        for (from, to) in from.chunks(PIECE).zip(to.chunks_mut(PIECE)) {
            self.update(from);
            to.copy_from_slice(from);
        }
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

    #[test]
    fn long_pieces_are_joined_as_well() {
        let whole: Vec<u8> = (0..3_000_000_u32)
            .map(|index| (index.wrapping_mul(7919) >> 5) as u8)
            .collect();
        for cut in [0, 1, 2_999_999, 2_397_888, 1 << 20, (1 << 21) - 1, 3_000_000] {
            let (first, second) = whole.split_at(cut);
            assert_eq!(
                joined(crc32c(first), crc32c(second), second.len()),
                crc32c(&whole),
                "{cut}"
            );
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
            let mut copy = vec![0; second.len()];
            pieces.update(first);
            pieces.update_and_copy(second, &mut copy);
            prop_assert_eq!(pieces.value(), crc32c(&bytes));
            prop_assert_eq!(&copy[..], second);
        }
    }
}
