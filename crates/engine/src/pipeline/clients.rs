//! Who waits for the workers: clients, and the streams of each.
//!
//! Hierarchical start-time fair queueing: the next turn goes to the client whose clock is furthest behind, and of its streams to the one
//! whose clock is. So a client gets its share however many streams it has open, and its streams divide that share by their weights. A
//! client's clock goes by the weight of the stream that is worked for, so that a weight counts against other clients, too.
//!
//! # Source
//!
//! Goyal, Guo and Vin, *A Hierarchical CPU Scheduler for Multimedia Operating Systems*, OSDI 1996.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use super::{
    fair_queue::{Cost, FairQueue, Flow, Weighted},
    workers::Schedulable,
};

/// One for whom streams are open, and those of its streams that wait.
pub(super) struct Client {
    flow: Flow,
    /// Bytes that its streams took of the engine's memory.
    memory: Arc<AtomicU64>,
    // Locked under the lock of the queue, or alone.
    waiting: Mutex<FairQueue<Arc<dyn Schedulable>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("share", &self.flow).finish()
    }
}

impl Client {
    /// Has had nothing yet.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            flow: Flow::new(1),
            memory: Arc::default(),
            waiting: Mutex::default(),
        })
    }

    /// Counts the memory of its streams.
    pub(super) fn memory(&self) -> &Arc<AtomicU64> {
        &self.memory
    }

    fn waiting(&self) -> MutexGuard<'_, FairQueue<Arc<dyn Schedulable>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Weighted for Arc<Client> {
    fn flow(&self) -> &Flow {
        &self.flow
    }
}

impl Weighted for Arc<dyn Schedulable> {
    fn flow(&self) -> &Flow {
        Schedulable::flow(&**self)
    }
}

/// The streams that wait for a worker. A client stands here as long as a stream of its does.
#[derive(Debug, Default)]
pub(super) struct ClientQueue {
    clients: FairQueue<Arc<Client>>,
    tasks: usize,
}

impl ClientQueue {
    /// Waits for a turn.
    pub(super) fn join(&mut self, task: Arc<dyn Schedulable>) {
        let client = Arc::clone(task.client());
        let mut waiting = client.waiting();
        let stands_there = !waiting.is_empty();
        waiting.join(task);
        drop(waiting);
        self.tasks += 1;
        if !stands_there {
            self.clients.join(client);
        }
    }

    /// Whose turn it is.
    pub(super) fn next(&mut self) -> Option<ScheduledStream> {
        let (client, of_client) = self.clients.next()?;
        let mut waiting = client.waiting();
        let (task, of_stream) = waiting.next().expect("a client waits with a stream");
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

    /// Streams that wait.
    pub(super) fn len(&self) -> usize {
        self.tasks
    }

    /// The clock of the client that had the last turn.
    pub(super) fn now(&self) -> u64 {
        self.clients.now()
    }
}

/// A stream whose turn it is, and what it and its client were charged for that.
#[must_use]
pub(super) struct ScheduledStream {
    pub(super) task: Arc<dyn Schedulable>,
    of_client: Cost,
    of_stream: Cost,
}

impl ScheduledStream {
    /// Something that belongs to the turn, and is not made in it, has cost this much.
    pub(super) fn spend(&self, cost: Duration) {
        let flow = self.task.flow();
        flow.spend(cost);
        self.task.client().flow.spend(cost / flow.weight());
    }

    /// The turn has cost this much.
    pub(super) fn settle(self, cost: Duration) {
        let flow = self.task.flow();
        let of_client = cost / flow.weight();
        flow.settle(self.of_stream, cost);
        self.task.client().flow.settle(self.of_client, of_client);
    }

    /// There was nothing to be done.
    pub(super) fn refund(self) {
        self.task.flow().refund(self.of_stream);
        self.task.client().flow.refund(self.of_client);
    }
}

/// All clients of an engine, by what they are known by.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<HashMap<String, Arc<Client>>>);

impl Clients {
    /// The client of that name, as it is known already. One without a stream is forgotten when the others have had as much as it had,
    /// `now` by the queue's clock: sooner, whoever closes a stream and opens another would be rid of its debts.
    pub(super) fn named(&self, name: &str, now: u64) -> Arc<Client> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, client| Arc::strong_count(client) > 1 || client.flow.is_ahead(now));
        let client = clients.entry(name.to_owned()).or_insert_with(Client::new);
        Arc::clone(client)
    }
}

#[cfg(test)]
mod tests;
