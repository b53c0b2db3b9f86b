//! From a row of values to the elements of a tensor.

use half::f16;

use super::spec::{ElementType, Layout, TensorSpec};

/// Stores row `row` of the result: `values` holds the row's red values, then the green, then the blue ones.
pub(super) fn row(values: &[f32], spec: &TensorSpec, row: usize, out: &mut [u8]) {
    match spec.element_type {
        ElementType::F32 => place(values, spec, row, (out, f32::to_le_bytes)),
        ElementType::F16 => place(
            values,
            spec,
            row,
            (out, |value| f16::from_f32(value).to_le_bytes()),
        ),
        ElementType::U8 => place(values, spec, row, (out, |value| [byte(value)])),
    }
}

/// Rounds to nearest, ties to even, and clamps to 0..=255.
fn byte(value: f32) -> u8 {
    // At this magnitude neighbouring numbers are 1 apart, so the addition rounds, in a way that compilers vectorise on any machine.
    const ROUND: f32 = 12_582_912.0;
    let [lowest, ..] = (value.clamp(0.0, 255.0) + ROUND).to_bits().to_le_bytes();
    lowest
}

fn place<const BYTES: usize>(
    values: &[f32],
    spec: &TensorSpec,
    row: usize,
    (out, convert): (&mut [u8], impl Fn(f32) -> [u8; BYTES]),
) {
    let size = spec.size as usize;
    match spec.layout {
        Layout::Nchw => {
            for (plane, values) in out
                .chunks_exact_mut(size * size * BYTES)
                .zip(values.chunks_exact(size))
            {
                let elements = plane[row * size * BYTES..][..size * BYTES].chunks_exact_mut(BYTES);
                for (element, value) in elements.zip(values) {
                    element.copy_from_slice(&convert(*value));
                }
            }
        }
        Layout::Nhwc => {
            let (red, rest) = values.split_at(size);
            let (green, blue) = rest.split_at(size);
            let pixels = out[row * size * 3 * BYTES..][..size * 3 * BYTES].chunks_exact_mut(3 * BYTES);
            for (pixel, ((red, green), blue)) in pixels.zip(red.iter().zip(green).zip(blue)) {
                for (element, value) in pixel.chunks_exact_mut(BYTES).zip([red, green, blue]) {
                    element.copy_from_slice(&convert(*value));
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
