//! Input transform: `Bᵀ d B` of the input pixels of tiles.

use super::product;
use super::tile_size::{Line, TileSize};
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

impl TileBuffer {
    /// The part of it from a block on.
    ///
    /// # Safety
    /// The buffer has this block.
    #[inline(always)]
    pub(super) unsafe fn from(self, block: usize) -> Self {
        // SAFETY: the caller guarantees that the buffer has this block.
        let start = unsafe { self.start.add(block * self.block) };
        Self { start, ..self }
    }
}

/// Layout of a buffer of transformed tiles.
#[derive(Clone, Copy)]
pub(super) struct TileLayout {
    block: usize,
    place: usize,
    /// Floats of the buffer.
    pub(super) length: usize,
}

impl TileLayout {
    pub(super) fn of<T: TileSize>(blocks: usize, tiles: usize) -> Self {
        let block = product::room(tiles) * LANES;
        // One line of padding, so that the places do not map to the same cache sets.
        let place = blocks * block + LANES;
        Self {
            block,
            place,
            length: T::PLACES * place,
        }
    }

    pub(super) fn at(self, start: *mut f32) -> TileBuffer {
        TileBuffer {
            start,
            place: self.place,
            block: self.block,
        }
    }
}

/// Input pixels of the tiles.
#[derive(Clone, Copy)]
pub(super) struct InputTiles<'a, T, S> {
    pub(super) x: &'a [f32],
    pub(super) extent: Extent,
    pub(super) prologue: S,
    pub(super) tiles: Tiles<T>,
}

impl<T: TileSize, S: Prologue> InputTiles<'_, T, S> {
    /// Row `i` of the input pixels of a tile, zero-padded.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and all vectors of a block of an image can be read at `plane`.
    #[inline(always)]
    pub(super) unsafe fn row<V: Vector>(
        &self,
        block: &S::Block<V>,
        plane: *const f32,
        (tile, i): (Tile, usize),
    ) -> Line<V> {
        let Extent { rows, columns, .. } = self.extent;
        // −1 wraps around, and is outside the plane.
        let (row, column) = (
            (T::OUTPUTS * tile.row + i).wrapping_sub(1),
            (T::OUTPUTS * tile.column).wrapping_sub(1),
        );
        // SAFETY: the caller guarantees the instruction set and the plane, and every pixel that is read was found to be inside.
        unsafe {
            let mut pixels = [V::splat(0.0); 6];
            if row >= rows {
                return pixels;
            }
            let line = plane.add(row * columns * LANES);
            if column < columns && column + T::INPUTS - 1 < columns {
                for (j, pixel) in pixels.iter_mut().take(T::INPUTS).enumerate() {
                    *pixel = S::get(block, line.add((column + j) * LANES));
                }
                return pixels;
            }
            for (j, pixel) in pixels.iter_mut().take(T::INPUTS).enumerate() {
                let column = column.wrapping_add(j);
                if column < columns {
                    *pixel = S::get(block, line.add(column * LANES));
                }
            }
            pixels
        }
    }

    /// Transforms a chunk's tiles of a block.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and `x` has all planes of the extent, which has this block. `to` has room for the chunk's tiles
    /// in all places of one block, and no other task uses it.
    #[inline(always)]
    pub(super) unsafe fn transform<V: Vector>(&self, chunk: Chunk, block: usize, to: TileBuffer) {
        let mut tile = self.tiles.at(chunk.first);
        // SAFETY: the caller guarantees the instruction set, x, the block and the room at `to`; the chunk's tiles are of the extent, so that `plane`
        // is that of an image's block.
        unsafe {
            let registers = self.prologue.block::<V>(block);
            for number in 0..chunk.count {
                let plane = tile.image * self.extent.image() + block * self.extent.plane();
                let plane = self.x.as_ptr().add(plane);
                let mut half = [[V::splat(0.0); 6]; 6];
                for i in 0..T::INPUTS {
                    half[i] = T::input(self.row(&registers, plane, (tile, i)));
                }
                let to_tile = to.start.add(number * LANES);
                for j in 0..T::INPUTS {
                    let mut column = [V::splat(0.0); 6];
                    for i in 0..T::INPUTS {
                        column[i] = half[i][j];
                    }
                    let column = T::input(column);
                    for i in 0..T::INPUTS {
                        column[i].store(to_tile.add((T::INPUTS * i + j) * to.place));
                    }
                }
                tile = self.tiles.after(tile);
            }
        }
    }
}
