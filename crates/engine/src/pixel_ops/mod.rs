//! The second pass: changes to a rendered image that are no function of one channel of one pixel, on its bytes.
//!
//! Only images whose draw asks for a [`PixelOp`] come here: they are rendered to bytes first, each touch takes bytes to bytes as it does in
//! the library that it follows, and the result is normalised. All others are written in one pass.
//!
//! # Determinism
//!
//! Integers, tables, and single IEEE operations, one image at a time: the same bytes on every machine.

mod blend;
mod blur;
mod erase;
mod hue;
mod table;

pub use erase::EraseRect;

/// One change to an image.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum PixelOp {
    /// Blends with black: 0 is black, 1 changes nothing.
    Brightness(f32),
    /// Blends with the image's mean grey: 0 is flat, 1 changes nothing.
    Contrast(f32),
    /// Blends with the image in grey: 0 is grey, 1 changes nothing.
    Saturation(f32),
    /// Blends with the image smoothed: 0 is smooth, 1 changes nothing, 2 is sharper.
    Sharpness(f32),
    /// Turns the hue; 1 is all the way round.
    Hue(f32),
    /// Keeps this many leading bits of each value.
    Posterize(u8),
    /// Inverts values from this one up.
    Solarize(f32),
    /// Stretches each channel to 0..=255.
    AutoContrast,
    /// Gives each channel a flat histogram.
    Equalize,
    /// Smoothes by a Gaussian of this standard deviation, in pixels.
    Blur(f32),
    /// Fills a rectangle.
    Erase(EraseRect),
}

/// Red, green and blue.
const CHANNELS: usize = 3;

/// Applies `pixel_ops` in order to an image of `size` by `size` pixels, `u8[S, S, 3]`.
///
/// # Panics
///
/// Where `pixels` has another length.
pub fn apply(pixel_ops: &[PixelOp], pixels: &mut [u8], size: usize) {
    assert_eq!(pixels.len(), size * size * CHANNELS, "bytes of the image");
    for touch in pixel_ops {
        match *touch {
            PixelOp::Brightness(factor) => blend::brightness(pixels, factor),
            PixelOp::Contrast(factor) => blend::contrast(pixels, factor),
            PixelOp::Saturation(factor) => blend::saturation(pixels, factor),
            PixelOp::Sharpness(factor) => blend::sharpness(pixels, size, factor),
            PixelOp::Hue(turn) => hue::turn(pixels, turn),
            PixelOp::Posterize(bits) => table::posterize(pixels, bits),
            PixelOp::Solarize(threshold) => table::solarize(pixels, threshold),
            PixelOp::AutoContrast => table::auto_contrast(pixels),
            PixelOp::Equalize => table::equalize(pixels),
            PixelOp::Blur(sigma) => blur::blur(pixels, size, sigma),
            PixelOp::Erase(hole) => hole.fill(pixels, size),
        }
    }
}

#[cfg(test)]
mod tests;
