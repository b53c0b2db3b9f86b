//! Constants from attributes, shapes and scalars.

use super::{FoldBudget, with};
use crate::graph::import::{Elements, HostTensor, ModelNode};
use crate::graph::{ElementType, Shape};
use crate::nn::import::Error;
use crate::nn::import::node::{axis_of, node_error};

pub(super) fn constant(node: &ModelNode) -> Result<HostTensor, Error> {
    let attributes = &node.attributes;
    let tensor = attributes
        .tensor("value")
        .or_else(|| attributes.ints("value_ints").map(HostTensor::list))
        .or_else(|| {
            let number = attributes.int("value_int")?;
            Some(with(Shape::scalar(), Elements::I64(vec![number])))
        })
        .or_else(|| {
            let number = attributes.float("value_float")?;
            Some(with(Shape::scalar(), Elements::F32(vec![number])))
        })
        .or_else(|| {
            let numbers = attributes.floats("value_floats")?;
            Some(with(Shape::from([numbers.len()]), Elements::F32(numbers)))
        });
    tensor.ok_or_else(|| node_error(node, "it has no supported value attribute"))
}

pub(super) fn shape_or_size(node: &ModelNode, shape: &Shape) -> Result<HostTensor, Error> {
    let signed = |extent: usize| i64::try_from(extent).expect("extents fit in memory");
    if node.operator == "Size" {
        return Ok(with(
            Shape::scalar(),
            Elements::I64(vec![signed(shape.elements())]),
        ));
    }
    let end = |name: &str, default: usize| match node.attributes.int(name) {
        None => Ok(default),
        Some(index) => axis_of(node, index, shape.len() + 1),
    };
    let extents = shape.get(end("start", 0)?..end("end", shape.len())?);
    Ok(HostTensor::list(
        extents
            .unwrap_or_default()
            .iter()
            .map(|&extent| signed(extent))
            .collect(),
    ))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the operator's own meaning"
)]
pub(super) fn cast(node: &ModelNode, to: Option<ElementType>, x: &HostTensor) -> Result<HostTensor, Error> {
    let elements = match (to, &x.elements) {
        (Some(to), Elements::F32(data)) if to.is_float() => Elements::F32(data.clone()),
        (Some(to), Elements::I64(data)) if to.is_float() => {
            Elements::F32(data.iter().map(|&number| number as f32).collect())
        }
        (Some(to), Elements::Bool(data)) if to.is_float() => {
            Elements::F32(data.iter().map(|&is_true| f32::from(u8::from(is_true))).collect())
        }
        (Some(ElementType::I64), Elements::F32(data)) => {
            Elements::I64(data.iter().map(|&number| number as i64).collect())
        }
        (Some(ElementType::I64), Elements::I64(data)) => Elements::I64(data.clone()),
        (Some(ElementType::I64), Elements::Bool(data)) => {
            Elements::I64(data.iter().map(|&is_true| i64::from(is_true)).collect())
        }
        (Some(ElementType::Bool), Elements::F32(data)) => {
            Elements::Bool(data.iter().map(|&number| number != 0.0).collect())
        }
        (Some(ElementType::Bool), Elements::I64(data)) => {
            Elements::Bool(data.iter().map(|&number| number != 0).collect())
        }
        (Some(ElementType::Bool), Elements::Bool(data)) => Elements::Bool(data.clone()),
        _ => return Err(node_error(node, "it casts a constant to an unsupported type")),
    };
    Ok(with(x.shape.clone(), elements))
}

pub(super) fn constant_of_shape(budget: &FoldBudget<'_>, x: &HostTensor) -> Result<HostTensor, Error> {
    let node = budget.node;
    let extents = x.integers().unwrap_or_default().iter();
    let shape: Shape = extents
        .map(|&extent| usize::try_from(extent).unwrap_or(0))
        .collect();
    let count = shape.elements();
    budget.check(count)?;
    let elements = match node.attributes.tensor("value").map(|value| value.elements) {
        None => Elements::F32(vec![0.0; count]),
        Some(Elements::F32(value)) if value.len() == 1 => Elements::F32(vec![value[0]; count]),
        Some(Elements::I64(value)) if value.len() == 1 => Elements::I64(vec![value[0]; count]),
        Some(_) => return Err(node_error(node, "its value is not a float32 or int64 scalar")),
    };
    Ok(with(shape, elements))
}

/// `start, start + delta, …` up to and without `limit`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "casts from floats saturate, and the budget bounds the count"
)]
pub(super) fn range(budget: &FoldBudget<'_>, operands: &[&HostTensor]) -> Result<HostTensor, Error> {
    let refused = || {
        node_error(
            budget.node,
            "its operands are not three scalars of one type with a step other than 0",
        )
    };
    let [start, limit, delta] = operands else {
        return Err(refused());
    };
    if let (Some(&[start]), Some(&[limit]), Some(&[delta])) = (start.floats(), limit.floats(), delta.floats())
    {
        let count = ((limit - start) / delta).ceil();
        if !count.is_finite() {
            return Err(refused());
        }
        let count = count.max(0.0) as usize;
        budget.check(count)?;
        let elements = Elements::F32((0..count).map(|at| start + at as f32 * delta).collect());
        return Ok(with(Shape::from([count]), elements));
    }
    let number = |tensor: &HostTensor| {
        tensor
            .integers()
            .filter(|list| list.len() == 1)
            .map(|list| i128::from(list[0]))
    };
    let (Some(start), Some(limit), Some(delta)) = (number(start), number(limit), number(delta)) else {
        return Err(refused());
    };
    if delta == 0 {
        return Err(refused());
    }
    let gap = limit - start;
    let count = if (gap > 0) == (delta > 0) {
        gap.unsigned_abs().div_ceil(delta.unsigned_abs())
    } else {
        0
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    budget.check(count)?;
    let numbers = (0..count as i128).map(|at| (start + at * delta) as i64);
    Ok(HostTensor::list(numbers.collect()))
}
