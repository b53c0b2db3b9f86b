//! Choice between equivalent decompositions of a convolution and its two gradients, by speed.
//!
//! The thresholds were measured on ONNX Runtime's CPU provider. Its convolution multiplies one image at a time: for small feature maps, one
//! im2col matrix multiplication over the whole batch is up to twice as fast; for large ones, the copies made by im2col cost more than they
//! save. The measurements are in `BENCHMARKS.md`.
//!
//! On CUDA, cuDNN computes a convolution and its gradients, by operators of our own. Without these, it computes the gradient with respect to the input as a
//! transposed convolution. ONNX has no operator for the gradient with respect to the weight: of the two with one matrix multiplication, the one that writes
//! fewer elements. This is not measured.

use super::Kernels;
use super::im2col::Window;

/// Algorithm of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forward {
    /// The standard operator.
    Direct,
    /// im2col and one matrix multiplication with the weight.
    Im2col,
}

/// Algorithm of the gradient with respect to the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The transposed convolution: any stride, any number of groups.
    Transposed,
    /// A convolution of `dy` with the flipped kernel, its channel axes swapped: stride one and one group only.
    Flipped,
    /// im2col of `dy` and one matrix multiplication with the weight: stride one and one group only.
    Im2col,
}

/// Algorithm of the gradient with respect to the weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// im2col of the input and one matrix multiplication with `dy`: one group only.
    Im2col,
    /// im2col in NCHW layout and one matrix multiplication per image: one group only.
    Im2colPerImage,
    /// One matrix multiplication per kernel tap, image and group.
    PerTap,
}

/// The properties of a convolution that its cost depends on.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) window: Window,
    /// Input channels.
    pub(super) channels: usize,
    /// Output channels.
    pub(super) filters: usize,
    pub(super) kernels: Kernels,
    /// Whether execution providers have convolution kernels for the element type; for bfloat16 they have only matrix multiplications.
    pub(super) has_conv_kernel: bool,
}

impl Sizes {
    fn positions(&self) -> usize {
        self.window.positions[0] * self.window.positions[1]
    }
}

pub(super) fn forward(sizes: Sizes) -> Forward {
    let is_small = !sizes.kernels.are_of_cuda() && sizes.positions() <= 64;
    if is_small || !sizes.has_conv_kernel {
        Forward::Im2col
    } else {
        Forward::Direct
    }
}

pub(super) fn input(sizes: Sizes) -> Input {
    match sizes.window.conv.stride {
        _ if sizes.window.conv.groups > 1 => Input::Transposed,
        _ if sizes.kernels.are_of_cuda() && sizes.has_conv_kernel => Input::Transposed,
        [1, 1] if sizes.positions() <= 256 || !sizes.has_conv_kernel => Input::Im2col,
        [1, 1] => Input::Flipped,
        _ => Input::Transposed,
    }
}

pub(super) fn weight(sizes: Sizes) -> Weight {
    if sizes.window.conv.groups > 1 {
        Weight::PerTap
    } else if sizes.kernels.are_of_cuda() {
        // Beside as many patches, one product per image has a row for each filter, im2col transposes a row for each position.
        if sizes.filters <= sizes.positions() {
            Weight::Im2colPerImage
        } else {
            Weight::Im2col
        }
    } else if sizes.channels < 16 {
        // With few channels, the NHWC im2col would copy very short rows.
        Weight::Im2colPerImage
    } else if sizes.positions() > 1024 {
        Weight::PerTap
    } else {
        Weight::Im2col
    }
}
