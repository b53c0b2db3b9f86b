use super::input::{InputTiles, TileBuffer};
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

fn weight_gradient_of_tiles<T: TileSize, S: Prologue>(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    gradient: &WeightGradient<'_, S>,
) {
    let &WeightGradient {
        input: extent,
        output,
        ..
    } = gradient;
    let blocks = output.blocks;
    let tiles = Tiles::<T>::of(extent);
    let parts = (blocks / 4).clamp(1, 8);
    // Enough tasks to occupy several cores; slices with their own sums only if these are small. If those of all places fit into a core's cache, a
    // task computes all places, so that each pixel is read from memory once.
    let (rows, slices) = if extent.blocks * blocks <= 16 {
        (T::INPUTS, 12)
    } else {
        (1, 4 / parts)
    };
    let slices = slices.clamp(1, tiles.total.div_ceil(CHUNK));
    let place = blocks * extent.blocks * LANES * LANES + LANES;
    let sums = workspace.weights.slice(slices * T::PLACES * place);
    let work = Sums {
        gradient,
        tiles,
        parts,
        rows,
        slices,
        place,
        sums: UnsafeSlice::new(sums),
    };
    set.run(pool, slices * parts * T::INPUTS / rows, &work);
    set.run(pool, blocks * extent.blocks, &InverseTransform(&work));
}

/// Tiles per chunk.
const CHUNK: usize = 56;

/// First pass: the sums of products, for each slice of the tiles and each place.
///
/// A task computes the places of one or all rows of the transformed tile.
struct Sums<'a, T, S> {
    gradient: &'a WeightGradient<'a, S>,
    tiles: Tiles<T>,
    /// Number of parts into which the blocks of dy are split.
    parts: usize,
    /// Rows of a transformed tile per task.
    rows: usize,
    /// Number of slices of the tiles with their own sums.
    slices: usize,
    /// Stride between places, in floats, of the sums: `[slice][place][block of dy][channel of x][16]`.
    place: usize,
    sums: UnsafeSlice<'a>,
}

impl<T: TileSize, S: Prologue> Kernel for Sums<'_, T, S> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let &WeightGradient {
            input: extent,
            output,
            ..
        } = self.gradient;
        let blocks = output.blocks;
        let groups = T::INPUTS / self.rows;
        let (group, number) = (number % groups, number / groups);
        let (part, slice) = (number % self.parts, number / self.parts);
        let [first, last] = [part, part + 1].map(|part| part * blocks / self.parts);
        let chunks = self.tiles.total.div_ceil(CHUNK);
        let [from, to] = [slice, slice + 1].map(|slice| slice * chunks / self.slices);
        let line = CHUNK * LANES;
        let x_place = extent.blocks * line + LANES;
        let dy_place = (last - first) * line + LANES;
        let mut scratch = scratch::acquire();
        let start = scratch.slice(T::INPUTS * (x_place + dy_place)).as_mut_ptr();
        let transformed_x = TileBuffer {
            start,
            place: x_place,
            block: line,
        };
        let transformed_dy = TileBuffer {
            // SAFETY: the scratch memory is longer than its first part.
            start: unsafe { start.add(T::INPUTS * x_place) },
            place: dy_place,
            block: line,
        };
        // SAFETY: the caller guarantees the instruction set and a valid task number. x and dy were found to have all planes; scratch memory has the
        // places of a row of a chunk's tiles for both; the sums have all slices and places, and this task alone uses its rows' places of its blocks in
        // its slice.
        unsafe {
            for chunk in from..to {
                let chunk = Chunk::of(self.tiles.total, CHUNK, chunk);
                for row in group * self.rows..(group + 1) * self.rows {
                    self.transform_input_row::<V>(chunk, row, transformed_x);
                    self.transform_dy_row::<V>(chunk, row, [first, last], transformed_dy);
                    for column in 0..T::INPUTS {
                        let place = (slice * T::PLACES + T::INPUTS * row + column) * self.place;
                        for block in 0..extent.blocks {
                            let x = transformed_x.start.add(column * x_place + block * line);
                            for result in first..last {
                                let dy = transformed_dy
                                    .start
                                    .add(column * dy_place + (result - first) * line);
                                let at = place + (result * extent.blocks + block) * LANES * LANES;
                                let sums = self.sums.at(at);
                                correlate::<V>(x, dy, sums, (chunk.count, chunk.first == from * CHUNK));
                            }
                        }
                    }
                }
            }
        }
    }
}

impl<T: TileSize, S: Prologue> Sums<'_, T, S> {
    /// Computes one row of `Bᵀ d B`.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and the chunk is one of the tiles. `to` has room for its tiles in each place of a row and each
    /// block of x, and no other task uses it.
    #[inline(always)]
    unsafe fn transform_input_row<V: Vector>(&self, chunk: Chunk, row: usize, to: TileBuffer) {
        let &WeightGradient {
            x,
            input: extent,
            prologue,
            ..
        } = self.gradient;
        let input = InputTiles {
            x,
            extent,
            prologue,
            tiles: self.tiles,
        };
        let coefficients = T::input_row(row);
        for block in 0..extent.blocks {
            let mut tile = self.tiles.at(chunk.first);
            // SAFETY: the caller guarantees the instruction set and the room at `to`. x was found to have all planes, and the block and the chunk's
            // tiles are of its extent, so that `plane` is that of an image's block.
            unsafe {
                let registers = prologue.block::<V>(block);
                for number in 0..chunk.count {
                    let plane = x
                        .as_ptr()
                        .add(tile.image * extent.image() + block * extent.plane());
                    let mut half = [V::splat(0.0); 6];
                    for (i, &coefficient) in coefficients.iter().enumerate().take(T::INPUTS) {
                        if coefficient != 0.0 {
                            let pixels = input.row(&registers, plane, (tile, i));
                            let coefficient = V::splat(coefficient);
                            for j in 0..T::INPUTS {
                                half[j] = pixels[j].mul_add(coefficient, half[j]);
                            }
                        }
                    }
                    let to_tile = to.start.add(block * to.block + number * LANES);
                    let values = T::input(half);
                    for j in 0..T::INPUTS {
                        values[j].store(to_tile.add(j * to.place));
                    }
                    tile = self.tiles.after(tile);
                }
            }
        }
    }

    /// Computes one row of `A dy Aᵀ`.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, the chunk is one of the tiles, and dy has blocks `first` to `last`. `to` has room for the tiles
    /// in each place of a row and each of these blocks, and no other task uses it.
    #[inline(always)]
    unsafe fn transform_dy_row<V: Vector>(
        &self,
        chunk: Chunk,
        row: usize,
        [first, last]: [usize; 2],
        to: TileBuffer,
    ) {
        let &WeightGradient {
            dy, input, output, ..
        } = self.gradient;
        let extent = Extent {
            blocks: output.blocks,
            ..input
        };
        let coefficients = T::output_gradient_row(row);
        for block in first..last {
            let mut tile = self.tiles.at(chunk.first);
            // SAFETY: the caller guarantees the instruction set, the block and the room at `to`. dy was found to have all planes, and the chunk's
            // tiles are of its extent, so that `plane` is that of an image's block.
            unsafe {
                for number in 0..chunk.count {
                    let plane = dy
                        .as_ptr()
                        .add(tile.image * extent.image() + block * extent.plane());
                    let mut half = [V::splat(0.0); 6];
                    for (i, &coefficient) in coefficients.iter().enumerate().take(T::OUTPUTS) {
                        let row = T::OUTPUTS * tile.row + i;
                        if coefficient == 0.0 || row >= extent.rows {
                            continue;
                        }
                        let coefficient = V::splat(coefficient);
                        for j in 0..T::OUTPUTS {
                            let column = T::OUTPUTS * tile.column + j;
                            if column < extent.columns {
                                let pixel = V::load(plane.add((row * extent.columns + column) * LANES));
                                half[j] = pixel.mul_add(coefficient, half[j]);
                            }
                        }
                    }
                    let values = T::output_gradient(half);
                    let to_tile = to.start.add((block - first) * to.block + number * LANES);
                    for j in 0..T::INPUTS {
                        values[j].store(to_tile.add(j * to.place));
                    }
                    tile = self.tiles.after(tile);
                }
            }
        }
    }
}

/// `sums[c] (+)= Σ x[tile][c] · dy[tile]`, a vector over the channels of dy for each channel of x.
///
/// # Safety
/// The CPU supports the instruction set of `V`. `count` vectors can be read at `x` and at `dy`; at `sums` there are sixteen vectors that no other
/// task uses.
#[inline(always)]
unsafe fn correlate<V: Vector>(
    x: *const f32,
    dy: *const f32,
    sums: *mut f32,
    (count, is_first): (usize, bool),
) {
    // SAFETY: the caller guarantees all that `correlate_channels` requires, and no channel is beyond the sixteen of a vector.
    unsafe {
        if V::IS_WIDE {
            correlate_channels::<V, 16>(x, dy, sums, (count, is_first));
        } else {
            for c in [0, 4, 8, 12] {
                correlate_channels::<V, 4>(x.add(c), dy, sums.add(c * LANES), (count, is_first));
            }
        }
    }
}

/// # Safety
/// As in [`correlate`], but of the vectors at `x` the first `CHANNELS` floats are enough, and at `sums` `CHANNELS` vectors.
#[inline(always)]
unsafe fn correlate_channels<V: Vector, const CHANNELS: usize>(
    x: *const f32,
    dy: *const f32,
    sums: *mut f32,
    (count, is_first): (usize, bool),
) {
    // SAFETY: the caller guarantees the instruction set, `CHANNELS` vectors of sums, and for each of `count` tiles a vector of dy and `CHANNELS`
    // floats of x.
    unsafe {
        let mut registers = [V::splat(0.0); CHANNELS];
        if !is_first {
            for (c, register) in registers.iter_mut().enumerate() {
                *register = V::load(sums.add(c * LANES));
            }
        }
        for tile in 0..count {
            let dy = V::load(dy.add(tile * LANES));
            for (c, register) in registers.iter_mut().enumerate() {
                *register = V::splat(*x.add(tile * LANES + c)).mul_add(dy, *register);
            }
        }
        for (c, register) in registers.into_iter().enumerate() {
            register.store(sums.add(c * LANES));
        }
    }
}

/// Second pass: `Gᵀ m G`, in the layout of the weight.
struct InverseTransform<'a, T, S>(&'a Sums<'a, T, S>);

impl<T: TileSize, S: Prologue> Kernel for InverseTransform<'_, T, S> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let Self(work) = self;
        let inner = work.gradient.input.blocks;
        let (result, block) = (number / inner, number % inner);
        let mut kernels = [[[0.0_f32; LANES]; TAPS]; LANES];
        for (c, kernel) in kernels.iter_mut().enumerate() {
            let at = ((result * inner + block) * LANES + c) * LANES;
            // SAFETY: the caller guarantees the instruction set and a valid pair of blocks. The first pass has ended, so that no task writes sums
            // any more; they have all slices and places. What is written are arrays of sixteen floats.
            unsafe {
                let mut columns = [[V::splat(0.0); 3]; 6];
                for j in 0..T::INPUTS {
                    let mut m = [V::splat(0.0); 6];
                    for i in 0..T::INPUTS {
                        for slice in 0..work.slices {
                            let place = slice * T::PLACES + T::INPUTS * i + j;
                            m[i] = m[i].add(V::load(work.sums.at(place * work.place + at)));
                        }
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
        for k in 0..LANES {
            let at = ((result * LANES + k) * inner + block) * LANES * TAPS;
            // SAFETY: `dw` was found to be as long as the weight. The kernels of a row of this pair of blocks are contiguous, and
            // this task alone uses them.
            let row = unsafe { std::slice::from_raw_parts_mut(work.gradient.dw.at(at), LANES * TAPS) };
            for (to, kernel) in row.chunks_exact_mut(TAPS).zip(&kernels) {
                for (to, tap) in to.iter_mut().zip(kernel) {
                    *to = tap[k];
                }
            }
        }
    }
}
