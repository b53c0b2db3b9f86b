use super::super::error::InferError;
use super::super::{ElementType, Shape, TensorType};
use super::operands::{Operands, Types, expect_elements, expect_shape, extents, float};

/// Number of channels of `[N, C, …]`.
pub(super) fn channels(x: &Shape) -> Result<usize, InferError> {
    x.get(1).copied().ok_or(InferError::Rank {
        operand: 0,
        expected: 2,
        found: x.len(),
    })
}

pub(super) fn batch_normalization(operands: &Operands<'_>) -> Types {
    let [x, per_channel @ ..] = operands.floats::<5>()?;
    let channels = channels(x)?;
    for (operand, shape) in per_channel.iter().enumerate() {
        expect_shape(operand + 1, shape, [channels])?;
    }
    float(x.clone())
}

pub(super) fn softmax(operands: &Operands<'_>) -> Types {
    let [x] = operands.floats()?;
    if x.is_empty() {
        return Err(InferError::Rank {
            operand: 0,
            expected: 1,
            found: 0,
        });
    }
    float(x.clone())
}

pub(super) fn one_hot(operands: &Operands<'_>, width: usize) -> Types {
    let [labels] = operands.exactly()?;
    expect_elements(0, labels, ElementType::I64)?;
    let [count] = extents(0, &labels.shape)?;
    Ok(vec![TensorType::f32([count, width])])
}
