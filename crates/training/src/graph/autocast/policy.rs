//! What each operator makes of half precision.

use crate::graph::{Composite, Op};

/// How a node is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CastPolicy {
    /// On operands that are rounded, in half precision: a product, which adds up in single precision inside.
    Low,
    /// As its operands are: in half precision where all of them are, in single precision where one is not.
    Propagate,
    /// In single precision, and its first result is rounded where its first operand was: a batch norm, whose statistics are sums.
    Internal,
    /// In single precision.
    Fp32,
}

/// The table: in the order of [`Op`].
///
/// What is not a product follows only where it can neither leave the range nor add up: at most a few numbers meet in each element.
pub(super) fn cast_policy(op: &Op) -> CastPolicy {
    use CastPolicy::{Fp32, Internal, Low, Propagate};
    match op {
        Op::Add | Op::Sub | Op::Mul | Op::Neg | Op::Relu | Op::Sigmoid | Op::Tanh | Op::Sum => Propagate,
        Op::Div | Op::Reciprocal | Op::Sqrt | Op::Exp | Op::Log | Op::Erf => Fp32,
        Op::Clip(_) | Op::Greater | Op::Where | Op::Cast(_) => Fp32,
        Op::ReduceSum(_) | Op::ReduceMean(_) | Op::ReduceSumSquare(_) => Fp32,
        Op::Reshape(_) | Op::Flatten | Op::Transpose(_) | Op::Expand(_) => Propagate,
        Op::Concat(_) | Op::Slice(_) | Op::Flip(_) | Op::Pad(_) => Propagate,
        Op::MatMul | Op::Gemm(_) => Low,
        Op::Conv(_) | Op::ConvTranspose(_) | Op::GroupConv(_) | Op::GroupConvTranspose(_) => Low,
        Op::MaxPool(_) => Propagate,
        Op::GlobalAveragePool | Op::ScatterElementsAdd => Fp32,
        Op::BatchNormalization(_) => Internal,
        Op::Softmax | Op::LogSoftmax | Op::OneHot(_) => Fp32,
        Op::Composite(composite) => match composite {
            Composite::Conv(_) => Low,
            Composite::BatchNorm(_) => Internal,
            // Losses; and what belongs to gradients and updates, which are not there yet.
            Composite::CrossEntropy
            | Composite::BatchNormGradient(_)
            | Composite::ConvInputGradient { .. }
            | Composite::ConvWeightGradient { .. }
            | Composite::GroupConvWeightGradient { .. }
            | Composite::MaxPoolGradient(_)
            | Composite::ReluGradient
            | Composite::AdamW(_) => Fp32,
        },
        Op::Fused(_) => Fp32,
    }
}
