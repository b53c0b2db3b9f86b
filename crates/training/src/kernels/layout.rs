//! Conversion between NCHW and NCHWc layout.

use super::Extent;
use super::exec_context::ExecContext;
use super::unsafe_slice::UnsafeSlice;
use super::vector::LANES;

/// NCHW to NCHWc.
///
/// # Panics
/// If a length is wrong.
pub fn to_blocks(exec: &ExecContext<'_>, extent: Extent, from: &[f32], to: &mut [f32]) {
    planes(exec, extent, from, to, |from, to| {
        let pixels = from.len() / LANES;
        for (pixel, to) in to.chunks_exact_mut(LANES).enumerate() {
            for (channel, to) in to.iter_mut().enumerate() {
                *to = from[channel * pixels + pixel];
            }
        }
    });
}

/// NCHWc to NCHW.
///
/// # Panics
/// If a length is wrong.
pub fn from_blocks(exec: &ExecContext<'_>, extent: Extent, from: &[f32], to: &mut [f32]) {
    planes(exec, extent, from, to, |from, to| {
        let pixels = from.len() / LANES;
        for (channel, to) in to.chunks_exact_mut(pixels).enumerate() {
            for (pixel, to) in to.iter_mut().enumerate() {
                *to = from[pixel * LANES + channel];
            }
        }
    });
}

/// Applies `reorder` to each block of sixteen channels of an image, which is contiguous in both layouts.
fn planes(
    exec: &ExecContext<'_>,
    extent: Extent,
    from: &[f32],
    to: &mut [f32],
    reorder: impl Fn(&[f32], &mut [f32]) + Sync,
) {
    assert!(from.len() == extent.elements() && to.len() == extent.elements());
    let plane = extent.plane();
    let to = UnsafeSlice::new(to);
    exec.pool.run(extent.images * extent.blocks, &|number| {
        let start = number * plane;
        // SAFETY: there are as many tasks as planes in the output, and a pool calls with each number once: no other task uses this plane.
        let to = unsafe { std::slice::from_raw_parts_mut(to.at(start), plane) };
        reorder(&from[start..start + plane], to);
    });
}
