//! Reverse-mode differentiation, from graph to graph. It knows no layers and nothing of how a graph is run.
//!
//! # Layout
//! - [`gradients`]: the whole algorithm; it names no operator.
//! - `rules`: the table of how each operator passes gradients back, and the rules by family.
//! - `liveness`: which values matter.
//! - `unbroadcast`: the one place that undoes broadcasting.

mod error;
mod liveness;
mod rules;
mod unbroadcast;

use std::ops::{Deref, DerefMut};

pub use error::Error;

use self::liveness::Liveness;
use self::rules::{Vjp, vjp};
use crate::graph::{Graph, Node, Shape, TensorType, Value};

/// One optional gradient per operand of a node.
type Gradients = Vec<Option<Value>>;

/// Adds to `graph` what computes the derivative of `loss` with respect to each of `wrt`, in that order.
///
/// # Shapes
/// `loss: f32[]`; each gradient has the type of the value it belongs to.
///
/// # Errors
/// [`Error::NotScalar`], [`Error::Unreachable`] when the loss does not depend on a wanted value in a differentiable way,
/// [`Error::Unsupported`] for an operator without a derivative on the way, and [`Error::RuleType`], [`Error::Graph`] for a defective
/// rule.
pub fn gradients(graph: &mut Graph, loss: Value, wrt: &[Value]) -> Result<Vec<Value>, Error> {
    if *graph.tensor_type(loss) != TensorType::f32(Shape::scalar()) {
        return Err(Error::NotScalar {
            found: graph.tensor_type(loss).clone(),
        });
    }
    let liveness = Liveness::new(graph, loss, wrt);
    let mut contributions: Vec<Vec<Value>> = vec![Vec::new(); graph.values().len()];
    contributions[loss.index()].push(graph.scalar(1.0));

    // Nodes are in topological order, so backwards every use of a value comes before its definition. What the rules add stands
    // behind the forward nodes and is not visited.
    for position in (0..graph.nodes().len()).rev() {
        let node = graph.nodes()[position].clone();
        let arrived = node
            .outputs()
            .any(|output| !contributions[output.index()].is_empty());
        if !arrived || !node.inputs.iter().any(|&input| liveness.contains(input)) {
            continue;
        }
        let rule = match vjp(&node.op) {
            Vjp::Rule(rule) => rule,
            Vjp::Zero => continue,
            Vjp::NotDifferentiable(reason) => {
                return Err(Error::Unsupported {
                    operator: node.op.name(),
                    scope: node.scope,
                    reason,
                });
            }
        };
        let scope = format!("grad/{}", node.scope);
        let passed = graph.scoped(&scope, |graph| -> Result<Gradients, Error> {
            let mut upstream = Vec::with_capacity(node.outputs().len());
            for output in node.outputs() {
                upstream.push(accumulated(graph, &mut contributions[output.index()])?);
            }
            let passed = rule(&mut Backward {
                graph: &mut *graph,
                node: &node,
                upstream: &upstream,
                liveness: &liveness,
            })?;
            node.inputs
                .iter()
                .zip(passed)
                .map(|(&input, gradient)| settled(graph, &node, input, gradient))
                .collect()
        })?;
        for (&input, gradient) in node.inputs.iter().zip(passed) {
            contributions[input.index()].extend(gradient.filter(|_| liveness.contains(input)));
        }
    }
    let read = |&value: &Value| {
        let total = accumulated(graph, &mut contributions[value.index()])?;
        total.ok_or_else(|| Error::Unreachable {
            origin: graph.origin(value).clone(),
        })
    };
    wrt.iter().map(read).collect()
}

/// The sum of all contributions, which it replaces; `None` when none arrived.
fn accumulated(graph: &mut Graph, contributions: &mut Vec<Value>) -> Result<Option<Value>, Error> {
    if contributions.len() > 1 {
        let total = graph.sum(contributions)?;
        *contributions = vec![total];
    }
    Ok(contributions.first().copied())
}

/// A rule's gradient in the shape of its operand, checked.
fn settled(
    graph: &mut Graph,
    node: &Node,
    input: Value,
    gradient: Option<Value>,
) -> Result<Option<Value>, Error> {
    let Some(gradient) = gradient else { return Ok(None) };
    let gradient = unbroadcast::to_shape_of(graph, gradient, input)?;
    let (expected, found) = (graph.tensor_type(input), graph.tensor_type(gradient));
    if expected != found {
        let (operator, scope) = (node.op.name(), node.scope.clone());
        return Err(Error::RuleType {
            operator,
            scope,
            expected: expected.clone(),
            found: found.clone(),
        });
    }
    Ok(Some(gradient))
}

/// What a rule sees: the node, the gradients that arrived at its results, and the graph to add to.
struct Backward<'a> {
    graph: &'a mut Graph,
    node: &'a Node,
    upstream: &'a [Option<Value>],
    liveness: &'a Liveness,
}

impl Backward<'_> {
    /// An operand of the node.
    fn input(&self, position: usize) -> Value {
        self.node.inputs[position]
    }

    /// A result of the node.
    fn output(&self, position: usize) -> Value {
        self.node
            .outputs()
            .nth(position)
            .expect("a rule knows its operator's results")
    }

    /// The gradient of the node's first result; zeros where only another one was used.
    fn upstream(&mut self) -> Result<Value, Error> {
        self.upstream[0].map_or_else(|| self.zeros(0), Ok)
    }

    /// Whether a gradient arrived at a result.
    fn arrived(&self, position: usize) -> Option<Value> {
        self.upstream[position]
    }

    /// Whether the gradient of an operand is of use to anyone.
    fn wants(&self, position: usize) -> bool {
        self.liveness.contains(self.input(position))
    }

    fn zeros(&mut self, position: usize) -> Result<Value, Error> {
        let shape = self.graph.shape(self.output(position)).clone();
        let zero = self.graph.scalar_like(self.output(position), 0.0)?;
        Ok(self.graph.expand(zero, shape)?)
    }
}

impl Deref for Backward<'_> {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        self.graph
    }
}

impl DerefMut for Backward<'_> {
    fn deref_mut(&mut self) -> &mut Graph {
        self.graph
    }
}
