//! Padding.

use super::Error;
use super::importer::Importer;
use super::node::{axis_of, node_error};
use super::operator::Operator;
use crate::graph::import::ModelNode;
use crate::graph::op::Pad;
use crate::graph::{Constant, Op, Shape, Value};

pub(super) const OPERATORS: &[Operator] = &[Operator::new("Pad", &["mode"], pad)];

/// Padding with a constant, or by the elements of the border or their reflection.
fn pad(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let rank = importer.shape(x).len();
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
    let extents = importer.shape(x).clone();
    match node.attributes.text("mode").as_deref() {
        None | Some("constant") => {
            let number = importer.number(node, 2)?.unwrap_or(0.0);
            padded_with(importer, node, x, pad, number)
        }
        Some("edge") => selected(importer, node, x, &pad, |at, last| at.clamp(0, last)),
        Some("reflect") if (0..rank).all(|axis| pad.before[axis].max(pad.after[axis]) < extents[axis]) => {
            selected(importer, node, x, &pad, |at, last| last - (last - at.abs()).abs())
        }
        Some(mode) => {
            let reason = format!(
                "it pads {extents} by {:?} and {:?} in mode `{mode}`",
                pad.before, pad.after
            );
            Err(node_error(node, reason))
        }
    }
}

/// Pads with a number: with zeros, which a Where per axis then replaces.
pub(super) fn padded_with(
    importer: &mut Importer<'_, '_>,
    node: &ModelNode,
    x: Value,
    pad: Pad,
    number: f32,
) -> Result<Value, Error> {
    let extents = importer.shape(x).clone();
    let (before, after) = (pad.before.clone(), pad.after.clone());
    let mut y = importer.single(node, Op::Pad(pad), &[x])?;
    if number.to_bits() == 0 {
        return Ok(y);
    }
    for axis in (0..extents.len()).filter(|&axis| before[axis] + after[axis] > 0) {
        let mut shape = vec![1; extents.len()];
        shape[axis] = before[axis] + extents[axis] + after[axis];
        importer.reserve(node, shape[axis])?;
        let inner = before[axis]..before[axis] + extents[axis];
        let border = (0..shape[axis]).map(|at| !inner.contains(&at));
        let border = border.map(|is_border| if is_border { 1.0 } else { 0.0 });
        let border = Constant::F32(border.collect());
        y = importer.wire(node, |g| {
            let (border, number, zero) = (
                g.constant(Shape::from(shape), border)?,
                g.scalar(number),
                g.scalar(0.0),
            );
            let is_border = g.greater(border, zero)?;
            g.select(is_border, number, y)
        })?;
    }
    Ok(y)
}

/// Pads with elements of the operand: `source` maps an index, which may be outside, and the last index to an index inside.
fn selected(
    importer: &mut Importer<'_, '_>,
    node: &ModelNode,
    x: Value,
    pad: &Pad,
    source: impl Fn(i64, i64) -> i64,
) -> Result<Value, Error> {
    let signed = |extent: usize| i64::try_from(extent).unwrap_or(i64::MAX);
    let mut y = x;
    for axis in 0..pad.before.len() {
        let (before, after) = (signed(pad.before[axis]), signed(pad.after[axis]));
        if before == 0 && after == 0 {
            continue;
        }
        let extent = importer.shape(x)[axis];
        importer.reserve(
            node,
            pad.before[axis]
                .saturating_add(extent)
                .saturating_add(pad.after[axis]),
        )?;
        let last = signed(extent) - 1;
        let indices: Vec<i64> = (-before..=last + after).map(|at| source(at, last)).collect();
        y = importer.wire(node, |g| {
            let indices = g.constant([indices.len()], Constant::I64(indices))?;
            g.gather(y, indices, axis)
        })?;
    }
    Ok(y)
}
