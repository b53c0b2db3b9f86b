//! Mixup and cutmix of two tensors, in place.

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use super::spec::{ElementType, Layout, TensorSpec};
use crate::mix::{Mix, Rectangle};

/// Values converted per iteration.
const BLOCK: usize = 64;

/// Mixes two images of form `spec` with each other: `a` takes a part of `b`, and `b` the same part of `a`.
///
/// A mixup weight `w` gives `(1 - w) a + w b` and `(1 - w) b + w a`, on normalised elements. `f32`: two products and a sum, each rounded.
/// `f16`: computed in `f32`, then rounded to nearest even. `u8`: integer arithmetic, rounded to nearest.
///
/// # Shapes
///
/// `[3, S, S]` or `[S, S, 3]`, by the specification's layout.
///
/// # Determinism
///
/// The same bytes on every machine.
///
/// # Panics
///
/// If the length of an image is not [`TensorSpec::image_bytes`].
pub fn mix(blend: Mix, spec: &TensorSpec, a: &mut [u8], b: &mut [u8]) {
    assert_eq!([a.len(), b.len()], [spec.image_bytes(); 2], "bytes of the images");
    match blend {
        Mix::Mixup(parts) => mixup(parts, spec.element_type, a, b),
        Mix::Cutmix(rectangle) => cutmix(rectangle, spec, a, b),
    }
}

fn mixup(parts: u16, element_type: ElementType, a: &mut [u8], b: &mut [u8]) {
    match element_type {
        ElementType::F32 => mix_f32(parts, a, b),
        ElementType::F16 => mix_f16(parts, a, b),
        ElementType::U8 => mix_u8(parts, a, b),
    }
}

/// The weights of an image itself and of its partner: exact, with a sum of 1.
fn weights(parts: u16) -> [f32; 2] {
    let whole = f32::from(Mix::WHOLE);
    [f32::from(Mix::WHOLE - parts) / whole, f32::from(parts) / whole]
}

fn mix_f32(parts: u16, a: &mut [u8], b: &mut [u8]) {
    let [keep, take] = weights(parts);
    for (a, b) in a.as_chunks_mut::<4>().0.iter_mut().zip(b.as_chunks_mut::<4>().0) {
        let (x, y) = (f32::from_le_bytes(*a), f32::from_le_bytes(*b));
        *a = (x * keep + y * take).to_le_bytes();
        *b = (y * keep + x * take).to_le_bytes();
    }
}

fn mix_f16(parts: u16, a: &mut [u8], b: &mut [u8]) {
    let [keep, take] = weights(parts);
    for (a, b) in a.chunks_mut(2 * BLOCK).zip(b.chunks_mut(2 * BLOCK)) {
        let (x, y) = (load(a), load(b));
        let mixed = |own: &[f32; BLOCK], other: &[f32; BLOCK]| -> [f32; BLOCK] {
            std::array::from_fn(|at| own[at] * keep + other[at] * take)
        };
        store(a, &mixed(&x, &y));
        store(b, &mixed(&y, &x));
    }
}

fn load(block: &[u8]) -> [f32; BLOCK] {
    let (mut f16_values, mut f32_values) = ([f16::ZERO; BLOCK], [0.0; BLOCK]);
    for (half, bytes) in f16_values.iter_mut().zip(block.as_chunks::<2>().0) {
        *half = f16::from_le_bytes(*bytes);
    }
    f16_values.convert_to_f32_slice(&mut f32_values);
    f32_values
}

fn store(block: &mut [u8], f32_values: &[f32; BLOCK]) {
    let mut f16_values = [f16::ZERO; BLOCK];
    f16_values.convert_from_f32_slice(f32_values);
    for (bytes, half) in block.as_chunks_mut::<2>().0.iter_mut().zip(&f16_values) {
        *bytes = half.to_le_bytes();
    }
}

fn mix_u8(parts: u16, a: &mut [u8], b: &mut [u8]) {
    let (keep, take) = (u32::from(Mix::WHOLE - parts), u32::from(parts));
    let mixed = |own: u8, other: u8| {
        let sum = u32::from(own) * keep + u32::from(other) * take + u32::from(Mix::WHOLE / 2);
        #[allow(clippy::cast_possible_truncation, reason = "a mean of bytes")]
        let byte = (sum / u32::from(Mix::WHOLE)) as u8;
        byte
    };
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (mixed(*a, *b), mixed(*b, *a));
    }
}

/// Exchanges the pixels of a rectangle.
fn cutmix(rectangle: Rectangle, spec: &TensorSpec, a: &mut [u8], b: &mut [u8]) {
    let Rectangle {
        top,
        left,
        height,
        width,
    } = rectangle;
    let size = spec.size as usize;
    // Number of planes, and bytes per pixel of a plane.
    let (planes, pixel) = match spec.layout {
        Layout::Nchw => (3, spec.element_type.byte_size()),
        Layout::Nhwc => (1, 3 * spec.element_type.byte_size()),
    };
    for plane in 0..planes {
        for row in top..top + height {
            let start = ((plane * size + row as usize) * size + left as usize) * pixel;
            let columns = start..start + width as usize * pixel;
            a[columns.clone()].swap_with_slice(&mut b[columns]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Normalization;

    const SIZE: u32 = 9;
    const TYPES: [ElementType; 3] = [ElementType::F32, ElementType::F16, ElementType::U8];

    fn spec(element_type: ElementType, layout: Layout) -> TensorSpec {
        TensorSpec {
            size: SIZE,
            element_type,
            layout,
            normalization: Normalization::IMAGENET,
        }
    }

    /// Integers in 0..=255, exact in every element type.
    fn image(spec: &TensorSpec, seed: u32) -> (Vec<u8>, Vec<f64>) {
        let count = u32::try_from(spec.image_elements()).unwrap();
        let values: Vec<u8> = (0..count)
            .map(|at| ((at * 7 + seed).wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let bytes = values.iter().flat_map(|&value| match spec.element_type {
            ElementType::F32 => f32::from(value).to_le_bytes().to_vec(),
            ElementType::F16 => f16::from_f32(value.into()).to_le_bytes().to_vec(),
            ElementType::U8 => vec![value],
        });
        (
            bytes.collect(),
            values.iter().map(|&value| value.into()).collect(),
        )
    }

    fn values(spec: &TensorSpec, bytes: &[u8]) -> Vec<f64> {
        let value = |bytes: &[u8]| match *bytes {
            [a, b, c, d] => f32::from_le_bytes([a, b, c, d]).into(),
            [a, b] => f16::from_le_bytes([a, b]).into(),
            _ => f64::from(bytes[0]),
        };
        bytes.chunks(spec.element_type.byte_size()).map(value).collect()
    }

    #[test]
    fn mixup_is_as_exact_as_the_element_type() {
        for (element_type, tolerance) in
            TYPES
                .into_iter()
                .zip([255.0 / (1 << 23) as f64, 255.0 / 4096.0, 0.5])
        {
            let spec = spec(element_type, Layout::Nchw);
            for parts in [0, 1, 1234, 8192, 16384] {
                let ((mut a, x), (mut b, y)) = (image(&spec, 1), image(&spec, 2));
                mix(Mix::Mixup(parts), &spec, &mut a, &mut b);
                let take = f64::from(parts) / 16384.0;
                for (found, (own, other)) in [(values(&spec, &a), (&x, &y)), (values(&spec, &b), (&y, &x))] {
                    for (found, (own, other)) in found.iter().zip(own.iter().zip(other)) {
                        let expected = own * (1.0 - take) + other * take;
                        assert!(
                            (found - expected).abs() <= tolerance,
                            "{spec:?} {parts}: {found}, not {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn cutmix_exchanges_a_rectangle_in_every_layout() {
        let rectangle = Rectangle {
            top: 2,
            left: 4,
            height: 3,
            width: 5,
        };
        let is_within = |row: usize, column: usize| (2..5).contains(&row) && (4..9).contains(&column);
        for element_type in TYPES {
            for layout in [Layout::Nchw, Layout::Nhwc] {
                let spec = spec(element_type, layout);
                let ((mut a, x), (mut b, y)) = (image(&spec, 1), image(&spec, 2));
                mix(Mix::Cutmix(rectangle), &spec, &mut a, &mut b);
                let (a, b) = (values(&spec, &a), values(&spec, &b));
                let side = SIZE as usize;
                for at in 0..a.len() {
                    let pixel = if layout == Layout::Nchw {
                        at % (side * side)
                    } else {
                        at / 3
                    };
                    let (of_a, of_b) = if is_within(pixel / side, pixel % side) {
                        (y[at], x[at])
                    } else {
                        (x[at], y[at])
                    };
                    assert_eq!((a[at], b[at]), (of_a, of_b), "{spec:?}, element {at}");
                }
            }
        }
    }

    #[test]
    fn mixing_is_symmetric() {
        for element_type in TYPES {
            let spec = spec(element_type, Layout::Nhwc);
            let ((mut a, _), (mut b, _)) = (image(&spec, 3), image(&spec, 4));
            let (mut c, mut d) = (b.clone(), a.clone());
            mix(Mix::Mixup(777), &spec, &mut a, &mut b);
            mix(Mix::Mixup(777), &spec, &mut c, &mut d);
            assert_eq!((a, b), (d, c), "the order of the images does not matter");
        }
    }
}
