//! Composites computed by operators of our own, several in one pass.
//!
//! The graph is walked once, in its order. What a node computes is not added at once, but *promised*: written down with all that is known,
//! so that its readers can add to it. A convolution's readers may ask for the statistics of its result; a batch norm waits for a rectifier,
//! a shortcut, or a convolution that applies it on the way in; a gradient waits for others to be added, for a rectifier, and for a batch
//! norm that wants to know its sums. Who needs the value itself redeems the promise.
//!
//! # Layout
//! - `state`: what is known of a value, and promises.
//! - `forward`, `backward`: what each operator makes of its operands' promises.
//! - `materialize`: promises become nodes.

mod backward;
mod forward;
mod materialize;
mod value_state;

use self::value_state::ValueState;
use super::value::{Origin, Value};
use super::{Composite, ElementType, Error, Fused, Graph, Node, Op};

/// The same program with [`Fused`] operators wherever they fit: the rest keeps its composites.
///
/// Convolutions fit whose channels are multiples of sixteen, or few in an image; batch norms, rectifiers, shortcuts and pooling fit around
/// these.
///
/// # Errors
/// None for a graph that was built here: an operator that does not fit is a defect of this module.
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
        // A node's results follow one another, so the first brings them all.
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

/// How often each value is read, by nodes and as an output.
fn uses(graph: &Graph) -> Vec<usize> {
    let mut uses = vec![0; graph.values().len()];
    let outputs = graph.outputs().iter().map(|(_, value)| value);
    for value in graph.nodes().iter().flat_map(|node| &node.inputs).chain(outputs) {
        uses[value.index()] += 1;
    }
    uses
}

/// The walk: what was read, what was written, and what is known.
struct Fusion<'g> {
    from: &'g Graph,
    to: Graph,
    uses: Vec<usize>,
    /// Per value that was read.
    states: Vec<ValueState>,
}

impl Fusion<'_> {
    fn node(&mut self, node: &Node) -> Result<(), Error> {
        let is_done = match (&node.op, &*node.inputs) {
            (Op::Composite(Composite::Conv(conv)), &[x, w]) => self.conv(node, *conv, [x, w])?,
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

    /// Whether a value has four axes and channels in blocks of sixteen, in single precision.
    fn fits_nchwc(&self, value: Value) -> bool {
        let tensor_type = self.from.tensor_type(value);
        tensor_type.element_type == ElementType::F32
            && matches!(*tensor_type.shape, [_, channels, _, _] if channels % 16 == 0)
    }

    /// Whether a value is images of few channels, in single precision.
    fn is_image(&self, value: Value) -> bool {
        let tensor_type = self.from.tensor_type(value);
        tensor_type.element_type == ElementType::F32 && matches!(*tensor_type.shape, [_, 1..16, _, _])
    }

    /// Whether a value is, or will be, in blocks.
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
