//! Convolution and pooling.
//!
//! With `y[n, k, p] = Σ_{c, t} w[k, c, t] · x[n, c, p·s + t − pad]`, the gradient of `x` is the transposed convolution of `dy`
//! (zero at positions of `x` that no window covers), and the gradient of `w` is the cross-correlation of `x` with `dy`, with stride one and
//! `dy` dilated by `s`.

use super::{Backward, Error, Gradients};
use crate::graph::op::{ConvTranspose2d, GroupConvTranspose2d, Reduce};
use crate::graph::{Composite, Op};

/// `y = x ⋆ w (+ b)` ⟹ `dx = dy ⋆ᵀ w`, `dw = Σ_n x ⋆ dy`, `db = Σ_{n, p} dy`.
///
/// # Shapes
/// `x: [N, C, H, W]`, `w: [K, C, R, S]`, `b: [K]`, `y: [N, K, H′, W′]`.
pub(super) fn conv(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (Op::Conv(conv) | Op::Composite(Composite::Conv(conv))) = b.node.op else {
        unreachable!("the table gives this rule to Conv only")
    };
    let (x, w, dy) = (b.input(0), b.input(1), b.upstream()?);
    let to_operand = if b.wants(0) {
        let extent = [b.shape(x)[2], b.shape(x)[3]];
        Some(b.single(
            Op::Composite(Composite::ConvInputGradient { conv, extent }),
            &[w, dy],
        )?)
    } else {
        None
    };
    let to_weight = if b.wants(1) {
        let kernel = [b.shape(w)[2], b.shape(w)[3]];
        Some(b.single(
            Op::Composite(Composite::ConvWeightGradient { conv, kernel }),
            &[x, dy],
        )?)
    } else {
        None
    };
    let to_bias = match b.node.inputs.get(2) {
        Some(_) => Some(b.sum_along(
            dy,
            Reduce {
                axes: vec![0, 2, 3],
                keep_axes: false,
            },
        )?),
        None => None,
    };
    Ok([to_operand, to_weight]
        .into_iter()
        .chain(to_bias.map(Some))
        .collect())
}

/// [`conv`] per group: `dx = dy ⋆ᵀ w`, `dw = Σ_n x ⋆ dy`, `db = Σ_{n, p} dy`.
///
/// # Shapes
/// `x: [N, C, H, W]`, `w: [K, C/G, R, S]`, `b: [K]`, `y: [N, K, H′, W′]`.
pub(super) fn group_conv(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let Op::GroupConv(attributes) = b.node.op else {
        unreachable!("the table gives this rule to GroupConv only")
    };
    let (x, w, dy) = (b.input(0), b.input(1), b.upstream()?);
    let to_operand = if b.wants(0) {
        let conv = attributes.conv;
        let rest = |axis: usize| {
            (b.shape(x)[2 + axis] + 2 * conv.pad[axis] - b.shape(w)[2 + axis]) % conv.stride[axis]
        };
        let transpose = GroupConvTranspose2d {
            transpose: ConvTranspose2d {
                conv,
                output_padding: [rest(0), rest(1)],
            },
            groups: attributes.groups,
        };
        Some(b.single(Op::GroupConvTranspose(transpose), &[dy, w])?)
    } else {
        None
    };
    let to_weight = if b.wants(1) {
        let kernel = [b.shape(w)[2], b.shape(w)[3]];
        let gradient = Composite::GroupConvWeightGradient {
            conv: attributes,
            kernel,
        };
        Some(b.single(Op::Composite(gradient), &[x, dy])?)
    } else {
        None
    };
    let to_bias = match b.node.inputs.get(2) {
        Some(_) => Some(b.sum_along(
            dy,
            Reduce {
                axes: vec![0, 2, 3],
                keep_axes: false,
            },
        )?),
        None => None,
    };
    Ok([to_operand, to_weight]
        .into_iter()
        .chain(to_bias.map(Some))
        .collect())
}

/// `y = x ⋆ᵀ w`, the transpose of a convolution ⟹ `dx = dy ⋆ w`, that convolution itself; `dw = Σ_n dy ⋆ x`.
///
/// # Shapes
/// `x: [N, K, H′, W′]`, `w: [K, C, R, S]`, `y: [N, C, H, W]`.
pub(super) fn conv_transpose(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let Op::ConvTranspose(attributes) = b.node.op else {
        unreachable!("the table gives this rule to ConvTranspose only");
    };
    let (x, w, dy) = (b.input(0), b.input(1), b.upstream()?);
    let conv = attributes.conv;
    let to_operand = if b.wants(0) {
        Some(b.conv(dy, w, conv)?)
    } else {
        None
    };
    let to_weight = if b.wants(1) {
        let kernel = [b.shape(w)[2], b.shape(w)[3]];
        Some(b.single(
            Op::Composite(Composite::ConvWeightGradient { conv, kernel }),
            &[dy, x],
        )?)
    } else {
        None
    };
    Ok(vec![to_operand, to_weight])
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
