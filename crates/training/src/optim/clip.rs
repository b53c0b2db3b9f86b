use crate::graph::op::Reduce;
use crate::graph::{ElementType, Error, Graph, Shape, Value};

/// Added to the norm, as PyTorch does.
const EPSILON: f32 = 1e-6;

/// Scales all gradients by one factor, so that the norm of all their elements together is at most `largest`; smaller ones stay as they are,
/// bit for bit. Takes the [`sum_of_squares`] of all, and returns them and the norm from before, a scalar.
///
/// ```text
/// n = √Σ g²        g ← g · min(1, largest / (n + 1e-6))
/// ```
///
/// # Errors
/// When a gradient is not of floats.
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

/// Whether all gradients are finite, a scalar: 1, or 0 if one is infinite or not a number. (Also 0 if the norm of all together is beyond single
/// precision, 2e19: the optimizer squares them, too.) Takes their [`sum_of_squares`], which costs one pass over each.
///
/// # Errors
/// When that is not in single precision.
pub fn are_finite(g: &mut Graph, squares: Value) -> Result<Value, Error> {
    let infinity = g.scalar(f32::INFINITY);
    // What is not a number is not less than anything.
    let is_less = g.greater(infinity, squares)?;
    g.cast(is_less, ElementType::F32)
}

/// Of all elements of all gradients together, a scalar.
///
/// # Errors
/// When a gradient is not of floats.
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
