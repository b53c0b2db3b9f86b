//! Renders an image to a tensor.

use std::ops::Range;

use super::curve::Curve;
use super::grid::SampleGrid;
use super::instructions::InstructionSet;
use super::spec::{ElementType, Layout, TensorSpec};
use super::store::RowBuffer;
use crate::geometry::Projective;
use crate::image::Image;
use crate::lighting::Lighting;

/// Writes the tensor of one augmented image.
///
/// `map` takes output pixels to pixels of `image`; positions beyond the border are reflected. `out` has [`TensorSpec::image_bytes`] bytes
/// at any alignment (64 bytes is fastest).
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
/// If the length of `out` is not [`TensorSpec::image_bytes`] or the size in `spec` is 0.
pub fn write_image(image: &Image, map: &Projective, lighting: &Lighting, spec: &TensorSpec, out: &mut [u8]) {
    Rendering {
        image,
        map,
        lighting,
        spec,
    }
    .write(out);
}

/// The inputs that determine the tensor of one image.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// The source.
    pub image: &'a Image,
    /// Maps output pixels to pixels of the source.
    pub map: &'a Projective,
    /// Brightness and contrast.
    pub lighting: &'a Lighting,
    /// The form of the tensor.
    pub spec: &'a TensorSpec,
}

/// A [`Rendering`] prepared for the kernels.
#[derive(Debug)]
pub(super) struct RenderJob<'a> {
    pub(super) image: &'a Image,
    /// The image's pixels and the slack after them.
    pub(super) bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    pub(super) grid: SampleGrid,
    pub(super) curve: Curve,
    /// Columns of the result.
    pub(super) size: usize,
    /// Whether the image is small enough for the 16-bit factors of the vector kernels and large enough for their single reflection.
    pub(super) is_vectorizable: bool,
    /// Whether [`RenderJob::one_reflection_suffices`] holds for every row.
    one_reflection_suffices_everywhere: bool,
}

impl RenderJob<'_> {
    /// Whether at most one reflection brings each position of row `row` into the image, with a margin of a pixel.
    pub(super) fn one_reflection_suffices(&self, row: u32) -> bool {
        let image = (self.image.width(), self.image.height());
        self.one_reflection_suffices_everywhere || self.grid.one_reflection_suffices(row, self.size, image)
    }

    /// The columns of row `row` whose positions need no reflection. [`RenderJob::one_reflection_suffices`] must hold for the row.
    pub(super) fn interior(&self, row: u32) -> Range<usize> {
        let image = (self.image.width(), self.image.height());
        self.grid.interior(row, self.size, image)
    }
}

impl Rendering<'_> {
    /// As [`write_image`].
    ///
    /// # Panics
    ///
    /// As [`write_image`].
    pub fn write(&self, out: &mut [u8]) {
        self.write_with(InstructionSet::best(), out);
    }

    /// As [`write_image`], with the given instruction set: for benchmarks and tests.
    ///
    /// # Panics
    ///
    /// As [`write_image`].
    pub fn write_with(&self, instructions: InstructionSet, out: &mut [u8]) {
        let Self {
            image,
            map,
            lighting,
            spec,
        } = *self;
        assert!(spec.size > 0, "a tensor has at least one pixel");
        assert_eq!(out.len(), spec.image_bytes(), "bytes of the tensor");
        let stride = image.width() as usize * Image::CHANNELS;
        let size = spec.size as usize;
        let grid = SampleGrid::new(map, spec.size);
        let one_reflection_suffices =
            |row| grid.one_reflection_suffices(row, size, (image.width(), image.height()));
        let job = RenderJob {
            // If it holds for the first and the last row, it holds for all rows between.
            one_reflection_suffices_everywhere: one_reflection_suffices(0)
                && one_reflection_suffices(spec.size - 1),
            image,
            bytes: image.pixels_and_slack(),
            stride,
            grid,
            curve: Curve::new(lighting, spec),
            size,
            is_vectorizable: stride <= MAX_FACTOR
                && image.height() as usize <= MAX_FACTOR
                && image.width().min(image.height()) >= 3,
        };
        #[cfg(target_arch = "x86_64")]
        super::prefetch::prefetch(job.bytes);
        if spec.element_type == ElementType::F32
            && spec.layout == Layout::Nchw
            && cfg!(target_endian = "little")
            && let Ok(elements) = bytemuck::try_cast_slice_mut::<u8, f32>(out)
        {
            instructions.rows(&job, 0, planes(elements));
            return;
        }
        let mut scratch = RowBuffer::new(size);
        for row in 0..spec.size {
            instructions.rows(&job, row, planes(&mut scratch.f32_values));
            scratch.store(spec, row as usize, out);
        }
    }
}

/// The largest factor of the vector kernels' 16-bit multiplication.
const MAX_FACTOR: usize = i16::MAX as usize;

/// Splits a planar tensor or row into three planes.
fn planes(elements: &mut [f32]) -> [&mut [f32]; 3] {
    let (red, rest) = elements.split_at_mut(elements.len() / 3);
    let (green, blue) = rest.split_at_mut(rest.len() / 2);
    [red, green, blue]
}
