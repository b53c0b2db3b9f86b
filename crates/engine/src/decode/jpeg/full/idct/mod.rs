//! Coefficients to samples: the inverse cosine transform.
//!
//! # Source
//!
//! C. Loeffler, A. Ligtenberg and G. Moschytz, "Practical Fast 1-D DCT Algorithms with 11 Multiplications", ICASSP 1989, in integers as
//! libjpeg's accurate one: factors in 8192ths; after the columns four times the values, rounded; after the rows an eighth of that.
//!
//! Values that no picture has, of broken data or steps, leave 16 bits. Then it is libjpeg-turbo's code for vectors of x86 that is followed:
//! where that computes in 16 bits, values go round.

#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "vector instructions, loads and stores; the portable transform is the twin"
)]
mod avx2;
mod portable;

use super::super::{SIDE, ZIGZAG};

/// Fractional bits of factors.
const FACTOR_BITS: u32 = 13;
/// Fractional bits of what lies between columns and rows.
const BETWEEN_BITS: u32 = 2;
/// Bits by which columns are shifted, and rows: those are divided by eight, too.
const COLUMN_SHIFT: u32 = FACTOR_BITS - BETWEEN_BITS;
const ROW_SHIFT: u32 = FACTOR_BITS + BETWEEN_BITS + 3;

/// The coefficients of a block, each multiplied by its quantization step, as [`storage_index`] says.
#[derive(Debug)]
#[repr(align(64))]
pub(in crate::decode::jpeg) struct Block(pub(in crate::decode::jpeg) [i16; SIDE * SIDE]);

impl Default for Block {
    fn default() -> Self {
        Self([0; SIDE * SIDE])
    }
}

/// Where coefficients stand in a [`Block`], in the order in which they are coded.
pub(in crate::decode::jpeg) const STORAGE_ORDER: [u16; SIDE * SIDE] = {
    let mut places = [0; SIDE * SIDE];
    let mut at = 0;
    while at < places.len() {
        places[at] = storage_index(ZIGZAG[at] / SIDE, ZIGZAG[at] % SIDE) as u16;
        at += 1;
    }
    places
};

/// Rows come in pairs, as products of pairs are wanted: 0 and 4, 2 and 6, 5 and 3, 1 and 7; in a pair, a coefficient of one and of the
/// other by turns.
const fn storage_index(row: usize, column: usize) -> usize {
    let (pair, second) = [(0, 0), (3, 0), (1, 0), (2, 1), (0, 1), (2, 0), (1, 1), (3, 1)][row];
    2 * (pair * SIDE + column) + second
}

/// A way to transform blocks. All give the same samples.
pub(super) trait Idct: Copy {
    /// Makes the first eight of `stride` samples the first row of the block, and so on.
    ///
    /// # Panics
    ///
    /// Where `target` ends before the last row.
    fn samples(self, block: &Block, target: &mut [u8], stride: usize);

    /// The samples of a block whose coefficients are zero but for the first.
    #[inline(always)]
    fn flat(self, level: i16) -> u8 {
        let shift = ROW_SHIFT - FACTOR_BITS;
        sample((i32::from(between(level)) + (1 << (shift - 1))) >> shift)
    }
}

/// What lies between columns and rows where a column is zero but for its first coefficient, in libjpeg-turbo's short cut for such blocks.
#[inline(always)]
fn between(level: i16) -> i16 {
    level.wrapping_shl(BETWEEN_BITS)
}

/// From a value around 0.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn sample(value: i32) -> u8 {
    (value.clamp(-128, 127) + 128) as u8
}

#[cfg(test)]
mod tests;
