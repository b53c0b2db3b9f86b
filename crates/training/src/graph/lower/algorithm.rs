//! Which of several equivalent spellings of a convolution's three products is used: the one place that knows what is fast.
//!
//! The thresholds are those of ONNX Runtime's CPU provider, where the cost of a spelling depends on how many positions an image has: its
//! convolution multiplies image by image, so on small images the weights are read again for few columns, and one product over the whole
//! batch is up to twice as fast; on large ones the copies that such a product needs cost more than they save. The figures stand in
//! `BENCHMARKS.md`.

use super::im2col::Window;

/// The result of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forward {
    /// The standard operator.
    Direct,
    /// One product of all columns with the weight.
    Im2col,
}

/// The gradient of its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The transposed convolution: any stride.
    Transposed,
    /// A convolution of `dy` with the kernel turned by half a circle and its channel axes swapped: stride one only.
    Flipped,
    /// One product of all columns of `dy` with the weight: stride one only.
    Im2col,
}

/// The gradient of its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// One product of `dy` with all columns.
    Im2col,
    /// One product per image, with the columns in the layout of the image.
    Im2colPerImage,
    /// One product per tap and image.
    PerTap,
}

/// A convolution, as far as its cost is concerned.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) window: Window,
    /// Channels of the operand.
    pub(super) channels: usize,
    /// Whether providers have convolutions for its elements: in bfloat16 they have matrix products alone.
    pub(super) is_convolved: bool,
}

impl Sizes {
    fn positions(&self) -> usize {
        self.window.positions[0] * self.window.positions[1]
    }
}

pub(super) fn forward(sizes: Sizes) -> Forward {
    if sizes.positions() <= 64 || !sizes.is_convolved {
        Forward::Im2col
    } else {
        Forward::Direct
    }
}

pub(super) fn input(sizes: Sizes) -> Input {
    match sizes.window.conv.stride {
        [1, 1] if sizes.positions() <= 256 || !sizes.is_convolved => Input::Im2col,
        [1, 1] => Input::Flipped,
        _ => Input::Transposed,
    }
}

pub(super) fn weight(sizes: Sizes) -> Weight {
    if sizes.channels < 16 {
        // Rows of a few channels are not worth copying one by one.
        Weight::Im2colPerImage
    } else if sizes.positions() > 1024 {
        Weight::PerTap
    } else {
        Weight::Im2col
    }
}
