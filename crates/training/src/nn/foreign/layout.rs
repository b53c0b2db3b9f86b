use super::Error;
use super::walk::{Walk, axis_of, only, refused};
use crate::graph::import::ModelNode;
use crate::graph::op::{Pad, Slice};
use crate::graph::{ElementType, Op, Shape, Value};
use crate::nn::Kind;

/// An operand whose elements are only moved: learnt where it stands in the file.
fn moved(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<(Value, Shape), Error> {
    let x = walk.parameter(node, 0, Kind::Other)?;
    Ok((x, walk.shape(x).clone()))
}

/// Floats stay floats; anything else is for numbers that are known.
pub(super) fn cast(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    const FLOAT: i64 = 1;
    only(node, &["to", "saturate"])?;
    let (x, _) = moved(walk, node)?;
    let is_float = walk.tensor_type(x).element_type == ElementType::F32;
    if is_float && node.attributes.int("to") == Some(FLOAT) {
        return Ok(x);
    }
    Err(refused(node, "it converts to or from something else than float"))
}

/// The target is known; 0 keeps an extent, −1 is what is left.
pub(super) fn reshape(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["allowzero"])?;
    let (x, shape) = moved(walk, node)?;
    let target = walk.integers(node, 1)?;
    let shape = reshaped(&shape, &target)
        .ok_or_else(|| refused(node, format!("{shape} does not fill {target:?}")))?;
    walk.single(node, Op::Reshape(shape), &[x])
}

/// ONNX's rule for the target of a Reshape.
pub(super) fn reshaped(shape: &Shape, target: &[i64]) -> Option<Shape> {
    let mut extents = Vec::with_capacity(target.len());
    for (axis, &extent) in target.iter().enumerate() {
        extents.push(match extent {
            0 => *shape.get(axis)?,
            -1 => 1,
            extent => usize::try_from(extent).ok()?,
        });
    }
    if let Some(open) = target.iter().position(|&extent| extent == -1) {
        let known = Shape::from(&*extents).elements();
        extents[open] = shape.elements().checked_div(known)?;
    }
    let reshaped = Shape::from(extents);
    (reshaped.elements() == shape.elements()).then_some(reshaped)
}

pub(super) fn flatten(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["axis"])?;
    let (x, shape) = moved(walk, node)?;
    let axis = node.attributes.int("axis").unwrap_or(1);
    if axis == 1 && !shape.is_empty() {
        return walk.single(node, Op::Flatten, &[x]);
    }
    let axis = axis_of(node, axis, shape.len() + 1)?;
    let sides = [&shape[..axis], &shape[axis..]].map(|side| side.iter().product::<usize>());
    walk.single(node, Op::Reshape(sides.into()), &[x])
}

/// Axes that are an attribute or, later, an operand.
fn named_axes(walk: &Walk<'_, '_>, node: &ModelNode) -> Result<Option<Vec<i64>>, Error> {
    if walk.has(node, 1) {
        return walk.integers(node, 1).map(Some);
    }
    Ok(node.attributes.ints("axes"))
}

pub(super) fn squeeze(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["axes"])?;
    let (x, shape) = moved(walk, node)?;
    let axes = named_axes(walk, node)?;
    let axes = axes.map(|axes| {
        let axes = axes.into_iter().map(|axis| axis_of(node, axis, shape.len()));
        axes.collect::<Result<Vec<_>, _>>()
    });
    let axes = axes.transpose()?;
    let stays = |axis: usize| match &axes {
        Some(axes) => !axes.contains(&axis),
        None => shape[axis] != 1,
    };
    let kept: Shape = (0..shape.len())
        .filter(|&axis| stays(axis))
        .map(|axis| shape[axis])
        .collect();
    walk.single(node, Op::Reshape(kept), &[x])
}

pub(super) fn unsqueeze(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["axes"])?;
    let (x, shape) = moved(walk, node)?;
    let axes = named_axes(walk, node)?.unwrap_or_default();
    let shape = unsqueezed(node, &shape, &axes)?;
    walk.single(node, Op::Reshape(shape), &[x])
}

/// The shape with axes of extent one put in.
pub(super) fn unsqueezed(node: &ModelNode, shape: &Shape, axes: &[i64]) -> Result<Shape, Error> {
    let rank = shape.len() + axes.len();
    let axes = axes
        .iter()
        .map(|&axis| axis_of(node, axis, rank))
        .collect::<Result<Vec<_>, _>>()?;
    let mut kept = shape.iter();
    let extents = (0..rank).map(|axis| {
        if axes.contains(&axis) {
            Some(1)
        } else {
            kept.next().copied()
        }
    });
    let extents: Option<Vec<usize>> = extents.collect();
    extents
        .map(Shape::from)
        .ok_or_else(|| refused(node, "an axis is named twice"))
}

pub(super) fn transpose(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["perm"])?;
    let (x, shape) = moved(walk, node)?;
    let permutation = permutation(node, shape.len())?;
    walk.single(node, Op::Transpose(permutation), &[x])
}

/// Which axis of the operand each axis is; by default all in reverse.
pub(super) fn permutation(node: &ModelNode, rank: usize) -> Result<Vec<usize>, Error> {
    let Some(axes) = node.attributes.ints("perm") else {
        return Ok((0..rank).rev().collect());
    };
    let axes: Vec<usize> = axes
        .into_iter()
        .map(|axis| axis_of(node, axis, rank))
        .collect::<Result<_, _>>()?;
    if (0..rank).all(|axis| axes.contains(&axis)) && axes.len() == rank {
        return Ok(axes);
    }
    Err(refused(
        node,
        format!("its perm {axes:?} is no order of {rank} axes"),
    ))
}

pub(super) fn expand(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &[])?;
    let (x, shape) = moved(walk, node)?;
    let target = walk.integers(node, 1)?;
    let target: Option<Vec<usize>> = target
        .iter()
        .map(|&extent| usize::try_from(extent).ok())
        .collect();
    let target = target.and_then(|target| shape.broadcast(&target.into()));
    let target = target.ok_or_else(|| refused(node, format!("{shape} does not expand to its target")))?;
    walk.single(node, Op::Expand(target), &[x])
}

pub(super) fn concat(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["axis"])?;
    let operands = (0..node.inputs.len())
        .map(|operand| walk.value(node, operand))
        .collect::<Result<Vec<_>, _>>()?;
    let rank = operands.first().map_or(0, |&first| walk.shape(first).len());
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(0), rank)?;
    walk.single(node, Op::Concat(axis), &operands)
}

/// All of a shape, to be narrowed.
fn whole(shape: &Shape) -> Slice {
    Slice {
        starts: vec![0; shape.len()],
        ends: shape.to_vec(),
        steps: vec![1; shape.len()],
    }
}

pub(super) fn slice(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &[])?;
    let (x, shape) = moved(walk, node)?;
    let (starts, ends) = (walk.integers(node, 1)?, walk.integers(node, 2)?);
    let optional = |walk: &Walk<'_, '_>, operand| {
        let given = walk.has(node, operand).then(|| walk.integers(node, operand));
        given.transpose()
    };
    let (axes, steps) = (optional(walk, 3)?, optional(walk, 4)?);
    let slice = sliced(
        node,
        &shape,
        &Ranges {
            starts,
            ends,
            axes,
            steps,
        },
    )?;
    walk.single(node, Op::Slice(slice), &[x])
}

/// Operands of ONNX's Slice.
pub(super) struct Ranges {
    pub(super) starts: Vec<i64>,
    pub(super) ends: Vec<i64>,
    pub(super) axes: Option<Vec<i64>>,
    pub(super) steps: Option<Vec<i64>>,
}

/// ONNX's rule for the ranges of a Slice, with steps from one on.
pub(super) fn sliced(node: &ModelNode, shape: &Shape, ranges: &Ranges) -> Result<Slice, Error> {
    let mut slice = whole(shape);
    for (position, (&start, &end)) in ranges.starts.iter().zip(&ranges.ends).enumerate() {
        let number = |list: &Option<Vec<i64>>, default| match list {
            Some(list) => list.get(position).copied().unwrap_or(default),
            None => default,
        };
        let axis = number(&ranges.axes, i64::try_from(position).unwrap_or(i64::MAX));
        let axis = axis_of(node, axis, shape.len())?;
        let step = usize::try_from(number(&ranges.steps, 1)).unwrap_or(0);
        if step == 0 {
            return Err(refused(node, "its step is below one"));
        }
        let extent = i64::try_from(shape[axis]).unwrap_or(i64::MAX);
        let from_first = |index: i64| {
            let index = if index < 0 {
                index.saturating_add(extent)
            } else {
                index
            };
            usize::try_from(index.clamp(0, extent)).unwrap_or(0)
        };
        (slice.starts[axis], slice.ends[axis], slice.steps[axis]) =
            (from_first(start), from_first(end), step);
    }
    Ok(slice)
}

/// One index of an axis.
pub(super) fn gather(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["axis"])?;
    let (x, shape) = moved(walk, node)?;
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(0), shape.len())?;
    let [index] = *walk.integers(node, 1)? else {
        return Err(refused(node, "it takes several indices"));
    };
    let index = axis_of(node, index, shape[axis])?;
    let mut slice = whole(&shape);
    (slice.starts[axis], slice.ends[axis]) = (index, index + 1);
    let kept: Shape = shape
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != axis)
        .map(|(_, &extent)| extent)
        .collect();
    walk.wire(node, |g| {
        let only = g.slice(x, slice)?;
        g.reshape(only, kept)
    })
}

pub(super) fn split(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Vec<Value>, Error> {
    only(node, &["axis", "num_outputs", "split"])?;
    let (x, shape) = moved(walk, node)?;
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(0), shape.len())?;
    let named = if walk.has(node, 1) {
        Some(walk.integers(node, 1)?)
    } else {
        node.attributes.ints("split")
    };
    let sizes: Vec<usize> = match named {
        Some(sizes) => sizes
            .iter()
            .map(|&size| usize::try_from(size).unwrap_or(0))
            .collect(),
        None => {
            let size = shape[axis].div_ceil(node.outputs.len().max(1));
            let starts = (0..node.outputs.len()).map(|part| part * size);
            starts
                .map(|start| size.min(shape[axis].saturating_sub(start)))
                .collect()
        }
    };
    let mut start: usize = 0;
    let mut parts = Vec::with_capacity(sizes.len());
    for size in sizes {
        let mut slice = whole(&shape);
        let end = start.saturating_add(size);
        (slice.starts[axis], slice.ends[axis]) = (start, end);
        parts.push(walk.single(node, Op::Slice(slice), &[x])?);
        start = end;
    }
    Ok(parts)
}

/// Zeros around.
pub(super) fn pad(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["mode"])?;
    let x = walk.value(node, 0)?;
    let rank = walk.shape(x).len();
    let mode = node.attributes.text("mode");
    if !matches!(mode.as_deref(), None | Some("constant")) || walk.number(node, 2)?.unwrap_or(0.0) != 0.0 {
        return Err(refused(node, "it pads with something else than zeros"));
    }
    let pads = walk.integers(node, 1)?;
    let axes = if walk.has(node, 3) {
        let axes = walk.integers(node, 3)?.into_iter();
        axes.map(|axis| axis_of(node, axis, rank))
            .collect::<Result<Vec<_>, _>>()?
    } else {
        (0..rank).collect()
    };
    let mut pad = Pad {
        before: vec![0; rank],
        after: vec![0; rank],
    };
    let size = |position: usize| {
        let size = pads.get(position).and_then(|&size| usize::try_from(size).ok());
        size.ok_or_else(|| refused(node, "it cuts off instead of padding"))
    };
    for (position, &axis) in axes.iter().enumerate() {
        pad.before[axis] = size(position)?;
        pad.after[axis] = size(position + axes.len())?;
    }
    walk.single(node, Op::Pad(pad), &[x])
}
