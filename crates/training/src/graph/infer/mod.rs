//! Type and shape inference: an operator's output types from its operand types.

mod composite;
mod convolution;
mod elementwise;
mod fused;
mod layout;
mod linear;
mod normalize;
mod operands;
mod reduce;

use self::operands::{Operands, Types};
use super::{Op, TensorType};

/// The output types of `op` applied to `operands`.
pub(super) fn infer(op: &Op, operands: &[&TensorType]) -> Types {
    let operands = Operands(operands);
    match op {
        Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Max | Op::Min => elementwise::arithmetic(&operands),
        Op::Neg
        | Op::Reciprocal
        | Op::Sqrt
        | Op::Exp
        | Op::Log
        | Op::Relu
        | Op::Sigmoid
        | Op::Tanh
        | Op::Erf
        | Op::Softplus
        | Op::Clip(_) => elementwise::unary(&operands),
        Op::Greater | Op::Equal => elementwise::comparison(&operands),
        Op::And | Op::Or => elementwise::logic(&operands),
        Op::Not => elementwise::not(&operands),
        Op::Where => elementwise::select(&operands),
        Op::Cast(to) => elementwise::cast(&operands, *to),
        Op::Sum => elementwise::sum(&operands),
        Op::ReduceSum(reduce)
        | Op::ReduceMean(reduce)
        | Op::ReduceSumSquare(reduce)
        | Op::ReduceMax(reduce) => reduce::reduce(&operands, reduce),
        Op::Reshape(shape) => layout::reshape(&operands, shape),
        Op::Flatten => layout::flatten(&operands),
        Op::Transpose(permutation) => layout::transpose(&operands, permutation),
        Op::Expand(shape) => layout::expand(&operands, shape),
        Op::Concat(axis) => layout::concat(&operands, *axis),
        Op::Split(lengths) => layout::split(&operands, lengths),
        Op::Slice(slice) => layout::slice(&operands, slice),
        Op::Gather(axis) => layout::gather(&operands, *axis),
        Op::Flip(axes) => layout::flip(&operands, axes),
        Op::Pad(pad) => layout::pad(&operands, pad),
        Op::MatMul => linear::matmul(&operands),
        Op::Gemm(gemm) => linear::gemm(&operands, *gemm),
        Op::Conv(conv) => convolution::conv(&operands, *conv),
        Op::ConvTranspose(conv) => convolution::conv_transpose(&operands, *conv),
        Op::MaxPool(pool) => convolution::max_pool(&operands, *pool),
        Op::GlobalAveragePool => convolution::global_average_pool(&operands),
        Op::ScatterElementsAdd => layout::scatter(&operands),
        Op::BatchNormalization(_) => normalize::batch_normalization(&operands),
        Op::Softmax | Op::LogSoftmax => normalize::softmax(&operands),
        Op::OneHot(width) => normalize::one_hot(&operands, *width),
        Op::Composite(composite) => composite::infer(&operands, composite),
        Op::Fused(fused) => fused::infer(&operands, fused),
    }
}
