//! A dataset at run time: the scanned files, and those found broken since.

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

/// A dataset at run time, with the samples that could not be decoded.
#[derive(Debug)]
pub struct ServedDataset {
    dataset: Dataset,
    broken: RuntimeQuarantine,
    /// Sample ids by split and class, shared by all streams.
    members: [Arc<[Vec<u32>]>; 3],
    /// Number of broken images by split.
    broken_images: [AtomicUsize; 3],
    max_broken: f64,
    metrics: DatasetMetrics,
    _memory: Permit,
}

impl ServedDataset {
    /// `memory` is the permit for the dataset's index; `max_broken` the tolerated fraction of broken images.
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

    /// The metrics of its streams.
    #[must_use]
    pub fn metrics(&self) -> &DatasetMetrics {
        &self.metrics
    }

    /// The dataset as it was scanned.
    #[must_use]
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Sample ids of `split` by class, ascending.
    #[must_use]
    pub fn members(&self, split: Split) -> &Arc<[Vec<u32>]> {
        &self.members[split as usize]
    }

    /// Number of images of `split` by class.
    pub fn counts(&self, split: Split) -> impl Iterator<Item = u32> {
        self.members(split).iter().map(|members| members.len() as u32)
    }

    /// The splits that have images, with their number of images.
    #[must_use]
    pub fn splits(&self) -> Vec<(Split, u32)> {
        let counted = Split::ALL.map(|split| (split, self.counts(split).sum()));
        counted.into_iter().filter(|(_, images)| *images > 0).collect()
    }

    /// The first `count` quarantined files after the path `after`, by path, with reasons: those refused by the scan and those found broken since.
    #[must_use]
    pub fn quarantined(&self, after: &str, count: usize) -> Vec<Quarantined> {
        self.broken.page(&self.dataset, after, count)
    }

    /// Number of quarantined files.
    #[must_use]
    pub fn quarantined_files(&self) -> usize {
        self.dataset.quarantine.len() + self.broken.len()
    }

    /// Quarantines sample `id`.
    ///
    /// # Errors
    ///
    /// If more than the tolerated fraction of its split is broken. One broken image is always tolerated: in a small split it already exceeds any
    /// fraction.
    pub(super) fn record_broken(&self, id: u32, error: &decode::Error) -> Result<(), Error> {
        let file = &self.dataset.samples[id as usize];
        let split = file.split as usize;
        let is_new = self.broken.report(id, error);
        if is_new {
            tracing::warn!(dataset = self.dataset.name, sample = file.path, error = %error, "image quarantined");
        }
        let broken =
            self.broken_images[split].fetch_add(usize::from(is_new), Ordering::Relaxed) + usize::from(is_new);
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
