//! AVX2: eight pixels at a time.

use std::arch::x86_64::*;

use super::curve::SEGMENTS;
use super::grid::FRACTION_BITS;
use super::implement::implement_simd;
use super::job::RenderJob;
use crate::cpu::Avx2;

const LANES: usize = 8;
const FRACTION: i32 = FRACTION_BITS as i32;

implement_simd! {
    Avx2: "avx2", LANES, __m256, __m256i, store: _mm256_storeu_ps;
    floats(number: f32) -> __m256 { _mm256_set1_ps(number) }
    integers(number: i32) -> __m256i { _mm256_set1_epi32(number) }
    ascending(first: i32) -> __m256i {
        _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first))
    }
    add(a: __m256, b: __m256) -> __m256 { _mm256_add_ps(a, b) }
    mul(a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
    div(a: __m256, b: __m256) -> __m256 { _mm256_div_ps(a, b) }
    truncate(a: __m256) -> __m256i { _mm256_cvttps_epi32(a) }
    convert(a: __m256i) -> __m256 { _mm256_cvtepi32_ps(a) }
    plus(a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi32(a, b) }
    minus(a: __m256i, b: __m256i) -> __m256i { _mm256_sub_epi32(a, b) }
    // The upper halves are 0, so this is a 32-bit product.
    times(a: __m256i, b: __m256i) -> __m256i { _mm256_madd_epi16(a, b) }
    and(a: __m256i, b: __m256i) -> __m256i { _mm256_and_si256(a, b) }
    abs(a: __m256i) -> __m256i { _mm256_abs_epi32(a) }
    min_unsigned(a: __m256i, b: __m256i) -> __m256i { _mm256_min_epu32(a, b) }
    shift_left(a: __m256i) -> __m256i { _mm256_slli_epi32::<FRACTION>(a) }
    shift_right(a: __m256i) -> __m256i { _mm256_srli_epi32::<FRACTION>(a) }
}

/// As [`Simd::look_up`](super::simd::Simd::look_up).
#[target_feature(enable = "avx2")]
#[inline]
fn look_up(tables: &[[f32; 2 * SEGMENTS]; 3], distance: __m256, signed: __m256i, shift: u32) -> [__m256; 3] {
    let segment = _mm256_srl_epi32(_mm256_castps_si256(distance), _mm_cvtsi32_si128(shift as i32));
    // The permutation reads the lowest three bits; the fourth, moved to the sign, selects between its results.
    let fourth = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(segment));
    let half = _mm256_castsi256_ps(signed);
    let mut values = [_mm256_setzero_ps(); 3];
    for (value, table) in values.iter_mut().zip(tables) {
        let pointer = table.as_ptr();
        // SAFETY: the table is as long as the four loads.
        let quarters = unsafe {
            [
                _mm256_loadu_ps(pointer),
                _mm256_loadu_ps(pointer.add(LANES)),
                _mm256_loadu_ps(pointer.add(2 * LANES)),
                _mm256_loadu_ps(pointer.add(3 * LANES)),
            ]
        };
        let [low_white, high_white, low_black, high_black] =
            quarters.map(|quarter| _mm256_permutevar8x32_ps(quarter, segment));
        *value = _mm256_blendv_ps(
            _mm256_blendv_ps(low_white, high_white, fourth),
            _mm256_blendv_ps(low_black, high_black, fourth),
            half,
        );
    }
    values
}

/// As [`Simd::blend`](super::simd::Simd::blend).
///
/// # Safety
///
/// As [`Simd::blend`](super::simd::Simd::blend).
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn blend(
    job: &RenderJob<'_>,
    x: __m256i,
    row: __m256i,
    [top_left, top_right, bottom_left, bottom_right]: [__m256i; 4],
    bias: i32,
) -> [__m256i; 3] {
    let column = _mm256_slli_epi32::<16>(_mm256_srli_epi32::<FRACTION>(x));
    let strides = _mm256_set1_epi32((3 << 16) | job.stride as i32);
    let offset = _mm256_madd_epi16(_mm256_or_si256(column, row), strides);
    let mut offsets = [0i32; LANES];
    // SAFETY: the array is as long as the store.
    unsafe { _mm256_storeu_si256(offsets.as_mut_ptr().cast(), offset) };
    let pixels = job.bytes.as_ptr();
    // SAFETY: the caller guarantees columns below the image's width and rows below its height less one, so that eight bytes from there
    // and from one row further down end at most five bytes after the last pixel, and `Image::SLACK` is eight.
    let (top, bottom) = unsafe { (pairs(pixels, &offsets), pairs(pixels.add(job.stride), &offsets)) };
    let upper_weights = _mm256_or_si256(top_left, _mm256_slli_epi32::<16>(top_right));
    let lower_weights = _mm256_or_si256(bottom_left, _mm256_slli_epi32::<16>(bottom_right));
    let bias = _mm256_set1_epi32(bias);
    std::array::from_fn(|channel| {
        let upper = _mm256_madd_epi16(top[channel], upper_weights);
        let lower = _mm256_madd_epi16(bottom[channel], lower_weights);
        _mm256_add_epi32(_mm256_add_epi32(upper, lower), bias)
    })
}

/// For each channel, the 16-bit values of the pixels at `offsets` and of their right neighbours, in pairs. Uses single loads: a gather is
/// no faster, and much slower on many processors.
///
/// # Safety
///
/// Eight bytes are readable at each offset from `pixels`.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn pairs(pixels: *const u8, offsets: &[i32; LANES]) -> [__m256i; 3] {
    // SAFETY: the caller guarantees eight bytes at each offset from `pixels`, and each load reads eight from one of them.
    let two = |first: usize| unsafe {
        let low = _mm_loadl_epi64(pixels.offset(offsets[first] as isize).cast());
        let both = _mm_loadh_pd(
            _mm_castsi128_pd(low),
            pixels.offset(offsets[first + 1] as isize).cast(),
        );
        _mm_castpd_si128(both)
    };
    // Ordered such that the shuffles below, which work within 128-bit lanes, leave the pixels in order.
    let (left, right) = (_mm256_set_m128i(two(4), two(0)), _mm256_set_m128i(two(6), two(2)));
    let red_green = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        0, -1, 3, -1, 1, -1, 4, -1, 8, -1, 11, -1, 9, -1, 12, -1,
    ));
    let blue = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        2, -1, 5, -1, -1, -1, -1, -1, 10, -1, 13, -1, -1, -1, -1, -1,
    ));
    let shuffled = |mask| {
        let (left, right) = (_mm256_shuffle_epi8(left, mask), _mm256_shuffle_epi8(right, mask));
        (_mm256_castsi256_ps(left), _mm256_castsi256_ps(right))
    };
    let (left_red_green, right_red_green) = shuffled(red_green);
    let (left_blue, right_blue) = shuffled(blue);
    [
        _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(
            left_red_green,
            right_red_green,
        )),
        _mm256_castps_si256(_mm256_shuffle_ps::<0b11_01_11_01>(
            left_red_green,
            right_red_green,
        )),
        _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(left_blue, right_blue)),
    ]
}
