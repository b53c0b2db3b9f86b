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
}

/// Tiles computed at a time. Lines of tiles are padded to a multiple of it.
pub(super) fn width<V: Vector>() -> usize {
    if V::IS_WIDE { 14 } else { 6 }
}

/// Result blocks computed at a time.
pub(super) fn height<V: Vector>() -> usize {
    if V::IS_WIDE { 2 } else { 1 }
}

impl Product {
    /// Computes `height` result blocks of `count` tiles, rounded up to [`width`].
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and `height` is 1, or 2 on wide ones. `tiles` has `blocks` blocks, and `results` room for
    /// `height` blocks, of the rounded number of tiles; `weights` has `height` result blocks. No other task uses the results.
    #[inline(always)]
    pub(super) unsafe fn compute<V: Vector>(&self, height: usize, count: usize) {
        let mut tile = 0;
        while tile < count {
            // SAFETY: the caller guarantees operands and room for the rounded number of tiles, which those from `tile` on, a multiple of
            // `width`, do not exceed; `height` is the number of result blocks.
            unsafe {
                match (V::IS_WIDE, height) {
                    (true, 2) => self.block::<V, 14, 2>(tile),
                    (true, _) => self.block::<V, 14, 1>(tile),
                    (false, _) => self.block::<V, 6, 1>(tile),
                }
            }
            tile += width::<V>();
        }
    }

    /// # Safety
    /// As in [`Product::compute`], with `BLOCKS` as the height, and `first + TILES` is at most the rounded number of tiles.
    #[inline(always)]
    unsafe fn block<V: Vector, const TILES: usize, const BLOCKS: usize>(&self, first: usize) {
        // SAFETY: the caller guarantees the instruction set, tiles of all `blocks`, weights of `BLOCKS` result blocks and room for their results,
        // for the tiles `first` to `first + TILES`.
        unsafe {
            let mut sums = [[V::splat(0.0); TILES]; BLOCKS];
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
