use crate::graph::op::Reduce;
use crate::graph::{ElementType, Error, Graph, Shape, Value};

/// Added to the norm, as in PyTorch.
const EPSILON: f32 = 1e-6;

/// Gradient clipping by global norm: scales all gradients by one factor so that their global L2 norm is at most `largest`; gradients below
/// it are unchanged, bit for bit. `squares` is their [`sum_of_squares`]. Returns the gradients and the norm before clipping, `f32[]`.
///
/// ```text
/// n = √Σ g²        g ← g · min(1, largest / (n + 1e-6))
/// ```
///
/// # Errors
/// [`Error::Wiring`] if a gradient is not a float.
///
/// # Source
/// PyTorch's `clip_grad_norm_`.
pub fn clip_by_norm(
    g: &mut Graph,
    (gradients, squares): (&[Value], Value),
    largest: f32,
) -> Result<(Vec<Value>, Value), Error> {
    let norm = g.sqrt(squares)?;
    debug_assert_eq!(*g.shape(norm), Shape::scalar());
    let (one, largest, epsilon) = (g.scalar(1.0), g.scalar(largest), g.scalar(EPSILON));
    let positive = g.add(norm, epsilon)?;
    let fitting = g.div(largest, positive)?;
    let is_small = g.greater(fitting, one)?;
    let factor = g.select(is_small, one, fitting)?;
    let clipped = gradients.iter().map(|&gradient| g.mul(gradient, factor));
    Ok((clipped.collect::<Result<_, _>>()?, norm))
}

/// `f32[]`: 1 if all gradients are finite, 0 if one is infinite or NaN. Also 0 if their global norm exceeds 2e19, the square root of the
/// largest single-precision number, because the optimizer squares gradients too. `squares` is their [`sum_of_squares`].
///
/// # Errors
/// [`Error::Wiring`] if it is not in single precision.
pub fn are_finite(g: &mut Graph, squares: Value) -> Result<Value, Error> {
    let infinity = g.scalar(f32::INFINITY);
    // Comparisons with NaN are false.
    let is_less = g.greater(infinity, squares)?;
    g.cast(is_less, ElementType::F32)
}

/// The sum of the squares of all elements of all gradients, `f32[]`.
///
/// # Errors
/// [`Error::Wiring`] if a gradient is not a float.
pub fn sum_of_squares(g: &mut Graph, gradients: &[Value]) -> Result<Value, Error> {
    let mut squares = Vec::with_capacity(gradients.len());
    for &gradient in gradients {
        let axes: Vec<usize> = (0..g.shape(gradient).len()).collect();
        let keep_axes = false;
        squares.push(match axes.is_empty() {
            true => g.mul(gradient, gradient)?,
            false => g.reduce_sum_square(gradient, Reduce { axes, keep_axes })?,
        });
    }
    match *squares {
        [] => Ok(g.scalar(0.0)),
        _ => g.sum(&squares),
    }
}
