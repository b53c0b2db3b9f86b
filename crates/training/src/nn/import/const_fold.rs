//! Constant folding: values computed from constants and shapes alone, such as the target of a Reshape. All shapes are static here.

use super::Error;
use super::fold_budget::FoldBudget;
use super::fold_elementwise;
use super::fold_index::{broadcast, gather_elements};
use super::importer::{Importer, Item};
use super::layout::{SliceRange, permutation, reshaped, sliced, unsqueezed};
use super::node::{axis_of, node_error};
use super::operator::Operator;
use crate::graph::import::{Elements, HostTensor, ModelNode, element_type_of};
use crate::graph::{ElementType, Shape};

/// Operators that are supported here only. Others are folded here too if their operands are constant.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::folded("Ceil"),
    Operator::folded("Constant"),
    Operator::folded("ConstantOfShape"),
    Operator::folded("Cos"),
    Operator::folded("Floor"),
    Operator::folded("Mod"),
    Operator::folded("Range"),
    Operator::folded("ScatterND"),
    Operator::folded("Shape"),
    Operator::folded("Sin"),
    Operator::folded("Size"),
    Operator::folded("Trilu"),
];

/// The first output of a node, if it is constant and the operator is supported in folding.
pub(super) fn fold(
    budget: &FoldBudget<'_>,
    operands: &[Option<&Item>],
    importer: &Importer<'_, '_>,
) -> Result<Option<HostTensor>, Error> {
    let node = budget.node;
    match &*node.operator {
        "Constant" => return constant(node).map(Some),
        "Shape" | "Size" => {
            let Some(Some(item)) = operands.first() else {
                return Ok(None);
            };
            return shape_or_size(node, &importer.shape_of(item)).map(Some);
        }
        "CastLike" => {
            let [Some(x), Some(like)] = operands else {
                return Ok(None);
            };
            let Some(x) = importer.const_value(x) else {
                return Ok(None);
            };
            return cast(node, Some(importer.element_type_of(like)), x).map(Some);
        }
        _ => {}
    }
    let known: Option<Vec<&HostTensor>> = operands
        .iter()
        .flatten()
        .map(|operand| importer.const_value(operand))
        .collect();
    match known.as_deref() {
        None | Some([]) => Ok(None),
        Some(operands) => compute(budget, operands),
    }
}

fn compute(budget: &FoldBudget<'_>, operands: &[&HostTensor]) -> Result<Option<HostTensor>, Error> {
    let node = budget.node;
    let x = operands[0];
    let rank = x.shape.len();
    let list = |operand: usize| {
        let numbers = operands.get(operand).and_then(|tensor| tensor.integers());
        numbers.map(<[i64]>::to_vec)
    };
    let axes = || list(1).or_else(|| node.attributes.ints("axes"));
    Ok(Some(match &*node.operator {
        "Cast" => {
            let code = i32::try_from(node.attributes.int("to").unwrap_or(0)).unwrap_or(0);
            cast(node, element_type_of(code), x)?
        }
        "Expand" => {
            let target = list(1).and_then(|target| {
                let extents = target.into_iter().map(|extent| usize::try_from(extent).ok());
                x.shape
                    .broadcast(&extents.collect::<Option<Vec<usize>>>()?.into())
            });
            let target = target
                .ok_or_else(|| node_error(node, "its operand does not broadcast to the target shape"))?;
            broadcast(budget, x, &target)?
        }
        "ConstantOfShape" => constant_of_shape(budget, x)?,
        "Reshape" => {
            let target = list(1).and_then(|target| reshaped(&x.shape, &target));
            let target =
                target.ok_or_else(|| node_error(node, "its operand does not fill the target shape"))?;
            with(target, x.elements.clone())
        }
        "Unsqueeze" => with(
            unsqueezed(node, &x.shape, &axes().unwrap_or_default())?,
            x.elements.clone(),
        ),
        "Squeeze" => {
            let axes = axes().map(|axes| axes.into_iter().map(|axis| axis_of(node, axis, rank)).collect());
            let axes: Option<Vec<usize>> = axes.transpose()?;
            let stays = |(axis, extent): &(usize, &usize)| match &axes {
                Some(axes) => !axes.contains(axis),
                None => **extent != 1,
            };
            let kept = x
                .shape
                .iter()
                .enumerate()
                .filter(stays)
                .map(|(_, &extent)| extent);
            let kept: Shape = kept.collect();
            if kept.elements() != x.elements.len() {
                return Err(node_error(node, "it squeezes an axis whose size is not 1"));
            }
            with(kept, x.elements.clone())
        }
        "Concat" => concat(budget, operands)?,
        "Gather" => gather(budget, operands)?,
        "Slice" => {
            let (Some(starts), Some(ends)) = (list(1), list(2)) else {
                return Ok(None);
            };
            let SliceRange { flipped, slice } = sliced(node, &x.shape, [starts, ends], [list(3), list(4)])?;
            let shape: Shape = (0..rank)
                .map(|axis| {
                    (slice.starts[axis]..slice.ends[axis])
                        .step_by(slice.steps[axis])
                        .count()
                })
                .collect();
            gather_elements(budget, x, shape, |index| {
                let source = index.iter().enumerate();
                source
                    .map(|(axis, at)| {
                        let from = slice.starts[axis] + at * slice.steps[axis];
                        if flipped.contains(&axis) {
                            x.shape[axis] - 1 - from
                        } else {
                            from
                        }
                    })
                    .collect()
            })?
        }
        "Transpose" => {
            let permutation = permutation(node, rank)?;
            let shape = permutation.iter().map(|&axis| x.shape[axis]).collect();
            gather_elements(budget, x, shape, |index| {
                let mut source = vec![0; rank];
                for (at, &axis) in index.iter().zip(&permutation) {
                    source[axis] = *at;
                }
                source
            })?
        }
        "Range" => range(budget, operands)?,
        "ScatterND" => scatter_nd(budget, operands)?,
        "Tile" => {
            let repeats = list(1).filter(|repeats| repeats.len() == rank);
            let repeats = repeats.ok_or_else(|| node_error(node, "its repeats do not fit its operand"))?;
            let extents = repeats.iter().zip(&*x.shape);
            let extents =
                extents.map(|(&count, extent)| usize::try_from(count).unwrap_or(0).saturating_mul(*extent));
            let shape: Shape = extents.collect();
            gather_elements(budget, x, shape, |index| {
                index
                    .iter()
                    .zip(&*x.shape)
                    .map(|(at, extent)| at % extent)
                    .collect()
            })?
        }
        "Trilu" => {
            let offset = list(1).map_or(0, |offset| offset.first().copied().unwrap_or(0));
            let is_upper = node.attributes.int("upper").unwrap_or(1) != 0;
            triangle(x, offset, is_upper)
        }
        _ => return fold_elementwise::compute(budget, operands),
    }))
}

/// `start, start + delta, …` up to and without `limit`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "casts from floats saturate, and the budget bounds the count"
)]
fn range(budget: &FoldBudget<'_>, operands: &[&HostTensor]) -> Result<HostTensor, Error> {
    let refused = || {
        node_error(
            budget.node,
            "its operands are not three scalars of one type with a step other than 0",
        )
    };
    let [start, limit, delta] = operands else {
        return Err(refused());
    };
    if let (Some(&[start]), Some(&[limit]), Some(&[delta])) = (start.floats(), limit.floats(), delta.floats())
    {
        let count = ((limit - start) / delta).ceil();
        if !count.is_finite() {
            return Err(refused());
        }
        let count = count.max(0.0) as usize;
        budget.check(count)?;
        let elements = Elements::F32((0..count).map(|at| start + at as f32 * delta).collect());
        return Ok(with(Shape::from([count]), elements));
    }
    let number = |tensor: &HostTensor| {
        tensor
            .integers()
            .filter(|list| list.len() == 1)
            .map(|list| i128::from(list[0]))
    };
    let (Some(start), Some(limit), Some(delta)) = (number(start), number(limit), number(delta)) else {
        return Err(refused());
    };
    if delta == 0 {
        return Err(refused());
    }
    let gap = limit - start;
    let count = if (gap > 0) == (delta > 0) {
        gap.unsigned_abs().div_ceil(delta.unsigned_abs())
    } else {
        0
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    budget.check(count)?;
    let numbers = (0..count as i128).map(|at| (start + at * delta) as i64);
    Ok(HostTensor::list(numbers.collect()))
}

/// The data with slices replaced by updates: the last axis of the indices selects a slice.
fn scatter_nd(budget: &FoldBudget<'_>, operands: &[&HostTensor]) -> Result<HostTensor, Error> {
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
fn triangle(x: &HostTensor, offset: i64, is_upper: bool) -> HostTensor {
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

fn with(shape: Shape, elements: Elements) -> HostTensor {
    HostTensor { shape, elements }
}

fn constant(node: &ModelNode) -> Result<HostTensor, Error> {
    let attributes = &node.attributes;
    let tensor = attributes
        .tensor("value")
        .or_else(|| attributes.ints("value_ints").map(HostTensor::list))
        .or_else(|| {
            let number = attributes.int("value_int")?;
            Some(with(Shape::scalar(), Elements::I64(vec![number])))
        })
        .or_else(|| {
            let number = attributes.float("value_float")?;
            Some(with(Shape::scalar(), Elements::F32(vec![number])))
        })
        .or_else(|| {
            let numbers = attributes.floats("value_floats")?;
            Some(with(Shape::from([numbers.len()]), Elements::F32(numbers)))
        });
    tensor.ok_or_else(|| node_error(node, "it has no supported value attribute"))
}

fn shape_or_size(node: &ModelNode, shape: &Shape) -> Result<HostTensor, Error> {
    let signed = |extent: usize| i64::try_from(extent).expect("extents fit in memory");
    if node.operator == "Size" {
        return Ok(with(
            Shape::scalar(),
            Elements::I64(vec![signed(shape.elements())]),
        ));
    }
    let end = |name: &str, default: usize| match node.attributes.int(name) {
        None => Ok(default),
        Some(index) => axis_of(node, index, shape.len() + 1),
    };
    let extents = shape.get(end("start", 0)?..end("end", shape.len())?);
    Ok(HostTensor::list(
        extents
            .unwrap_or_default()
            .iter()
            .map(|&extent| signed(extent))
            .collect(),
    ))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the operator's own meaning"
)]
fn cast(node: &ModelNode, to: Option<ElementType>, x: &HostTensor) -> Result<HostTensor, Error> {
    let elements = match (to, &x.elements) {
        (Some(to), Elements::F32(data)) if to.is_float() => Elements::F32(data.clone()),
        (Some(to), Elements::I64(data)) if to.is_float() => {
            Elements::F32(data.iter().map(|&number| number as f32).collect())
        }
        (Some(to), Elements::Bool(data)) if to.is_float() => {
            Elements::F32(data.iter().map(|&is_true| f32::from(u8::from(is_true))).collect())
        }
        (Some(ElementType::I64), Elements::F32(data)) => {
            Elements::I64(data.iter().map(|&number| number as i64).collect())
        }
        (Some(ElementType::I64), Elements::I64(data)) => Elements::I64(data.clone()),
        (Some(ElementType::I64), Elements::Bool(data)) => {
            Elements::I64(data.iter().map(|&is_true| i64::from(is_true)).collect())
        }
        (Some(ElementType::Bool), Elements::F32(data)) => {
            Elements::Bool(data.iter().map(|&number| number != 0.0).collect())
        }
        (Some(ElementType::Bool), Elements::I64(data)) => {
            Elements::Bool(data.iter().map(|&number| number != 0).collect())
        }
        (Some(ElementType::Bool), Elements::Bool(data)) => Elements::Bool(data.clone()),
        _ => return Err(node_error(node, "it casts a constant to an unsupported type")),
    };
    Ok(with(x.shape.clone(), elements))
}

fn constant_of_shape(budget: &FoldBudget<'_>, x: &HostTensor) -> Result<HostTensor, Error> {
    let node = budget.node;
    let extents = x.integers().unwrap_or_default().iter();
    let shape: Shape = extents
        .map(|&extent| usize::try_from(extent).unwrap_or(0))
        .collect();
    let count = shape.elements();
    budget.check(count)?;
    let elements = match node.attributes.tensor("value").map(|value| value.elements) {
        None => Elements::F32(vec![0.0; count]),
        Some(Elements::F32(value)) if value.len() == 1 => Elements::F32(vec![value[0]; count]),
        Some(Elements::I64(value)) if value.len() == 1 => Elements::I64(vec![value[0]; count]),
        Some(_) => return Err(node_error(node, "its value is not a float32 or int64 scalar")),
    };
    Ok(with(shape, elements))
}

fn concat(budget: &FoldBudget<'_>, operands: &[&HostTensor]) -> Result<HostTensor, Error> {
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
fn gather(budget: &FoldBudget<'_>, operands: &[&HostTensor]) -> Result<HostTensor, Error> {
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
