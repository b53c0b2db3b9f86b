//! Renders an image to a tensor.

use super::instructions::InstructionSet;
use super::job::RenderJob;
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
        let spec = self.spec;
        assert!(spec.size > 0, "a tensor has at least one pixel");
        assert_eq!(out.len(), spec.image_bytes(), "bytes of the tensor");
        let job = RenderJob::new(self.image, self.map, self.lighting, spec);
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
        let mut scratch = RowBuffer::new(job.size);
        for row in 0..spec.size {
            instructions.rows(&job, row, planes(&mut scratch.f32_values));
            scratch.store(spec, row as usize, out);
        }
    }
}

/// Splits a planar tensor or row into three planes.
fn planes(elements: &mut [f32]) -> [&mut [f32]; 3] {
    let (red, rest) = elements.split_at_mut(elements.len() / 3);
    let (green, blue) = rest.split_at_mut(rest.len() / 2);
    [red, green, blue]
}
