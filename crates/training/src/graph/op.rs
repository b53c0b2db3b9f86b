//! The operators a graph is made of, and their attributes.

use super::{Composite, ElementType, Fused, Shape};

/// The operators a graph is made of: a closed part of ONNX's default domain, plus [`Composite`]s that are spelled in it, and
/// [`Fused`] operators of our own that stand for several of its.
///
/// Each variant bears the name of its ONNX operator, so that the operator's page of the specification is its documentation; what
/// follows says only what we fix or leave out. Adding a variant does not compile until type inference, export and gradient have
/// answered for it.
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
    /// `min(max(x, low), high)`.
    Clip(Clip),
    /// `a > b`, broadcast; a truth value.
    Greater,
    /// `condition ? a : b`, broadcast.
    Where,
    /// Conversion to another element type.
    Cast(ElementType),
    /// The sum of one or more operands of one shape.
    Sum,
    /// The sum along axes.
    ReduceSum(Reduce),
    /// The mean along axes.
    ReduceMean(Reduce),
    /// The sum of squares along axes.
    ReduceSumSquare(Reduce),
    /// The same elements in another shape.
    Reshape(Shape),
    /// All axes after the first joined: `[N, …] → [N, M]`. Unlike [`Op::Reshape`] it does not name N.
    Flatten,
    /// Axis `i` of the result is axis `permutation[i]` of the operand.
    Transpose(Vec<usize>),
    /// Repeated to a larger shape by the rule of broadcasting.
    Expand(Shape),
    /// Operands one after the other along an axis.
    Concat(usize),
    /// Every `step`-th index of a range, per axis.
    Slice(Slice),
    /// The order of elements reversed along axes: ONNX's Slice with step −1.
    Flip(Vec<usize>),
    /// Zeros around a tensor.
    Pad(Pad),
    /// Matrix product of the last two axes; leading axes broadcast.
    MatMul,
    /// `a′ · b′ (+ c)` on matrices, each transposed or not; `c` broadcasts to the result.
    Gemm(Gemm),
    /// Two-dimensional cross-correlation `(x, w[, b])`, one group, no dilation.
    Conv(Conv2d),
    /// The transpose of [`Op::Conv`] `(x, w)`.
    ConvTranspose(ConvTranspose2d),
    /// ONNX's Conv of several groups `(x, w[, b])`: channels are parted into as many, each convolved with filters of its own.
    GroupConv(GroupConv2d),
    /// ONNX's ConvTranspose of several groups: the transpose of [`Op::GroupConv`] `(x, w)`.
    GroupConvTranspose(GroupConvTranspose2d),
    /// The maximum of each window, and its flat index in the whole operand (the first one where several are equal).
    MaxPool(MaxPool2d),
    /// The mean over all axes after the second, kept with extent one.
    GlobalAveragePool,
    /// Elements of `updates` added to `data` at `indices` along the first axis `(data, indices, updates)`, all of rank one.
    ScatterElementsAdd,
    /// `scale · (x − mean) / √(variance + ε) + bias` per channel `(x, scale, bias, mean, variance)`.
    BatchNormalization(BatchNormalization),
    /// `eˣ / Σ eˣ` along the last axis.
    Softmax,
    /// `x − ln Σ eˣ` along the last axis.
    LogSoftmax,
    /// Labels as rows of zeros with a single one, of the given width, float.
    OneHot(usize),
    /// An operation with a name of its own that lowering spells in the operators above.
    Composite(Composite),
    /// An operator of our own domain.
    Fused(Fused),
}

/// Attributes of [`Op::Clip`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// The least result; −∞ where there is none.
    pub low: f32,
    /// The greatest result, at least `low`; ∞ where there is none.
    pub high: f32,
}

/// Attributes of a reduction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduce {
    /// The axes that are reduced, ascending.
    pub axes: Vec<usize>,
    /// Whether reduced axes stay, with extent one.
    pub keep_axes: bool,
}

/// Attributes of [`Op::Slice`]: one entry per axis of the operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// First index, per axis.
    pub starts: Vec<usize>,
    /// One past the last index considered, per axis.
    pub ends: Vec<usize>,
    /// Distance between indices, at least one, per axis.
    pub steps: Vec<usize>,
}

/// Attributes of [`Op::Pad`]: how many zeros, per axis of the operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pad {
    /// Before the first element.
    pub before: Vec<usize>,
    /// After the last element.
    pub after: Vec<usize>,
}

/// Attributes of [`Op::Gemm`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gemm {
    /// Use the transpose of the first operand.
    pub transpose_a: bool,
    /// Use the transpose of the second operand.
    pub transpose_b: bool,
}

/// Attributes of [`Op::Conv`]: rows first, then columns. The kernel's extent comes with the weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Distance between windows.
    pub stride: [usize; 2],
    /// Zeros on both sides.
    pub pad: [usize; 2],
}

impl Conv2d {
    /// The same along rows and columns.
    #[must_use]
    pub fn square(stride: usize, pad: usize) -> Self {
        Self {
            stride: [stride; 2],
            pad: [pad; 2],
        }
    }
}

/// Attributes of [`Op::ConvTranspose`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvTranspose2d {
    /// Stride and padding of the convolution this is the transpose of.
    pub conv: Conv2d,
    /// Rows and columns at the end that no window of that convolution reached.
    pub output_padding: [usize; 2],
}

/// Attributes of [`Op::GroupConv`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupConv2d {
    /// Windows.
    pub conv: Conv2d,
    /// At least one; divides the channels of operand and result.
    pub groups: usize,
}

/// Attributes of [`Op::GroupConvTranspose`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupConvTranspose2d {
    /// Windows, and what no window reached.
    pub transpose: ConvTranspose2d,
    /// As in the convolution this is the transpose of.
    pub groups: usize,
}

/// Attributes of [`Op::MaxPool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxPool2d {
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Distance between windows.
    pub stride: [usize; 2],
    /// Border on both sides that never wins.
    pub pad: [usize; 2],
}

/// Attributes of [`Op::BatchNormalization`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormalization {
    /// Added to the variance.
    pub epsilon: f32,
}

/// Attributes of [`Composite::AdamW`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// β₂.
    pub beta2: f32,
    /// ε.
    pub epsilon: f32,
}
