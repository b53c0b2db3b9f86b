//! The reader's side of a stream.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use super::{
    Error, Exposure,
    batch::Batch,
    bottleneck::TimeBreakdown,
    cache_demand::CacheDemand,
    description::Description,
    epoch_history::{EpochHistory, StreamId},
    metrics::{ClientReport, EpochStats, WorkerCounters},
    served_dataset::ServedDataset,
    stream_task::StreamTask,
    workers::Workers,
};

/// A stream of batches, in order. Dropping it cancels the work that has not started.
#[derive(Debug)]
pub struct BatchStream {
    pub(super) task: Arc<StreamTask>,
    pub(super) workers: Arc<Workers<StreamTask>>,
    pub(super) epoch_history: Arc<EpochHistory>,
    pub(super) description: Description,
    pub(super) stats: StreamStats,
    /// The client that may report on it.
    pub(super) owner: String,
    /// Of the current epoch, if the recipe mixes images.
    pub(super) exposure: Option<Exposure>,
    pub(super) _cache_demand: CacheDemand,
    pub(super) _permit: StreamPermit,
}

impl BatchStream {
    /// What the stream consists of.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Counts a delivered batch towards the stream's window until the last reference to its tensor is dropped: a reader that keeps several gets
    /// no others meanwhile. For a reader that queues batches for sending, and would otherwise hold more than the stream may.
    pub fn count_sent(&mut self) {
        self.task.start_counting();
    }

    /// Accepts reports on the stream from `owner` only.
    pub fn owned_by(&mut self, owner: String) {
        self.owner = owner;
    }

    /// Sets the counter of the nanoseconds during which the stream's connection accepted no bytes.
    pub fn sent_by(&mut self, blocked_ns: Arc<AtomicU64>) {
        self.stats.blocked_ns = Some(blocked_ns);
    }

    /// The next batch in order, `None` after the last; nothing follows an error.
    ///
    /// If batches lie in shared memory, the buffers of those dropped since the last call are reused from here on.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Batch, Error>>> {
        self.stats.requested();
        let (taken, has_work) = self.task.poll_take(context.waker());
        if has_work {
            self.workers.enqueue(Arc::clone(&self.task));
        }
        match &taken {
            Poll::Ready(Some(Ok(batch))) => self.delivered(batch),
            Poll::Ready(Some(Err(_))) => self.description.served.metrics().fail(),
            _ => {}
        }
        taken
    }
}

/// The batches in order, blocking the thread; see [`BatchStream::poll_next`] for async code.
impl Iterator for BatchStream {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match self.poll_next(&mut context) {
                Poll::Ready(next) => return next,
                // Returns at once if the waker was called before.
                Poll::Pending => thread::park(),
            }
        }
    }
}

/// Unparks a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl BatchStream {
    fn delivered(&mut self, batch: &Batch) {
        let sums = self.stats.delivered(batch);
        if let Some(exposure) = &mut self.exposure {
            exposure.add(batch);
        }
        self.description.served.metrics().add(&sums);
        if self.description.spec.reports {
            let stream = (self.description.id, &self.description.served, self.owner.as_str());
            self.epoch_history.add(stream, batch.position.epoch, &sums);
        }
        if batch.next.epoch != batch.position.epoch {
            self.log_epoch(batch.position.epoch);
        }
    }

    /// Logs an epoch: counts, times, and the bottleneck, unless the client is going to report its own times.
    fn log_epoch(&mut self, epoch: u64) {
        let spec = &self.description.spec;
        let sums = std::mem::take(&mut self.stats.epoch);
        let classes = &self.description.served.dataset().classes;
        let none = Exposure::none(classes.len());
        let exposure = self.exposure.as_mut().map(|shown| std::mem::replace(shown, none));
        let (bottleneck, share) =
            TimeBreakdown::observed(&sums, epoch == spec.start.position.epoch).bottleneck();
        let is_known = !spec.reports;
        tracing::info!(
            stream = %self.description.id,
            dataset = spec.dataset,
            split = spec.split.name(),
            epoch,
            batches = sums.batches,
            images = sums.images,
            bytes = sums.bytes,
            replaced = sums.replaced,
            hits = sums.hits,
            decodes = sums.decodes,
            reading_ms = milliseconds(sums.reading),
            decoding_ms = milliseconds(sums.decoding),
            rendering_ms = milliseconds(sums.rendering),
            sending_ms = milliseconds(sums.sending),
            waiting_for_reader_ms = milliseconds(sums.waiting_for_reader),
            waiting_for_batch_ms = milliseconds(sums.waiting_for_batch),
            exposure = exposure.map(|shown| shown.text(classes)),
            bottleneck = is_known.then(|| tracing::field::display(bottleneck)),
            bottleneck_percent = is_known.then_some(percent(share)),
            "epoch served"
        );
    }
}

/// Logs a client's report of an epoch, and the bottleneck that follows from it.
pub(super) fn log_report(
    served: &ServedDataset,
    (id, epoch): (StreamId, u64),
    usage: &ClientReport,
    spent: &TimeBreakdown,
) {
    let (bottleneck, share) = spent.bottleneck();
    tracing::info!(
        stream = %id,
        dataset = served.dataset().name,
        epoch,
        steps = usage.steps,
        working_ms = milliseconds(usage.working),
        waiting_ms = milliseconds(usage.waiting),
        network_ms = milliseconds(spent.network),
        rendering_ms = milliseconds(spent.rendering),
        disk_ms = milliseconds(spent.disk),
        decoding_ms = milliseconds(spent.decoding + spent.cache),
        %bottleneck,
        bottleneck_percent = percent(share),
        "epoch used"
    );
}

fn percent(share: f64) -> u64 {
    (share * 100.0).round() as u64
}

impl Drop for BatchStream {
    fn drop(&mut self) {
        self.task.close();
        let metrics = self.description.served.metrics();
        // Counts of samples that were rendered and not delivered.
        metrics.add(&self.stats.counters.take());
        metrics.close();
        let (spec, sums) = (&self.description.spec, &self.stats.total);
        tracing::info!(
            stream = %self.description.id,
            dataset = spec.dataset,
            split = spec.split.name(),
            batches = sums.batches,
            images = sums.images,
            bytes = sums.bytes,
            replaced = sums.replaced,
            waiting_for_reader_ms = milliseconds(sums.waiting_for_reader),
            waiting_for_batch_ms = milliseconds(sums.waiting_for_batch),
            "stream closed"
        );
    }
}

fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// Statistics of a stream: what it delivered, and the times that it and its reader waited.
#[derive(Debug, Default)]
pub(super) struct StreamStats {
    /// Written by the workers.
    counters: Arc<WorkerCounters>,
    /// Written by the connection.
    blocked_ns: Option<Arc<AtomicU64>>,
    /// Of the current epoch.
    epoch: EpochStats,
    total: EpochStats,
    delivered: Option<Instant>,
    requested: Option<Instant>,
    waited_for_reader: Duration,
    blocked_before: Duration,
}

impl StreamStats {
    /// Empty; the workers count into `counters`.
    pub(super) fn new(counters: Arc<WorkerCounters>) -> Self {
        Self {
            counters,
            ..Self::default()
        }
    }

    fn requested(&mut self) {
        if self.requested.is_none() {
            let now = Instant::now();
            self.waited_for_reader = self.delivered.map_or(Duration::ZERO, |delivered| now - delivered);
            self.requested = Some(now);
        }
    }

    /// The counts since the last batch.
    fn delivered(&mut self, batch: &Batch) -> EpochStats {
        let now = Instant::now();
        let waited = self
            .requested
            .take()
            .map_or(Duration::ZERO, |requested| now - requested);
        self.delivered = Some(now);
        let blocked = self.blocked_ns.as_ref();
        let blocked = blocked.map_or(Duration::ZERO, |ns| {
            Duration::from_nanos(ns.load(Ordering::Relaxed))
        });
        let mut sums = EpochStats {
            batches: 1,
            images: batch.labels.len() as u64,
            bytes: batch.tensor.len() as u64,
            replaced: batch.replacements.len() as u64,
            waiting_for_reader: std::mem::take(&mut self.waited_for_reader),
            sending: blocked.saturating_sub(self.blocked_before),
            waiting_for_batch: waited,
            ..self.counters.take()
        };
        self.blocked_before = blocked;
        sums.latency.record(waited);
        self.epoch += &sums;
        self.total += &sums;
        sums
    }
}

/// A permit for one open stream; released when dropped.
#[derive(Debug)]
pub(super) struct StreamPermit(Arc<AtomicUsize>);

impl StreamPermit {
    pub(super) fn take(open: &Arc<AtomicUsize>, limit: usize) -> Result<Self, Error> {
        let one_more = |count| (count < limit).then_some(count + 1);
        match open.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more) {
            Ok(_) => Ok(Self(Arc::clone(open))),
            Err(_) => Err(Error::TooManyStreams { limit }),
        }
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
