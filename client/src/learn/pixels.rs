//! From normalised tensors back to images.

use image::{Rgb, RgbImage};

/// The image of a normalised tensor, each value rounded to the nearest of 0..=255; NaN becomes 0.
///
/// # Shapes
///
/// `tensor`: little-endian `f32[3, size, size]`, at any alignment; `mean` and `std` in [0, 1] units, per channel: red, green, blue.
///
/// # Panics
///
/// If `tensor` has another length.
#[must_use]
pub fn picture(tensor: &[u8], size: u32, mean: [f32; 3], std: [f32; 3]) -> RgbImage {
    let plane = size as usize * size as usize;
    assert_eq!(tensor.len(), plane * 3 * size_of::<f32>(), "bytes of the tensor");
    let value = |channel: usize, at: usize| {
        let start = (channel * plane + at) * size_of::<f32>();
        let bytes = tensor[start..start + size_of::<f32>()]
            .try_into()
            .expect("four bytes");
        let unit = f32::from_le_bytes(bytes) * std[channel] + mean[channel];
        // NaN is cast to 0.
        (unit * 255.0).round().clamp(0.0, 255.0) as u8
    };
    RgbImage::from_fn(size, size, |x, y| {
        let at = y as usize * size as usize + x as usize;
        Rgb([0, 1, 2].map(|channel| value(channel, at)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalisation_of_every_byte_is_inverted_exactly() {
        let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let size = 16_u32;
        let bytes: Vec<[u8; 3]> = (0..size * size)
            .map(|at| [at as u8, (at * 3) as u8, 255 - at as u8])
            .collect();
        let normal = |channel: usize| {
            bytes.iter().flat_map(move |pixel| {
                ((f32::from(pixel[channel]) / 255.0 - mean[channel]) / std[channel]).to_le_bytes()
            })
        };
        let tensor: Vec<u8> = (0..3).flat_map(normal).collect();
        let picture = picture(&tensor, size, mean, std);
        let found: Vec<[u8; 3]> = picture.pixels().map(|pixel| pixel.0).collect();
        assert_eq!(found, bytes);
    }

    #[test]
    fn values_out_of_range_are_clamped_and_nan_is_black() {
        let tensor: Vec<u8> = [9.0_f32, -9.0, f32::NAN]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        assert_eq!(
            picture(&tensor, 1, [0.5; 3], [0.25; 3]).get_pixel(0, 0).0,
            [255, 0, 0]
        );
    }
}
