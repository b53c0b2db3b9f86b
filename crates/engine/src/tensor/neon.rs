//! The NEON kernel: four pixels at a time. Each step does for four lanes what [`scalar`] does for one.

use std::arch::aarch64::*;

use super::curve::{Curve, GREY, Line, Quadratics, SEGMENTS};
use super::grid::{FRACTION_BITS, ONE, RowStart};
use super::render::RenderJob;
use super::scalar;

const LANES: usize = 4;

/// Proof that the CPU has NEON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

/// As [`scalar::rows`].
pub(super) fn rows(_: Neon, job: &RenderJob<'_>, first_row: u32, planes: [&mut [f32]; 3]) {
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

#[target_feature(enable = "neon")]
fn with_line(job: &RenderJob<'_>, first_row: u32, planes: [&mut [f32]; 3], line: &Line) {
    let value = |channel: usize, sum: int32x4_t| {
        vaddq_f32(
            vmulq_n_f32(vcvtq_f32_s32(sum), line.scale[channel]),
            vdupq_n_f32(line.offset[channel]),
        )
    };
    if job.grid.is_projective {
        rows_of::<true>(job, first_row, planes, value);
    } else {
        rows_of::<false>(job, first_row, planes, value);
    }
}

#[target_feature(enable = "neon")]
fn with_quadratics(job: &RenderJob<'_>, first_row: u32, planes: [&mut [f32]; 3], curve: &Quadratics) {
    let bias = vdupq_n_s32(GREY + curve.bias);
    let shift = vdupq_n_s32(-(curve.shift as i32));
    let value = |channel: usize, sum: int32x4_t| {
        let signed = vsubq_s32(sum, vdupq_n_s32(GREY));
        let distance = vcvtq_f32_s32(vsubq_s32(bias, vabsq_s32(signed)));
        let number = vandq_u32(vshlq_u32(vreinterpretq_u32_f32(distance), shift), vdupq_n_u32(15));
        let half = vandq_u32(vreinterpretq_u32_s32(vshrq_n_s32::<31>(signed)), vdupq_n_u32(16));
        let segment = vorrq_u32(number, half);
        // Byte indices: four per entry.
        let index = vaddq_u32(vmulq_n_u32(segment, 0x0404_0404), vdupq_n_u32(0x0302_0100));
        let index = vreinterpretq_u8_u32(index);
        let [constant, linear, square] = &curve.coefficients[channel];
        let value = vmulq_f32(look_up(square, index), distance);
        let value = vmulq_f32(vaddq_f32(value, look_up(linear, index)), distance);
        vaddq_f32(value, look_up(constant, index))
    };
    if job.grid.is_projective {
        rows_of::<true>(job, first_row, planes, value);
    } else {
        rows_of::<false>(job, first_row, planes, value);
    }
}

/// The bytes of the table at `index`.
#[target_feature(enable = "neon")]
#[inline]
fn look_up(table: &[f32; 2 * SEGMENTS], index: uint8x16_t) -> float32x4_t {
    let bytes = table.as_ptr().cast::<u8>();
    // SAFETY: the table is as long as the two loads of 64 bytes.
    let (low, high) = unsafe { (vld1q_u8_x4(bytes), vld1q_u8_x4(bytes.add(64))) };
    // The first look-up gives 0 for indices beyond its half; the second leaves lanes with indices outside its half unchanged.
    let value = vqtbx4q_u8(vqtbl4q_u8(low, index), high, vsubq_u8(index, vdupq_n_u8(64)));
    vreinterpretq_f32_u8(value)
}

/// Computes rows with `value`, which takes a channel and the sums.
#[target_feature(enable = "neon")]
fn rows_of<const PROJECTIVE: bool>(
    job: &RenderJob<'_>,
    first_row: u32,
    planes: [&mut [f32]; 3],
    value: impl Fn(usize, int32x4_t) -> float32x4_t,
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
                geometry.clamped(vreinterpretq_u32_s32(x), vreinterpretq_u32_s32(y))
            } else {
                geometry.reflected(x, y)
            };
            let sums = blend(job, &geometry.neighbours(x, y));
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

#[target_feature(enable = "neon")]
#[inline]
fn store(line: &mut [f32], column: usize, values: float32x4_t) {
    let elements = &mut line[column..column + LANES];
    // SAFETY: the slice is as long as the store.
    unsafe { vst1q_f32(elements.as_mut_ptr(), values) };
}

/// Constants of the position computation, broadcast to all lanes.
struct Geometry {
    step: [float32x4_t; 3],
    origin: [int32x4_t; 2],
    /// Position of the last pixel on each axis.
    span: [uint32x4_t; 2],
    /// The last row that has a row below it.
    last_row: uint32x4_t,
    stride: u32,
}

/// The four pixels around each of four positions.
struct Neighbours {
    /// Offset of the upper left one, in bytes.
    offsets: [u32; LANES],
    /// Weights of the upper left, upper right, lower left and lower right one.
    weights: [[u32; LANES]; 4],
}

impl Geometry {
    #[target_feature(enable = "neon")]
    fn new(job: &RenderJob<'_>) -> Self {
        let [du, dv, dw] = job.grid.step;
        let [column, row] = job.grid.origin;
        let (width, height) = (job.image.width(), job.image.height());
        Self {
            step: [vdupq_n_f32(du), vdupq_n_f32(dv), vdupq_n_f32(dw)],
            origin: [
                vdupq_n_s32(column << FRACTION_BITS),
                vdupq_n_s32(row << FRACTION_BITS),
            ],
            span: [
                vdupq_n_u32((width - 1) << FRACTION_BITS),
                vdupq_n_u32((height - 1) << FRACTION_BITS),
            ],
            last_row: vdupq_n_u32(height - 2),
            stride: job.stride as u32,
        }
    }

    /// Positions of four pixels from `column` on.
    #[target_feature(enable = "neon")]
    #[inline]
    fn position<const PROJECTIVE: bool>(&self, start: RowStart, column: usize) -> (int32x4_t, int32x4_t) {
        // SAFETY: the array is as long as the load.
        let lanes = unsafe { vld1q_u32([0, 1, 2, 3].as_ptr()) };
        let column = vcvtq_f32_u32(vaddq_u32(lanes, vdupq_n_u32(column as u32)));
        let [du, dv, dw] = self.step;
        let mut x = vaddq_f32(vmulq_f32(du, column), vdupq_n_f32(start.u));
        let mut y = vaddq_f32(vmulq_f32(dv, column), vdupq_n_f32(start.v));
        if PROJECTIVE {
            let w = vaddq_f32(vmulq_f32(dw, column), vdupq_n_f32(start.w));
            let reciprocal = vdivq_f32(vdupq_n_f32(1.0), w);
            x = vmulq_f32(x, reciprocal);
            y = vmulq_f32(y, reciprocal);
        }
        (
            vaddq_s32(vcvtq_s32_f32(x), self.origin[0]),
            vaddq_s32(vcvtq_s32_f32(y), self.origin[1]),
        )
    }

    /// Clamps positions that need no reflection, so that addresses derived from them are inside the image for any input.
    #[target_feature(enable = "neon")]
    #[inline]
    fn clamped(&self, x: uint32x4_t, y: uint32x4_t) -> (uint32x4_t, uint32x4_t) {
        (vminq_u32(x, self.span[0]), vminq_u32(y, self.span[1]))
    }

    /// Reflects once at either end, which suffices if [`RenderJob::one_reflection_suffices`]. The result is inside the image for any input.
    #[target_feature(enable = "neon")]
    #[inline]
    fn reflected(&self, x: int32x4_t, y: int32x4_t) -> (uint32x4_t, uint32x4_t) {
        let [across, down] = self.span;
        // Compared as unsigned numbers, so that negative ones are large.
        let (x, y) = (
            vreinterpretq_u32_s32(vabsq_s32(x)),
            vreinterpretq_u32_s32(vabsq_s32(y)),
        );
        self.clamped(
            vminq_u32(x, vsubq_u32(vaddq_u32(across, across), x)),
            vminq_u32(y, vsubq_u32(vaddq_u32(down, down), y)),
        )
    }

    /// The neighbours of positions within the image.
    #[target_feature(enable = "neon")]
    #[inline]
    fn neighbours(&self, x: uint32x4_t, y: uint32x4_t) -> Neighbours {
        const FRACTION: i32 = FRACTION_BITS as i32;
        let row = vminq_u32(vshrq_n_u32::<FRACTION>(y), self.last_row);
        let column = vshrq_n_u32::<FRACTION>(x);
        let fx = vandq_u32(x, vdupq_n_u32(ONE as u32 - 1));
        let fy = vsubq_u32(y, vshlq_n_u32::<FRACTION>(row));
        let offset = vmlaq_n_u32(vmulq_n_u32(column, 3), row, self.stride);

        // Rounded to nearest by the shift.
        let bottom_right = vrshrq_n_u32::<FRACTION>(vmulq_u32(fx, fy));
        let top_right = vsubq_u32(fx, bottom_right);
        let bottom_left = vsubq_u32(fy, bottom_right);
        let top_left = vsubq_u32(vsubq_u32(vdupq_n_u32(ONE as u32), fy), top_right);
        let mut neighbours = Neighbours {
            offsets: [0; LANES],
            weights: [[0; LANES]; 4],
        };
        // SAFETY: the arrays are as long as the stores.
        unsafe {
            vst1q_u32(neighbours.offsets.as_mut_ptr(), offset);
            vst1q_u32(neighbours.weights[0].as_mut_ptr(), top_left);
            vst1q_u32(neighbours.weights[1].as_mut_ptr(), top_right);
            vst1q_u32(neighbours.weights[2].as_mut_ptr(), bottom_left);
            vst1q_u32(neighbours.weights[3].as_mut_ptr(), bottom_right);
        }
        neighbours
    }
}

/// The weighted sums per channel.
#[target_feature(enable = "neon")]
#[inline]
fn blend(job: &RenderJob<'_>, neighbours: &Neighbours) -> [int32x4_t; 3] {
    let pixels = job.bytes.as_ptr();
    let mut sums = [vdupq_n_u32(0); LANES];
    for (lane, sum) in sums.iter_mut().enumerate() {
        let offset = neighbours.offsets[lane] as usize;
        // SAFETY: `clamped`, which `reflected` ends with, and `last_row` keep columns below the image's width and rows below its height
        // less one, so that eight bytes from there and from one row further down end at most five bytes after the last pixel, and
        // `Image::SLACK` is eight.
        let (top, bottom) = unsafe {
            (
                vld1_u8(pixels.add(offset)),
                vld1_u8(pixels.add(offset + job.stride)),
            )
        };
        let weights = neighbours.weights;
        // Red, green and blue of the left pixel are the first three lanes, of the right pixel the next three.
        let (top, bottom) = (vmovl_u8(top), vmovl_u8(bottom));
        let left = vmull_n_u16(vget_low_u16(top), weights[0][lane] as u16);
        let right = vmlal_n_u16(
            left,
            vget_low_u16(vextq_u16::<3>(top, top)),
            weights[1][lane] as u16,
        );
        let left = vmlal_n_u16(right, vget_low_u16(bottom), weights[2][lane] as u16);
        *sum = vmlal_n_u16(
            left,
            vget_low_u16(vextq_u16::<3>(bottom, bottom)),
            weights[3][lane] as u16,
        );
    }
    // From pixels to channels.
    let (low, high) = (vtrnq_u32(sums[0], sums[1]), vtrnq_u32(sums[2], sums[3]));
    let joined = |a: uint32x2_t, b: uint32x2_t| vreinterpretq_s32_u32(vcombine_u32(a, b));
    [
        joined(vget_low_u32(low.0), vget_low_u32(high.0)),
        joined(vget_low_u32(low.1), vget_low_u32(high.1)),
        joined(vget_high_u32(low.0), vget_high_u32(high.0)),
    ]
}
