use equibatch_training::graph::op::{Pad, Slice};

use super::array::{Array, indices};

pub(super) fn flatten(x: &Array) -> Array {
    Array::new(&[x.shape[0], x.shape[1..].iter().product()], x.data.clone())
}

pub(super) fn transpose(x: &Array, permutation: &[usize]) -> Array {
    let shape: Vec<usize> = permutation.iter().map(|&axis| x.shape[axis]).collect();
    Array::from_fn(&shape, |index| {
        let mut source = vec![0; index.len()];
        for (position, &axis) in permutation.iter().enumerate() {
            source[axis] = index[position];
        }
        x.at(&source)
    })
}

pub(super) fn expand(x: &Array, shape: &[usize]) -> Array {
    Array::from_fn(shape, |index| x.at(index))
}

pub(super) fn concat(operands: &[&Array], axis: usize) -> Array {
    let mut shape = operands[0].shape.clone();
    shape[axis] = operands.iter().map(|operand| operand.shape[axis]).sum();
    Array::from_fn(&shape, |index| {
        let mut index = index.to_vec();
        for operand in operands {
            if index[axis] < operand.shape[axis] {
                return operand.at(&index);
            }
            index[axis] -= operand.shape[axis];
        }
        unreachable!("the index lies in some operand")
    })
}

pub(super) fn split(x: &Array, lengths: &[usize]) -> Vec<Array> {
    let row: usize = x.shape[1..].iter().product();
    let mut rest = &x.data[..];
    let mut parts = vec![];
    for &length in lengths {
        let (part, after) = rest.split_at(length * row);
        parts.push(Array::new(&[&[length], &x.shape[1..]].concat(), part.to_vec()));
        rest = after;
    }
    parts
}

pub(super) fn slice(x: &Array, slice: &Slice) -> Array {
    let axes = 0..x.shape.len();
    let shape: Vec<usize> = axes
        .map(|axis| {
            (slice.starts[axis]..slice.ends[axis])
                .step_by(slice.steps[axis])
                .count()
        })
        .collect();
    Array::from_fn(&shape, |index| {
        let source = index
            .iter()
            .enumerate()
            .map(|(axis, position)| slice.starts[axis] + position * slice.steps[axis]);
        x.at(&source.collect::<Vec<_>>())
    })
}

pub(super) fn flip(x: &Array, axes: &[usize]) -> Array {
    Array::from_fn(&x.shape, |index| {
        let mut source = index.to_vec();
        for &axis in axes {
            source[axis] = x.shape[axis] - 1 - source[axis];
        }
        x.at(&source)
    })
}

pub(super) fn pad(x: &Array, pad: &Pad) -> Array {
    let shape: Vec<usize> = x
        .shape
        .iter()
        .zip(&pad.before)
        .zip(&pad.after)
        .map(|((extent, before), after)| before + extent + after)
        .collect();
    let mut padded = Array::zeros(&shape);
    for (mut index, &element) in indices(&x.shape).into_iter().zip(&x.data) {
        index
            .iter_mut()
            .zip(&pad.before)
            .for_each(|(position, before)| *position += before);
        padded.add(&index, element);
    }
    padded
}

pub(super) fn gather(operands: &[&Array], axis: usize) -> Array {
    let [x, places] = operands else {
        panic!("two operands")
    };
    let rank = places.shape.len();
    let shape = [&x.shape[..axis], &places.shape, &x.shape[axis + 1..]].concat();
    Array::from_fn(&shape, |index| {
        let place = places.at(&index[axis..axis + rank]) as usize;
        x.at(&[&index[..axis], &[place], &index[axis + rank..]].concat())
    })
}

pub(super) fn scatter_add(operands: &[&Array]) -> Array {
    let mut result = operands[0].clone();
    let updates = operands[1].data.iter().zip(&operands[2].data);
    for (mut place, (&first, &update)) in indices(&operands[1].shape).into_iter().zip(updates) {
        place[0] = first as usize;
        result.add(&place, update);
    }
    result
}
