//! The operators of our own domain.

use super::op::{AdamW, BatchNormalization, Conv2d, MaxPool2d};

/// The name of the domain that [`Fused`] operators belong to.
pub const DOMAIN: &str = "equibatch";

/// The attribute that holds the shape of a result.
#[must_use]
pub fn shape_attribute(result: usize) -> String {
    format!("shape{result}")
}

/// Names of attributes, and of their values, as a model file has them. Windows are written as ONNX writes them.
pub mod attribute {
    #![allow(missing_docs, reason = "a name and what it stands for are one")]
    pub const KERNEL: &str = "kernel_shape";
    pub const STRIDES: &str = "strides";
    pub const PADS: &str = "pads";
    pub const EPSILON: &str = "epsilon";
    pub const BETA2: &str = "beta2";
    pub const OPERAND: &str = "operand";
    pub const IMAGES: &str = "images";
    pub const BLOCKS: &str = "blocks";
    pub const RECTIFIED: &str = "rectified";
    pub const SHORTCUT: &str = "shortcut";
    pub const ADDEND: &str = "addend";
    pub const GATE: &str = "gate";
    pub const CENTRE: &str = "centre";
    pub const NONE: &str = "none";
    pub const RAW: &str = "raw";
    pub const AFFINE: &str = "affine";
    pub const RESULT: &str = "result";
}

/// Operators of our own domain: several of the others in one pass over activations.
///
/// Between them, activations `[N, C, H, W]` stand in *blocks* of sixteen channels, `[N][C/16][H][W][16]`. That is an agreement between these
/// operators alone: types say `[N, C, H, W]`, and element by element any operator may work on blocks. What a value holds, and so what the
/// operators mean, is the same in either order.
///
/// A batch norm by the batch's statistics is split up here: the convolution before it gathers the statistics, [`Fused::ScaleShift`] makes one
/// scale and shift per channel of them (`affine: [2, C]`), and whoever reads the result applies these on the way.
#[derive(Clone, Debug, PartialEq)]
pub enum Fused {
    /// A value in plain order, in blocks.
    ToBlocks,
    /// A value in blocks, in plain order.
    FromBlocks,
    /// A convolution and what a batch norm wants to know of its result: `(x, [affine,] w) → (y, mean, variance)`.
    Conv {
        /// The convolution.
        conv: Conv2d,
        /// What x is.
        input: ConvInput,
    },
    /// What a convolution passes back to its operand, and what else happens to it there: `(w, dy, …) → ([sums,] g)`; see [`GradEpilogue`].
    ConvInputGradient {
        /// The convolution.
        conv: Conv2d,
        /// Rows and columns of its operand.
        extent: [usize; 2],
        /// What else happens.
        epilogue: GradEpilogue,
    },
    /// What a convolution passes back to its weight: `(x, [affine,] dy) → dw`.
    ConvWeightGradient {
        /// The convolution.
        conv: Conv2d,
        /// Rows and columns of its kernel.
        kernel: [usize; 2],
        /// What x is.
        input: ConvInput,
    },
    /// A batch norm as one scale and shift per channel: `(γ, β, mean, variance) → affine`.
    ScaleShift(BatchNormalization),
    /// `y = scale · x + shift + shortcut`, rectified or not: `(x, affine[, shortcut[, affine]]) → y`.
    Normalize {
        /// What is added.
        shortcut: Shortcut,
        /// Whether negative results become zero.
        has_relu: bool,
    },
    /// What happens to a gradient where it arrives: `(dy, …) → ([sums,] g)`; see [`GradEpilogue`].
    GradEpilogue(GradEpilogue),
    /// What a batch norm passes back, given the sums of what arrived: `(g, x, sums, γ, mean, variance) → (dγ, dβ, dx)`.
    BatchNormGradient(BatchNormalization),
    /// The maximum of each window of `max(scale · x + shift, 0)`: `(x, affine) → y`.
    MaxPool(MaxPool2d),
    /// What [`Fused::MaxPool`] passes back to `scale · x + shift`: `(x, affine, dy, mean) → (sums, g)`.
    MaxPoolGradient(MaxPool2d),
    /// [`Composite::AdamW`](super::Composite::AdamW) in one pass.
    AdamW(AdamW),
}

/// What a convolution reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvInput {
    /// Few channels in plain order: `x`.
    Nchw,
    /// A value in blocks: `x`.
    NchwC,
    /// `max(scale · x + shift, 0)` of a value in blocks: `x, affine`.
    NchwCRelu,
}

/// What is added to a normalised value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcut {
    /// Nothing.
    None,
    /// A value: `shortcut`.
    Raw,
    /// A value through a scale and shift of its own: `shortcut, affine`.
    ScaleShift,
}

/// What happens to a gradient on its arrival at a value: `g = (dy + addend) · [mask]`, and with a batch norm before that,
/// `sums = (Σ g, Σ g·(x − mean))` per channel, `[2, C]`.
///
/// Operands stand in the order of the fields: `[addend], [y or affine], [x, mean]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GradEpilogue {
    /// Whether something arrived on other ways: `addend`.
    pub has_addend: bool,
    /// The rectifier in the way.
    pub mask: ReluMask,
    /// Whether there is a batch norm with operand `x`, and `mean` of that.
    pub has_batch_mean: bool,
}

/// What a rectifier lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReluMask {
    /// Everything: there is none.
    None,
    /// Where its result is positive: `y`.
    Output,
    /// Where `scale · x + shift` is positive: `affine`; x is that of the batch norm.
    ScaleShift,
}

impl GradEpilogue {
    /// How many operands it adds.
    pub(super) fn operands(self) -> usize {
        usize::from(self.has_addend)
            + usize::from(self.mask != ReluMask::None)
            + 2 * usize::from(self.has_batch_mean)
    }
}

impl Fused {
    /// The operator's name in its domain.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ToBlocks => "ToBlocks",
            Self::FromBlocks => "FromBlocks",
            Self::Conv { .. } => "Conv",
            Self::ConvInputGradient { .. } => "ConvInputGradient",
            Self::ConvWeightGradient { .. } => "ConvWeightGradient",
            Self::ScaleShift(_) => "Affine",
            Self::Normalize { .. } => "Normalize",
            Self::GradEpilogue(_) => "Arrive",
            Self::BatchNormGradient(_) => "BatchNormGradient",
            Self::MaxPool(_) => "MaxPool",
            Self::MaxPoolGradient(_) => "MaxPoolGradient",
            Self::AdamW(_) => "AdamW",
        }
    }
}
