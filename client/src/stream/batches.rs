//! Batches, fetched ahead.

use std::{sync::Arc, task::Poll, time::Duration};

use tokio::{runtime::Runtime, sync::mpsc, task::AbortHandle, time};

use super::{Batch, BatchRequest, Error, StreamDescription, request::Stride};

/// Batches in order, some of them ready before they are asked for.
///
/// Memory: `prefetch` batches wait in the queues, one is being received from each server, and one is in the caller's hands.
#[derive(Debug)]
pub struct BatchStream {
    description: Arc<StreamDescription>,
    /// One per server. Batch number `n` of the whole run comes from queue `n % queues`.
    queues: Vec<mpsc::Receiver<Result<Batch, Error>>>,
    tasks: Vec<AbortHandle>,
    /// Epoch and step of the next batch; `None` behind the last one and behind an error.
    due: Option<(u64, u64)>,
    epochs: u64,
    /// The network stops when its last user is gone.
    threads: Arc<Runtime>,
}

impl BatchStream {
    pub(super) fn new(
        request: &BatchRequest,
        description: &Arc<StreamDescription>,
        (queues, tasks): (Vec<mpsc::Receiver<Result<Batch, Error>>>, Vec<AbortHandle>),
        threads: Arc<Runtime>,
    ) -> Self {
        let start = request.start.as_ref();
        let first = start.map_or((0, 0), |start| (start.epoch, start.step));
        let epochs = u64::from(request.epochs);
        Self {
            description: Arc::clone(description),
            queues,
            tasks,
            due: (first.0 < epochs).then_some(first),
            epochs,
            threads,
        }
    }

    /// What the servers said before the first batch.
    #[must_use]
    pub fn description(&self) -> &StreamDescription {
        &self.description
    }

    /// Waits for the next batch. `None` after the last one.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] where the last server went away and did not come back, [`Error::Data`] where too many files are broken; nothing
    /// follows an error.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, Error> {
        let Some(queue) = self.queue() else {
            return Ok(None);
        };
        let received = self.queues[queue].blocking_recv();
        self.take(received)
    }

    /// Waits for the next batch for `patience` only, and says [`Poll::Pending`] where it did not come.
    ///
    /// # Errors
    ///
    /// Those of [`BatchStream::next_batch`].
    pub fn next_batch_within(&mut self, patience: Duration) -> Poll<Result<Option<Batch>, Error>> {
        let Some(queue) = self.queue() else {
            return Poll::Ready(Ok(None));
        };
        let receive = self.queues[queue].recv();
        match self
            .threads
            .block_on(async { time::timeout(patience, receive).await })
        {
            Ok(received) => Poll::Ready(self.take(received)),
            Err(_) => Poll::Pending,
        }
    }

    /// Whose turn it is.
    fn queue(&self) -> Option<usize> {
        let (epoch, step) = self.due?;
        let number = u128::from(epoch) * u128::from(self.description.steps_per_epoch) + u128::from(step);
        Some((number % self.queues.len() as u128) as usize)
    }

    fn take(&mut self, received: Option<Result<Batch, Error>>) -> Result<Option<Batch>, Error> {
        self.due = match (&received, self.due) {
            (Some(Ok(_)), Some(due)) => {
                let following = Stride::ALL.following(due, self.description.steps_per_epoch);
                (following.0 < self.epochs).then_some(following)
            }
            _ => None,
        };
        received.transpose()
    }
}

impl Drop for BatchStream {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
