//! Memory that a kernel needs while it runs, kept from run to run.

use std::cell::Cell;

/// Floats at an address that suits every vector, of any content.
#[derive(Default)]
pub(super) struct AlignedBuffer(Vec<Line>);

/// A line of a cache, and a vector of sixteen floats.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

impl AlignedBuffer {
    /// At least `length` floats, with whatever stands in them.
    pub(super) fn slice(&mut self, length: usize) -> &mut [f32] {
        let lines = length.div_ceil(16);
        if self.0.len() < lines {
            // Not grown, but replaced: the old content is of no use, and must not be copied.
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

/// The memory of this thread, given back when dropped.
pub(super) struct ScratchGuard(AlignedBuffer);

/// Lends the memory of this thread. Who asks while it is lent gets new memory.
pub(super) fn acquire() -> ScratchGuard {
    ScratchGuard(THREAD_SCRATCH.take())
}

impl ScratchGuard {
    /// At least `length` floats, with whatever stands in them.
    pub(super) fn slice(&mut self, length: usize) -> &mut [f32] {
        self.0.slice(length)
    }
}

impl Drop for ScratchGuard {
    fn drop(&mut self) {
        THREAD_SCRATCH.set(std::mem::take(&mut self.0));
    }
}

/// What a kernel keeps for all its tasks: weights in another order, partial sums.
///
/// One is enough for all kernels that run one after the other.
#[derive(Default)]
pub struct Workspace {
    pub(super) weights: AlignedBuffer,
    pub(super) sums: AlignedBuffer,
}

impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workspace").finish_non_exhaustive()
    }
}
