//! Output transform: `Aᵀ m A` of summed products.

use super::input::TileBuffer;
use super::tile_size::TileSize;
use super::tiles::{Chunk, Tiles};
use crate::kernels::Extent;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::partial_sums::PartialSums;
use crate::kernels::vector::{LANES, Vector};

/// Output of [`OutputTiles::transform`].
#[derive(Clone, Copy)]
pub(super) struct OutputTiles<T, K> {
    pub(super) extent: Extent,
    pub(super) epilogue: K,
    pub(super) tiles: Tiles<T>,
}

impl<T: TileSize, K: Epilogue> OutputTiles<T, K> {
    /// Transforms the products of one block of a chunk's tiles; returns the block's partial sums.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and the result has a block of this number. `from` starts with the products of this block: in
    /// each place, `from.place` floats apart, a vector for each of the chunk's tiles. No other task has these tiles and this block.
    #[inline(always)]
    pub(super) unsafe fn transform<V: Vector>(
        &self,
        chunk: Chunk,
        from: TileBuffer,
        block: usize,
    ) -> PartialSums<V> {
        let Extent { rows, columns, .. } = self.extent;
        let mut tile = self.tiles.at(chunk.first);
        // SAFETY: the caller guarantees the instruction set, the block and the products. Pixels outside the plane are skipped, so that
        // `offset` is always that of a pixel, and of one of a tile that no other task has.
        unsafe {
            let mut registers = self.epilogue.block::<V>(block);
            for number in 0..chunk.count {
                let products = from.start.add(number * LANES);
                let mut half = [[V::splat(0.0); 6]; 6];
                for j in 0..T::INPUTS {
                    let mut m = [V::splat(0.0); 6];
                    for i in 0..T::INPUTS {
                        m[i] = V::load(products.add((T::INPUTS * i + j) * from.place));
                    }
                    half[j] = T::output(m);
                }
                let plane = tile.image * self.extent.image() + block * self.extent.plane();
                let column = T::OUTPUTS * tile.column;
                for i in 0..T::OUTPUTS {
                    let row = T::OUTPUTS * tile.row + i;
                    if row >= rows {
                        break;
                    }
                    let mut line = [V::splat(0.0); 6];
                    for j in 0..T::INPUTS {
                        line[j] = half[j][i];
                    }
                    let pixels = T::output(line);
                    let offset = plane + (row * columns + column) * LANES;
                    for j in 0..T::OUTPUTS {
                        if column + j < columns {
                            self.epilogue.put(&mut registers, offset + j * LANES, pixels[j]);
                        }
                    }
                }
                tile = self.tiles.after(tile);
            }
            K::partial_sums(registers)
        }
    }
}
