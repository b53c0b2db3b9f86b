//! Weight transform: `G g Gᵀ`, packed in the order in which the matrix multiplications read it.

use std::marker::PhantomData;

use super::tile_size::TileSize;
use crate::kernels::instructions::{InstructionSet, Kernel};
use crate::kernels::pool::Pool;
use crate::kernels::unsafe_slice::UnsafeSlice;
use crate::kernels::vector::{LANES, Vector, load_first};

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

/// A weight as the graph has it.
#[derive(Clone, Copy)]
pub(super) struct Weight<'a> {
    pub(super) w: &'a [f32],
    pub(super) order: WeightOrder,
    /// Blocks of channels summed over.
    pub(super) summed: usize,
    /// Blocks of channels of the result.
    pub(super) results: usize,
}

impl Weight<'_> {
    /// Transforms the kernels between a block summed over and a block of the result: in each place, `place` floats apart, sixteen vectors over
    /// the result's channels, one for each channel summed over.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and the weight has these blocks. There is room for the vectors at `to` in each place, and no
    /// other task uses it.
    #[inline(always)]
    pub(super) unsafe fn transform<T: TileSize, V: Vector>(
        &self,
        [summed, result]: [usize; 2],
        to: *mut f32,
        place: usize,
    ) {
        // SAFETY: the caller guarantees the instruction set, the blocks and the room at `to`. Loads read arrays of sixteen floats.
        unsafe {
            let kernels = self.gather::<V>([summed, result]);
            for (channel, kernel) in kernels.chunks_exact(TAPS).enumerate() {
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
                        row[j].store(to.add((T::INPUTS * i + j) * place + channel * LANES));
                    }
                }
            }
        }
    }

    /// Gathers sixteen by sixteen kernels as `[summed channel][tap][result channel]`.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and the weight has these blocks.
    #[inline(always)]
    unsafe fn gather<V: Vector>(&self, [summed, result]: [usize; 2]) -> [[f32; LANES]; LANES * TAPS] {
        let mut kernels = [[0.0; LANES]; LANES * TAPS];
        let (inner, outer, inner_channels) = match self.order {
            WeightOrder::Forward => (summed, result, self.summed * LANES),
            WeightOrder::Backward => (result, summed, self.results * LANES),
        };
        // The kernels of an outer channel with sixteen inner ones are contiguous.
        let rows: [&[f32]; LANES] = std::array::from_fn(|k| {
            let from = ((outer * LANES + k) * inner_channels + inner * LANES) * TAPS;
            &self.w[from..from + LANES * TAPS]
        });
        // SAFETY: the caller guarantees the instruction set. Sixteen floats of a row are left at each multiple of sixteen, and at the kernels of
        // all channels but the last, which `load_first` reads; stores write arrays of sixteen floats.
        unsafe {
            match self.order {
                WeightOrder::Forward => {
                    for (j, to) in kernels.chunks_exact_mut(LANES).enumerate() {
                        let mut lines = [V::splat(0.0); LANES];
                        for (line, row) in lines.iter_mut().zip(rows) {
                            *line = V::load(row.as_ptr().add(j * LANES));
                        }
                        for (line, to) in V::transpose(lines).into_iter().zip(to) {
                            line.store(to.as_mut_ptr());
                        }
                    }
                }
                WeightOrder::Backward => {
                    for (row, to) in rows.into_iter().zip(kernels.chunks_exact_mut(TAPS)) {
                        let mut lines = [V::splat(0.0); LANES];
                        for (c, line) in lines.iter_mut().take(LANES - 1).enumerate() {
                            *line = V::load(row.as_ptr().add(c * TAPS));
                        }
                        lines[LANES - 1] = load_first(row, (LANES - 1) * TAPS);
                        for (line, to) in V::transpose(lines).into_iter().zip(to.iter_mut().rev()) {
                            line.store(to.as_mut_ptr());
                        }
                    }
                }
            }
        }
        kernels
    }
}

/// Transformed weights: `[place][result block][summed channel][16]`.
pub(super) struct Packed<'a, T> {
    pub(super) size: PhantomData<T>,
    pub(super) weight: Weight<'a>,
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
        set.run(pool, self.weight.results * self.weight.summed, self);
    }
}

impl<T: TileSize> Kernel for Packed<'_, T> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let Weight { summed, results, .. } = self.weight;
        // In the order in which the weight lies in memory.
        let [block, result] = match self.weight.order {
            WeightOrder::Forward => [number % summed, number / summed],
            WeightOrder::Backward => [number / results, number % results],
        };
        // SAFETY: the caller guarantees the instruction set and a valid pair of blocks. What is written lies within each place, and this task
        // alone writes these channels of its pair.
        unsafe {
            let to = self.to.at((result * summed + block) * LANES * LANES);
            self.weight
                .transform::<T, V>([block, result], to, place(summed, results));
        }
    }
}
