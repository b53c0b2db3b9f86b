//! Recognises GELU and layer norm in files that write them out, because their operator set (before 20 and 17) has no such operator.

use crate::graph::op::{LayerNormalization, Reduce};
use crate::graph::{Constant, Graph, Node, Op, Origin, Shape, Value};

/// The x of `½·x·(1 + erf(x/√2))`, which is a product of these three factors in any order, of which `factors` are the last two.
pub(super) fn gelu(g: &Graph, factors: [Value; 2]) -> Option<Value> {
    let [left, right] = factors;
    let all = |product: Value, other: Value| {
        let product = node(g, product).filter(|node| node.op == Op::Mul)?;
        of_three(g, [product.inputs[0], product.inputs[1], other])
    };
    all(left, right).or_else(|| all(right, left))
}

fn of_three(g: &Graph, factors: [Value; 3]) -> Option<Value> {
    let half = factors.iter().position(|&factor| is(g, factor, 0.5))?;
    let [a, b] = [1, 2].map(|after| factors[(half + after) % 3]);
    let x_of = |share: Value, x: Value| argument(g, share).filter(|&found| found == x);
    x_of(a, b).or_else(|| x_of(b, a))
}

/// The x of `1 + erf(x/√2)`.
fn argument(g: &Graph, share: Value) -> Option<Value> {
    let sum = node(g, share).filter(|node| node.op == Op::Add)?;
    let one = sum.inputs.iter().position(|&value| is(g, value, 1.0))?;
    let bent = node(g, sum.inputs[1 - one]).filter(|node| node.op == Op::Erf)?;
    let scaled = node(g, bent.inputs[0])?;
    let is_scaled = match scaled.op {
        Op::Div => is(g, scaled.inputs[1], std::f32::consts::SQRT_2),
        Op::Mul => is(g, scaled.inputs[1], std::f32::consts::FRAC_1_SQRT_2),
        _ => false,
    };
    is_scaled.then_some(scaled.inputs[0])
}

/// The operands `x, scale, bias` of a layer norm over the last axis, `(x − mean)/√(variance + ε)·scale + bias`, of which `addends` are the last two.
pub(super) fn layer_norm(g: &Graph, addends: [Value; 2]) -> Option<([Value; 3], LayerNormalization)> {
    let [left, right] = addends;
    let found = |product: Value, bias: Value| {
        let product = node(g, product).filter(|node| node.op == Op::Mul)?;
        let [a, b] = [product.inputs[0], product.inputs[1]];
        let of = |normal: Value, scale: Value| {
            let (x, epsilon) = standardized(g, normal)?;
            let channels = Shape::from([*g.shape(x).last()?]);
            let is_vector = |value: Value| *g.shape(value) == channels;
            (is_vector(scale) && is_vector(bias))
                .then_some(([x, scale, bias], LayerNormalization { epsilon }))
        };
        of(a, b).or_else(|| of(b, a))
    };
    found(left, right).or_else(|| found(right, left))
}

/// The x and ε of `(x − mean)/√(variance + ε)` along the last axis.
fn standardized(g: &Graph, normal: Value) -> Option<(Value, f32)> {
    let quotient = node(g, normal).filter(|node| node.op == Op::Div)?;
    let (centred, deviation) = (quotient.inputs[0], quotient.inputs[1]);
    let difference = node(g, centred).filter(|node| node.op == Op::Sub)?;
    let x = difference.inputs[0];
    (mean_of(g, difference.inputs[1])? == x).then_some(())?;
    let shifted = node(g, deviation).filter(|node| node.op == Op::Sqrt)?.inputs[0];
    let sum = node(g, shifted).filter(|node| node.op == Op::Add)?;
    let square = mean_of(g, sum.inputs[0])?;
    let square = node(g, square).filter(|node| node.op == Op::Mul)?;
    (square.inputs[..] == [centred, centred]).then_some((x, number(g, sum.inputs[1])?))
}

/// The operand of a mean along the last axis, which is kept.
fn mean_of(g: &Graph, mean: Value) -> Option<Value> {
    let mean = node(g, mean)?;
    let x = *mean.inputs.first()?;
    let along = Reduce {
        axes: vec![g.shape(x).len().checked_sub(1)?],
        keep_axes: true,
    };
    (mean.op == Op::ReduceMean(along)).then_some(x)
}

fn node(g: &Graph, value: Value) -> Option<&Node> {
    match g.origin(value) {
        Origin::Node(id, _) => Some(g.node(*id)),
        _ => None,
    }
}

/// The element of a constant that has one.
fn number(g: &Graph, value: Value) -> Option<f32> {
    match g.origin(value) {
        Origin::Constant(Constant::F32(data)) if data.len() == 1 => Some(data[0]),
        _ => None,
    }
}

/// Whether a value is this constant, up to the digits of an export.
fn is(g: &Graph, value: Value, expected: f32) -> bool {
    number(g, value).is_some_and(|found| (found - expected).abs() <= 1e-5 * expected)
}
