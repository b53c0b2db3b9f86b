use super::Error;
use super::importer::Importer;
use super::node::node_error;
use super::operator::Operator;
use super::written_out;
use crate::graph::import::ModelNode;
use crate::graph::op::Clip;
use crate::graph::{self, Graph, Op, Shape, Value};
use crate::nn::ParameterKind;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Add", &[], add).elementwise(),
    Operator::new("Sub", &[], |importer, node| binary(importer, node, Op::Sub)).elementwise(),
    Operator::new("Mul", &[], mul).elementwise(),
    Operator::new("Div", &[], |importer, node| binary(importer, node, Op::Div)).elementwise(),
    Operator::new("Neg", &[], |importer, node| unary(importer, node, Op::Neg)).elementwise(),
    Operator::new("Reciprocal", &[], |importer, node| {
        unary(importer, node, Op::Reciprocal)
    })
    .elementwise(),
    Operator::new("Sqrt", &[], |importer, node| unary(importer, node, Op::Sqrt)).elementwise(),
    Operator::new("Exp", &[], |importer, node| unary(importer, node, Op::Exp)).elementwise(),
    Operator::new("Log", &[], |importer, node| unary(importer, node, Op::Log)).elementwise(),
    Operator::new("Relu", &[], |importer, node| unary(importer, node, Op::Relu)).elementwise(),
    Operator::new("Sigmoid", &[], |importer, node| {
        unary(importer, node, Op::Sigmoid)
    })
    .elementwise(),
    Operator::new("Tanh", &[], |importer, node| unary(importer, node, Op::Tanh)).elementwise(),
    Operator::new("Erf", &[], |importer, node| unary(importer, node, Op::Erf)).elementwise(),
    Operator::new("Pow", &[], power).elementwise(),
    Operator::new("Clip", &[], clip).elementwise(),
    Operator::new("LeakyRelu", &["alpha"], leaky_relu).elementwise(),
    Operator::new("PRelu", &[], prelu).elementwise(),
    Operator::new("HardSigmoid", &["alpha", "beta"], hard_sigmoid).elementwise(),
    Operator::new("HardSwish", &[], hard_swish).elementwise(),
    Operator::new("Gelu", &["approximate"], gelu).elementwise(),
    Operator::new("Where", &[], select),
];

/// A unary operator without attributes.
pub(super) fn unary(importer: &mut Importer<'_, '_>, node: &ModelNode, op: Op) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    importer.single(node, op, &[x])
}

/// A binary operator with broadcasting.
fn binary(importer: &mut Importer<'_, '_>, node: &ModelNode, op: Op) -> Result<Value, Error> {
    let operands = importer.pair(node, [0, 1])?;
    importer.single(node, op, &operands)
}

/// A sum. If it is the last one of a layer norm that is written out, it is that layer norm.
fn add(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let operands = importer.pair(node, [0, 1])?;
    if let Some(([x, scale, bias], norm)) = written_out::layer_norm(importer.b.graph, operands) {
        return importer.wire(node, |g| g.layer_norm(x, scale, bias, norm));
    }
    importer.single(node, Op::Add, &operands)
}

/// A product. If it is the last one of a GELU that is written out, `x·(1 + erf(x/√2))·½` in any order, it is that GELU.
fn mul(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let operands = importer.pair(node, [0, 1])?;
    if let Some(x) = written_out::gelu(importer.b.graph, operands) {
        return importer.wire(node, |g| g.gelu(x));
    }
    importer.single(node, Op::Mul, &operands)
}

/// `xʸ` for the constant exponents −1, 0.5, 1, 2 and 3.
fn power(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let exponent = importer.number(node, 1)?.unwrap_or(f32::NAN);
    let is = |number: f32| exponent.to_bits() == number.to_bits();
    if is(1.0) {
        return Ok(x);
    }
    if ![-1.0, 0.5, 2.0, 3.0].into_iter().any(is) {
        return Err(node_error(
            node,
            format!("its exponent is {exponent}, expected -1, 0.5, 1, 2 or 3"),
        ));
    }
    importer.wire(node, |g| {
        if is(-1.0) {
            return g.reciprocal(x);
        }
        if is(0.5) {
            return g.sqrt(x);
        }
        let square = g.mul(x, x)?;
        if is(2.0) { Ok(square) } else { g.mul(square, x) }
    })
}

/// `min(max(x, low), high)`.
fn clip(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let (low, high) = (importer.number(node, 1)?, importer.number(node, 2)?);
    let (low, high) = (low.unwrap_or(f32::NEG_INFINITY), high.unwrap_or(f32::INFINITY));
    if low <= high {
        return importer.single(node, Op::Clip(Clip { low, high }), &[x]);
    }
    Err(node_error(
        node,
        format!("its bounds are {low} and {high}, expected low <= high"),
    ))
}

/// `condition ? a : b`.
fn select(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let condition = importer.value(node, 0)?;
    let [a, b] = importer.pair(node, [1, 2])?;
    importer.single(node, Op::Where, &[condition, a, b])
}

/// `x > 0 ? x : alpha·x`.
fn leaky_relu(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let alpha = node.attributes.float("alpha").unwrap_or(0.01);
    importer.wire(node, |g| {
        let alpha = g.scalar(alpha);
        leaky(g, x, alpha)
    })
}

/// `x > 0 ? x : slope·x` with a trainable slope.
fn prelu(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let slope = importer.parameter(node, 1, ParameterKind::Other)?;
    importer.wire(node, |g| leaky(g, x, slope))
}

fn leaky(g: &mut Graph, x: Value, slope: Value) -> Result<Value, graph::Error> {
    let zero = g.scalar(0.0);
    let positive = g.greater(x, zero)?;
    let flat = g.mul(x, slope)?;
    g.select(positive, x, flat)
}

/// `min(max(alpha·x + beta, 0), 1)`.
fn hard_sigmoid(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let alpha = node.attributes.float("alpha").unwrap_or(0.2);
    let beta = node.attributes.float("beta").unwrap_or(0.5);
    importer.wire(node, |g| clipped_line(g, x, alpha, beta))
}

/// `x · min(max(x/6 + 1/2, 0), 1)`.
fn hard_swish(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    importer.wire(node, |g| {
        let share = clipped_line(g, x, 1.0 / 6.0, 0.5)?;
        g.mul(x, share)
    })
}

fn clipped_line(g: &mut Graph, x: Value, alpha: f32, beta: f32) -> Result<Value, graph::Error> {
    let (alpha, beta) = (g.scalar(alpha), g.scalar(beta));
    let scaled = g.mul(x, alpha)?;
    let line = g.add(scaled, beta)?;
    g.clip(line, Clip { low: 0.0, high: 1.0 })
}

/// `x/2 · (1 + erf(x/√2))`, or the tanh approximation.
fn gelu(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let is_tanh = match node.attributes.text("approximate").as_deref() {
        None | Some("none") => false,
        Some("tanh") => true,
        Some(other) => {
            return Err(node_error(
                node,
                format!("its approximation is `{other}`, expected `none` or `tanh`"),
            ));
        }
    };
    importer.wire(node, |g| {
        if !is_tanh {
            return g.gelu(x);
        }
        let (half, one) = (g.scalar(0.5), g.scalar(1.0));
        // √(2/π) · (x + 0.044715·x³)
        let (inner, outer) = (g.scalar(0.044_715), g.scalar(0.797_884_6));
        let square = g.mul(x, x)?;
        let scaled = g.mul(square, inner)?;
        let factor = g.add(scaled, one)?;
        let cubic = g.mul(factor, x)?;
        let argument = g.mul(cubic, outer)?;
        let bent = g.tanh(argument)?;
        let share = g.add(bent, one)?;
        let halved = g.mul(x, half)?;
        g.mul(halved, share)
    })
}

/// Reshapes `[K]` to `[K, 1, 1]`, to broadcast against `[N, K, H, W]`.
pub(super) fn per_channel(g: &mut Graph, value: Value) -> Result<Value, graph::Error> {
    let channels = g.shape(value).elements();
    g.reshape(value, Shape::from([channels, 1, 1]))
}
