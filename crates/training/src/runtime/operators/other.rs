use super::attributes::Attributes;
use super::convolution::wrong_arity;
use super::normalization::blocked_extent;
use super::operator::{Compute, Operand};
use crate::graph::fused::attribute;
use crate::kernels::adamw::{self, AdamWStep};
use crate::kernels::max_pool::{self, PoolInput};
use crate::kernels::{ExecContext, Window, layout, norm};

pub(super) fn to_blocks(_: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(Layout { to_blocks: true }))
}

pub(super) fn from_blocks(_: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(Layout { to_blocks: false }))
}

struct Layout {
    to_blocks: bool,
}

impl Compute for Layout {
    fn compute(
        &self,
        exec: &mut ExecContext<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let ([x], [y]) = (operands, results) else {
            return Err(wrong_arity());
        };
        let reorder = if self.to_blocks {
            layout::to_blocks
        } else {
            layout::from_blocks
        };
        reorder(exec, blocked_extent(x.shape)?, x.data, y);
        Ok(())
    }
}

pub(super) fn max_pool(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(MaxPool(attributes.pool()?)))
}

struct MaxPool(Window);

fn pool_input<'a>(window: Window, x: Operand<'a>, scale_shift: Operand<'a>) -> ort::Result<PoolInput<'a>> {
    Ok(PoolInput {
        x: x.data,
        scale_shift: scale_shift.data,
        input: blocked_extent(x.shape)?,
        window,
    })
}

impl Compute for MaxPool {
    fn compute(
        &self,
        exec: &mut ExecContext<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let (&[x, scale_shift], [y]) = (operands, results) else {
            return Err(wrong_arity());
        };
        max_pool::forward(exec, &pool_input(self.0, x, scale_shift)?, y);
        Ok(())
    }
}

pub(super) fn max_pool_gradient(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(MaxPoolGradient(attributes.pool()?)))
}

struct MaxPoolGradient(Window);

impl Compute for MaxPoolGradient {
    fn compute(
        &self,
        exec: &mut ExecContext<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let (&[x, scale_shift, dy, mean], [sums, g]) = (operands, results) else {
            return Err(wrong_arity());
        };
        let pool_input = pool_input(self.0, x, scale_shift)?;
        let channel_sums = max_pool::backward(exec, &pool_input, [dy.data, mean.data], g);
        norm::write_sums(&channel_sums, sums);
        Ok(())
    }
}

pub(super) fn adamw(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(AdamW {
        beta2: attributes.float(attribute::BETA2)?,
        epsilon: attributes.float(attribute::EPSILON)?,
    }))
}

struct AdamW {
    beta2: f32,
    epsilon: f32,
}

impl Compute for AdamW {
    fn compute(
        &self,
        exec: &mut ExecContext<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let (&[p, g, m, v, ref scalars @ ..], [next, first, second]) = (operands, results) else {
            return Err(wrong_arity());
        };
        let number = |operand: &Operand<'_>| operand.data.first().copied();
        let scalars: Option<Vec<f32>> = scalars.iter().map(number).collect();
        let Some([beta1, one_minus_beta1, scale2, decay, step]) = scalars.as_deref() else {
            return Err(wrong_arity());
        };
        let adamw_step = AdamWStep {
            beta1: *beta1,
            one_minus_beta1: *one_minus_beta1,
            beta2: self.beta2,
            one_minus_beta2: 1.0 - self.beta2,
            scale2: *scale2,
            epsilon: self.epsilon,
            decay: *decay,
            step: *step,
        };
        let from = [p.data, g.data, m.data, v.data];
        adamw::update(exec, &adamw_step, from, [next, first, second]);
        Ok(())
    }
}
