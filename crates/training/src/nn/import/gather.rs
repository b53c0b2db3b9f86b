//! Selection by index.

use super::Error;
use super::importer::Importer;
use super::layout::moved;
use super::node::{axis_of, node_error};
use super::operator::Operator;
use crate::graph::import::ModelNode;
use crate::graph::op::Slice;
use crate::graph::{Constant, ElementType, Op, Shape, Value};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Gather", &["axis"], gather),
    Operator::new("GatherND", &["batch_dims"], gather_nd),
];

/// The shape of the indices replaces the axis. A single constant index is a slice, which keeps the rest of the graph cheap.
fn gather(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let (x, shape) = moved(importer, node)?;
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(0), shape.len())?;
    let known = importer.const_value(importer.item(node, 1)?).cloned();
    if let Some([index]) = known.as_ref().and_then(|known| known.integers()) {
        let index = axis_of(node, *index, shape[axis])?;
        let mut slice = Slice::whole(&shape);
        (slice.starts[axis], slice.ends[axis]) = (index, index + 1);
        let ones = known.as_ref().map_or(0, |known| known.shape.len());
        let kept = [&shape[..axis], &vec![1; ones], &shape[axis + 1..]].concat();
        return importer.wire(node, |g| {
            let slice = g.slice(x, slice)?;
            g.reshape(slice, Shape::from(kept))
        });
    }
    if let Some(indices) = known.as_ref().and_then(|known| known.integers()) {
        for &index in indices {
            axis_of(node, index, shape[axis])?;
        }
    }
    let indices = importer.value(node, 1)?;
    if importer.tensor_type(indices).element_type != ElementType::I64 {
        return Err(node_error(node, "its indices are not integers"));
    }
    importer.single(node, Op::Gather(axis), &[x, indices])
}

/// Indices of several axes, along the last axis of the indices: these axes are merged, and so are the indices.
fn gather_nd(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let (x, shape) = moved(importer, node)?;
    let indices = importer.value(node, 1)?;
    let of_indices = importer.shape(indices).clone();
    let depth = of_indices.last().copied().unwrap_or(0);
    if depth == 0 || depth > shape.len() || node.attributes.int("batch_dims").unwrap_or(0) != 0 {
        return Err(node_error(
            node,
            "its indices do not fit its data, or it has batch_dims",
        ));
    }
    let kept = Shape::from(&of_indices[..of_indices.len() - 1]);
    let (outer, inner) = shape.split_at(depth);
    let merged = Shape::from([&[outer.iter().product()], inner].concat());
    let places = if depth == 1 {
        importer.wire(node, |g| g.reshape(indices, kept))?
    } else {
        let numbers = importer.integers(node, 1)?;
        let mut places = vec![];
        for index in numbers.chunks_exact(depth) {
            let mut flat = 0;
            for (&at, &extent) in index.iter().zip(outer) {
                flat = flat * extent + axis_of(node, at, extent)?;
            }
            places.push(i64::try_from(flat).unwrap_or(i64::MAX));
        }
        importer.wire(node, |g| g.constant(kept, Constant::I64(places)))?
    };
    importer.wire(node, |g| {
        let x = if depth == 1 { x } else { g.reshape(x, merged)? };
        g.gather(x, places, 0)
    })
}
