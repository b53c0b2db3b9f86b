//! Luma and colour differences to RGB, and inks.
//!
//! # Source
//!
//! ITU-T T.871, section 7, with factors in 65536ths and their products rounded, as in libjpeg.

#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "vector instructions, loads and stores; the portable conversion is the twin"
)]
mod avx2;

use super::instructions::Portable;
use crate::image::Image;

/// 1.402, 1.772, 0.344136 and 0.714136 in 65536ths.
const RED_OF_RED: i32 = 91_881;
const BLUE_OF_BLUE: i32 = 116_130;
const GREEN_OF_BLUE: i32 = 22_554;
const GREEN_OF_RED: i32 = 46_802;

const HALF: i32 = 1 << 15;

/// A way to convert rows. All give the same pixels.
pub(super) trait Convert: Copy {
    /// Makes `target` a row of interleaved RGB. The rows of samples may be longer.
    ///
    /// # Panics
    ///
    /// Where one of them is shorter.
    fn rgb(self, samples: Samples<'_>, target: &mut [u8]);
}

/// A row of each component.
#[derive(Clone, Copy, Debug)]
pub(super) struct Samples<'a> {
    pub(super) luma: &'a [u8],
    pub(super) blue: &'a [u8],
    pub(super) red: &'a [u8],
}

impl Samples<'_> {
    /// Behind the first `count` pixels.
    fn behind(self, count: usize) -> Self {
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

/// Makes `target` a row of interleaved RGB without colour.
#[inline(always)]
pub(super) fn grey(luma: &[u8], target: &mut [u8]) {
    let pixels = target.as_chunks_mut::<{ Image::CHANNELS }>().0;
    for (pixel, &y) in pixels.iter_mut().zip(luma) {
        *pixel = [y; Image::CHANNELS];
    }
}

/// Makes `target` a row of interleaved pixels of three channels.
#[inline(always)]
pub(super) fn interleave([red, green, blue]: [&[u8]; 3], target: &mut [u8]) {
    let pixels = target.as_chunks_mut::<{ Image::CHANNELS }>().0;
    for (((pixel, &red), &green), &blue) in pixels.iter_mut().zip(red).zip(green).zip(blue) {
        *pixel = [red, green, blue];
    }
}

/// Takes from the light of each pixel what black ink takes. Inks are given as what they leave of the light, as Adobe's programs write them.
///
/// # Source
///
/// Pillow's conversion from CMYK to RGB: the light that black leaves, less what cyan, magenta and yellow take of that, each rounded. No
/// colour profile is applied.
#[inline(always)]
pub(super) fn darken(black: &[u8], target: &mut [u8]) {
    let pixels = target.as_chunks_mut::<{ Image::CHANNELS }>().0;
    for (pixel, &black) in pixels.iter_mut().zip(black) {
        *pixel = pixel.map(|light| black - share(u8::MAX - light, black));
    }
}

/// The same of pixels that are given as what the inks take. libjpeg makes of YCCK the complement of RGB.
#[inline(always)]
pub(super) fn darken_inks(black: &[u8], target: &mut [u8]) {
    let pixels = target.as_chunks_mut::<{ Image::CHANNELS }>().0;
    for (pixel, &black) in pixels.iter_mut().zip(black) {
        *pixel = pixel.map(|ink| black - share(ink, black));
    }
}

/// `of * full / 255`, rounded.
#[inline(always)]
fn share(of: u8, full: u8) -> u8 {
    let product = u32::from(of) * u32::from(full) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn clamped(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}

#[cfg(test)]
mod tests;
