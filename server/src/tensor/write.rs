//! From an image to the bytes of a tensor.

use super::curve::Curve;
use super::grid::Grid;
use super::spec::{ElementType, Layout, TensorSpec};
use super::{scalar, store};
use crate::geometry::Projective;
use crate::image::Image;
use crate::tone::Tone;

/// Writes the tensor of one augmented image.
///
/// `map` takes output pixels to pixels of `image`, beyond whose border pixels lies their reflection. `out` holds
/// [`TensorSpec::image_bytes`] bytes at any alignment (64 bytes is fastest).
///
/// # Shapes
///
/// `u8[H, W, 3] → [3, S, S]` or `[S, S, 3]`, by the specification's layout.
///
/// # Determinism
///
/// The same bytes on every machine.
///
/// # Panics
///
/// Where the length of `out` is another one or `spec` has no valid size.
pub fn write_image(image: &Image, map: &Projective, tone: &Tone, spec: &TensorSpec, out: &mut [u8]) {
    Rendering {
        image,
        map,
        tone,
        spec,
    }
    .write(out);
}

/// Everything that decides the bytes of one image's tensor.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// Where pixels come from.
    pub image: &'a Image,
    /// From which place each.
    pub map: &'a Projective,
    /// What becomes of their values.
    pub tone: &'a Tone,
    /// And how they are stored.
    pub spec: &'a TensorSpec,
}

/// A rendering, prepared for the kernels.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) image: &'a Image,
    /// The image's pixels and the slack behind them.
    pub(super) bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    pub(super) grid: Grid,
    pub(super) curve: Curve,
}

impl Rendering<'_> {
    /// Does what [`write_image`] does.
    ///
    /// # Panics
    ///
    /// As [`write_image`].
    pub fn write(&self, out: &mut [u8]) {
        let Self {
            image,
            map,
            tone,
            spec,
        } = *self;
        assert!(spec.size > 0, "a tensor has at least one pixel");
        assert_eq!(out.len(), spec.image_bytes(), "bytes of the tensor");
        let job = Job {
            image,
            bytes: image.pixels_and_slack(),
            stride: image.width() as usize * Image::CHANNELS,
            grid: Grid::new(map, spec.size),
            curve: Curve::new(tone, spec),
        };
        let size = spec.size as usize;
        if spec.element_type == ElementType::F32
            && spec.layout == Layout::Nchw
            && cfg!(target_endian = "little")
            && let Ok(elements) = bytemuck::try_cast_slice_mut::<u8, f32>(out)
        {
            let (red, rest) = elements.split_at_mut(size * size);
            let (green, blue) = rest.split_at_mut(size * size);
            let rows = red
                .chunks_exact_mut(size)
                .zip(green.chunks_exact_mut(size))
                .zip(blue.chunks_exact_mut(size));
            for (row, ((red, green), blue)) in (0..spec.size).zip(rows) {
                scalar::row(&job, row, [red, green, blue]);
            }
            return;
        }
        let mut scratch = vec![0.0; 3 * size];
        for row in 0..spec.size {
            let (red, rest) = scratch.split_at_mut(size);
            let (green, blue) = rest.split_at_mut(size);
            scalar::row(&job, row, [red, green, blue]);
            store::row(&scratch, spec, row as usize, out);
        }
    }
}
