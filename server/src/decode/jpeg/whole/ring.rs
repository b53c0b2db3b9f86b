//! The samples of a component that are needed at a time.

use super::super::SIDE;

/// Rows of units that are kept: one that is read, the one before, of which pixels are made, and the one above that.
const KEPT: usize = 3;

/// Rows of samples, each in the place of one that nobody needs any more.
#[derive(Debug, Default)]
pub(super) struct Ring {
    stride: usize,
    /// Rows that there is room for.
    rows: usize,
    samples: Vec<u8>,
}

impl Ring {
    /// A ring for `across` blocks in a row, and `down` rows of them in a row of units, in the memory of another one. Holds anything.
    pub(super) fn new(across: usize, down: usize, used: Option<Self>) -> Self {
        let (stride, rows) = (across * SIDE, KEPT * down * SIDE);
        let mut samples = used.unwrap_or_default().samples;
        samples.resize(stride * rows, 0);
        Self {
            stride,
            rows,
            samples,
        }
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.samples.capacity()
    }

    /// Row `y` of the component.
    #[inline]
    pub(super) fn row(&self, y: usize) -> &[u8] {
        &self.samples[y % self.rows * self.stride..][..self.stride]
    }

    /// From the first sample of the block in column `x` and row `y` of blocks on, and from one row to the next.
    #[inline]
    pub(super) fn block(&mut self, x: usize, y: usize) -> (&mut [u8], usize) {
        let first = y * SIDE % self.rows * self.stride + x * SIDE;
        (&mut self.samples[first..], self.stride)
    }
}
