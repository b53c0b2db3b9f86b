//! A dataset as it is served: what was scanned, and what was found to be broken since.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Error, meter::Meter};
use crate::{
    dataset::{Dataset, Quarantined, RuntimeQuarantine, Split},
    decode,
};

/// A dataset and the samples of it that could not be decoded while it was served.
#[derive(Debug)]
pub struct Served {
    dataset: Dataset,
    broken: RuntimeQuarantine,
    /// Images and broken images, by split.
    images: [usize; 3],
    broken_images: [AtomicUsize; 3],
    max_broken: f64,
    meter: Meter,
}

impl Served {
    pub(super) fn new(dataset: Dataset, max_broken: f64) -> Self {
        let images = Split::ALL.map(|split| dataset.counts(split).iter().sum::<u32>() as usize);
        Self {
            dataset,
            broken: RuntimeQuarantine::default(),
            images,
            broken_images: Default::default(),
            max_broken,
            meter: Meter::default(),
        }
    }

    /// What its streams did.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What was scanned.
    #[must_use]
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Files that are never served: those refused by the scan and those found broken since, with reasons.
    #[must_use]
    pub fn quarantined(&self) -> Vec<Quarantined> {
        self.broken.with_scanned(&self.dataset)
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
        let images = self.images[split];
        if broken > 1 && broken as f64 > self.max_broken * images as f64 {
            let (dataset, path) = (self.dataset.name.clone(), file.path.clone());
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
