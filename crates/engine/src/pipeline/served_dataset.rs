//! A dataset as it is served: what was scanned, and what was found to be broken since.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{Error, metrics::DatasetMetrics};
use crate::{
    dataset::{Dataset, Quarantined, RuntimeQuarantine, Split},
    decode,
    memory::Permit,
};

/// A dataset and the samples of it that could not be decoded while it was served.
#[derive(Debug)]
pub struct ServedDataset {
    dataset: Dataset,
    broken: RuntimeQuarantine,
    /// Sample ids by class, by split: counted once, and shared by all streams.
    members: [Arc<[Vec<u32>]>; 3],
    /// Broken images, by split.
    broken_images: [AtomicUsize; 3],
    max_broken: f64,
    metrics: DatasetMetrics,
    _memory: Permit,
}

impl ServedDataset {
    /// `memory` is that of the dataset.
    pub(super) fn new(dataset: Dataset, memory: Permit, max_broken: f64) -> Self {
        Self {
            members: Split::ALL.map(|split| dataset.members(split).into()),
            dataset,
            broken: RuntimeQuarantine::default(),
            broken_images: Default::default(),
            max_broken,
            metrics: DatasetMetrics::default(),
            _memory: memory,
        }
    }

    /// What its streams did.
    #[must_use]
    pub fn metrics(&self) -> &DatasetMetrics {
        &self.metrics
    }

    /// What was scanned.
    #[must_use]
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Sample ids of `split` by class, ascending.
    #[must_use]
    pub fn members(&self, split: Split) -> &Arc<[Vec<u32>]> {
        &self.members[split as usize]
    }

    /// Images of `split` by class.
    pub fn counts(&self, split: Split) -> impl Iterator<Item = u32> {
        self.members(split).iter().map(|members| members.len() as u32)
    }

    /// The splits that have images, with their number.
    #[must_use]
    pub fn splits(&self) -> Vec<(Split, u32)> {
        let counted = Split::ALL.map(|split| (split, self.counts(split).sum()));
        counted.into_iter().filter(|(_, images)| *images > 0).collect()
    }

    /// The first `count` files behind the path `after` that are never served, by path: those refused by the scan and those found broken
    /// since, with reasons.
    #[must_use]
    pub fn quarantined(&self, after: &str, count: usize) -> Vec<Quarantined> {
        self.broken.page(&self.dataset, after, count)
    }

    /// How many files are never served.
    #[must_use]
    pub fn quarantined_files(&self) -> usize {
        self.dataset.quarantine.len() + self.broken.len()
    }

    /// Records that sample `id` cannot be used.
    ///
    /// # Errors
    ///
    /// Where its split has now more broken images than the operator tolerates. One is always tolerated: of a handful of images, any
    /// is more than a rate allows.
    pub(super) fn record_broken(&self, id: u32, error: &decode::Error) -> Result<(), Error> {
        let file = &self.dataset.samples[id as usize];
        let split = file.split as usize;
        let is_news = self.broken.report(id, error);
        if is_news {
            tracing::warn!(dataset = self.dataset.name, sample = file.path, error = %error, "image quarantined");
        }
        let broken = self.broken_images[split].fetch_add(usize::from(is_news), Ordering::Relaxed)
            + usize::from(is_news);
        let images = self.counts(file.split).sum::<u32>() as usize;
        if broken > 1 && broken as f64 > self.max_broken * images as f64 {
            let (dataset, path) = (self.dataset.name.clone(), file.path.to_string());
            return Err(Error::TooManyBroken {
                dataset,
                split: file.split,
                broken,
                images,
                path,
            });
        }
        Ok(())
    }
}
