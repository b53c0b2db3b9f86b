//! The walk over a forward graph.

use super::Format;
use super::policy::{CastPolicy, cast_policy};
use crate::graph::value::{Origin, Value};
use crate::graph::{ElementType, Error, Graph, Node, Op};

/// A graph in half precision, and where the values of the one before are found in it.
#[derive(Debug)]
pub struct Autocast {
    /// The graph.
    pub graph: Graph,
    /// Per value of the graph before: the one that stands for it, and the type that it had.
    pub(super) mapped: Vec<(Value, ElementType)>,
}

impl Autocast {
    /// What stands for a value of the graph before, in the type that it had there.
    ///
    /// # Errors
    /// None: floats can be converted.
    pub fn of(&mut self, value: Value) -> Result<Value, Error> {
        let (image, element_type) = self.mapped[value.index()];
        self.graph.converted(image, element_type)
    }
}

/// Rewrites a forward graph, in which no value is of half precision but what is given so. Inputs, parameters and outputs keep their
/// types.
///
/// # Errors
/// None for a graph that was built here: an operator that refuses its operands is a defect of this module.
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
        // A node's results follow one another, so the first brings them all.
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
    fn record(&mut self, value: Value, image: Value) {
        let element_type = self.from.tensor_type(value).element_type;
        self.to.mapped.push((image, element_type));
    }

    fn node(&mut self, node: &Node) -> Result<(), Error> {
        let cast_policy = cast_policy(&node.op);
        let is_low = match cast_policy {
            CastPolicy::Low => true,
            CastPolicy::Propagate => self.follows(node),
            CastPolicy::Internal | CastPolicy::Fp32 => false,
        };
        let first_was_low = node.inputs.first().is_some_and(|&operand| self.is_half(operand));
        let Autocast { graph, mapped } = &mut self.to;
        let results = graph.scoped(&node.scope, |graph| -> Result<Vec<Value>, Error> {
            let mut operands = Vec::with_capacity(node.inputs.len());
            for input in &node.inputs {
                let (image, had) = mapped[input.index()];
                let to = if is_low && had.is_float() { self.half } else { had };
                operands.push(graph.converted(image, to)?);
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

    /// Whether a value stands in half precision by now.
    fn is_half(&self, value: Value) -> bool {
        let (image, had) = self.to.mapped[value.index()];
        had == ElementType::F32 && self.to.graph.tensor_type(image).element_type == self.half
    }

    /// Whether all operands that count are in half precision, and one is. Constant numbers do not count, as in PyTorch, nor does what is
    /// added to a product for each channel: it belongs to the product.
    fn follows(&self, node: &Node) -> bool {
        let counts = |operand: Value| !self.is_number(operand) && !self.is_bias(node, operand);
        let operands = || node.inputs.iter().copied();
        operands().any(|operand| self.is_half(operand))
            && operands().all(|operand| self.is_half(operand) || !counts(operand))
    }

    fn is_number(&self, value: Value) -> bool {
        matches!(self.from.origin(value), Origin::Constant(_)) && self.from.shape(value).elements() == 1
    }

    /// Whether a node adds this parameter to a product.
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
