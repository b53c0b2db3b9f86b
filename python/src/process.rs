//! Values that must not be used or dropped in a forked child.
//!
//! After `fork` the child has a copy of the memory, but none of the threads: a lock that one of them held stays locked, and what waits for them
//! waits for ever. So a child neither uses nor drops what belongs to its parent; its copy of the memory is released when it ends.

use std::{mem::ManuallyDrop, process};

/// A value that belongs to the process that created it.
#[derive(Debug)]
pub(crate) struct OfProcess<T> {
    process: u32,
    value: ManuallyDrop<T>,
}

impl<T> OfProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            process: process::id(),
            value: ManuallyDrop::new(value),
        }
    }

    /// The value; `None` in a child of the process that created it.
    pub(crate) fn get(&self) -> Option<&T> {
        self.is_here().then_some(&*self.value)
    }

    /// The value, for reading memory, which a child has as well.
    pub(crate) fn anywhere(&self) -> &T {
        &self.value
    }

    fn is_here(&self) -> bool {
        self.process == process::id()
    }
}

impl<T> Drop for OfProcess<T> {
    #[allow(unsafe_code, reason = "a child must not drop the values of its parent")]
    fn drop(&mut self) {
        if self.is_here() {
            // SAFETY: `self` is being dropped, so the value is neither used nor dropped afterwards.
            unsafe { ManuallyDrop::drop(&mut self.value) }
        }
    }
}
