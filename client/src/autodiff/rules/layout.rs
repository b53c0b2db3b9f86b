//! Operators that move elements: the gradient moves back.

use super::{Backward, Error, Gradients};
use crate::graph::Op;
use crate::graph::op::{Pad, Slice};

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

/// `y = expand(x)` ⟹ `dx = Σ dy` over the repeated axes: what the engine does for any broadcast operand.
pub(super) fn expand(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    Ok(vec![Some(b.upstream()?)])
}

/// `y = [x₀ | x₁ | …]` ⟹ `dxᵢ` is the part of `dy` where `xᵢ` stands.
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
        let mut part = Slice {
            starts: vec![0; whole.len()],
            ends: whole.clone(),
            steps: vec![1; whole.len()],
        };
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

/// `y = x[start..end by 1]` ⟹ `dx` is `dy` with zeros around. A step above one does not occur in models we train, and ONNX has no
/// operator that puts zeros between elements.
pub(super) fn slice(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = b.upstream()?;
    let Op::Slice(slice) = &b.node.op else {
        unreachable!("the table gives this rule to Slice only")
    };
    if slice.steps.iter().any(|&step| step != 1) {
        let (operator, scope) = (b.node.op.name(), b.node.scope.clone());
        return Err(Error::Unsupported {
            operator,
            scope,
            reason: "its step is above one",
        });
    }
    let after = b
        .shape(b.input(0))
        .iter()
        .zip(&slice.ends)
        .map(|(extent, end)| extent - end)
        .collect();
    Ok(vec![Some(b.pad(
        dy,
        Pad {
            before: slice.starts.clone(),
            after,
        },
    )?)])
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
