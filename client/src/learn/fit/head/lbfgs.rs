//! L-BFGS: minimises a smooth convex function of many variables by its gradients.

use std::collections::VecDeque;

/// Most iterations.
const MOST_ITERATIONS: usize = 500;
/// The optimum is reached if no element of the gradient is larger.
const TOLERANCE: f64 = 1e-5;
/// Pairs of steps and changes of the gradient that approximate the curvature.
const MEMORY: usize = 10;

/// A convex function, with its gradient.
pub(super) type Objective<'a> = dyn Fn(&[f64]) -> (f64, Vec<f64>) + 'a;

/// Where `objective` is least, beginning at `at`, and its value there; `None` if `is_stopped` meanwhile.
///
/// # Source
///
/// L-BFGS with a backtracking line search: Nocedal and Wright, Numerical Optimization, 2006, algorithms 3.1, 7.4 and 7.5.
pub(super) fn minimise(
    objective: &Objective<'_>,
    mut at: Vec<f64>,
    is_stopped: &dyn Fn() -> bool,
) -> Option<(Vec<f64>, f64)> {
    let (mut value, mut slope) = objective(&at);
    let mut history = VecDeque::new();
    for _ in 0..MOST_ITERATIONS {
        if is_stopped() {
            return None;
        }
        if slope.iter().all(|element| element.abs() <= TOLERANCE) {
            break;
        }
        let direction = descent(&slope, &history);
        let Some((next, next_value, next_slope)) = search(objective, (&at, value, &slope), &direction) else {
            break;
        };
        let difference = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a - b).collect();
        let (step, change): (Vec<f64>, Vec<f64>) = (difference(&next, &at), difference(&next_slope, &slope));
        let curvature = dot(&step, &change);
        if curvature > 0.0 {
            history.push_back((step, change, curvature));
            if history.len() > MEMORY {
                history.pop_front();
            }
        }
        (at, value, slope) = (next, next_value, next_slope);
    }
    Some((at, value))
}

/// The point with a sufficiently smaller value in `direction`, its value and its gradient; `None` if rounding leaves none.
fn search(
    objective: &Objective<'_>,
    (at, value, slope): (&[f64], f64, &[f64]),
    direction: &[f64],
) -> Option<(Vec<f64>, f64, Vec<f64>)> {
    let expected = dot(slope, direction);
    let mut length = 1.0;
    while length > 1e-10 {
        let next: Vec<f64> = at
            .iter()
            .zip(direction)
            .map(|(at, by)| at + length * by)
            .collect();
        let (found, slope) = objective(&next);
        if found <= value + 1e-4 * length * expected && found < value {
            return Some((next, found, slope));
        }
        length /= 2.0;
    }
    None
}

/// Minus the gradient times the inverse curvature that the history approximates.
fn descent(slope: &[f64], history: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut direction: Vec<f64> = slope.iter().map(|element| -element).collect();
    let add = |to: &mut [f64], factor: f64, by: &[f64]| {
        to.iter_mut().zip(by).for_each(|(to, by)| *to += factor * by);
    };
    let mut factors = vec![];
    for (step, change, curvature) in history.iter().rev() {
        let factor = dot(step, &direction) / curvature;
        add(&mut direction, -factor, change);
        factors.push(factor);
    }
    if let Some((_, change, curvature)) = history.back() {
        let scale = curvature / dot(change, change);
        direction.iter_mut().for_each(|element| *element *= scale);
    }
    for ((step, change, curvature), factor) in history.iter().zip(factors.into_iter().rev()) {
        let back = dot(change, &direction) / curvature;
        add(&mut direction, factor - back, step);
    }
    direction
}

pub(super) fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A paraboloid with its minimum of 0 at (0, 1, 2, …), a hundred times as steep in the last direction as in the first.
    fn paraboloid(at: &[f64]) -> (f64, Vec<f64>) {
        let steepness = |index: usize| 10_f64.powf(2.0 * index as f64 / (at.len() - 1) as f64);
        let offsets: Vec<f64> = (0..at.len()).map(|index| at[index] - index as f64).collect();
        let slope = (0..at.len()).map(|index| 2.0 * steepness(index) * offsets[index]);
        let slope: Vec<f64> = slope.collect();
        (dot(&slope, &offsets) / 2.0, slope)
    }

    #[test]
    fn the_bottom_of_a_narrow_valley_is_found() {
        let (at, value) = minimise(&paraboloid, vec![-3.0; 40], &|| false).expect("not stopped");
        assert!(value < 1e-9, "{value}");
        for (found, expected) in at.iter().zip(0..) {
            assert!((found - f64::from(expected)).abs() < 1e-5, "{at:?}");
        }
    }

    #[test]
    fn a_minimum_is_left_where_it_is() {
        let least = vec![0.0, 1.0, 2.0];
        assert_eq!(
            minimise(&paraboloid, least.clone(), &|| false),
            Some((least, 0.0))
        );
    }
}
