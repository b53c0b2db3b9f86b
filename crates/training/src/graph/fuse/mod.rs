//! Operator fusion: composites are replaced by the [`Fused`] operators of our own domain.
//!
//! One pass over the nodes in topological order. A node is not added at once but *deferred*; it is materialised when a consumer cannot absorb
//! it. A deferred convolution also computes the statistics of a following batch norm; a deferred batch norm absorbs a following ReLU or
//! shortcut, or is itself absorbed as the prologue of a convolution; a deferred gradient absorbs the sum with other gradients, a ReLU mask,
//! and the reductions of a batch norm's backward pass.
//!
//! # Layout
//! - `value_state`: the fusion state of a value, and deferred operations.
//! - `forward`, `backward`: fusion rules per operator.
//! - `materialize`: adds deferred operations to the graph.

mod backward;
mod forward;
mod materialize;
mod value_state;

use self::value_state::ValueState;
use super::value::{Origin, Value};
use super::{Composite, ElementType, Error, Fused, Graph, Node, Op};

/// Replaces composites by [`Fused`] operators where their layout allows it.
///
/// Convolutions are fused if their output channels are a multiple of sixteen and their input channels are too, or fewer than sixteen; batch
/// norms, ReLU, shortcuts and pooling are fused with them. Everything else is copied.
///
/// # Errors
/// Never for a valid graph: a rejected node is a defect of this module.
pub fn fuse(graph: &Graph) -> Result<Graph, Error> {
    let mut fusion = Fusion {
        from: graph,
        to: Graph::new(),
        uses: uses(graph),
        states: vec![ValueState::default(); graph.values().len()],
    };
    for value in graph.values() {
        if let Some(leaf) = fusion.to.leaf_of(graph, value)? {
            fusion.states[value.index()].nchw = Some(leaf);
        }
        // A node's outputs are consecutive values: handle all of them at the first.
        if let Origin::Node(id, 0) = graph.origin(value) {
            fusion.node(graph.node(*id))?;
        }
    }
    for (name, value) in graph.outputs() {
        let value = fusion.nchw(*value)?;
        fusion.to.output(name, value)?;
    }
    Ok(fusion.to)
}

/// Number of uses of each value, by nodes and as an output.
fn uses(graph: &Graph) -> Vec<usize> {
    let mut uses = vec![0; graph.values().len()];
    let outputs = graph.outputs().iter().map(|(_, value)| value);
    for value in graph.nodes().iter().flat_map(|node| &node.inputs).chain(outputs) {
        uses[value.index()] += 1;
    }
    uses
}

/// State of the pass: the original graph, the new graph, and the state of each value.
struct Fusion<'g> {
    from: &'g Graph,
    to: Graph,
    uses: Vec<usize>,
    /// Per value of the original graph.
    states: Vec<ValueState>,
}

impl Fusion<'_> {
    fn node(&mut self, node: &Node) -> Result<(), Error> {
        let is_done = match (&node.op, &*node.inputs) {
            (Op::Conv(conv), &[x, w]) => self.conv(node, *conv, [x, w])?,
            (Op::Composite(Composite::BatchNorm(norm)), &[x, scale, bias]) => {
                self.batch_norm(node, *norm, [x, scale, bias])?
            }
            (Op::Relu, &[x]) => self.relu(node, x)?,
            (Op::Add, &[left, right]) => self.add(node, [left, right])?,
            (Op::MaxPool(pool), &[x]) => self.max_pool(node, *pool, x)?,
            (Op::Sum, operands) => self.sum(node, operands)?,
            (Op::Composite(Composite::ReluGradient), &[y, dy]) => self.relu_gradient(node, y, dy)?,
            (Op::Composite(Composite::BatchNormGradient(norm)), &[x, dy, scale, mean, variance]) => {
                self.batch_norm_gradient(node, *norm, [x, dy, scale, mean, variance])?
            }
            (Op::Composite(Composite::ConvInputGradient { conv, extent }), &[w, dy]) => {
                self.conv_input_gradient(node, (*conv, *extent), [w, dy])?
            }
            (Op::Composite(Composite::ConvWeightGradient { conv, kernel }), &[x, dy]) => {
                self.conv_weight_gradient(node, (*conv, *kernel), [x, dy])?
            }
            (Op::Composite(Composite::MaxPoolGradient(_)), &[indices, dy]) => {
                self.max_pool_gradient(node, indices, dy)?
            }
            _ => false,
        };
        if is_done {
            return Ok(());
        }
        let op = match &node.op {
            Op::Composite(Composite::AdamW(adamw)) => Op::Fused(Fused::AdamW(*adamw)),
            op => op.clone(),
        };
        let inputs = node.inputs.iter().map(|&input| self.nchw(input));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let results = self.to.scoped(&node.scope, |to| to.push(op, &inputs))?;
        for (output, result) in node.outputs().zip(results) {
            self.states[output.index()].nchw = Some(result);
        }
        Ok(())
    }

    /// Whether a value can have NCHWc layout: f32, four axes, channels a multiple of sixteen.
    fn fits_nchwc(&self, value: Value) -> bool {
        let tensor_type = self.from.tensor_type(value);
        tensor_type.element_type == ElementType::F32
            && matches!(*tensor_type.shape, [_, channels, _, _] if channels % 16 == 0)
    }

    /// Whether a value is f32 `[N, C, H, W]` with fewer than sixteen channels.
    fn is_image(&self, value: Value) -> bool {
        let tensor_type = self.from.tensor_type(value);
        tensor_type.element_type == ElementType::F32 && matches!(*tensor_type.shape, [_, 1..16, _, _])
    }

    /// Whether a value exists in NCHWc layout, or is deferred and will.
    fn is_nchwc(&self, value: Value) -> bool {
        let state = &self.states[value.index()];
        state.nchwc.is_some() || state.deferred.is_some()
    }

    fn push<const COUNT: usize>(
        &mut self,
        scope: &str,
        op: Fused,
        operands: &[Value],
    ) -> Result<[Value; COUNT], Error> {
        self.to.scoped(scope, |to| to.several(Op::Fused(op), operands))
    }
}
