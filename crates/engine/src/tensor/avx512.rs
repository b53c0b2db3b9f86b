//! AVX-512 with BW, VBMI and VNNI: sixteen pixels at a time.

use std::arch::x86_64::*;

use super::curve::SEGMENTS;
use super::grid::FRACTION_BITS;
use super::implement::implement_simd;
use super::job::RenderJob;
use crate::cpu::Avx512;

const LANES: usize = 16;

/// Ternary logic: the bit of the second operand if the bit of the first is 1, else that of the third.
const SELECT: i32 = 0b1100_1010;

implement_simd! {
    Avx512: "avx512f,avx512bw,avx512vbmi,avx512vnni", LANES, __m512, __m512i, store: _mm512_storeu_ps;
    floats(number: f32) -> __m512 { _mm512_set1_ps(number) }
    integers(number: i32) -> __m512i { _mm512_set1_epi32(number) }
    ascending(first: i32) -> __m512i {
        _mm512_add_epi32(
            _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
            _mm512_set1_epi32(first),
        )
    }
    add(a: __m512, b: __m512) -> __m512 { _mm512_add_ps(a, b) }
    mul(a: __m512, b: __m512) -> __m512 { _mm512_mul_ps(a, b) }
    div(a: __m512, b: __m512) -> __m512 { _mm512_div_ps(a, b) }
    truncate(a: __m512) -> __m512i { _mm512_cvttps_epi32(a) }
    convert(a: __m512i) -> __m512 { _mm512_cvtepi32_ps(a) }
    plus(a: __m512i, b: __m512i) -> __m512i { _mm512_add_epi32(a, b) }
    minus(a: __m512i, b: __m512i) -> __m512i { _mm512_sub_epi32(a, b) }
    // The upper halves are 0, so this is a 32-bit product.
    times(a: __m512i, b: __m512i) -> __m512i { _mm512_madd_epi16(a, b) }
    and(a: __m512i, b: __m512i) -> __m512i { _mm512_and_si512(a, b) }
    abs(a: __m512i) -> __m512i { _mm512_abs_epi32(a) }
    min_unsigned(a: __m512i, b: __m512i) -> __m512i { _mm512_min_epu32(a, b) }
    shift_left(a: __m512i) -> __m512i { _mm512_slli_epi32::<FRACTION_BITS>(a) }
    shift_right(a: __m512i) -> __m512i { _mm512_srli_epi32::<FRACTION_BITS>(a) }
}

/// As [`Simd::look_up`](super::simd::Simd::look_up).
#[target_feature(enable = "avx512f")]
#[inline]
fn look_up(tables: &[[f32; 2 * SEGMENTS]; 3], distance: __m512, signed: __m512i, shift: u32) -> [__m512; 3] {
    let segment = _mm512_srlv_epi32(_mm512_castps_si512(distance), _mm512_set1_epi32(shift as i32));
    // The permutation reads the lowest five bits: four of the segment number, and the half from the sign.
    let half = _mm512_set1_epi32(SEGMENTS as i32);
    let index = _mm512_ternarylogic_epi32::<SELECT>(half, _mm512_srli_epi32::<27>(signed), segment);
    let mut values = [_mm512_setzero_ps(); 3];
    for (value, table) in values.iter_mut().zip(tables) {
        let pointer = table.as_ptr();
        // SAFETY: the table is as long as the two loads.
        let (low, high) = unsafe { (_mm512_loadu_ps(pointer), _mm512_loadu_ps(pointer.add(LANES))) };
        *value = _mm512_permutex2var_ps(low, index, high);
    }
    values
}

/// As [`Simd::blend`](super::simd::Simd::blend).
///
/// # Safety
///
/// As [`Simd::blend`](super::simd::Simd::blend).
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
#[inline]
unsafe fn blend(
    job: &RenderJob<'_>,
    x: __m512i,
    row: __m512i,
    [top_left, top_right, bottom_left, bottom_right]: [__m512i; 4],
    bias: i32,
) -> [__m512i; 3] {
    let upper_half = _mm512_set1_epi32(!0xffff);
    let column = _mm512_slli_epi32::<{ 16 - FRACTION_BITS }>(x);
    let strides = _mm512_set1_epi32((3 << 16) | job.stride as i32);
    let offset = _mm512_ternarylogic_epi32::<SELECT>(upper_half, column, row);
    let mut offsets = [0u32; LANES];
    // SAFETY: the array is as long as the store.
    unsafe { _mm512_storeu_si512(offsets.as_mut_ptr().cast(), _mm512_madd_epi16(offset, strides)) };
    let (first, second) = offsets.split_at(LANES / 2);
    let pixels = job.bytes.as_ptr();
    // SAFETY: the caller guarantees columns below the image's width and rows below its height less one, so that eight bytes from there
    // and from one row further down end at most five bytes after the last pixel, and `Image::SLACK` is eight.
    let (top, bottom) = unsafe {
        let below = pixels.add(job.stride);
        (
            [load(pixels, first), load(pixels, second)],
            [load(below, first), load(below, second)],
        )
    };
    let upper_weights = _mm512_or_si512(top_left, _mm512_slli_epi32::<16>(top_right));
    let lower_weights = _mm512_or_si512(bottom_left, _mm512_slli_epi32::<16>(bottom_right));
    let mut sums = [_mm512_set1_epi32(bias); 3];
    for (sum, pairs) in sums.iter_mut().zip(&PAIRS) {
        // SAFETY: the array is as long as the load.
        let pairs = unsafe { _mm512_loadu_si512(pairs.as_ptr().cast()) };
        let upper = _mm512_maskz_permutex2var_epi8(LOW_BYTES, top[0], pairs, top[1]);
        let lower = _mm512_maskz_permutex2var_epi8(LOW_BYTES, bottom[0], pairs, bottom[1]);
        *sum = _mm512_dpwssd_epi32(
            _mm512_dpwssd_epi32(*sum, upper, upper_weights),
            lower,
            lower_weights,
        );
    }
    sums
}

/// Mask of every other byte.
const LOW_BYTES: u64 = 0x5555_5555_5555_5555;

/// For each channel, the indices of the bytes of two registers (of eight pixel pairs each) that form sixteen pairs of 16-bit values.
static PAIRS: [[u8; 64]; 3] = pairs();

const fn pairs() -> [[u8; 64]; 3] {
    let mut pairs = [[0; 64]; 3];
    let mut index = 0;
    while index < 3 * LANES {
        let (channel, lane) = (index / LANES, index % LANES);
        let first = (8 * lane + channel) as u8;
        pairs[channel][4 * lane] = first;
        pairs[channel][4 * lane + 2] = first + 3;
        index += 1;
    }
    pairs
}

/// Eight bytes from each of eight offsets: a pixel and its right neighbour. Uses single loads, which are faster than a gather here, and
/// much faster on processors with microcode mitigations for gather.
///
/// # Safety
///
/// Eight bytes are readable at each offset from `pixels`.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load(pixels: *const u8, offsets: &[u32]) -> __m512i {
    let two = |lane: usize| {
        let (left, right) = (offsets[lane] as usize, offsets[lane + 1] as usize);
        // SAFETY: the caller guarantees eight bytes at each offset from `pixels`, and each load reads eight from one of them.
        let both = unsafe {
            let left = _mm_loadl_epi64(pixels.add(left).cast());
            _mm_loadh_pd(_mm_castsi128_pd(left), pixels.add(right).cast())
        };
        _mm_castpd_si128(both)
    };
    let low = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(two(0)), two(2));
    let high = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(two(4)), two(6));
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
}
