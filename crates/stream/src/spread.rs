//! How the steps of a stream are spread over servers.

use std::sync::Arc;

use tokio::{runtime::Runtime, sync::mpsc, task::AbortHandle};

use super::{
    BatchRequest, Position, StreamDescription, Stride,
    lane::{Delivery, Lane, Source},
    roster::Roster,
};

/// A stream's request, and all that lanes need to be started for it.
#[derive(Debug)]
pub(super) struct Spread {
    pub(super) roster: Arc<Roster>,
    /// The network stops when its last user is gone.
    pub(super) threads: Arc<Runtime>,
    pub(super) request: BatchRequest,
    /// Batches that are kept ready, at least one from each server.
    pub(super) prefetch: usize,
    pub(super) shares_memory: bool,
}

/// One lane for each server: batch number `n` of the whole run comes from queue `n % queues`. Dropping them ends them.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) queues: Vec<mpsc::Receiver<Delivery>>,
    tasks: Vec<AbortHandle>,
    /// Of which membership of the roster they are.
    pub(super) membership: u64,
}

impl Spread {
    /// Batches that wait in the queue of one of `lanes`.
    fn room(&self, lanes: usize) -> usize {
        self.prefetch.div_ceil(lanes).max(1)
    }

    /// Batches that one of `lanes` holds at a time, if they may stay in a server's memory: those that wait, one that the lane has in hand, and
    /// one that the caller has.
    pub(super) fn held(&self, lanes: usize) -> Option<u32> {
        let held = || u32::try_from(self.room(lanes) + 2).unwrap_or(u32::MAX);
        self.shares_memory.then(held)
    }

    /// The part of the request that is for server `index` of `servers`, from `start` on.
    pub(super) fn part(&self, index: usize, servers: usize, start: Option<Position>) -> BatchRequest {
        BatchRequest {
            start,
            stride: Stride {
                of: u32::try_from(servers).expect("few servers"),
                index: u32::try_from(index).expect("few servers"),
            },
            ..self.request.clone()
        }
    }

    /// Starts one lane for each server of a membership, from `start` on; each begins with its source, if it has one already.
    pub(super) fn start(
        &self,
        description: &Arc<StreamDescription>,
        (servers, membership): (&[usize], u64),
        start: Option<&Position>,
        mut sources: Vec<Option<Source>>,
    ) -> Lanes {
        let lanes = servers.len();
        sources.resize_with(lanes, || None);
        let start = |(index, (&home, source)): (usize, (&usize, Option<Source>))| {
            let (queue, delivered) = mpsc::channel(self.room(lanes));
            let lane = Lane {
                roster: Arc::clone(&self.roster),
                request: self.part(index, lanes, start.cloned()),
                description: Arc::clone(description),
                home,
                queue,
                held: self.held(lanes),
            };
            (delivered, self.threads.spawn(lane.run(source)).abort_handle())
        };
        let (queues, tasks) = servers.iter().zip(sources).enumerate().map(start).unzip();
        Lanes {
            queues,
            tasks,
            membership,
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
