use super::attributes::{Attributes, extent, unknown};
use super::convolution::wrong_arity;
use super::operator::{Compute, Operand};
use crate::graph::fused::attribute;
use crate::kernels::norm::{self, Normalization, Shortcut, Statistics};
use crate::kernels::{BatchMean, ExecContext, Extent, GradEpilogue, ReluMask};

/// The extent of a value in NCHWc layout.
pub(super) fn blocked_extent(shape: &[i64]) -> ort::Result<Extent> {
    let &[n, c, height, width] = shape else {
        return Err(ort::Error::new("an NCHWc value must have four axes"));
    };
    Ok(Extent {
        images: extent(n)?,
        blocks: extent(c)? / 16,
        rows: extent(height)?,
        columns: extent(width)?,
    })
}

pub(super) fn scale_shift(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(ScaleShift {
        epsilon: attributes.float(attribute::EPSILON)?,
    }))
}

struct ScaleShift {
    epsilon: f32,
}

impl Compute for ScaleShift {
    fn compute(
        &self,
        _: &mut ExecContext<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let ([scale, bias, mean, variance], [scale_shift]) = (operands, results) else {
            return Err(wrong_arity());
        };
        let statistics = Statistics {
            scale: scale.data,
            mean: mean.data,
            variance: variance.data,
            epsilon: self.epsilon,
        };
        norm::scale_shift(&statistics, bias.data, scale_shift);
        Ok(())
    }
}

pub(super) fn normalize(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(Normalize {
        has_relu: attributes.flag(attribute::RELU)?,
    }))
}

/// The number of operands determines the shortcut.
struct Normalize {
    has_relu: bool,
}

impl Compute for Normalize {
    fn compute(
        &self,
        exec: &mut ExecContext<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let ([x, scale_shift, rest @ ..], [y]) = (operands, results) else {
            return Err(wrong_arity());
        };
        let shortcut = match rest {
            [] => Shortcut::None,
            [addend] => Shortcut::Identity(addend.data),
            [addend, scale_shift, ..] => Shortcut::ScaleShift(addend.data, scale_shift.data),
        };
        let normalization = Normalization {
            x: x.data,
            scale_shift: scale_shift.data,
            shortcut,
            has_relu: self.has_relu,
        };
        norm::normalize(exec, blocked_extent(x.shape)?, &normalization, y);
        Ok(())
    }
}

/// Which operands a [`GradEpilogue`] has.
#[derive(Clone, Copy)]
pub(super) struct GradEpilogueKind {
    has_addend: bool,
    mask: ReluMaskKind,
    has_batch_mean: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum ReluMaskKind {
    None,
    Output,
    ScaleShift,
}

pub(super) fn grad_epilogue_kind(attributes: &Attributes<'_, '_>) -> ort::Result<GradEpilogueKind> {
    Ok(GradEpilogueKind {
        has_addend: attributes.flag(attribute::ADDEND)?,
        mask: match &*attributes.string(attribute::RELU_MASK)? {
            attribute::NONE => ReluMaskKind::None,
            attribute::OUTPUT => ReluMaskKind::Output,
            attribute::SCALE_SHIFT => ReluMaskKind::ScaleShift,
            value => return Err(unknown(attribute::RELU_MASK, value)),
        },
        has_batch_mean: attributes.flag(attribute::BATCH_MEAN)?,
    })
}

impl GradEpilogueKind {
    /// Reads the operands of the epilogue.
    pub(super) fn split<'a>(self, operands: &[Operand<'a>]) -> ort::Result<GradEpilogue<'a>> {
        let mut operands = operands.iter().map(|operand| operand.data);
        let mut next = || operands.next().ok_or_else(wrong_arity);
        Ok(GradEpilogue {
            addend: self.has_addend.then(&mut next).transpose()?,
            mask: match self.mask {
                ReluMaskKind::None => ReluMask::None,
                ReluMaskKind::Output => ReluMask::Output(next()?),
                ReluMaskKind::ScaleShift => ReluMask::ScaleShift(next()?),
            },
            batch_mean: match self.has_batch_mean {
                true => Some(BatchMean {
                    x: next()?,
                    mean: next()?,
                }),
                false => None,
            },
        })
    }
}

type Sums<'o, 'r> = (Option<&'o mut &'r mut [f32]>, Option<&'o mut &'r mut [f32]>);

/// Splits the outputs of a node with an epilogue into sums and gradient.
pub(super) fn split_sums<'o, 'r>(
    kind: GradEpilogueKind,
    results: &'o mut [&'r mut [f32]],
) -> ort::Result<Sums<'o, 'r>> {
    match (kind.has_batch_mean, results) {
        (true, [sums]) => Ok((Some(sums), None)),
        (true, [sums, g]) => Ok((Some(sums), Some(g))),
        (false, [g]) => Ok((None, Some(g))),
        _ => Err(wrong_arity()),
    }
}

pub(super) fn apply_grad_epilogue(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(ApplyGradEpilogue(grad_epilogue_kind(attributes)?)))
}

struct ApplyGradEpilogue(GradEpilogueKind);

impl Compute for ApplyGradEpilogue {
    fn compute(
        &self,
        exec: &mut ExecContext<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let [dy, rest @ ..] = operands else {
            return Err(wrong_arity());
        };
        let (sums, g) = split_sums(self.0, results)?;
        let grad_epilogue = self.0.split(rest)?;
        let g = g.map(|g| &mut **g);
        let channel_sums =
            norm::apply_grad_epilogue(exec, blocked_extent(dy.shape)?, dy.data, grad_epilogue, g);
        if let Some(sums) = sums {
            norm::write_sums(&channel_sums, sums);
        }
        Ok(())
    }
}

pub(super) fn gradient(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(Gradient {
        epsilon: attributes.float(attribute::EPSILON)?,
    }))
}

struct Gradient {
    epsilon: f32,
}

impl Compute for Gradient {
    fn compute(
        &self,
        exec: &mut ExecContext<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let ([g, x, sums, scale, mean, variance], [to_scale, to_bias, rest @ ..]) = (operands, results)
        else {
            return Err(wrong_arity());
        };
        let statistics = Statistics {
            scale: scale.data,
            mean: mean.data,
            variance: variance.data,
            epsilon: self.epsilon,
        };
        norm::parameter_gradients(&statistics, sums.data, [to_scale, to_bias]);
        if let [dx] = rest {
            let extent = blocked_extent(x.shape)?;
            norm::gradient(exec, extent, (&statistics, sums.data), [g.data, x.data], dx);
        }
        Ok(())
    }
}
