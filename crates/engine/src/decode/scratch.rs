//! Buffers that a thread reuses for the next image.

use std::cell::RefCell;

use super::jpeg::full::JpegScratch;
use super::resize::Resizer;

/// Maximum bytes of a buffer that is kept, enough for 2.8 megapixels. Larger ones are freed after use; they are rare, because large JPEGs
/// are decoded at a reduced size.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// Pixel buffer, and the buffers of the JPEG decoder and of the resizer. Without reuse, page faults are a quarter of the CPU time of an
/// image of 500x375 pixels.
pub(super) struct DecodeScratch {
    /// Contents are unspecified.
    pub(super) pixels: Vec<u8>,
    pub(super) jpeg: JpegScratch,
    pub(super) resizer: Resizer,
}

thread_local! {
    static SCRATCH: RefCell<DecodeScratch> = RefCell::new(DecodeScratch {
        pixels: Vec::new(),
        jpeg: JpegScratch::default(),
        resizer: Resizer::default(),
    });
}

/// Calls `work` with this thread's buffers. Panics if called within `work`.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut DecodeScratch) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        let result = work(scratch);
        if scratch.pixels.capacity() > MAX_KEPT_BYTES {
            scratch.pixels = Vec::new();
        }
        if scratch.jpeg.bytes() > MAX_KEPT_BYTES {
            scratch.jpeg = JpegScratch::default();
        }
        if scratch.resizer.buffer_bytes() > MAX_KEPT_BYTES {
            scratch.resizer.free_buffers();
        }
        result
    })
}
