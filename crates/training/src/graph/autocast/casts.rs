//! Conversions that need not be made.

use std::collections::HashMap;

use crate::graph::value::{Origin, Value};
use crate::graph::{ElementType, Error, Graph, Op};

/// The same program with every conversion of a value made once, and none that gives back what another one was given.
///
/// A conversion to a type that has all numbers of the first, and on to a third, is one from the first to the third: the middle one changes
/// no number. So half precision → single → half is nothing, and single → half → single stays, for it rounds.
///
/// # Errors
/// None for a graph that was built here.
pub fn merge_casts(graph: &Graph) -> Result<Graph, Error> {
    let mut known = HashMap::new();
    graph.rewired(|merged, node, inputs| match (&node.op, inputs) {
        (Op::Cast(to), &[x]) => converted(merged, &mut known, x, *to).map(|result| vec![result]),
        (op, inputs) => merged.push(op.clone(), inputs),
    })
}

/// `x` in another type, from the earliest value that it can be had from.
fn converted(
    graph: &mut Graph,
    known: &mut HashMap<(Value, ElementType), Value>,
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
    if let Some(&result) = known.get(&(source, to)) {
        return Ok(result);
    }
    let result = graph.cast(source, to)?;
    known.insert((source, to), result);
    Ok(result)
}

/// What `value` is a conversion of, where that changed no number.
fn unchanged(graph: &Graph, value: Value) -> Option<Value> {
    let Origin::Node(id, _) = graph.origin(value) else {
        return None;
    };
    let node = graph.node(*id);
    let [before] = *node.inputs else { return None };
    let [from, to] = [before, value].map(|value| graph.tensor_type(value).element_type);
    (matches!(node.op, Op::Cast(_)) && from.is_within(to)).then_some(before)
}
