//! Temporary memory of kernels, reused from call to call.

use std::cell::Cell;

/// A buffer of floats, aligned to 64 bytes, with unspecified content.
#[derive(Default)]
pub(super) struct AlignedBuffer(Vec<Line>);

/// A cache line: a vector of sixteen floats.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

impl AlignedBuffer {
    /// `length` floats with unspecified content.
    pub(super) fn slice(&mut self, length: usize) -> &mut [f32] {
        let lines = length.div_ceil(16);
        if self.0.len() < lines {
            // Replaced instead of resized, which would copy the old content.
            self.0 = Vec::new();
            self.0 = vec![Line([0.0; 16]); lines];
        }
        let start = self.0.as_mut_ptr().cast::<f32>();
        // SAFETY: a line is sixteen floats without padding, and there are enough of them.
        unsafe { std::slice::from_raw_parts_mut(start, length) }
    }
}

thread_local! {
    static THREAD_SCRATCH: Cell<AlignedBuffer> = Cell::default();
}

/// Scratch memory of this thread, returned to the thread when dropped.
pub(super) struct ScratchGuard(AlignedBuffer);

/// Takes the scratch memory of this thread. While it is taken, further calls allocate new memory.
pub(super) fn acquire() -> ScratchGuard {
    ScratchGuard(THREAD_SCRATCH.take())
}

impl ScratchGuard {
    /// `length` floats with unspecified content.
    pub(super) fn slice(&mut self, length: usize) -> &mut [f32] {
        self.0.slice(length)
    }
}

impl Drop for ScratchGuard {
    fn drop(&mut self) {
        THREAD_SCRATCH.set(std::mem::take(&mut self.0));
    }
}

/// Temporary memory shared by the tasks of a kernel: packed weights, transformed tiles, and sums of parts of the work.
///
/// Kernels that run one after the other can share one.
#[derive(Default)]
pub struct Workspace {
    pub(super) weights: AlignedBuffer,
    pub(super) tiles: AlignedBuffer,
    pub(super) sums: AlignedBuffer,
}

impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workspace").finish_non_exhaustive()
    }
}
