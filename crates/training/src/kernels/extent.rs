use super::vector::LANES;

/// Shape of activations `[N, C, H, W]` in NCHWc layout, with C a multiple of sixteen.
///
/// NCHWc is `[N][C/16][H][W][16]`: a pixel of a block of channels is one vector, and the pixels of a window's row are contiguous.
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
    /// Floats per block of channels of an image.
    #[must_use]
    pub fn plane(&self) -> usize {
        self.rows * self.columns * LANES
    }

    /// Floats per image.
    #[must_use]
    pub fn image(&self) -> usize {
        self.blocks * self.plane()
    }

    /// Floats in total.
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
