//! A stream of prefetched batches.

use std::{
    future::Future,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time};

use super::{
    Batch, BottleneckReport, Error, Position, StreamDescription,
    bottleneck::TimeBreakdown,
    network_thread::NetworkThread,
    position::Due,
    server_pool::ServerPool,
    server_stream::Delivery,
    spread::{ServerStreams, Spread},
    step_timings::{BatchOrigin, StepTimer, StepTimings},
};

/// How long to wait for the servers' answers to an epoch report; training pauses meanwhile.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Batches in order, prefetched: an iterator that blocks, or polled by async code.
///
/// Memory: `prefetch` batches are queued, one is being received from each server, and the caller has one, or two after
/// [`BatchStream::peek`]. Batches in shared memory belong to the server until they are dropped; if the caller keeps many, further ones are
/// copied.
#[derive(Debug)]
pub struct BatchStream {
    description: Arc<StreamDescription>,
    transports: String,
    /// They end when their last user is dropped.
    threads: Arc<NetworkThread>,
    spread: Spread,
    streams: ServerStreams,
    timer: StepTimer,
    /// The next delivery, if it was peeked at.
    ahead: Option<Delivery>,
    /// Epoch and step of the next batch; `None` after the last one or an error.
    due: Option<Due>,
    /// Position of the next batch; `None` before the first one of a stream that starts at the beginning.
    position: Option<Position>,
}

impl BatchStream {
    pub(super) fn new(
        (description, transports): (Arc<StreamDescription>, String),
        threads: Arc<NetworkThread>,
        spread: Spread,
        streams: ServerStreams,
    ) -> Self {
        let position = spread.request.start.clone();
        let first = position.as_ref().map_or_else(Due::default, Position::due);
        Self {
            description,
            transports,
            threads,
            streams,
            timer: StepTimer::default(),
            ahead: None,
            due: (first.epoch < u64::from(spread.request.epochs)).then_some(first),
            position,
            spread,
        }
    }

    /// The description of the stream.
    #[must_use]
    pub fn description(&self) -> &StreamDescription {
        &self.description
    }

    /// How the batches are transported, as text; see [`Transport`](super::Transport). As of the opening of the stream; a server that takes
    /// over for another may use another transport.
    #[must_use]
    pub fn transports(&self) -> &str {
        &self.transports
    }

    /// Waits for the next batch; `None` after the last one. Blocks; must not be called in async code.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the last server failed and did not come back in time, [`Error::Data`] if too many files are broken. Nothing
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
        self.accept(received)
    }

    /// Polls for the next batch, from async code of any executor; `None` after the last one.
    ///
    /// ```
    /// # use equibatch_stream::{BatchStream, Error};
    /// # async fn example(mut stream: BatchStream) -> Result<(), Error> {
    /// while let Some(batch) = std::future::poll_fn(|context| stream.poll_next(context)).await {
    ///     println!("step {}", batch?.step);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`BatchStream::next_batch`].
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Batch, Error>>> {
        let Some(queue) = self.queue() else {
            return Poll::Ready(None);
        };
        self.timer.asked(Instant::now());
        let received = match self.ahead.take() {
            Some(delivery) => Some(delivery),
            None => ready!(self.streams.queues[queue].poll_recv(context)),
        };
        Poll::Ready(self.accept(received).transpose())
    }

    /// Waits for the next batch for at most `timeout`, as [`BatchStream::next_batch`]; [`Poll::Pending`] if it did not arrive.
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
            return Poll::Ready(self.accept(Some(delivery)));
        }
        let receive = self.streams.queues[queue].recv();
        match self
            .threads
            .block_on(async { time::timeout(timeout, receive).await })
        {
            Ok(received) => Poll::Ready(self.accept(received)),
            Err(_) => Poll::Pending,
        }
    }

    /// The next batch, if it has arrived; it is not consumed. Does not wait, and does not count as requesting a batch. Errors are returned
    /// only when the batch is requested.
    pub fn peek(&mut self) -> Option<&Batch> {
        if self.ahead.is_none() {
            let queue = self.queue()?;
            self.ahead = self.streams.queues[queue].try_recv().ok();
        }
        let (batch, _origin) = self.ahead.as_ref()?.as_ref().ok()?;
        Some(batch)
    }

    /// Ends `epoch`, all batches of which were consumed: reports to the servers how long the caller worked on them and waited for them, and
    /// returns the bottleneck. `None` if no batch was consumed since the last call.
    ///
    /// Waits for the answers for at most two seconds. A server that does not answer in time makes the report less exact.
    pub fn end_epoch(&mut self, epoch: u64) -> Option<BottleneckReport> {
        let report = self.report(epoch);
        self.threads.block_on(report).bottleneck()
    }

    /// [`BatchStream::end_epoch`] for async code of any executor.
    pub async fn end_epoch_async(&mut self, epoch: u64) -> Option<BottleneckReport> {
        let report = self.report(epoch);
        self.threads.run(report).await.bottleneck()
    }

    /// Reports the timings since the last report; returns the breakdown by all servers.
    fn report(&mut self, epoch: u64) -> impl Future<Output = TimeBreakdown> + Send + use<> {
        let entries = self.timer.take(Instant::now());
        let server_pool = Arc::clone(&self.spread.server_pool);
        async move {
            let ask = |(origin, step_timings)| ask(Arc::clone(&server_pool), origin, epoch, step_timings);
            let mut asking: JoinSet<TimeBreakdown> = entries.into_iter().map(ask).collect();
            let mut sum = TimeBreakdown::default();
            while let Some(answer) = asking.join_next().await {
                answer.iter().for_each(|breakdown| sum.add(breakdown));
            }
            sum
        }
    }

    /// The queue of the next batch. If servers were added or removed since the last batch, the steps from here on are redistributed first.
    fn queue(&mut self) -> Option<usize> {
        let Due { epoch, step } = self.due?;
        let server_pool = &self.spread.server_pool;
        if self.ahead.is_none() && self.streams.membership != server_pool.membership() {
            let (servers, membership) = server_pool.members();
            let servers = (servers.as_slice(), membership);
            let start = self.position.as_ref();
            self.streams = self
                .spread
                .start(&self.threads, &self.description, servers, start, vec![]);
        }
        let number = u128::from(epoch) * u128::from(self.description.steps_per_epoch) + u128::from(step);
        Some((number % self.streams.queues.len() as u128) as usize)
    }

    fn accept(&mut self, received: Option<Delivery>) -> Result<Option<Batch>, Error> {
        self.due = match (&received, self.due) {
            (Some(Ok(_)), Some(due)) => {
                let following = due.next(self.description.steps_per_epoch);
                (following.epoch < u64::from(self.spread.request.epochs)).then_some(following)
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

/// The batches in order, blocking the thread; see [`BatchStream::poll_next`] for async code. Nothing follows an error.
impl Iterator for BatchStream {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

/// The time breakdown by the server of `origin`.
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
            tracing::debug!(server = server.address(), error = %error, "this server did not accept the epoch report");
            TimeBreakdown::alone(&step_timings)
        }
        Err(_elapsed) => TimeBreakdown::alone(&step_timings),
    }
}
