use crate::graph::{Error, Graph, Value};

/// Divides gradients by the loss scale.
///
/// # Errors
/// [`Error::Wiring`] if a gradient is not in single precision.
///
/// # Source
/// `unscale_` of PyTorch's `GradScaler`. Loss scales are powers of two, so the division is exact.
pub fn unscale(g: &mut Graph, gradients: &[Value], scale: Value) -> Result<Vec<Value>, Error> {
    let inverse = g.reciprocal(scale)?;
    gradients
        .iter()
        .map(|&gradient| g.mul(gradient, inverse))
        .collect()
}
