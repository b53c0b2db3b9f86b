use super::Error;
use super::importer::Importer;
use super::node::{axis_of, check_attributes, node_error};
use crate::graph::import::ModelNode;
use crate::graph::op::{Pad, Slice};
use crate::graph::{ElementType, Op, Shape, Value};
use crate::nn::ParameterKind;

/// The operand of a data-movement operator; an initializer becomes trainable.
fn moved(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<(Value, Shape), Error> {
    let x = importer.parameter(node, 0, ParameterKind::Other)?;
    Ok((x, importer.shape(x).clone()))
}

/// Cast from float to float; other casts are supported in constant folding only.
pub(super) fn cast(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    const FLOAT: i64 = 1;
    check_attributes(node, &["to", "saturate"])?;
    let (x, _) = moved(importer, node)?;
    let is_float = importer.tensor_type(x).element_type == ElementType::F32;
    if is_float && node.attributes.int("to") == Some(FLOAT) {
        return Ok(x);
    }
    Err(node_error(node, "it casts between other types than float32"))
}

/// Reshape to a constant target.
pub(super) fn reshape(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &["allowzero"])?;
    let (x, shape) = moved(importer, node)?;
    let target = importer.integers(node, 1)?;
    let shape = reshaped(&shape, &target)
        .ok_or_else(|| node_error(node, format!("{shape} does not fill {target:?}")))?;
    importer.single(node, Op::Reshape(shape), &[x])
}

/// ONNX's rule for the target of a Reshape: 0 copies an extent, −1 is inferred.
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

pub(super) fn flatten(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &["axis"])?;
    let (x, shape) = moved(importer, node)?;
    let axis = node.attributes.int("axis").unwrap_or(1);
    if axis == 1 && !shape.is_empty() {
        return importer.single(node, Op::Flatten, &[x]);
    }
    let axis = axis_of(node, axis, shape.len() + 1)?;
    let sides = [&shape[..axis], &shape[axis..]].map(|side| side.iter().product::<usize>());
    importer.single(node, Op::Reshape(sides.into()), &[x])
}

/// Axes, an attribute in older opsets and an operand in newer ones.
fn named_axes(importer: &Importer<'_, '_>, node: &ModelNode) -> Result<Option<Vec<i64>>, Error> {
    if importer.has(node, 1) {
        return importer.integers(node, 1).map(Some);
    }
    Ok(node.attributes.ints("axes"))
}

pub(super) fn squeeze(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &["axes"])?;
    let (x, shape) = moved(importer, node)?;
    let axes = named_axes(importer, node)?;
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
    importer.single(node, Op::Reshape(kept), &[x])
}

pub(super) fn unsqueeze(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &["axes"])?;
    let (x, shape) = moved(importer, node)?;
    let axes = named_axes(importer, node)?.unwrap_or_default();
    let shape = unsqueezed(node, &shape, &axes)?;
    importer.single(node, Op::Reshape(shape), &[x])
}

/// The shape with axes of extent 1 inserted.
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
        .ok_or_else(|| node_error(node, "its axes contain a duplicate"))
}

pub(super) fn transpose(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &["perm"])?;
    let (x, shape) = moved(importer, node)?;
    let permutation = permutation(node, shape.len())?;
    importer.single(node, Op::Transpose(permutation), &[x])
}

/// The permutation of a Transpose; reversed axes by default.
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
    Err(node_error(
        node,
        format!("its perm {axes:?} is not a permutation of {rank} axes"),
    ))
}

pub(super) fn expand(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &[])?;
    let (x, shape) = moved(importer, node)?;
    let target = importer.integers(node, 1)?;
    let target: Option<Vec<usize>> = target
        .iter()
        .map(|&extent| usize::try_from(extent).ok())
        .collect();
    let target = target.and_then(|target| shape.broadcast(&target.into()));
    let target =
        target.ok_or_else(|| node_error(node, format!("{shape} does not broadcast to its target")))?;
    importer.single(node, Op::Expand(target), &[x])
}

pub(super) fn concat(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &["axis"])?;
    let operands = (0..node.inputs.len())
        .map(|operand| importer.value(node, operand))
        .collect::<Result<Vec<_>, _>>()?;
    let rank = operands.first().map_or(0, |&first| importer.shape(first).len());
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(0), rank)?;
    importer.single(node, Op::Concat(axis), &operands)
}

pub(super) fn slice(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &[])?;
    let (x, shape) = moved(importer, node)?;
    let (starts, ends) = (importer.integers(node, 1)?, importer.integers(node, 2)?);
    let optional = |importer: &Importer<'_, '_>, operand| {
        let given = importer
            .has(node, operand)
            .then(|| importer.integers(node, operand));
        given.transpose()
    };
    let axes_and_steps = [optional(importer, 3)?, optional(importer, 4)?];
    let slice = sliced(node, &shape, [starts, ends], axes_and_steps)?;
    importer.single(node, Op::Slice(slice), &[x])
}

/// ONNX's rule for the ranges of a Slice, for positive steps.
pub(super) fn sliced(
    node: &ModelNode,
    shape: &Shape,
    [starts, ends]: [Vec<i64>; 2],
    [axes, steps]: [Option<Vec<i64>>; 2],
) -> Result<Slice, Error> {
    let mut slice = Slice::whole(shape);
    for (position, (&start, &end)) in starts.iter().zip(&ends).enumerate() {
        let number = |list: &Option<Vec<i64>>, default| match list {
            Some(list) => list.get(position).copied().unwrap_or(default),
            None => default,
        };
        let axis = number(&axes, i64::try_from(position).unwrap_or(i64::MAX));
        let axis = axis_of(node, axis, shape.len())?;
        let step = usize::try_from(number(&steps, 1)).unwrap_or(0);
        if step == 0 {
            return Err(node_error(node, "its step is not positive"));
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

/// Gather with a single constant index.
pub(super) fn gather(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &["axis"])?;
    let (x, shape) = moved(importer, node)?;
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(0), shape.len())?;
    let [index] = *importer.integers(node, 1)? else {
        return Err(node_error(node, "its indices are not a single constant"));
    };
    let index = axis_of(node, index, shape[axis])?;
    let mut slice = Slice::whole(&shape);
    (slice.starts[axis], slice.ends[axis]) = (index, index + 1);
    let kept: Shape = shape
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != axis)
        .map(|(_, &extent)| extent)
        .collect();
    importer.wire(node, |g| {
        let slice = g.slice(x, slice)?;
        g.reshape(slice, kept)
    })
}

pub(super) fn split(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Vec<Value>, Error> {
    check_attributes(node, &["axis", "num_outputs", "split"])?;
    let (x, shape) = moved(importer, node)?;
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(0), shape.len())?;
    let named = if importer.has(node, 1) {
        Some(importer.integers(node, 1)?)
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
        let mut slice = Slice::whole(&shape);
        let end = start.saturating_add(size);
        (slice.starts[axis], slice.ends[axis]) = (start, end);
        parts.push(importer.single(node, Op::Slice(slice), &[x])?);
        start = end;
    }
    Ok(parts)
}

/// Zero padding.
pub(super) fn pad(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &["mode"])?;
    let x = importer.value(node, 0)?;
    let rank = importer.shape(x).len();
    let mode = node.attributes.text("mode");
    if !matches!(mode.as_deref(), None | Some("constant")) || importer.number(node, 2)?.unwrap_or(0.0) != 0.0
    {
        return Err(node_error(node, "it pads with other values than zero"));
    }
    let pads = importer.integers(node, 1)?;
    let axes = if importer.has(node, 3) {
        let axes = importer.integers(node, 3)?.into_iter();
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
        size.ok_or_else(|| node_error(node, "its pads are missing or negative"))
    };
    for (position, &axis) in axes.iter().enumerate() {
        pad.before[axis] = size(position)?;
        pad.after[axis] = size(position + axes.len())?;
    }
    importer.single(node, Op::Pad(pad), &[x])
}
