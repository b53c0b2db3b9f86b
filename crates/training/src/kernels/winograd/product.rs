//! Matrix multiplications: sums over channels, kept in registers.

use crate::kernels::vector::{LANES, Vector};

/// Matrix multiplication of transformed tiles with transformed weights, for one place.
#[derive(Clone, Copy)]
pub(super) struct Product {
    /// `[block][tile][16]`.
    pub(super) tiles: *const f32,
    /// Stride between blocks, in floats, of the tiles.
    pub(super) tile_block: usize,
    /// `[result block][channel][16]`.
    pub(super) weights: *const f32,
    /// Stride between result blocks, in floats, of the weights.
    pub(super) weight_block: usize,
    /// Blocks of input channels (summed over).
    pub(super) blocks: usize,
    /// `[result block][tile][16]`.
    pub(super) results: *mut f32,
    /// Stride between result blocks, in floats, of the results.
    pub(super) result_block: usize,
    /// Whether the products are stored, not added to the results.
    pub(super) is_first: bool,
}

/// Tiles computed at a time with wide vectors, and with others.
pub(super) const WIDE: usize = 14;
const NARROW: usize = 6;

/// Tiles that lines of `count` tiles have room for: those computed at a time may exceed them.
pub(super) fn room(count: usize) -> usize {
    count.next_multiple_of(WIDE).next_multiple_of(NARROW)
}

/// Result blocks computed at a time.
pub(super) fn height<V: Vector>() -> usize {
    if V::IS_WIDE { 2 } else { 1 }
}

impl Product {
    /// Computes `height` result blocks of `count` tiles.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and `height` is 1, or 2 on wide ones. `tiles` has `blocks` blocks, and `results` room for
    /// `height` blocks, of the [`room`] of `count` tiles; `weights` has `height` result blocks. Unless `is_first`, the results have been computed. No
    /// other task uses them.
    #[inline(always)]
    pub(super) unsafe fn compute<V: Vector>(&self, height: usize, count: usize) {
        let mut tile = 0;
        while tile < count {
            // SAFETY: the caller guarantees operands and room for more tiles than `count` rounded up to a multiple of `WIDE` or `NARROW`;
            // `height` is the number of result blocks.
            unsafe {
                match (V::IS_WIDE, height) {
                    (true, 2) if count - tile <= 8 => self.block::<V, 8, 2>(tile),
                    (true, 2) => self.block::<V, WIDE, 2>(tile),
                    (true, _) => self.block::<V, WIDE, 1>(tile),
                    (false, _) => self.block::<V, NARROW, 1>(tile),
                }
            }
            tile += if V::IS_WIDE { WIDE } else { NARROW };
        }
    }

    /// # Safety
    /// As in [`Product::compute`], with `BLOCKS` as the height, and `first + TILES` is at most the room of the lines.
    #[inline(always)]
    unsafe fn block<V: Vector, const TILES: usize, const BLOCKS: usize>(&self, first: usize) {
        // SAFETY: the caller guarantees the instruction set, tiles of all `blocks`, weights of `BLOCKS` result blocks and room for their results,
        // for the tiles `first` to `first + TILES`.
        unsafe {
            let mut sums = [[V::splat(0.0); TILES]; BLOCKS];
            if !self.is_first {
                for (k, sums) in sums.iter_mut().enumerate() {
                    for (tile, sum) in sums.iter_mut().enumerate() {
                        *sum = V::load(self.results.add(k * self.result_block + (first + tile) * LANES));
                    }
                }
            }
            for block in 0..self.blocks {
                let tiles = self.tiles.add(block * self.tile_block + first * LANES);
                let weights = self.weights.add(block * LANES * LANES);
                for channel in 0..LANES {
                    let mut weight = [V::splat(0.0); BLOCKS];
                    for (k, weight) in weight.iter_mut().enumerate() {
                        *weight = V::load(weights.add(k * self.weight_block + channel * LANES));
                    }
                    for tile in 0..TILES {
                        let x = V::splat(*tiles.add(tile * LANES + channel));
                        for k in 0..BLOCKS {
                            sums[k][tile] = x.mul_add(weight[k], sums[k][tile]);
                        }
                    }
                }
            }
            for (k, sums) in sums.into_iter().enumerate() {
                for (tile, sum) in sums.into_iter().enumerate() {
                    let to = k * self.result_block + (first + tile) * LANES;
                    sum.store(self.results.add(to));
                }
            }
        }
    }
}
