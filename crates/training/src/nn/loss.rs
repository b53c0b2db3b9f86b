use crate::graph::op::Reduce;
use crate::graph::{Constant, Error, Graph, Value};

/// Added to `1 − p` to keep its logarithm finite; about the rounding error of f32 there.
const EPSILON: f32 = 1e-7;

/// Training loss `−Σ t · (1 − p)^γ · ln p` over samples and classes, with `p = softmax(logits)`.
///
/// The targets carry class labels, mixed labels, label smoothing, class weights and the division by the batch size. `focal` is the
/// focal-loss γ; 0 is plain cross entropy.
///
/// # Shapes
/// `logits: f32[N, K]`, `targets: f32[N, K] → f32[]`.
///
/// # Errors
/// If the shapes differ.
///
/// # Source
/// Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, with softmax instead of sigmoid; for soft targets each class's term has its
/// own factor `(1 − p)^γ`.
pub fn loss(g: &mut Graph, logits: Value, targets: Value, focal: f32) -> Result<Value, Error> {
    if focal == 0.0 {
        return g.cross_entropy(logits, targets);
    }
    let log_probabilities = g.log_softmax(logits)?;
    let probabilities = g.exp(log_probabilities)?;
    // (1 − p)^γ = exp(γ ln(1 − p)).
    let one = g.scalar(1.0 + EPSILON);
    let missing = g.sub(one, probabilities)?;
    let logarithm = g.log(missing)?;
    let exponent = g.scalar(focal);
    let scaled = g.mul(logarithm, exponent)?;
    let modulation = g.exp(scaled)?;
    let weights = g.mul(targets, modulation)?;
    let weighted = g.mul(log_probabilities, weights)?;
    let all = Reduce {
        axes: vec![0, 1],
        keep_axes: false,
    };
    let total = g.reduce_sum(weighted, all)?;
    g.neg(total)
}

/// `logits + offsets`; unchanged without offsets.
///
/// # Shapes
/// `logits: f32[N, K]`, K offsets `→ f32[N, K]`.
///
/// # Errors
/// If there are not K offsets.
pub fn add_offsets(g: &mut Graph, logits: Value, offsets: &[f32]) -> Result<Value, Error> {
    if offsets.is_empty() {
        return Ok(logits);
    }
    let offsets = g.constant([offsets.len()], Constant::F32(offsets.to_vec()))?;
    g.add(logits, offsets)
}

/// `factor * logits`; unchanged by 1.
///
/// # Errors
/// If the logits are not floats.
pub fn scale(g: &mut Graph, logits: Value, factor: f32) -> Result<Value, Error> {
    if factor == 1.0 {
        return Ok(logits);
    }
    let factor = g.scalar(factor);
    g.mul(logits, factor)
}
