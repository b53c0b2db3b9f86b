use super::super::error::InferError;
use super::super::op::{Pad, Slice};
use super::super::{ElementType, Shape, TensorType};
use super::operands::{Operands, Types, expect_elements, expect_shape};

fn invalid(name: &'static str, shape: &Shape) -> InferError {
    InferError::Attribute {
        name,
        shape: shape.clone(),
    }
}

/// One output with the operand's element type and another shape.
fn same_elements(x: &TensorType, shape: impl Into<Shape>) -> Types {
    Ok(vec![TensorType::new(x.element_type, shape)])
}

pub(super) fn reshape(operands: &Operands<'_>, shape: &Shape) -> Types {
    let [x] = operands.exactly()?;
    // In ONNX, an extent of zero in the target means "copy from the operand".
    if x.shape.elements() != shape.elements() || shape.contains(&0) {
        return Err(invalid("shape", &x.shape));
    }
    same_elements(x, shape.clone())
}

pub(super) fn flatten(operands: &Operands<'_>) -> Types {
    let [x] = operands.exactly()?;
    let [first, rest @ ..] = &*x.shape else {
        return Err(InferError::Rank {
            operand: 0,
            expected: 1,
            found: 0,
        });
    };
    same_elements(x, [*first, rest.iter().product()])
}

pub(super) fn transpose(operands: &Operands<'_>, permutation: &[usize]) -> Types {
    let [x] = operands.exactly()?;
    let mut sorted = permutation.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..x.shape.len()) {
        return Err(invalid("permutation", &x.shape));
    }
    same_elements(
        x,
        permutation.iter().map(|&axis| x.shape[axis]).collect::<Vec<_>>(),
    )
}

pub(super) fn expand(operands: &Operands<'_>, shape: &Shape) -> Types {
    let [x] = operands.exactly()?;
    if x.shape.broadcast(shape).as_ref() != Some(shape) {
        return Err(InferError::Broadcast {
            left: x.shape.clone(),
            right: shape.clone(),
        });
    }
    same_elements(x, shape.clone())
}

pub(super) fn concat(operands: &Operands<'_>, axis: usize) -> Types {
    let [first, rest @ ..] = operands.0 else {
        return Err(InferError::Arity {
            expected: 1,
            found: 0,
        });
    };
    if axis >= first.shape.len() {
        return Err(invalid("axis", &first.shape));
    }
    let mut joined = first.shape.to_vec();
    for (operand, x) in rest.iter().enumerate() {
        expect_elements(operand + 1, x, first.element_type)?;
        let mut expected = first.shape.to_vec();
        if let Some(extent) = x.shape.get(axis) {
            expected[axis] = *extent;
        }
        expect_shape(operand + 1, &x.shape, expected)?;
        joined[axis] += x.shape[axis];
    }
    same_elements(first, joined)
}

pub(super) fn split(operands: &Operands<'_>, lengths: &[usize]) -> Types {
    let [x] = operands.exactly()?;
    let is_whole = x.shape.first() == Some(&lengths.iter().sum());
    if !is_whole || lengths.contains(&0) {
        return Err(invalid("lengths", &x.shape));
    }
    let part = |&length: &usize| TensorType::new(x.element_type, [&[length], &x.shape[1..]].concat());
    Ok(lengths.iter().map(part).collect())
}

pub(super) fn slice(operands: &Operands<'_>, slice: &Slice) -> Types {
    let [x] = operands.exactly()?;
    let rank = x.shape.len();
    if [&slice.starts, &slice.ends, &slice.steps]
        .iter()
        .any(|list| list.len() != rank)
    {
        return Err(invalid("starts, ends, steps", &x.shape));
    }
    let extent = |axis: usize| {
        let (start, end, step) = (slice.starts[axis], slice.ends[axis], slice.steps[axis]);
        let inside = start < end && end <= x.shape[axis] && step > 0;
        inside
            .then(|| (end - start).div_ceil(step))
            .ok_or_else(|| invalid("starts, ends, steps", &x.shape))
    };
    same_elements(x, (0..rank).map(extent).collect::<Result<Vec<_>, _>>()?)
}

pub(super) fn flip(operands: &Operands<'_>, axes: &[usize]) -> Types {
    let [x] = operands.exactly()?;
    if axes.iter().any(|&axis| axis >= x.shape.len()) {
        return Err(invalid("axes", &x.shape));
    }
    same_elements(x, x.shape.clone())
}

pub(super) fn pad(operands: &Operands<'_>, pad: &Pad) -> Types {
    let [x] = operands.exactly()?;
    operands.precision(0)?;
    if pad.before.len() != x.shape.len() || pad.after.len() != x.shape.len() {
        return Err(invalid("before, after", &x.shape));
    }
    let extents = x.shape.iter().zip(&pad.before).zip(&pad.after);
    let extents = extents.map(|((extent, before), after)| extent.checked_add(*before)?.checked_add(*after));
    let extents: Option<Vec<usize>> = extents.collect();
    same_elements(x, extents.ok_or_else(|| invalid("before, after", &x.shape))?)
}

pub(super) fn gather(operands: &Operands<'_>, axis: usize) -> Types {
    let [data, indices] = operands.exactly()?;
    expect_elements(1, indices, ElementType::I64)?;
    if axis >= data.shape.len() {
        return Err(invalid("axis", &data.shape));
    }
    let (before, after) = (&data.shape[..axis], &data.shape[axis + 1..]);
    same_elements(data, [before, &indices.shape, after].concat())
}

pub(super) fn scatter(operands: &Operands<'_>) -> Types {
    let [data, indices, updates] = operands.exactly()?;
    expect_elements(0, data, ElementType::F32)?;
    expect_elements(1, indices, ElementType::I64)?;
    expect_elements(2, updates, ElementType::F32)?;
    let Some((count, _)) = indices.shape.split_first() else {
        return Err(invalid("axis", &data.shape));
    };
    let rest = data.shape.get(1..).unwrap_or_default();
    expect_shape(1, &indices.shape, [&[*count], rest].concat())?;
    expect_shape(2, &updates.shape, indices.shape.clone())?;
    same_elements(data, data.shape.clone())
}
