//! Elementwise operators. Gradients may have the broadcast shape; `unbroadcast` reduces them.

use crate::autodiff::Error;
use crate::autodiff::backward::{Backward, Gradients};
use crate::graph::op::{Clip, Relu};
use crate::graph::{Composite, Op};

/// `y = a + b` ⟹ `da = dy`, `db = dy`.
pub(super) fn add(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = b.upstream()?;
    Ok(vec![Some(dy), Some(dy)])
}

/// `y = a − b` ⟹ `da = dy`, `db = −dy`.
pub(super) fn sub(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = b.upstream()?;
    let negative = if b.wants(1) { Some(b.neg(dy)?) } else { None };
    Ok(vec![Some(dy), negative])
}

/// `y = a·b` ⟹ `da = dy·b`, `db = dy·a`. Saves each operand only if the other's gradient is needed.
pub(super) fn mul(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (left, right, dy) = (b.input(0), b.input(1), b.upstream()?);
    let to_left = if b.wants(0) { Some(b.mul(dy, right)?) } else { None };
    let to_right = if b.wants(1) { Some(b.mul(dy, left)?) } else { None };
    Ok(vec![to_left, to_right])
}

/// `y = a/b` ⟹ `da = dy/b`, `db = −y·dy/b`.
pub(super) fn div(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (denominator, y, dy) = (b.input(1), b.output(0), b.upstream()?);
    let share = b.div(dy, denominator)?;
    let to_denominator = if b.wants(1) {
        let product = b.mul(share, y)?;
        Some(b.neg(product)?)
    } else {
        None
    };
    Ok(vec![Some(share), to_denominator])
}

/// `y = −x` ⟹ `dx = −dy`.
pub(super) fn neg(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = b.upstream()?;
    Ok(vec![Some(b.neg(dy)?)])
}

/// `y = 1/x` ⟹ `dx = −dy·y²`.
pub(super) fn reciprocal(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (y, dy) = (b.output(0), b.upstream()?);
    let square = b.mul(y, y)?;
    let product = b.mul(dy, square)?;
    Ok(vec![Some(b.neg(product)?)])
}

/// `y = √x` ⟹ `dx = dy / 2y`. Infinite at zero, as in PyTorch.
pub(super) fn sqrt(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (y, dy) = (b.output(0), b.upstream()?);
    let twice = b.add(y, y)?;
    Ok(vec![Some(b.div(dy, twice)?)])
}

/// `y = eˣ` ⟹ `dx = dy·y`.
pub(super) fn exp(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (y, dy) = (b.output(0), b.upstream()?);
    Ok(vec![Some(b.mul(dy, y)?)])
}

/// `y = ln x` ⟹ `dx = dy/x`.
pub(super) fn log(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (x, dy) = (b.input(0), b.upstream()?);
    Ok(vec![Some(b.div(dy, x)?)])
}

/// `y = max(x, 0)` ⟹ `dx = dy · [y > 0]`.
///
/// The subgradient at zero is 0, as in PyTorch. Saves `y` instead of `x`.
pub(super) fn relu(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (y, dy) = (b.output(0), b.upstream()?);
    Ok(vec![Some(b.relu_gradient(y, dy, Relu::UNBOUNDED)?)])
}

/// `y = 1/(1 + e⁻ˣ)` ⟹ `dx = dy·y·(1 − y)`.
pub(super) fn sigmoid(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (y, dy) = (b.output(0), b.upstream()?);
    let square = b.mul(y, y)?;
    let slope = b.sub(y, square)?;
    Ok(vec![Some(b.mul(dy, slope)?)])
}

/// `y = tanh x` ⟹ `dx = dy·(1 − y²)`.
pub(super) fn tanh(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (y, dy) = (b.output(0), b.upstream()?);
    let (one, square) = (b.scalar_like(y, 1.0)?, b.mul(y, y)?);
    let slope = b.sub(one, square)?;
    Ok(vec![Some(b.mul(dy, slope)?)])
}

/// `y = erf x` ⟹ `dx = dy · 2/√π · e^(−x²)`.
pub(super) fn erf(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (x, dy) = (b.input(0), b.upstream()?);
    let square = b.mul(x, x)?;
    let exponent = b.neg(square)?;
    let bell = b.exp(exponent)?;
    let factor = b.scalar_like(x, std::f32::consts::FRAC_2_SQRT_PI)?;
    let slope = b.mul(bell, factor)?;
    Ok(vec![Some(b.mul(dy, slope)?)])
}

/// `y = x·Φ(x)` ⟹ `dx = dy·(Φ(x) + x·φ(x))`.
pub(super) fn gelu(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (x, dy) = (b.input(0), b.upstream()?);
    let gradient = Op::Composite(Composite::GeluGradient);
    Ok(vec![Some(b.single(gradient, &[x, dy])?)])
}

/// `y = ln(1 + eˣ)` ⟹ `dx = dy / (1 + e⁻ˣ)`.
pub(super) fn softplus(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (x, dy) = (b.input(0), b.upstream()?);
    let slope = b.sigmoid(x)?;
    Ok(vec![Some(b.mul(dy, slope)?)])
}

/// `y = max(a, b)` or `min(a, b)` ⟹ `dy` to the operand that is selected, and half of it to each if they are equal, as in PyTorch.
pub(super) fn extreme(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (left, right, dy) = (b.input(0), b.input(1), b.upstream()?);
    let (half, zero) = (b.scalar_like(dy, 0.5)?, b.scalar_like(dy, 0.0)?);
    let halved = b.mul(dy, half)?;
    let is_equal = b.equal(left, right)?;
    let shared = b.select(is_equal, halved, zero)?;
    let (lower, higher) = match b.node.op {
        Op::Min => (left, right),
        _ => (right, left),
    };
    let is_left = b.greater(higher, lower)?;
    let is_right = b.greater(lower, higher)?;
    let mut gradients = vec![];
    for (operand, is_selected) in [is_left, is_right].into_iter().enumerate() {
        gradients.push(match b.wants(operand) {
            true => Some(b.select(is_selected, dy, shared)?),
            false => None,
        });
    }
    Ok(gradients)
}

/// `y = min(max(x, low), high)` ⟹ `dx = dy · [low ≤ x ≤ high]`.
///
/// The bounds themselves pass the gradient, as in PyTorch's `clamp`; but those of ReLU6 do not, as in PyTorch's `relu6`.
pub(super) fn clip(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let &Op::Clip(Clip { low, high }) = &b.node.op else {
        unreachable!("the table gives this rule to Clip only")
    };
    let (x, mut dx) = (b.input(0), b.upstream()?);
    if let Some(relu) = b.node.op.as_relu() {
        let y = b.output(0);
        return Ok(vec![Some(b.relu_gradient(y, dx, relu)?)]);
    }
    let zero = b.scalar_like(dx, 0.0)?;
    if low > f32::NEG_INFINITY {
        let low = b.scalar_like(x, low)?;
        let below = b.greater(low, x)?;
        dx = b.select(below, zero, dx)?;
    }
    if high < f32::INFINITY {
        let high = b.scalar_like(x, high)?;
        let above = b.greater(x, high)?;
        dx = b.select(above, zero, dx)?;
    }
    Ok(vec![Some(dx)])
}

/// `y = c ? a : b` ⟹ `da = c ? dy : 0`, `db = c ? 0 : dy`; the condition has no gradient.
pub(super) fn select(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (condition, dy) = (b.input(0), b.upstream()?);
    let zero = b.scalar_like(dy, 0.0)?;
    let to_left = if b.wants(1) {
        Some(b.select(condition, dy, zero)?)
    } else {
        None
    };
    let to_right = if b.wants(2) {
        Some(b.select(condition, zero, dy)?)
    } else {
        None
    };
    Ok(vec![None, to_left, to_right])
}

/// `y = x` rounded to another precision ⟹ `dx = dy` cast to the type of `x`: rounding is treated as the identity, as in PyTorch.
pub(super) fn cast(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let to = b.tensor_type(b.input(0)).element_type;
    if !to.is_float() || !b.tensor_type(b.output(0)).element_type.is_float() {
        return Ok(vec![None]);
    }
    let dy = b.upstream()?;
    Ok(vec![Some(b.converted(dy, to)?)])
}

/// `y = Σᵢ xᵢ` ⟹ `dxᵢ = dy`.
pub(super) fn sum(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = b.upstream()?;
    Ok(vec![Some(dy); b.node.inputs.len()])
}
