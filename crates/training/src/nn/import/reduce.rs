use super::Error;
use super::importer::Importer;
use super::node::{axis_of, check_attributes};
use crate::graph::import::ModelNode;
use crate::graph::op::Reduce;
use crate::graph::{Op, Value};

/// ReduceMean or ReduceSum; axes are an attribute or an operand.
pub(super) fn reduce(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &["axes", "keepdims", "noop_with_empty_axes"])?;
    let x = importer.value(node, 0)?;
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
    let op = if node.operator == "ReduceSum" {
        Op::ReduceSum(reduce)
    } else {
        Op::ReduceMean(reduce)
    };
    importer.single(node, op, &[x])
}
