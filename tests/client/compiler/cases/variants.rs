//! There is a case of every operator.

use std::collections::BTreeSet;

use equibatch_training::graph::{Composite, Op};

use super::cases;

/// Index of an operator's variant. The match is exhaustive, so a new variant must be given an index here, and `every_operator_has_a_case`
/// fails until it has a case.
fn variant(op: &Op) -> usize {
    match op {
        Op::Add => 0,
        Op::Sub => 1,
        Op::Mul => 2,
        Op::Div => 3,
        Op::Neg => 4,
        Op::Reciprocal => 5,
        Op::Sqrt => 6,
        Op::Exp => 7,
        Op::Log => 8,
        Op::Relu => 9,
        Op::Greater => 10,
        Op::Where => 11,
        Op::Cast(_) => 12,
        Op::Sum => 13,
        Op::ReduceSum(_) => 14,
        Op::ReduceMean(_) => 15,
        Op::ReduceSumSquare(_) => 16,
        Op::Reshape(_) => 17,
        Op::Flatten => 18,
        Op::Transpose(_) => 19,
        Op::Expand(_) => 20,
        Op::Concat(_) => 21,
        Op::Slice(_) => 22,
        Op::Flip(_) => 23,
        Op::Pad(_) => 24,
        Op::MatMul => 25,
        Op::Gemm(_) => 26,
        Op::Conv(_) => 27,
        Op::ConvTranspose(_) => 28,
        Op::MaxPool(_) => 29,
        Op::GlobalAveragePool => 30,
        Op::ScatterElementsAdd => 31,
        Op::BatchNormalization(_) => 32,
        Op::Softmax => 33,
        Op::LogSoftmax => 34,
        Op::OneHot(_) => 35,
        Op::Composite(Composite::BatchNorm(_)) => 36,
        Op::Composite(Composite::BatchNormGradient(_)) => 37,
        Op::Composite(Composite::CrossEntropy) => 38,
        Op::Composite(Composite::ConvInputGradient { .. }) => 39,
        Op::Composite(Composite::ConvWeightGradient { .. }) => 40,
        Op::Composite(Composite::MaxPoolGradient(_)) => 41,
        Op::Composite(Composite::ReluGradient(_)) => 42,
        Op::Composite(Composite::AdamW(_)) => 43,
        Op::Sigmoid => 44,
        Op::Tanh => 45,
        Op::Erf => 46,
        Op::Clip(_) => 47,
        Op::Equal => 48,
        Op::And => 49,
        Op::Or => 50,
        Op::Not => 51,
        Op::Max => 52,
        Op::Min => 53,
        Op::Softplus => 54,
        Op::ReduceMax(_) => 55,
        Op::Gather(_) => 56,
        Op::Composite(Composite::LayerNorm(_)) => 57,
        Op::Composite(Composite::LayerNormGradient(_)) => 58,
        Op::Composite(Composite::Gelu) => 59,
        Op::Composite(Composite::GeluGradient) => 60,
        Op::Composite(Composite::SoftmaxGradient) => 61,
        Op::Split(_) => 62,
        // Their operands have NCHWc layout; they are tested in `fused`.
        Op::Fused(_) => unreachable!("fused operators have cases of their own"),
    }
}

#[test]
fn every_operator_has_a_case() {
    let found: BTreeSet<usize> = cases().iter().map(|case| variant(&case.op)).collect();
    assert_eq!(found, (0..63).collect());
}
