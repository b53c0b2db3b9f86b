use crate::graph::{Error, Graph, Value};

/// `y > 0 ? dy : 0`.
pub(super) fn gradient(g: &mut Graph, y: Value, dy: Value) -> Result<Value, Error> {
    let zero = g.scalar(0.0);
    let positive = g.greater(y, zero)?;
    g.select(positive, dy, zero)
}
