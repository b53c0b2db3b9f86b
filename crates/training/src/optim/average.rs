use crate::graph::{Error, Graph, Value};

/// An exponential moving average: `a ← d·a + (1 − d)·p`, with the decay `d` a scalar of the graph.
///
/// # Shapes
/// `average` and `value` have the same shape.
///
/// # Errors
/// [`Error::Wiring`] if their shapes differ.
pub fn average(g: &mut Graph, average: Value, value: Value, decay: Value) -> Result<Value, Error> {
    let one = g.scalar(1.0);
    let taken = g.sub(one, decay)?;
    let kept = g.mul(average, decay)?;
    let new = g.mul(value, taken)?;
    g.add(kept, new)
}
