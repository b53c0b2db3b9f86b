use super::correlation::correlate;
use super::input::{InputTiles, TileBuffer, TileLayout};
use super::output_gradient::OutputGradientTiles;
use super::prefers_four;
use super::tile_size::{Four, TileSize, Two};
use super::tiles::{Chunk, Tiles};
use crate::kernels::Extent;
use crate::kernels::instructions::{InstructionSet, Kernel};
use crate::kernels::pool::Pool;
use crate::kernels::prologue::Prologue;
use crate::kernels::scratch::Workspace;
use crate::kernels::unsafe_slice::UnsafeSlice;
use crate::kernels::vector::{LANES, Vector};
use crate::kernels::weight_gradient::WeightGradient;

/// Elements of a kernel.
const TAPS: usize = 9;

/// Computes the weight gradient of a convolution with a 3 × 3 kernel, stride one and padding one.
pub(in crate::kernels) fn weight_gradient<S: Prologue>(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    gradient: &WeightGradient<'_, S>,
) {
    if prefers_four(gradient.input) {
        weight_gradient_of_tiles::<Four, _>(set, pool, workspace, gradient);
    } else {
        weight_gradient_of_tiles::<Two, _>(set, pool, workspace, gradient);
    }
}

/// Blocks of x and of dy whose pairs a task computes, so that it reads tiles from its core's cache.
const GROUP: usize = 4;

/// Most floats of transformed tiles at a time, so that they stay in the cache that cores share; four times as many if there are so many sums that
/// reading these again costs more.
const TRANSFORMED_TILES: usize = if cfg!(test) { 1 << 14 } else { 3 << 18 };

fn weight_gradient_of_tiles<T: TileSize, S: Prologue>(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    gradient: &WeightGradient<'_, S>,
) {
    let &WeightGradient {
        x,
        input,
        prologue,
        dy,
        output,
        ..
    } = gradient;
    let tiles = Tiles::<T>::of(input);
    let groups = [input.blocks, output.blocks].map(|blocks| blocks.div_ceil(GROUP));
    // With few pairs of groups, a task computes one place of a pair, and with many all places, of which it then transforms the sums while they are
    // in its core's cache.
    let places = if groups[0] * groups[1] < 16 { 1 } else { T::PLACES };
    let most = if places == 1 {
        TRANSFORMED_TILES
    } else {
        4 * TRANSFORMED_TILES
    };
    let tile = T::PLACES * LANES * (input.blocks + output.blocks);
    let slabs = tiles.total.div_ceil((most / tile).max(1));
    let slab = tiles.total.div_ceil(slabs);
    let layouts = [input.blocks, output.blocks].map(|blocks| TileLayout::of::<T>(blocks, slab));
    let transformed = workspace.tiles.slice(layouts[0].length + layouts[1].length);
    let mut work = Work {
        x: InputTiles {
            x,
            extent: input,
            prologue,
            tiles,
        },
        dy: OutputGradientTiles {
            dy,
            extent: Extent {
                blocks: output.blocks,
                ..input
            },
            tiles,
        },
        layouts,
        transformed: UnsafeSlice::new(transformed),
        sums: UnsafeSlice::new(
            workspace
                .weights
                .slice(input.blocks * output.blocks * pair::<T>()),
        ),
        dw: gradient.dw,
        slab: Chunk { first: 0, count: 0 },
        groups,
        places,
    };
    for first in (0..tiles.total).step_by(slab) {
        let count = slab.min(tiles.total - first);
        work.slab = Chunk { first, count };
        set.run(
            pool,
            count.div_ceil(CHUNK) * (input.blocks + output.blocks),
            &Transform(&work),
        );
        set.run(pool, groups[0] * groups[1] * T::PLACES / places, &work);
    }
    if places == 1 {
        set.run(pool, input.blocks * output.blocks, &InverseTransform(&work));
    }
}

/// Tiles that a task transforms.
const CHUNK: usize = 56;

/// Floats between the places of a pair of blocks: sums of sixteen by sixteen channels and a line of padding, so that the places do not map to the
/// same cache sets.
const PLACE: usize = (LANES + 1) * LANES;

/// Floats of the sums of a pair of blocks: `[place][channel of x][16]`.
fn pair<T: TileSize>() -> usize {
    T::PLACES * PLACE
}

/// The sums of products over a slab's tiles. A task has some places of the pairs of a group of blocks of x with a group of blocks of dy.
struct Work<'a, T, S> {
    x: InputTiles<'a, T, S>,
    dy: OutputGradientTiles<'a, T>,
    /// Of the transformed tiles of x, and of dy after them.
    layouts: [TileLayout; 2],
    transformed: UnsafeSlice<'a>,
    /// `[block of dy][block of x]`, each a pair's sums.
    sums: UnsafeSlice<'a>,
    /// `[K, C, 3, 3]`.
    dw: UnsafeSlice<'a>,
    slab: Chunk,
    /// Numbers of groups of x and of dy.
    groups: [usize; 2],
    /// Places per task.
    places: usize,
}

impl<T: TileSize, S: Prologue> Work<'_, T, S> {
    /// The transformed tiles of x and of dy.
    ///
    /// # Safety
    /// The caller accesses them as the safety requirement of [`UnsafeSlice::at`] says.
    #[inline(always)]
    unsafe fn transformed(&self) -> [TileBuffer; 2] {
        let [x, dy] = self.layouts;
        // SAFETY: the memory is as long as both layouts.
        unsafe { [x.at(self.transformed.at(0)), dy.at(self.transformed.at(x.length))] }
    }

    /// The offset of the sums of a block of x with a block of dy.
    fn pair(&self, [block, result]: [usize; 2]) -> usize {
        (result * self.x.extent.blocks + block) * pair::<T>()
    }
}

/// The transforms of a slab's tiles: a task for each chunk of each block.
struct Transform<'a, T, S>(&'a Work<'a, T, S>);

impl<T: TileSize, S: Prologue> Kernel for Transform<'_, T, S> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let Self(work) = self;
        let blocks = work.x.extent.blocks;
        let both = blocks + work.dy.extent.blocks;
        let (number, block) = (number / both, number % both);
        let within = Chunk::of(work.slab.count, CHUNK, number);
        let chunk = Chunk {
            first: work.slab.first + within.first,
            ..within
        };
        // SAFETY: the caller guarantees the instruction set and a valid task number. x and dy were found to have all planes; the memory has all tiles
        // of the slab, and this task alone writes those of this chunk and block.
        unsafe {
            let [x, dy] = work.transformed().map(|buffer| buffer.from(within.first));
            if block < blocks {
                work.x.transform::<V>(chunk, [block, block + 1], x);
            } else {
                work.dy.transform::<V>(chunk, block - blocks, dy);
            }
        }
    }
}

impl<T: TileSize, S: Prologue> Kernel for Work<'_, T, S> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let tasks = T::PLACES / self.places;
        let (group, part) = (number / tasks, number % tasks);
        let [x_group, dy_group] = [group % self.groups[0], group / self.groups[0]];
        let range = |group: usize, blocks: usize| (group * GROUP, ((group + 1) * GROUP).min(blocks));
        let (first, last) = range(x_group, self.x.extent.blocks);
        let (first_result, last_result) = range(dy_group, self.dy.extent.blocks);
        let slab = (self.slab.count, self.slab.first == 0);
        // SAFETY: the caller guarantees the instruction set and a valid task number. The slab's tiles have been transformed, and no task writes them
        // any more. The sums have all pairs and places, and this task alone uses its places of its pairs.
        unsafe {
            let [x, dy] = self.transformed();
            for place in part * self.places..(part + 1) * self.places {
                let dy_at = |result| dy.start.add(place * dy.place + result * dy.block).cast_const();
                for block in first..last {
                    let x = x.start.add(place * x.place + block * x.block);
                    let sums_at = |result| self.sums.at(self.pair([block, result]) + place * PLACE);
                    let mut result = first_result;
                    while result < last_result {
                        let next = result + 1;
                        if V::IS_WIDE && next < last_result {
                            let (dy, sums) = ([dy_at(result), dy_at(next)], [sums_at(result), sums_at(next)]);
                            correlate::<V, 2>(x, dy, sums, slab);
                            result += 2;
                        } else {
                            correlate::<V, 1>(x, [dy_at(result)], [sums_at(result)], slab);
                            result += 1;
                        }
                    }
                }
            }
            if self.places > 1 && self.slab.first + self.slab.count == self.x.tiles.total {
                for result in first_result..last_result {
                    for block in first..last {
                        self.invert::<V>([block, result]);
                    }
                }
            }
        }
    }
}

/// The transforms of sums if no task has all places of a pair: a task for each pair.
struct InverseTransform<'a, T, S>(&'a Work<'a, T, S>);

impl<T: TileSize, S: Prologue> Kernel for InverseTransform<'_, T, S> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let Self(work) = self;
        let blocks = work.x.extent.blocks;
        // SAFETY: the caller guarantees the instruction set and a valid pair of blocks. All sums are complete, and this task alone has the pair.
        unsafe { work.invert::<V>([number % blocks, number / blocks]) }
    }
}

impl<T: TileSize, S: Prologue> Work<'_, T, S> {
    /// `Gᵀ m G` of the sums m of a pair of blocks, in the layout of the weight.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and x and dy have these blocks. The sums of the pair are complete, and no other task uses this
    /// pair's part of `dw`.
    #[inline(always)]
    unsafe fn invert<V: Vector>(&self, [block, result]: [usize; 2]) {
        let inner = self.x.extent.blocks;
        let mut kernels = [[0.0_f32; LANES]; LANES * TAPS];
        for (c, kernel) in kernels.chunks_exact_mut(TAPS).enumerate() {
            let at = self.pair([block, result]) + c * LANES;
            // SAFETY: the caller guarantees the instruction set, the blocks and complete sums, which have all places. What is written are arrays of
            // sixteen floats.
            unsafe {
                let mut columns = [[V::splat(0.0); 3]; 6];
                for j in 0..T::INPUTS {
                    let mut m = [V::splat(0.0); 6];
                    for i in 0..T::INPUTS {
                        m[i] = V::load(self.sums.at(at + (T::INPUTS * i + j) * PLACE));
                    }
                    columns[j] = T::weight_gradient(m);
                }
                for i in 0..3 {
                    let mut row = [V::splat(0.0); 6];
                    for j in 0..T::INPUTS {
                        row[j] = columns[j][i];
                    }
                    let row = T::weight_gradient(row);
                    for j in 0..3 {
                        row[j].store(kernel[3 * i + j].as_mut_ptr());
                    }
                }
            }
        }
        // The kernels of a channel of dy with sixteen channels of x are contiguous.
        for (j, kernels) in kernels.chunks_exact(LANES).enumerate() {
            // SAFETY: the caller guarantees the instruction set and the pair of blocks. Loads read arrays of sixteen floats; `dw` was found to be as
            // long as the weight, and no other task uses this pair's part.
            unsafe {
                let mut lines = [V::splat(0.0); LANES];
                for (line, kernel) in lines.iter_mut().zip(kernels) {
                    *line = V::load(kernel.as_ptr());
                }
                for (k, line) in V::transpose(lines).into_iter().enumerate() {
                    let at = ((result * LANES + k) * inner + block) * LANES * TAPS;
                    line.store(self.dw.at(at + j * LANES));
                }
            }
        }
    }
}
