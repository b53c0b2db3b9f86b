//! Colour conversion: YCbCr, greyscale, CMYK and YCCK to RGB.
//!
//! # Source
//!
//! ITU-T T.871, section 7, with factors in 65536ths and rounded products, as in libjpeg.

#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "vector instructions, loads and stores; the portable conversion is the reference"
)]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "vector instructions, loads and stores; the portable conversion is the reference"
)]
mod avx512;

use super::portable::Portable;
use crate::image::Image;

/// 1.402, 1.772, 0.344136 and 0.714136 in 65536ths.
const RED_OF_RED: i32 = 91_881;
const BLUE_OF_BLUE: i32 = 116_130;
const GREEN_OF_BLUE: i32 = 22_554;
const GREEN_OF_RED: i32 = 46_802;

const HALF: i32 = 1 << 15;

/// An implementation of the conversion of rows. All give the same pixels.
pub(super) trait Convert: Copy {
    /// Converts a row of YCbCr samples to interleaved RGB. The rows of samples may be longer than `target`.
    ///
    /// # Panics
    ///
    /// If a row of samples is shorter than `target`.
    fn rgb(self, samples: Samples<'_>, target: &mut [u8]);
}

/// A row of each component.
#[derive(Clone, Copy, Debug)]
pub(super) struct Samples<'a> {
    pub(super) luma: &'a [u8],
    pub(super) blue: &'a [u8],
    pub(super) red: &'a [u8],
}

#[cfg(target_arch = "x86_64")]
impl Samples<'_> {
    /// The samples after the first `count` pixels.
    fn after(self, count: usize) -> Self {
        Self {
            luma: &self.luma[count..],
            blue: &self.blue[count..],
            red: &self.red[count..],
        }
    }
}

impl Convert for Portable {
    #[inline(always)]
    fn rgb(self, Samples { luma, blue, red }: Samples<'_>, target: &mut [u8]) {
        let pixels = target.as_chunks_mut::<{ Image::CHANNELS }>().0;
        let count = pixels.len();
        let samples = luma[..count].iter().zip(&blue[..count]).zip(&red[..count]);
        for (pixel, ((&y, &cb), &cr)) in pixels.iter_mut().zip(samples) {
            let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
            *pixel = [
                clamped(y + ((RED_OF_RED * cr + HALF) >> 16)),
                clamped(y + ((HALF - GREEN_OF_BLUE * cb - GREEN_OF_RED * cr) >> 16)),
                clamped(y + ((BLUE_OF_BLUE * cb + HALF) >> 16)),
            ];
        }
    }
}

/// Converts a row of greyscale samples to interleaved RGB.
#[inline(always)]
pub(super) fn grey(luma: &[u8], target: &mut [u8]) {
    let pixels = target.as_chunks_mut::<{ Image::CHANNELS }>().0;
    for (pixel, &y) in pixels.iter_mut().zip(luma) {
        *pixel = [y; Image::CHANNELS];
    }
}

/// Interleaves three channels.
#[inline(always)]
pub(super) fn interleave([red, green, blue]: [&[u8]; 3], target: &mut [u8]) {
    let pixels = target.as_chunks_mut::<{ Image::CHANNELS }>().0;
    for (((pixel, &red), &green), &blue) in pixels.iter_mut().zip(red).zip(green).zip(blue) {
        *pixel = [red, green, blue];
    }
}

/// Multiplies inverted CMY by inverted black, which gives RGB. Adobe's programs store CMYK inverted: 255 is no ink.
///
/// # Source
///
/// Pillow's conversion from CMYK to RGB: `k - round((255 - c) k / 255)` on inverted values. No colour profile is applied.
#[inline(always)]
pub(super) fn darken(black: &[u8], target: &mut [u8]) {
    let pixels = target.as_chunks_mut::<{ Image::CHANNELS }>().0;
    for (pixel, &black) in pixels.iter_mut().zip(black) {
        *pixel = pixel.map(|light| black - scaled_product(u8::MAX - light, black));
    }
}

/// As [`darken`], for CMY that is not inverted: the conversion of YCCK gives the complement of RGB, as in libjpeg.
#[inline(always)]
pub(super) fn darken_inks(black: &[u8], target: &mut [u8]) {
    let pixels = target.as_chunks_mut::<{ Image::CHANNELS }>().0;
    for (pixel, &black) in pixels.iter_mut().zip(black) {
        *pixel = pixel.map(|ink| black - scaled_product(ink, black));
    }
}

/// `a * b / 255`, rounded.
#[inline(always)]
fn scaled_product(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn clamped(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}

#[cfg(test)]
mod tests;
