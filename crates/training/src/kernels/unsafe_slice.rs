use std::marker::PhantomData;

/// A buffer that several tasks write, each its own elements.
#[derive(Clone, Copy)]
pub(super) struct UnsafeSlice<'a> {
    start: *mut f32,
    length: usize,
    buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: reaching an element takes `UnsafeSlice::at`, whose callers vouch that no two tasks reach the same one at a time.
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

    /// Where the element at `offset` stands.
    ///
    /// # Safety
    /// `offset` is at most the buffer's length. What is read through the pointer lies within the buffer, and no other task writes it at the
    /// same time; what is written lies within the buffer, and no other task uses it at the same time.
    #[inline(always)]
    pub(super) unsafe fn at(&self, offset: usize) -> *mut f32 {
        debug_assert!(offset <= self.length, "{offset} of {}", self.length);
        // SAFETY: the caller guarantees that `offset` is at most the length of the buffer, which is one allocation.
        unsafe { self.start.add(offset) }
    }
}
