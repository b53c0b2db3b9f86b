use super::Error;
use super::importer::Importer;
use super::node::{axis_of, node_error};
use super::operator::Operator;
use crate::graph::import::{ModelNode, element_type_of};
use crate::graph::op::Slice;
use crate::graph::{ElementType, Op, Shape, Value};
use crate::nn::ParameterKind;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Reshape", &["allowzero"], reshape),
    Operator::new("Flatten", &["axis"], flatten),
    Operator::new("Squeeze", &["axes"], squeeze),
    Operator::new("Unsqueeze", &["axes"], unsqueeze),
    Operator::new("Transpose", &["perm"], transpose),
    Operator::new("Expand", &[], expand),
    Operator::new("Concat", &["axis"], concat),
    Operator::new("Cast", &["to", "saturate"], cast).elementwise(),
    Operator::new("CastLike", &["saturate"], cast),
    Operator::new("DepthToSpace", &["blocksize", "mode"], depth_to_space),
    Operator::alias("Identity"),
    Operator::new("Slice", &[], slice),
    Operator::new("SpaceToDepth", &["blocksize"], space_to_depth),
    Operator::new("Tile", &[], tile),
    Operator::several("Split", &["axis", "num_outputs", "split"], split),
];

/// The operand of a data-movement operator; an initializer becomes trainable.
pub(super) fn moved(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<(Value, Shape), Error> {
    let x = importer.parameter(node, 0, ParameterKind::Other)?;
    Ok((x, importer.shape(x).clone()))
}

/// Cast to the element type that the attribute names, or to that of the second operand.
///
/// All floating-point types are single precision here: training chooses its precision itself.
fn cast(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let (x, _) = moved(importer, node)?;
    let to = match node.attributes.int("to") {
        Some(code) => element_type_of(i32::try_from(code).unwrap_or(0)),
        None => Some(importer.element_type_of(importer.item(node, 1)?)),
    };
    let to = to.map(|to| if to.is_float() { ElementType::F32 } else { to });
    let to = to.ok_or_else(|| node_error(node, "it casts to an unsupported type"))?;
    importer.wire(node, |g| g.converted(x, to))
}

/// Reshape to a constant target.
fn reshape(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
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

fn flatten(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
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

fn squeeze(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
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

fn unsqueeze(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
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

fn transpose(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
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

fn expand(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
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

fn concat(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let operands = (0..node.inputs.len())
        .map(|operand| importer.value(node, operand))
        .collect::<Result<Vec<_>, _>>()?;
    let rank = operands.first().map_or(0, |&first| importer.shape(first).len());
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(0), rank)?;
    importer.single(node, Op::Concat(axis), &operands)
}

fn slice(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let (x, shape) = moved(importer, node)?;
    let required = [importer.integers(node, 1)?, importer.integers(node, 2)?];
    let optional = |operand| {
        let given = importer
            .has(node, operand)
            .then(|| importer.integers(node, operand));
        given.transpose()
    };
    let range = sliced(node, &shape, required, [optional(3)?, optional(4)?])?;
    importer.wire(node, |g| {
        let x = if range.flipped.is_empty() {
            x
        } else {
            g.flip(x, &range.flipped)?
        };
        g.slice(x, range.slice)
    })
}

/// The ranges of a Slice: `slice` of the operand with the axes `flipped` reversed.
pub(super) struct SliceRange {
    pub(super) flipped: Vec<usize>,
    pub(super) slice: Slice,
}

/// ONNX's rule for the ranges of a Slice.
pub(super) fn sliced(
    node: &ModelNode,
    shape: &Shape,
    [starts, ends]: [Vec<i64>; 2],
    [axes, steps]: [Option<Vec<i64>>; 2],
) -> Result<SliceRange, Error> {
    let mut slice = Slice::whole(shape);
    let mut flipped = vec![];
    for (position, (&start, &end)) in starts.iter().zip(&ends).enumerate() {
        let number = |list: &Option<Vec<i64>>, default| match list {
            Some(list) => list.get(position).copied().unwrap_or(default),
            None => default,
        };
        let axis = number(&axes, i64::try_from(position).unwrap_or(i64::MAX));
        let axis = axis_of(node, axis, shape.len())?;
        let step = number(&steps, 1);
        if step == 0 {
            return Err(node_error(node, "its step is 0"));
        }
        let extent = i64::try_from(shape[axis]).unwrap_or(i64::MAX);
        let from_first = |index: i64| {
            if index < 0 {
                index.saturating_add(extent)
            } else {
                index
            }
        };
        let (mut start, mut end) = (from_first(start), from_first(end));
        if step < 0 {
            // The same elements, counted from the last one.
            flipped.push(axis);
            [start, end] = [start, end].map(|index| (extent - 1).saturating_sub(index));
        }
        let inside = |index: i64| usize::try_from(index.clamp(0, extent)).unwrap_or(0);
        (slice.starts[axis], slice.ends[axis]) = (inside(start), inside(end));
        slice.steps[axis] = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
    }
    Ok(SliceRange { flipped, slice })
}

/// Repeats the operand along its axes: each axis is expanded by a new one in front of it, and the two are merged.
fn tile(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let (x, shape) = moved(importer, node)?;
    let repeats = importer.integers(node, 1)?;
    let repeats: Option<Vec<usize>> = repeats.iter().map(|&count| usize::try_from(count).ok()).collect();
    let repeats = repeats.filter(|repeats| repeats.len() == shape.len());
    let repeats = repeats.ok_or_else(|| node_error(node, format!("its repeats do not fit shape {shape}")))?;
    let pairs = |counts: &[usize]| {
        counts
            .iter()
            .zip(&*shape)
            .flat_map(|(&count, &extent)| [count, extent])
            .collect()
    };
    let (apart, repeated): (Shape, Shape) = (pairs(&vec![1; shape.len()]), pairs(&repeats));
    let merged = repeats
        .iter()
        .zip(&*shape)
        .map(|(count, extent)| count.saturating_mul(*extent));
    let merged: Shape = merged.collect();
    importer.wire(node, |g| {
        let apart = g.reshape(x, apart)?;
        let repeated = g.expand(apart, repeated)?;
        g.reshape(repeated, merged)
    })
}

/// Moves blocks of channels to blocks of pixels (PyTorch's `PixelShuffle` in mode `CRD`).
fn depth_to_space(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let (x, [n, c, h, w], size) = images_and_block(importer, node)?;
    if size == 0 || c % (size * size) != 0 {
        return Err(node_error(
            node,
            format!("its {c} channels are not a multiple of blocks of {size} x {size}"),
        ));
    }
    let depth = c / (size * size);
    let (apart, permutation) = match node.attributes.text("mode").as_deref() {
        Some("CRD") => ([n, depth, size, size, h, w], [0, 1, 4, 2, 5, 3]),
        _ => ([n, size, size, depth, h, w], [0, 3, 4, 1, 5, 2]),
    };
    importer.wire(node, |g| {
        let apart = g.reshape(x, apart.into())?;
        let turned = g.transpose(apart, &permutation)?;
        g.reshape(turned, [n, depth, h * size, w * size].into())
    })
}

fn space_to_depth(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let (x, [n, c, h, w], size) = images_and_block(importer, node)?;
    if size == 0 || h % size != 0 || w % size != 0 {
        return Err(node_error(
            node,
            format!("its {h} x {w} pixels are not a multiple of blocks of {size} x {size}"),
        ));
    }
    importer.wire(node, |g| {
        let apart = g.reshape(x, [n, c, h / size, size, w / size, size].into())?;
        let turned = g.transpose(apart, &[0, 3, 5, 1, 2, 4])?;
        g.reshape(turned, [n, c * size * size, h / size, w / size].into())
    })
}

/// The operand, its extents `[N, C, H, W]`, and the block size; 0 if that is missing or invalid.
fn images_and_block(
    importer: &mut Importer<'_, '_>,
    node: &ModelNode,
) -> Result<(Value, [usize; 4], usize), Error> {
    let (x, shape) = moved(importer, node)?;
    let extents = shape[..].try_into().map_err(|_| {
        node_error(
            node,
            format!("its operand has shape {shape}, expected [N, C, H, W]"),
        )
    })?;
    let size = node.attributes.int("blocksize").unwrap_or(0);
    Ok((x, extents, u8::try_from(size).map_or(0, usize::from)))
}

fn split(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Vec<Value>, Error> {
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
