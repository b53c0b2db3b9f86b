//! Transformed tiles that tasks share.

use super::input::{InputTiles, TileBuffer, TileLayout};
use super::tile_size::TileSize;
use super::tiles::Chunk;
use crate::kernels::instructions::Kernel;
use crate::kernels::prologue::Prologue;
use crate::kernels::unsafe_slice::UnsafeSlice;
use crate::kernels::vector::Vector;

/// Consecutive chunks, and the memory for their transformed tiles if tasks share them; as a kernel, their transform: a task for each block of a chunk.
#[derive(Clone, Copy)]
pub(super) struct Slab<'a, T, S> {
    pub(super) input: InputTiles<'a, T, S>,
    /// Tiles per chunk.
    pub(super) chunk: usize,
    /// Number of the first chunk.
    pub(super) first: usize,
    pub(super) layout: TileLayout,
    pub(super) shared: UnsafeSlice<'a>,
}

impl<T: TileSize, S: Prologue> Slab<'_, T, S> {
    /// The shared memory of the slab's chunk with that number.
    ///
    /// # Safety
    /// The memory has this chunk. The caller accesses it as the safety requirement of [`UnsafeSlice::at`] says.
    #[inline(always)]
    pub(super) unsafe fn transformed(&self, number: usize) -> TileBuffer {
        // SAFETY: the caller guarantees that the memory has this chunk.
        self.layout
            .at(unsafe { self.shared.at(number * self.layout.length) })
    }

    /// The tiles of the slab's chunk with that number.
    pub(super) fn chunk(&self, number: usize) -> Chunk {
        Chunk::of(self.input.tiles.total, self.chunk, self.first + number)
    }
}

impl<T: TileSize, S: Prologue> Kernel for Slab<'_, T, S> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let blocks = self.input.extent.blocks;
        let (chunk, block) = (number / blocks, number % blocks);
        // SAFETY: the caller guarantees the instruction set and a valid task number. x was found to have all planes; the memory has all chunks of
        // the slab, and this task alone writes this block of this chunk.
        unsafe {
            let to = self.transformed(chunk).from(block);
            self.input.transform::<V>(self.chunk(chunk), block, to);
        }
    }
}
