//! CRC-32C of tensors and files, to detect corruption by a network or a disk.
//!
//! # Source
//!
//! RFC 3720, appendix B.4; computed with CPU instructions if available.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "SIMD intrinsics")]
mod fused;

use crc_fast::{CrcAlgorithm, Digest};

/// CRC-32C is listed as CRC-32/ISCSI in the catalogue of parametrised CRC algorithms.
const CASTAGNOLI: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

/// CRC-32C of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut checksum = Crc32c::new();
    checksum.update(bytes);
    checksum.value()
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

/// x to the power of `exponent` modulo the generator.
const fn power(exponent: usize) -> u32 {
    let (mut power, mut bit) = (1 << 31, 0);
    while bit < usize::BITS {
        if exponent >> bit & 1 == 1 {
            power = product(power, POWERS[bit as usize]);
        }
        bit += 1;
    }
    power
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
#[derive(Clone, Copy, Debug)]
pub struct Crc32c {
    /// The complement of the value.
    state: u32,
}

impl Crc32c {
    /// The checksum of no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self { state: !0 }
    }

    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        #[cfg(target_arch = "x86_64")]
        let bytes = fused::update_blocks(&mut self.state, bytes);
        let mut rest = Digest::new_with_init_state(CASTAGNOLI, u64::from(self.state));
        rest.update(bytes);
        self.state = !(rest.finalize() as u32);
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
        !self.state
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
    fn checksums_equal_those_of_the_library() {
        let bytes: Vec<u8> = (0..700_000_u32)
            .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for length in [0, 1, 98_303, 98_304, 98_305, 150_528, 196_608, 602_112, 700_000] {
            let piece = &bytes[bytes.len() - length..];
            assert_eq!(
                u64::from(crc32c(piece)),
                crc_fast::checksum(CASTAGNOLI, piece),
                "{length}"
            );
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
