//! Training-mode batch normalisation in few passes over the activations, numerically stable for any mean.

use crate::graph::op::{BatchNormalization, Reduce, Slice};
use crate::graph::{Error, Graph, Shape, Value};

/// Reduces all axes except the channels.
fn over_batch(shape: &Shape, keep_axes: bool) -> Reduce {
    Reduce {
        axes: (0..shape.len()).filter(|&axis| axis != 1).collect(),
        keep_axes,
    }
}

/// `1/M` for M elements per channel.
#[expect(
    clippy::cast_precision_loss,
    reason = "rounded once, like any other constant of the graph"
)]
fn share(shape: &Shape) -> f32 {
    1.0 / (shape.elements() / shape[1]) as f32
}

/// `x − s` and `s`, where `s` is the mean of each channel over the first image.
///
/// If the mean is far larger than the standard deviation, `E[x²] − E[x]²` and `Σ dy·x` suffer from cancellation. The mean of the first of N
/// images differs from the batch mean by at most √N standard deviations, so the mean of `x − s` is small and the sums do not cancel. The
/// forward and the backward pass add equal nodes, which ONNX Runtime's common subexpression elimination merges.
///
/// # Shapes
/// `x: f32[N, C, …] → f32[N, C, …], f32[C]`.
fn shifted(g: &mut Graph, x: Value) -> Result<[Value; 2], Error> {
    let shape = g.shape(x).clone();
    let mut slice = Slice::whole(&shape);
    slice.ends[0] = 1;
    let first = g.slice(x, slice)?;
    let shift = g.reduce_mean(first, over_batch(&shape, true))?;
    let rest = g.sub(x, shift)?;
    let channels = g.reshape(shift, Shape::from([shape[1]]))?;
    Ok([rest, channels])
}

/// Two reductions of the shifted input, then the standard operator with the resulting statistics.
///
/// With `d = x − s`, the mean is `s + E[d]` and the variance `max(E[d²] − E[d]², 0)`.
pub(super) fn forward(
    g: &mut Graph,
    x: Value,
    scale: Value,
    bias: Value,
    attributes: BatchNormalization,
) -> Result<[Value; 3], Error> {
    let (reduce, share) = (over_batch(g.shape(x), false), share(g.shape(x)));
    let [rest, shift] = shifted(g, x)?;
    let mean = g.reduce_mean(rest, reduce.clone())?;
    let squares = g.reduce_sum_square(rest, reduce)?;
    let share = g.scalar(share);
    let mean_square = g.mul(squares, share)?;
    let squared_mean = g.mul(mean, mean)?;
    let difference = g.sub(mean_square, squared_mean)?;
    let variance = g.relu(difference)?;
    let y = g.batch_normalization([rest, scale, bias, mean, variance], attributes)?;
    Ok([y, g.add(mean, shift)?, variance])
}

/// Operands of [`backward`].
pub(super) struct Operands {
    pub(super) x: Value,
    pub(super) dy: Value,
    pub(super) scale: Value,
    pub(super) mean: Value,
    pub(super) variance: Value,
}

/// With `r = 1/√(variance + ε)`, `a = γ·r`, M elements per channel, `d = x − s` and `m = mean − s` (see [`shifted`]):
///
/// ```text
/// dβ = Σ dy        dγ = r · (Σ dy·d − m · dβ)
/// dx = a·dy + k₁·d + k₀    with  k₁ = −a·r·dγ/M,  k₀ = −a·dβ/M − m·k₁
/// ```
///
/// Per channel, `dx` is affine in `dy` and in `d`, so each term is one BatchNormalization with mean 0 and variance 1.
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
    let (reduce, share) = (over_batch(g.shape(x), false), share(g.shape(x)));
    let channels = g.shape(scale).clone();
    let [rest, shift] = shifted(g, x)?;
    let mean = g.sub(mean, shift)?;

    let epsilon = g.scalar(attributes.epsilon);
    let raised = g.add(variance, epsilon)?;
    let deviation = g.sqrt(raised)?;
    let r = g.reciprocal(deviation)?;
    let a = g.mul(scale, r)?;

    let bias_gradient = g.reduce_sum(dy, reduce.clone())?;
    let product = g.mul(dy, rest)?;
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
    let from_rest = g.batch_normalization([rest, k1, k0, zeros, ones], exact)?;
    let dx = g.add(from_dy, from_rest)?;
    Ok([dx, scale_gradient, bias_gradient])
}
