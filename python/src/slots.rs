//! Memory of the caller into which batches are received: tensors of PyTorch, in pinned memory if they are to go to a GPU.
//!
//! Each slot holds one batch, and belongs to Python from then on. It is not written to again, so the allocator of the slots decides when memory is used
//! again: PyTorch's does when the copy of a pinned tensor to the GPU has ended.

use std::{
    collections::HashMap,
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use equibatch_engine::memory::{Pool, Slot};
use pyo3::{buffer::PyBuffer, exceptions::PyBufferError, prelude::*, types::PyMemoryView};

/// Slots of a stream.
#[derive(Debug)]
pub(crate) struct Slots {
    pool: Arc<Pool>,
    /// Slots that are free, being written or waiting to be delivered.
    ahead: usize,
    /// Returns an object and its writable memory, of a given number of bytes.
    allocate: Py<PyAny>,
    /// By address.
    supplied: Mutex<HashMap<usize, Weak<Memory>>>,
}

/// An object whose memory is a slot.
#[derive(Debug)]
struct Memory {
    object: Py<PyAny>,
    /// Keeps the memory from being moved or released.
    _view: Py<PyMemoryView>,
}

impl Slots {
    /// Slots of `bytes` bytes from `allocate`, of which `ahead` are kept ready.
    pub(crate) fn new(bytes: usize, ahead: usize, allocate: Py<PyAny>) -> Self {
        Self {
            pool: Pool::of_slots(bytes),
            ahead,
            allocate,
            supplied: Mutex::default(),
        }
    }

    pub(crate) fn pool(&self) -> Arc<Pool> {
        Arc::clone(&self.pool)
    }

    /// Allocates the slots that are missing.
    pub(crate) fn supply(&self, py: Python<'_>) -> PyResult<()> {
        while self.pool.buffers() < self.ahead {
            // Calls Python, which may switch threads: the lock is not held meanwhile.
            let (address, slot, memory) = self.allocate(py)?;
            let mut supplied = self.supplied.lock().unwrap_or_else(PoisonError::into_inner);
            supplied.retain(|_, memory| memory.strong_count() > 0);
            supplied.insert(address, memory);
            drop(supplied);
            self.pool.supply(slot);
        }
        Ok(())
    }

    #[allow(unsafe_code, reason = "takes over the memory of a Python object")]
    fn allocate(&self, py: Python<'_>) -> PyResult<(usize, Slot, Weak<Memory>)> {
        let bytes = self.pool.buffer_bytes();
        let (object, exporter): (Py<PyAny>, Bound<'_, PyAny>) =
            self.allocate.bind(py).call1((bytes,))?.extract()?;
        let view = PyMemoryView::from(&exporter)?;
        let buffer = PyBuffer::<u8>::get(&view)?;
        let start = NonNull::new(buffer.buf_ptr().cast::<u8>());
        let is_usable = !buffer.readonly() && buffer.is_c_contiguous() && buffer.len_bytes() >= bytes;
        let (true, Some(start)) = (is_usable, start) else {
            let words = format!("a slot must be writable, contiguous and of at least {bytes} bytes");
            return Err(PyBufferError::new_err(words));
        };
        let memory = Arc::new(Memory {
            object,
            _view: view.unbind(),
        });
        let supplied = Arc::downgrade(&memory);
        // SAFETY: the view keeps the memory valid and in its place, and the slot keeps the view. `allocate` has just returned the object, which
        // nothing else uses until its batch is delivered; that ends the use of the slot.
        let slot = unsafe { Slot::new(start, bytes, memory) };
        Ok((start.as_ptr().addr(), slot, supplied))
    }

    /// The object in whose memory the tensor at `address` lies, if that is a slot; it is delivered.
    pub(crate) fn delivered(&self, py: Python<'_>, address: usize) -> Option<Py<PyAny>> {
        let mut supplied = self.supplied.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = supplied.remove(&address)?.upgrade()?;
        Some(memory.object.clone_ref(py))
    }
}
