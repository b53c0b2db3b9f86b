//! Conversion of a row of values to tensor elements.

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use super::spec::{ElementType, Layout, TensorSpec};

/// The values of one row of the result: all red, then all green, then all blue ones.
#[derive(Debug)]
pub(super) struct RowBuffer {
    /// Output of the kernel.
    pub(super) f32_values: Vec<f32>,
    f16_values: Vec<f16>,
}

impl RowBuffer {
    pub(super) fn new(size: usize) -> Self {
        Self {
            f32_values: vec![0.0; 3 * size],
            f16_values: vec![f16::ZERO; 3 * size],
        }
    }

    /// Converts the values and writes them to row `row` of `out`.
    pub(super) fn store(&mut self, spec: &TensorSpec, row: usize, out: &mut [u8]) {
        let target = RowTarget {
            size: spec.size as usize,
            layout: spec.layout,
            row,
        };
        match spec.element_type {
            ElementType::F32 => target.put(&self.f32_values, out, |value| value.to_le_bytes()),
            ElementType::F16 => {
                // As a slice, so that hardware conversion of several values at a time is used if available.
                self.f16_values.convert_from_f32_slice(&self.f32_values);
                target.put(&self.f16_values, out, |value| value.to_le_bytes());
            }
            ElementType::U8 => target.put(&self.f32_values, out, |value| [byte(value)]),
        }
    }
}

/// Rounds to nearest, ties to even, and clamps to 0..=255.
fn byte(value: f32) -> u8 {
    // At this magnitude adjacent floats differ by 1, so the addition rounds to integers; unlike `round_ties_even`, it is always vectorised.
    const ROUND: f32 = 12_582_912.0;
    let [lowest, ..] = (value.clamp(0.0, 255.0) + ROUND).to_bits().to_le_bytes();
    lowest
}

/// The position of a row in the tensor.
struct RowTarget {
    size: usize,
    layout: Layout,
    row: usize,
}

impl RowTarget {
    fn put<T: Copy, const BYTES: usize>(
        &self,
        values: &[T],
        out: &mut [u8],
        convert: impl Fn(T) -> [u8; BYTES],
    ) {
        let size = self.size;
        match self.layout {
            Layout::Nchw => {
                for (plane, values) in out
                    .chunks_exact_mut(size * size * BYTES)
                    .zip(values.chunks_exact(size))
                {
                    let (elements, _) =
                        plane[self.row * size * BYTES..][..size * BYTES].as_chunks_mut::<BYTES>();
                    for (element, value) in elements.iter_mut().zip(values) {
                        *element = convert(*value);
                    }
                }
            }
            Layout::Nhwc => {
                let (red, rest) = values.split_at(size);
                let (green, blue) = rest.split_at(size);
                let (elements, _) =
                    out[self.row * size * 3 * BYTES..][..size * 3 * BYTES].as_chunks_mut::<BYTES>();
                let (pixels, _) = elements.as_chunks_mut::<3>();
                for (pixel, ((red, green), blue)) in pixels.iter_mut().zip(red.iter().zip(green).zip(blue)) {
                    *pixel = [convert(*red), convert(*green), convert(*blue)];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::byte;

    #[test]
    fn bytes_are_rounded_to_nearest_and_clamped() {
        for (value, expected) in [
            (-3.0, 0),
            (0.0, 0),
            (0.49, 0),
            (0.51, 1),
            (1.5, 2),
            (2.5, 2),
            (254.6, 255),
            (255.4, 255),
            (1e9, 255),
        ] {
            assert_eq!(byte(value), expected, "{value}");
        }
    }
}
