//! What streams did and who waited for whom: counted for each stream, summed up for each dataset.
//!
//! The workers of a stream count into its [`WorkerCounters`], two additions for a cached sample. All else happens once a batch.

use std::{
    ops::AddAssign,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::bottleneck::ClientReport;

/// Counts what the workers do for one stream.
#[derive(Debug, Default)]
pub(super) struct WorkerCounters {
    hits: AtomicU64,
    decodes: AtomicU64,
    reading_ns: AtomicU64,
    decoding_ns: AtomicU64,
    rendering_ns: AtomicU64,
}

impl WorkerCounters {
    /// An image came out of the cache, or from another stream's decode.
    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// An image was read and decoded.
    pub(super) fn decoded(&self, reading: Duration, decoding: Duration) {
        self.decodes.fetch_add(1, Ordering::Relaxed);
        self.reading_ns.fetch_add(nanoseconds(reading), Ordering::Relaxed);
        self.decoding_ns
            .fetch_add(nanoseconds(decoding), Ordering::Relaxed);
    }

    /// An image was augmented and written to its batch.
    pub(super) fn rendered(&self, took: Duration) {
        self.rendering_ns.fetch_add(nanoseconds(took), Ordering::Relaxed);
    }

    /// What was counted since the last time.
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

/// 585 years fit.
fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// What was done, over any number of batches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpochStats {
    /// Batches given to readers.
    pub batches: u64,
    /// Images in them.
    pub images: u64,
    /// Bytes of their tensors.
    pub bytes: u64,
    /// Images that stood for a broken one.
    pub replaced: u64,
    /// Images that came out of the cache, or from another stream's decode.
    pub hits: u64,
    /// Images read and decoded.
    pub decodes: u64,
    /// Time of the workers, reading files.
    pub reading: Duration,
    /// Time of the workers, decoding.
    pub decoding: Duration,
    /// Time of the workers, augmenting and writing tensors.
    pub rendering: Duration,
    /// Time between the delivery of a batch and the demand for the next: it is sent, and the reader is busy.
    pub waiting_for_reader: Duration,
    /// The part of that in which the connection took no more bytes.
    pub sending: Duration,
    /// Time between a demand and its batch.
    pub waiting_for_batch: Duration,
    /// Those times, batch by batch.
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

/// How many times were how long.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Histogram {
    counts: [u64; Histogram::BOUNDS.len() + 1],
    sum: Duration,
}

impl Histogram {
    /// Upper bounds of the classes, in seconds. Above the last one there is one more class.
    pub const BOUNDS: [f64; 12] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
    ];

    pub(super) fn record(&mut self, time: Duration) {
        let class = Self::BOUNDS.partition_point(|&bound| bound < time.as_secs_f64());
        self.counts[class] += 1;
        self.sum += time;
    }

    /// How many times there are in each class, the open one last.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// All times together.
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

/// The sums of a dataset.
#[derive(Debug, Default)]
pub struct DatasetMetrics(Mutex<MetricsSnapshot>);

/// What a meter shows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MetricsSnapshot {
    /// Streams open now.
    pub open: u64,
    /// Streams opened so far.
    pub opened: u64,
    /// Streams that ended with an error of this server or of its files.
    pub failed: u64,
    /// What they did.
    pub sums: EpochStats,
    /// What their readers say that they did.
    pub usage: ClientReport,
}

impl DatasetMetrics {
    /// What it shows now.
    #[must_use]
    pub fn read(&self) -> MetricsSnapshot {
        *self.lock()
    }

    pub(super) fn open(&self) {
        let mut reading = self.lock();
        reading.open += 1;
        reading.opened += 1;
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
    fn times_fall_into_the_class_whose_bound_they_do_not_exceed() {
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
    fn a_tally_is_taken_once() {
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
