//! The cast policy of each operator.

use crate::graph::{Composite, Op};

/// How an operator is computed under autocast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CastPolicy {
    /// In half precision, with operands cast to it: matrix multiplications and convolutions, which accumulate in single precision.
    Low,
    /// In half precision if all operands are, otherwise in single precision.
    Propagate,
    /// In single precision, with the first output cast to half precision if the first operand was: batch norms, whose statistics are sums.
    Internal,
    /// In single precision.
    Fp32,
}

/// The policy of each operator, in the order of [`Op`].
///
/// Operators other than matrix multiplications and convolutions propagate half precision only if they cannot overflow and combine few numbers
/// per output element.
pub(super) fn cast_policy(op: &Op) -> CastPolicy {
    use CastPolicy::{Fp32, Internal, Low, Propagate};
    match op {
        Op::Add | Op::Sub | Op::Mul | Op::Neg | Op::Relu | Op::Sigmoid | Op::Tanh | Op::Sum => Propagate,
        Op::Div | Op::Reciprocal | Op::Sqrt | Op::Exp | Op::Log | Op::Erf | Op::Softplus => Fp32,
        Op::Clip(_) | Op::Greater | Op::Equal | Op::Max | Op::Min | Op::Where | Op::Cast(_) => Fp32,
        // Booleans, which are never cast.
        Op::And | Op::Or | Op::Not => Fp32,
        Op::ReduceSum(_) | Op::ReduceMean(_) | Op::ReduceSumSquare(_) | Op::ReduceMax(_) => Fp32,
        Op::Reshape(_) | Op::Flatten | Op::Transpose(_) | Op::Expand(_) => Propagate,
        Op::Concat(_) | Op::Split(_) | Op::Slice(_) | Op::Gather(_) => Propagate,
        Op::Flip(_) | Op::Pad(_) => Propagate,
        Op::MatMul | Op::Gemm(_) => Low,
        Op::Conv(_) | Op::ConvTranspose(_) => Low,
        Op::MaxPool(_) => Propagate,
        Op::GlobalAveragePool | Op::ScatterElementsAdd => Fp32,
        Op::BatchNormalization(_) => Internal,
        Op::Softmax | Op::LogSoftmax | Op::OneHot(_) => Fp32,
        Op::Composite(composite) => match composite {
            Composite::BatchNorm(_) => Internal,
            // The loss, and what adds up or has a range of its own; gradients and updates are not in the graph yet when it is rewritten.
            Composite::CrossEntropy
            | Composite::LayerNorm(_)
            | Composite::LayerNormGradient(_)
            | Composite::Gelu
            | Composite::GeluGradient
            | Composite::SoftmaxGradient
            | Composite::BatchNormGradient(_)
            | Composite::ConvInputGradient { .. }
            | Composite::ConvWeightGradient { .. }
            | Composite::MaxPoolGradient(_)
            | Composite::ReluGradient(_)
            | Composite::AdamW(_) => Fp32,
        },
        Op::Fused(_) => Fp32,
    }
}
