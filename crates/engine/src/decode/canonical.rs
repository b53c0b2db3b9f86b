//! The canonical size, at which decoded images are cached.

use super::resize::ResizeInput;
use super::scratch::with_scratch;
use crate::image::Image;

/// The canonical short side, in pixels, for crops of `image_size` x `image_size`: `ceil(image_size * 8 / 7)`, 256 for 224, so that a zoom
/// of up to 8/7 loses no sharpness.
#[must_use]
pub fn canonical_short_side(image_size: u32) -> u32 {
    u32::try_from((u64::from(image_size) * 8).div_ceil(7)).unwrap_or(u32::MAX)
}

/// The canonical size, `(width, height)`, of an image of `width` x `height` pixels: short side `short_side`, long side
/// `round(long * short_side / short)` with halves rounded up. Images are never enlarged; with `None`, the size is unchanged.
#[must_use]
pub fn canonical_size(width: u32, height: u32, short_side: Option<u32>) -> (u32, u32) {
    let short = width.min(height);
    let Some(side) = short_side.map(|side| side.max(1)).filter(|&side| side < short) else {
        return (width, height);
    };
    let scaled = |length: u32| {
        let doubled = 2 * u128::from(length) * u128::from(side) + u128::from(short);
        u32::try_from(doubled / (2 * u128::from(short))).expect("a smaller image has shorter sides")
    };
    (scaled(width), scaled(height))
}

/// Resizes `image` to its [`canonical_size`] with an antialiased triangle filter: `bilinear` of Pillow, and of torchvision with
/// `antialias=True`.
///
/// # Determinism
///
/// A function of the arguments; in fixed point, so the same on every instruction set.
#[must_use]
pub fn canonical(image: Image, short_side: Option<u32>) -> Image {
    let (width, height) = canonical_size(image.width(), image.height(), short_side);
    if (width, height) == (image.width(), image.height()) {
        return image;
    }
    resized(&image, (width, height))
}

/// Resizes an image to `size`, `(width, height)`, with the filter of [`canonical`].
///
/// # Panics
///
/// If a side of `size` is 0.
#[must_use]
pub fn resized(image: &Image, size: (u32, u32)) -> Image {
    resize_part(image, (image.width().into(), image.height().into()), size)
}

/// Resizes the upper left part of the image, of `part` pixels (width, height), to `size`.
///
/// # Panics
///
/// If a side of `size` is 0 or the part is larger than the image.
pub(super) fn resize_part(image: &Image, part: (f64, f64), size: (u32, u32)) -> Image {
    let source = ResizeInput {
        pixels: image.pixels(),
        size: (image.width(), image.height()),
        part,
    };
    with_scratch(|scratch| scratch.resizer.resize(source, size))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pseudo-random pixels from an integer hash.
    pub(in crate::decode) fn noise(width: u32, height: u32) -> Image {
        let bytes = width * height * 3;
        let pixels = (0..bytes)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        Image::new(width, height, pixels)
    }

    /// The filter from its definition, in f64: each output pixel is the mean of the source pixels weighted by a triangle whose half width
    /// is the scale, along rows and then along columns, rounded after each.
    fn reference(image: &Image, width: usize, height: usize) -> Vec<u8> {
        let along = |input: &[u8], lines: usize, from: usize, to: usize, stride: (usize, usize)| {
            let scale = from as f64 / to as f64;
            let mut output = vec![0; lines * to * 3];
            for line in 0..lines {
                for x in 0..to {
                    let centre = (x as f64 + 0.5) * scale;
                    let weight = |i: usize| (1.0 - ((i as f64 + 0.5 - centre) / scale).abs()).max(0.0);
                    let total: f64 = (0..from).map(weight).sum();
                    for channel in 0..3 {
                        let value: f64 = (0..from)
                            .map(|i| {
                                let at = line * stride.0 + i * stride.1;
                                weight(i) * f64::from(input[at * 3 + channel])
                            })
                            .sum();
                        output[(line * to + x) * 3 + channel] = (value / total).round() as u8;
                    }
                }
            }
            output
        };
        let (w, h) = (image.width() as usize, image.height() as usize);
        let rows = along(image.pixels(), h, w, width, (w, 1));
        let columns = along(&rows, width, h, height, (1, width));
        let mut output = vec![0; columns.len()];
        for x in 0..width {
            for y in 0..height {
                let (from, to) = ((x * height + y) * 3, (y * width + x) * 3);
                output[to..to + 3].copy_from_slice(&columns[from..from + 3]);
            }
        }
        output
    }

    #[test]
    fn the_filter_is_an_antialiased_triangle() {
        for (width, height, side) in [(40, 30, 12), (31, 64, 17), (9, 9, 1), (23, 100, 22)] {
            let image = noise(width, height);
            let (w, h) = canonical_size(width, height, Some(side));
            let expected = reference(&image, w as usize, h as usize);
            let found = canonical(image, Some(side));
            // One level of fixed-point rounding in each of the two passes.
            let worst = found
                .pixels()
                .iter()
                .zip(&expected)
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            assert!(worst <= Some(1), "{width}x{height} to {side}: {worst:?}");
        }
    }

    #[test]
    fn canonical_sizes_are_as_documented() {
        assert_eq!(canonical_short_side(224), 256);
        assert_eq!(canonical_short_side(1), 2);
        assert_eq!(canonical_size(500, 375, Some(256)), (341, 256));
        assert_eq!(canonical_size(375, 500, Some(256)), (256, 341));
        assert_eq!(canonical_size(500, 375, None), (500, 375));
        assert_eq!(canonical_size(300, 200, Some(1)), (2, 1));
    }

    proptest! {
        #[test]
        fn no_image_is_enlarged_and_the_short_side_is_exact(
            width in 1u32..9000, height in 1u32..9000, side in 1u32..3000,
        ) {
            let (w, h) = canonical_size(width, height, Some(side));
            prop_assert!(w <= width && h <= height);
            prop_assert_eq!(w.min(h), side.min(width.min(height)));
            prop_assert_eq!(canonical_size(height, width, Some(side)), (h, w));
            prop_assert_eq!(canonical_size(w, h, Some(side)), (w, h));
        }
    }
}
