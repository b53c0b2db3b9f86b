use crate::graph::{Error, Graph, Value};

/// Divides gradients by the factor that their loss was multiplied with.
///
/// # Errors
/// When a gradient is not in single precision.
///
/// # Source
/// `unscale_` of PyTorch's `GradScaler`. Factors are powers of two, so that division rounds nothing.
pub fn unscale(g: &mut Graph, gradients: &[Value], scale: Value) -> Result<Vec<Value>, Error> {
    let inverse = g.reciprocal(scale)?;
    gradients
        .iter()
        .map(|&gradient| g.mul(gradient, inverse))
        .collect()
}
