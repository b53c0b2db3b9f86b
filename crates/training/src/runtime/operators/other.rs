use super::attributes::Attributes;
use super::convolution::too_few;
use super::normalization::in_blocks;
use super::operator::{Compute, Operand};
use crate::graph::fused::attribute;
use crate::kernels::adamw::{self, Hyper};
use crate::kernels::max_pool::{self, Pooled};
use crate::kernels::{Machine, Window, layout, norm};

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
        machine: &mut Machine<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let ([x], [y]) = (operands, results) else {
            return Err(too_few());
        };
        let reorder = if self.to_blocks {
            layout::to_blocks
        } else {
            layout::from_blocks
        };
        reorder(machine, in_blocks(x.shape)?, x.data, y);
        Ok(())
    }
}

pub(super) fn max_pool(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(MaxPool(attributes.pool()?)))
}

struct MaxPool(Window);

fn pooled<'a>(window: Window, x: Operand<'a>, affine: Operand<'a>) -> ort::Result<Pooled<'a>> {
    Ok(Pooled {
        x: x.data,
        affine: affine.data,
        input: in_blocks(x.shape)?,
        window,
    })
}

impl Compute for MaxPool {
    fn compute(
        &self,
        machine: &mut Machine<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let (&[x, affine], [y]) = (operands, results) else {
            return Err(too_few());
        };
        max_pool::forward(machine, &pooled(self.0, x, affine)?, y);
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
        machine: &mut Machine<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let (&[x, affine, dy, mean], [sums, g]) = (operands, results) else {
            return Err(too_few());
        };
        let pooled = pooled(self.0, x, affine)?;
        let totals = max_pool::backward(machine, &pooled, [dy.data, mean.data], g);
        norm::write_sums(&totals, sums);
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
        machine: &mut Machine<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let (&[p, g, m, v, ref scalars @ ..], [next, first, second]) = (operands, results) else {
            return Err(too_few());
        };
        let number = |operand: &Operand<'_>| operand.data.first().copied();
        let scalars: Option<Vec<f32>> = scalars.iter().map(number).collect();
        let Some([beta1, one_minus_beta1, scale2, decay, step]) = scalars.as_deref() else {
            return Err(too_few());
        };
        let hyper = Hyper {
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
        adamw::update(machine, &hyper, from, [next, first, second]);
        Ok(())
    }
}
