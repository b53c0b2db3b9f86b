use super::Shape;
use super::op::{AdamW, BatchNormalization, Conv2d, GroupConv2d};

/// Operations that ONNX's default domain lacks, or spells in more than one way.
///
/// A composite is one node while gradients are taken and a few standard nodes afterwards: [`lower`](super::lower) holds the
/// spelling, and where several are equivalent, the choice between them by shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Composite {
    /// Normalisation by the batch's own statistics: `(x, γ, β) → (y, mean, variance)`; the variance is the biased one.
    BatchNorm(BatchNormalization),
    /// The gradient of [`Composite::BatchNorm`]: `(x, dy, γ, mean, variance) → (dx, dγ, dβ)`.
    BatchNormGradient(BatchNormalization),
    /// `(logits, targets) → loss`: `−Σ targets · log softmax(logits)`. Rows of targets are what a label means: one share per class.
    CrossEntropy,
    /// A convolution `(x, w)` without bias whose weight changes from run to run, so that no runtime can prepare it.
    Conv(Conv2d),
    /// What a convolution passes back to its operand: `(w, dy) → dx`.
    ConvInputGradient {
        /// The convolution.
        conv: Conv2d,
        /// Rows and columns of its operand.
        extent: [usize; 2],
    },
    /// What a convolution passes back to its weight: `(x, dy) → dw`.
    ConvWeightGradient {
        /// The convolution.
        conv: Conv2d,
        /// Rows and columns of its kernel.
        kernel: [usize; 2],
    },
    /// What a convolution of several groups passes back to its weight: `(x, dy) → dw`.
    GroupConvWeightGradient {
        /// The convolution.
        conv: GroupConv2d,
        /// Rows and columns of its kernel.
        kernel: [usize; 2],
    },
    /// What max pooling passes back: `(indices, dy) → dx`, where `dx` has the given shape.
    MaxPoolGradient(Shape),
    /// What a rectifier passes back: `(y, dy) → dy · [y > 0]`.
    ReluGradient,
    /// The update of a parameter p by its gradient g: `(p, g, m, v, β₁, 1 − β₁, 1/√c₂, 1 − lr·wd, lr/c₁) → (p′, m′, v′)`, in the terms
    /// of `optim`.
    AdamW(AdamW),
}
