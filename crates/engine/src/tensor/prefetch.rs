//! Software prefetch of the source image.

use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};

/// Bytes per cache line.
const LINE: usize = 64;
/// Maximum bytes prefetched: leaves room for the result in a 1 MiB L2 cache.
const LIMIT: usize = 640 << 10;

/// Prefetches an image into the L2 cache if it is no larger than [`LIMIT`].
///
/// A rotated row of the result crosses many rows of the source, with a new cache line every few pixels, which hardware prefetchers do not
/// predict: without this, memory latency exceeds the time of all computation.
pub(super) fn prefetch(bytes: &[u8]) {
    if bytes.len() > LIMIT {
        return;
    }
    for line in bytes.chunks(LINE) {
        // SAFETY: a hint that changes no memory, about an address inside the slice, with an instruction that every x86-64 has.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
}
