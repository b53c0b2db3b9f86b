//! Batches that were delivered and are still referred to.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker,
};

use bytes::Bytes;

use crate::memory::Permit;

/// Counts the delivered batches of a stream whose bytes are still referred to, and holds the memory of all its batches.
#[derive(Debug)]
pub(super) struct SentBatches {
    is_counted: AtomicBool,
    count: AtomicUsize,
    /// Of a reader that waits because the window is full.
    waker: Mutex<Option<Waker>>,
    _memory: Permit,
}

/// The tensor of a delivered batch.
#[derive(Debug)]
struct SentTensor {
    tensor: Bytes,
    sent: Arc<SentBatches>,
}

impl SentBatches {
    /// No batch yet; `memory` is released when the stream and its last batch are dropped.
    pub(super) fn new(memory: Permit) -> Arc<Self> {
        Arc::new(Self {
            is_counted: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            waker: Mutex::default(),
            _memory: memory,
        })
    }

    /// From now on, a delivered batch counts until the last reference to it is dropped.
    pub(super) fn start_counting(&self) {
        self.is_counted.store(true, Ordering::Relaxed);
    }

    /// Delivered batches that are still referred to.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Wraps the tensor of a batch that is being delivered.
    pub(super) fn track(self: &Arc<Self>, tensor: Bytes) -> Bytes {
        if self.is_counted.load(Ordering::Relaxed) {
            self.count.fetch_add(1, Ordering::AcqRel);
        }
        Bytes::from_owner(SentTensor {
            tensor,
            sent: Arc::clone(self),
        })
    }

    /// Calls `waker` when the next batch is released.
    pub(super) fn wake_on_release(&self, waker: &Waker) {
        let mut waiting = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = Some(waker.clone());
    }
}

impl AsRef<[u8]> for SentTensor {
    fn as_ref(&self) -> &[u8] {
        &self.tensor
    }
}

impl Drop for SentTensor {
    fn drop(&mut self) {
        // The buffer returns to the pool before the count allows another batch.
        drop(mem::take(&mut self.tensor));
        let sent = &self.sent;
        if sent.is_counted.load(Ordering::Relaxed) {
            let one_less = |count: usize| count.checked_sub(1);
            let _counted = (sent.count).fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
        }
        let mut waiting = sent.waker.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = waiting.take();
        drop(waiting);
        waker.into_iter().for_each(Waker::wake);
    }
}
