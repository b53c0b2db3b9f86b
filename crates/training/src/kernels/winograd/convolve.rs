use std::marker::PhantomData;

use super::input::{InputTiles, TileBuffer, TileLayout};
use super::output::OutputTiles;
use super::prefers_four;
use super::product::{self, Product, height};
use super::slab::Slab;
use super::tile_size::{Four, TileSize, Two};
use super::tiles::Tiles;
use super::weights::{self, Packed, Weight, WeightOrder};
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

/// Most floats of transformed tiles that tasks share, so that they stay in the cache that cores share.
const SHARED_TILES: usize = if cfg!(test) { 1 << 14 } else { 3 << 19 };

/// Most floats of packed weights, for the same reason.
const PACKED_WEIGHTS: usize = if cfg!(test) { 5 << 14 } else { 3 << 21 };

fn convolve_tiles<T: TileSize, S: Prologue, K: Epilogue>(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    convolution: &Convolution<'_, S, K>,
) -> Vec<[f64; 2]> {
    let &Convolution {
        x,
        extent,
        prologue,
        w,
        order,
        blocks,
        ..
    } = convolution;
    let Workspace {
        weights,
        tiles: shared,
        sums,
    } = workspace;
    let tiles = Tiles::<T>::of(extent);
    // Transformed tiles of wide layers exceed a core's cache in any case; larger chunks then read the weights less often.
    let most = if extent.blocks < 32 { 56 } else { 140 };
    let chunks = tiles.total.div_ceil(most);
    let chunk = tiles.total.div_ceil(chunks).next_multiple_of(product::WIDE);
    let chunks = tiles.total.div_ceil(chunk);
    let weight = Weight {
        w,
        order,
        summed: extent.blocks,
        results: blocks,
    };
    // Weights that one chunk alone reads, and those that are too many, are transformed where they are used, a few at a time, so that they never
    // leave the core's cache.
    let length = weights::length::<T>(extent.blocks, blocks);
    let is_packed = chunks > 1 && length <= PACKED_WEIGHTS;
    let parts = (blocks / if is_packed { 4 } else { 2 }).clamp(1, 16);
    let weights = if is_packed {
        let weights = weights.slice(length);
        Packed::<T> {
            size: PhantomData,
            weight,
            to: UnsafeSlice::new(weights),
        }
        .fill(set, pool);
        &*weights
    } else {
        &[]
    };
    // If there are several parts, their tasks share the chunk's transformed tiles.
    let layout = TileLayout::of::<T>(extent.blocks, chunk);
    let (slab, length) = if parts > 1 {
        let slab = (SHARED_TILES / layout.length).clamp(1, chunks);
        (slab, slab * layout.length)
    } else {
        (chunks, 0)
    };
    let shared = UnsafeSlice::new(shared.slice(length));
    let input = InputTiles {
        x,
        extent,
        prologue,
        tiles,
    };
    let sums = sums.slice(K::sums(chunks, blocks));
    let partial_sums = PartialSumTable::new(UnsafeSlice::new(sums), blocks);
    for first in (0..chunks).step_by(slab) {
        let count = slab.min(chunks - first);
        let slab = Slab {
            input,
            chunk,
            first,
            layout,
            shared,
        };
        if parts > 1 {
            set.run(pool, count * extent.blocks, &slab);
        }
        let work = Work {
            convolution,
            slab,
            parts,
            weight,
            weights,
            partial_sums,
        };
        set.run(pool, count * parts, &work);
    }
    reduce(sums, blocks)
}

struct Work<'a, T, S, K> {
    convolution: &'a Convolution<'a, S, K>,
    slab: Slab<'a, T, S>,
    /// Number of parts into which a chunk's output blocks are split.
    parts: usize,
    weight: Weight<'a>,
    /// The transformed weight, or nothing if tasks transform it.
    weights: &'a [f32],
    partial_sums: PartialSumTable<'a>,
}

impl<T: TileSize, S: Prologue, K: Epilogue> Kernel for Work<'_, T, S, K> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let &Convolution {
            extent,
            epilogue,
            blocks,
            ..
        } = self.convolution;
        let (row, part) = (number / self.parts, number % self.parts);
        let chunk = self.slab.chunk(row);
        let [first, last] = [part, part + 1].map(|part| part * blocks / self.parts);
        let results = TileLayout::of::<T>(last - first, self.slab.chunk);
        let is_shared = self.parts > 1;
        let lengths = [
            results.length,
            if is_shared { 0 } else { self.slab.layout.length },
            if self.weights.is_empty() {
                T::PLACES * piece_place(last - first)
            } else {
                0
            },
        ];
        let mut scratch = scratch::acquire();
        let start = scratch.slice(lengths.iter().sum()).as_mut_ptr();
        // SAFETY: the caller guarantees the instruction set and a valid task number. x and the result were found to have all planes; the slab has this
        // chunk. Scratch memory is as long as its three parts, which have all places, with lines of a chunk's tiles; this task alone has this chunk
        // of these blocks, of which it writes the result and the partial sums.
        unsafe {
            let products = results.at(start);
            let transformed = if is_shared {
                self.slab.transformed(row)
            } else {
                let to = self.slab.layout.at(start.add(lengths[0]));
                for block in 0..extent.blocks {
                    self.slab.input.transform::<V>(chunk, block, to.from(block));
                }
                to
            };
            let piece = start.add(lengths[0] + lengths[1]);
            self.multiply::<V>([first, last], [transformed, products], piece, chunk.count);
            let output = OutputTiles {
                extent: Extent {
                    blocks: self.convolution.blocks,
                    ..extent
                },
                epilogue,
                tiles: self.slab.input.tiles,
            };
            for block in first..last {
                let partial_sums = output.transform::<V>(chunk, products.from(block - first), block);
                self.partial_sums.put(self.slab.first + row, block, partial_sums);
            }
        }
    }
}

/// Blocks summed over at a time with weights that a task transforms itself.
const PIECE: usize = 4;

/// Stride between places, in floats, of such weights for some blocks of the result.
fn piece_place(results: usize) -> usize {
    (results * PIECE * LANES + 1) * LANES
}

impl<T: TileSize, S: Prologue, K: Epilogue> Work<'_, T, S, K> {
    /// The matrix multiplications of all places, for result blocks `first` to `last`.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and the convolution has these result blocks. `transformed` holds the tiles of all blocks, and
    /// `products` has room for those result blocks, both in lines with `product::room` for `count` tiles. If the weights are not packed, there is
    /// room for a piece of them at `piece`. No other task uses `products` and `piece`.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(
        &self,
        [first, last]: [usize; 2],
        [transformed, products]: [TileBuffer; 2],
        piece: *mut f32,
        count: usize,
    ) {
        let (summed, results) = (self.weight.summed, self.weight.results);
        let is_packed = !self.weights.is_empty();
        let step = if is_packed { summed } else { PIECE };
        for from in (0..summed).step_by(step) {
            let blocks = step.min(summed - from);
            let weight_block = step * LANES * LANES;
            // SAFETY: the caller guarantees the instruction set, the result blocks and the room; the blocks `from` to `from + blocks` are some of those
            // summed over. Packed weights have all places and blocks.
            unsafe {
                let (weights, place) = if is_packed {
                    (
                        self.weights.as_ptr().add(first * weight_block),
                        weights::place(summed, results),
                    )
                } else {
                    let place = piece_place(last - first);
                    for result in first..last {
                        for block in 0..blocks {
                            let to = piece.add((result - first) * weight_block + block * LANES * LANES);
                            self.weight.transform::<T, V>([from + block, result], to, place);
                        }
                    }
                    (piece.cast_const(), place)
                };
                for number in 0..T::PLACES {
                    let mut result = 0;
                    while result < last - first {
                        let height = height::<V>().min(last - first - result);
                        let product = Product {
                            tiles: transformed
                                .start
                                .add(number * transformed.place + from * transformed.block),
                            tile_block: transformed.block,
                            weights: weights.add(number * place + result * weight_block),
                            weight_block,
                            blocks,
                            results: products
                                .start
                                .add(number * products.place + result * products.block),
                            result_block: products.block,
                            is_first: from == 0,
                        };
                        product.compute::<V>(height, count);
                        result += height;
                    }
                }
            }
        }
    }
}
