use super::vector::LANES;

/// Extents of activations `[N, C, H, W]`, C a multiple of sixteen.
///
/// Kernels keep activations in blocks of sixteen channels, `[N][C/16][H][W][16]`: a pixel of a block is one vector, and what a window
/// sees of a row is one piece of memory. The number of elements is that of `[N, C, H, W]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// N.
    pub images: usize,
    /// C/16.
    pub blocks: usize,
    /// H.
    pub rows: usize,
    /// W.
    pub columns: usize,
}

impl Extent {
    /// Floats of one block of one image.
    #[must_use]
    pub fn plane(&self) -> usize {
        self.rows * self.columns * LANES
    }

    /// Floats of one image.
    #[must_use]
    pub fn image(&self) -> usize {
        self.blocks * self.plane()
    }

    /// Floats of everything.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.images * self.image()
    }

    /// C.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.blocks * LANES
    }

    /// Pixels per channel.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.images * self.rows * self.columns
    }
}
