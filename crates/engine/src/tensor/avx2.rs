//! The AVX2 kernel: eight pixels at a time. Each step does for eight lanes what [`scalar`] does for one.

use std::arch::x86_64::*;

use super::curve::{Curve, GREY, Line, Quadratics, SEGMENTS};
use super::grid::{FRACTION_BITS, ONE, RowStart};
use super::render::RenderJob;
use super::scalar;
use crate::cpu::Avx2;

const LANES: usize = 8;

/// As [`scalar::rows`].
pub(super) fn rows(_: Avx2, job: &RenderJob<'_>, first_row: u32, planes: [&mut [f32]; 3]) {
    if !job.is_vectorizable || job.size < LANES {
        return scalar::rows(job, first_row, planes);
    }
    // SAFETY: the token proves that the CPU has the feature that the functions are compiled for.
    unsafe {
        match &job.curve {
            Curve::Line(line) => with_line(job, first_row, planes, line),
            Curve::Quadratics(quadratics) => with_quadratics(job, first_row, planes, quadratics),
        }
    }
}

#[target_feature(enable = "avx2")]
fn with_line(job: &RenderJob<'_>, first_row: u32, planes: [&mut [f32]; 3], line: &Line) {
    let value = |channel: usize, sum: __m256i| {
        let scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_set1_ps(line.scale[channel]));
        _mm256_add_ps(scaled, _mm256_set1_ps(line.offset[channel]))
    };
    if job.grid.is_projective {
        rows_of::<true>(job, first_row, planes, (0, value));
    } else {
        rows_of::<false>(job, first_row, planes, (0, value));
    }
}

#[target_feature(enable = "avx2")]
fn with_quadratics(job: &RenderJob<'_>, first_row: u32, planes: [&mut [f32]; 3], curve: &Quadratics) {
    let bias = _mm256_set1_epi32(GREY + curve.bias);
    let shift = _mm_cvtsi32_si128(curve.shift as i32);
    let value = |channel: usize, signed: __m256i| {
        let distance = _mm256_cvtepi32_ps(_mm256_sub_epi32(bias, _mm256_abs_epi32(signed)));
        let segment = _mm256_srl_epi32(_mm256_castps_si256(distance), shift);
        let half = _mm256_castsi256_ps(signed);
        let [constant, linear, square] = &curve.coefficients[channel];
        let value = _mm256_mul_ps(look_up(square, segment, half), distance);
        let value = _mm256_mul_ps(_mm256_add_ps(value, look_up(linear, segment, half)), distance);
        _mm256_add_ps(value, look_up(constant, segment, half))
    };
    if job.grid.is_projective {
        rows_of::<true>(job, first_row, planes, (-GREY, value));
    } else {
        rows_of::<false>(job, first_row, planes, (-GREY, value));
    }
}

/// The table entry selected by the lowest four bits of `segment`, from the first half of the table or, if `half` is negative, the second.
#[target_feature(enable = "avx2")]
#[inline]
fn look_up(table: &[f32; 2 * SEGMENTS], segment: __m256i, half: __m256) -> __m256 {
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
    // The permutation reads the lowest three bits; the fourth, moved to the sign, selects between its results.
    let fourth = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(segment));
    let white = _mm256_blendv_ps(
        _mm256_permutevar8x32_ps(quarters[0], segment),
        _mm256_permutevar8x32_ps(quarters[1], segment),
        fourth,
    );
    let black = _mm256_blendv_ps(
        _mm256_permutevar8x32_ps(quarters[2], segment),
        _mm256_permutevar8x32_ps(quarters[3], segment),
        fourth,
    );
    _mm256_blendv_ps(white, black, half)
}

/// Computes rows with `value`, which takes a channel and the sums plus `bias`.
#[target_feature(enable = "avx2")]
fn rows_of<const PROJECTIVE: bool>(
    job: &RenderJob<'_>,
    first_row: u32,
    planes: [&mut [f32]; 3],
    (bias, value): (i32, impl Fn(usize, __m256i) -> __m256),
) {
    let geometry = Geometry::new(job);
    let [red, green, blue] = planes;
    let lines = red
        .chunks_exact_mut(job.size)
        .zip(green.chunks_exact_mut(job.size))
        .zip(blue.chunks_exact_mut(job.size));
    for (row, ((red, green), blue)) in (first_row..).zip(lines) {
        let line = [red, green, blue];
        if !job.one_reflection_suffices(row) {
            scalar::row(job, row, line);
            continue;
        }
        let (start, interior) = (job.grid.row(row), job.interior(row));
        let mut column = 0;
        loop {
            let (x, y) = geometry.position::<PROJECTIVE>(start, column);
            let (x, y) = if interior.start <= column && column + LANES <= interior.end {
                geometry.clamped(x, y)
            } else {
                geometry.reflected(x, y)
            };
            let sums = blend(job, &geometry.neighbours(x, y), bias);
            store(line[0], column, value(0, sums[0]));
            store(line[1], column, value(1, sums[1]));
            store(line[2], column, value(2, sums[2]));
            if column + LANES >= job.size {
                break;
            }
            // The last block overlaps the previous one, so that it ends with the row. A pixel's value depends only on its position.
            column = (column + LANES).min(job.size - LANES);
        }
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(line: &mut [f32], column: usize, values: __m256) {
    let elements = &mut line[column..column + LANES];
    // SAFETY: the slice is as long as the store.
    unsafe { _mm256_storeu_ps(elements.as_mut_ptr(), values) };
}

/// Constants of the position computation, broadcast to all lanes.
struct Geometry {
    step: [__m256; 3],
    origin: [__m256i; 2],
    /// Position of the last pixel on each axis.
    span: [__m256i; 2],
    /// The last row that has a row below it.
    last_row: __m256i,
    /// Factors of row (lower half of a lane) and column (upper half) in a byte offset.
    strides: __m256i,
}

/// The four pixels around each of eight positions.
struct Neighbours {
    /// Offset of the upper left one, in bytes.
    offset: __m256i,
    /// Weights of the upper left (lower half) and upper right one (upper half).
    top: __m256i,
    /// Weights of the lower left and lower right one.
    bottom: __m256i,
}

impl Geometry {
    #[target_feature(enable = "avx2")]
    fn new(job: &RenderJob<'_>) -> Self {
        let [du, dv, dw] = job.grid.step;
        let [column, row] = job.grid.origin;
        let (width, height) = (job.image.width() as i32, job.image.height() as i32);
        Self {
            step: [_mm256_set1_ps(du), _mm256_set1_ps(dv), _mm256_set1_ps(dw)],
            origin: [
                _mm256_set1_epi32(column << FRACTION_BITS),
                _mm256_set1_epi32(row << FRACTION_BITS),
            ],
            span: [
                _mm256_set1_epi32((width - 1) << FRACTION_BITS),
                _mm256_set1_epi32((height - 1) << FRACTION_BITS),
            ],
            last_row: _mm256_set1_epi32(height - 2),
            strides: _mm256_set1_epi32((3 << 16) | job.stride as i32),
        }
    }

    /// Positions of eight pixels from `column` on.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn position<const PROJECTIVE: bool>(&self, start: RowStart, column: usize) -> (__m256i, __m256i) {
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let column = _mm256_cvtepi32_ps(_mm256_add_epi32(lanes, _mm256_set1_epi32(column as i32)));
        let [du, dv, dw] = self.step;
        let mut x = _mm256_add_ps(_mm256_mul_ps(du, column), _mm256_set1_ps(start.u));
        let mut y = _mm256_add_ps(_mm256_mul_ps(dv, column), _mm256_set1_ps(start.v));
        if PROJECTIVE {
            let w = _mm256_add_ps(_mm256_mul_ps(dw, column), _mm256_set1_ps(start.w));
            let reciprocal = _mm256_div_ps(_mm256_set1_ps(1.0), w);
            x = _mm256_mul_ps(x, reciprocal);
            y = _mm256_mul_ps(y, reciprocal);
        }
        (
            _mm256_add_epi32(_mm256_cvttps_epi32(x), self.origin[0]),
            _mm256_add_epi32(_mm256_cvttps_epi32(y), self.origin[1]),
        )
    }

    /// Clamps positions that need no reflection, so that addresses derived from them are inside the image for any input.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn clamped(&self, x: __m256i, y: __m256i) -> (__m256i, __m256i) {
        (
            _mm256_min_epu32(x, self.span[0]),
            _mm256_min_epu32(y, self.span[1]),
        )
    }

    /// Reflects once at either end, which suffices if [`RenderJob::one_reflection_suffices`]. The result is inside the image for any input.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn reflected(&self, x: __m256i, y: __m256i) -> (__m256i, __m256i) {
        let [across, down] = self.span;
        // Compared as unsigned numbers, so that negative ones are large.
        let (x, y) = (_mm256_abs_epi32(x), _mm256_abs_epi32(y));
        self.clamped(
            _mm256_min_epu32(x, _mm256_sub_epi32(_mm256_add_epi32(across, across), x)),
            _mm256_min_epu32(y, _mm256_sub_epi32(_mm256_add_epi32(down, down), y)),
        )
    }

    /// The neighbours of positions within the image.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn neighbours(&self, x: __m256i, y: __m256i) -> Neighbours {
        const FRACTION: i32 = FRACTION_BITS as i32;
        let row = _mm256_min_epu32(_mm256_srli_epi32::<FRACTION>(y), self.last_row);
        let fx = _mm256_and_si256(x, _mm256_set1_epi32(ONE - 1));
        let fy = _mm256_sub_epi32(y, _mm256_slli_epi32::<FRACTION>(row));

        let column = _mm256_slli_epi32::<16>(_mm256_srli_epi32::<FRACTION>(x));
        let offset = _mm256_madd_epi16(_mm256_or_si256(column, row), self.strides);

        // The upper halves are 0, so this is a 32-bit product.
        let product = _mm256_madd_epi16(fx, fy);
        let bottom_right =
            _mm256_srli_epi32::<FRACTION>(_mm256_add_epi32(product, _mm256_set1_epi32(ONE / 2)));
        let top_right = _mm256_sub_epi32(fx, bottom_right);
        let bottom_left = _mm256_sub_epi32(fy, bottom_right);
        let top_left = _mm256_sub_epi32(_mm256_sub_epi32(_mm256_set1_epi32(ONE), fy), top_right);
        Neighbours {
            offset,
            top: _mm256_or_si256(top_left, _mm256_slli_epi32::<16>(top_right)),
            bottom: _mm256_or_si256(bottom_left, _mm256_slli_epi32::<16>(bottom_right)),
        }
    }
}

/// The weighted sums per channel, plus `bias`.
#[target_feature(enable = "avx2")]
#[inline]
fn blend(job: &RenderJob<'_>, neighbours: &Neighbours, bias: i32) -> [__m256i; 3] {
    let mut offsets = [0i32; LANES];
    // SAFETY: the array is as long as the store.
    unsafe { _mm256_storeu_si256(offsets.as_mut_ptr().cast(), neighbours.offset) };
    let pixels = job.bytes.as_ptr();
    // SAFETY: `clamped`, which `reflected` ends with, and `last_row` keep columns below the image's width and rows below its height less
    // one, so that eight bytes from there and from one row further down end at most five bytes after the last pixel, and
    // `Image::SLACK` is eight.
    let (top, bottom) = unsafe { (pairs(pixels, &offsets), pairs(pixels.add(job.stride), &offsets)) };
    let bias = _mm256_set1_epi32(bias);
    let sum = |top: __m256i, bottom: __m256i| {
        let upper = _mm256_madd_epi16(top, neighbours.top);
        let lower = _mm256_madd_epi16(bottom, neighbours.bottom);
        _mm256_add_epi32(_mm256_add_epi32(upper, lower), bias)
    };
    [
        sum(top[0], bottom[0]),
        sum(top[1], bottom[1]),
        sum(top[2], bottom[2]),
    ]
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
