//! Activation functions composed of other operators.

use super::Error;
use super::elementwise::unary;
use super::importer::Importer;
use super::operator::Operator;
use crate::graph::import::ModelNode;
use crate::graph::op::Clip;
use crate::graph::{self, Graph, Op, Value};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Abs", &[], |importer, node| composed(importer, node, abs)).elementwise(),
    Operator::new("Celu", &["alpha"], celu).elementwise(),
    Operator::new("Elu", &["alpha"], elu).elementwise(),
    Operator::new("Mish", &[], |importer, node| composed(importer, node, mish)).elementwise(),
    Operator::new("Selu", &["alpha", "gamma"], selu).elementwise(),
    Operator::new("Softplus", &[], |importer, node| {
        unary(importer, node, Op::Softplus)
    })
    .elementwise(),
    Operator::new("Softsign", &[], |importer, node| {
        composed(importer, node, softsign)
    })
    .elementwise(),
    Operator::new("Swish", &["alpha"], swish).elementwise(),
];

/// A function of one operand.
fn composed(
    importer: &mut Importer<'_, '_>,
    node: &ModelNode,
    function: impl FnOnce(&mut Graph, Value) -> Result<Value, graph::Error>,
) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    importer.wire(node, |g| function(g, x))
}

/// `max(x, 0) + max(−x, 0)`; the subgradient at zero is 0, as in PyTorch.
pub(super) fn abs(g: &mut Graph, x: Value) -> Result<Value, graph::Error> {
    let (positive, negative) = (g.relu(x)?, g.neg(x)?);
    let negative = g.relu(negative)?;
    g.add(positive, negative)
}

/// `x / (1 + |x|)`.
fn softsign(g: &mut Graph, x: Value) -> Result<Value, graph::Error> {
    let (one, size) = (g.scalar(1.0), abs(g, x)?);
    let denominator = g.add(size, one)?;
    g.div(x, denominator)
}

/// `x · tanh(softplus(x))`.
///
/// # Source
/// Misra, Mish: A Self Regularized Non-Monotonic Activation Function, BMVC 2020.
fn mish(g: &mut Graph, x: Value) -> Result<Value, graph::Error> {
    let softplus = g.softplus(x)?;
    let gate = g.tanh(softplus)?;
    g.mul(x, gate)
}

/// `x · sigmoid(alpha·x)`.
fn swish(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let alpha = node.attributes.float("alpha").unwrap_or(1.0);
    composed(importer, node, |g, x| {
        let alpha = g.scalar(alpha);
        let scaled = g.mul(x, alpha)?;
        let gate = g.sigmoid(scaled)?;
        g.mul(x, gate)
    })
}

/// `x > 0 ? x : alpha · (eˣ − 1)`.
fn elu(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let alpha = node.attributes.float("alpha").unwrap_or(1.0);
    composed(importer, node, |g, x| exponential(g, x, [alpha, 1.0]))
}

/// `x > 0 ? x : alpha · (e^(x/alpha) − 1)`.
fn celu(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let alpha = node.attributes.float("alpha").unwrap_or(1.0);
    composed(importer, node, |g, x| exponential(g, x, [alpha, 1.0 / alpha]))
}

/// `gamma · elu(x)`.
fn selu(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let alpha = node.attributes.float("alpha").unwrap_or(1.673_263_2);
    let gamma = node.attributes.float("gamma").unwrap_or(1.050_701);
    composed(importer, node, |g, x| {
        let gamma = g.scalar(gamma);
        let bent = exponential(g, x, [alpha, 1.0])?;
        g.mul(bent, gamma)
    })
}

/// `x > 0 ? x : alpha · (e^(rate·x) − 1)`. The exponent is bounded, because an infinite branch that is not selected has a gradient of NaN.
fn exponential(g: &mut Graph, x: Value, [alpha, rate]: [f32; 2]) -> Result<Value, graph::Error> {
    let [zero, one, alpha, rate] = [0.0, 1.0, alpha, rate].map(|number| g.scalar(number));
    let is_positive = g.greater(x, zero)?;
    let negative = g.clip(
        x,
        Clip {
            low: f32::NEG_INFINITY,
            high: 0.0,
        },
    )?;
    let exponent = g.mul(negative, rate)?;
    let exponential = g.exp(exponent)?;
    let shifted = g.sub(exponential, one)?;
    let scaled = g.mul(shifted, alpha)?;
    g.select(is_positive, x, scaled)
}
