//! Enhancements: interpolation or extrapolation between an image and a degenerate version of it (black, mean grey, greyscale, smoothed).
//!
//! # Source
//!
//! Pillow's `ImageEnhance` and `Image.blend`, which torchvision's operations on PIL images call: values are truncated, not rounded.

use super::CHANNELS;

/// `degenerate + factor (value - degenerate)`, truncated and clamped.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast truncates and clamps, as the reference does"
)]
fn blend(degenerate: u8, value: u8, factor: f32) -> u8 {
    (f32::from(degenerate) + factor * (f32::from(value) - f32::from(degenerate))) as u8
}

/// The luma of a pixel, with the weights of ITU-R 601-2 in 65536ths.
pub(super) fn grey(pixel: &[u8; CHANNELS]) -> u8 {
    let [red, green, blue] = pixel.map(u32::from);
    let [_, _, grey, _] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000).to_le_bytes();
    grey
}

/// Blends with black.
pub(super) fn brightness(pixels: &mut [u8], factor: f32) {
    for value in pixels {
        *value = blend(0, *value, factor);
    }
}

/// Blends with the rounded mean luma.
pub(super) fn contrast(pixels: &mut [u8], factor: f32) {
    let (whole, _) = pixels.as_chunks::<CHANNELS>();
    let count = whole.len().max(1) as u64;
    let sum: u64 = whole.iter().map(|pixel| u64::from(grey(pixel))).sum();
    #[allow(clippy::cast_possible_truncation, reason = "a mean of bytes is a byte")]
    let mean = ((2 * sum + count) / (2 * count)) as u8;
    for value in pixels {
        *value = blend(mean, *value, factor);
    }
}

/// Blends with the greyscale image.
pub(super) fn saturation(pixels: &mut [u8], factor: f32) {
    let (whole, _) = pixels.as_chunks_mut::<CHANNELS>();
    for pixel in whole {
        let grey = grey(pixel);
        *pixel = pixel.map(|value| blend(grey, value, factor));
    }
}

/// Blends with the image smoothed by the 3x3 kernel of ones with a 5 in the centre, divided by 13; border pixels are left as they are.
pub(super) fn sharpness(pixels: &mut [u8], size: usize, factor: f32) {
    let source = pixels.to_vec();
    let stride = size * CHANNELS;
    for row in 1..size.saturating_sub(1) {
        for at in row * stride + CHANNELS..(row + 1) * stride - CHANNELS {
            let around = |at: usize| {
                u32::from(source[at - CHANNELS]) + u32::from(source[at]) + u32::from(source[at + CHANNELS])
            };
            let sum = around(at - stride) + around(at) + around(at + stride) + 4 * u32::from(source[at]);
            // Rounded; 13 is odd, so there are no ties.
            #[allow(clippy::cast_possible_truncation, reason = "a mean of bytes is a byte")]
            let smooth = ((2 * sum + 13) / 26) as u8;
            pixels[at] = blend(smooth, source[at], factor);
        }
    }
}
