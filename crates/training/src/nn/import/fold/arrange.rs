//! Constants whose elements are those of others: joined, gathered, replaced in part.

use super::index::gather_elements;
use super::{FoldBudget, with};
use crate::graph::Shape;
use crate::graph::import::{Elements, HostTensor};
use crate::nn::import::Error;
use crate::nn::import::node::{axis_of, node_error};

pub(super) fn concat(budget: &FoldBudget<'_>, operands: &[&HostTensor]) -> Result<HostTensor, Error> {
    let node = budget.node;
    let first = operands[0];
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(0), first.shape.len())?;
    let others = |x: &HostTensor| {
        let mut shape = x.shape.to_vec();
        let extent = shape.get_mut(axis).map(|extent| std::mem::replace(extent, 0));
        (extent, shape)
    };
    let (_, rest) = others(first);
    if operands.iter().any(|x| others(x).1 != rest) {
        return Err(node_error(node, "it concatenates constants of different shapes"));
    }
    budget.check(operands.iter().map(|x| x.elements.len()).sum())?;
    let mut shape = rest;
    shape[axis] = operands.iter().map(|x| x.shape[axis]).sum();
    let outer: usize = shape[..axis].iter().product();
    let of_types = || node_error(node, "its operands are of different types");
    let elements = match &first.elements {
        Elements::F32(_) => {
            let parts: Option<Vec<_>> = operands.iter().map(|x| x.floats()).collect();
            Elements::F32(interleaved(&parts.ok_or_else(of_types)?, outer))
        }
        Elements::I64(_) => {
            let parts: Option<Vec<_>> = operands.iter().map(|x| x.integers()).collect();
            Elements::I64(interleaved(&parts.ok_or_else(of_types)?, outer))
        }
        Elements::Bool(_) => return Err(node_error(node, "it concatenates booleans")),
    };
    Ok(with(shape.into(), elements))
}

/// `outer` parts of each list, in turn.
fn interleaved<T: Copy>(lists: &[&[T]], outer: usize) -> Vec<T> {
    let part = |list: &[T], at: usize| {
        let size = list.len() / outer;
        list[at * size..(at + 1) * size].to_vec()
    };
    (0..outer)
        .flat_map(|at| lists.iter().flat_map(move |list| part(list, at)))
        .collect()
}

/// ONNX Gather: the shape of the indices replaces the axis.
pub(super) fn gather(budget: &FoldBudget<'_>, operands: &[&HostTensor]) -> Result<HostTensor, Error> {
    let node = budget.node;
    let x = operands[0];
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(0), x.shape.len())?;
    let indices = operands.get(1).filter(|indices| indices.integers().is_some());
    let indices = indices.ok_or_else(|| node_error(node, "its indices are not int64"))?;
    let places = indices.integers().unwrap_or_default().iter();
    let places: Vec<usize> = places
        .map(|&index| axis_of(node, index, x.shape[axis]))
        .collect::<Result<_, _>>()?;
    let (before, after) = (&x.shape[..axis], &x.shape[axis + 1..]);
    let shape: Shape = [before, &*indices.shape, after].concat().into();
    let rank = indices.shape.len();
    gather_elements(budget, x, shape, |index| {
        let inner = &index[axis..axis + rank];
        let place = inner
            .iter()
            .zip(&*indices.shape)
            .fold(0, |flat, (at, extent)| flat * extent + at);
        [&index[..axis], &[places[place]], &index[axis + rank..]].concat()
    })
}

/// The data with slices replaced by updates: the last axis of the indices selects a slice.
pub(super) fn scatter_nd(budget: &FoldBudget<'_>, operands: &[&HostTensor]) -> Result<HostTensor, Error> {
    let refused = || node_error(budget.node, "its indices or updates do not fit its data");
    let [data, indices, updates] = operands else {
        return Err(refused());
    };
    let numbers = indices.integers().ok_or_else(refused)?;
    let depth = *indices.shape.last().ok_or_else(refused)?;
    if depth == 0
        || depth > data.shape.len()
        || budget
            .node
            .attributes
            .text("reduction")
            .is_some_and(|text| text != "none")
    {
        return Err(refused());
    }
    let (outer, inner) = data.shape.split_at(depth);
    let size: usize = inner.iter().product();
    let expected = [&indices.shape[..indices.shape.len() - 1], inner].concat();
    if *updates.shape != *expected {
        return Err(refused());
    }
    budget.check(data.elements.len())?;
    let mut starts = vec![];
    for index in numbers.chunks_exact(depth) {
        let mut flat = 0;
        for (&at, &extent) in index.iter().zip(outer) {
            flat = flat * extent + axis_of(budget.node, at, extent)?;
        }
        starts.push(flat * size);
    }
    let mut elements = data.elements.clone();
    match (&mut elements, &updates.elements) {
        (Elements::F32(data), Elements::F32(updates)) => replace(data, updates, &starts, size),
        (Elements::I64(data), Elements::I64(updates)) => replace(data, updates, &starts, size),
        (Elements::Bool(data), Elements::Bool(updates)) => replace(data, updates, &starts, size),
        _ => return Err(refused()),
    }
    Ok(with(data.shape.clone(), elements))
}

fn replace<T: Copy>(data: &mut [T], updates: &[T], starts: &[usize], size: usize) {
    for (&start, update) in starts.iter().zip(updates.chunks_exact(size.max(1))) {
        data[start..start + size].copy_from_slice(update);
    }
}

/// The matrices with the elements below (or above) a diagonal set to zero.
pub(super) fn triangle(x: &HostTensor, offset: i64, is_upper: bool) -> HostTensor {
    let columns = x.shape.last().copied().unwrap_or(1).max(1);
    let rows = x.shape.iter().rev().nth(1).copied().unwrap_or(1).max(1);
    let signed = |at: usize| i64::try_from(at).unwrap_or(i64::MAX);
    let is_kept = |at: usize| {
        let (row, column) = (signed(at / columns % rows), signed(at % columns));
        let distance = column - row;
        if is_upper {
            distance >= offset
        } else {
            distance <= offset
        }
    };
    let elements = match &x.elements {
        Elements::F32(data) => Elements::F32(kept(data, is_kept)),
        Elements::I64(data) => Elements::I64(kept(data, is_kept)),
        Elements::Bool(data) => Elements::Bool(kept(data, is_kept)),
    };
    with(x.shape.clone(), elements)
}

fn kept<T: Copy + Default>(data: &[T], is_kept: impl Fn(usize) -> bool) -> Vec<T> {
    let element = |(at, &number): (usize, &T)| if is_kept(at) { number } else { T::default() };
    data.iter().enumerate().map(element).collect()
}
