//! What the kernels need to render an image.

use std::ops::Range;

use super::curve::Curve;
use super::grid::SampleGrid;
use super::spec::TensorSpec;
use crate::geometry::Projective;
use crate::image::Image;
use crate::lighting::Lighting;

/// The largest factor of the vector kernels' 16-bit multiplication.
const MAX_FACTOR: usize = i16::MAX as usize;

/// An image to render, prepared for the kernels.
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

impl<'a> RenderJob<'a> {
    /// `lighting` and `spec` give the curve, `map` the positions.
    pub(super) fn new(image: &'a Image, map: &Projective, lighting: &Lighting, spec: &TensorSpec) -> Self {
        let stride = image.width() as usize * Image::CHANNELS;
        let size = spec.size as usize;
        let grid = SampleGrid::new(map, spec.size);
        let one_reflection_suffices =
            |row| grid.one_reflection_suffices(row, size, (image.width(), image.height()));
        Self {
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
        }
    }

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
