//! NEON: four pixels at a time.

use std::arch::aarch64::*;

use super::curve::SEGMENTS;
use super::grid::FRACTION_BITS;
use super::implement::implement_simd;
use super::job::RenderJob;
use crate::cpu::Neon;

const LANES: usize = 4;
const FRACTION: i32 = FRACTION_BITS as i32;

implement_simd! {
    Neon: "neon", LANES, float32x4_t, int32x4_t, store: vst1q_f32;
    floats(number: f32) -> float32x4_t { vdupq_n_f32(number) }
    integers(number: i32) -> int32x4_t { vdupq_n_s32(number) }
    ascending(first: i32) -> int32x4_t {
        vaddq_s32(vcombine_s32(vcreate_s32(1 << 32), vcreate_s32(3 << 32 | 2)), vdupq_n_s32(first))
    }
    add(a: float32x4_t, b: float32x4_t) -> float32x4_t { vaddq_f32(a, b) }
    mul(a: float32x4_t, b: float32x4_t) -> float32x4_t { vmulq_f32(a, b) }
    div(a: float32x4_t, b: float32x4_t) -> float32x4_t { vdivq_f32(a, b) }
    truncate(a: float32x4_t) -> int32x4_t { vcvtq_s32_f32(a) }
    convert(a: int32x4_t) -> float32x4_t { vcvtq_f32_s32(a) }
    plus(a: int32x4_t, b: int32x4_t) -> int32x4_t { vaddq_s32(a, b) }
    minus(a: int32x4_t, b: int32x4_t) -> int32x4_t { vsubq_s32(a, b) }
    times(a: int32x4_t, b: int32x4_t) -> int32x4_t { vmulq_s32(a, b) }
    and(a: int32x4_t, b: int32x4_t) -> int32x4_t { vandq_s32(a, b) }
    abs(a: int32x4_t) -> int32x4_t { vabsq_s32(a) }
    min_unsigned(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vreinterpretq_s32_u32(vminq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)))
    }
    shift_left(a: int32x4_t) -> int32x4_t { vshlq_n_s32::<FRACTION>(a) }
    shift_right(a: int32x4_t) -> int32x4_t {
        vreinterpretq_s32_u32(vshrq_n_u32::<FRACTION>(vreinterpretq_u32_s32(a)))
    }
}

/// As [`Simd::look_up`](super::simd::Simd::look_up).
#[target_feature(enable = "neon")]
#[inline]
fn look_up(
    tables: &[[f32; 2 * SEGMENTS]; 3],
    distance: float32x4_t,
    signed: int32x4_t,
    shift: u32,
) -> [float32x4_t; 3] {
    let number = vshlq_u32(vreinterpretq_u32_f32(distance), vdupq_n_s32(-(shift as i32)));
    let number = vandq_u32(number, vdupq_n_u32(15));
    let half = vandq_u32(vreinterpretq_u32_s32(vshrq_n_s32::<31>(signed)), vdupq_n_u32(16));
    // Byte indices: four per entry.
    let index = vmulq_n_u32(vorrq_u32(number, half), 0x0404_0404);
    let index = vreinterpretq_u8_u32(vaddq_u32(index, vdupq_n_u32(0x0302_0100)));
    let mut values = [vdupq_n_f32(0.0); 3];
    for (value, table) in values.iter_mut().zip(tables) {
        let bytes = table.as_ptr().cast::<u8>();
        // SAFETY: the table is as long as the two loads of 64 bytes.
        let (low, high) = unsafe { (vld1q_u8_x4(bytes), vld1q_u8_x4(bytes.add(64))) };
        // The first look-up gives 0 for indices beyond its half; the second leaves lanes with indices outside its half unchanged.
        let bytes = vqtbx4q_u8(vqtbl4q_u8(low, index), high, vsubq_u8(index, vdupq_n_u8(64)));
        *value = vreinterpretq_f32_u8(bytes);
    }
    values
}

/// As [`Simd::blend`](super::simd::Simd::blend).
///
/// # Safety
///
/// As [`Simd::blend`](super::simd::Simd::blend).
#[target_feature(enable = "neon")]
#[inline]
unsafe fn blend(
    job: &RenderJob<'_>,
    x: int32x4_t,
    row: int32x4_t,
    weights: [int32x4_t; 4],
    bias: i32,
) -> [int32x4_t; 3] {
    let column = vshrq_n_s32::<FRACTION>(x);
    let offset = vmlaq_n_s32(vmulq_n_s32(column, 3), row, job.stride as i32);
    let mut offsets = [0i32; LANES];
    let mut factors = [[0i32; LANES]; 4];
    // SAFETY: the arrays are as long as the stores.
    unsafe {
        vst1q_s32(offsets.as_mut_ptr(), offset);
        vst1q_s32(factors[0].as_mut_ptr(), weights[0]);
        vst1q_s32(factors[1].as_mut_ptr(), weights[1]);
        vst1q_s32(factors[2].as_mut_ptr(), weights[2]);
        vst1q_s32(factors[3].as_mut_ptr(), weights[3]);
    }
    let pixels = job.bytes.as_ptr();
    let mut sums = [vdupq_n_u32(0); LANES];
    for (lane, sum) in sums.iter_mut().enumerate() {
        let offset = offsets[lane] as usize;
        // SAFETY: the caller guarantees columns below the image's width and rows below its height less one, so that eight bytes from there
        // and from one row further down end at most five bytes after the last pixel, and `Image::SLACK` is eight.
        let (top, bottom) = unsafe {
            (
                vld1_u8(pixels.add(offset)),
                vld1_u8(pixels.add(offset + job.stride)),
            )
        };
        // Red, green and blue of the left pixel are the first three lanes, of the right pixel the next three.
        let (top, bottom) = (vmovl_u8(top), vmovl_u8(bottom));
        let [top_left, top_right, bottom_left, bottom_right] = factors.map(|factor| factor[lane] as u16);
        *sum = vmull_n_u16(vget_low_u16(top), top_left);
        *sum = vmlal_n_u16(*sum, vget_low_u16(vextq_u16::<3>(top, top)), top_right);
        *sum = vmlal_n_u16(*sum, vget_low_u16(bottom), bottom_left);
        *sum = vmlal_n_u16(*sum, vget_low_u16(vextq_u16::<3>(bottom, bottom)), bottom_right);
    }
    // From pixels to channels.
    let (low, high) = (vtrnq_u32(sums[0], sums[1]), vtrnq_u32(sums[2], sums[3]));
    [
        vcombine_u32(vget_low_u32(low.0), vget_low_u32(high.0)),
        vcombine_u32(vget_low_u32(low.1), vget_low_u32(high.1)),
        vcombine_u32(vget_high_u32(low.0), vget_high_u32(high.0)),
    ]
    .map(|sum| vaddq_s32(vreinterpretq_s32_u32(sum), vdupq_n_s32(bias)))
}
