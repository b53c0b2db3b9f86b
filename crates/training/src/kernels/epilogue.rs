//! Epilogues: operations fused into the stores of a kernel, applied while results are in registers.

use super::Extent;
use super::destination::Destination;
use super::partial_sums::{PartialSumTable, PartialSums};
use super::prologue::{ScaleShift, ScaleShiftRelu};
use super::vector::{LANES, Vector};

/// Receives results vector by vector, and accumulates two sums per channel.
pub(super) trait Epilogue: Copy + Sync {
    /// Registers of one block of channels: where results go, operands and partial sums.
    type Block<V: Vector>;

    /// Loads the registers of a block.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and the result has a block of this number.
    unsafe fn block<V: Vector>(&self, block: usize) -> Self::Block<V>;

    /// Processes the vector at `offset` of the result, and adds to the block's partial sums.
    ///
    /// # Safety
    /// The result has a vector at `offset`, a multiple of sixteen, which is written once and not read before all tasks have ended.
    unsafe fn put<V: Vector>(&self, block: &mut Self::Block<V>, offset: usize, value: V);

    /// Floats for the partial sums of `rows` tasks of `blocks` blocks each.
    fn sums(rows: usize, blocks: usize) -> usize {
        PartialSumTable::length(rows, blocks)
    }

    /// The partial sums of the block.
    fn partial_sums<V: Vector>(block: Self::Block<V>) -> PartialSums<V>;
}

/// Stores results; the partial sums are the sum and the sum of squares, for batch statistics.
///
/// Both are sums of differences from the channel's first value (shifted data): sums of squares of values whose mean is far larger than their
/// deviation would lose the variance to cancellation in single precision.
#[derive(Clone, Copy)]
pub(super) struct StatsWriter<'a> {
    pub(super) y: Destination<'a>,
}

/// Sums of a block, and the shift of its values.
#[derive(Clone, Copy)]
pub(super) struct ShiftedSums<'a, V> {
    y: Destination<'a>,
    shift: V,
    sums: [V; 2],
    count: usize,
}

impl<'a> Epilogue for StatsWriter<'a> {
    type Block<V: Vector> = ShiftedSums<'a, V>;

    #[inline(always)]
    unsafe fn block<V: Vector>(&self, _: usize) -> ShiftedSums<'a, V> {
        // SAFETY: the caller guarantees the instruction set of `V`.
        let zero = unsafe { V::splat(0.0) };
        ShiftedSums {
            y: self.y,
            shift: zero,
            sums: [zero; 2],
            count: 0,
        }
    }

    #[inline(always)]
    unsafe fn put<V: Vector>(&self, block: &mut ShiftedSums<'a, V>, offset: usize, value: V) {
        // SAFETY: the caller guarantees what `Destination::put` requires.
        unsafe { block.y.put(offset, value) };
        if block.count == 0 {
            block.shift = value;
        }
        block.count += 1;
        let differs = value.sub(block.shift);
        block.sums[0] = block.sums[0].add(differs);
        block.sums[1] = differs.mul_add(differs, block.sums[1]);
    }

    #[inline(always)]
    fn partial_sums<V: Vector>(block: ShiftedSums<'a, V>) -> PartialSums<V> {
        PartialSums {
            sums: block.sums,
            shift: Some((block.shift, block.count)),
        }
    }
}

/// Stores results; there are no sums.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) y: Destination<'a>,
}

impl<'a> Epilogue for Writer<'a> {
    type Block<V: Vector> = (Destination<'a>, V);

    #[inline(always)]
    unsafe fn block<V: Vector>(&self, _: usize) -> (Destination<'a>, V) {
        // SAFETY: the caller guarantees the instruction set of `V`.
        (self.y, unsafe { V::splat(0.0) })
    }

    #[inline(always)]
    unsafe fn put<V: Vector>(&self, (y, _): &mut (Destination<'a>, V), offset: usize, value: V) {
        // SAFETY: the caller guarantees what `Destination::put` requires.
        unsafe { y.put(offset, value) };
    }

    fn sums(_: usize, _: usize) -> usize {
        0
    }

    #[inline(always)]
    fn partial_sums<V: Vector>((_, zero): (Destination<'a>, V)) -> PartialSums<V> {
        PartialSums {
            sums: [zero; 2],
            shift: None,
        }
    }
}

/// Mask of a ReLU's gradient.
#[derive(Clone, Copy, Debug)]
pub enum ReluMask<'a> {
    /// No ReLU.
    None,
    /// One where the ReLU's output is between zero and its upper bound.
    Output(&'a [f32], f32),
    /// One where `scale · x + shift` is between zero and the upper bound, with x of [`BatchMean`].
    ScaleShift(ScaleShiftRelu<'a>),
}

/// Input of a batch norm and its mean per channel.
#[derive(Clone, Copy, Debug)]
pub struct BatchMean<'a> {
    /// Input of the batch norm.
    pub x: &'a [f32],
    /// Batch mean, `[C]`.
    pub mean: &'a [f32],
}

/// Operands of a gradient epilogue: `g = (value + addend) · mask`; the partial sums are `Σ g` and `Σ g·(x − mean)`.
#[derive(Clone, Copy, Debug)]
pub struct GradEpilogue<'a> {
    /// Gradient accumulated from other consumers.
    pub addend: Option<&'a [f32]>,
    /// Mask of the ReLU.
    pub mask: ReluMask<'a>,
    /// Operands of the sums, if a batch norm precedes the ReLU.
    pub batch_mean: Option<BatchMean<'a>>,
}

impl GradEpilogue<'_> {
    /// Asserts that all operands have the extent.
    pub(super) fn check(&self, extent: Extent) {
        let (elements, channels) = (extent.elements(), extent.channels());
        assert!(self.addend.is_none_or(|addend| addend.len() == elements));
        match self.mask {
            ReluMask::None => {}
            ReluMask::Output(y, _) => assert_eq!(y.len(), elements),
            ReluMask::ScaleShift(relu) => {
                assert!(relu.scale_shift.len() == 2 * channels && self.batch_mean.is_some());
            }
        }
        if let Some(BatchMean { x, mean }) = self.batch_mean {
            assert!(x.len() == elements && mean.len() == channels);
        }
    }
}

/// A [`GradEpilogue`] with its destination.
#[derive(Clone, Copy)]
pub(super) struct GradWriter<'a> {
    pub(super) grad_epilogue: GradEpilogue<'a>,
    /// `None` if only the sums are needed.
    pub(super) g: Option<Destination<'a>>,
}

/// Scale, shift, upper bound and mean of a block, and its sums.
#[derive(Clone, Copy)]
pub(super) struct ChannelRegisters<'a, V> {
    g: Option<Destination<'a>>,
    scale_shift: ScaleShift<V>,
    high: V,
    mean: V,
    sums: [V; 2],
}

impl<'a> Epilogue for GradWriter<'a> {
    type Block<V: Vector> = ChannelRegisters<'a, V>;

    #[inline(always)]
    unsafe fn block<V: Vector>(&self, block: usize) -> ChannelRegisters<'a, V> {
        // SAFETY: the caller guarantees the instruction set and that the block exists; `GradEpilogue::check` found scale, shift and mean to have all
        // channels of the result, and `zero` has one block of them.
        unsafe {
            let zero = [0.0; 2 * LANES];
            let (scale_shift, high) = match self.grad_epilogue.mask {
                ReluMask::ScaleShift(relu) => (ScaleShift::of(relu.scale_shift, block), relu.high),
                ReluMask::Output(_, high) => (ScaleShift::of(&zero, 0), high),
                ReluMask::None => (ScaleShift::of(&zero, 0), 0.0),
            };
            let mean = match self.grad_epilogue.batch_mean {
                Some(batch_mean) => V::load(batch_mean.mean.as_ptr().add(block * LANES)),
                None => V::splat(0.0),
            };
            let sums = [V::splat(0.0); 2];
            ChannelRegisters {
                g: self.g,
                scale_shift,
                high: V::splat(high),
                mean,
                sums,
            }
        }
    }

    #[inline(always)]
    unsafe fn put<V: Vector>(&self, channels: &mut ChannelRegisters<'a, V>, offset: usize, value: V) {
        // SAFETY: the caller guarantees that the result has a vector at `offset`, and that no other task uses it; `GradEpilogue::check`
        // found the operands to be as long as the result, so that each has a vector at `offset`, too.
        unsafe {
            let at = |operand: &[f32]| V::load(operand.as_ptr().add(offset));
            let mut g = value;
            if let Some(addend) = self.grad_epilogue.addend {
                g = g.add(at(addend));
            }
            let x = self.grad_epilogue.batch_mean.map(|batch_mean| at(batch_mean.x));
            match (self.grad_epilogue.mask, x) {
                (ReluMask::Output(y, _), _) => g = g.mask_between(at(y), channels.high),
                (ReluMask::ScaleShift(_), Some(x)) => {
                    g = g.mask_between(channels.scale_shift.apply(x), channels.high);
                }
                (ReluMask::ScaleShift(_), None) | (ReluMask::None, _) => {}
            }
            if let Some(to) = channels.g {
                to.put(offset, g);
            }
            if let Some(x) = x {
                let [sum, product] = &mut channels.sums;
                *sum = sum.add(g);
                *product = g.mul_add(x.sub(channels.mean), *product);
            }
        }
    }

    #[inline(always)]
    fn partial_sums<V: Vector>(channels: ChannelRegisters<'a, V>) -> PartialSums<V> {
        PartialSums {
            sums: channels.sums,
            shift: None,
        }
    }
}
