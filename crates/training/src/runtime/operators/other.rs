use super::operand::{Operand, wrong_arity};
use crate::graph::op::{AdamW, MaxPool2d};
use crate::kernels::adamw::{self, AdamWStep};
use crate::kernels::gelu;
use crate::kernels::max_pool::{self, PoolInput};
use crate::kernels::{ExecContext, Extent, Window, norm, softmax};

/// Converts a layout by `reorder`.
pub(super) fn reorder(
    reorder: fn(&ExecContext<'_>, Extent, &[f32], &mut [f32]),
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let ([x], [y]) = (operands, results) else {
        return Err(wrong_arity());
    };
    reorder(exec, x.blocked_extent()?, x.data, y);
    Ok(())
}

fn pool_input<'a>(pool: MaxPool2d, x: Operand<'a>, scale_shift: Operand<'a>) -> ort::Result<PoolInput<'a>> {
    Ok(PoolInput {
        x: x.data,
        scale_shift: scale_shift.data,
        input: x.blocked_extent()?,
        window: Window {
            kernel: pool.kernel,
            stride: pool.stride,
            pad: pool.pad,
            pad_after: pool.pad,
        },
    })
}

pub(super) fn max_pool(
    pool: MaxPool2d,
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let (&[x, scale_shift], [y]) = (operands, results) else {
        return Err(wrong_arity());
    };
    max_pool::forward(exec, &pool_input(pool, x, scale_shift)?, y);
    Ok(())
}

pub(super) fn max_pool_gradient(
    pool: MaxPool2d,
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let (&[x, scale_shift, dy, mean], [sums, g]) = (operands, results) else {
        return Err(wrong_arity());
    };
    let pool_input = pool_input(pool, x, scale_shift)?;
    let channel_sums = max_pool::backward(exec, &pool_input, [dy.data, mean.data], g);
    norm::write_sums(&channel_sums, sums);
    Ok(())
}

pub(super) fn softmax_gradient(
    exec: &ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let ([y, dy], [dx]) = (operands, results) else {
        return Err(wrong_arity());
    };
    let width = y.shape.last().and_then(|&width| usize::try_from(width).ok());
    softmax::gradient(exec, width.unwrap_or(1).max(1), [y.data, dy.data], dx);
    Ok(())
}

pub(super) fn gelu(
    exec: &ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let ([x] | [x, _], [y]) = (operands, results) else {
        return Err(wrong_arity());
    };
    gelu::forward(exec, x.data, y);
    Ok(())
}

pub(super) fn gelu_gradient(
    exec: &ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let ([x, dy], [dx]) = (operands, results) else {
        return Err(wrong_arity());
    };
    gelu::gradient(exec, [x.data, dy.data], dx);
    Ok(())
}

pub(super) fn adamw(
    attributes: AdamW,
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let (&[p, g, m, v, ref scalars @ ..], [next, first, second]) = (operands, results) else {
        return Err(wrong_arity());
    };
    let number = |operand: &Operand<'_>| operand.data.first().copied();
    let scalars: Option<Vec<f32>> = scalars.iter().map(number).collect();
    let Some([beta1, one_minus_beta1, scale2, decay, step, conditions @ ..]) = scalars.as_deref() else {
        return Err(wrong_arity());
    };
    let from = [p, m, v].map(|operand| (!operand.data.is_empty()).then_some(operand.data));
    let to: [&mut [f32]; 3] = [next, first, second];
    if let [is_finite, loss] = conditions
        && !(*is_finite > 0.0 && loss.is_finite())
    {
        for (from, to) in from.into_iter().zip(to) {
            from.into_iter().for_each(|from| to.copy_from_slice(from));
        }
        return Ok(());
    }
    let adamw_step = AdamWStep {
        beta1: *beta1,
        one_minus_beta1: *one_minus_beta1,
        beta2: attributes.beta2,
        one_minus_beta2: 1.0 - attributes.beta2,
        scale2: *scale2,
        epsilon: attributes.epsilon,
        decay: *decay,
        step: *step,
    };
    adamw::update(exec, &adamw_step, g.data, from, to);
    Ok(())
}
