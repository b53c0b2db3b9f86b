use super::attributes::{Attributes, extent, unknown};
use super::convolution::too_few;
use super::operator::{Compute, Operand};
use crate::graph::fused::attribute;
use crate::kernels::norm::{self, Normalization, Shortcut, Statistics};
use crate::kernels::{Arrival, Centre, Extent, Gate, Machine};

/// The extent of a value in blocks.
pub(super) fn in_blocks(shape: &[i64]) -> ort::Result<Extent> {
    let &[n, c, height, width] = shape else {
        return Err(ort::Error::new("a value in blocks has four axes"));
    };
    Ok(Extent {
        images: extent(n)?,
        blocks: extent(c)? / 16,
        rows: extent(height)?,
        columns: extent(width)?,
    })
}

pub(super) fn affine(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(Affine {
        epsilon: attributes.float(attribute::EPSILON)?,
    }))
}

struct Affine {
    epsilon: f32,
}

impl Compute for Affine {
    fn compute(
        &self,
        _: &mut Machine<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let ([scale, bias, mean, variance], [affine]) = (operands, results) else {
            return Err(too_few());
        };
        let statistics = Statistics {
            scale: scale.data,
            mean: mean.data,
            variance: variance.data,
            epsilon: self.epsilon,
        };
        norm::affine(&statistics, bias.data, affine);
        Ok(())
    }
}

pub(super) fn normalize(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(Normalize {
        is_rectified: attributes.truth(attribute::RECTIFIED)?,
    }))
}

/// How many operands there are says what the shortcut is.
struct Normalize {
    is_rectified: bool,
}

impl Compute for Normalize {
    fn compute(
        &self,
        machine: &mut Machine<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let ([x, affine, rest @ ..], [y]) = (operands, results) else {
            return Err(too_few());
        };
        let shortcut = match rest {
            [] => Shortcut::None,
            [addend] => Shortcut::Raw(addend.data),
            [addend, affine, ..] => Shortcut::Affine(addend.data, affine.data),
        };
        let normalization = Normalization {
            x: x.data,
            affine: affine.data,
            shortcut,
            is_rectified: self.is_rectified,
        };
        norm::normalize(machine, in_blocks(x.shape)?, &normalization, y);
        Ok(())
    }
}

/// Which operands an arrival has.
#[derive(Clone, Copy)]
pub(super) struct ArrivalKind {
    has_addend: bool,
    gate: GateKind,
    has_centre: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum GateKind {
    Open,
    Result,
    Affine,
}

pub(super) fn arrival_kind(attributes: &Attributes<'_, '_>) -> ort::Result<ArrivalKind> {
    Ok(ArrivalKind {
        has_addend: attributes.truth(attribute::ADDEND)?,
        gate: match &*attributes.word(attribute::GATE)? {
            attribute::NONE => GateKind::Open,
            attribute::RESULT => GateKind::Result,
            attribute::AFFINE => GateKind::Affine,
            word => return Err(unknown(attribute::GATE, word)),
        },
        has_centre: attributes.truth(attribute::CENTRE)?,
    })
}

impl ArrivalKind {
    /// The arrival that the operands are.
    pub(super) fn split<'a>(self, operands: &[Operand<'a>]) -> ort::Result<Arrival<'a>> {
        let mut operands = operands.iter().map(|operand| operand.data);
        let mut next = || operands.next().ok_or_else(too_few);
        Ok(Arrival {
            addend: self.has_addend.then(&mut next).transpose()?,
            gate: match self.gate {
                GateKind::Open => Gate::Open,
                GateKind::Result => Gate::Result(next()?),
                GateKind::Affine => Gate::Affine(next()?),
            },
            centre: match self.has_centre {
                true => Some(Centre {
                    x: next()?,
                    mean: next()?,
                }),
                false => None,
            },
        })
    }
}

type Sums<'o, 'r> = (Option<&'o mut &'r mut [f32]>, Option<&'o mut &'r mut [f32]>);

/// An arrival's sums and gradient among the results.
pub(super) fn split_sums<'o, 'r>(
    kind: ArrivalKind,
    results: &'o mut [&'r mut [f32]],
) -> ort::Result<Sums<'o, 'r>> {
    match (kind.has_centre, results) {
        (true, [sums]) => Ok((Some(sums), None)),
        (true, [sums, g]) => Ok((Some(sums), Some(g))),
        (false, [g]) => Ok((None, Some(g))),
        _ => Err(too_few()),
    }
}

pub(super) fn arrive(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(Arrive(arrival_kind(attributes)?)))
}

struct Arrive(ArrivalKind);

impl Compute for Arrive {
    fn compute(
        &self,
        machine: &mut Machine<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let [dy, rest @ ..] = operands else {
            return Err(too_few());
        };
        let (sums, g) = split_sums(self.0, results)?;
        let arrival = self.0.split(rest)?;
        let g = g.map(|g| &mut **g);
        let totals = norm::arrive(machine, in_blocks(dy.shape)?, dy.data, arrival, g);
        if let Some(sums) = sums {
            norm::write_sums(&totals, sums);
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
        machine: &mut Machine<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let ([g, x, sums, scale, mean, variance], [to_scale, to_bias, rest @ ..]) = (operands, results)
        else {
            return Err(too_few());
        };
        let statistics = Statistics {
            scale: scale.data,
            mean: mean.data,
            variance: variance.data,
            epsilon: self.epsilon,
        };
        norm::parameter_gradients(&statistics, sums.data, [to_scale, to_bias]);
        if let [dx] = rest {
            let extent = in_blocks(x.shape)?;
            norm::gradient(machine, extent, (&statistics, sums.data), [g.data, x.data], dx);
        }
        Ok(())
    }
}
