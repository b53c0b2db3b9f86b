//! Operations on the bytes of a rendered image: those that are not a function of a single channel of a single pixel.
//!
//! Only images whose draw has a [`PixelOp`] take this second pass: they are rendered to bytes, each operation maps bytes to bytes as in the
//! library it follows, and the result is normalised. All other images are written in one pass.
//!
//! # Determinism
//!
//! The same bytes on every machine: integers, tables and single IEEE operations, one image at a time.

mod blend;
mod blur;
mod erase;
mod hue;
mod table;

pub use erase::EraseRect;

/// One operation on an image.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum PixelOp {
    /// Blends with black by this factor: 0 gives black, 1 is the identity.
    Brightness(f32),
    /// Blends with the image's mean grey level: 0 gives a uniform image, 1 is the identity.
    Contrast(f32),
    /// Blends with the greyscale image: 0 gives greyscale, 1 is the identity.
    Saturation(f32),
    /// Blends with the smoothed image: 0 gives the smoothed image, 1 is the identity, above 1 sharpens.
    Sharpness(f32),
    /// Shifts the hue by this fraction of the colour circle.
    Hue(f32),
    /// Keeps this many most significant bits of each value.
    Posterize(u8),
    /// Inverts values at or above this threshold.
    Solarize(f32),
    /// Stretches the range of each channel to 0..=255.
    AutoContrast,
    /// Equalises the histogram of each channel.
    Equalize,
    /// Gaussian blur with this standard deviation, in pixels.
    Blur(f32),
    /// Fills a rectangle with the ImageNet mean colour.
    Erase(EraseRect),
}

const CHANNELS: usize = 3;

/// Applies `ops` in order to an image of `size` by `size` pixels, `u8[S, S, 3]`.
///
/// # Panics
///
/// If the length of `pixels` is not `size * size * 3`.
pub fn apply(ops: &[PixelOp], pixels: &mut [u8], size: usize) {
    assert_eq!(pixels.len(), size * size * CHANNELS, "bytes of the image");
    for op in ops {
        match *op {
            PixelOp::Brightness(factor) => blend::brightness(pixels, factor),
            PixelOp::Contrast(factor) => blend::contrast(pixels, factor),
            PixelOp::Saturation(factor) => blend::saturation(pixels, factor),
            PixelOp::Sharpness(factor) => blend::sharpness(pixels, size, factor),
            PixelOp::Hue(shift) => hue::shift(pixels, shift),
            PixelOp::Posterize(bits) => table::posterize(pixels, bits),
            PixelOp::Solarize(threshold) => table::solarize(pixels, threshold),
            PixelOp::AutoContrast => table::auto_contrast(pixels),
            PixelOp::Equalize => table::equalize(pixels),
            PixelOp::Blur(sigma) => blur::blur(pixels, size, sigma),
            PixelOp::Erase(rect) => rect.fill(pixels, size),
        }
    }
}

#[cfg(test)]
mod tests;
