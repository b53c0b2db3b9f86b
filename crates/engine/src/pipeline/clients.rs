//! The queue of the workers: clients, and the streams of each.
//!
//! Hierarchical start-time fair queueing: the next turn goes to the client with the lowest virtual clock, and among its streams to the one with
//! the lowest clock. So a client gets its share however many streams it has open, and its streams divide that share by their weights. A
//! client's clock advances by the weight of the stream that is served, so that a weight counts against other clients, too.
//! # Source
//!
//! Goyal, Guo and Vin, *A Hierarchical CPU Scheduler for Multimedia Operating Systems*, OSDI 1996.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use super::fair_queue::{Cost, FairQueue, Flow, Weighted};

/// A stream, as the queue sees it: with its weight and clock among the streams of its client.
pub(super) trait OfClient: Weighted + Sized {
    /// The client that it belongs to.
    fn client(&self) -> &Arc<Client<Self>>;
}

/// A client with its backlogged streams.
pub(super) struct Client<T> {
    flow: Flow,
    /// Bytes that its streams took of the engine's memory.
    memory: Arc<AtomicU64>,
    // Lock order: the scheduler's queue, then this.
    waiting: Mutex<FairQueue<Arc<T>>>,
}

impl<T> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("flow", &self.flow).finish()
    }
}

impl<T: OfClient> Client<T> {
    /// A client that has had no service.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            flow: Flow::new(1),
            memory: Arc::default(),
            waiting: Mutex::default(),
        })
    }

    /// Bytes that its streams took of the engine's memory, shared with their permits.
    pub(super) fn memory(&self) -> &Arc<AtomicU64> {
        &self.memory
    }

    fn waiting(&self) -> MutexGuard<'_, FairQueue<Arc<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Weighted for Client<T> {
    fn flow(&self) -> &Flow {
        &self.flow
    }
}

/// Backlogged streams, by client. A client is in the outer queue while one of its streams is backlogged.
pub(super) struct ClientQueue<T> {
    clients: FairQueue<Arc<Client<T>>>,
    tasks: usize,
}

impl<T> Default for ClientQueue<T> {
    fn default() -> Self {
        Self {
            clients: FairQueue::default(),
            tasks: 0,
        }
    }
}

impl<T: OfClient> ClientQueue<T> {
    /// Adds a stream.
    pub(super) fn join(&mut self, task: Arc<T>) {
        let client = Arc::clone(task.client());
        let mut waiting = client.waiting();
        let is_queued = !waiting.is_empty();
        waiting.join(task);
        drop(waiting);
        self.tasks += 1;
        if !is_queued {
            self.clients.join(client);
        }
    }

    /// Removes the next stream, and charges it and its client for a turn.
    pub(super) fn next(&mut self) -> Option<ScheduledStream<T>> {
        let (client, of_client) = self.clients.next()?;
        let mut waiting = client.waiting();
        let (task, of_stream) = waiting.next().expect("a queued client has a queued stream");
        let others = !waiting.is_empty();
        drop(waiting);
        self.tasks -= 1;
        if others {
            self.clients.join(client);
        }
        Some(ScheduledStream {
            task,
            of_client,
            of_stream,
        })
    }

    /// Number of backlogged streams.
    pub(super) fn len(&self) -> usize {
        self.tasks
    }

    /// Virtual time over clients; see [`FairQueue::now`].
    pub(super) fn now(&self) -> u64 {
        self.clients.now()
    }
}

/// A stream whose turn has started, with what it and its client were charged for that.
#[must_use]
pub(super) struct ScheduledStream<T> {
    pub(super) task: Arc<T>,
    of_client: Cost,
    of_stream: Cost,
}

impl<T: OfClient> ScheduledStream<T> {
    /// Charges a cost beyond that of the turn itself, at once.
    pub(super) fn spend(&self, cost: Duration) {
        let flow = self.task.flow();
        flow.spend(cost);
        self.task.client().flow.spend(cost / flow.weight());
    }

    /// Ends the turn with its actual cost.
    pub(super) fn settle(self, cost: Duration) {
        let flow = self.task.flow();
        let of_client = cost / flow.weight();
        flow.settle(self.of_stream, cost);
        self.task.client().flow.settle(self.of_client, of_client);
    }

    /// Ends a turn that did nothing.
    pub(super) fn refund(self) {
        self.task.flow().refund(self.of_stream);
        self.task.client().flow.refund(self.of_client);
    }
}

/// All clients of an engine, by name.
#[derive(Debug)]
pub(super) struct Clients<T>(Mutex<HashMap<String, Arc<Client<T>>>>);

impl<T> Default for Clients<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: OfClient> Clients<T> {
    /// The client of that name, created if it is unknown. A client without streams is dropped only when its clock is no longer ahead of `now`, the
    /// queue's virtual time: otherwise closing a stream and opening another would reset what it owes.
    pub(super) fn named(&self, name: &str, now: u64) -> Arc<Client<T>> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, client| Arc::strong_count(client) > 1 || client.flow.is_ahead(now));
        let client = clients.entry(name.to_owned()).or_insert_with(Client::new);
        Arc::clone(client)
    }
}

#[cfg(test)]
mod tests;
