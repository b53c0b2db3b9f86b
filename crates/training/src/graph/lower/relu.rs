use super::bf16;
use crate::graph::op::Relu;
use crate::graph::{ElementType, Error, Graph, Value};

/// `0 < y < high ? dy : 0`.
pub(super) fn gradient(g: &mut Graph, y: Value, dy: Value, relu: Relu) -> Result<Value, Error> {
    let zero = g.scalar_like(dy, 0.0)?;
    // ReLU's output is not negative, so a cast to bool is equal to `y > 0`; execution providers cannot compare bfloat16.
    let positive = if bf16::is_of(g, y) {
        g.cast(y, ElementType::Bool)?
    } else {
        g.greater(y, zero)?
    };
    let is_open = if relu == Relu::UNBOUNDED {
        positive
    } else {
        let high = g.scalar_like(y, relu.high)?;
        let is_below = g.greater(high, y)?;
        g.and(positive, is_below)?
    };
    g.select(is_open, dy, zero)
}
