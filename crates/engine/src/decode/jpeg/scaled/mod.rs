//! Decoding at a quarter or an eighth of the size.
//!
//! The DC coefficient of a block is the average of its pixels. So an image of an eighth of the width and height needs no transform: AC
//! coefficients are only skipped. A quarter needs a small transform. Subsampled components are decoded at a larger scale, so that they need
//! no upsampling. A scale of one half would save only a seventh of the time and is not implemented.
//!
//! Each pixel is the average of the pixels of the full-size image that it covers, before these are clamped to bytes.

mod basis;
mod strips;

use self::strips::Strip;
use super::Error;
use super::frame::Colours;
use super::header::Header;
use crate::decode::pixels::room_for;
use crate::image::Image;

/// The divisor of width and height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode) enum Scale {
    Quarter = 4,
    Eighth = 8,
}

impl Scale {
    /// The scale for an image of `width` by `height` pixels that is then resized to `short_side`: the one with the smallest image whose
    /// short side is at least 4/3 of `short_side`, so that the antialiased resizing dominates the result. `None` for full size.
    pub(in crate::decode) fn of((width, height): (u32, u32), short_side: u32) -> Option<Self> {
        let least = |scale: Self| 4 * u64::from(short_side) * scale as u64;
        let short = 3 * u64::from(width.min(height));
        [Self::Eighth, Self::Quarter]
            .into_iter()
            .find(|&scale| short >= least(scale))
    }
}

/// An image decoded at a reduced scale.
#[derive(Debug)]
pub(in crate::decode) struct ScaledImage {
    pub(in crate::decode) image: Image,
    /// Width and height of the full-size image divided by the scale. The last pixels of rows and columns may be covered only in part.
    pub(in crate::decode) size: (f64, f64),
}

/// Decodes a JPEG at a reduced scale. `None` if that is not supported: for sampling factors for which a block has no such averages, and for
/// CMYK, whose conversion to RGB is not linear.
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
        // MCUs may extend beyond the image.
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

/// Converts a value centred on 0 to a byte: rounded to nearest and clamped.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion clamps; NaN becomes 0"
)]
fn byte(value: f32) -> u8 {
    (value + 128.5) as u8
}

#[cfg(test)]
mod tests;
