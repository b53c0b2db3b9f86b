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
    turns::{Charge, Share, Turns, Waiter},
    workers::Job,
};

/// One for whom streams are open, and those of its streams that wait.
pub(super) struct Client {
    share: Share,
    /// Bytes that its streams took of the engine's memory.
    memory: Arc<AtomicU64>,
    // Locked under the lock of the queue, or alone.
    waiting: Mutex<Turns<Arc<dyn Job>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("share", &self.share).finish()
    }
}

impl Client {
    /// Has had nothing yet.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            share: Share::new(1),
            memory: Arc::default(),
            waiting: Mutex::default(),
        })
    }

    /// Counts the memory of its streams.
    pub(super) fn memory(&self) -> &Arc<AtomicU64> {
        &self.memory
    }

    fn waiting(&self) -> MutexGuard<'_, Turns<Arc<dyn Job>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter for Arc<Client> {
    fn share(&self) -> &Share {
        &self.share
    }
}

impl Waiter for Arc<dyn Job> {
    fn share(&self) -> &Share {
        Job::share(&**self)
    }
}

/// The streams that wait for a worker. A client stands here as long as a stream of its does.
#[derive(Debug, Default)]
pub(super) struct Queue {
    clients: Turns<Arc<Client>>,
    jobs: usize,
}

impl Queue {
    /// Waits for a turn.
    pub(super) fn join(&mut self, job: Arc<dyn Job>) {
        let client = Arc::clone(job.client());
        let mut waiting = client.waiting();
        let stands_there = !waiting.is_empty();
        waiting.join(job);
        drop(waiting);
        self.jobs += 1;
        if !stands_there {
            self.clients.join(client);
        }
    }

    /// Whose turn it is.
    pub(super) fn next(&mut self) -> Option<Turn> {
        let (client, of_client) = self.clients.next()?;
        let mut waiting = client.waiting();
        let (job, of_stream) = waiting.next().expect("a client waits with a stream");
        let others = !waiting.is_empty();
        drop(waiting);
        self.jobs -= 1;
        if others {
            self.clients.join(client);
        }
        Some(Turn {
            job,
            of_client,
            of_stream,
        })
    }

    /// Streams that wait.
    pub(super) fn len(&self) -> usize {
        self.jobs
    }

    /// The clock of the client that had the last turn.
    pub(super) fn now(&self) -> u64 {
        self.clients.now()
    }
}

/// A stream whose turn it is, and what it and its client were charged for that.
#[must_use]
pub(super) struct Turn {
    pub(super) job: Arc<dyn Job>,
    of_client: Charge,
    of_stream: Charge,
}

impl Turn {
    /// Something that belongs to the turn, and is not made in it, has cost this much.
    pub(super) fn spend(&self, cost: Duration) {
        let share = self.job.share();
        share.spend(cost);
        self.job.client().share.spend(cost / share.weight());
    }

    /// The turn has cost this much.
    pub(super) fn settle(self, cost: Duration) {
        let share = self.job.share();
        let of_client = cost / share.weight();
        share.settle(self.of_stream, cost);
        self.job.client().share.settle(self.of_client, of_client);
    }

    /// There was nothing to be done.
    pub(super) fn refund(self) {
        self.job.share().refund(self.of_stream);
        self.job.client().share.refund(self.of_client);
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
        clients.retain(|_, client| Arc::strong_count(client) > 1 || client.share.is_ahead(now));
        let client = clients.entry(name.to_owned()).or_insert_with(Client::new);
        Arc::clone(client)
    }
}

#[cfg(test)]
mod tests;
