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
use crate::kernels::scratch::{self, Workspace};
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

/// Blocks of x and of dy whose pairs a task computes: as many as let their tiles and sums stay in a core's cache.
const GROUP: usize = 4;

/// Tiles that a task transforms at a time.
const CHUNK: usize = if cfg!(test) { 8 } else { 112 };

/// Slices that tiles are divided into if there are few pairs of groups.
const SLICES: usize = 12;

/// Floats between the places of a pair of blocks: sums of sixteen by sixteen channels and a line of padding, so that the places do not map to the
/// same cache sets.
const PLACE: usize = (LANES + 1) * LANES;

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
        dw,
        ..
    } = gradient;
    let tiles = Tiles::<T>::of(input);
    let groups = [input.blocks, output.blocks].map(|blocks| blocks.div_ceil(GROUP));
    let count = groups[0] * groups[1];
    let slices = (SLICES / count).clamp(1, tiles.total.div_ceil(CHUNK));
    let partial = workspace
        .sums
        .slice(if slices > 1 { slices * dw.len() } else { 0 });
    let partial = UnsafeSlice::new(partial);
    let work = Work {
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
        groups,
        slices,
        dw: if slices > 1 { partial } else { dw },
    };
    set.run(pool, slices * count, &work);
    if slices > 1 {
        let sum = SumOfSlices { partial, slices, dw };
        set.run(pool, dw.len() / VECTORS / LANES, &sum);
    }
}

/// Floats of the sums of a group's pairs: `[block of x][block of dy][place][channel of x][16]`.
fn group<T: TileSize>() -> usize {
    GROUP * GROUP * T::PLACES * PLACE
}

/// The sums of products over tiles: a task for the pairs of a group of blocks of x with a group of blocks of dy, over a slice of the tiles,
/// and their inverse transform.
///
/// Tasks transform their tiles themselves, though others need the same: cores that share no cache would take longer to pass them on.
struct Work<'a, T, S> {
    x: InputTiles<'a, T, S>,
    dy: OutputGradientTiles<'a, T>,
    /// Numbers of groups of x and of dy.
    groups: [usize; 2],
    slices: usize,
    /// `[slice][K, C, 3, 3]`.
    dw: UnsafeSlice<'a>,
}

impl<T: TileSize, S: Prologue> Work<'_, T, S> {
    /// The blocks of x and of dy of a group: the first, and the one after the last.
    fn blocks(&self, group: usize) -> [[usize; 2]; 2] {
        let range = |group: usize, blocks: usize| [group * GROUP, ((group + 1) * GROUP).min(blocks)];
        let [x, dy] = [group % self.groups[0], group / self.groups[0]];
        [range(x, self.x.extent.blocks), range(dy, self.dy.extent.blocks)]
    }
}

/// The offset of a pair's sums in those of its group.
fn pair<T: TileSize>(block: usize, result: usize) -> usize {
    (block * GROUP + result) * T::PLACES * PLACE
}

impl<T: TileSize, S: Prologue> Kernel for Work<'_, T, S> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let [[first, last], [first_result, last_result]] = self.blocks(number / self.slices);
        let layout = TileLayout::of::<T>(GROUP, CHUNK);
        let mut scratch = scratch::acquire();
        let start = scratch.slice(2 * layout.length + group::<T>()).as_mut_ptr();
        let chunks = self.x.tiles.total.div_ceil(CHUNK);
        let slice = number % self.slices;
        let [from, to] = [slice, slice + 1].map(|slice| slice * chunks / self.slices);
        // SAFETY: the caller guarantees the instruction set and a valid task number. x and dy were found to have all planes. Scratch memory has
        // the tiles of a chunk for a group of either, and the group's sums; this task alone has its group in its slice.
        unsafe {
            let (x, dy) = (layout.at(start), layout.at(start.add(layout.length)));
            let sums = start.add(2 * layout.length);
            for number in from..to {
                let chunk = Chunk::of(self.x.tiles.total, CHUNK, number);
                for block in first..last {
                    self.x.transform::<V>(chunk, block, x.from(block - first));
                }
                for block in first_result..last_result {
                    self.dy
                        .transform::<V>(chunk, block, dy.from(block - first_result));
                }
                let counts = [last - first, last_result - first_result];
                correlate_group::<T, V>([x, dy], counts, sums, (chunk.count, number == from));
            }
            for block in first..last {
                for result in first_result..last_result {
                    let sums = sums.add(pair::<T>(block - first, result - first_result));
                    self.invert::<V>([block, result], sums, slice * (self.dw.len() / self.slices));
                }
            }
        }
    }
}

/// Adds the products of a chunk's tiles to the sums of a group's pairs, or stores them if the chunk is the first.
///
/// # Safety
/// The CPU supports the instruction set of `V`. `x` and `dy` have the tiles of as many blocks as `counts` says, at most [`GROUP`]. At `sums` is room
/// for a group's, which no other task uses.
#[inline(always)]
unsafe fn correlate_group<T: TileSize, V: Vector>(
    [x, dy]: [TileBuffer; 2],
    counts: [usize; 2],
    sums: *mut f32,
    chunk: (usize, bool),
) {
    // SAFETY: the caller guarantees the instruction set, the tiles, and the sums of all pairs and places.
    unsafe {
        for place in 0..T::PLACES {
            for block in 0..counts[0] {
                let x = x.start.add(place * x.place + block * x.block);
                let mut result = 0;
                while result < counts[1] {
                    let dy_block = dy.start.add(place * dy.place + result * dy.block).cast_const();
                    let to = sums.add(pair::<T>(block, result) + place * PLACE);
                    if V::IS_WIDE && result + 1 < counts[1] {
                        let next = sums.add(pair::<T>(block, result + 1) + place * PLACE);
                        correlate::<V, 2>(x, [dy_block, dy_block.add(dy.block)], [to, next], chunk);
                        result += 2;
                    } else {
                        correlate::<V, 1>(x, [dy_block], [to], chunk);
                        result += 1;
                    }
                }
            }
        }
    }
}

impl<T: TileSize, S: Prologue> Work<'_, T, S> {
    /// `Gᵀ m G` of the sums m of a pair of blocks, in the layout of the weight, to the weight that begins at `offset` of `dw`.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, x and dy have these blocks, and `dw` this weight. `sums` are complete, and no other task uses the
    /// pair's part of the weight.
    #[inline(always)]
    unsafe fn invert<V: Vector>(&self, [block, result]: [usize; 2], sums: *const f32, offset: usize) {
        let inner = self.x.extent.blocks;
        let mut kernels = [[0.0_f32; LANES]; LANES * TAPS];
        for (c, kernel) in kernels.chunks_exact_mut(TAPS).enumerate() {
            // SAFETY: the caller guarantees the instruction set, the blocks and complete sums, which have all places. What is written are arrays of
            // sixteen floats.
            unsafe {
                let mut columns = [[V::splat(0.0); 3]; 6];
                for j in 0..T::INPUTS {
                    let mut m = [V::splat(0.0); 6];
                    for i in 0..T::INPUTS {
                        let at = sums.add((T::INPUTS * i + j) * PLACE + c * LANES);
                        m[i] = V::load(at);
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
                    let at = offset + ((result * LANES + k) * inner + block) * LANES * TAPS;
                    line.store(self.dw.at(at + j * LANES));
                }
            }
        }
    }
}

/// Vectors of a task of [`SumOfSlices`]: weights have a multiple of as many.
const VECTORS: usize = LANES * TAPS;

/// The sums of the slices' gradients, in the order of the slices.
struct SumOfSlices<'a> {
    /// `[slice][K, C, 3, 3]`.
    partial: UnsafeSlice<'a>,
    slices: usize,
    dw: UnsafeSlice<'a>,
}

impl Kernel for SumOfSlices<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        for vector in 0..VECTORS {
            let at = (number * VECTORS + vector) * LANES;
            // SAFETY: the caller guarantees the instruction set and a valid task number. All slices have been written, each as long as `dw`, of which this
            // task alone has these vectors.
            unsafe {
                let mut sum = V::load(self.partial.at(at));
                for slice in 1..self.slices {
                    sum = sum.add(V::load(self.partial.at(slice * self.dw.len() + at)));
                }
                sum.store(self.dw.at(at));
            }
        }
    }
}
