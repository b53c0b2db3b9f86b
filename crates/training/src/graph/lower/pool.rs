use crate::graph::{ElementType, Error, Graph, Shape, Value};

/// Scatter-adds `dy` to zeros at the flat indices of the maxima, in single precision because several may have the same index.
pub(super) fn max_pool_gradient(
    g: &mut Graph,
    indices: Value,
    dy: Value,
    shape: &Shape,
) -> Result<Value, Error> {
    let (count, precision) = (g.shape(dy).elements(), g.tensor_type(dy).element_type);
    let zero = g.scalar(0.0);
    let zeros = g.expand(zero, Shape::from([shape.elements()]))?;
    let indices = g.reshape(indices, Shape::from([count]))?;
    let dy = g.converted(dy, ElementType::F32)?;
    let updates = g.reshape(dy, Shape::from([count]))?;
    let flat = g.scatter_add(zeros, indices, updates)?;
    let flat = g.converted(flat, precision)?;
    g.reshape(flat, shape.clone())
}
