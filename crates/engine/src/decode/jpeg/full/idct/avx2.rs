//! The inverse DCT with AVX2.
//!
//! The 1-D transform is linear, so it is expressed as sums of products of pairs of coefficients, which `madd` computes from 16-bit factors
//! in one instruction. Nothing is rounded in between, so the samples equal those of the factored form.

use std::arch::x86_64::*;

use super::super::super::SIDE;
use super::super::portable::Portable;
use super::{Block, COLUMN_SHIFT, FACTOR_BITS, Idct, ROW_SHIFT};
use crate::cpu::Avx2;

impl Idct for Avx2 {
    #[inline(always)]
    fn samples(self, block: &Block, target: &mut [u8], stride: usize) {
        // SAFETY: the token proves that the CPU has the feature that the function is compiled for.
        unsafe { samples(block, target, stride) }
    }
}

/// Factors, in 8192ths, of the pairs of coefficients 0 and 4, 2 and 6.
const SUM: [i16; 2] = [8192, 8192];
const DIFFERENCE: [i16; 2] = [8192, -8192];
const NEAR: [i16; 2] = [10_703, 4433];
const FAR: [i16; 2] = [4433, -10_704];
/// Factors of the sums of coefficients 5 and 1, and 3 and 7.
const OUTER: [i16; 2] = [6437, 9633];
const INNER: [i16; 2] = [9633, -6436];
/// Factors of coefficients 1 and 7, and 5 and 3, added to the products of these sums.
const OF_17: [[i16; 2]; 2] = [[4926, -7373], [-7373, -4927]];
const OF_53: [[i16; 2]; 2] = [[-20_995, 4177], [-4176, -20_995]];
/// A coefficient fits signed 14 bits if, after adding `ROOM`, it has no bit of `BEYOND`.
const ROOM: i16 = 1 << 13;
const BEYOND: i16 = !0 << 14;
/// Number of bits above a 16-bit sum in 8192ths.
const UNUSED_BITS: i32 = 32 - 16 - FACTOR_BITS as i32;

#[inline]
#[target_feature(enable = "avx2")]
fn samples(block: &Block, target: &mut [u8], stride: usize) {
    let pairs = block.0.as_ptr().cast::<__m256i>();
    // SAFETY: a block is four vectors of 32 bytes, and aligned to 64 bytes.
    let pairs: [__m256i; 4] = std::array::from_fn(|pair| unsafe { _mm256_load_si256(pairs.add(pair)) });
    let beyond = _mm256_add_epi16(pairs[0], _mm256_set1_epi16(ROOM));
    if _mm256_testz_si256(beyond, _mm256_set1_epi16(BEYOND)) == 0 {
        return out_of_range_samples(block, target, stride);
    }
    let rows = idct_1d::<{ COLUMN_SHIFT as i32 }>(pairs);
    let columns = idct_1d::<{ ROW_SHIFT as i32 }>(pairs_of_columns(rows));
    let mut row = 0;
    for two in two_by_two(columns) {
        for samples in [_mm_extract_epi64::<0>(two), _mm_extract_epi64::<1>(two)] {
            target[row * stride..][..SIDE].copy_from_slice(&samples.to_le_bytes());
            row += 1;
        }
    }
}

/// For coefficients out of the range of valid images.
#[cold]
fn out_of_range_samples(block: &Block, target: &mut [u8], stride: usize) {
    Portable.samples(block, target, stride);
}

/// The 1-D transform of eight lanes, divided by a power of two and rounded: eight 32-bit values for each of eight outputs.
#[inline]
#[target_feature(enable = "avx2")]
fn idct_1d<const SHIFT: i32>([w04, w26, w53, w17]: [__m256i; 4]) -> [__m256i; SIDE] {
    let products = |pairs, [one, other]: [i16; 2]| {
        let factors = (i32::from(other) << 16) | i32::from(one.cast_unsigned());
        _mm256_madd_epi16(pairs, _mm256_set1_epi32(factors))
    };
    // Sums and differences wrap at 16 bits, which the shifts emulate. In the column pass they are known to fit.
    let sum_of = |factors| {
        let sum = products(w04, factors);
        if SHIFT == COLUMN_SHIFT as i32 {
            sum
        } else {
            _mm256_srai_epi32::<UNUSED_BITS>(_mm256_slli_epi32::<UNUSED_BITS>(sum))
        }
    };
    let half = _mm256_set1_epi32(1 << (SHIFT - 1));
    let sum = _mm256_add_epi32(sum_of(SUM), half);
    let difference = _mm256_add_epi32(sum_of(DIFFERENCE), half);
    let (near, far) = (products(w26, NEAR), products(w26, FAR));
    let even = [
        _mm256_add_epi32(sum, near),
        _mm256_add_epi32(difference, far),
        _mm256_sub_epi32(difference, far),
        _mm256_sub_epi32(sum, near),
    ];
    let sums = _mm256_add_epi16(w53, w17);
    let (outer, inner) = (products(sums, OUTER), products(sums, INNER));
    let odd = [
        _mm256_add_epi32(products(w17, OF_17[0]), outer),
        _mm256_add_epi32(products(w53, OF_53[0]), inner),
        _mm256_add_epi32(products(w53, OF_53[1]), outer),
        _mm256_add_epi32(products(w17, OF_17[1]), inner),
    ];
    std::array::from_fn(|k| {
        let other = SIDE - 1 - k;
        let sum = if k < other {
            _mm256_add_epi32(even[k], odd[k])
        } else {
            _mm256_sub_epi32(even[other], odd[other])
        };
        _mm256_srai_epi32::<SHIFT>(sum)
    })
}

/// Transposes rows of 32-bit values to pairs of columns for [`idct_1d`], clamped to 16 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn pairs_of_columns(rows: [__m256i; SIDE]) -> [__m256i; 4] {
    // In each half: columns 0 and 4, 5 and 3, 2 and 6, 1 and 7.
    let order = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        0, 1, 8, 9, 10, 11, 6, 7, 4, 5, 12, 13, 2, 3, 14, 15,
    ));
    // The lower halves are of rows 0 to 3, the upper ones of rows 4 to 7.
    let [a, b, c, d] = std::array::from_fn(|row| {
        let mixed = _mm256_packs_epi32(rows[row], rows[row + SIDE / 2]);
        _mm256_shuffle_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(mixed), order)
    });
    let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
    let (ab_right, cd_right) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab, cd),
        _mm256_unpacklo_epi64(ab_right, cd_right),
        _mm256_unpackhi_epi64(ab, cd),
        _mm256_unpackhi_epi64(ab_right, cd_right),
    ]
}

/// Transposes columns of values centred on 0 to rows of samples, two rows per vector.
#[inline]
#[target_feature(enable = "avx2")]
fn two_by_two([c0, c1, c2, c3, c4, c5, c6, c7]: [__m256i; SIDE]) -> [__m128i; SIDE / 2] {
    let order = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
    ));
    let four = |a, b, c, d| {
        let bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        _mm256_xor_si256(_mm256_shuffle_epi8(bytes, order), _mm256_set1_epi8(i8::MIN))
    };
    let (left, right) = (four(c0, c1, c2, c3), four(c4, c5, c6, c7));
    let outer = _mm256_unpacklo_epi32(left, right);
    let inner = _mm256_unpackhi_epi32(left, right);
    [
        _mm256_castsi256_si128(outer),
        _mm256_castsi256_si128(inner),
        _mm256_extracti128_si256::<1>(outer),
        _mm256_extracti128_si256::<1>(inner),
    ]
}
