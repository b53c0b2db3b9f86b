use super::Error;
use super::walk::{Walk, axis_of, only};
use crate::graph::import::ModelNode;
use crate::graph::op::Reduce;
use crate::graph::{Op, Value};

/// The mean or the sum along axes, which are an attribute or an operand.
pub(super) fn reduce(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["axes", "keepdims", "noop_with_empty_axes"])?;
    let x = walk.value(node, 0)?;
    let rank = walk.shape(x).len();
    let named = if walk.has(node, 1) {
        walk.integers(node, 1)?
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
    walk.single(node, op, &[x])
}
