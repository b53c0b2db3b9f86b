use equibatch_training::graph::op::Reduce;

use super::array::{Array, indices};

pub(super) fn sum(x: &Array, reduce: &Reduce, function: impl Fn(f64) -> f64) -> Array {
    folded(x, reduce, 0.0, |total, element| total + function(element))
}

pub(super) fn max(x: &Array, reduce: &Reduce) -> Array {
    folded(x, reduce, f64::NEG_INFINITY, f64::max)
}

fn folded(x: &Array, reduce: &Reduce, start: f64, function: impl Fn(f64, f64) -> f64) -> Array {
    let ones: Vec<usize> = x
        .shape
        .iter()
        .enumerate()
        .map(|(axis, &extent)| if reduce.axes.contains(&axis) { 1 } else { extent })
        .collect();
    let mut total = Array::from_fn(&ones, |_| start);
    for (mut index, &element) in indices(&x.shape).into_iter().zip(&x.data) {
        for &axis in &reduce.axes {
            index[axis] = 0;
        }
        let flat = index
            .iter()
            .zip(&ones)
            .fold(0, |flat, (at, extent)| flat * extent + at);
        total.data[flat] = function(total.data[flat], element);
    }
    if !reduce.keep_axes {
        let kept = x
            .shape
            .iter()
            .enumerate()
            .filter(|(axis, _)| !reduce.axes.contains(axis));
        total.shape = kept.map(|(_, &extent)| extent).collect();
    }
    total
}

pub(super) fn mean(x: &Array, reduce: &Reduce) -> Array {
    let mut total = sum(x, reduce, |element| element);
    let count = (x.data.len() / total.data.len()) as f64;
    for element in &mut total.data {
        *element /= count;
    }
    total
}
