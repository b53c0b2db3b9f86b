//! Distributes the steps of a stream over servers.

use std::sync::Arc;

use equibatch_engine::memory::Pool;
use tokio::{sync::mpsc, task::AbortHandle};

use super::{
    BatchRequest, Position, StreamDescription, Stride,
    network_thread::NetworkThread,
    server_pool::ServerPool,
    server_stream::{Delivery, ServerStream, Source},
};

/// What is needed to start the streams of all servers.
#[derive(Debug)]
pub(super) struct Spread {
    pub(super) server_pool: Arc<ServerPool>,
    pub(super) request: BatchRequest,
    /// Batches to prefetch, at least one from each server.
    pub(super) prefetch: usize,
    pub(super) shares_memory: bool,
    /// Memory of the caller for tensors.
    pub(super) slots: Option<Arc<Pool>>,
}

/// Where the batches of one server go.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// Batches that are held at a time, if shared memory may be used.
    pub(super) held: Option<u32>,
    /// Memory of the caller for tensors.
    pub(super) slots: Option<Arc<Pool>>,
}

/// One stream for each server: batch number `n` over all epochs comes from queue `n % queues`. Dropping them aborts their tasks.
#[derive(Debug)]
pub(super) struct ServerStreams {
    pub(super) queues: Vec<mpsc::Receiver<Delivery>>,
    tasks: Vec<AbortHandle>,
    /// The membership number that they were started for.
    pub(super) membership: u64,
}

impl Spread {
    /// Queue capacity of one of `streams`.
    fn room(&self, streams: usize) -> usize {
        self.prefetch.div_ceil(streams).max(1)
    }

    /// Where the batches of one of `streams` go. It holds the queue, one that is being received, and one at the caller.
    pub(super) fn destination(&self, streams: usize) -> Destination {
        let held = || u32::try_from(self.room(streams) + 2).unwrap_or(u32::MAX);
        Destination {
            held: self.shares_memory.then(held),
            slots: self.slots.clone(),
        }
    }

    /// The request for server `index` of `servers`, from `start` on: of the requested batches every `servers`-th.
    pub(super) fn part(&self, index: usize, servers: usize, start: Option<Position>) -> BatchRequest {
        let requested = self.request.stride;
        let [servers, index] = [servers, index].map(|count| u32::try_from(count).expect("few servers"));
        BatchRequest {
            start,
            stride: Stride {
                of: requested.of.saturating_mul(servers),
                index: requested.index.saturating_add(requested.of.saturating_mul(index)),
            },
            ..self.request.clone()
        }
    }

    /// Starts a stream for each server of a membership, from `start` on, with its source if one is open already.
    pub(super) fn start(
        &self,
        threads: &NetworkThread,
        description: &Arc<StreamDescription>,
        (servers, membership): (&[usize], u64),
        start: Option<&Position>,
        mut sources: Vec<Option<Source>>,
    ) -> ServerStreams {
        let streams = servers.len();
        sources.resize_with(streams, || None);
        let start = |(index, (&home, source)): (usize, (&usize, Option<Source>))| {
            let (queue, delivered) = mpsc::channel(self.room(streams));
            let server_stream = ServerStream {
                server_pool: Arc::clone(&self.server_pool),
                request: self.part(index, streams, start.cloned()),
                description: Arc::clone(description),
                home,
                queue,
                destination: self.destination(streams),
            };
            (delivered, threads.spawn(server_stream.run(source)))
        };
        let (queues, tasks) = servers.iter().zip(sources).enumerate().map(start).unzip();
        ServerStreams {
            queues,
            tasks,
            membership,
        }
    }
}

impl Drop for ServerStreams {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
