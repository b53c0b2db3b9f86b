//! Memory of a caller for one batch.

use std::{any::Any, ptr::NonNull};

use super::{Chunk, mapping::Mapping};

/// Memory of a caller into which one batch is written: pinned memory of a framework, say. See [`Pool::of_slots`](super::Pool::of_slots).
#[derive(Debug)]
pub struct Slot(pub(super) Chunk);

impl Slot {
    /// The `bytes` bytes at `start`, which stay valid until `owner` is dropped.
    ///
    /// # Safety
    ///
    /// Until `owner` is dropped, the bytes are initialised, may be read and written by any thread, and nothing else reads or writes them.
    #[allow(unsafe_code, reason = "takes over a pointer")]
    #[must_use]
    pub unsafe fn new(start: NonNull<u8>, bytes: usize, owner: impl Any + Send + Sync) -> Self {
        // SAFETY: what is demanded here is what is demanded there.
        Self(Chunk::whole(unsafe {
            Mapping::owned(start, bytes, Box::new(owner))
        }))
    }

    /// Its size in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}
