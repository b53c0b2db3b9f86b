//! Batches, fetched ahead.

use std::{
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Runtime,
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time,
};

use super::{
    Batch, BatchRequest, Error, StreamDescription, Verdict,
    lane::Delivery,
    request::Stride,
    roster::Roster,
    usage::{Diary, Origin, Usage},
    verdict::Spent,
};

/// How long servers may take to say what held an epoch up: nobody trains meanwhile.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Batches in order, some of them ready before they are asked for.
///
/// Memory: `prefetch` batches wait in the queues, one is being received from each server, and one is in the caller's hands; one more is looked
/// at, where [`BatchStream::peek`] is used. Batches in shared memory are the server's until they are dropped; a caller that keeps many gets
/// copies.
#[derive(Debug)]
pub struct BatchStream {
    description: Arc<StreamDescription>,
    ways: String,
    /// One per server. Batch number `n` of the whole run comes from queue `n % queues`.
    queues: Vec<mpsc::Receiver<Delivery>>,
    tasks: Vec<AbortHandle>,
    roster: Arc<Roster>,
    diary: Diary,
    /// The next delivery, where it was looked at.
    ahead: Option<Delivery>,
    /// Epoch and step of the next batch; `None` behind the last one and behind an error.
    due: Option<(u64, u64)>,
    epochs: u64,
    /// The network stops when its last user is gone.
    threads: Arc<Runtime>,
}

impl BatchStream {
    pub(super) fn new(
        request: &BatchRequest,
        (description, ways): (&Arc<StreamDescription>, String),
        (queues, tasks): (Vec<mpsc::Receiver<Delivery>>, Vec<AbortHandle>),
        (roster, threads): (Arc<Roster>, Arc<Runtime>),
    ) -> Self {
        let start = request.start.as_ref();
        let first = start.map_or((0, 0), |start| (start.epoch, start.step));
        let epochs = u64::from(request.epochs);
        Self {
            description: Arc::clone(description),
            ways,
            queues,
            tasks,
            roster,
            diary: Diary::default(),
            ahead: None,
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

    /// How the batches come, in words: see [`Way`](super::Way). As it was when the stream was opened; a server that steps in for another may be
    /// reached by another way.
    #[must_use]
    pub fn ways(&self) -> &str {
        &self.ways
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
        self.diary.asked(Instant::now());
        let received = match self.ahead.take() {
            Some(delivery) => Some(delivery),
            None => self.queues[queue].blocking_recv(),
        };
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
        self.diary.asked(Instant::now());
        if let Some(delivery) = self.ahead.take() {
            return Poll::Ready(self.take(Some(delivery)));
        }
        let receive = self.queues[queue].recv();
        match self
            .threads
            .block_on(async { time::timeout(patience, receive).await })
        {
            Ok(received) => Poll::Ready(self.take(received)),
            Err(_) => Poll::Pending,
        }
    }

    /// The batch that is next, where it has come already; it is still to be taken. Does not wait, and does not count as asking for a batch: an
    /// error is left to be met when the batch is asked for.
    pub fn peek(&mut self) -> Option<&Batch> {
        if self.ahead.is_none() {
            let queue = self.queue()?;
            self.ahead = self.queues[queue].try_recv().ok();
        }
        let (batch, _origin) = self.ahead.as_ref()?.as_ref().ok()?;
        Some(batch)
    }

    /// Ends the use of the batches of `epoch`, all of which were taken: tells the servers how long the caller worked on them and waited for
    /// them, and gives what held it up. `None` where nothing was taken since the last time.
    ///
    /// Waits for the answers for two seconds at most. A server that does not answer makes the verdict less exact, and nothing else.
    pub fn end_epoch(&mut self, epoch: u64) -> Option<Verdict> {
        let entries = self.diary.take(Instant::now());
        let roster = &self.roster;
        let spent = self.threads.block_on(async {
            let mut asking: JoinSet<Spent> = entries
                .into_iter()
                .map(|(origin, usage)| ask(Arc::clone(roster), origin, epoch, usage))
                .collect();
            let mut sum = Spent::default();
            while let Some(answer) = asking.join_next().await {
                answer.iter().for_each(|spent| sum.add(spent));
            }
            sum
        });
        spent.verdict()
    }

    /// Whose turn it is.
    fn queue(&self) -> Option<usize> {
        let (epoch, step) = self.due?;
        let number = u128::from(epoch) * u128::from(self.description.steps_per_epoch) + u128::from(step);
        Some((number % self.queues.len() as u128) as usize)
    }

    fn take(&mut self, received: Option<Delivery>) -> Result<Option<Batch>, Error> {
        self.due = match (&received, self.due) {
            (Some(Ok(_)), Some(due)) => {
                let following = Stride::ALL.following(due, self.description.steps_per_epoch);
                (following.0 < self.epochs).then_some(following)
            }
            _ => None,
        };
        let delivered = received.transpose()?;
        Ok(delivered.map(|(batch, origin)| {
            self.diary.given(origin, Instant::now());
            batch
        }))
    }
}

/// What the server of `origin` says of its part.
async fn ask(roster: Arc<Roster>, origin: Origin, epoch: u64, usage: Usage) -> Spent {
    let server = roster.server(origin.server);
    let answer = time::timeout(REPORT_TIMEOUT, server.report(&origin.stream, epoch, &usage)).await;
    match answer {
        Ok(Ok(spent)) => spent,
        Ok(Err(error)) => {
            tracing::debug!(server = server.address(), error = %error, "no verdict from this server");
            Spent::alone(&usage)
        }
        Err(_elapsed) => Spent::alone(&usage),
    }
}

impl Drop for BatchStream {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
