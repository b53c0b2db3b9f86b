use std::marker::PhantomData;

use super::input::{InputTiles, TileBuffer};
use super::output::OutputTiles;
use super::prefers_four;
use super::product::{Product, height, width};
use super::tile_size::{Four, TileSize, Two};
use super::tiles::{Chunk, Tiles};
use super::weights::{self, Packed, WeightOrder};
use crate::kernels::Extent;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::instructions::{InstructionSet, Kernel};
use crate::kernels::partial_sums::{PartialSumTable, reduce};
use crate::kernels::pool::Pool;
use crate::kernels::prologue::Prologue;
use crate::kernels::scratch::{self, Workspace};
use crate::kernels::unsafe_slice::UnsafeSlice;
use crate::kernels::vector::{LANES, Vector};

/// Operands of a convolution with a 3 × 3 kernel, stride one and padding one.
pub(in crate::kernels) struct Convolution<'a, S, K> {
    /// `[N, C, H, W]` in NCHWc layout.
    pub(in crate::kernels) x: &'a [f32],
    pub(in crate::kernels) extent: Extent,
    pub(in crate::kernels) prologue: S,
    /// `[K, C, 3, 3]`, or `[C, K, 3, 3]` for [`WeightOrder::Backward`].
    pub(in crate::kernels) w: &'a [f32],
    pub(in crate::kernels) order: WeightOrder,
    /// Receives `[N, K, H, W]` in NCHWc layout.
    pub(in crate::kernels) epilogue: K,
    /// K/16.
    pub(in crate::kernels) blocks: usize,
}

/// Computes the convolution; returns the epilogue's sums per channel.
pub(in crate::kernels) fn convolve<S: Prologue, K: Epilogue>(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    convolution: &Convolution<'_, S, K>,
) -> Vec<[f64; 2]> {
    if prefers_four(convolution.extent) {
        convolve_tiles::<Four, _, _>(set, pool, workspace, convolution)
    } else {
        convolve_tiles::<Two, _, _>(set, pool, workspace, convolution)
    }
}

fn convolve_tiles<T: TileSize, S: Prologue, K: Epilogue>(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    convolution: &Convolution<'_, S, K>,
) -> Vec<[f64; 2]> {
    let &Convolution { extent, blocks, .. } = convolution;
    let Workspace { weights, sums } = workspace;
    let weights = weights.slice(weights::length::<T>(extent.blocks, blocks));
    Packed::<T> {
        size: PhantomData,
        w: convolution.w,
        order: convolution.order,
        summed: extent.blocks,
        results: blocks,
        to: UnsafeSlice::new(weights),
    }
    .fill(set, pool);
    let tiles = Tiles::<T>::of(extent);
    // Transformed tiles of wide layers exceed a core's cache in any case; larger chunks then read the weights less often.
    let most = if extent.blocks < 32 { 56 } else { 112 };
    let chunks = tiles.total.div_ceil(most);
    let chunk = tiles.total.div_ceil(chunks).next_multiple_of(14);
    let chunks = tiles.total.div_ceil(chunk);
    // Every task of a chunk transforms the tiles again, which costs little if there are many channels.
    let parts = (blocks / 4).clamp(1, 8);
    let sums = sums.slice(K::sums(chunks, blocks));
    let work = Work {
        convolution,
        tiles,
        chunk,
        parts,
        weights,
        partial_sums: PartialSumTable::new(UnsafeSlice::new(sums), blocks),
    };
    set.run(pool, chunks * parts, &work);
    reduce(sums, blocks)
}

struct Work<'a, T, S, K> {
    convolution: &'a Convolution<'a, S, K>,
    tiles: Tiles<T>,
    /// Tiles per chunk.
    chunk: usize,
    /// Number of parts into which a chunk's output blocks are split.
    parts: usize,
    weights: &'a [f32],
    partial_sums: PartialSumTable<'a>,
}

impl<T: TileSize, S: Prologue, K: Epilogue> Kernel for Work<'_, T, S, K> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let &Convolution {
            x,
            extent,
            prologue,
            epilogue,
            blocks,
            ..
        } = self.convolution;
        let (row, part) = (number / self.parts, number % self.parts);
        let chunk = Chunk::of(self.tiles.total, self.chunk, row);
        let [first, last] = [part, part + 1].map(|part| part * blocks / self.parts);
        // One line of padding, so that the places do not map to the same cache sets.
        let line = chunk.count.next_multiple_of(width::<V>()) * LANES;
        let (seen_place, product_place) = (extent.blocks * line + LANES, (last - first) * line + LANES);
        let lengths = [T::PLACES * seen_place, T::PLACES * product_place];
        let mut scratch = scratch::acquire();
        let start = scratch.slice(lengths[0] + lengths[1]).as_mut_ptr();
        let transformed_x = TileBuffer {
            start,
            place: seen_place,
            block: line,
        };
        let products = TileBuffer {
            // SAFETY: the scratch memory is longer than its first part.
            start: unsafe { start.add(lengths[0]) },
            place: product_place,
            block: line,
        };
        let tiles = InputTiles {
            x,
            extent,
            prologue,
            tiles: self.tiles,
        };
        let results = OutputTiles {
            extent: Extent { blocks, ..extent },
            epilogue,
            tiles: self.tiles,
        };
        // SAFETY: the caller guarantees the instruction set and a valid task number. x and the result were found to have all planes; scratch memory
        // and weights have all places, with lines of the rounded number of tiles; this task alone has this chunk of these blocks, of which it
        // writes the result and the partial sums.
        unsafe {
            tiles.transform::<V>(chunk, transformed_x);
            for place in 0..T::PLACES {
                self.products::<V>(place, [first, last], [transformed_x, products], chunk.count);
            }
            for block in first..last {
                let from = TileBuffer {
                    start: products.start.add((block - first) * line),
                    ..products
                };
                let partial_sums = results.transform::<V>(chunk, from, block);
                self.partial_sums.put(row, block, partial_sums);
            }
        }
    }
}

impl<T: TileSize, S: Prologue, K: Epilogue> Work<'_, T, S, K> {
    /// The matrix multiplication of one place, for result blocks `first` to `last`.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and the convolution has these result blocks. `transformed_x` holds the tiles of all blocks,
    /// and `products` has room for those result blocks, both in lines of `count` tiles, rounded up to [`width`]; no other task uses them.
    #[inline(always)]
    unsafe fn products<V: Vector>(
        &self,
        place: usize,
        [first, last]: [usize; 2],
        [transformed_x, products]: [TileBuffer; 2],
        count: usize,
    ) {
        let (summed, blocks) = (self.convolution.extent.blocks, self.convolution.blocks);
        let weight_block = summed * LANES * LANES;
        let mut block = first;
        while block < last {
            let height = height::<V>().min(last - block);
            // SAFETY: the caller guarantees the instruction set, the tiles and the room for result blocks `first` to `last`, of which these are
            // `height`; `self.weights` has all places and blocks.
            unsafe {
                let weights = place * weights::place(summed, blocks) + block * weight_block;
                let product = Product {
                    tiles: transformed_x.start.add(place * transformed_x.place),
                    tile_block: transformed_x.block,
                    weights: self.weights.as_ptr().add(weights),
                    weight_block,
                    blocks: summed,
                    results: products
                        .start
                        .add(place * products.place + (block - first) * products.block),
                    result_block: products.block,
                };
                product.compute::<V>(height, count);
            }
            block += height;
        }
    }
}
