//! Constant folding: values computed from constants and shapes alone, such as the target of a Reshape. All shapes are static here.

mod arrange;
mod budget;
mod constants;
mod elementwise;
mod index;

use arrange::{concat, gather, scatter_nd, triangle};
pub(super) use budget::{FoldBudget, MAX_FOLDED_ELEMENTS};
use constants::{cast, constant, constant_of_shape, range, shape_or_size};
use index::{broadcast, gather_elements};

use super::Error;
use super::importer::{Importer, Item};
use super::layout::{SliceRange, permutation, reshaped, sliced, unsqueezed};
use super::node::{axis_of, node_error};
use super::operator::Operator;
use crate::graph::Shape;
use crate::graph::import::{Elements, HostTensor, element_type_of};

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
        _ => return elementwise::compute(budget, operands),
    }))
}

fn with(shape: Shape, elements: Elements) -> HostTensor {
    HostTensor { shape, elements }
}
