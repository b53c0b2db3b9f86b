use super::error::Error;
use crate::graph::op::Reduce;
use crate::graph::{Graph, Value};

/// Sums `gradient` over the axes along which `operand` was broadcast: the gradient of a repeated element is the sum over its copies.
pub(super) fn to_shape_of(graph: &mut Graph, gradient: Value, operand: Value) -> Result<Value, Error> {
    let target = graph.shape(operand).clone();
    if *graph.shape(gradient) == target
        || target.broadcast(graph.shape(gradient)).as_ref() != Some(graph.shape(gradient))
    {
        return Ok(gradient);
    }
    let axes = target.repeated_axes(graph.shape(gradient));
    let summed = if axes.is_empty() {
        gradient
    } else {
        graph.sum_along(
            gradient,
            Reduce {
                axes,
                keep_axes: false,
            },
        )?
    };
    Ok(if *graph.shape(summed) == target {
        summed
    } else {
        graph.reshape(summed, target)?
    })
}
