//! Batch normalisation, softmax, and the loss.

use crate::autodiff::Error;
use crate::autodiff::backward::{Backward, Gradients};
use crate::graph::op::Reduce;
use crate::graph::{Composite, Op, Shape, Value};

/// `y = γ·(x − μ)·r + β` with `r = 1/√(σ² + ε)`, where μ and σ² are operands like any other ⟹
///
/// ```text
/// dx = γ·r·dy      dβ = Σ dy      dγ = r·Σ dy·(x − μ)      dμ = −γ·r·dβ      dσ² = −½·γ·r²·dγ
/// ```
///
/// # Shapes
/// `x: [N, C, …]`; all others `[C]`.
pub(super) fn batch_normalization(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let Op::BatchNormalization(attributes) = b.node.op else {
        unreachable!("the table gives this rule to BatchNormalization only");
    };
    let [x, scale, _, mean, variance] = [0, 1, 2, 3, 4].map(|position| b.input(position));
    let dy = b.upstream()?;
    let epsilon = b.scalar(attributes.epsilon);
    let shifted = b.add(variance, epsilon)?;
    let deviation = b.sqrt(shifted)?;
    let r = b.reciprocal(deviation)?;
    let a = b.mul(scale, r)?;

    let a_per_channel = per_channel(b, a, x)?;
    let to_operand = b.mul(dy, a_per_channel)?;
    let reduce = over_batch(b.shape(x));
    let to_bias = b.reduce_sum(dy, reduce.clone())?;
    let mean_per_channel = per_channel(b, mean, x)?;
    let centred = b.sub(x, mean_per_channel)?;
    let product = b.mul(dy, centred)?;
    let correlation = b.reduce_sum(product, reduce)?;
    let to_scale = b.mul(r, correlation)?;
    let a_bias = b.mul(a, to_bias)?;
    let to_mean = b.neg(a_bias)?;
    let minus_half = b.scalar(-0.5);
    let a_r = b.mul(a, r)?;
    let half_a_r = b.mul(a_r, minus_half)?;
    let to_variance = b.mul(half_a_r, to_scale)?;
    Ok([to_operand, to_scale, to_bias, to_mean, to_variance]
        .map(Some)
        .to_vec())
}

/// `[C]` as `[C, 1, …]`, so that it broadcasts against `[N, C, …]`.
fn per_channel(b: &mut Backward<'_>, value: Value, x: Value) -> Result<Value, Error> {
    let shape = b
        .shape(x)
        .iter()
        .skip(1)
        .enumerate()
        .map(|(axis, &extent)| if axis == 0 { extent } else { 1 });
    let shape: Shape = shape.collect();
    Ok(b.reshape(value, shape)?)
}

fn over_batch(shape: &Shape) -> Reduce {
    Reduce {
        axes: (0..shape.len()).filter(|&axis| axis != 1).collect(),
        keep_axes: false,
    }
}

/// `(y, μ, σ²) = batchnorm(x, γ, β)` ⟹ the gradient through the batch statistics; its decomposition in `graph::lower` has the formula.
///
/// The loss must not depend on μ and σ² directly; they are used only for running statistics.
pub(super) fn batch_norm(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let Op::Composite(Composite::BatchNorm(attributes)) = b.node.op else {
        unreachable!("the table gives this rule to BatchNorm only");
    };
    if b.upstream_of(1).or(b.upstream_of(2)).is_some() {
        let (operator, scope) = (b.node.op.name(), b.node.scope.clone());
        return Err(Error::Unsupported {
            operator,
            scope,
            reason: "the loss depends on its batch statistics",
        });
    }
    let (x, scale, mean, variance, dy) = (b.input(0), b.input(1), b.output(1), b.output(2), b.upstream()?);
    let gradient = Op::Composite(Composite::BatchNormGradient(attributes));
    let gradients: [Value; 3] = b.several(gradient, &[x, dy, scale, mean, variance])?;
    Ok(gradients.map(Some).to_vec())
}

/// `y = (x − mean)·r·γ + β` along the last axis; the decomposition of its gradient in `graph::lower` has the formula.
pub(super) fn layer_norm(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let Op::Composite(Composite::LayerNorm(attributes)) = b.node.op else {
        unreachable!("the table gives this rule to LayerNorm only");
    };
    let (x, scale, dy) = (b.input(0), b.input(1), b.upstream()?);
    let gradient = Op::Composite(Composite::LayerNormGradient(attributes));
    let gradients: [Value; 3] = b.several(gradient, &[x, dy, scale])?;
    Ok(gradients.map(Some).to_vec())
}

/// `y = softmax(x)` along the last axis ⟹ `dx = y·(dy − Σ dy·y)`.
pub(super) fn softmax(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (y, dy) = (b.output(0), b.upstream()?);
    Ok(vec![Some(b.softmax_gradient(y, dy)?)])
}

/// `y = x − ln Σ eˣ` along the last axis ⟹ `dx = dy − eʸ·Σ dy`.
pub(super) fn log_softmax(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (y, dy) = (b.output(0), b.upstream()?);
    let last = b.shape(y).len() - 1;
    let total = b.reduce_sum(
        dy,
        Reduce {
            axes: vec![last],
            keep_axes: true,
        },
    )?;
    let probabilities = b.exp(y)?;
    let spread = b.mul(probabilities, total)?;
    Ok(vec![Some(b.sub(dy, spread)?)])
}

/// `loss = −Σ t · log softmax(x)` ⟹ `dx = dloss · (softmax(x) · Σₖ t − t)`, `dt = −dloss · log softmax(x)`.
///
/// # Shapes
/// `x: [N, K]`, `t: [N, K]`, the sum over K, loss `[]`.
pub(super) fn cross_entropy(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (logits, targets, dy) = (b.input(0), b.input(1), b.upstream()?);
    let probabilities = b.softmax(logits)?;
    let along_classes = Reduce {
        axes: vec![1],
        keep_axes: true,
    };
    let shares = b.reduce_sum(targets, along_classes)?;
    let expected = b.mul(probabilities, shares)?;
    let difference = b.sub(expected, targets)?;
    let to_logits = b.mul(difference, dy)?;
    let mut to_targets = None;
    if b.wants(1) {
        let log_probabilities = b.log_softmax(logits)?;
        let product = b.mul(log_probabilities, dy)?;
        to_targets = Some(b.neg(product)?);
    }
    Ok(vec![Some(to_logits), to_targets])
}
