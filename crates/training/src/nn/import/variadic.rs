//! Elementwise operators of any number of operands, with broadcasting.

use super::Error;
use super::importer::Importer;
use super::operator::Operator;
use crate::graph::import::ModelNode;
use crate::graph::{Op, Value};
use crate::nn::ParameterKind;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Max", &[], |importer, node| folded(importer, node, &Op::Max)),
    Operator::new("Mean", &[], mean),
    Operator::new("Min", &[], |importer, node| folded(importer, node, &Op::Min)),
    Operator::new("Sum", &[], |importer, node| folded(importer, node, &Op::Add)),
];

/// `((x₀ ∘ x₁) ∘ x₂) ∘ …`. Initializers become trainable if another operand depends on a parameter.
fn folded(importer: &mut Importer<'_, '_>, node: &ModelNode, op: &Op) -> Result<Value, Error> {
    let is_trained = importer.depends_on_trainable(node);
    let mut operands = (0..node.inputs.len()).map(|operand| match is_trained {
        true => importer.parameter(node, operand, ParameterKind::Other),
        false => importer.value(node, operand),
    });
    let operands = operands.by_ref().collect::<Result<Vec<_>, _>>()?;
    let Some((&first, others)) = operands.split_first() else {
        return importer.value(node, 0);
    };
    importer.wire(node, |g| {
        let mut others = others.iter();
        others.try_fold(first, |result, &operand| g.single(op.clone(), &[result, operand]))
    })
}

#[expect(clippy::cast_precision_loss, reason = "the number of operands is small")]
fn mean(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let total = folded(importer, node, &Op::Add)?;
    let count = node.inputs.len() as f32;
    importer.wire(node, |g| {
        let count = g.scalar(count);
        g.div(total, count)
    })
}
