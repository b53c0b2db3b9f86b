//! Operators for which ONNX Runtime's CUDA provider has no bfloat16 kernel. They are computed in single precision on the rounded operands,
//! and the result is rounded again, unless a decomposition into operators with bfloat16 kernels exists.

use crate::graph::op::Pad;
use crate::graph::{ElementType, Error, Graph, Op, Shape, Value};

/// Whether a value is bfloat16.
pub(super) fn is_of(g: &Graph, value: Value) -> bool {
    g.tensor_type(value).element_type == ElementType::Bf16
}

/// Wires an operator; if its operands are bfloat16 and it has no kernel for them, wires an equivalent. Convolutions of one group are
/// decomposed before.
pub(super) fn push(g: &mut Graph, op: &Op, inputs: &[Value]) -> Result<Vec<Value>, Error> {
    if !inputs.iter().any(|&input| is_of(g, input)) {
        return g.push(op.clone(), inputs);
    }
    match op {
        Op::Pad(pad) => padded(g, inputs[0], pad).map(|y| vec![y]),
        Op::Conv(_) | Op::ConvTranspose(_) | Op::MaxPool(_) | Op::Greater | Op::Reciprocal | Op::Log => {
            widened(g, op, inputs)
        }
        _ => g.push(op.clone(), inputs),
    }
}

fn widened(g: &mut Graph, op: &Op, inputs: &[Value]) -> Result<Vec<Value>, Error> {
    let mut wide = Vec::with_capacity(inputs.len());
    for &input in inputs {
        wide.push(g.converted(input, ElementType::F32)?);
    }
    let mut results = g.push(op.clone(), &wide)?;
    for result in &mut results {
        if g.tensor_type(*result).element_type == ElementType::F32 {
            *result = g.cast(*result, ElementType::Bf16)?;
        }
    }
    Ok(results)
}

/// Zero padding by concatenation.
fn padded(g: &mut Graph, x: Value, pad: &Pad) -> Result<Value, Error> {
    let mut padded = x;
    for (axis, (&before, &after)) in pad.before.iter().zip(&pad.after).enumerate() {
        let front = border(g, padded, (axis, before))?;
        let back = border(g, padded, (axis, after))?;
        let parts: Vec<Value> = front.into_iter().chain([padded]).chain(back).collect();
        if parts.len() > 1 {
            padded = g.concat(axis, &parts)?;
        }
    }
    Ok(padded)
}

/// A tensor of `count` zeros along an axis, shaped like `x` otherwise; `None` if `count` is zero.
fn border(g: &mut Graph, x: Value, (axis, count): (usize, usize)) -> Result<Option<Value>, Error> {
    if count == 0 {
        return Ok(None);
    }
    let mut shape = g.shape(x).to_vec();
    shape[axis] = count;
    let zero = g.scalar_like(x, 0.0)?;
    g.expand(zero, Shape::from(shape)).map(Some)
}
