//! Layer normalisation over the last axis.

use crate::graph::op::{LayerNormalization, Reduce};
use crate::graph::{Error, Graph, Value};

/// `(x − mean)/√(variance + ε)` and its denominator.
fn standardized(g: &mut Graph, x: Value, attributes: LayerNormalization) -> Result<[Value; 2], Error> {
    let along = over_last(g, x, true);
    let mean = g.reduce_mean(x, along.clone())?;
    let centred = g.sub(x, mean)?;
    let square = g.mul(centred, centred)?;
    let variance = g.reduce_mean(square, along)?;
    let epsilon = g.scalar(attributes.epsilon);
    let shifted = g.add(variance, epsilon)?;
    let deviation = g.sqrt(shifted)?;
    Ok([g.div(centred, deviation)?, deviation])
}

/// The last axis, or all others.
fn over_last(g: &Graph, x: Value, is_last: bool) -> Reduce {
    let last = g.shape(x).len() - 1;
    Reduce {
        axes: if is_last { vec![last] } else { (0..last).collect() },
        keep_axes: is_last,
    }
}

/// `(x − mean)/√(variance + ε)·γ + β`.
pub(super) fn forward(
    g: &mut Graph,
    [x, scale, bias]: [Value; 3],
    attributes: LayerNormalization,
) -> Result<Value, Error> {
    let [normal, _] = standardized(g, x, attributes)?;
    let scaled = g.mul(normal, scale)?;
    g.add(scaled, bias)
}

/// With `x̂ = (x − mean)/√(variance + ε)` and `h = dy·γ`:
///
/// ```text
/// dx = (h − mean(h) − x̂·mean(h·x̂))/√(variance + ε)        dγ = Σ dy·x̂        dβ = Σ dy
/// ```
pub(super) fn backward(
    g: &mut Graph,
    [x, dy, scale]: [Value; 3],
    attributes: LayerNormalization,
) -> Result<[Value; 3], Error> {
    let [normal, deviation] = standardized(g, x, attributes)?;
    let (along, over_rows) = (over_last(g, x, true), over_last(g, x, false));
    let product = g.mul(dy, normal)?;
    let (mut to_scale, mut to_bias) = (product, dy);
    if !over_rows.axes.is_empty() {
        to_scale = g.reduce_sum(product, over_rows.clone())?;
        to_bias = g.reduce_sum(dy, over_rows)?;
    }
    let scaled = g.mul(dy, scale)?;
    let mean = g.reduce_mean(scaled, along.clone())?;
    let weighted = g.mul(scaled, normal)?;
    let correlation = g.reduce_mean(weighted, along)?;
    let centred = g.sub(scaled, mean)?;
    let explained = g.mul(normal, correlation)?;
    let rest = g.sub(centred, explained)?;
    Ok([g.div(rest, deviation)?, to_scale, to_bias])
}
