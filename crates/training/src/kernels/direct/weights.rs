//! Weights in the order that the inner loop reads them in.

use crate::kernels::instructions::{InstructionSet, Kernel};
use crate::kernels::pool::Pool;
use crate::kernels::unsafe_slice::UnsafeSlice;
use crate::kernels::vector::{LANES, Vector};

/// A weight `[K, C, taps]`, repacked as `[result block][summed block][tap][summed channel][16]`, with taps of choice.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    pub(super) w: &'a [f32],
    /// K/16 and C/16.
    pub(super) blocks: [usize; 2],
    /// Whether it is summed over K, backward, and not over C.
    pub(super) is_backward: bool,
    /// Elements of a kernel.
    pub(super) all: usize,
    /// Those that are taken, in this order.
    pub(super) taps: &'a [usize],
    pub(super) to: UnsafeSlice<'a>,
}

impl Packed<'_> {
    /// Fills everything.
    pub(super) fn fill(&self, set: InstructionSet, pool: &dyn Pool) {
        set.run(pool, self.blocks[0] * self.blocks[1], self);
    }
}

impl Kernel for Packed<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let [outer, inner] = [number / self.blocks[1], number % self.blocks[1]];
        let place = if self.is_backward {
            inner * self.blocks[0] + outer
        } else {
            number
        };
        let length = self.taps.len() * LANES * LANES;
        // SAFETY: there is a task, and room for `length` floats, for each pair of blocks, and this task alone uses those of its pair.
        let to = unsafe { std::slice::from_raw_parts_mut(self.to.at(place * length), length) };
        for k in 0..LANES {
            let from = ((outer * LANES + k) * self.blocks[1] + inner) * LANES * self.all;
            let row = &self.w[from..from + LANES * self.all];
            for (c, kernel) in row.chunks_exact(self.all).enumerate() {
                let [summed, lane] = if self.is_backward { [k, c] } else { [c, k] };
                for (tap, &chosen) in self.taps.iter().enumerate() {
                    to[(tap * LANES + summed) * LANES + lane] = kernel[chosen];
                }
            }
        }
    }
}
