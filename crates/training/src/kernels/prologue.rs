//! What a kernel reads activations through.

use super::vector::{LANES, Vector};

/// Turns what stands in memory into what a kernel works on, vector by vector.
pub(super) trait Prologue: Copy + Sync {
    /// What is kept in registers for one block of channels.
    type Block<V: Vector>: Copy;

    /// Prepares for a block.
    ///
    /// # Safety
    /// The machine has the instructions of `V`, and the activations have a block of this number.
    unsafe fn block<V: Vector>(&self, block: usize) -> Self::Block<V>;

    /// The vector at `from`.
    ///
    /// # Safety
    /// The machine has the instructions of `V`; sixteen floats can be read at `from`, and no other task writes them at the same time.
    unsafe fn get<V: Vector>(block: &Self::Block<V>, from: *const f32) -> V;
}

/// As it is.
#[derive(Clone, Copy)]
pub(super) struct Identity;

impl Prologue for Identity {
    type Block<V: Vector> = ();

    #[inline(always)]
    unsafe fn block<V: Vector>(&self, _: usize) {}

    #[inline(always)]
    unsafe fn get<V: Vector>((): &(), from: *const f32) -> V {
        // SAFETY: the caller guarantees the instructions and sixteen floats at `from`.
        unsafe { V::load(from) }
    }
}

/// `max(scale · x + shift, 0)` per channel: batch norm and rectifier on the way in, so that their result need not be kept.
#[derive(Clone, Copy)]
pub(super) struct ScaleShiftRelu<'a> {
    /// `[2, C]`: scale, then shift.
    pub(super) scale_shift: &'a [f32],
}

/// Scale and shift of one block.
#[derive(Clone, Copy)]
pub(super) struct ScaleShift<V> {
    scale: V,
    shift: V,
}

impl<V: Vector> ScaleShift<V> {
    /// Of a block, from `[2, C]`.
    ///
    /// # Safety
    /// The machine has the instructions of `V`, and `block` is below C/16.
    #[inline(always)]
    pub(super) unsafe fn of(scale_shift: &[f32], block: usize) -> Self {
        let shift = scale_shift.len() / 2;
        debug_assert!((block + 1) * LANES <= shift);
        // SAFETY: the caller guarantees the instructions, and a block below C/16: sixteen scales stand at its place, and C floats behind
        // them sixteen shifts.
        unsafe {
            let scale = scale_shift.as_ptr().add(block * LANES);
            Self {
                scale: V::load(scale),
                shift: V::load(scale.add(shift)),
            }
        }
    }

    /// `scale · x + shift`, the same bits wherever it is computed again.
    #[inline(always)]
    pub(super) fn apply(&self, x: V) -> V {
        x.mul_add(self.scale, self.shift)
    }
}

impl Prologue for ScaleShiftRelu<'_> {
    type Block<V: Vector> = (ScaleShift<V>, V);

    #[inline(always)]
    unsafe fn block<V: Vector>(&self, block: usize) -> Self::Block<V> {
        // SAFETY: the caller guarantees the instructions and that the block exists; the kernel's entry point checked that `scale_shift` has a scale
        // and a shift for each channel.
        unsafe { (ScaleShift::of(self.scale_shift, block), V::splat(0.0)) }
    }

    #[inline(always)]
    unsafe fn get<V: Vector>((scale_shift, zero): &Self::Block<V>, from: *const f32) -> V {
        // SAFETY: the caller guarantees the instructions and sixteen floats at `from`.
        zero.max(scale_shift.apply(unsafe { V::load(from) }))
    }
}
