//! A scale and a shift of the network's output, merged into its last layer.

use std::collections::BTreeMap;

use super::super::{Error, Graph, NodeId, Op, Origin, Tensor, Value};
use super::{Merge, Readers, ScaleShift, Side, kept, output_axis, parameter};

/// A graph, its parameters, and a value in it.
type Folded = (Graph, BTreeMap<String, Tensor>, Value);

/// Changes the weight and bias of the linear layer that computes `output: f32[N, K]` so that it becomes `scale · output + shift`. Returns the
/// rewritten graph, its parameters, and `output` there; `None` if no such layer computes it, or a parameter of that has other uses.
///
/// # Errors
/// [`Error::DuplicateName`] if the name of an added bias is taken.
pub fn fold_output(
    graph: &Graph,
    state: &BTreeMap<String, Tensor>,
    output: Value,
    (scale, shift): (f64, Vec<f64>),
) -> Result<Option<Folded>, Error> {
    let readers = Readers::of(graph);
    let Some((layer, (weight, bias), axis)) = last_layer(graph, &readers, output, state) else {
        return Ok(None);
    };
    let scale = vec![scale; shift.len()];
    let merge = Merge {
        norm: None,
        layer,
        weight,
        bias,
        scale_shift: ScaleShift { scale, shift },
        side: Side::After { axis },
    };
    let mut state = state.clone();
    let (graph, mapped) = merge.apply(graph, &mut state)?;
    Ok(Some((graph, state, mapped[output.index()])))
}

/// The linear layer that computes a value that is not used yet, its weight and bias, and the weight's axis of outputs: a Gemm, or a MatMul
/// with an Add.
fn last_layer(
    graph: &Graph,
    readers: &Readers,
    output: Value,
    state: &BTreeMap<String, Tensor>,
) -> Option<(NodeId, (String, Option<String>), usize)> {
    let Origin::Node(id, 0) = *graph.origin(output) else {
        return None;
    };
    if !readers.0[output.index()].is_empty() {
        return None;
    }
    let node = graph.node(id);
    match &node.op {
        Op::Gemm(_) => Some((id, kept(graph, readers, node, state)?, output_axis(&node.op)?)),
        Op::Add => node
            .inputs
            .iter()
            .zip(node.inputs.iter().rev())
            .find_map(|(&product, &bias)| {
                let Origin::Node(layer, 0) = *graph.origin(product) else {
                    return None;
                };
                let layer = graph.node(layer);
                let is_layer = matches!(layer.op, Op::MatMul) && readers.only(product).is_some();
                let weight = is_layer.then(|| layer.inputs[1])?;
                let outputs = *graph.shape(output).last()?;
                let is_per_output = graph.shape(weight).len() == 2 && graph.shape(bias).elements() == outputs;
                let [weight, bias] = [weight, bias].map(|value| parameter(graph, readers, value, state));
                is_per_output.then_some((id, (weight?, Some(bias?)), 1))
            }),
        _ => None,
    }
}
