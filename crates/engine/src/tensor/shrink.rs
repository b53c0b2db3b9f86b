//! Area averaging of sources that are much larger than the result.

use crate::geometry::canvas;
use crate::image::Image;

/// Reduces an image whose sides are more than twice those of its canvas to about twice, each pixel the mean of those it covers; `None` for
/// smaller images, which need no reduction.
///
/// A bilinear sample reads four pixels, so beyond a factor of two it would skip some. Used for images that are cached at their original
/// size.
///
/// # Shapes
///
/// `u8[H, W, 3] → u8[floor(H / d), floor(W / d), 3]` with `d = min(H / h, W / w) / 2` for a canvas of `h` by `w`.
///
/// # Source
///
/// fastai `vision/image.py` `_grid_sample`: area interpolation before sampling if `d > 1`. Unlike fastai, the result is rounded to 8 bits,
/// and the step is not skipped for `1 < d <= zoom`.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean of bytes is a byte, and the sides shrink"
)]
pub fn area_shrink(image: &Image, target: u32) -> Option<Image> {
    let (width, height) = (image.width(), image.height());
    let (canvas_width, canvas_height) = canvas((width, height), target);
    let factor =
        (f64::from(height) / f64::from(canvas_height)).min(f64::from(width) / f64::from(canvas_width)) / 2.0;
    if factor <= 1.0 {
        return None;
    }
    let side = |length: u32| ((f64::from(length) * (1.0 / factor)) as u32).max(1);
    let (columns, rows) = (side(width), side(height));
    let stride = width as usize * Image::CHANNELS;
    let mut pixels = Vec::with_capacity(columns as usize * rows as usize * Image::CHANNELS);
    let mut column_sums = vec![0u32; stride];
    for row in 0..rows {
        let (top, bottom) = bin(row, height, rows);
        column_sums.fill(0);
        for line in image.pixels()[top * stride..bottom * stride].chunks_exact(stride) {
            for (sum, byte) in column_sums.iter_mut().zip(line) {
                *sum += u32::from(*byte);
            }
        }
        for column in 0..columns {
            let (left, right) = bin(column, width, columns);
            let area = ((bottom - top) * (right - left)) as u64;
            let mut sums = [0u64; Image::CHANNELS];
            for pixel in
                column_sums[left * Image::CHANNELS..right * Image::CHANNELS].chunks_exact(Image::CHANNELS)
            {
                for (sum, column) in sums.iter_mut().zip(pixel) {
                    *sum += u64::from(*column);
                }
            }
            pixels.extend(sums.map(|sum| ((sum + area / 2) / area) as u8));
        }
    }
    Some(Image::new(columns, rows, pixels))
}

/// The pixels `start..end` that output pixel `index` of `output` covers; neighbours share a pixel if the factor is not an integer.
#[allow(clippy::cast_possible_truncation, reason = "not above the input's length")]
fn bin(index: u32, input: u32, output: u32) -> (usize, usize) {
    let (index, input, output) = (u64::from(index), u64::from(input), u64::from(output));
    (
        (index * input / output) as usize,
        ((index + 1) * input).div_ceil(output) as usize,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: u32, height: u32) -> Image {
        let pixels = (0..height)
            .flat_map(|row| (0..width).flat_map(move |column| [(column % 251) as u8, (row % 241) as u8, 77]))
            .collect();
        Image::new(width, height, pixels)
    }

    #[test]
    fn sizes_match_the_reference() {
        for ((width, height), expected) in [
            ((500, 375), (500, 375)),
            ((600, 448), (600, 448)),
            ((600, 450), (598, 448)),
            ((1500, 1000), (672, 448)),
            ((4032, 3024), (598, 448)),
            ((150, 100), (150, 100)),
        ] {
            let image = gradient(width, height);
            let shrunk = area_shrink(&image, 224).unwrap_or(image);
            assert_eq!((shrunk.width(), shrunk.height()), expected, "{width}x{height}");
        }
    }

    #[test]
    fn each_pixel_is_the_mean_of_those_it_covers() {
        // 24 to a target of 4: d = 3, bins of 3 by 3.
        let shrunk = area_shrink(&gradient(24, 24), 4).expect("six times as large");
        assert_eq!((shrunk.width(), shrunk.height()), (8, 8));
        let expected: Vec<u8> = (0..8u8)
            .flat_map(|row| (0..8u8).flat_map(move |column| [3 * column + 1, 3 * row + 1, 77]))
            .collect();
        assert_eq!(shrunk.pixels(), expected);
    }

    #[test]
    fn bins_overlap_if_the_factor_is_not_an_integer() {
        let bins: Vec<_> = (0..3).map(|index| bin(index, 7, 3)).collect();
        assert_eq!(bins, [(0, 3), (2, 5), (4, 7)]);
    }
}
