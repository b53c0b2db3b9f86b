//! Prologues: operations fused into the loads of a kernel.

use super::vector::{LANES, Vector};

/// Loads activations vector by vector.
pub(super) trait Prologue: Copy + Sync {
    /// Registers of one block of channels.
    type Block<V: Vector>: Copy;

    /// Loads the registers of a block.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and the activations have a block of this number.
    unsafe fn block<V: Vector>(&self, block: usize) -> Self::Block<V>;

    /// Loads and transforms the vector at `from`.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`; sixteen floats can be read at `from`, and no other task writes them at the same time.
    unsafe fn get<V: Vector>(block: &Self::Block<V>, from: *const f32) -> V;
}

/// Plain loads.
#[derive(Clone, Copy)]
pub(super) struct Identity;

impl Prologue for Identity {
    type Block<V: Vector> = ();

    #[inline(always)]
    unsafe fn block<V: Vector>(&self, _: usize) {}

    #[inline(always)]
    unsafe fn get<V: Vector>((): &(), from: *const f32) -> V {
        // SAFETY: the caller guarantees the instruction set and sixteen floats at `from`.
        unsafe { V::load(from) }
    }
}

/// `min(max(scale · x + shift, 0), high)` per channel: batch norm and ReLU on load, so that their output is not stored.
#[derive(Clone, Copy, Debug)]
pub struct ScaleShiftRelu<'a> {
    /// `[2, C]`: scale, then shift.
    pub scale_shift: &'a [f32],
    /// Upper bound: ∞ for ReLU, 6 for ReLU6.
    pub high: f32,
}

/// Scale and shift of one block.
#[derive(Clone, Copy)]
pub(super) struct ScaleShift<V> {
    scale: V,
    shift: V,
}

impl<V: Vector> ScaleShift<V> {
    /// Loads those of a block, from `[2, C]`.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and `block` is below C/16.
    #[inline(always)]
    pub(super) unsafe fn of(scale_shift: &[f32], block: usize) -> Self {
        let shift = scale_shift.len() / 2;
        debug_assert!((block + 1) * LANES <= shift);
        // SAFETY: the caller guarantees the instruction set, and a block below C/16: there are sixteen scales at its offset, and sixteen shifts
        // C floats after them.
        unsafe {
            let scale = scale_shift.as_ptr().add(block * LANES);
            Self {
                scale: V::load(scale),
                shift: V::load(scale.add(shift)),
            }
        }
    }

    /// `scale · x + shift`, bit-identical whenever it is recomputed.
    #[inline(always)]
    pub(super) fn apply(&self, x: V) -> V {
        x.mul_add(self.scale, self.shift)
    }
}

impl Prologue for ScaleShiftRelu<'_> {
    type Block<V: Vector> = (ScaleShift<V>, [V; 2]);

    #[inline(always)]
    unsafe fn block<V: Vector>(&self, block: usize) -> Self::Block<V> {
        // SAFETY: the caller guarantees the instruction set and that the block exists; the kernel's entry point checked that `scale_shift` has a scale
        // and a shift for each channel.
        unsafe {
            let bounds = [V::splat(0.0), V::splat(self.high)];
            (ScaleShift::of(self.scale_shift, block), bounds)
        }
    }

    #[inline(always)]
    unsafe fn get<V: Vector>((scale_shift, [low, high]): &Self::Block<V>, from: *const f32) -> V {
        // SAFETY: the caller guarantees the instruction set and sixteen floats at `from`.
        let x = unsafe { V::load(from) };
        high.min(low.max(scale_shift.apply(x)))
    }
}
