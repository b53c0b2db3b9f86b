//! From an image to the bytes of a tensor.

use std::ops::Range;

use super::curve::Curve;
use super::grid::Grid;
use super::instructions::InstructionSet;
use super::spec::{ElementType, Layout, TensorSpec};
use super::store::Scratch;
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
    /// Columns of the result.
    pub(super) size: usize,
    /// Whether the image is small enough for the vector kernels' 16-bit factors and large enough for their single reflection.
    pub(super) is_vectorizable: bool,
    /// Whether [`Job::is_near`] holds for every row.
    is_near_everywhere: bool,
}

impl Job<'_> {
    /// Whether one reflection brings each position of row `row` into the image, with at least a pixel to spare.
    pub(super) fn is_near(&self, row: u32) -> bool {
        let image = (self.image.width(), self.image.height());
        self.is_near_everywhere || self.grid.is_near(row, self.size, image)
    }

    /// Columns of row `row`, which is near, whose positions need no reflection.
    pub(super) fn inside(&self, row: u32) -> Range<usize> {
        let image = (self.image.width(), self.image.height());
        self.grid.inside(row, self.size, image)
    }
}

impl Rendering<'_> {
    /// Does what [`write_image`] does.
    ///
    /// # Panics
    ///
    /// As [`write_image`].
    pub fn write(&self, out: &mut [u8]) {
        self.write_with(InstructionSet::best(), out);
    }

    /// Does what [`write_image`] does on a certain instruction set: for measurements and comparisons.
    ///
    /// # Panics
    ///
    /// As [`write_image`].
    pub fn write_with(&self, instructions: InstructionSet, out: &mut [u8]) {
        let Self {
            image,
            map,
            tone,
            spec,
        } = *self;
        assert!(spec.size > 0, "a tensor has at least one pixel");
        assert_eq!(out.len(), spec.image_bytes(), "bytes of the tensor");
        let stride = image.width() as usize * Image::CHANNELS;
        let size = spec.size as usize;
        let grid = Grid::new(map, spec.size);
        let is_near = |row| grid.is_near(row, size, (image.width(), image.height()));
        let job = Job {
            // What lies between rows of which this holds lies between their positions.
            is_near_everywhere: is_near(0) && is_near(spec.size - 1),
            image,
            bytes: image.pixels_and_slack(),
            stride,
            grid,
            curve: Curve::new(tone, spec),
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
        let mut scratch = Scratch::new(size);
        for row in 0..spec.size {
            instructions.rows(&job, row, planes(&mut scratch.singles));
            scratch.store(spec, row as usize, out);
        }
    }
}

/// The largest positive 16-bit number.
const MAX_FACTOR: usize = i16::MAX as usize;

/// Three equal parts.
fn planes(elements: &mut [f32]) -> [&mut [f32]; 3] {
    let (red, rest) = elements.split_at_mut(elements.len() / 3);
    let (green, blue) = rest.split_at_mut(rest.len() / 2);
    [red, green, blue]
}
