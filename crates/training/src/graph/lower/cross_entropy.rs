use crate::graph::op::Reduce;
use crate::graph::{Error, Graph, Value};

/// `−Σ targets · log softmax(logits)`.
pub(super) fn forward(g: &mut Graph, logits: Value, targets: Value) -> Result<Value, Error> {
    let log_probabilities = g.log_softmax(logits)?;
    let weighted = g.mul(log_probabilities, targets)?;
    let total = g.reduce_sum(
        weighted,
        Reduce {
            axes: vec![0, 1],
            keep_axes: false,
        },
    )?;
    g.neg(total)
}
