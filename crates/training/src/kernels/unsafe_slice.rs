use std::marker::PhantomData;

/// A mutable slice shared by tasks that write disjoint elements.
#[derive(Clone, Copy)]
pub(super) struct UnsafeSlice<'a> {
    start: *mut f32,
    length: usize,
    buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: elements are accessed through `UnsafeSlice::at` only, whose callers guarantee that no two tasks access the same one at a time.
unsafe impl Sync for UnsafeSlice<'_> {}

// SAFETY: as above; floats may move between threads.
unsafe impl Send for UnsafeSlice<'_> {}

impl<'a> UnsafeSlice<'a> {
    pub(super) fn new(buffer: &'a mut [f32]) -> Self {
        Self {
            start: buffer.as_mut_ptr(),
            length: buffer.len(),
            buffer: PhantomData,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Pointer to the element at `offset`.
    ///
    /// # Safety
    /// `offset` is at most the buffer's length. Elements read through the pointer are within the buffer, and no other task writes them at the
    /// same time; elements written are within the buffer, and no other task reads or writes them at the same time.
    #[inline(always)]
    pub(super) unsafe fn at(&self, offset: usize) -> *mut f32 {
        debug_assert!(offset <= self.length, "{offset} of {}", self.length);
        // SAFETY: the caller guarantees that `offset` is at most the length of the buffer, which is one allocation.
        unsafe { self.start.add(offset) }
    }
}
