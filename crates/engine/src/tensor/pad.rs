//! Padding of sources to a square.

use crate::{decode::resized, image::Image};

/// The image in the middle of a square of the grey value `value`. An odd pixel is added at the right or bottom end.
///
/// An image whose long side is more than twice `target` is first resized to that, with the filter of [`canonical`](crate::decode::canonical):
/// it bounds the memory, and is all that a bilinear sample for a result of `target` pixels can use.
///
/// # Shapes
///
/// `u8[H, W, 3] → u8[S, S, 3]` with `S = min(max(H, W), 2 target)`.
///
/// # Source
///
/// `ResizeMethod.PAD` of fastai's `Image.apply_tfms` with `padding_mode="zeros"`, which scales the long side, instead of the short one, to
/// the size.
#[must_use]
pub fn pad_to_square(image: &Image, value: u8, target: u32) -> Image {
    let long = image.width().max(image.height());
    let side = long.min(target.saturating_mul(2));
    if side == long {
        return centred(image, value);
    }
    let scaled = |length: u32| {
        let rounded = (2 * u64::from(length) * u64::from(side) + u64::from(long)) / (2 * u64::from(long));
        u32::try_from(rounded).map_or(side, |length| length.max(1))
    };
    let size = (scaled(image.width()), scaled(image.height()));
    centred(&resized(image, size), value)
}

/// The image in the middle of the smallest square that holds it.
fn centred(image: &Image, value: u8) -> Image {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let side = width.max(height);
    let mut pixels = vec![value; side * side * Image::CHANNELS];
    let (left, top) = ((side - width) / 2, (side - height) / 2);
    let rows = image.pixels().chunks_exact(width * Image::CHANNELS);
    for (row, out) in rows.zip(pixels.chunks_exact_mut(side * Image::CHANNELS).skip(top)) {
        out[left * Image::CHANNELS..][..row.len()].copy_from_slice(row);
    }
    let side = image.width().max(image.height());
    Image::new(side, side, pixels)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_image_is_in_the_middle_of_a_square(width in 1u32..20, height in 1u32..20, value: u8) {
            let bytes = (0..width * height * 3).map(|index| index as u8).collect();
            let image = Image::new(width, height, bytes);
            let padded = pad_to_square(&image, value, 10);
            let side = width.max(height);
            prop_assert_eq!((padded.width(), padded.height()), (side, side));
            let (left, top) = ((side - width) / 2, (side - height) / 2);
            for (index, pixel) in padded.pixels().chunks_exact(3).enumerate() {
                let (row, column) = (index as u32 / side, index as u32 % side);
                let inside = column.checked_sub(left).zip(row.checked_sub(top));
                let inside = inside.filter(|(column, row)| *column < width && *row < height);
                let expected = match inside {
                    Some((column, row)) => image.pixels()[(row * width + column) as usize * 3..][..3].to_vec(),
                    None => vec![value; 3],
                };
                prop_assert_eq!(pixel, expected);
            }
        }
    }

    #[test]
    fn long_images_need_little_memory() {
        for (width, height) in [(30_000, 2), (3, 40_000)] {
            let image = Image::new(width, height, vec![9; (width * height * 3) as usize]);
            let padded = pad_to_square(&image, 0, 64);
            assert_eq!((padded.width(), padded.height()), (128, 128));
            let shown = padded.pixels().chunks_exact(3).filter(|pixel| **pixel == [9; 3]);
            assert_eq!(shown.count(), 128, "one row or column");
        }
    }
}
