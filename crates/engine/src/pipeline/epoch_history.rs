//! Statistics of recent epochs, for which clients may still send a report.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{metrics::EpochStats, served_dataset::ServedDataset};

/// Epochs kept per stream: the number that a client may be behind.
const EPOCHS: usize = 32;
/// Streams kept: those that delivered a batch last.
const STREAMS: usize = 256;

/// Identifies a stream of this server; not guessable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub u64);

impl StreamId {
    /// A new random id.
    pub(super) fn new() -> Self {
        Self(getrandom::u64().expect("the system has randomness"))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Statistics of one epoch of a stream so far.
#[derive(Clone, Debug)]
pub(super) struct EpochRecord {
    pub(super) served: Arc<ServedDataset>,
    pub(super) sums: EpochStats,
    /// Whether it is the first epoch of the stream.
    pub(super) is_first: bool,
}

/// Statistics of a bounded number of epochs.
#[derive(Debug, Default)]
pub(super) struct EpochHistory(Mutex<HistoryState>);

#[derive(Debug, Default)]
struct HistoryState {
    streams: HashMap<StreamId, StreamHistory>,
    /// Number of batches so far, as a clock.
    now: u64,
}

#[derive(Debug)]
struct StreamHistory {
    served: Arc<ServedDataset>,
    owner: String,
    first_epoch: u64,
    epochs: VecDeque<(u64, EpochStats)>,
    /// `now` at its last batch.
    last: u64,
}

impl EpochHistory {
    /// Adds `sums` to `epoch` of a stream of `served` that `owner` reads.
    pub(super) fn add(
        &self,
        (stream, served, owner): (StreamId, &Arc<ServedDataset>, &str),
        epoch: u64,
        sums: &EpochStats,
    ) {
        let mut kept = self.lock();
        kept.now += 1;
        let now = kept.now;
        if kept.streams.len() == STREAMS && !kept.streams.contains_key(&stream) {
            kept.forget_one();
        }
        let stream = kept.streams.entry(stream).or_insert_with(|| StreamHistory {
            served: Arc::clone(served),
            owner: owner.to_owned(),
            first_epoch: epoch,
            epochs: VecDeque::new(),
            last: now,
        });
        stream.last = now;
        match stream.epochs.back_mut() {
            Some((last, so_far)) if *last == epoch => *so_far += sums,
            _ => stream.epochs.push_back((epoch, *sums)),
        }
        if stream.epochs.len() > EPOCHS {
            stream.epochs.pop_front();
        }
    }

    /// Removes and returns the statistics of an epoch of a stream of `owner`, if they are kept.
    pub(super) fn take(&self, (stream, owner): (StreamId, &str), epoch: u64) -> Option<EpochRecord> {
        let mut kept = self.lock();
        let stream = kept.streams.get_mut(&stream)?;
        if stream.owner != owner {
            return None;
        }
        let place = stream.epochs.iter().position(|(kept, _)| *kept == epoch)?;
        let (_, sums) = stream.epochs.remove(place)?;
        Some(EpochRecord {
            served: Arc::clone(&stream.served),
            sums,
            is_first: epoch == stream.first_epoch,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HistoryState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HistoryState {
    /// Drops the stream that has delivered nothing for the longest time.
    fn forget_one(&mut self) {
        let oldest = self.streams.iter().min_by_key(|(_, stream)| stream.last);
        if let Some(oldest) = oldest.map(|(id, _)| *id) {
            self.streams.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dataset::{Dataset, ScanOptions},
        memory::Budget,
    };

    /// A dataset with one image per class.
    fn served() -> Arc<ServedDataset> {
        let folder = tempfile::tempdir().expect("a folder");
        for class in ["a", "b"] {
            std::fs::create_dir(folder.path().join(class)).expect("a class");
            let file = folder.path().join(class).join("0.png");
            image::RgbImage::new(8, 8).save(file).expect("an image");
        }
        let scanned = Dataset::scan("pictures", folder.path(), &ScanOptions::default());
        let dataset = scanned.expect("a dataset");
        let memory = Budget::new(0, 0).take_unowned(0).expect("nothing");
        Arc::new(ServedDataset::new(dataset, memory, 0.0))
    }

    fn batches(count: u64) -> EpochStats {
        EpochStats {
            batches: count,
            ..EpochStats::default()
        }
    }

    #[test]
    fn batches_of_an_epoch_add_up_and_are_taken_once() {
        let (epochs, stream, served) = (EpochHistory::default(), StreamId::new(), served());
        for (epoch, count) in [(4, 1), (4, 2), (5, 1)] {
            epochs.add((stream, &served, "a"), epoch, &batches(count));
        }
        assert!(epochs.take((stream, "b"), 4).is_none(), "of another client");
        let record = epochs.take((stream, "a"), 4).expect("the first epoch");
        assert_eq!((record.sums.batches, record.is_first), (3, true));
        assert!(epochs.take((stream, "a"), 4).is_none());
        let record = epochs.take((stream, "a"), 5).expect("the second epoch");
        assert_eq!((record.sums.batches, record.is_first), (1, false));
        assert!(epochs.take((StreamId::new(), "a"), 5).is_none());
    }

    #[test]
    fn epochs_without_a_report_are_dropped() {
        let (epochs, served) = (EpochHistory::default(), served());
        let (ended, open) = (StreamId::new(), StreamId::new());
        epochs.add((ended, &served, "a"), 0, &batches(1));
        for epoch in 0..1000 {
            epochs.add((open, &served, "a"), epoch, &batches(1));
            epochs.add((StreamId::new(), &served, "a"), 0, &batches(1));
        }
        let kept = epochs.lock();
        assert_eq!(
            (kept.streams.len(), kept.streams[&open].epochs.len()),
            (STREAMS, EPOCHS)
        );
        drop(kept);
        assert!(epochs.take((ended, "a"), 0).is_none());
        assert!(epochs.take((open, "a"), 0).is_none(), "too long ago");
        let record = epochs.take((open, "a"), 999).expect("the last epoch");
        assert!(!record.is_first);
    }
}
