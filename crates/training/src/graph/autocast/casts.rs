//! Elimination of redundant casts.

use std::collections::HashMap;

use crate::graph::value::{Origin, Value};
use crate::graph::{ElementType, Error, Graph, Op};

/// Merges equal casts of a value, and removes casts that cancel.
///
/// If the second type of a chain of two casts represents every number of the first, the chain is replaced by one cast from the first to the
/// third type. So half → single → half precision is removed, and single → half → single is kept, because it rounds.
///
/// # Errors
/// Never for a valid graph.
pub fn merge_casts(graph: &Graph) -> Result<Graph, Error> {
    let mut casts = HashMap::new();
    graph.rewired(|merged, node, inputs| match (&node.op, inputs) {
        (Op::Cast(to), &[x]) => converted(merged, &mut casts, x, *to).map(|result| vec![result]),
        (op, inputs) => merged.push(op.clone(), inputs),
    })
}

/// `x` cast to another type, from the earliest value that gives the same numbers.
fn converted(
    graph: &mut Graph,
    casts: &mut HashMap<(Value, ElementType), Value>,
    x: Value,
    to: ElementType,
) -> Result<Value, Error> {
    let mut source = x;
    while let Some(before) = unchanged(graph, source) {
        source = before;
    }
    if graph.tensor_type(source).element_type == to {
        return Ok(source);
    }
    if let Some(&result) = casts.get(&(source, to)) {
        return Ok(result);
    }
    let result = graph.cast(source, to)?;
    casts.insert((source, to), result);
    Ok(result)
}

/// The operand of the cast that computes `value`, if that cast is exact.
fn unchanged(graph: &Graph, value: Value) -> Option<Value> {
    let Origin::Node(id, _) = graph.origin(value) else {
        return None;
    };
    let node = graph.node(*id);
    let [before] = *node.inputs else { return None };
    let [from, to] = [before, value].map(|value| graph.tensor_type(value).element_type);
    (matches!(node.op, Op::Cast(_)) && from.is_within(to)).then_some(before)
}
