//! Weight transform: `G g Gᵀ`, packed in the order in which the matrix multiplications read it.

use std::marker::PhantomData;

use super::tile_size::TileSize;
use crate::kernels::instructions::{InstructionSet, Kernel};
use crate::kernels::pool::Pool;
use crate::kernels::unsafe_slice::UnsafeSlice;
use crate::kernels::vector::{LANES, Vector};

/// Elements of a kernel.
const TAPS: usize = 9;

/// The channel axis of a weight `[K, C, 3, 3]` that is summed over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::kernels) enum WeightOrder {
    /// C, for the forward pass.
    Forward,
    /// K, with the kernel rotated by 180°, for the input gradient.
    Backward,
}

/// Transformed weights: `[place][result block][summed channel][16]`.
pub(super) struct Packed<'a, T> {
    pub(super) size: PhantomData<T>,
    pub(super) w: &'a [f32],
    pub(super) order: WeightOrder,
    /// Blocks of channels summed over.
    pub(super) summed: usize,
    /// Blocks of channels of the result.
    pub(super) results: usize,
    pub(super) to: UnsafeSlice<'a>,
}

/// Stride between places, in floats: with one line of padding, so that the places do not map to the same cache sets.
pub(super) fn place(summed: usize, results: usize) -> usize {
    (summed * results * LANES + 1) * LANES
}

/// Number of floats of the transformed weights.
pub(super) fn length<T: TileSize>(summed: usize, results: usize) -> usize {
    T::PLACES * place(summed, results)
}

impl<T: TileSize> Packed<'_, T> {
    /// Transforms and packs the weight.
    pub(super) fn fill(&self, set: InstructionSet, pool: &dyn Pool) {
        set.run(pool, self.results * self.summed, self);
    }

    /// Gathers sixteen by sixteen kernels as `[summed channel][tap][result channel]`.
    fn gather(&self, summed: usize, result: usize) -> [[[f32; LANES]; TAPS]; LANES] {
        let mut kernels = [[[0.0; LANES]; TAPS]; LANES];
        let (inner, outer) = match self.order {
            WeightOrder::Forward => (summed, result),
            WeightOrder::Backward => (result, summed),
        };
        let inner_channels = LANES
            * match self.order {
                WeightOrder::Forward => self.summed,
                WeightOrder::Backward => self.results,
            };
        for k in 0..LANES {
            let from = ((outer * LANES + k) * inner_channels + inner * LANES) * TAPS;
            let row = &self.w[from..from + LANES * TAPS];
            for (c, kernel) in row.chunks_exact(TAPS).enumerate() {
                for (tap, &weight) in kernel.iter().enumerate() {
                    match self.order {
                        WeightOrder::Forward => kernels[c][tap][k] = weight,
                        WeightOrder::Backward => kernels[k][TAPS - 1 - tap][c] = weight,
                    }
                }
            }
        }
        kernels
    }
}

impl<T: TileSize> Kernel for Packed<'_, T> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let (result, summed) = (number / self.summed, number % self.summed);
        let kernels = self.gather(summed, result);
        let place = place(self.summed, self.results);
        for (channel, kernel) in kernels.iter().enumerate() {
            let to = ((result * self.summed + summed) * LANES + channel) * LANES;
            // SAFETY: the caller guarantees the instruction set and a valid pair of blocks. Loads read arrays of sixteen floats; what
            // is written lies within each place, and this task alone writes these channels of its pair.
            unsafe {
                let mut columns = [[V::splat(0.0); 6]; 3];
                for j in 0..3 {
                    columns[j] = T::weight([
                        V::load(kernel[j].as_ptr()),
                        V::load(kernel[3 + j].as_ptr()),
                        V::load(kernel[6 + j].as_ptr()),
                    ]);
                }
                for i in 0..T::INPUTS {
                    let row = T::weight([columns[0][i], columns[1][i], columns[2][i]]);
                    for j in 0..T::INPUTS {
                        row[j].store(self.to.at((T::INPUTS * i + j) * place + to));
                    }
                }
            }
        }
    }
}
