//! Constant folding of elementwise operators.

use super::FoldBudget;
use super::index::broadcast;
use crate::graph::import::{Elements, HostTensor};
use crate::nn::import::Error;
use crate::nn::import::node::node_error;

/// The result of a node with constant operands; `None` if its operator is not folded.
pub(super) fn compute(
    budget: &FoldBudget<'_>,
    operands: &[&HostTensor],
) -> Result<Option<HostTensor>, Error> {
    let (node, x) = (budget.node, operands[0]);
    let floats = |function: fn(f32) -> f32| {
        let data = x.floats()?;
        Some(Elements::F32(
            data.iter().map(|&number| function(number)).collect(),
        ))
    };
    let unary = match &*node.operator {
        "Abs" => floats(f32::abs),
        "Ceil" => floats(f32::ceil),
        "Cos" => floats(f32::cos),
        "Exp" => floats(f32::exp),
        "Floor" => floats(f32::floor),
        "Log" => floats(f32::ln),
        "Neg" => match &x.elements {
            Elements::I64(data) => Some(Elements::I64(
                data.iter().map(|number| number.wrapping_neg()).collect(),
            )),
            _ => floats(|number| -number),
        },
        "Not" => match &x.elements {
            Elements::Bool(data) => Some(Elements::Bool(data.iter().map(|is_true| !is_true).collect())),
            _ => None,
        },
        "Reciprocal" => floats(f32::recip),
        "Sin" => floats(f32::sin),
        "Sqrt" => floats(f32::sqrt),
        _ => return binary(budget, operands),
    };
    Ok(unary.map(|elements| HostTensor {
        shape: x.shape.clone(),
        elements,
    }))
}

fn binary(budget: &FoldBudget<'_>, operands: &[&HostTensor]) -> Result<Option<HostTensor>, Error> {
    let b = budget;
    let count = if budget.node.operator == "Where" { 3 } else { 2 };
    if operands.len() != count {
        return Ok(None);
    }
    Ok(Some(match &*budget.node.operator {
        "Add" | "Sum" => arithmetic(b, operands, |a, b| a + b, i64::checked_add)?,
        "Sub" => arithmetic(b, operands, |a, b| a - b, i64::checked_sub)?,
        "Mul" => arithmetic(b, operands, |a, b| a * b, i64::checked_mul)?,
        "Div" => arithmetic(b, operands, |a, b| a / b, i64::checked_div)?,
        "Max" => arithmetic(b, operands, f32::max, |a, b| Some(a.max(b)))?,
        "Min" => arithmetic(b, operands, f32::min, |a, b| Some(a.min(b)))?,
        "Mod" if b.node.attributes.int("fmod").unwrap_or(0) != 0 => {
            arithmetic(b, operands, |a, b| a % b, i64::checked_rem)?
        }
        "Mod" => arithmetic(b, operands, |a, b| a - (a / b).floor() * b, floor_rem)?,
        "Pow" => {
            let exponent = in_floats(operands[1]);
            let is_mixed = operands[0].floats().is_some();
            let exponent = if is_mixed { &exponent } else { operands[1] };
            arithmetic(b, &[operands[0], exponent], f32::powf, power)?
        }
        "Equal" => comparison(b, operands, |a, b| a == b, |a, b| a == b)?,
        "Greater" => comparison(b, operands, |a, b| a > b, |a, b| a > b)?,
        "GreaterOrEqual" => comparison(b, operands, |a, b| a >= b, |a, b| a >= b)?,
        "Less" => comparison(b, operands, |a, b| a < b, |a, b| a < b)?,
        "LessOrEqual" => comparison(b, operands, |a, b| a <= b, |a, b| a <= b)?,
        "And" => logic(b, operands, |a, b| a && b)?,
        "Or" => logic(b, operands, |a, b| a || b)?,
        "Xor" => logic(b, operands, |a, b| a != b)?,
        "Where" => select(b, operands)?,
        _ => return Ok(None),
    }))
}

/// The tensor with integers as floats.
#[expect(clippy::cast_precision_loss, reason = "exponents are small")]
fn in_floats(x: &HostTensor) -> HostTensor {
    let elements = match &x.elements {
        Elements::I64(data) => Elements::F32(data.iter().map(|&number| number as f32).collect()),
        other => other.clone(),
    };
    HostTensor {
        shape: x.shape.clone(),
        elements,
    }
}

/// The remainder with the sign of the divisor.
fn floor_rem(a: i64, b: i64) -> Option<i64> {
    let remainder = a.checked_rem(b)?;
    if remainder != 0 && (remainder < 0) != (b < 0) {
        remainder.checked_add(b)
    } else {
        Some(remainder)
    }
}

fn power(a: i64, b: i64) -> Option<i64> {
    a.checked_pow(u32::try_from(b).ok()?)
}

/// Operands broadcast to one shape.
fn alike<const COUNT: usize>(
    budget: &FoldBudget<'_>,
    operands: &[&HostTensor],
) -> Result<[HostTensor; COUNT], Error> {
    let node = budget.node;
    let refused = || node_error(node, "its operands do not broadcast");
    let mut shape = operands[0].shape.clone();
    for operand in operands {
        shape = shape.broadcast(&operand.shape).ok_or_else(refused)?;
    }
    let operands = operands.iter().map(|operand| broadcast(budget, operand, &shape));
    let operands: Vec<HostTensor> = operands.collect::<Result<_, _>>()?;
    operands.try_into().map_err(|_| {
        node_error(
            node,
            format!("constant folding supports it with {COUNT} operands"),
        )
    })
}

fn of_types(budget: &FoldBudget<'_>) -> Error {
    node_error(budget.node, "its operands are of different or unsupported types")
}

fn arithmetic(
    budget: &FoldBudget<'_>,
    operands: &[&HostTensor],
    float: impl Fn(f32, f32) -> f32,
    whole: impl Fn(i64, i64) -> Option<i64>,
) -> Result<HostTensor, Error> {
    let [left, right] = alike(budget, operands)?;
    let elements = match (left.elements, right.elements) {
        (Elements::F32(left), Elements::F32(right)) => Elements::F32(zipped(left, right, float)),
        (Elements::I64(left), Elements::I64(right)) => {
            let results: Option<Vec<i64>> = zipped(left, right, whole).into_iter().collect();
            Elements::I64(results.ok_or_else(|| {
                node_error(
                    budget.node,
                    "integer overflow or division by zero in constant folding",
                )
            })?)
        }
        _ => return Err(of_types(budget)),
    };
    let shape = left.shape;
    Ok(HostTensor { shape, elements })
}

fn comparison(
    budget: &FoldBudget<'_>,
    operands: &[&HostTensor],
    float: impl Fn(f32, f32) -> bool,
    whole: impl Fn(i64, i64) -> bool,
) -> Result<HostTensor, Error> {
    let [left, right] = alike(budget, operands)?;
    let elements = match (left.elements, right.elements) {
        (Elements::F32(left), Elements::F32(right)) => zipped(left, right, float),
        (Elements::I64(left), Elements::I64(right)) => zipped(left, right, whole),
        _ => return Err(of_types(budget)),
    };
    let (shape, elements) = (left.shape, Elements::Bool(elements));
    Ok(HostTensor { shape, elements })
}

fn logic(
    budget: &FoldBudget<'_>,
    operands: &[&HostTensor],
    function: impl Fn(bool, bool) -> bool,
) -> Result<HostTensor, Error> {
    let [left, right] = alike(budget, operands)?;
    let (Elements::Bool(a), Elements::Bool(b)) = (left.elements, right.elements) else {
        return Err(of_types(budget));
    };
    let (shape, elements) = (left.shape, Elements::Bool(zipped(a, b, function)));
    Ok(HostTensor { shape, elements })
}

fn select(budget: &FoldBudget<'_>, operands: &[&HostTensor]) -> Result<HostTensor, Error> {
    let [condition, left, right] = alike(budget, operands)?;
    let Elements::Bool(condition) = condition.elements else {
        return Err(of_types(budget));
    };
    let elements = match (left.elements, right.elements) {
        (Elements::F32(left), Elements::F32(right)) => Elements::F32(selected(condition, left, right)),
        (Elements::I64(left), Elements::I64(right)) => Elements::I64(selected(condition, left, right)),
        (Elements::Bool(left), Elements::Bool(right)) => Elements::Bool(selected(condition, left, right)),
        _ => return Err(of_types(budget)),
    };
    let shape = left.shape;
    Ok(HostTensor { shape, elements })
}

fn selected<T>(condition: Vec<bool>, left: Vec<T>, right: Vec<T>) -> Vec<T> {
    let pairs = condition.into_iter().zip(left.into_iter().zip(right));
    pairs
        .map(|(is_left, (left, right))| if is_left { left } else { right })
        .collect()
}

fn zipped<T, U>(left: Vec<T>, right: Vec<T>, function: impl Fn(T, T) -> U) -> Vec<U> {
    left.into_iter().zip(right).map(|(a, b)| function(a, b)).collect()
}
