use super::input::{InputTiles, TileBuffer, line};
use super::tiles::{Chunk, Tiles};
use crate::kernels::Extent;
use crate::kernels::instructions::{InstructionSet, Kernel};
use crate::kernels::pool::Pool;
use crate::kernels::prologue::{Identity, Prologue};
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
    let &WeightGradient {
        input: extent,
        output,
        ..
    } = gradient;
    let blocks = output.blocks;
    let tiles = Tiles::of(extent);
    let parts = (blocks / 4).clamp(1, 8);
    // Enough tasks to occupy several cores; slices with their own sums only if these are small.
    let slices = (4 / parts).clamp(1, tiles.total.div_ceil(CHUNK));
    let place = blocks * extent.blocks * LANES * LANES + LANES;
    let sums = workspace.sums.slice(slices * 16 * place);
    let work = Sums {
        gradient,
        tiles,
        parts,
        slices,
        place,
        sums: UnsafeSlice::new(sums),
    };
    set.run(pool, slices * parts * 4, &work);
    set.run(pool, blocks * extent.blocks, &InverseTransform(&work));
}

/// Tiles per chunk.
const CHUNK: usize = 56;

/// First pass: the sums of products, for each slice of the tiles and each place.
///
/// A task computes the four places of one row of the transformed tile, which depend on at most half of a tile's pixels.
struct Sums<'a, S> {
    gradient: &'a WeightGradient<'a, S>,
    tiles: Tiles,
    /// Number of parts into which the blocks of dy are split.
    parts: usize,
    /// Number of slices of the tiles with their own sums.
    slices: usize,
    /// Stride between places, in floats, of the sums: `[slice][place][block of dy][channel of x][16]`.
    place: usize,
    sums: UnsafeSlice<'a>,
}

impl<S: Prologue> Kernel for Sums<'_, S> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let &WeightGradient {
            input: extent,
            output,
            ..
        } = self.gradient;
        let blocks = output.blocks;
        let (row, number) = (number % 4, number / 4);
        let (part, slice) = (number % self.parts, number / self.parts);
        let [first, last] = [part, part + 1].map(|part| part * blocks / self.parts);
        let chunks = self.tiles.total.div_ceil(CHUNK);
        let [from, to] = [slice, slice + 1].map(|slice| slice * chunks / self.slices);
        let line = CHUNK * LANES;
        let x_place = extent.blocks * line + LANES;
        let dy_place = (last - first) * line + LANES;
        let mut scratch = scratch::acquire();
        let start = scratch.slice(4 * (x_place + dy_place)).as_mut_ptr();
        let transformed_x = TileBuffer {
            start,
            place: x_place,
            block: line,
        };
        let transformed_dy = TileBuffer {
            // SAFETY: the scratch memory is longer than its first part.
            start: unsafe { start.add(4 * x_place) },
            place: dy_place,
            block: line,
        };
        // SAFETY: the caller guarantees the instruction set and a valid task number. x and dy were found to have all planes; scratch memory has four
        // places of a chunk's tiles for both; the sums have all slices and places, and this task alone uses its row's places of its blocks in
        // its slice.
        unsafe {
            for chunk in from..to {
                let chunk = Chunk::of(self.tiles, CHUNK, chunk);
                self.transform_input_row::<V>(chunk, row, transformed_x);
                self.transform_dy_row::<V>(chunk, row, [first, last], transformed_dy);
                for column in 0..4 {
                    let place = (slice * 16 + 4 * row + column) * self.place;
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

impl<S: Prologue> Sums<'_, S> {
    /// Computes one row of `Bᵀ d B`.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and the chunk is one of the tiles. `to` has room for its tiles in each of four places and each
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
        // The two pixel rows that a row of Bᵀ adds or subtracts.
        let (above, below, sign) = [(0, 2, -1.0), (1, 2, 1.0), (2, 1, -1.0), (1, 3, -1.0)][row];
        for block in 0..extent.blocks {
            let mut tile = self.tiles.at(chunk.first);
            // SAFETY: the caller guarantees the instruction set and the room at `to`. x was found to have all planes, and the block and the chunk's
            // tiles are of its extent, so that `plane` is that of an image's block.
            unsafe {
                let registers = prologue.block::<V>(block);
                let sign = V::splat(sign);
                for number in 0..chunk.count {
                    let plane = x
                        .as_ptr()
                        .add(tile.image * extent.image() + block * extent.plane());
                    let mut half = input.row(&registers, plane, (tile, above));
                    let below = input.row(&registers, plane, (tile, below));
                    for j in 0..4 {
                        half[j] = below[j].mul_add(sign, half[j]);
                    }
                    let to_tile = to.start.add(block * to.block + number * LANES);
                    for (j, value) in line(half).into_iter().enumerate() {
                        value.store(to_tile.add(j * to.place));
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
    /// in each of four places and each of these blocks, and no other task uses it.
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
        let (above, below) = [(1.0, 0.0), (1.0, 1.0), (1.0, -1.0), (0.0, -1.0)][row];
        for block in first..last {
            let mut tile = self.tiles.at(chunk.first);
            // SAFETY: the caller guarantees the instruction set, the block and the room at `to`. dy was found to have all planes, and the chunk's
            // tiles are of its extent, so that `plane` is that of an image's block.
            unsafe {
                let (above, below) = (V::splat(above), V::splat(below));
                for number in 0..chunk.count {
                    let plane = dy
                        .as_ptr()
                        .add(tile.image * extent.image() + block * extent.plane());
                    let pixels = pixels::<V>(plane, extent, [tile.row, tile.column]);
                    let mut half = [V::splat(0.0); 2];
                    for j in 0..2 {
                        half[j] = pixels[1][j].mul_add(below, pixels[0][j].mul(above));
                    }
                    let values = [
                        half[0],
                        half[0].add(half[1]),
                        half[0].sub(half[1]),
                        V::splat(0.0).sub(half[1]),
                    ];
                    let to_tile = to.start.add((block - first) * to.block + number * LANES);
                    for (j, value) in values.into_iter().enumerate() {
                        value.store(to_tile.add(j * to.place));
                    }
                    tile = self.tiles.after(tile);
                }
            }
        }
    }
}

/// The 2 × 2 pixels of a tile, zero outside the plane.
///
/// # Safety
/// The CPU supports the instruction set of `V`, and all vectors of a block of an image can be read at `plane`.
#[inline(always)]
unsafe fn pixels<V: Vector>(plane: *const f32, extent: Extent, [row, column]: [usize; 2]) -> [[V; 2]; 2] {
    // SAFETY: the caller guarantees the instruction set and the plane, and every pixel that is read was found to be inside.
    unsafe {
        let mut pixels = [[V::splat(0.0); 2]; 2];
        for (i, pixels) in pixels.iter_mut().enumerate() {
            for (j, pixel) in pixels.iter_mut().enumerate() {
                let (i, j) = (2 * row + i, 2 * column + j);
                if i < extent.rows && j < extent.columns {
                    *pixel = Identity::get(&(), plane.add((i * extent.columns + j) * LANES));
                }
            }
        }
        pixels
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
struct InverseTransform<'a, S>(&'a Sums<'a, S>);

impl<S: Prologue> Kernel for InverseTransform<'_, S> {
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
                let half = V::splat(0.5);
                let mut columns = [[V::splat(0.0); 3]; 4];
                for (j, column) in columns.iter_mut().enumerate() {
                    let mut m = [V::splat(0.0); 4];
                    for (i, m) in m.iter_mut().enumerate() {
                        for slice in 0..work.slices {
                            let place = slice * 16 + 4 * i + j;
                            *m = m.add(V::load(work.sums.at(place * work.place + at)));
                        }
                    }
                    *column = inverse_line(m, half);
                }
                for i in 0..3 {
                    let row =
                        inverse_line([columns[0][i], columns[1][i], columns[2][i], columns[3][i]], half);
                    for (j, value) in row.into_iter().enumerate() {
                        value.store(kernel[3 * i + j].as_mut_ptr());
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

/// `Gᵀ` times a column.
#[inline(always)]
fn inverse_line<V: Vector>(m: [V; 4], half: V) -> [V; 3] {
    let (sum, difference) = (m[1].add(m[2]), m[1].sub(m[2]));
    [
        m[0].add(sum.mul(half)),
        difference.mul(half),
        sum.mul(half).add(m[3]),
    ]
}
