//! Input transform: `Bᵀ d B` of the input pixels of tiles.

use super::PLACES;
use super::tiles::{Chunk, Tile, Tiles};
use crate::kernels::Extent;
use crate::kernels::prologue::Prologue;
use crate::kernels::vector::{LANES, Vector};

/// Buffer of transformed tiles: `[place][block][tile][16]`.
#[derive(Clone, Copy)]
pub(super) struct TileBuffer {
    pub(super) start: *mut f32,
    /// Stride between places, in floats.
    pub(super) place: usize,
    /// Stride between blocks, in floats.
    pub(super) block: usize,
}

/// Input pixels of the tiles.
#[derive(Clone, Copy)]
pub(super) struct InputTiles<'a, S> {
    pub(super) x: &'a [f32],
    pub(super) extent: Extent,
    pub(super) prologue: S,
    pub(super) tiles: Tiles,
}

impl<S: Prologue> InputTiles<'_, S> {
    /// Row `i` of the 4 × 4 input pixels of a tile, zero-padded.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and all vectors of a block of an image can be read at `plane`.
    #[inline(always)]
    pub(super) unsafe fn row<V: Vector>(
        &self,
        block: &S::Block<V>,
        plane: *const f32,
        (tile, i): (Tile, usize),
    ) -> [V; 4] {
        let Extent { rows, columns, .. } = self.extent;
        // −1 wraps around, and is outside the plane.
        let (row, column) = (
            (2 * tile.row + i).wrapping_sub(1),
            (2 * tile.column).wrapping_sub(1),
        );
        // SAFETY: the caller guarantees the instruction set and the plane, and every pixel that is read was found to be inside.
        unsafe {
            let mut pixels = [V::splat(0.0); 4];
            if row >= rows {
                return pixels;
            }
            let line = plane.add(row * columns * LANES);
            if column < columns && column + 3 < columns {
                for (j, pixel) in pixels.iter_mut().enumerate() {
                    *pixel = S::get(block, line.add((column + j) * LANES));
                }
                return pixels;
            }
            for (j, pixel) in pixels.iter_mut().enumerate() {
                let column = column.wrapping_add(j);
                if column < columns {
                    *pixel = S::get(block, line.add(column * LANES));
                }
            }
            pixels
        }
    }

    /// Transforms all blocks of a chunk's tiles.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and `x` has all planes of the extent. `to` has room for the chunk's tiles in each of sixteen
    /// places and each block, and no other task uses it.
    #[inline(always)]
    pub(super) unsafe fn transform<V: Vector>(&self, chunk: Chunk, to: TileBuffer) {
        for block in 0..self.extent.blocks {
            let mut tile = self.tiles.at(chunk.first);
            // SAFETY: the caller guarantees the instruction set, x and the room at `to`; the block and the chunk's tiles are of the extent, so
            // that `plane` is that of an image's block.
            unsafe {
                let registers = self.prologue.block::<V>(block);
                for number in 0..chunk.count {
                    let plane = tile.image * self.extent.image() + block * self.extent.plane();
                    let plane = self.x.as_ptr().add(plane);
                    let mut d = [[V::splat(0.0); 4]; 4];
                    for (i, d) in d.iter_mut().enumerate() {
                        *d = self.row(&registers, plane, (tile, i));
                    }
                    let to_tile = to.start.add(block * to.block + number * LANES);
                    for (i, row) in transform_tile(d).into_iter().enumerate() {
                        for (j, value) in row.into_iter().enumerate() {
                            value.store(to_tile.add((4 * i + j) * to.place));
                        }
                    }
                    tile = self.tiles.after(tile);
                }
            }
        }
    }
}

/// `Bᵀ d B`.
#[inline(always)]
fn transform_tile<V: Vector>(mut d: [[V; 4]; 4]) -> [[V; 4]; 4] {
    for j in 0..4 {
        let column = line([d[0][j], d[1][j], d[2][j], d[3][j]]);
        for i in 0..4 {
            d[i][j] = column[i];
        }
    }
    for row in &mut d {
        *row = line(*row);
    }
    d
}

/// `Bᵀ` times a column.
#[inline(always)]
pub(super) fn line<V: Vector>(d: [V; 4]) -> [V; 4] {
    [d[0].sub(d[2]), d[1].add(d[2]), d[2].sub(d[1]), d[1].sub(d[3])]
}

const _: () = assert!(PLACES == 4 * 4);
