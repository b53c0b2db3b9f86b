//! Ring buffer of the sample rows of a component.

use super::super::SIDE;

/// MCU rows in the buffer: the one being decoded, the previous one, which is upsampled, and the one above that.
const MCU_ROWS: usize = 3;

/// Rows of samples; each MCU row overwrites the oldest one.
#[derive(Debug, Default)]
pub(super) struct RowRing {
    stride: usize,
    /// Capacity in rows.
    rows: usize,
    samples: Vec<u8>,
    /// Index of the first sample of the MCU row being decoded.
    first: usize,
}

impl RowRing {
    /// A ring for `across` blocks per row and `down` block rows per MCU row. Reuses the memory of `used`; contents are unspecified.
    pub(super) fn new(across: usize, down: usize, used: Option<Self>) -> Self {
        let (stride, rows) = (across * SIDE, MCU_ROWS * down * SIDE);
        let mut samples = used.unwrap_or_default().samples;
        samples.resize(stride * rows, 0);
        Self {
            stride,
            rows,
            samples,
            first: 0,
        }
    }

    /// Bytes of allocated memory.
    pub(super) fn bytes(&self) -> usize {
        self.samples.capacity()
    }

    /// Row `y` of the component.
    #[inline(always)]
    pub(super) fn row(&self, y: usize) -> &[u8] {
        &self.samples[y % self.rows * self.stride..][..self.stride]
    }

    /// The samples of the MCU row being decoded, and the number of samples per row.
    #[inline(always)]
    pub(super) fn mcu_row_mut(&mut self) -> (&mut [u8], usize) {
        let length = self.samples.len() / MCU_ROWS;
        (&mut self.samples[self.first..][..length], self.stride)
    }

    /// Advances to the next MCU row.
    pub(super) fn advance(&mut self) {
        self.first = (self.first + self.samples.len() / MCU_ROWS) % self.samples.len();
    }
}
