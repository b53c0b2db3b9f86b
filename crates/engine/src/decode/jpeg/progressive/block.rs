//! What the decoders of all kinds of scans share.

use super::super::BLOCK;
use super::super::bits::BitReader;
use super::super::component_buffer::{BlockMut, Coefficients};
use super::super::full::idct::STORAGE_ORDER;

/// Decodes the blocks of one kind of scan.
pub(super) trait BlockDecoder {
    /// Resets the state at a restart marker.
    fn restart(&mut self);

    /// Decodes the scan's part of a block of its component `number`. `None` if the data are invalid.
    fn block(&mut self, bits: &mut BitReader<'_>, number: usize, block: BlockMut<'_>) -> Option<()>;
}

/// Sets the AC coefficient with zigzag index `k`. Takes and returns the bit mask of nonzero coefficients.
#[inline(always)]
pub(super) fn put(values: &mut Coefficients, nonzero: u64, k: usize, value: i16) -> u64 {
    values[usize::from(STORAGE_ORDER[k % BLOCK]) % BLOCK] = value;
    (nonzero & !(1 << k)) | (u64::from(value != 0) << k)
}
