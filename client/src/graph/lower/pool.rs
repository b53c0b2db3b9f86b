use crate::graph::{Error, Graph, Shape, Value};

/// Every `dy` added to zeros at the flat index its maximum came from.
pub(super) fn max_pool_gradient(
    g: &mut Graph,
    indices: Value,
    dy: Value,
    shape: &Shape,
) -> Result<Value, Error> {
    let count = g.shape(dy).elements();
    let zero = g.scalar(0.0);
    let zeros = g.expand(zero, Shape::from([shape.elements()]))?;
    let indices = g.reshape(indices, Shape::from([count]))?;
    let updates = g.reshape(dy, Shape::from([count]))?;
    let flat = g.scatter_add(zeros, indices, updates)?;
    g.reshape(flat, shape.clone())
}
