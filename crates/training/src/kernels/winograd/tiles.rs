use std::marker::PhantomData;

use super::tile_size::TileSize;
use crate::kernels::Extent;

/// Partition of planes into tiles of `T`; those at the lower and right border may extend beyond the plane.
///
/// Tiles are numbered across all images, row by row.
#[derive(Clone, Copy)]
pub(super) struct Tiles<T> {
    size: PhantomData<T>,
    down: usize,
    across: usize,
    /// Number of tiles in all images.
    pub(super) total: usize,
}

/// A tile's image, and its row and column among the tiles.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl<T: TileSize> Tiles<T> {
    pub(super) fn of(extent: Extent) -> Self {
        let [down, across] = [extent.rows, extent.columns].map(|pixels| pixels.div_ceil(T::OUTPUTS));
        Self {
            size: PhantomData,
            down,
            across,
            total: extent.images * down * across,
        }
    }

    /// The tile with that number.
    pub(super) fn at(&self, number: usize) -> Tile {
        let (line, column) = (number / self.across, number % self.across);
        let (image, row) = (line / self.down, line % self.down);
        Tile { image, row, column }
    }

    /// The next tile.
    #[inline(always)]
    pub(super) fn after(&self, tile: Tile) -> Tile {
        let Tile { image, row, column } = tile;
        if column + 1 < self.across {
            let column = column + 1;
            Tile { image, row, column }
        } else if row + 1 < self.down {
            let (row, column) = (row + 1, 0);
            Tile { image, row, column }
        } else {
            let (image, row, column) = (image + 1, 0, 0);
            Tile { image, row, column }
        }
    }
}

/// A range of consecutive tiles.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) first: usize,
    pub(super) count: usize,
}

impl Chunk {
    /// The chunk with that number, for chunks of `size` of `total` tiles.
    pub(super) fn of(total: usize, size: usize, number: usize) -> Self {
        let first = number * size;
        let count = size.min(total - first);
        Self { first, count }
    }
}
