use super::Shape;
use super::op_attributes::{AdamW, BatchNormalization, Conv2d, LayerNormalization, Relu};

/// Operations that ONNX's default domain lacks, or that have several equivalent decompositions.
///
/// A composite is one node during differentiation; [`lower`](super::lower) then decomposes it into standard nodes, and chooses by shape
/// between equivalent decompositions.
#[derive(Clone, Debug, PartialEq)]
pub enum Composite {
    /// Batch normalisation by batch statistics (training): `(x, γ, β) → (y, mean, variance)`, with the biased variance.
    BatchNorm(BatchNormalization),
    /// The gradient of [`Composite::BatchNorm`]: `(x, dy, γ, mean, variance) → (dx, dγ, dβ)`.
    BatchNormGradient(BatchNormalization),
    /// Layer normalisation over the last axis: `(x, γ, β) → y`.
    LayerNorm(LayerNormalization),
    /// The gradient of [`Composite::LayerNorm`]: `(x, dy, γ) → (dx, dγ, dβ)`.
    LayerNormGradient(LayerNormalization),
    /// `x → x·Φ(x)`, where Φ is the cumulative distribution function of the standard normal distribution.
    Gelu,
    /// The gradient of [`Composite::Gelu`]: `(x, dy) → dx`.
    GeluGradient,
    /// Gradient of softmax along the last axis: `(y, dy) → y·(dy − Σ dy·y)`.
    SoftmaxGradient,
    /// `(logits, targets) → loss`: `−Σ targets · log softmax(logits)`. `targets` holds one probability per class and sample.
    CrossEntropy,
    /// Gradient of a convolution with respect to its input: `(w, dy) → dx`.
    ConvInputGradient {
        /// The convolution.
        conv: Conv2d,
        /// Height and width of its input.
        extent: [usize; 2],
    },
    /// Gradient of a convolution with respect to its weight: `(x, dy) → dw`.
    ConvWeightGradient {
        /// The convolution.
        conv: Conv2d,
        /// Height and width of its kernel.
        kernel: [usize; 2],
    },
    /// Gradient of max pooling: `(indices, dy) → dx`, where `dx` has the given shape.
    MaxPoolGradient(Shape),
    /// Gradient of ReLU or ReLU6: `(y, dy) → dy · [0 < y < high]`.
    ReluGradient(Relu),
    /// AdamW step: `(p, g, m, v, β₁, 1 − β₁, 1/√c₂, 1 − lr·wd, lr/c₁) → (p′, m′, v′)`; symbols as in [`optim::AdamW`](crate::optim::AdamW).
    AdamW(AdamW),
}
