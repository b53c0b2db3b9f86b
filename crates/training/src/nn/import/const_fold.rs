//! Constant folding: values computed from constants and shapes alone, such as the target of a Reshape. All shapes are static here.

use super::Error;
use super::fold_budget::FoldBudget;
use super::importer::{Importer, Item};
use super::layout::{permutation, reshaped, sliced, unsqueezed};
use super::node::{axis_of, node_error};
use crate::graph::Shape;
use crate::graph::import::{Elements, HostTensor, ModelNode};

/// `TensorProto.DataType` values.
const FLOAT: i64 = 1;
const INT32: i64 = 6;
const INT64: i64 = 7;

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
            let is_whole = importer
                .const_value(like)
                .is_some_and(|like| like.integers().is_some());
            let to = if is_whole { INT64 } else { FLOAT };
            return cast(node, Some(to), x).map(Some);
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
        "Cast" => cast(node, node.attributes.int("to"), x)?,
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
        "Add" => arithmetic(budget, operands, |a, b| a + b, i64::checked_add)?,
        "Sub" => arithmetic(budget, operands, |a, b| a - b, i64::checked_sub)?,
        "Mul" => arithmetic(budget, operands, |a, b| a * b, i64::checked_mul)?,
        "Div" => arithmetic(budget, operands, |a, b| a / b, i64::checked_div)?,
        "Floor" => match &x.elements {
            Elements::F32(data) => with(
                x.shape.clone(),
                Elements::F32(data.iter().map(|x| x.floor()).collect()),
            ),
            _ => return Ok(None),
        },
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
            let slice = sliced(node, &x.shape, [starts, ends], [list(3), list(4)])?;
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
                    .map(|(axis, at)| slice.starts[axis] + at * slice.steps[axis])
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
        _ => return Ok(None),
    }))
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
fn cast(node: &ModelNode, to: Option<i64>, x: &HostTensor) -> Result<HostTensor, Error> {
    let elements = match (to, &x.elements) {
        (Some(FLOAT), Elements::I64(data)) => {
            Elements::F32(data.iter().map(|&number| number as f32).collect())
        }
        (Some(INT32 | INT64), Elements::F32(data)) => {
            Elements::I64(data.iter().map(|&number| number as i64).collect())
        }
        (Some(FLOAT), Elements::F32(_)) | (Some(INT32 | INT64), Elements::I64(_)) => x.elements.clone(),
        _ => {
            return Err(node_error(
                node,
                "it casts between other types than float32, int32 and int64",
            ));
        }
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

fn arithmetic(
    budget: &FoldBudget<'_>,
    operands: &[&HostTensor],
    float: impl Fn(f32, f32) -> f32,
    whole: impl Fn(i64, i64) -> Option<i64>,
) -> Result<HostTensor, Error> {
    let node = budget.node;
    let [left, right] = operands else {
        return Err(node_error(node, "it does not have two operands"));
    };
    let shape = left.shape.broadcast(&right.shape);
    let shape = shape.ok_or_else(|| node_error(node, "its operands do not broadcast"))?;
    let [left, right] = [
        broadcast(budget, left, &shape)?,
        broadcast(budget, right, &shape)?,
    ];
    let elements = match (left.elements, right.elements) {
        (Elements::F32(left), Elements::F32(right)) => {
            Elements::F32(left.into_iter().zip(right).map(|(a, b)| float(a, b)).collect())
        }
        (Elements::I64(left), Elements::I64(right)) => {
            let results: Option<Vec<i64>> = left.into_iter().zip(right).map(|(a, b)| whole(a, b)).collect();
            Elements::I64(results.ok_or_else(|| {
                node_error(node, "integer overflow or division by zero in constant folding")
            })?)
        }
        _ => return Err(node_error(node, "its operands are of different types")),
    };
    Ok(with(shape, elements))
}

fn concat(budget: &FoldBudget<'_>, operands: &[&HostTensor]) -> Result<HostTensor, Error> {
    let node = budget.node;
    let mut shape = operands[0].shape.to_vec();
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(0), shape.len())?;
    if axis != 0 || operands.iter().any(|x| x.shape.get(1..) != shape.get(1..)) {
        return Err(node_error(
            node,
            "it concatenates constants along another axis than 0, or of different shapes",
        ));
    }
    shape[0] = operands.iter().map(|x| x.shape[0]).sum();
    budget.check(operands.iter().map(|x| x.elements.len()).sum())?;
    let integers = operands.iter().map(|x| x.integers());
    if let Some(parts) = integers.collect::<Option<Vec<_>>>() {
        return Ok(with(shape.into(), Elements::I64(parts.concat())));
    }
    let floats = operands.iter().map(|x| x.floats());
    match floats.collect::<Option<Vec<_>>>() {
        Some(parts) => Ok(with(shape.into(), Elements::F32(parts.concat()))),
        None => Err(node_error(node, "its operands are of different types")),
    }
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

/// Broadcasts `x` to `shape`.
fn broadcast(budget: &FoldBudget<'_>, x: &HostTensor, shape: &Shape) -> Result<HostTensor, Error> {
    gather_elements(budget, x, shape.clone(), |index| {
        let own = &index[index.len() - x.shape.len()..];
        let places = own.iter().zip(&*x.shape);
        places
            .map(|(&at, &extent)| if extent == 1 { 0 } else { at })
            .collect()
    })
}

/// Gathers elements of `x` into a tensor of shape `shape`; `source` maps an output index to an index of `x`.
fn gather_elements(
    budget: &FoldBudget<'_>,
    x: &HostTensor,
    shape: Shape,
    source: impl Fn(&[usize]) -> Vec<usize>,
) -> Result<HostTensor, Error> {
    budget.check(shape.elements())?;
    let mut index = vec![0; shape.len()];
    let mut places = Vec::with_capacity(shape.elements());
    for _ in 0..shape.elements() {
        let from = source(&index);
        places.push(
            from.iter()
                .zip(&*x.shape)
                .fold(0, |flat, (at, extent)| flat * extent + at),
        );
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    let elements = match &x.elements {
        Elements::F32(data) => Elements::F32(places.iter().map(|&place| data[place]).collect()),
        Elements::I64(data) => Elements::I64(places.iter().map(|&place| data[place]).collect()),
        Elements::Bool(data) => Elements::Bool(places.iter().map(|&place| data[place]).collect()),
    };
    Ok(HostTensor { shape, elements })
}
