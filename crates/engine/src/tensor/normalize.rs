//! Converts a rendered image in bytes to a tensor.

use super::curve::Curve;
use super::grid::FRACTION_BITS;
use super::spec::TensorSpec;
use super::store::RowBuffer;
use crate::lighting::Lighting;

/// Writes the tensor of a rendered image, `u8[S, S, 3] → [3, S, S]` or `[S, S, 3]`. Values are normalised exactly as by
/// [`write_image`](super::write_image) at integer coordinates.
///
/// # Panics
///
/// If the length of `pixels` or `out` does not match `spec`.
pub fn write_pixels(pixels: &[u8], spec: &TensorSpec, out: &mut [u8]) {
    let size = spec.size as usize;
    assert_eq!(pixels.len(), spec.image_elements(), "bytes of the image");
    assert_eq!(out.len(), spec.image_bytes(), "bytes of the tensor");
    let curve = Curve::new(&Lighting::IDENTITY, spec);
    let table: [[f32; 256]; 3] = std::array::from_fn(|channel| {
        let mut sum = 0;
        std::array::from_fn(|_| {
            let value = curve.value(channel, sum);
            sum += 1 << FRACTION_BITS;
            value
        })
    });
    let mut scratch = RowBuffer::new(size);
    for (row, bytes) in pixels.chunks_exact(3 * size).enumerate() {
        for (column, pixel) in bytes.chunks_exact(3).enumerate() {
            for (channel, byte) in pixel.iter().enumerate() {
                scratch.f32_values[channel * size + column] = table[channel][usize::from(*byte)];
            }
        }
        scratch.store(spec, row, out);
    }
}
