use super::clip::sum_of_squares;
use crate::graph::{ElementType, Error, Graph, Value};

/// Divides gradients by the factor that their loss was multiplied with, and tells whether all of them are finite: 1, or 0 where one
/// is infinite or not a number. (So it is, too, where the norm of all together is beyond single precision, 2e19.)
///
/// # Errors
/// When a gradient is not in single precision.
///
/// # Source
/// `unscale_` of PyTorch's `GradScaler`. Factors are powers of two, so that division rounds nothing.
pub fn unscale(g: &mut Graph, gradients: &[Value], scale: Value) -> Result<(Vec<Value>, Value), Error> {
    let inverse = g.reciprocal(scale)?;
    let unscaled = gradients.iter().map(|&gradient| g.mul(gradient, inverse));
    let unscaled = unscaled.collect::<Result<Vec<_>, _>>()?;
    let squares = sum_of_squares(g, &unscaled)?;
    let infinity = g.scalar(f32::INFINITY);
    // What is not a number is not less than anything.
    let is_less = g.greater(infinity, squares)?;
    let is_finite = g.cast(is_less, ElementType::F32)?;
    Ok((unscaled, is_finite))
}
