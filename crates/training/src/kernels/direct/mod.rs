//! Convolutions with any window, summed as they are written.
//!
//! A task copies the rows that its part of the result sees into a *band*: with zeros beyond the border, and with the columns of one
//! remainder of the stride side by side, so that neighbouring pixels of the result see neighbouring pixels of the band whatever the
//! stride. Then every tap of the kernel is a distance in the band, and the inner loop sums over taps and channels, with up to fourteen
//! pixels of two blocks of channels in registers.
//!
//! Backwards, the pixels of one remainder of the stride see the same taps of the kernel; they are computed like a forward convolution
//! of `dy` with these taps.

mod band;
mod convolve;
mod image;
mod rows;
mod weight_gradient;
mod weights;

pub(super) use convolve::{Backward, Forward, backward, forward};
pub(super) use image::{ImageForward, ImageWeightGradient, Images, image_forward, image_weight_gradient};
pub(super) use weight_gradient::{WeightGradient, weight_gradient};

/// About how many pixels of the result a task computes: as many as keep weights in a core's cache busy.
const PIXELS: usize = 112;

/// Rows of a task's part of a result with that many columns.
fn rows_of_band(columns: usize) -> usize {
    (PIXELS / columns).max(1)
}

fn signed(number: usize) -> isize {
    isize::try_from(number).expect("extents fit in memory")
}
