//! What each operator makes of half precision.

use crate::graph::{Composite, Op};

/// How a node is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// On operands that are rounded, in half precision: a product, which adds up in single precision inside.
    Product,
    /// As its operands are: in half precision where all of them are, in single precision where one is not.
    Follow,
    /// In single precision, and its first result is rounded where its first operand was: a batch norm, whose statistics are sums.
    Inside,
    /// In single precision.
    Wide,
}

/// The table: in the order of [`Op`].
///
/// What is not a product follows only where it can neither leave the range nor add up: at most a few numbers meet in each element.
pub(super) fn treatment(op: &Op) -> Treatment {
    use Treatment::{Follow, Inside, Product, Wide};
    match op {
        Op::Add | Op::Sub | Op::Mul | Op::Neg | Op::Relu | Op::Sigmoid | Op::Tanh | Op::Sum => Follow,
        Op::Div | Op::Reciprocal | Op::Sqrt | Op::Exp | Op::Log | Op::Erf => Wide,
        Op::Clip(_) | Op::Greater | Op::Where | Op::Cast(_) => Wide,
        Op::ReduceSum(_) | Op::ReduceMean(_) | Op::ReduceSumSquare(_) => Wide,
        Op::Reshape(_) | Op::Flatten | Op::Transpose(_) | Op::Expand(_) => Follow,
        Op::Concat(_) | Op::Slice(_) | Op::Flip(_) | Op::Pad(_) => Follow,
        Op::MatMul | Op::Gemm(_) => Product,
        Op::Conv(_) | Op::ConvTranspose(_) | Op::GroupConv(_) | Op::GroupConvTranspose(_) => Product,
        Op::MaxPool(_) => Follow,
        Op::GlobalAveragePool | Op::ScatterElementsAdd => Wide,
        Op::BatchNormalization(_) => Inside,
        Op::Softmax | Op::LogSoftmax | Op::OneHot(_) => Wide,
        Op::Composite(composite) => match composite {
            Composite::Conv(_) => Product,
            Composite::BatchNorm(_) => Inside,
            // Losses; and what belongs to gradients and updates, which are not there yet.
            Composite::CrossEntropy
            | Composite::BatchNormGradient(_)
            | Composite::ConvInputGradient { .. }
            | Composite::ConvWeightGradient { .. }
            | Composite::GroupConvWeightGradient { .. }
            | Composite::MaxPoolGradient(_)
            | Composite::ReluGradient
            | Composite::AdamW(_) => Wide,
        },
        Op::Fused(_) => Wide,
    }
}
