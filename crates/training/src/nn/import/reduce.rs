//! Reductions.

use super::Error;
use super::activation::abs;
use super::importer::Importer;
use super::node::axis_of;
use super::operator::Operator;
use crate::graph::import::ModelNode;
use crate::graph::op::Reduce;
use crate::graph::{Op, Value};

const ATTRIBUTES: &[&str] = &["axes", "keepdims", "noop_with_empty_axes"];

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("ReduceL1", ATTRIBUTES, |importer, node| {
        let x = importer.value(node, 0)?;
        let size = importer.wire(node, |g| abs(g, x))?;
        reduce(importer, node, size, Op::ReduceSum)
    }),
    Operator::new("ReduceL2", ATTRIBUTES, |importer, node| {
        let x = importer.value(node, 0)?;
        let square = importer.wire(node, |g| g.mul(x, x))?;
        let total = reduce(importer, node, square, Op::ReduceSum)?;
        importer.single(node, Op::Sqrt, &[total])
    }),
    Operator::new("ReduceMax", ATTRIBUTES, |importer, node| {
        let x = importer.value(node, 0)?;
        reduce(importer, node, x, Op::ReduceMax)
    }),
    Operator::new("ReduceMean", ATTRIBUTES, |importer, node| {
        let x = importer.value(node, 0)?;
        reduce(importer, node, x, Op::ReduceMean)
    }),
    Operator::new("ReduceMin", ATTRIBUTES, |importer, node| {
        let x = importer.value(node, 0)?;
        let negative = importer.single(node, Op::Neg, &[x])?;
        let largest = reduce(importer, node, negative, Op::ReduceMax)?;
        importer.single(node, Op::Neg, &[largest])
    }),
    Operator::new("ReduceSum", ATTRIBUTES, |importer, node| {
        let x = importer.value(node, 0)?;
        reduce(importer, node, x, Op::ReduceSum)
    }),
    Operator::new("ReduceSumSquare", ATTRIBUTES, |importer, node| {
        let x = importer.value(node, 0)?;
        let square = importer.wire(node, |g| g.mul(x, x))?;
        reduce(importer, node, square, Op::ReduceSum)
    }),
];

/// Reduces `x` along the node's axes, which are an attribute or an operand.
fn reduce(
    importer: &mut Importer<'_, '_>,
    node: &ModelNode,
    x: Value,
    op: fn(Reduce) -> Op,
) -> Result<Value, Error> {
    let rank = importer.shape(x).len();
    let named = if importer.has(node, 1) {
        importer.integers(node, 1)?
    } else {
        node.attributes.ints("axes").unwrap_or_default()
    };
    let mut axes = named
        .into_iter()
        .map(|axis| axis_of(node, axis, rank))
        .collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if axes.is_empty() {
        if node.attributes.int("noop_with_empty_axes").unwrap_or(0) != 0 {
            return Ok(x);
        }
        axes = (0..rank).collect();
    }
    let reduce = Reduce {
        axes,
        keep_axes: node.attributes.int("keepdims").unwrap_or(1) != 0,
    };
    importer.single(node, op(reduce), &[x])
}
