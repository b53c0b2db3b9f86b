use crate::graph::op::Reduce;
use crate::graph::{Error, Graph, Shape, Value};

/// Added to the norm, as PyTorch does.
const EPSILON: f32 = 1e-6;

/// Scales all gradients by one factor, so that the norm of all their elements together is at most `largest`; smaller ones stay as they are,
/// bit for bit. Returns them and the norm from before, a scalar.
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
pub fn clip_by_norm(g: &mut Graph, gradients: &[Value], largest: f32) -> Result<(Vec<Value>, Value), Error> {
    let squares = sum_of_squares(g, gradients)?;
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

/// Of all elements together, a scalar.
pub(super) fn sum_of_squares(g: &mut Graph, gradients: &[Value]) -> Result<Value, Error> {
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
