//! What a depthwise convolution reads: an activation, or a 1×1 convolution that is computed a few rows at a time and not kept.

use super::band::Band;
use super::rows::Row;
use crate::kernels::Extent;
use crate::kernels::vector::{LANES, Vector};

/// Planes, each of a block of channels of an image.
pub(super) trait Planes: Copy + Sync {
    /// Approximate number of output pixels per band.
    const PIXELS: usize;

    /// Floats of memory that [`Planes::rows`] needs for a band.
    fn memory(&self, band: Band) -> usize;

    /// Where the rows of a band start, and the band with its place in them.
    ///
    /// `held` are the first row and the end of those that the memory has: none before the first call for a plane. Bands of further calls start and
    /// end no earlier.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and there is a plane of this image and block. No other task uses the memory, which is as large
    /// as [`Planes::memory`] says and has what earlier calls for this plane left in it.
    unsafe fn rows<V: Vector>(
        &self,
        band: Band,
        plane: [usize; 2],
        memory: *mut f32,
        held: &mut [usize; 2],
    ) -> (*const f32, Band);
}

/// Planes of an activation `[N, C, H, W]` in NCHWc layout.
#[derive(Clone, Copy)]
pub(super) struct Activation<'a> {
    pub(super) x: &'a [f32],
    pub(super) extent: Extent,
}

impl Planes for Activation<'_> {
    /// More than other convolutions have, because rows of the window that two bands share are copied twice, and one block of them fits into a
    /// core's first cache.
    const PIXELS: usize = 448;

    fn memory(&self, _: Band) -> usize {
        0
    }

    #[inline(always)]
    unsafe fn rows<V: Vector>(
        &self,
        band: Band,
        [image, block]: [usize; 2],
        _: *mut f32,
        _: &mut [usize; 2],
    ) -> (*const f32, Band) {
        let plane = image * self.extent.image() + block * self.extent.plane();
        // SAFETY: the caller guarantees that there is the plane, and x was found to have all planes.
        (unsafe { self.x.as_ptr().add(plane) }, band)
    }
}

/// Planes of the 1×1 convolution of an activation `[N, C, H, W]` in NCHWc layout.
#[derive(Clone, Copy)]
pub(super) struct Expansion<'a> {
    pub(super) x: &'a [f32],
    pub(super) extent: Extent,
    /// `[block][C][16]`.
    pub(super) weights: &'a [f32],
}

impl Planes for Expansion<'_> {
    /// The rows of a band fit into a core's first cache.
    const PIXELS: usize = 112;

    fn memory(&self, band: Band) -> usize {
        band.rows * self.extent.columns * LANES
    }

    /// Moves the rows that the band before has, too, to the start of the memory, and computes the others behind them.
    #[inline(always)]
    unsafe fn rows<V: Vector>(
        &self,
        mut band: Band,
        [image, block]: [usize; 2],
        memory: *mut f32,
        held: &mut [usize; 2],
    ) -> (*const f32, Band) {
        let Extent { rows, columns, .. } = self.extent;
        let inside = |row: isize| row.max(0).unsigned_abs().min(rows);
        let [first, end] = [0, band.rows].map(|row| inside(band.start[0].saturating_add_unsigned(row)));
        let known = held[1].clamp(first, end);
        let line = columns * LANES;
        let start = image * self.extent.image() + known * line;
        // SAFETY: the caller guarantees the instruction set, and that the memory is this task's and has room for `end - first` rows, which are no more
        // than the band's. If `known` is beyond `first`, it has the rows from `held[0]`, which is at most `first`, to `known`. x has `end - known` rows
        // from `start` on in each of its planes of this image, and `weights` has all blocks.
        unsafe {
            if known > first {
                let from = memory.add((first - held[0]) * line);
                std::ptr::copy(from, memory, (known - first) * line);
            }
            let row = Row {
                band: self.x.as_ptr().add(start),
                band_block: self.extent.plane(),
                blocks: self.extent.blocks,
                taps: &[0],
                weights: self.weights.as_ptr().add(block * self.extent.channels() * LANES),
                count: (end - known) * columns,
                to: memory.add((known - first) * line),
                step: LANES,
                plane: 0,
            };
            row.compute::<V, 1, LANES>();
        }
        *held = [first, end];
        band.plane[0] = end - first;
        band.start[0] = band.start[0].saturating_sub_unsigned(first);
        (memory, band)
    }
}
