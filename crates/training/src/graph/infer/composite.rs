use super::super::error::InferError;
use super::super::op::Conv2d;
use super::super::{Composite, ElementType, Shape, TensorType};
use super::convolution::{divided, positions};
use super::normalize::channels;
use super::operands::{Operands, Types, expect_elements, expect_shape, extents, float, one};

pub(super) fn infer(operands: &Operands<'_>, composite: &Composite) -> Types {
    match composite {
        Composite::BatchNorm(_) => batch_norm(operands),
        Composite::BatchNormGradient(_) => batch_norm_gradient(operands),
        Composite::LayerNorm(_) => layer_norm(operands),
        Composite::LayerNormGradient(_) => layer_norm_gradient(operands),
        Composite::Gelu => gelu(operands),
        Composite::GeluGradient | Composite::SoftmaxGradient => pair(operands),
        Composite::CrossEntropy => cross_entropy(operands),
        Composite::ConvInputGradient { conv, extent } => conv_input_gradient(operands, *conv, *extent),
        Composite::ConvWeightGradient { conv, kernel } => conv_weight_gradient(operands, *conv, *kernel),
        Composite::MaxPoolGradient(shape) => max_pool_gradient(operands, shape),
        Composite::ReluGradient(_) => relu_gradient(operands),
        Composite::AdamW(_) => adamw(operands),
    }
}

fn batch_norm(operands: &Operands<'_>) -> Types {
    let [x, scale, bias] = operands.floats()?;
    let channels = channels(x)?;
    expect_shape(1, scale, [channels])?;
    expect_shape(2, bias, [channels])?;
    Ok(vec![
        TensorType::f32(x.clone()),
        TensorType::f32([channels]),
        TensorType::f32([channels]),
    ])
}

fn batch_norm_gradient(operands: &Operands<'_>) -> Types {
    let [x, dy, per_channel @ ..] = operands.floats::<5>()?;
    let channels = channels(x)?;
    expect_shape(1, dy, x.clone())?;
    for (operand, shape) in per_channel.iter().enumerate() {
        expect_shape(operand + 2, shape, [channels])?;
    }
    Ok(vec![
        TensorType::f32(x.clone()),
        TensorType::f32([channels]),
        TensorType::f32([channels]),
    ])
}

/// The last extent of the first operand.
fn last(shape: &Shape) -> Result<usize, InferError> {
    shape.last().copied().ok_or(InferError::Rank {
        operand: 0,
        expected: 1,
        found: 0,
    })
}

pub(super) fn layer_norm(operands: &Operands<'_>) -> Types {
    let [x, scale, bias] = operands.floats()?;
    let channels = last(x)?;
    expect_shape(1, scale, [channels])?;
    expect_shape(2, bias, [channels])?;
    float(x.clone())
}

pub(super) fn layer_norm_gradient(operands: &Operands<'_>) -> Types {
    let [x, dy, scale] = operands.floats()?;
    let channels = last(x)?;
    expect_shape(1, dy, x.clone())?;
    expect_shape(2, scale, [channels])?;
    Ok(vec![
        TensorType::f32(x.clone()),
        TensorType::f32([channels]),
        TensorType::f32([channels]),
    ])
}

pub(super) fn gelu(operands: &Operands<'_>) -> Types {
    let [x] = operands.floats()?;
    float(x.clone())
}

/// Two operands and a result of one shape.
pub(super) fn pair(operands: &Operands<'_>) -> Types {
    let [value, dy] = operands.floats()?;
    expect_shape(1, dy, value.clone())?;
    float(value.clone())
}

fn cross_entropy(operands: &Operands<'_>) -> Types {
    let [logits, targets] = operands.floats()?;
    let [_, _] = extents(0, logits)?;
    expect_shape(1, targets, logits.clone())?;
    float(Shape::scalar())
}

pub(super) fn conv_input_gradient(operands: &Operands<'_>, conv: Conv2d, extent: [usize; 2]) -> Types {
    let ([w, dy], precision) = operands.alike()?;
    let [k, c, kh, kw] = extents(0, w)?;
    let [n, _, _, _] = extents(1, dy)?;
    divided(w, k, conv)?;
    let [rows, columns] = positions(dy, extent, [kh, kw], conv)?;
    expect_shape(1, dy, [n, k, rows, columns])?;
    one(precision, [n, c * conv.groups, extent[0], extent[1]])
}

pub(super) fn conv_weight_gradient(operands: &Operands<'_>, conv: Conv2d, kernel: [usize; 2]) -> Types {
    let ([x, dy], precision) = operands.alike()?;
    let [n, c, h, w] = extents(0, x)?;
    let [_, k, _, _] = extents(1, dy)?;
    divided(x, c, conv)?;
    divided(dy, k, conv)?;
    let [rows, columns] = positions(x, [h, w], kernel, conv)?;
    expect_shape(1, dy, [n, k, rows, columns])?;
    one(precision, [k, c / conv.groups, kernel[0], kernel[1]])
}

fn max_pool_gradient(operands: &Operands<'_>, shape: &Shape) -> Types {
    let [indices, dy] = operands.exactly()?;
    expect_elements(0, indices, ElementType::I64)?;
    let precision = operands.precision(1)?;
    expect_shape(1, &dy.shape, indices.shape.clone())?;
    one(precision, shape.clone())
}

fn relu_gradient(operands: &Operands<'_>) -> Types {
    let ([y, dy], precision) = operands.alike()?;
    expect_shape(1, dy, y.clone())?;
    one(precision, y.clone())
}

pub(super) fn adamw(operands: &Operands<'_>) -> Types {
    let [parameter, rest @ ..] = operands.floats::<9>()?;
    let (alike, scalars) = rest.split_at(3);
    for (operand, shape) in alike.iter().enumerate() {
        expect_shape(operand + 1, shape, parameter.clone())?;
    }
    for (operand, shape) in scalars.iter().enumerate() {
        expect_shape(operand + 4, shape, [])?;
    }
    Ok(vec![TensorType::f32(parameter.clone()); 3])
}
