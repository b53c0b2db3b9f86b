//! Batches, fetched ahead.

use std::{
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time};

use super::{
    Batch, BottleneckReport, Error, Position, StreamDescription,
    bottleneck::TimeBreakdown,
    request::Stride,
    server_pool::ServerPool,
    server_stream::Delivery,
    spread::{ServerStreams, Spread},
    step_timings::{BatchOrigin, StepTimer, StepTimings},
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
    transports: String,
    spread: Spread,
    streams: ServerStreams,
    timer: StepTimer,
    /// The next delivery, where it was looked at.
    ahead: Option<Delivery>,
    /// Epoch and step of the next batch; `None` behind the last one and behind an error.
    due: Option<(u64, u64)>,
    /// Where the next batch stands; `None` before the first one of a stream from its beginning.
    position: Option<Position>,
}

impl BatchStream {
    pub(super) fn new(
        (description, transports): (Arc<StreamDescription>, String),
        spread: Spread,
        streams: ServerStreams,
    ) -> Self {
        let position = spread.request.start.clone();
        let first = position
            .as_ref()
            .map_or((0, 0), |start| (start.epoch, start.step));
        Self {
            description,
            transports,
            streams,
            timer: StepTimer::default(),
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

    /// How the batches come, in words: see [`Transport`](super::Way). As it was when the stream was opened; a server that steps in for another may be
    /// reached by another way.
    #[must_use]
    pub fn transports(&self) -> &str {
        &self.transports
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
        self.timer.asked(Instant::now());
        let received = match self.ahead.take() {
            Some(delivery) => Some(delivery),
            None => self.streams.queues[queue].blocking_recv(),
        };
        self.take(received)
    }

    /// Waits for the next batch for `timeout` only, and says [`Poll::Pending`] where it did not come.
    ///
    /// # Errors
    ///
    /// Those of [`BatchStream::next_batch`].
    pub fn next_batch_within(&mut self, timeout: Duration) -> Poll<Result<Option<Batch>, Error>> {
        let Some(queue) = self.queue() else {
            return Poll::Ready(Ok(None));
        };
        self.timer.asked(Instant::now());
        if let Some(delivery) = self.ahead.take() {
            return Poll::Ready(self.take(Some(delivery)));
        }
        let receive = self.streams.queues[queue].recv();
        match self
            .spread
            .threads
            .block_on(async { time::timeout(timeout, receive).await })
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
            self.ahead = self.streams.queues[queue].try_recv().ok();
        }
        let (batch, _origin) = self.ahead.as_ref()?.as_ref().ok()?;
        Some(batch)
    }

    /// Ends the use of the batches of `epoch`, all of which were taken: tells the servers how long the caller worked on them and waited for
    /// them, and gives what held it up. `None` where nothing was taken since the last time.
    ///
    /// Waits for the answers for two seconds at most. A server that does not answer makes the verdict less exact, and nothing else.
    pub fn end_epoch(&mut self, epoch: u64) -> Option<BottleneckReport> {
        let entries = self.timer.take(Instant::now());
        let server_pool = &self.spread.server_pool;
        let breakdown = self.spread.threads.block_on(async {
            let mut asking: JoinSet<TimeBreakdown> = entries
                .into_iter()
                .map(|(origin, step_timings)| ask(Arc::clone(server_pool), origin, epoch, step_timings))
                .collect();
            let mut sum = TimeBreakdown::default();
            while let Some(answer) = asking.join_next().await {
                answer.iter().for_each(|breakdown| sum.add(breakdown));
            }
            sum
        });
        breakdown.bottleneck()
    }

    /// Whose turn it is. If servers came or went since the last batch, the steps from here on are spread over those that there are now.
    fn queue(&mut self) -> Option<usize> {
        let (epoch, step) = self.due?;
        let server_pool = &self.spread.server_pool;
        if self.ahead.is_none() && self.streams.membership != server_pool.membership() {
            let (servers, membership) = server_pool.members();
            let servers = (servers.as_slice(), membership);
            self.streams = self
                .spread
                .start(&self.description, servers, self.position.as_ref(), vec![]);
        }
        let number = u128::from(epoch) * u128::from(self.description.steps_per_epoch) + u128::from(step);
        Some((number % self.streams.queues.len() as u128) as usize)
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
            self.timer.given(origin, Instant::now());
            self.position = Some(batch.next.clone());
            batch
        }))
    }
}

/// What the server of `origin` says of its part.
async fn ask(
    server_pool: Arc<ServerPool>,
    origin: BatchOrigin,
    epoch: u64,
    step_timings: StepTimings,
) -> TimeBreakdown {
    let server = server_pool.server(origin.server);
    let answer = time::timeout(
        REPORT_TIMEOUT,
        server.report(&origin.stream, epoch, &step_timings),
    )
    .await;
    match answer {
        Ok(Ok(breakdown)) => breakdown,
        Ok(Err(error)) => {
            tracing::debug!(server = server.address(), error = %error, "no verdict from this server");
            TimeBreakdown::alone(&step_timings)
        }
        Err(_elapsed) => TimeBreakdown::alone(&step_timings),
    }
}
