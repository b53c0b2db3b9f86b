use crate::graph::op::Reduce;
use crate::graph::{Error, Graph, Value};

/// Added to `1 − p`, so that it has a logarithm: about as much as single precision is off there anyway.
const EPSILON: f32 = 1e-7;

/// The training loss, `−Σ t · (1 − p)^γ · ln p` over images and classes with `p = softmax(logits)`.
///
/// All that is known of the images is in the targets: which class, or which two and how much of each, how much smoothing, the weight of
/// each class, and the division by the number of images. `focal` is γ: with more of it, what is recognised already counts less; 0 is the
/// cross entropy.
///
/// # Shapes
/// `logits: f32[N, K]`, `targets: f32[N, K] → f32[]`.
///
/// # Errors
/// When the shapes differ.
///
/// # Source
/// Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, with softmax in place of its sigmoids; the form for targets that are not
/// zero or one weighs each class's term by its own `(1 − p)^γ`.
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
