//! Asking for an image's bytes before they are needed.

use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};

/// Bytes of a cache line.
const LINE: usize = 64;
/// What leaves room for the result in a second-level cache of 1 MiB.
const LIMIT: usize = 640 << 10;

/// Asks for all of an image that fits into the second-level cache.
///
/// A turned row of the result crosses many rows of the source, a new line of memory every few pixels, and no hardware prefetcher sees a
/// pattern in that: without this, waiting for memory takes longer than all computing.
pub(super) fn prefetch(bytes: &[u8]) {
    if bytes.len() > LIMIT {
        return;
    }
    for line in bytes.chunks(LINE) {
        // SAFETY: a hint that changes no memory, about an address inside the slice, with an instruction that every x86-64 has.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
}
