//! Fused operators of our own domain.
//!
//! # Layout
//! - [`Fused`]: the operators and what they compute.
//! - `attributes`: their names and attributes in model files, written and read by one description ([`Fused::visit`]).

mod attributes;

pub use attributes::{AttributeVisitor, DOMAIN, shape_attribute};

use super::op_attributes::{AdamW, BatchNormalization, Conv2d, LayerNormalization, MaxPool2d, Relu};

/// Operators of our own domain, each of which computes several ONNX operators in one pass over the activations.
///
/// Activations between them have the blocked layout NCHWc with sixteen channels per block, `[N][C/16][H][W][16]`. Only these operators and
/// elementwise ones see that layout: types still say `[N, C, H, W]`, and the mathematical meaning of an operator does not depend on it.
///
/// Training-mode batch normalisation is split up: the preceding convolution computes the batch statistics, [`Fused::ScaleShift`] turns them
/// into a scale and shift per channel (`scale_shift: [2, C]`), and each consumer applies these in its prologue.
#[derive(Clone, Debug, PartialEq)]
pub enum Fused {
    /// Layout conversion from NCHW to NCHWc.
    ToBlocks,
    /// Layout conversion from NCHWc to NCHW.
    FromBlocks,
    /// Convolution with batch statistics of its output: `(x, [scale_shift,] w) → (y, mean, variance)`.
    Conv {
        /// The convolution.
        conv: Conv2d,
        /// Layout and prologue of x.
        input: ConvInput,
    },
    /// Depthwise convolution of `relu(scale · (e ⋆ x) + shift)`, where `e` is the weight of a 1×1 convolution: `(x, e, scale_shift, w) → y`.
    ExpandedConv {
        /// The depthwise convolution.
        conv: Conv2d,
        /// The ReLU.
        relu: Relu,
    },
    /// Gradient of a convolution with respect to its input, with an epilogue: `(w, dy, …) → ([sums,] g)`; see [`GradEpilogue`].
    ConvInputGradient {
        /// The convolution.
        conv: Conv2d,
        /// Height and width of its input.
        extent: [usize; 2],
        /// The epilogue.
        epilogue: GradEpilogue,
    },
    /// Gradient of a convolution with respect to its weight: `(x, [scale_shift,] dy) → dw`.
    ConvWeightGradient {
        /// The convolution.
        conv: Conv2d,
        /// Height and width of its kernel.
        kernel: [usize; 2],
        /// Layout and prologue of x.
        input: ConvInput,
    },
    /// A batch norm as a scale and shift per channel: `(γ, β, mean, variance) → scale_shift`.
    ScaleShift(BatchNormalization),
    /// `y = scale · x + shift + shortcut`, optionally followed by ReLU: `(x, scale_shift[, shortcut[, scale_shift]]) → y`.
    Normalize {
        /// The addend.
        shortcut: Shortcut,
        /// The ReLU, if one is applied.
        relu: Option<Relu>,
    },
    /// The epilogue of a gradient as an operator of its own: `(dy, …) → ([sums,] g)`.
    GradEpilogue(GradEpilogue),
    /// Gradient of a batch norm, from the sums of the upstream gradient: `(g, x, sums, γ, mean, variance) → (dγ, dβ, dx)`.
    BatchNormGradient(BatchNormalization),
    /// Max pooling of `max(scale · x + shift, 0)`: `(x, scale_shift) → y`.
    MaxPool(MaxPool2d),
    /// Gradient of [`Fused::MaxPool`] with respect to `scale · x + shift`: `(x, scale_shift, dy, mean) → (sums, g)`.
    MaxPoolGradient(MaxPool2d),
    /// [`Composite::LayerNorm`](super::Composite::LayerNorm) in one pass.
    LayerNorm(LayerNormalization),
    /// [`Composite::LayerNormGradient`](super::Composite::LayerNormGradient) in one pass.
    LayerNormGradient(LayerNormalization),
    /// [`Composite::Gelu`](super::Composite::Gelu) in one pass: `(x[, after]) → y`. A second operand is not read: y is computed when it exists.
    Gelu,
    /// [`Composite::GeluGradient`](super::Composite::GeluGradient) in one pass.
    GeluGradient,
    /// [`Composite::SoftmaxGradient`](super::Composite::SoftmaxGradient) in one pass.
    SoftmaxGradient,
    /// [`Composite::AdamW`](super::Composite::AdamW) in one pass. With two more operands, whether all gradients are finite and the loss: returns
    /// parameter and moments as they are unless both are finite, and may overwrite them.
    AdamW(AdamW),
    /// [`Composite::ConvInputGradient`](super::Composite::ConvInputGradient) by cuDNN, in NCHW layout.
    CudnnInputGradient {
        /// The convolution.
        conv: Conv2d,
        /// Height and width of its input.
        extent: [usize; 2],
    },
    /// [`Composite::ConvWeightGradient`](super::Composite::ConvWeightGradient) by cuDNN, in NCHW layout.
    CudnnWeightGradient {
        /// The convolution.
        conv: Conv2d,
        /// Height and width of its kernel.
        kernel: [usize; 2],
    },
}

impl Fused {
    /// Whether cuDNN computes it, on CUDA devices; a CPU computes the others.
    #[must_use]
    pub fn is_of_cudnn(&self) -> bool {
        matches!(
            self,
            Self::CudnnInputGradient { .. } | Self::CudnnWeightGradient { .. }
        )
    }
}

/// Layout and prologue of a convolution's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ConvInput {
    /// Fewer than sixteen channels in NCHW layout: `x`.
    Nchw,
    /// NCHWc layout: `x`.
    NchwC,
    /// NCHWc layout with the prologue `relu(scale · x + shift)`: `x, scale_shift`.
    NchwCRelu(Relu),
}

/// The addend of [`Fused::Normalize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcut {
    /// Nothing.
    None,
    /// A value: `shortcut`.
    Raw,
    /// A value with a scale and shift of its own: `shortcut, scale_shift`.
    ScaleShift,
}

/// Epilogue of a gradient: `g = (dy + addend) · [mask]`, and if a batch norm follows in the backward pass,
/// `sums = (Σ g, Σ g·(x − mean))` per channel, `[2, C]`.
///
/// Operands in the order of the fields: `[addend], [y or scale_shift], [x, mean]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradEpilogue {
    /// Whether another gradient of the same value is added: `addend`.
    pub has_addend: bool,
    /// The mask of a ReLU.
    pub mask: ReluMask,
    /// Whether sums are computed for a batch norm with input `x` and its `mean`.
    pub has_batch_mean: bool,
}

/// The value that gives the mask of a ReLU: `[0 < value < high]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReluMask {
    /// No ReLU.
    None,
    /// The ReLU's output: `y`.
    Output(Relu),
    /// `scale · x + shift`: `scale_shift`, with the batch norm's input x.
    ScaleShift(Relu),
}

impl GradEpilogue {
    /// Number of operands it adds.
    pub(super) fn operands(self) -> usize {
        usize::from(self.has_addend)
            + usize::from(self.mask != ReluMask::None)
            + 2 * usize::from(self.has_batch_mean)
    }
}
