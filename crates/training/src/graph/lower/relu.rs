use super::bf16;
use crate::graph::{ElementType, Error, Graph, Value};

/// `y > 0 ? dy : 0`.
pub(super) fn gradient(g: &mut Graph, y: Value, dy: Value) -> Result<Value, Error> {
    let zero = g.scalar_like(dy, 0.0)?;
    // ReLU's output is not negative, so a cast to bool is equal to `y > 0`; execution providers cannot compare bfloat16.
    let positive = if bf16::is_of(g, y) {
        g.cast(y, ElementType::Bool)?
    } else {
        g.greater(y, zero)?
    };
    g.select(positive, dy, zero)
}
