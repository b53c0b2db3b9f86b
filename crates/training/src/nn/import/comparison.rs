//! Comparisons and logic. Their results have no gradient.

use super::Error;
use super::importer::Importer;
use super::operator::Operator;
use crate::graph::import::ModelNode;
use crate::graph::{self, Graph, Op, Value};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("And", &[], |importer, node| {
        pair(importer, node, |g, [a, b]| g.and(a, b))
    }),
    Operator::new("Equal", &[], |importer, node| {
        pair(importer, node, |g, [a, b]| g.equal(a, b))
    }),
    Operator::new("Greater", &[], |importer, node| {
        pair(importer, node, |g, [a, b]| g.greater(a, b))
    }),
    Operator::new("GreaterOrEqual", &[], |importer, node| {
        pair(importer, node, at_least)
    }),
    Operator::new("Less", &[], |importer, node| {
        pair(importer, node, |g, [a, b]| g.greater(b, a))
    }),
    Operator::new("LessOrEqual", &[], |importer, node| {
        pair(importer, node, |g, [a, b]| at_least(g, [b, a]))
    }),
    Operator::new("Not", &[], not),
    Operator::new("Or", &[], |importer, node| {
        pair(importer, node, |g, [a, b]| g.or(a, b))
    }),
    Operator::new("Xor", &[], |importer, node| pair(importer, node, exclusive)),
];

fn pair(
    importer: &mut Importer<'_, '_>,
    node: &ModelNode,
    build: impl FnOnce(&mut Graph, [Value; 2]) -> Result<Value, graph::Error>,
) -> Result<Value, Error> {
    let operands = [importer.value(node, 0)?, importer.value(node, 1)?];
    importer.wire(node, |g| build(g, operands))
}

fn not(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    importer.single(node, Op::Not, &[x])
}

/// `a > b or a = b`, which is false for NaN.
fn at_least(g: &mut Graph, [a, b]: [Value; 2]) -> Result<Value, graph::Error> {
    let (above, equal) = (g.greater(a, b)?, g.equal(a, b)?);
    g.or(above, equal)
}

fn exclusive(g: &mut Graph, [a, b]: [Value; 2]) -> Result<Value, graph::Error> {
    let (either, both) = (g.or(a, b)?, g.and(a, b)?);
    let not_both = g.not(both)?;
    g.and(either, not_both)
}
