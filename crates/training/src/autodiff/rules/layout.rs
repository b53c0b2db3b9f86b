//! Operators that rearrange elements.

use crate::autodiff::Error;
use crate::autodiff::backward::{Backward, Gradients};
use crate::graph::op::{Pad, Slice};
use crate::graph::{ElementType, Op, Shape};

/// `y = reshape(x)` ⟹ `dx = reshape(dy)`.
pub(super) fn reshape(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = b.upstream()?;
    let shape = b.shape(b.input(0)).clone();
    Ok(vec![Some(b.reshape(dy, shape)?)])
}

/// `y = xᵀ` by a permutation π ⟹ `dx = dyᵀ` by π⁻¹.
pub(super) fn transpose(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = b.upstream()?;
    let Op::Transpose(permutation) = &b.node.op else {
        unreachable!("the table gives this rule to Transpose only")
    };
    let mut inverse = vec![0; permutation.len()];
    for (to, &from) in permutation.iter().enumerate() {
        inverse[from] = to;
    }
    Ok(vec![Some(b.transpose(dy, &inverse)?)])
}

/// `y = expand(x)` ⟹ `dx = Σ dy` over the repeated axes, which `unbroadcast` does for every operand.
pub(super) fn expand(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    Ok(vec![Some(b.upstream()?)])
}

/// `y = [x₀ | x₁ | …]` ⟹ `dxᵢ` is the part of `dy` at the position of `xᵢ`.
pub(super) fn concat(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = b.upstream()?;
    let Op::Concat(axis) = b.node.op else {
        unreachable!("the table gives this rule to Concat only")
    };
    let whole = b.shape(dy).to_vec();
    let mut start = 0;
    let mut gradients = Vec::new();
    for position in 0..b.node.inputs.len() {
        let end = start + b.shape(b.input(position))[axis];
        let mut part = Slice::whole(&whole);
        (part.starts[axis], part.ends[axis]) = (start, end);
        gradients.push(if b.wants(position) {
            Some(b.slice(dy, part)?)
        } else {
            None
        });
        start = end;
    }
    Ok(gradients)
}

/// `[y₀ | y₁ | …] = x` ⟹ `dx = [dy₀ | dy₁ | …]`.
pub(super) fn split(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let parts = (0..b.node.outputs().len()).map(|position| b.upstream_at(position));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    Ok(vec![Some(b.concat(0, &parts)?)])
}

/// `y = x[start..end by step]` ⟹ `dx` is `dy` with `step − 1` zeros after each element, and zero padding.
///
/// ONNX has no operator that inserts zeros between elements, so they are padded along an extra axis, which is then merged.
pub(super) fn slice(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let mut dx = b.upstream()?;
    let Op::Slice(slice) = b.node.op.clone() else {
        unreachable!("the table gives this rule to Slice only")
    };
    let extents = b.shape(b.input(0)).to_vec();
    let mut after = vec![0; extents.len()];
    for (axis, &step) in slice.steps.iter().enumerate() {
        let mut shape = b.shape(dx).to_vec();
        let room = extents[axis] - slice.starts[axis];
        if step > 1 && shape[axis] > 1 {
            let mut apart = shape.clone();
            apart.insert(axis + 1, 1);
            let mut zeros = vec![0; apart.len()];
            zeros[axis + 1] = step - 1;
            let none = vec![0; apart.len()];
            dx = b.reshape(dx, apart.into())?;
            dx = b.pad(
                dx,
                Pad {
                    before: none,
                    after: zeros,
                },
            )?;
            shape[axis] *= step;
            dx = b.reshape(dx, Shape::from(&*shape))?;
        }
        if shape[axis] > room {
            shape[axis] = room;
            let (starts, steps) = (vec![0; shape.len()], vec![1; shape.len()]);
            let ends = shape.clone();
            dx = b.slice(dx, Slice { starts, ends, steps })?;
        }
        after[axis] = room - shape[axis];
    }
    let before = slice.starts;
    Ok(vec![Some(b.pad(dx, Pad { before, after })?)])
}

/// `y = x[indices]` along an axis ⟹ `dx` is the sum of `dy` over equal indices: rows of `dy` are added to rows of zeros.
pub(super) fn gather(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (indices, dy) = (b.input(1), b.upstream()?);
    let Op::Gather(axis) = b.node.op else {
        unreachable!("the table gives this rule to Gather only")
    };
    let (shape, count) = (b.shape(b.input(0)).to_vec(), b.shape(indices).elements());
    let precision = b.tensor_type(dy).element_type;
    let selected = axis..axis + b.shape(indices).len();
    let rank = b.shape(dy).len();
    let others = (0..rank).filter(|at| !selected.contains(at));
    let to_rows: Vec<usize> = selected.clone().chain(others).collect();
    let width = b.shape(dy).elements() / count;

    let rows = b.transpose(dy, &to_rows)?;
    let rows = b.reshape(rows, Shape::from([count, width]))?;
    let rows = b.converted(rows, ElementType::F32)?;
    let column = b.reshape(indices, Shape::from([count, 1]))?;
    let places = b.expand(column, Shape::from([count, width]))?;
    let zero = b.scalar(0.0);
    let zeros = b.expand(zero, Shape::from([shape[axis], width]))?;
    let sums = b.scatter_add(zeros, places, rows)?;
    let sums = b.converted(sums, precision)?;
    let mut apart = shape.clone();
    apart.remove(axis);
    apart.insert(0, shape[axis]);
    let sums = b.reshape(sums, apart.into())?;
    let back: Vec<usize> = (1..=axis).chain([0]).chain(axis + 1..shape.len()).collect();
    Ok(vec![Some(b.transpose(sums, &back)?), None])
}

/// `y = reversed(x)` ⟹ `dx = reversed(dy)`.
pub(super) fn flip(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = b.upstream()?;
    let Op::Flip(axes) = &b.node.op else {
        unreachable!("the table gives this rule to Flip only")
    };
    Ok(vec![Some(b.flip(dy, axes)?)])
}

/// `y = 0…0 x 0…0` ⟹ `dx` is the inner part of `dy`.
pub(super) fn pad(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = b.upstream()?;
    let Op::Pad(pad) = &b.node.op else {
        unreachable!("the table gives this rule to Pad only")
    };
    let extents = b.shape(b.input(0));
    let inner = Slice {
        starts: pad.before.clone(),
        ends: extents
            .iter()
            .zip(&pad.before)
            .map(|(extent, before)| before + extent)
            .collect(),
        steps: vec![1; extents.len()],
    };
    Ok(vec![Some(b.slice(dy, inner)?)])
}
