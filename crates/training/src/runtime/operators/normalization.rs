use super::operand::{Operand, grad_epilogue, split_sums, wrong_arity};
use crate::graph::fused::{GradEpilogue, Shortcut as Addend};
use crate::graph::op::{BatchNormalization, LayerNormalization, Relu};
use crate::kernels::norm::{self, Normalization, Shortcut, Statistics};
use crate::kernels::{ExecContext, layer_norm};

/// The statistics of a batch norm, from γ, mean and variance.
fn statistics<'a>([scale, mean, variance]: [Operand<'a>; 3], norm: BatchNormalization) -> Statistics<'a> {
    Statistics {
        scale: scale.data,
        mean: mean.data,
        variance: variance.data,
        epsilon: norm.epsilon,
    }
}

pub(super) fn scale_shift(
    norm: BatchNormalization,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let (&[scale, bias, mean, variance], [scale_shift]) = (operands, results) else {
        return Err(wrong_arity());
    };
    let statistics = statistics([scale, mean, variance], norm);
    norm::scale_shift(&statistics, bias.data, scale_shift);
    Ok(())
}

pub(super) fn normalize(
    (shortcut, relu): (Addend, Option<Relu>),
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let ([x, scale_shift, rest @ ..], [y]) = (operands, results) else {
        return Err(wrong_arity());
    };
    let shortcut = match (shortcut, rest) {
        (Addend::None, []) => Shortcut::None,
        (Addend::Raw, [addend]) => Shortcut::Identity(addend.data),
        (Addend::ScaleShift, [addend, scale_shift]) => Shortcut::ScaleShift(addend.data, scale_shift.data),
        _ => return Err(wrong_arity()),
    };
    let normalization = Normalization {
        x: x.data,
        scale_shift: scale_shift.data,
        shortcut,
        high: relu.map(|relu| relu.high),
    };
    norm::normalize(exec, x.blocked_extent()?, &normalization, y);
    Ok(())
}

pub(super) fn apply_grad_epilogue(
    epilogue: GradEpilogue,
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let [dy, rest @ ..] = operands else {
        return Err(wrong_arity());
    };
    let (sums, g) = split_sums(epilogue, results)?;
    let grad_epilogue = grad_epilogue(epilogue, rest)?;
    let g = g.map(|g| &mut **g);
    let channel_sums = norm::apply_grad_epilogue(exec, dy.blocked_extent()?, dy.data, grad_epilogue, g);
    if let Some(sums) = sums {
        norm::write_sums(&channel_sums, sums);
    }
    Ok(())
}

pub(super) fn gradient(
    norm: BatchNormalization,
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let (&[g, x, sums, scale, mean, variance], [to_scale, to_bias, rest @ ..]) = (operands, results) else {
        return Err(wrong_arity());
    };
    let statistics = statistics([scale, mean, variance], norm);
    norm::parameter_gradients(&statistics, sums.data, [to_scale, to_bias]);
    if let [dx] = rest {
        let extent = x.blocked_extent()?;
        norm::gradient(exec, extent, (&statistics, sums.data), [g.data, x.data], dx);
    }
    Ok(())
}

pub(super) fn layer_norm(
    norm: LayerNormalization,
    exec: &ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let (&[x, scale, bias], [y]) = (operands, results) else {
        return Err(wrong_arity());
    };
    layer_norm::forward(exec, [x.data, scale.data, bias.data], norm.epsilon, y);
    Ok(())
}

/// The gradients of γ and β may be unused: trailing outputs that are not read are left out.
pub(super) fn layer_norm_gradient(
    norm: LayerNormalization,
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let (&[x, dy, scale], [dx, rest @ ..]) = (operands, results) else {
        return Err(wrong_arity());
    };
    let channels = scale.data.len();
    let mut unread = [vec![0.0; channels], vec![0.0; channels]];
    let [to_scale, to_bias] = &mut unread;
    let (to_scale, to_bias) = match rest {
        [] => (&mut to_scale[..], &mut to_bias[..]),
        [found] => (&mut found[..], &mut to_bias[..]),
        [found, other] => (&mut found[..], &mut other[..]),
        _ => return Err(wrong_arity()),
    };
    let operands = [x.data, dy.data, scale.data];
    layer_norm::gradient(exec, operands, norm.epsilon, [&mut dx[..], to_scale, to_bias]);
    Ok(())
}
