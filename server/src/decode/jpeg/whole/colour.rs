//! Luma and colour differences to RGB.
//!
//! # Source
//!
//! ITU-T T.871, section 7, with factors in 65536ths, as in libjpeg.

use crate::image::Image;

/// 1.402, 1.772, 0.344136 and 0.714136 in 65536ths.
const RED_OF_RED: i32 = 91_881;
const BLUE_OF_BLUE: i32 = 116_130;
const GREEN_OF_BLUE: i32 = 22_554;
const GREEN_OF_RED: i32 = 46_802;

const HALF: i32 = 1 << 15;

/// Makes `target` a row of interleaved RGB. The rows of samples may be longer.
#[inline(always)]
pub(super) fn rgb(luma: &[u8], blue: &[u8], red: &[u8], target: &mut [u8]) {
    let pixels = target.as_chunks_mut::<{ Image::CHANNELS }>().0;
    for (((pixel, &y), &cb), &cr) in pixels.iter_mut().zip(luma).zip(blue).zip(red) {
        let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
        *pixel = [
            clamped(y + ((RED_OF_RED * cr + HALF) >> 16)),
            clamped(y + ((HALF - GREEN_OF_BLUE * cb - GREEN_OF_RED * cr) >> 16)),
            clamped(y + ((BLUE_OF_BLUE * cb + HALF) >> 16)),
        ];
    }
}

/// Makes `target` a row of interleaved RGB without colour.
#[inline(always)]
pub(super) fn grey(luma: &[u8], target: &mut [u8]) {
    let pixels = target.as_chunks_mut::<{ Image::CHANNELS }>().0;
    for (pixel, &y) in pixels.iter_mut().zip(luma) {
        *pixel = [y; Image::CHANNELS];
    }
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn clamped(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}
