//! Batches, fetched ahead.

use std::sync::Arc;

use equibatch_proto::v1::batch_loader_client::BatchLoaderClient;
use tokio::{runtime::Runtime, sync::mpsc, task::AbortHandle};
use tonic::transport::Channel;

use super::{Batch, BatchRequest, Error, StreamDescription, incoming::Incoming};

/// Batches in order, some of them ready before they are asked for.
///
/// Memory: `prefetch` batches wait in the queue, one is being received, and one is in the caller's hands.
#[derive(Debug)]
pub struct BatchStream {
    description: StreamDescription,
    queue: mpsc::Receiver<Result<Batch, Error>>,
    task: AbortHandle,
    /// The network stops when its last user is gone.
    _threads: Arc<Runtime>,
}

impl BatchStream {
    pub(super) fn open(
        address: &str,
        threads: Arc<Runtime>,
        client: BatchLoaderClient<Channel>,
        request: &BatchRequest,
        prefetch: usize,
    ) -> Result<Self, Error> {
        let (description, incoming) = threads.block_on(Incoming::open(address, client, request))?;
        let (sender, queue) = mpsc::channel(prefetch.max(1));
        let task = threads.spawn(receive(incoming, sender)).abort_handle();
        Ok(Self {
            description,
            queue,
            task,
            _threads: threads,
        })
    }

    /// What the server said before the first batch.
    #[must_use]
    pub fn description(&self) -> &StreamDescription {
        &self.description
    }

    /// Waits for the next batch. `None` after the last one.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] where the server went away, [`Error::Data`] where too many of its files are broken; nothing follows an error.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, Error> {
        self.queue.blocking_recv().transpose()
    }
}

impl Drop for BatchStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Receives until the end, an error, or nobody listens any more. A full queue stops the reading, and with it, by flow control, the
/// server.
async fn receive(mut incoming: Incoming, queue: mpsc::Sender<Result<Batch, Error>>) {
    while let Some(received) = incoming.next().await {
        let is_last = received.is_err();
        if queue.send(received).await.is_err() || is_last {
            return;
        }
    }
}
