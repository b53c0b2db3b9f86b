//! What a thread keeps from one image to the next.

use std::cell::RefCell;

use super::jpeg::full::JpegScratch;
use super::resize::Resizer;

/// Bytes above which a buffer goes back after use: those of 2.8 megapixels. Larger images are rare, for JPEGs are decoded to a part of
/// their size.
const KEPT: usize = 8 << 20;

/// Memory for an image's own pixels, and a decoder's and a shrinker's own. Where each image takes new memory, the system's work for its pages is a
/// quarter of the work for an image of 500 pixels.
pub(super) struct DecodeScratch {
    /// Of whatever was there before.
    pub(super) pixels: Vec<u8>,
    pub(super) kept: JpegScratch,
    pub(super) resizer: Resizer,
}

thread_local! {
    static SCRATCH: RefCell<DecodeScratch> = RefCell::new(DecodeScratch {
        pixels: Vec::new(),
        kept: JpegScratch::default(),
        resizer: Resizer::default(),
    });
}

/// Gives `work` what this thread keeps; not to be asked within `work`.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut DecodeScratch) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        let made = work(scratch);
        if scratch.pixels.capacity() > KEPT {
            scratch.pixels = Vec::new();
        }
        if scratch.kept.bytes() > KEPT {
            scratch.kept = JpegScratch::default();
        }
        if scratch.resizer.kept() > KEPT {
            scratch.resizer.forget();
        }
        made
    })
}
