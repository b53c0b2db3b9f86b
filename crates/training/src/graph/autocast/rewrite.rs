//! Rewrites a forward graph by the cast policy of its operators.

use super::Format;
use super::policy::{CastPolicy, cast_policy};
use crate::graph::value::{Origin, Value};
use crate::graph::{ElementType, Error, Graph, Node, Op};

/// A graph in mixed precision, and the mapping from the original graph's values.
#[derive(Debug)]
pub struct Autocast {
    /// The rewritten graph.
    pub graph: Graph,
    /// Per value of the original graph: its value in the new graph, and its original element type.
    pub(super) mapped: Vec<(Value, ElementType)>,
}

impl Autocast {
    /// The value that replaces a value of the original graph, cast to its original element type.
    ///
    /// # Errors
    /// Never: every element type can be cast to every other.
    pub fn of(&mut self, value: Value) -> Result<Value, Error> {
        let (mapped, element_type) = self.mapped[value.index()];
        self.graph.converted(mapped, element_type)
    }
}

/// Rewrites a forward graph for mixed precision. Inputs, parameters and outputs keep their types.
///
/// # Errors
/// Never for a valid graph: a rejected node is a defect of this module.
pub fn autocast(graph: &Graph, format: Format) -> Result<Autocast, Error> {
    let mut rewriter = Rewriter {
        from: graph,
        half: format.element_type(),
        to: Autocast {
            graph: Graph::new(),
            mapped: Vec::with_capacity(graph.values().len()),
        },
    };
    for value in graph.values() {
        if let Some(leaf) = rewriter.to.graph.leaf_of(graph, value)? {
            rewriter.record(value, leaf);
        }
        // A node's outputs are consecutive values: handle all of them at the first.
        if let Origin::Node(id, 0) = graph.origin(value) {
            rewriter.node(graph.node(*id))?;
        }
    }
    let mut low = rewriter.to;
    for (name, value) in graph.outputs() {
        let value = low.of(*value)?;
        low.graph.output(name, value)?;
    }
    Ok(low)
}

struct Rewriter<'g> {
    from: &'g Graph,
    half: ElementType,
    to: Autocast,
}

impl Rewriter<'_> {
    fn record(&mut self, value: Value, mapped: Value) {
        let element_type = self.from.tensor_type(value).element_type;
        self.to.mapped.push((mapped, element_type));
    }

    fn node(&mut self, node: &Node) -> Result<(), Error> {
        let cast_policy = cast_policy(&node.op);
        let is_low = match cast_policy {
            CastPolicy::Low => true,
            CastPolicy::Propagate => self.propagates(node),
            CastPolicy::Internal | CastPolicy::Fp32 => false,
        };
        let first_was_low = node.inputs.first().is_some_and(|&operand| self.is_half(operand));
        let Autocast { graph, mapped } = &mut self.to;
        let results = graph.scoped(&node.scope, |graph| -> Result<Vec<Value>, Error> {
            let mut operands = Vec::with_capacity(node.inputs.len());
            for input in &node.inputs {
                let (value, original) = mapped[input.index()];
                let to = if is_low && original.is_float() {
                    self.half
                } else {
                    original
                };
                operands.push(graph.converted(value, to)?);
            }
            let mut results = graph.push(node.op.clone(), &operands)?;
            if cast_policy == CastPolicy::Internal && first_was_low {
                results[0] = graph.cast(results[0], self.half)?;
            }
            Ok(results)
        })?;
        for (output, result) in node.outputs().zip(results) {
            self.record(output, result);
        }
        Ok(())
    }

    /// Whether a value was changed to half precision.
    fn is_half(&self, value: Value) -> bool {
        let (value, original) = self.to.mapped[value.index()];
        original == ElementType::F32 && self.to.graph.tensor_type(value).element_type == self.half
    }

    /// Whether at least one operand is in half precision and all others are too, ignoring scalar constants (as in PyTorch) and the bias of a
    /// matrix multiplication or convolution.
    fn propagates(&self, node: &Node) -> bool {
        let counts = |operand: Value| !self.is_number(operand) && !self.is_bias(node, operand);
        let operands = || node.inputs.iter().copied();
        operands().any(|operand| self.is_half(operand))
            && operands().all(|operand| self.is_half(operand) || !counts(operand))
    }

    fn is_number(&self, value: Value) -> bool {
        matches!(self.from.origin(value), Origin::Constant(_)) && self.from.shape(value).elements() == 1
    }

    /// Whether a node adds this parameter, as a bias, to the output of a matrix multiplication or convolution.
    fn is_bias(&self, node: &Node, value: Value) -> bool {
        let of = |value: Value| match self.from.origin(value) {
            Origin::Node(id, 0) => Some(self.from.node(*id)),
            _ => None,
        };
        let is_product =
            |&other: &Value| of(other).is_some_and(|node| cast_policy(&node.op) == CastPolicy::Low);
        let leaf = match of(value) {
            Some(node) if matches!(node.op, Op::Reshape(_)) => node.inputs[0],
            _ => value,
        };
        node.op == Op::Add
            && matches!(self.from.origin(leaf), Origin::Parameter(_))
            && node.inputs.iter().any(is_product)
    }
}
