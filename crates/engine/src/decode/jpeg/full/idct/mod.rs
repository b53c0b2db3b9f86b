//! Inverse DCT: coefficients to samples.
//!
//! # Source
//!
//! C. Loeffler, A. Ligtenberg and G. Moschytz, "Practical Fast 1-D DCT Algorithms with 11 Multiplications", ICASSP 1989, in integers as
//! libjpeg's accurate transform (`jidctint.c`): factors in 8192ths; the column pass gives rounded values times four, the row pass an eighth
//! of that.
//!
//! Values of corrupt data may exceed 16 bits. Then the results follow libjpeg-turbo's SIMD code for x86, which wraps where it computes in
//! 16 bits.

#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "vector instructions, loads and stores; the portable transform is the reference"
)]
mod avx2;
mod portable;

use super::super::{SIDE, ZIGZAG};

/// Fractional bits of factors.
const FACTOR_BITS: u32 = 13;
/// Fractional bits between the column and the row pass.
const BETWEEN_BITS: u32 = 2;
/// Right shifts after the column pass and after the row pass, which also divides by eight.
const COLUMN_SHIFT: u32 = FACTOR_BITS - BETWEEN_BITS;
const ROW_SHIFT: u32 = FACTOR_BITS + BETWEEN_BITS + 3;

/// The dequantised coefficients of a block, in the order of [`storage_index`].
#[derive(Debug)]
#[repr(align(64))]
pub(in crate::decode::jpeg) struct Block(pub(in crate::decode::jpeg) [i16; SIDE * SIDE]);

impl Default for Block {
    fn default() -> Self {
        Self([0; SIDE * SIDE])
    }
}

/// By zigzag index: index in a [`Block`].
pub(in crate::decode::jpeg) const STORAGE_ORDER: [u16; SIDE * SIDE] = {
    let mut places = [0; SIDE * SIDE];
    let mut at = 0;
    while at < places.len() {
        places[at] = storage_index(ZIGZAG[at] / SIDE, ZIGZAG[at] % SIDE) as u16;
        at += 1;
    }
    places
};

/// The index of a coefficient in a [`Block`]. Rows are stored in pairs, for multiplication of pairs: 0 and 4, 2 and 6, 5 and 3, 1 and 7;
/// coefficients of the two rows of a pair alternate.
const fn storage_index(row: usize, column: usize) -> usize {
    let (pair, second) = [(0, 0), (3, 0), (1, 0), (2, 1), (0, 1), (2, 0), (1, 1), (3, 1)][row];
    2 * (pair * SIDE + column) + second
}

/// An implementation of the inverse DCT. All give the same samples.
pub(super) trait Idct: Copy {
    /// Transforms a block. Writes row `y` to the first eight samples from `y * stride`.
    ///
    /// # Panics
    ///
    /// If `target` ends before the last row.
    fn samples(self, block: &Block, target: &mut [u8], stride: usize);

    /// The sample value of a block without AC coefficients.
    #[inline(always)]
    fn flat(self, level: i16) -> u8 {
        let shift = ROW_SHIFT - FACTOR_BITS;
        sample((i32::from(between(level)) + (1 << (shift - 1))) >> shift)
    }
}

/// The result of the column pass for a column with only its first coefficient, as in libjpeg-turbo's short cut.
#[inline(always)]
fn between(level: i16) -> i16 {
    level.wrapping_shl(BETWEEN_BITS)
}

/// Converts a value centred on 0 to a sample.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn sample(value: i32) -> u8 {
    (value.clamp(-128, 127) + 128) as u8
}

#[cfg(test)]
mod tests;
