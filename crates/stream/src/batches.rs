//! Batches, fetched ahead.

use std::{
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time};

use super::{
    Batch, Error, Position, StreamDescription, Verdict,
    lane::Delivery,
    request::Stride,
    roster::Roster,
    spread::{Lanes, Spread},
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
    spread: Spread,
    lanes: Lanes,
    diary: Diary,
    /// The next delivery, where it was looked at.
    ahead: Option<Delivery>,
    /// Epoch and step of the next batch; `None` behind the last one and behind an error.
    due: Option<(u64, u64)>,
    /// Where the next batch stands; `None` before the first one of a stream from its beginning.
    position: Option<Position>,
}

impl BatchStream {
    pub(super) fn new(
        (description, ways): (Arc<StreamDescription>, String),
        spread: Spread,
        lanes: Lanes,
    ) -> Self {
        let position = spread.request.start.clone();
        let first = position
            .as_ref()
            .map_or((0, 0), |start| (start.epoch, start.step));
        Self {
            description,
            ways,
            lanes,
            diary: Diary::default(),
            ahead: None,
            due: (first.0 < u64::from(spread.request.epochs)).then_some(first),
            position,
            spread,
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
            None => self.lanes.queues[queue].blocking_recv(),
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
        let receive = self.lanes.queues[queue].recv();
        match self
            .spread
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
            self.ahead = self.lanes.queues[queue].try_recv().ok();
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
        let roster = &self.spread.roster;
        let spent = self.spread.threads.block_on(async {
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

    /// Whose turn it is. If servers came or went since the last batch, the steps from here on are spread over those that there are now.
    fn queue(&mut self) -> Option<usize> {
        let (epoch, step) = self.due?;
        let roster = &self.spread.roster;
        if self.ahead.is_none() && self.lanes.membership != roster.membership() {
            let (servers, membership) = roster.members();
            let servers = (servers.as_slice(), membership);
            self.lanes = self
                .spread
                .start(&self.description, servers, self.position.as_ref(), vec![]);
        }
        let number = u128::from(epoch) * u128::from(self.description.steps_per_epoch) + u128::from(step);
        Some((number % self.lanes.queues.len() as u128) as usize)
    }

    fn take(&mut self, received: Option<Delivery>) -> Result<Option<Batch>, Error> {
        self.due = match (&received, self.due) {
            (Some(Ok(_)), Some(due)) => {
                let following = Stride::ALL.following(due, self.description.steps_per_epoch);
                (following.0 < u64::from(self.spread.request.epochs)).then_some(following)
            }
            _ => None,
        };
        let delivered = received.transpose()?;
        Ok(delivered.map(|(batch, origin)| {
            self.diary.given(origin, Instant::now());
            self.position = Some(batch.next.clone());
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
