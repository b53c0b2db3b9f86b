//! JPEGs at a fraction of their size, without decoding the whole.
//!
//! A block of a JPEG is 64 coefficients of a cosine transform, of which the first is the mean of its pixels. So the means of all blocks
//! are an image of an eighth of the width and height, and cost no transform at all: the other coefficients are read only as far as to
//! know where the next block begins. Quarters take a small transform. Of components with fewer samples than luma, larger parts are
//! taken, so that nothing is enlarged afterwards. Halves would save a seventh of the time, and are not worth a second set of pixels.
//!
//! Each pixel is the mean of those pixels of the whole image that it stands for, as they are before they are clamped to bytes.

mod basis;
mod strips;

use self::strips::Strip;
use super::Error;
use super::header::{Colours, Header};
use crate::decode::pixels::room_for;
use crate::image::Image;

/// By how much images are reduced: to so many pixels less in a row, and so many rows less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode) enum Scale {
    Quarter = 4,
    Eighth = 8,
}

impl Scale {
    /// The scale for an image of `width` by `height` pixels that is to be shrunk to `short_side`: the smallest image whose short side is
    /// at least four thirds of that, so that it is the last step, an antialiased one, that decides on what is seen. `None` where that is
    /// the whole.
    pub(in crate::decode) fn of((width, height): (u32, u32), short_side: u32) -> Option<Self> {
        let least = |scale: Self| 4 * u64::from(short_side) * scale as u64;
        let short = 3 * u64::from(width.min(height));
        [Self::Eighth, Self::Quarter]
            .into_iter()
            .find(|&scale| short >= least(scale))
    }
}

/// A reduced image.
#[derive(Debug)]
pub(in crate::decode) struct ScaledImage {
    pub(in crate::decode) image: Image,
    /// Width and height of the whole image in pixels of the reduced one, of which the last in a row may be there in part only.
    pub(in crate::decode) size: (f64, f64),
}

/// Decodes a JPEG to a part of its size. `None` where that is not done here: of components that are sampled so often that they have no
/// such means, and of inks, whose light is not the mean of their means.
///
/// # Errors
///
/// Every variant of [`Error`].
pub(in crate::decode) fn decode(header: &Header<'_>, scale: Scale) -> Result<Option<ScaledImage>, Error> {
    let each = scale as usize;
    let (width, height) = header.size();
    let scaled = |length: u32| length.div_ceil(each as u32) as usize;
    let (columns, rows) = (scaled(width), scaled(height));
    let all = columns * rows * Image::CHANNELS;
    if matches!(header.colours, Colours::Cmyk | Colours::Ycck) {
        return Ok(None);
    }
    let mut pixels = room_for(all);
    let is_done = strips::rows(header, each, |strips, row| {
        // Units may reach beyond the image.
        if pixels.len() < all {
            append(&mut pixels, header.colours, strips, row, columns);
        }
    })?;
    let size = |length: u32| f64::from(length) / each as f64;
    Ok(is_done.then(|| ScaledImage {
        size: (size(width), size(height)),
        image: Image::new(columns as u32, rows as u32, pixels),
    }))
}

/// Appends a row of interleaved RGB.
///
/// # Source
///
/// ITU-T T.871, section 7.
fn append(pixels: &mut Vec<u8>, colours: Colours, strips: &[&Strip], row: usize, width: usize) {
    match strips {
        [first, second, third] => {
            let values = first
                .line(row)
                .iter()
                .zip(second.line(row))
                .zip(third.line(row))
                .take(width);
            if colours == Colours::Rgb {
                pixels.extend(values.flat_map(|((r, g), b)| [byte(*r), byte(*g), byte(*b)]));
                return;
            }
            pixels.extend(values.flat_map(|((y, cb), cr)| {
                [
                    byte(y + 1.402 * cr),
                    byte(y - 0.344_136 * cb - 0.714_136 * cr),
                    byte(y + 1.772 * cb),
                ]
            }));
        }
        [grey, ..] => pixels.extend(grey.line(row).iter().take(width).flat_map(|y| [byte(*y); 3])),
        [] => {}
    }
}

/// From a value around 0, rounded to nearest and clamped.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion clamps, and what is no number becomes 0"
)]
fn byte(value: f32) -> u8 {
    (value + 128.5) as u8
}

#[cfg(test)]
mod tests;
