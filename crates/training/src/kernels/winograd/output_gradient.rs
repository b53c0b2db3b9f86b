//! Transform of output gradients: `A dy Aᵀ` of the pixels of tiles.

use super::input::TileBuffer;
use super::tile_size::TileSize;
use super::tiles::{Chunk, Tiles};
use crate::kernels::Extent;
use crate::kernels::vector::{LANES, Vector};

/// Output gradients of the tiles.
#[derive(Clone, Copy)]
pub(super) struct OutputGradientTiles<'a, T> {
    pub(super) dy: &'a [f32],
    pub(super) extent: Extent,
    pub(super) tiles: Tiles<T>,
}

impl<T: TileSize> OutputGradientTiles<'_, T> {
    /// Transforms a chunk's tiles of a block.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and `dy` has all planes of the extent, which has this block. `to` has room for the chunk's
    /// tiles in all places of one block, and no other task uses it.
    #[inline(always)]
    pub(super) unsafe fn transform<V: Vector>(&self, chunk: Chunk, block: usize, to: TileBuffer) {
        let Extent { rows, columns, .. } = self.extent;
        let mut tile = self.tiles.at(chunk.first);
        // SAFETY: the caller guarantees the instruction set, dy, the block and the room at `to`; the tiles are of the extent, and pixels outside the
        // plane are not read.
        unsafe {
            for number in 0..chunk.count {
                let plane = tile.image * self.extent.image() + block * self.extent.plane();
                let [top, left] = [tile.row, tile.column].map(|tile| T::OUTPUTS * tile);
                let corner = self.dy.as_ptr().add(plane + (top * columns + left) * LANES);
                let mut half = [[V::splat(0.0); 6]; 6];
                for j in 0..T::OUTPUTS.min(columns - left) {
                    let mut pixels = [V::splat(0.0); 6];
                    for i in 0..T::OUTPUTS.min(rows - top) {
                        pixels[i] = V::load(corner.add((i * columns + j) * LANES));
                    }
                    half[j] = T::output_gradient(pixels);
                }
                let to_tile = to.start.add(number * LANES);
                for i in 0..T::INPUTS {
                    let mut row = [V::splat(0.0); 6];
                    for j in 0..T::OUTPUTS {
                        row[j] = half[j][i];
                    }
                    let row = T::output_gradient(row);
                    for j in 0..T::INPUTS {
                        row[j].store(to_tile.add((T::INPUTS * i + j) * to.place));
                    }
                }
                tile = self.tiles.after(tile);
            }
        }
    }
}
