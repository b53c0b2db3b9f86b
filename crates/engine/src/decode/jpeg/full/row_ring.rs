//! The samples of a component that are needed at a time.

use super::super::SIDE;

/// Rows of units that are kept: one that is read, the one before, of which pixels are made, and the one above that.
const KEPT: usize = 3;

/// Rows of samples, each in the place of one that nobody needs any more.
#[derive(Debug, Default)]
pub(super) struct RowRing {
    stride: usize,
    /// Rows that there is room for.
    rows: usize,
    samples: Vec<u8>,
    /// The first sample of the row of units that is being read.
    first: usize,
}

impl RowRing {
    /// A ring for `across` blocks in a row, and `down` rows of them in a row of units, in the memory of another one. Holds anything.
    pub(super) fn new(across: usize, down: usize, used: Option<Self>) -> Self {
        let (stride, rows) = (across * SIDE, KEPT * down * SIDE);
        let mut samples = used.unwrap_or_default().samples;
        samples.resize(stride * rows, 0);
        Self {
            stride,
            rows,
            samples,
            first: 0,
        }
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.samples.capacity()
    }

    /// Row `y` of the component.
    #[inline(always)]
    pub(super) fn row(&self, y: usize) -> &[u8] {
        &self.samples[y % self.rows * self.stride..][..self.stride]
    }

    /// The row of units that is being read, and the samples in a row of the component.
    #[inline(always)]
    pub(super) fn mcu_row_mut(&mut self) -> (&mut [u8], usize) {
        let length = self.samples.len() / KEPT;
        (&mut self.samples[self.first..][..length], self.stride)
    }

    /// Goes on to the next row of units.
    pub(super) fn advance(&mut self) {
        self.first = (self.first + self.samples.len() / KEPT) % self.samples.len();
    }
}
