//! Operands of a node.

use crate::graph::fused::{GradEpilogue as Epilogue, ReluMask as Mask};
use crate::kernels::{BatchMean, Extent, GradEpilogue, ReluMask, ScaleShiftRelu};

/// A float operand of a node.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    pub(super) shape: &'a [i64],
    /// Empty if the operator updates it in place.
    pub(super) data: &'a [f32],
}

impl<'a> Operand<'a> {
    /// The extents of an operand of four axes.
    pub(super) fn extents(&self) -> ort::Result<[usize; 4]> {
        let extents = self.shape.iter().map(|&extent| usize::try_from(extent).ok());
        let extents: Option<Vec<usize>> = extents.collect();
        let extents = extents.and_then(|extents| extents.try_into().ok());
        extents.ok_or_else(|| ort::Error::new("an operand has other than four axes"))
    }

    /// The extent of an operand in NCHWc layout.
    pub(super) fn blocked_extent(&self) -> ort::Result<Extent> {
        let [images, channels, rows, columns] = self.extents()?;
        Ok(Extent {
            images,
            blocks: channels / 16,
            rows,
            columns,
        })
    }
}

pub(super) fn wrong_arity() -> ort::Error {
    ort::Error::new("wrong number of inputs or outputs")
}

/// The operands of an epilogue.
pub(super) fn grad_epilogue<'a>(
    epilogue: Epilogue,
    operands: &[Operand<'a>],
) -> ort::Result<GradEpilogue<'a>> {
    let mut operands = operands.iter().map(|operand| operand.data);
    let mut next = || operands.next().ok_or_else(wrong_arity);
    Ok(GradEpilogue {
        addend: epilogue.has_addend.then(&mut next).transpose()?,
        mask: match epilogue.mask {
            Mask::None => ReluMask::None,
            Mask::Output(relu) => ReluMask::Output(next()?, relu.high),
            Mask::ScaleShift(relu) => ReluMask::ScaleShift(ScaleShiftRelu {
                scale_shift: next()?,
                high: relu.high,
            }),
        },
        batch_mean: match epilogue.has_batch_mean {
            true => Some(BatchMean {
                x: next()?,
                mean: next()?,
            }),
            false => None,
        },
    })
}

type Sums<'o, 'r> = (Option<&'o mut &'r mut [f32]>, Option<&'o mut &'r mut [f32]>);

/// Splits the outputs of a node with an epilogue into sums and gradient.
pub(super) fn split_sums<'o, 'r>(
    epilogue: Epilogue,
    results: &'o mut [&'r mut [f32]],
) -> ort::Result<Sums<'o, 'r>> {
    match (epilogue.has_batch_mean, results) {
        (true, [sums]) => Ok((Some(sums), None)),
        (true, [sums, g]) => Ok((Some(sums), Some(g))),
        (false, [g]) => Ok((None, Some(g))),
        _ => Err(wrong_arity()),
    }
}
