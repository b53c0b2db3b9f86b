//! The inner loop: one output row.

use crate::kernels::partial_sums::PartialSums;
use crate::kernels::vector::{LANES, Vector};

/// An output row of one or two blocks of channels, and its operands.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// Band position of the first pixel.
    pub(super) band: *const f32,
    /// Stride between blocks, in floats, of the band.
    pub(super) band_block: usize,
    /// Blocks of the band.
    pub(super) blocks: usize,
    /// Offset of each tap in the band, in floats.
    pub(super) taps: &'a [usize],
    /// `[output block][block][tap][channel][16]`.
    pub(super) weights: *const f32,
    /// Number of pixels.
    pub(super) count: usize,
    /// The first output pixel.
    pub(super) to: *mut f32,
    /// Stride between pixels, in floats, of the result.
    pub(super) step: usize,
    /// Stride between blocks, in floats, of the result.
    pub(super) plane: usize,
}

/// Output blocks computed at a time.
pub(super) fn height<V: Vector>() -> usize {
    if V::IS_WIDE { 2 } else { 1 }
}

/// Pixels per piece: a row is split into equal pieces that fit into registers.
fn width<V: Vector>(count: usize) -> usize {
    let most = if V::IS_WIDE { 14 } else { 6 };
    let pieces = count.div_ceil(most).max(1);
    count.div_ceil(pieces)
}

impl Row<'_> {
    /// Computes `BLOCKS` output blocks from bands with `INNER` channels per pixel.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`. There are `blocks` bands, `band_block` floats apart, and in each of them `count` pixels of
    /// `INNER` floats can be read from every tap on. `weights` has `BLOCKS` output blocks. `to` has room for `count` vectors, `step` floats apart,
    /// in each of `BLOCKS` blocks, `plane` floats apart, and no other task uses them.
    #[inline(always)]
    pub(super) unsafe fn compute<V: Vector, const BLOCKS: usize, const INNER: usize>(&self) {
        let width = width::<V>(self.count);
        let mut first = 0;
        while first < self.count {
            let width = width.min(self.count - first);
            // SAFETY: the caller guarantees all that `piece` requires, for the pixels below `count`, and `first + width` is at most that.
            unsafe {
                match width {
                    1 => self.piece::<V, 1, BLOCKS, INNER>(first),
                    2 => self.piece::<V, 2, BLOCKS, INNER>(first),
                    3 => self.piece::<V, 3, BLOCKS, INNER>(first),
                    4 => self.piece::<V, 4, BLOCKS, INNER>(first),
                    5 => self.piece::<V, 5, BLOCKS, INNER>(first),
                    6 => self.piece::<V, 6, BLOCKS, INNER>(first),
                    7 if V::IS_WIDE => self.piece::<V, 7, BLOCKS, INNER>(first),
                    8 if V::IS_WIDE => self.piece::<V, 8, BLOCKS, INNER>(first),
                    9 if V::IS_WIDE => self.piece::<V, 9, BLOCKS, INNER>(first),
                    10 if V::IS_WIDE => self.piece::<V, 10, BLOCKS, INNER>(first),
                    11 if V::IS_WIDE => self.piece::<V, 11, BLOCKS, INNER>(first),
                    12 if V::IS_WIDE => self.piece::<V, 12, BLOCKS, INNER>(first),
                    13 if V::IS_WIDE => self.piece::<V, 13, BLOCKS, INNER>(first),
                    14 if V::IS_WIDE => self.piece::<V, 14, BLOCKS, INNER>(first),
                    _ => unreachable!("a piece fits into registers"),
                }
            }
            first += width;
        }
    }

    /// # Safety
    /// As in [`Row::compute`], and `first + PIXELS` is at most `count`.
    #[inline(always)]
    unsafe fn piece<V: Vector, const PIXELS: usize, const BLOCKS: usize, const INNER: usize>(
        &self,
        first: usize,
    ) {
        let weight_block = self.blocks * self.taps.len() * INNER * LANES;
        // SAFETY: the caller guarantees the instruction set, and operands and room for pixels below `count`, which `first + PIXELS` does not
        // exceed. Weights advance by a vector for each block, tap and channel, and so stay within one of `BLOCKS` output blocks.
        unsafe {
            let mut sums = [[V::splat(0.0); PIXELS]; BLOCKS];
            let mut weights = self.weights;
            for block in 0..self.blocks {
                let band = self.band.add(block * self.band_block + first * INNER);
                for &tap in self.taps {
                    let window = band.add(tap);
                    for channel in 0..INNER {
                        let mut weight = [V::splat(0.0); BLOCKS];
                        for (k, weight) in weight.iter_mut().enumerate() {
                            *weight = V::load(weights.add(k * weight_block));
                        }
                        for pixel in 0..PIXELS {
                            let x = V::splat(*window.add(pixel * INNER + channel));
                            for k in 0..BLOCKS {
                                sums[k][pixel] = x.mul_add(weight[k], sums[k][pixel]);
                            }
                        }
                        weights = weights.add(LANES);
                    }
                }
            }
            for (k, sums) in sums.into_iter().enumerate() {
                for (pixel, sum) in sums.into_iter().enumerate() {
                    sum.store(self.to.add(k * self.plane + (first + pixel) * self.step));
                }
            }
        }
    }
}

/// Computed output rows that have not passed the epilogue yet.
#[derive(Clone, Copy)]
pub(super) struct Computed {
    /// `[block][row][column][16]`.
    pub(super) start: *const f32,
    /// Stride between blocks, in floats.
    pub(super) plane: usize,
    /// Vectors per block.
    pub(super) count: usize,
}

impl Computed {
    /// Passes a block's rows to the epilogue, from `offset` on and in memory order; returns the block's partial sums.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`; block `index` was computed, the result has a block of number `block`, and from `offset` on it
    /// has `count` vectors that no other task uses at the same time.
    #[inline(always)]
    pub(super) unsafe fn put<V: Vector, K: crate::kernels::epilogue::Epilogue>(
        &self,
        epilogue: &K,
        [index, block]: [usize; 2],
        offset: usize,
    ) -> PartialSums<V> {
        // SAFETY: the caller guarantees the instruction set, `count` computed vectors of block `index`, and as many of the result from `offset` on
        // that no other task uses.
        unsafe {
            let mut registers = epilogue.block::<V>(block);
            let from = self.start.add(index * self.plane);
            for vector in 0..self.count {
                let value = V::load(from.add(vector * LANES));
                epilogue.put(&mut registers, offset + vector * LANES, value);
            }
            K::partial_sums(registers)
        }
    }
}
