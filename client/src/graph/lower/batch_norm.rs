//! Batch normalisation by the batch's own statistics, in few passes over the activations.

use crate::graph::op::{BatchNormalization, Reduce};
use crate::graph::{Error, Graph, Shape, Value};

/// All axes but the channels'.
fn over_batch(shape: &Shape) -> Reduce {
    Reduce {
        axes: (0..shape.len()).filter(|&axis| axis != 1).collect(),
        keep_axes: false,
    }
}

/// One over the number of elements per channel.
#[expect(
    clippy::cast_precision_loss,
    reason = "rounded once, like any other constant of the graph"
)]
fn share(shape: &Shape) -> f32 {
    1.0 / (shape.elements() / shape[1]) as f32
}

/// Two reductions, then the stock operator with their results as its statistics.
///
/// The variance is `E[x²] − E[x]²`, cut off at zero where rounding would make it negative.
pub(super) fn forward(
    g: &mut Graph,
    x: Value,
    scale: Value,
    bias: Value,
    attributes: BatchNormalization,
) -> Result<[Value; 3], Error> {
    let (reduce, share) = (over_batch(g.shape(x)), share(g.shape(x)));
    let mean = g.reduce_mean(x, reduce.clone())?;
    let squares = g.reduce_sum_square(x, reduce)?;
    let share = g.scalar(share);
    let mean_square = g.mul(squares, share)?;
    let squared_mean = g.mul(mean, mean)?;
    let difference = g.sub(mean_square, squared_mean)?;
    let variance = g.relu(difference)?;
    let y = g.batch_normalization([x, scale, bias, mean, variance], attributes)?;
    Ok([y, mean, variance])
}

/// What [`backward`] reads.
pub(super) struct Operands {
    pub(super) x: Value,
    pub(super) dy: Value,
    pub(super) scale: Value,
    pub(super) mean: Value,
    pub(super) variance: Value,
}

/// With `r = 1/√(variance + ε)`, `a = γ·r` and M elements per channel:
///
/// ```text
/// dβ = Σ dy        dγ = r · (Σ dy·x − mean · dβ)
/// dx = a·dy + k₁·x + k₀    with  k₁ = −a·r·dγ/M,  k₀ = −a·dβ/M − mean·k₁
/// ```
///
/// `dx` is affine per channel in `dy` and `x`, so the stock operator with mean 0 and variance 1 is one fused pass for each.
pub(super) fn backward(
    g: &mut Graph,
    operands: &Operands,
    attributes: BatchNormalization,
) -> Result<[Value; 3], Error> {
    let &Operands {
        x,
        dy,
        scale,
        mean,
        variance,
    } = operands;
    let (reduce, share) = (over_batch(g.shape(x)), share(g.shape(x)));
    let channels = g.shape(scale).clone();

    let epsilon = g.scalar(attributes.epsilon);
    let shifted = g.add(variance, epsilon)?;
    let deviation = g.sqrt(shifted)?;
    let r = g.reciprocal(deviation)?;
    let a = g.mul(scale, r)?;

    let bias_gradient = g.reduce_sum(dy, reduce.clone())?;
    let product = g.mul(dy, x)?;
    let correlation = g.reduce_sum(product, reduce)?;
    let expected = g.mul(mean, bias_gradient)?;
    let centred = g.sub(correlation, expected)?;
    let scale_gradient = g.mul(r, centred)?;

    let minus_share = g.scalar(-share);
    let minus_a_share = g.mul(a, minus_share)?;
    let a_r_share = g.mul(minus_a_share, r)?;
    let k1 = g.mul(a_r_share, scale_gradient)?;
    let mean_k1 = g.mul(mean, k1)?;
    let a_bias = g.mul(minus_a_share, bias_gradient)?;
    let k0 = g.sub(a_bias, mean_k1)?;

    let (zero, one) = (g.scalar(0.0), g.scalar(1.0));
    let zeros = g.expand(zero, channels.clone())?;
    let ones = g.expand(one, channels)?;
    let exact = BatchNormalization { epsilon: 0.0 };
    let from_dy = g.batch_normalization([dy, a, zeros, zeros, ones], exact)?;
    let from_x = g.batch_normalization([x, k1, k0, zeros, ones], exact)?;
    let dx = g.add(from_dy, from_x)?;
    Ok([dx, scale_gradient, bias_gradient])
}
