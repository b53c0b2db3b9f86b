//! Models with a dynamic batch size. The extents that depend on it are found by comparing the graphs of two batch sizes.

use crate::graph::op::Slice;
use crate::graph::{Error, Graph, Node, Op, Origin, Shape};

/// The dynamic batch axis of an exported model.
#[derive(Clone, Copy, Debug)]
pub struct DynamicBatch<'a> {
    /// Symbolic name (`dim_param`) of the first axis of all inputs and outputs.
    pub name: &'a str,
    /// The same graph built for another batch size: extents that differ depend on the batch size.
    pub resized: &'a Graph,
}

/// A node of [`DynamicBatch::resized`].
#[derive(Clone, Copy)]
pub(super) struct ResizedNode<'g> {
    pub(super) op: &'g Op,
    /// Shape of its first operand.
    pub(super) operand: Option<&'g Shape>,
}

/// Rejects graphs whose operators or attributes depend on the batch size in a way that ONNX's dynamic shapes cannot express.
pub(super) fn check(graph: &Graph, resized: &Graph) -> Result<(), Error> {
    let refused = |node: &Node, reason| Error::DynamicBatch {
        operator: node.op.name(),
        scope: node.scope.clone(),
        reason,
    };
    for (position, node) in graph.nodes().iter().enumerate() {
        let other = resized.nodes().get(position);
        let Some(other) = other.filter(|other| other.op.name() == node.op.name()) else {
            return Err(refused(node, "the operator differs for another batch size"));
        };
        let is_same = match (&node.op, &other.op) {
            (Op::Reshape(target), Op::Reshape(of_other)) => target.len() == of_other.len(),
            (Op::Expand(target), Op::Expand(of_other)) => {
                let batch = inputs(graph).next().and_then(|(_, shape)| shape.first());
                target.len() == of_other.len()
                    && missing(graph, node, resized, other).all(|axis| Some(&target[axis]) == batch)
            }
            (Op::Slice(slice), Op::Slice(of_other)) => {
                let whole =
                    |graph: &Graph, node: &Node, axis| is_whole(graph.shape(node.inputs[0]), &node.op, axis);
                (0..slice.starts.len()).all(|axis| {
                    let range = |slice: &Slice| (slice.starts[axis], slice.ends[axis], slice.steps[axis]);
                    range(slice) == range(of_other) || whole(graph, node, axis) && whole(resized, other, axis)
                })
            }
            (op, of_other) => op == of_other,
        };
        if !is_same {
            return Err(refused(node, "its attributes depend on the batch size"));
        }
    }
    Ok(())
}

/// Whether a Slice keeps an axis of its operand unchanged.
pub(super) fn is_whole(operand: &Shape, op: &Op, axis: usize) -> bool {
    let Op::Slice(slice) = op else { return false };
    (slice.starts[axis], slice.steps[axis]) == (0, 1) && operand.get(axis) == Some(&slice.ends[axis])
}

/// Axes of an Expand's target whose extent depends on the batch size although the operand's does not.
pub(super) fn missing<'g>(
    graph: &'g Graph,
    node: &'g Node,
    resized: &'g Graph,
    other: &'g Node,
) -> impl Iterator<Item = usize> + 'g {
    let [target, of_other] = [(graph, node), (resized, other)].map(|(graph, node)| {
        let Op::Expand(target) = &node.op else {
            return (&[][..], &[][..]);
        };
        (&**target, &**graph.shape(node.inputs[0]))
    });
    let of_operand = move |(target, operand): (&[usize], &[usize]), axis: usize| {
        let added = target.len() - operand.len();
        axis.checked_sub(added).map(|axis| operand[axis])
    };
    (0..target.0.len()).filter(move |&axis| {
        target.0[axis] != of_other.0[axis] && of_operand(target, axis) == of_operand(of_other, axis)
    })
}

/// Names and shapes of the inputs.
pub(super) fn inputs(graph: &Graph) -> impl Iterator<Item = (&str, &Shape)> {
    graph.values().filter_map(|value| match graph.origin(value) {
        Origin::Input(name) => Some((&**name, graph.shape(value))),
        _ => None,
    })
}
