//! Downscaling with an antialiased triangle filter: `bilinear` of Pillow, and of torchvision with `antialias=True`.
//!
//! fast_image_resize is the reference implementation. With AVX-512 and scales between 1 and 3, as for photographs of some hundred pixels,
//! our own kernel computes the same bytes in less time.

#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "vector instructions and their loads; fast_image_resize's portable code is the reference"
)]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod plan_cache;
#[cfg(target_arch = "x86_64")]
mod taps;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer as LibraryResizer};

use super::pixels::room_for;
use crate::image::Image;

/// The upper left part of an image, to be resized.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResizeInput<'a> {
    /// RGB pixels, `u8[H, W, 3]`.
    pub(super) pixels: &'a [u8],
    /// Width and height of the image.
    pub(super) size: (u32, u32),
    /// Width and height of the part, in pixels; may be fractional.
    pub(super) part: (f64, f64),
}

/// Resizes images, and keeps buffers and plans for the next.
#[derive(Debug, Default)]
pub(super) struct Resizer {
    library: LibraryResizer,
    #[cfg(target_arch = "x86_64")]
    plan_cache: plan_cache::PlanCache,
}

impl Resizer {
    /// Resizes `source` to `size`, `(width, height)`.
    ///
    /// # Panics
    ///
    /// If a side of `size` is 0 or the part is larger than the image.
    pub(super) fn resize(&mut self, source: ResizeInput<'_>, size: (u32, u32)) -> Image {
        let mut pixels = room_for(size.0 as usize * size.1 as usize * Image::CHANNELS);
        #[cfg(target_arch = "x86_64")]
        if self.plan_cache.resize(source, size, &mut pixels) {
            return Image::new(size.0, size.1, pixels);
        }
        resize_with_library(&mut self.library, source, size, &mut pixels);
        Image::new(size.0, size.1, pixels)
    }

    /// Bytes of the kept buffers.
    pub(super) fn buffer_bytes(&self) -> usize {
        self.library.size_of_internal_buffers()
    }

    /// Frees the kept buffers.
    pub(super) fn free_buffers(&mut self) {
        self.library.reset_internal_buffers();
    }
}

fn resize_with_library(
    library: &mut LibraryResizer,
    source: ResizeInput<'_>,
    (width, height): (u32, u32),
    pixels: &mut Vec<u8>,
) {
    pixels.resize(width as usize * height as usize * Image::CHANNELS, 0);
    let view = TypedImageRef::<U8x3>::from_buffer(source.size.0, source.size.1, source.pixels)
        .expect("three bytes for every pixel");
    let mut target =
        TypedImage::<U8x3>::from_buffer(width, height, pixels).expect("three bytes for every pixel");
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(0.0, 0.0, source.part.0, source.part.1);
    // The untyped call would instantiate code for every pixel type and instruction set in this crate.
    library
        .resize_typed(&view, &mut target, &options)
        .expect("equal pixel types, and a part of the image");
}

#[cfg(test)]
mod tests;
