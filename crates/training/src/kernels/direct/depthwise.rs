//! Depthwise convolution, and its input gradient.

use super::convolve::TiledConv;
use super::planes::Planes;
use super::signed;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::instructions::{InstructionSet, Kernel};
use crate::kernels::partial_sums::PartialSumTable;
use crate::kernels::pool::Pool;
use crate::kernels::prologue::Prologue;
use crate::kernels::scratch;
use crate::kernels::vector::{LANES, Vector};

/// Output rows per band for an output with that many columns.
pub(super) fn rows_of_band<P: Planes>(columns: usize) -> usize {
    (P::PIXELS / columns).max(1)
}

/// Computes a depthwise convolution of `planes`, whose images have `bands` bands each.
pub(super) fn run<P: Planes, S: Prologue, K: Epilogue>(
    set: InstructionSet,
    pool: &dyn Pool,
    (conv, planes): (&TiledConv<'_, S, K>, P),
    (bands, partial_sums): (usize, PartialSumTable<'_>),
) {
    let work = Work {
        conv,
        planes,
        bands,
        partial_sums,
    };
    set.run(pool, conv.output.images * conv.output.blocks, &work);
}

struct Work<'a, P, S, K> {
    conv: &'a TiledConv<'a, S, K>,
    planes: P,
    bands: usize,
    partial_sums: PartialSumTable<'a>,
}

impl<P: Planes, S: Prologue, K: Epilogue> Kernel for Work<'_, P, S, K> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let conv = self.conv;
        let (image, block) = (number / conv.output.blocks, number % conv.output.blocks);
        let mut band = conv.band;
        let mut scratch = scratch::acquire();
        let length = band.pixels() * LANES;
        let scratch = scratch.slice(length + self.planes.memory(band));
        let (copied, memory) = scratch.split_at_mut(length);
        let (copied, memory) = (copied.as_mut_ptr(), memory.as_mut_ptr());
        let mut held = [0; 2];
        let result = number * conv.output.plane();
        let line = conv.output.columns * LANES;
        for number in 0..self.bands {
            let first_row = number * conv.rows;
            band.start[0] = signed(first_row * conv.row_step) - conv.before;
            // SAFETY: the caller guarantees the instruction set and the number of a plane. The input has as many planes as the output; `memory` is as
            // large as they need, and starts and ends of bands increase; `copied` has room for the band. Taps are offsets in the band, rows of a phase move within it, and weights has those of
            // all phases and blocks. The epilogue gets pixels of this task's plane only, and the partial sums of its image and block are its own.
            unsafe {
                let registers = conv.prologue.block::<V>(block);
                let (from, placed) = self.planes.rows::<V>(band, [image, block], memory, &mut held);
                placed.fill::<V, S>(&registers, from, copied);
                let mut registers = conv.epilogue.block::<V>(block);
                for phase in &conv.phases {
                    let weights = phase.weights + block * phase.taps.len() * LANES;
                    let last_row = (first_row + conv.rows).min(phase.pixels[0]);
                    for row in first_row..last_row {
                        let start =
                            (phase.start[0] + row * conv.output_step[0]) * line + phase.start[1] * LANES;
                        let row = Row {
                            band: copied.add((row - first_row) * conv.row_step * band.row() * LANES),
                            taps: &phase.taps,
                            weights: conv.weights.as_ptr().add(weights),
                            count: phase.pixels[1],
                            to: result + start,
                            step: conv.output_step[1] * LANES,
                        };
                        row.compute::<V, K>(&conv.epilogue, &mut registers);
                    }
                }
                let row = image * self.bands + number;
                self.partial_sums.put(row, block, K::partial_sums::<V>(registers));
            }
        }
    }
}

/// An output row of one block, and its operands.
struct Row<'a> {
    /// Band position of the first pixel.
    band: *const f32,
    /// Offset of each tap in the band, in floats.
    taps: &'a [usize],
    /// `[tap][16]`.
    weights: *const f32,
    /// Number of pixels.
    count: usize,
    /// Offset of the first pixel in the result.
    to: usize,
    /// Stride between pixels, in floats, of the result.
    step: usize,
}

impl Row<'_> {
    /// # Safety
    /// The CPU supports the instruction set of `V`. `count` vectors can be read from every tap of the band on, and a vector of weights for each tap.
    /// The registers are those of the epilogue for this block, and the result has `count` vectors from `to` on, `step` floats apart, that no other
    /// task uses.
    #[inline(always)]
    unsafe fn compute<V: Vector, K: Epilogue>(&self, epilogue: &K, registers: &mut K::Block<V>) {
        let mut first = 0;
        while first < self.count {
            // SAFETY: the caller guarantees all that `piece` requires, for the pixels below `count`.
            unsafe {
                first += match self.count - first {
                    14.. if V::IS_WIDE => self.piece::<V, K, 14>(epilogue, registers, first),
                    7.. if V::IS_WIDE => self.piece::<V, K, 7>(epilogue, registers, first),
                    4.. => self.piece::<V, K, 4>(epilogue, registers, first),
                    2.. => self.piece::<V, K, 2>(epilogue, registers, first),
                    _ => self.piece::<V, K, 1>(epilogue, registers, first),
                };
            }
        }
    }

    /// Computes `PIXELS` pixels, and returns their number.
    ///
    /// # Safety
    /// As in [`Row::compute`], and `first + PIXELS` is at most `count`.
    #[inline(always)]
    unsafe fn piece<V: Vector, K: Epilogue, const PIXELS: usize>(
        &self,
        epilogue: &K,
        registers: &mut K::Block<V>,
        first: usize,
    ) -> usize {
        // SAFETY: the caller guarantees the instruction set, and operands and results of pixels below `count`, which `first + PIXELS` does not
        // exceed.
        unsafe {
            let mut sums = [V::splat(0.0); PIXELS];
            for (tap, &offset) in self.taps.iter().enumerate() {
                let weight = V::load(self.weights.add(tap * LANES));
                let window = self.band.add(offset + first * LANES);
                for (pixel, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(window.add(pixel * LANES)).mul_add(weight, *sum);
                }
            }
            for (pixel, sum) in sums.into_iter().enumerate() {
                epilogue.put(registers, self.to + (first + pixel) * self.step, sum);
            }
        }
        PIXELS
    }
}
