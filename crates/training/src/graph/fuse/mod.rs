//! Operator fusion: convolutions and composites are replaced by the [`Fused`](super::Fused) operators of our own domain.
//!
//! One pass over the nodes in topological order. A node is not added at once but *deferred*; it is materialised when a consumer cannot absorb
//! it. A deferred convolution also computes the statistics of a following batch norm; a deferred batch norm absorbs a following ReLU or
//! shortcut, or is itself absorbed as the prologue of a convolution, a depthwise one also with the 1×1 convolution
//! before it; a deferred gradient absorbs the sum with other gradients, a ReLU mask,
//! and the reductions of a batch norm's backward pass.
//!
//! # Layout
//! - [`fuse`]: the pass, and the ordered list of its rules.
//! - `forward`, `backward`, `fixed_norm`: the rules.
//! - `expansion`: two convolutions in one.
//! - `recompute`: what is computed again instead of being kept.
//! - `materialize`: adds deferred operations to the graph.
//! - `fusion`, `value_state`: the state of the pass and of a value, and deferred operations.

mod backward;
mod expansion;
mod forward;
mod fusion;
mod materialize;
mod recompute;
mod value_state;

use self::fusion::Fusion;
use super::{Error, Graph, Node, Origin};

/// Handles a node if it matches, and returns whether it did.
type Rule<'g> = fn(&mut Fusion<'g>, &Node) -> Result<bool, Error>;

/// The fusion rules with their names, in the order in which they are tried.
fn rules<'g>() -> [(&'static str, Rule<'g>); 15] {
    [
        ("GELU computed again", Fusion::gelu_again),
        ("convolution", Fusion::conv),
        ("batch norm", Fusion::batch_norm),
        ("batch norm with running statistics", Fusion::fixed_batch_norm),
        ("batch norm + ReLU", Fusion::relu),
        ("batch norm + shortcut", Fusion::add),
        ("batch norm + ReLU + max pooling", Fusion::max_pool),
        ("input gradient of a convolution + sum", Fusion::sum),
        ("gradient + ReLU mask", Fusion::relu_gradient),
        ("gradient + sums of a batch norm", Fusion::batch_norm_gradient),
        ("input gradient of a convolution", Fusion::conv_input_gradient),
        ("weight gradient of a convolution", Fusion::conv_weight_gradient),
        ("gradient of max pooling", Fusion::max_pool_gradient),
        ("elementwise operator in NCHWc layout", Fusion::elementwise),
        ("composite in one pass", Fusion::one_pass),
    ]
}

/// Replaces convolutions and composites by [`Fused`](super::Fused) operators where their layout allows it.
///
/// Convolutions of one group are fused if they have at least sixteen output channels, and so are depthwise convolutions; batch norms, ReLU,
/// ReLU6, shortcuts and pooling are fused with them. Everything else is copied.
///
/// # Errors
/// Never for a valid graph: a rejected node is a defect of this module.
pub fn fuse(graph: &Graph) -> Result<Graph, Error> {
    let mut fusion = Fusion::new(graph);
    for value in graph.values() {
        if let Some(leaf) = fusion.to.leaf_of(graph, value)? {
            fusion.states[value.index()].nchw = Some(leaf);
        }
        // A node's outputs are consecutive values: handle all of them at the first.
        if let Origin::Node(id, 0) = graph.origin(value) {
            let node = graph.node(*id);
            if node.outputs().any(|output| fusion.uses[output.index()] > 0) {
                apply(&mut fusion, node)?;
            }
        }
    }
    for (name, value) in graph.outputs() {
        let value = fusion.nchw(*value)?;
        fusion.to.output(name, value)?;
    }
    Ok(fusion.to)
}

/// Applies the first rule that matches a node; copies the node if none does.
fn apply(fusion: &mut Fusion<'_>, node: &Node) -> Result<(), Error> {
    for (name, rule) in rules() {
        if rule(fusion, node)? {
            tracing::trace!(rule = name, scope = node.scope, "node fused");
            return Ok(());
        }
    }
    fusion.copy(node, node.op.clone())
}
