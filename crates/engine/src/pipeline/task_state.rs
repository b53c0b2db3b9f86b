//! The state of a stream in the scheduler.

use std::{collections::VecDeque, mem, sync::Arc, task::Waker, time::Duration};

use super::{Error, pending_batch::PendingBatch, position::Position};

/// The window of a stream's open batches, and what waits for them.
#[derive(Debug, Default)]
pub(super) struct TaskState {
    /// The batch to open next; `None` after the last one.
    pub(super) next: Option<Position>,
    /// Opened and not delivered, in order.
    pub(super) open: VecDeque<Arc<PendingBatch>>,
    /// Index of the batch at the front of `open`, counted from the start of the stream.
    pub(super) front: u64,
    /// Whether it is in the scheduler's queue or held by a worker.
    pub(super) is_queued: bool,
    /// Whether the reader has dropped the stream.
    pub(super) is_closed: bool,
    /// CPU time spent on planning batches since it was last charged.
    pub(super) planning: Duration,
    /// The first batch that failed, by index.
    pub(super) failure: Option<(u64, Error)>,
    /// Of a reader that waits for a batch that is not open.
    pub(super) waker: Option<Waker>,
}

impl TaskState {
    /// Open batches that will be delivered: those before the first failure.
    pub(super) fn within_reach(&self) -> impl Iterator<Item = &Arc<PendingBatch>> {
        let reach = match &self.failure {
            Some((batch, _)) => batch.saturating_sub(self.front) as usize,
            None => self.open.len(),
        };
        self.open.iter().take(reach)
    }

    /// Whether the reader that `waker` belongs to would get something now; if not, registers `waker`.
    pub(super) fn is_ready_or_register(&mut self, waker: &Waker) -> bool {
        if self
            .failure
            .as_ref()
            .is_some_and(|(batch, _)| *batch == self.front)
        {
            return true;
        }
        match self.open.front() {
            Some(pending) => pending.has_ended(waker),
            None => {
                self.waker = Some(waker.clone());
                false
            }
        }
    }

    /// Records the failure of the earliest batch: those before it are still delivered.
    pub(super) fn fail(&mut self, batch: u64, error: Error) {
        if self.failure.as_ref().is_none_or(|(first, _)| batch < *first) {
            self.failure = Some((batch, error));
        }
    }

    /// Ends the stream, and returns its batches, to be dropped outside the lock.
    pub(super) fn close(&mut self) -> VecDeque<Arc<PendingBatch>> {
        self.is_closed = true;
        self.next = None;
        self.waker = None;
        mem::take(&mut self.open)
    }
}
