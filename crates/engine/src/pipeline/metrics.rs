//! Counters of streams: per epoch, per stream, and per dataset.
//!
//! The workers of a stream count into its [`WorkerCounters`], two additions for a cached sample. Everything else is counted once per batch.

use std::{
    ops::AddAssign,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Counters that the workers of one stream update.
#[derive(Debug, Default)]
pub(super) struct WorkerCounters {
    hits: AtomicU64,
    decodes: AtomicU64,
    reading_ns: AtomicU64,
    decoding_ns: AtomicU64,
    rendering_ns: AtomicU64,
}

impl WorkerCounters {
    /// Counts an image from the cache, or from another lookup's decode.
    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an image that was read and decoded.
    pub(super) fn decoded(&self, reading: Duration, decoding: Duration) {
        self.decodes.fetch_add(1, Ordering::Relaxed);
        self.reading_ns.fetch_add(nanoseconds(reading), Ordering::Relaxed);
        self.decoding_ns
            .fetch_add(nanoseconds(decoding), Ordering::Relaxed);
    }

    /// Adds the time of augmenting an image and writing it to its batch.
    pub(super) fn rendered(&self, took: Duration) {
        self.rendering_ns.fetch_add(nanoseconds(took), Ordering::Relaxed);
    }

    /// The counts since the last call.
    pub(super) fn take(&self) -> EpochStats {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        EpochStats {
            hits: take(&self.hits),
            decodes: take(&self.decodes),
            reading: Duration::from_nanos(take(&self.reading_ns)),
            decoding: Duration::from_nanos(take(&self.decoding_ns)),
            rendering: Duration::from_nanos(take(&self.rendering_ns)),
            ..EpochStats::default()
        }
    }
}

/// 64 bits hold 585 years.
fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// Counts and times of any number of batches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpochStats {
    /// Batches delivered to readers.
    pub batches: u64,
    /// Images in them.
    pub images: u64,
    /// Bytes of their tensors.
    pub bytes: u64,
    /// Images that replaced a broken one.
    pub replaced: u64,
    /// Images from the cache, or from another lookup's decode.
    pub hits: u64,
    /// Images read and decoded.
    pub decodes: u64,
    /// Worker time spent on reading files.
    pub reading: Duration,
    /// Worker time spent on decoding.
    pub decoding: Duration,
    /// Worker time spent on augmenting and writing tensors.
    pub rendering: Duration,
    /// Time from the delivery of a batch to the request for the next: it is being sent, or the reader is busy.
    pub waiting_for_reader: Duration,
    /// The part of `waiting_for_reader` during which the connection accepted no bytes.
    pub sending: Duration,
    /// Time from the request for a batch to its delivery.
    pub waiting_for_batch: Duration,
    /// Distribution of `waiting_for_batch` over batches.
    pub latency: Histogram,
}

impl AddAssign<&Self> for EpochStats {
    fn add_assign(&mut self, other: &Self) {
        self.batches += other.batches;
        self.images += other.images;
        self.bytes += other.bytes;
        self.replaced += other.replaced;
        self.hits += other.hits;
        self.decodes += other.decodes;
        self.reading += other.reading;
        self.decoding += other.decoding;
        self.rendering += other.rendering;
        self.waiting_for_reader += other.waiting_for_reader;
        self.sending += other.sending;
        self.waiting_for_batch += other.waiting_for_batch;
        self.latency += &other.latency;
    }
}

/// A client's report of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientReport {
    /// Batches that it used.
    pub steps: u64,
    /// Time spent on computing.
    pub working: Duration,
    /// Time spent on waiting for batches.
    pub waiting: Duration,
}

impl AddAssign<&Self> for ClientReport {
    fn add_assign(&mut self, other: &Self) {
        self.steps += other.steps;
        self.working += other.working;
        self.waiting += other.waiting;
    }
}

/// A histogram of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Histogram {
    counts: [u64; Histogram::BOUNDS.len() + 1],
    sum: Duration,
}

impl Histogram {
    /// Upper bounds of the buckets, in seconds. One more bucket has no bound.
    pub const BOUNDS: [f64; 12] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
    ];

    pub(super) fn record(&mut self, time: Duration) {
        let bucket = Self::BOUNDS.partition_point(|&bound| bound < time.as_secs_f64());
        self.counts[bucket] += 1;
        self.sum += time;
    }

    /// Durations per bucket, the unbounded one last.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Sum of all durations.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

impl AddAssign<&Self> for Histogram {
    fn add_assign(&mut self, other: &Self) {
        self.sum += other.sum;
        for (count, other) in self.counts.iter_mut().zip(other.counts) {
            *count += other;
        }
    }
}

/// Metrics of a dataset, over all its streams.
#[derive(Debug, Default)]
pub struct DatasetMetrics(Mutex<MetricsSnapshot>);

/// The values of [`DatasetMetrics`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MetricsSnapshot {
    /// Open streams.
    pub open: u64,
    /// Streams opened so far.
    pub opened: u64,
    /// Streams that ended with an error of the server or of its files.
    pub failed: u64,
    /// Counts and times of all streams.
    pub sums: EpochStats,
    /// Sums of the clients' reports.
    pub usage: ClientReport,
}

impl DatasetMetrics {
    /// A snapshot of all values.
    #[must_use]
    pub fn read(&self) -> MetricsSnapshot {
        *self.lock()
    }

    pub(super) fn open(&self) {
        let mut values = self.lock();
        values.open += 1;
        values.opened += 1;
    }

    pub(super) fn close(&self) {
        self.lock().open -= 1;
    }

    pub(super) fn fail(&self) {
        self.lock().failed += 1;
    }

    pub(super) fn add(&self, sums: &EpochStats) {
        self.lock().sums += sums;
    }

    pub(super) fn report(&self, usage: &ClientReport) {
        self.lock().usage += usage;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, MetricsSnapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut histogram = Histogram::default();
        for milliseconds in [0, 1, 2, 10_000, 10_001] {
            histogram.record(Duration::from_millis(milliseconds));
        }
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[1]), (2, 1));
        assert_eq!((counts[11], counts[12]), (1, 1));
        assert_eq!(histogram.sum(), Duration::from_millis(20_004));
    }

    #[test]
    fn taking_the_counters_resets_them() {
        let counters = WorkerCounters::default();
        counters.hit();
        counters.decoded(Duration::from_millis(1), Duration::from_millis(3));
        counters.rendered(Duration::from_millis(2));
        let sums = counters.take();
        assert_eq!((sums.hits, sums.decodes), (1, 1));
        assert_eq!((sums.decoding.as_millis(), sums.rendering.as_millis()), (3, 2));
        assert_eq!(counters.take(), EpochStats::default());
    }
}
