//! Output transform: `Aᵀ m A` of summed products.

use super::input::TileBuffer;
use super::tiles::{Chunk, Tiles};
use crate::kernels::Extent;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::partial_sums::PartialSums;
use crate::kernels::vector::{LANES, Vector};

/// Output of [`OutputTiles::transform`].
#[derive(Clone, Copy)]
pub(super) struct OutputTiles<K> {
    pub(super) extent: Extent,
    pub(super) epilogue: K,
    pub(super) tiles: Tiles,
}

impl<K: Epilogue> OutputTiles<K> {
    /// Transforms the products of one block of a chunk's tiles; returns the block's partial sums.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and the result has a block of this number. `from` starts with the products of this block: in
    /// each of sixteen places, `from.place` floats apart, a vector for each of the chunk's tiles. No other task has these tiles and this block.
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
                let mut half = [[V::splat(0.0); 2]; 4];
                for (j, half) in half.iter_mut().enumerate() {
                    let mut m = [V::splat(0.0); 4];
                    for (i, m) in m.iter_mut().enumerate() {
                        *m = V::load(products.add((4 * i + j) * from.place));
                    }
                    *half = line(m);
                }
                let plane = tile.image * self.extent.image() + block * self.extent.plane();
                for i in 0..2 {
                    let row = 2 * tile.row + i;
                    if row >= rows {
                        break;
                    }
                    let pixels = line([half[0][i], half[1][i], half[2][i], half[3][i]]);
                    let column = 2 * tile.column;
                    let offset = plane + (row * columns + column) * LANES;
                    self.epilogue.put(&mut registers, offset, pixels[0]);
                    if column + 1 < columns {
                        self.epilogue.put(&mut registers, offset + LANES, pixels[1]);
                    }
                }
                tile = self.tiles.after(tile);
            }
            K::partial_sums(registers)
        }
    }
}

/// `Aᵀ` times a column.
#[inline(always)]
fn line<V: Vector>(m: [V; 4]) -> [V; 2] {
    [m[0].add(m[1]).add(m[2]), m[1].sub(m[2]).sub(m[3])]
}
