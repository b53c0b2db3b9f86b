use super::attributes::{Attributes, extent, unknown};
use super::normalization::{ArrivalKind, arrival_kind, split_sums};
use super::operator::{Compute, Operand};
use crate::graph::fused::attribute;
use crate::kernels::conv::{self, Sizes};
use crate::kernels::{Machine, Window, norm};

/// What a convolution reads.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Images,
    Blocks,
    Rectified,
}

impl Kind {
    fn read(attributes: &Attributes<'_, '_>) -> ort::Result<Self> {
        match &*attributes.word(attribute::OPERAND)? {
            attribute::IMAGES => Ok(Self::Images),
            attribute::BLOCKS => Ok(Self::Blocks),
            attribute::RECTIFIED => Ok(Self::Rectified),
            word => Err(unknown(attribute::OPERAND, word)),
        }
    }

    /// The operand, and what follows it.
    fn split<'a, 'o>(
        self,
        operands: &'o [Operand<'a>],
    ) -> ort::Result<(conv::Operand<'a>, &'a [i64], &'o [Operand<'a>])> {
        match (self, operands) {
            (Self::Images, [x, rest @ ..]) => Ok((conv::Operand::Images(x.data), x.shape, rest)),
            (Self::Blocks, [x, rest @ ..]) => Ok((conv::Operand::Blocks(x.data), x.shape, rest)),
            (Self::Rectified, [x, affine, rest @ ..]) => {
                let operand = conv::Operand::Rectified(x.data, affine.data);
                Ok((operand, x.shape, rest))
            }
            _ => Err(too_few()),
        }
    }
}

pub(super) fn too_few() -> ort::Error {
    ort::Error::new("there are too few operands or results")
}

/// The kernel's extents come with the operands.
fn sliding(attributes: &Attributes<'_, '_>) -> ort::Result<Window> {
    attributes.window([0, 0])
}

/// Sizes of a convolution of `[N, C, H, W]` with `[K, C, R, S]`.
fn sizes(sliding: Window, x: &[i64], w: &[i64]) -> ort::Result<Sizes> {
    let (&[n, c, height, width], &[k, _, rows, columns]) = (x, w) else {
        return Err(ort::Error::new("a convolution's operands have four axes"));
    };
    Ok(Sizes {
        images: extent(n)?,
        channels: [extent(c)?, extent(k)?],
        extent: [extent(height)?, extent(width)?],
        window: Window {
            kernel: [extent(rows)?, extent(columns)?],
            ..sliding
        },
    })
}

pub(super) fn forward(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(Forward {
        sliding: sliding(attributes)?,
        kind: Kind::read(attributes)?,
    }))
}

struct Forward {
    sliding: Window,
    kind: Kind,
}

impl Compute for Forward {
    fn compute(
        &self,
        machine: &mut Machine<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let (x, shape, rest) = self.kind.split(operands)?;
        let ([w], [y, statistics @ ..]) = (rest, results) else {
            return Err(too_few());
        };
        let sizes = sizes(self.sliding, shape, w.shape)?;
        let sums = conv::forward(machine, sizes, x, w.data, y);
        if let [mean, variance] = statistics {
            norm::moments(&sums, sizes.output().pixels(), mean, variance);
        }
        Ok(())
    }
}

pub(super) fn input_gradient(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    let shape: Vec<i64> = [0, 1]
        .iter()
        .filter_map(|&result| attributes.shape(result))
        .find(|shape| shape.len() == 4)
        .ok_or_else(too_few)?;
    Ok(Box::new(InputGradient {
        sliding: sliding(attributes)?,
        arrival: arrival_kind(attributes)?,
        shape,
    }))
}

struct InputGradient {
    sliding: Window,
    arrival: ArrivalKind,
    /// Of its result.
    shape: Vec<i64>,
}

impl Compute for InputGradient {
    fn compute(
        &self,
        machine: &mut Machine<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let [w, dy, rest @ ..] = operands else {
            return Err(too_few());
        };
        let sizes = sizes(self.sliding, &self.shape, w.shape)?;
        let (sums, g) = split_sums(self.arrival, results)?;
        let g = g.ok_or_else(too_few)?;
        let arrival = self.arrival.split(rest)?;
        let totals = conv::input_gradient(machine, sizes, [w.data, dy.data], arrival, g);
        if let Some(sums) = sums {
            norm::write_sums(&totals, sums);
        }
        Ok(())
    }
}

pub(super) fn weight_gradient(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(WeightGradient {
        sliding: sliding(attributes)?,
        kind: Kind::read(attributes)?,
        shape: attributes.shape(0).ok_or_else(too_few)?,
    }))
}

struct WeightGradient {
    sliding: Window,
    kind: Kind,
    /// Of its result.
    shape: Vec<i64>,
}

impl Compute for WeightGradient {
    fn compute(
        &self,
        machine: &mut Machine<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let (x, shape, rest) = self.kind.split(operands)?;
        let ([dy], [dw]) = (rest, results) else {
            return Err(too_few());
        };
        let sizes = sizes(self.sliding, shape, &self.shape)?;
        conv::weight_gradient(machine, sizes, x, dy.data, dw);
        Ok(())
    }
}
