use super::backward::{Backward, Gradients};
use super::error::Error;
use super::liveness::Liveness;
use super::rules::{Vjp, vjp};
use super::unbroadcast;
use crate::graph::{Graph, Node, Shape, TensorType, Value};

/// Adds nodes that compute the gradient of `loss` with respect to each of `wrt`, and returns the gradients in that order.
///
/// # Shapes
/// `loss: f32[]`; each gradient has the type of the value it belongs to.
///
/// # Errors
/// [`Error::NotScalar`] if `loss` is not an f32 scalar, [`Error::Unreachable`] if it does not depend differentiably on one of `wrt`,
/// [`Error::Unsupported`] if an operator between them is not differentiable, [`Error::RuleType`] and [`Error::Graph`] if a rule is
/// defective.
pub fn gradients(graph: &mut Graph, loss: Value, wrt: &[Value]) -> Result<Vec<Value>, Error> {
    if *graph.tensor_type(loss) != TensorType::f32(Shape::scalar()) {
        return Err(Error::NotScalar {
            found: graph.tensor_type(loss).clone(),
        });
    }
    let liveness = Liveness::new(graph, loss, wrt);
    let mut contributions: Vec<Vec<Value>> = vec![Vec::new(); graph.values().len()];
    contributions[loss.index()].push(graph.scalar(1.0));

    // Nodes are in topological order, so a backward traversal visits every use of a value before its definition. Nodes added by the
    // rules come after the forward nodes and are not visited.
    for position in (0..graph.nodes().len()).rev() {
        let node = graph.nodes()[position].clone();
        let has_upstream = node
            .outputs()
            .any(|output| !contributions[output.index()].is_empty());
        if !has_upstream || !node.inputs.iter().any(|&input| liveness.contains(input)) {
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
                .map(|(&input, gradient)| checked(graph, &node, input, gradient))
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

/// The sum of all contributions, which replaces them; `None` if there are none.
fn accumulated(graph: &mut Graph, contributions: &mut Vec<Value>) -> Result<Option<Value>, Error> {
    if contributions.len() > 1 {
        let total = graph.sum(contributions)?;
        *contributions = vec![total];
    }
    Ok(contributions.first().copied())
}

/// Reduces a rule's gradient to the shape of its operand and checks its type.
fn checked(
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
