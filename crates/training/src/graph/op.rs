//! Operators and their attributes.

pub use super::op_attributes::{
    AdamW, BatchNormalization, Clip, Conv2d, ConvTranspose2d, Gemm, LayerNormalization, MaxPool2d, Pad,
    Reduce, Relu, Slice,
};
use super::{Composite, ElementType, Fused, Shape};

/// The operators of a graph: a closed subset of ONNX's default domain, [`Composite`]s that are decomposed into it, and the [`Fused`]
/// operators of our own domain.
///
/// Each variant has the name of its ONNX operator, whose specification is its documentation; the comments state only what is fixed or left
/// out here. A new variant does not compile until type inference, export, autocast and autodiff handle it.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `a + b`, broadcast.
    Add,
    /// `a − b`, broadcast.
    Sub,
    /// `a · b`, broadcast.
    Mul,
    /// `a / b`, broadcast.
    Div,
    /// `−x`.
    Neg,
    /// `1 / x`.
    Reciprocal,
    /// `√x`.
    Sqrt,
    /// `eˣ`.
    Exp,
    /// `ln x`.
    Log,
    /// `max(x, 0)`.
    Relu,
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid,
    /// `(eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)`.
    Tanh,
    /// `2/√π · ∫₀ˣ e⁻ᵗ² dt`.
    Erf,
    /// `ln(1 + eˣ)`.
    Softplus,
    /// `min(max(x, low), high)`.
    Clip(Clip),
    /// `a > b`, broadcast; boolean.
    Greater,
    /// `a = b`, broadcast; boolean.
    Equal,
    /// `a and b` of booleans, broadcast.
    And,
    /// `a or b` of booleans, broadcast.
    Or,
    /// `not x` of booleans.
    Not,
    /// `max(a, b)`, broadcast.
    Max,
    /// `min(a, b)`, broadcast.
    Min,
    /// `condition ? a : b`, broadcast.
    Where,
    /// Cast to another element type.
    Cast(ElementType),
    /// Sum of one or more operands of equal shape.
    Sum,
    /// The sum along axes.
    ReduceSum(Reduce),
    /// The mean along axes.
    ReduceMean(Reduce),
    /// The sum of squares along axes.
    ReduceSumSquare(Reduce),
    /// The maximum along axes.
    ReduceMax(Reduce),
    /// The same elements with another shape.
    Reshape(Shape),
    /// Flattens all axes after the first: `[N, …] → [N, M]`. Unlike [`Op::Reshape`], it does not fix N.
    Flatten,
    /// Axis `i` of the output is axis `permutation[i]` of the operand.
    Transpose(Vec<usize>),
    /// Broadcasts to a larger shape.
    Expand(Shape),
    /// Concatenation along an axis.
    Concat(usize),
    /// Consecutive parts along the first axis, of the given lengths.
    Split(Vec<usize>),
    /// Every `step`-th index of a range, per axis.
    Slice(Slice),
    /// Selection along an axis by integer indices `(data, indices)`: their shape replaces the axis.
    Gather(usize),
    /// Reverses the elements along axes: ONNX's Slice with step −1.
    Flip(Vec<usize>),
    /// Zero padding.
    Pad(Pad),
    /// Matrix multiplication over the last two axes; leading axes broadcast.
    MatMul,
    /// `a′ · b′ (+ c)` for matrices, each optionally transposed; `c` broadcasts to the output.
    Gemm(Gemm),
    /// Two-dimensional cross-correlation `(x, w[, b])`.
    Conv(Conv2d),
    /// The transpose of [`Op::Conv`] `(x, w)`.
    ConvTranspose(ConvTranspose2d),
    /// The maximum of each window, and its flat index in the operand (of the first maximum if several are equal).
    MaxPool(MaxPool2d),
    /// The mean over all axes after the second; these are kept with extent one.
    GlobalAveragePool,
    /// Adds the elements of `updates` to `data` at `indices` along the first axis `(data, indices, updates)`; all of one rank.
    ScatterElementsAdd,
    /// `scale · (x − mean) / √(variance + ε) + bias` per channel `(x, scale, bias, mean, variance)`.
    BatchNormalization(BatchNormalization),
    /// `eˣ / Σ eˣ` along the last axis.
    Softmax,
    /// `x − ln Σ eˣ` along the last axis.
    LogSoftmax,
    /// One-hot encoding of integer labels as float rows of the given width.
    OneHot(usize),
    /// An operation that [`lower`](super::lower) decomposes into the operators above.
    Composite(Composite),
    /// A fused operator of our own domain.
    Fused(Fused),
}

impl Op {
    /// ReLU or ReLU6, if the operator is one.
    pub(crate) fn as_relu(&self) -> Option<Relu> {
        match *self {
            Self::Relu => Some(Relu::UNBOUNDED),
            Self::Clip(Clip { low: 0.0, high }) if high > 0.0 && high.is_finite() => Some(Relu { high }),
            _ => None,
        }
    }
}
