//! Weights packed in the order in which the inner loop reads them.

use crate::kernels::instructions::{InstructionSet, Kernel};
use crate::kernels::pool::Pool;
use crate::kernels::unsafe_slice::UnsafeSlice;
use crate::kernels::vector::{LANES, Vector};

/// Packs selected taps of a weight `[K, C, taps]` as `[output block][summed block][tap][summed channel][16]`, and of a depthwise weight
/// `[C, 1, taps]` as `[block][tap][16]`.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    pub(super) w: &'a [f32],
    /// K/16 and C/16.
    pub(super) blocks: [usize; 2],
    /// Whether the sum is over K (input gradient) instead of C.
    pub(super) is_backward: bool,
    pub(super) is_depthwise: bool,
    /// Taps of the kernel.
    pub(super) all: usize,
    /// The selected taps, in this order.
    pub(super) taps: &'a [usize],
    pub(super) to: UnsafeSlice<'a>,
}

impl Packed<'_> {
    /// Packs the weight.
    pub(super) fn fill(&self, set: InstructionSet, pool: &dyn Pool) {
        if self.is_depthwise {
            set.run(pool, self.blocks[0], &Depthwise(self));
        } else {
            set.run(pool, self.blocks[0] * self.blocks[1], self);
        }
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
        if let [chosen] = *self.taps {
            // 1×1 kernels, mostly: without the loop over taps.
            let row = self.blocks[1] * LANES * self.all;
            let w = &self.w[outer * LANES * row..][..LANES * row];
            for k in 0..LANES {
                let kernels = &w[k * row + inner * LANES * self.all..][..LANES * self.all];
                for c in 0..LANES {
                    let [summed, lane] = if self.is_backward { [k, c] } else { [c, k] };
                    to[summed * LANES + lane] = kernels[c * self.all + chosen];
                }
            }
            return;
        }
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

struct Depthwise<'a>(&'a Packed<'a>);

impl Kernel for Depthwise<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let &Packed { w, all, taps, to, .. } = self.0;
        let length = taps.len() * LANES;
        // SAFETY: there is a task, and room for `length` floats, for each block, and this task alone uses those of its block.
        let to = unsafe { std::slice::from_raw_parts_mut(to.at(number * length), length) };
        let kernels = w[number * LANES * all..][..LANES * all].chunks_exact(all);
        for (lane, kernel) in kernels.enumerate() {
            for (tap, &chosen) in taps.iter().enumerate() {
                to[tap * LANES + lane] = kernel[chosen];
            }
        }
    }
}
