//! Convolution and pooling.
//!
//! With `y[n, k, p] = Σ_{c, t} w[k, c, t] · x[n, c, p·s + t − pad]`, the gradient of `x` is the transposed convolution of `dy`
//! (zero at positions of `x` that no window covers), and the gradient of `w` is the cross-correlation of `x` with `dy`, with stride one and
//! `dy` dilated by `s`.

use crate::autodiff::Error;
use crate::autodiff::backward::{Backward, Gradients};
use crate::graph::op::{Conv2d, ConvTranspose2d, Reduce};
use crate::graph::{Composite, Op, Value};

/// `y = x ⋆ w (+ b)` ⟹ `dx = dy ⋆ᵀ w`, `dw = Σ_n x ⋆ dy`, `db = Σ_{n, p} dy`, per group.
///
/// # Shapes
/// `x: [N, C, H, W]`, `w: [K, C/G, R, S]`, `b: [K]`, `y: [N, K, H′, W′]`.
pub(super) fn conv(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let Op::Conv(conv) = b.node.op else {
        unreachable!("the table gives this rule to Conv only")
    };
    let (x, w, dy) = (b.input(0), b.input(1), b.upstream()?);
    let extent = [b.shape(x)[2], b.shape(x)[3]];
    let to_operand = Composite::ConvInputGradient { conv, extent };
    let to_operand = b.wants(0).then(|| b.single(Op::Composite(to_operand), &[w, dy]));
    let mut gradients = vec![to_operand.transpose()?, weight_gradient(b, conv, [x, dy])?];
    if b.node.inputs.len() == 3 {
        let reduce = Reduce {
            axes: vec![0, 2, 3],
            keep_axes: false,
        };
        gradients.push(Some(b.sum_along(dy, reduce)?));
    }
    Ok(gradients)
}

/// `y = x ⋆ᵀ w`, the transpose of a convolution ⟹ `dx = dy ⋆ w`, that convolution itself; `dw = Σ_n dy ⋆ x`.
///
/// # Shapes
/// `x: [N, K, H′, W′]`, `w: [K, C/G, R, S]`, `y: [N, C, H, W]`.
pub(super) fn conv_transpose(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let Op::ConvTranspose(ConvTranspose2d { conv, .. }) = b.node.op else {
        unreachable!("the table gives this rule to ConvTranspose only");
    };
    let (x, w, dy) = (b.input(0), b.input(1), b.upstream()?);
    let to_operand = b.wants(0).then(|| b.conv(dy, w, conv)).transpose()?;
    Ok(vec![to_operand, weight_gradient(b, conv, [dy, x])?])
}

/// The gradient of operand 1, the weight of a convolution, from the convolution's input and the gradient of its output.
fn weight_gradient(b: &mut Backward<'_>, conv: Conv2d, operands: [Value; 2]) -> Result<Option<Value>, Error> {
    if !b.wants(1) {
        return Ok(None);
    }
    let w = b.shape(b.input(1));
    let kernel = [w[2], w[3]];
    let gradient = Composite::ConvWeightGradient { conv, kernel };
    Ok(Some(b.single(Op::Composite(gradient), &operands)?))
}

/// `y[p] = max_t x[p·s + t − pad]` ⟹ `dx[i] = Σ dy[p]` over the windows `p` whose maximum is at `i`.
///
/// If several elements of a window are maximal, the first gets the gradient, as in PyTorch. Saves the indices, not `x`.
pub(super) fn max_pool(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (indices, dy) = (b.output(1), b.upstream()?);
    let shape = b.shape(b.input(0)).clone();
    Ok(vec![Some(b.single(
        Op::Composite(Composite::MaxPoolGradient(shape)),
        &[indices, dy],
    )?)])
}

/// `y = Σ_p x / P` ⟹ `dx = dy / P`, broadcast over all positions.
#[expect(
    clippy::cast_precision_loss,
    reason = "rounded once, like any other constant of the graph"
)]
pub(super) fn global_average_pool(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = b.upstream()?;
    let shape = b.shape(b.input(0)).clone();
    let share = b.scalar(1.0 / (shape[2] * shape[3]) as f32);
    let scaled = b.mul(dy, share)?;
    Ok(vec![Some(b.expand(scaled, shape)?)])
}
