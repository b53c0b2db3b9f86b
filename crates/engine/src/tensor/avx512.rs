//! The AVX-512 kernel: sixteen pixels at a time.
//!
//! Each step does for sixteen lanes what [`scalar`] does for one.

use std::arch::x86_64::*;

use super::curve::{Curve, GREY, Line, Quadratics, SEGMENTS};
use super::grid::{FRACTION_BITS, ONE, RowStart};
use super::render::RenderJob;
use super::scalar;
use crate::cpu::Avx512;

const LANES: usize = 16;

/// As [`scalar::rows`].
pub(super) fn rows(_: Avx512, job: &RenderJob<'_>, first_row: u32, planes: [&mut [f32]; 3]) {
    if !job.is_vectorizable || job.size < LANES {
        return scalar::rows(job, first_row, planes);
    }
    // SAFETY: the token proves that the CPU has every feature that the functions are compiled for.
    unsafe {
        match &job.curve {
            Curve::Line(line) => with_line(job, first_row, planes, line),
            Curve::Quadratics(quadratics) => with_quadratics(job, first_row, planes, quadratics),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn with_line(job: &RenderJob<'_>, first_row: u32, planes: [&mut [f32]; 3], line: &Line) {
    let value = |channel: usize, sum: __m512i| {
        let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_set1_ps(line.scale[channel]));
        _mm512_add_ps(scaled, _mm512_set1_ps(line.offset[channel]))
    };
    if job.grid.is_projective {
        rows_of::<true>(job, first_row, planes, (0, value));
    } else {
        rows_of::<false>(job, first_row, planes, (0, value));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn with_quadratics(job: &RenderJob<'_>, first_row: u32, planes: [&mut [f32]; 3], curve: &Quadratics) {
    let bias = _mm512_set1_epi32(GREY + curve.bias);
    let shift = _mm512_set1_epi32(curve.shift as i32);
    let half = _mm512_set1_epi32(SEGMENTS as i32);
    let value = |channel: usize, signed: __m512i| {
        let distance = _mm512_cvtepi32_ps(_mm512_sub_epi32(bias, _mm512_abs_epi32(signed)));
        let segment = _mm512_srlv_epi32(_mm512_castps_si512(distance), shift);
        // The look-up reads the lowest five bits: four of the segment number, and the half from the sign.
        let sign = _mm512_srli_epi32::<27>(signed);
        let index = _mm512_ternarylogic_epi32::<SELECT>(half, sign, segment);
        let [constant, linear, square] = &curve.coefficients[channel];
        let value = _mm512_mul_ps(look_up(square, index), distance);
        let value = _mm512_mul_ps(_mm512_add_ps(value, look_up(linear, index)), distance);
        _mm512_add_ps(value, look_up(constant, index))
    };
    if job.grid.is_projective {
        rows_of::<true>(job, first_row, planes, (-GREY, value));
    } else {
        rows_of::<false>(job, first_row, planes, (-GREY, value));
    }
}

/// Ternary logic: the bit of the second operand if the bit of the first is 1, else that of the third.
const SELECT: i32 = 0b1100_1010;

#[target_feature(enable = "avx512f")]
#[inline]
fn look_up(table: &[f32; 2 * SEGMENTS], index: __m512i) -> __m512 {
    // SAFETY: the table is as long as the two loads.
    let (low, high) = unsafe {
        (
            _mm512_loadu_ps(table.as_ptr()),
            _mm512_loadu_ps(table.as_ptr().add(LANES)),
        )
    };
    _mm512_permutex2var_ps(low, index, high)
}

/// Computes rows with `value`, which takes a channel and the sums plus `bias`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn rows_of<const PROJECTIVE: bool>(
    job: &RenderJob<'_>,
    first_row: u32,
    planes: [&mut [f32]; 3],
    (bias, value): (i32, impl Fn(usize, __m512i) -> __m512),
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

#[target_feature(enable = "avx512f")]
#[inline]
fn store(line: &mut [f32], column: usize, values: __m512) {
    let elements = &mut line[column..column + LANES];
    // SAFETY: the slice is as long as the store.
    unsafe { _mm512_storeu_ps(elements.as_mut_ptr(), values) };
}

/// Constants of the position computation, broadcast to all lanes.
struct Geometry {
    step: [__m512; 3],
    origin: [__m512i; 2],
    /// Position of the last pixel on each axis.
    span: [__m512i; 2],
    /// The last row that has a row below it.
    last_row: __m512i,
    /// Factors of row (lower half of a lane) and column (upper half) in a byte offset.
    strides: __m512i,
}

/// The four pixels around each of sixteen positions.
struct Neighbours {
    /// Offset of the upper left one, in bytes.
    offset: __m512i,
    /// Weights of the upper left (lower half) and upper right one (upper half).
    top: __m512i,
    /// Weights of the lower left and lower right one.
    bottom: __m512i,
}

impl Geometry {
    #[target_feature(enable = "avx512f")]
    fn new(job: &RenderJob<'_>) -> Self {
        let [du, dv, dw] = job.grid.step;
        let [column, row] = job.grid.origin;
        let (width, height) = (job.image.width() as i32, job.image.height() as i32);
        Self {
            step: [_mm512_set1_ps(du), _mm512_set1_ps(dv), _mm512_set1_ps(dw)],
            origin: [
                _mm512_set1_epi32(column << FRACTION_BITS),
                _mm512_set1_epi32(row << FRACTION_BITS),
            ],
            span: [
                _mm512_set1_epi32((width - 1) << FRACTION_BITS),
                _mm512_set1_epi32((height - 1) << FRACTION_BITS),
            ],
            last_row: _mm512_set1_epi32(height - 2),
            strides: _mm512_set1_epi32((3 << 16) | job.stride as i32),
        }
    }

    /// Positions of sixteen pixels from `column` on.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn position<const PROJECTIVE: bool>(&self, start: RowStart, column: usize) -> (__m512i, __m512i) {
        let lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        let column = _mm512_cvtepi32_ps(_mm512_add_epi32(lanes, _mm512_set1_epi32(column as i32)));
        let [du, dv, dw] = self.step;
        let mut x = _mm512_add_ps(_mm512_mul_ps(du, column), _mm512_set1_ps(start.u));
        let mut y = _mm512_add_ps(_mm512_mul_ps(dv, column), _mm512_set1_ps(start.v));
        if PROJECTIVE {
            let w = _mm512_add_ps(_mm512_mul_ps(dw, column), _mm512_set1_ps(start.w));
            let reciprocal = _mm512_div_ps(_mm512_set1_ps(1.0), w);
            x = _mm512_mul_ps(x, reciprocal);
            y = _mm512_mul_ps(y, reciprocal);
        }
        (
            _mm512_add_epi32(_mm512_cvttps_epi32(x), self.origin[0]),
            _mm512_add_epi32(_mm512_cvttps_epi32(y), self.origin[1]),
        )
    }

    /// Clamps positions that need no reflection, so that addresses derived from them are inside the image for any input.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn clamped(&self, x: __m512i, y: __m512i) -> (__m512i, __m512i) {
        (
            _mm512_min_epu32(x, self.span[0]),
            _mm512_min_epu32(y, self.span[1]),
        )
    }

    /// Reflects once at either end, which suffices if [`RenderJob::one_reflection_suffices`]. The result is inside the image for any input.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn reflected(&self, x: __m512i, y: __m512i) -> (__m512i, __m512i) {
        let [across, down] = self.span;
        // Compared as unsigned numbers, so that negative ones are large.
        let (x, y) = (_mm512_abs_epi32(x), _mm512_abs_epi32(y));
        self.clamped(
            _mm512_min_epu32(x, _mm512_sub_epi32(_mm512_add_epi32(across, across), x)),
            _mm512_min_epu32(y, _mm512_sub_epi32(_mm512_add_epi32(down, down), y)),
        )
    }

    /// The neighbours of positions within the image.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn neighbours(&self, x: __m512i, y: __m512i) -> Neighbours {
        let row = _mm512_min_epu32(_mm512_srli_epi32::<FRACTION_BITS>(y), self.last_row);
        let fx = _mm512_and_si512(x, _mm512_set1_epi32(ONE - 1));
        let fy = _mm512_sub_epi32(y, _mm512_slli_epi32::<FRACTION_BITS>(row));

        let upper_half = _mm512_set1_epi32(!0xffff);
        let column = _mm512_slli_epi32::<{ 16 - FRACTION_BITS }>(x);
        let offset = _mm512_madd_epi16(
            _mm512_ternarylogic_epi32::<SELECT>(upper_half, column, row),
            self.strides,
        );

        // The upper halves are 0, so this is a 32-bit product.
        let product = _mm512_madd_epi16(fx, fy);
        let bottom_right =
            _mm512_srli_epi32::<FRACTION_BITS>(_mm512_add_epi32(product, _mm512_set1_epi32(ONE / 2)));
        let top_right = _mm512_sub_epi32(fx, bottom_right);
        let bottom_left = _mm512_sub_epi32(fy, bottom_right);
        let top_left = _mm512_sub_epi32(_mm512_sub_epi32(_mm512_set1_epi32(ONE), fy), top_right);
        Neighbours {
            offset,
            top: _mm512_or_si512(top_left, _mm512_slli_epi32::<16>(top_right)),
            bottom: _mm512_or_si512(bottom_left, _mm512_slli_epi32::<16>(bottom_right)),
        }
    }
}

/// The weighted sums per channel, plus `bias`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
#[inline]
fn blend(job: &RenderJob<'_>, neighbours: &Neighbours, bias: i32) -> [__m512i; 3] {
    let mut offsets = [0u32; LANES];
    // SAFETY: the array is as long as the store.
    unsafe { _mm512_storeu_si512(offsets.as_mut_ptr().cast(), neighbours.offset) };
    let (first, second) = offsets.split_at(LANES / 2);
    let pixels = job.bytes.as_ptr();
    // SAFETY: `clamped`, which `reflected` ends with, and `last_row` keep columns below the image's width and rows below its height less
    // one, so that eight bytes from there and from one row further down end at most five bytes after the last pixel, and
    // `Image::SLACK` is eight.
    let (top, bottom) = unsafe {
        let below = pixels.add(job.stride);
        (
            [load(pixels, first), load(pixels, second)],
            [load(below, first), load(below, second)],
        )
    };
    let bias = _mm512_set1_epi32(bias);
    let mut sums = [bias; 3];
    for (channel, sum) in sums.iter_mut().enumerate() {
        // SAFETY: the array is as long as the load.
        let pairs = unsafe { _mm512_loadu_si512(PAIRS[channel].as_ptr().cast()) };
        let upper = _mm512_maskz_permutex2var_epi8(LOW_BYTES, top[0], pairs, top[1]);
        let lower = _mm512_maskz_permutex2var_epi8(LOW_BYTES, bottom[0], pairs, bottom[1]);
        *sum = _mm512_dpwssd_epi32(
            _mm512_dpwssd_epi32(*sum, upper, neighbours.top),
            lower,
            neighbours.bottom,
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
