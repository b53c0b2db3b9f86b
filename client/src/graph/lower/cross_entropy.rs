use crate::graph::op::Reduce;
use crate::graph::{Error, Graph, Value};

/// `−1/N · Σ onehot(labels) · log softmax(logits)`.
#[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^24 rows")]
pub(super) fn forward(g: &mut Graph, logits: Value, labels: Value) -> Result<Value, Error> {
    let (rows, classes) = (g.shape(logits)[0], g.shape(logits)[1]);
    let log_probabilities = g.log_softmax(logits)?;
    let one_hot = g.one_hot(labels, classes)?;
    let picked = g.mul(log_probabilities, one_hot)?;
    let total = g.reduce_sum(
        picked,
        Reduce {
            axes: vec![0, 1],
            keep_axes: false,
        },
    )?;
    let factor = g.scalar(-1.0 / rows as f32);
    g.mul(total, factor)
}
