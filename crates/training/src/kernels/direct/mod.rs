//! Direct convolution, for any window.
//!
//! A task copies the input rows of its output rows into a *band*: zero-padded, and with the columns of equal remainder modulo the stride
//! contiguous, so that consecutive output pixels read consecutive band pixels whatever the stride. Every tap of the kernel is then a constant
//! offset in the band, and the inner loop sums over taps and channels, with up to fourteen pixels of two blocks of channels in registers.
//!
//! In the input gradient, the pixels of equal remainder modulo the stride depend on the same taps of the kernel; they are computed like a
//! forward convolution of `dy` with these taps.
//!
//! In a depthwise convolution ([`depthwise`]) a channel of the output depends on one channel of the input: a task has the band of one block, and
//! sums over taps only. It can read a 1×1 convolution that is not kept: [`planes`] computes the rows of a task's band when it needs them.

mod band;
mod convolve;
mod depthwise;
mod depthwise_weight_gradient;
mod forward;
mod image;
mod planes;
mod rows;
mod weight_gradient;
mod weights;

pub(super) use convolve::{Backward, backward};
pub(super) use depthwise_weight_gradient::depthwise_weight_gradient;
pub(super) use forward::{Forward, expanded_forward, forward};
pub(super) use image::{ImageForward, ImageWeightGradient, Images, image_forward, image_weight_gradient};
pub(super) use weight_gradient::weight_gradient;

/// Approximate number of output pixels per task: enough to reuse the weights in a core's cache.
const PIXELS: usize = 112;

/// Output rows per task for an output with that many columns.
fn rows_of_band(columns: usize) -> usize {
    (PIXELS / columns).max(1)
}

fn signed(number: usize) -> isize {
    isize::try_from(number).expect("extents fit in memory")
}
