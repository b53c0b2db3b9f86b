use equibatch_training::graph::op::Reduce;

use super::array::{Array, indices};

pub(super) fn sum(x: &Array, reduce: &Reduce, function: impl Fn(f64) -> f64) -> Array {
    let ones: Vec<usize> = x
        .shape
        .iter()
        .enumerate()
        .map(|(axis, &extent)| if reduce.axes.contains(&axis) { 1 } else { extent })
        .collect();
    let mut total = Array::zeros(&ones);
    for (mut index, &element) in indices(&x.shape).into_iter().zip(&x.data) {
        for &axis in &reduce.axes {
            index[axis] = 0;
        }
        total.add(&index, function(element));
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
