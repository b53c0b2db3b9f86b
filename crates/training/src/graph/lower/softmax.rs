use crate::graph::op::Reduce;
use crate::graph::{Error, Graph, Value};

/// `y·(dy − Σ dy·y)` along the last axis.
pub(super) fn gradient(g: &mut Graph, y: Value, dy: Value) -> Result<Value, Error> {
    let last = g.shape(y).len() - 1;
    let product = g.mul(dy, y)?;
    let total = g.reduce_sum(
        product,
        Reduce {
            axes: vec![last],
            keep_axes: true,
        },
    )?;
    let difference = g.sub(dy, total)?;
    g.mul(y, difference)
}
