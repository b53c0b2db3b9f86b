use std::path::PathBuf;

use super::{
    Fingerprint, Quarantined, Samples, ScanOptions, Split, Warning,
    fingerprint::fingerprint,
    layout::split_of,
    split::{FOLDS, folds},
};

/// The class folders of a root as they were scanned. Immutable: samples found broken later go to a
/// [`RuntimeQuarantine`](super::RuntimeQuarantine), so that ids and fingerprint stay.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its name for clients.
    pub name: String,
    /// Canonical path of the root.
    pub root: PathBuf,
    /// Class names, sorted. The index is the label.
    pub classes: Vec<String>,
    /// Sorted by class, then by path. The index is the sample's id.
    pub samples: Samples,
    /// Hash of classes, samples and the options that change pixels.
    pub fingerprint: Fingerprint,
    /// Files found at the scan that are not samples, by path.
    pub quarantine: Vec<Quarantined>,
    /// Further defects that the scan found.
    pub warnings: Vec<Warning>,
    /// The options of the scan.
    pub options: ScanOptions,
}

impl Dataset {
    /// Path of the file of sample `id`.
    ///
    /// # Panics
    ///
    /// If there is no such sample.
    #[must_use]
    pub fn path(&self, id: u32) -> PathBuf {
        self.root.join(&*self.samples[id as usize].path)
    }

    /// Bytes of memory needed to serve it, without those proportional to the number of classes.
    #[must_use]
    pub fn heap_bytes(&self) -> u64 {
        self.samples.heap_bytes() + (self.samples.len() * size_of::<u32>()) as u64
    }

    /// The same images for cross-validation: those in train and valid are divided into [`FOLDS`] folds, class by class; fold `fold`, from 1, is
    /// valid, the others are train. A class with one image keeps it in train. Fold 0 is empty: all are train. `None` if folders give the split, because they may keep images apart
    /// that belong together. Called `NAME@FOLD/FOLDS`.
    #[must_use]
    pub fn fold(&self, fold: u32) -> Option<Self> {
        let is_given = |path: &str| {
            let folder = path.split('/').next().unwrap_or_default();
            split_of(folder) == Some(Split::Valid)
        };
        if self.samples.iter().any(|sample| is_given(&sample.path)) {
            return None;
        }
        let mut dataset = Self {
            name: format!("{}@{fold}/{FOLDS}", self.name),
            ..self.clone()
        };
        let [train, valid] = [Split::Train, Split::Valid].map(|split| self.members(split));
        for (mut ids, valid) in train.into_iter().zip(valid) {
            ids.extend(valid);
            let paths: Vec<&str> = ids.iter().map(|&id| &*self.samples[id as usize].path).collect();
            for (&id, of) in ids.iter().zip(folds(&paths, self.options.split_seed)) {
                let is_valid = of == fold && ids.len() > 1;
                dataset.samples[id as usize].split = if is_valid { Split::Valid } else { Split::Train };
            }
        }
        dataset.fingerprint = fingerprint(&dataset.classes, &dataset.samples, self.options.orientation);
        Some(dataset)
    }

    /// Sample ids of `split` by class, ascending; empty for a class without samples in the split.
    #[must_use]
    pub fn members(&self, split: Split) -> Vec<Vec<u32>> {
        let counts = self.counts(split).into_iter();
        let mut members: Vec<Vec<u32>> = counts.map(|count| Vec::with_capacity(count as usize)).collect();
        for (id, sample) in (0..).zip(self.samples.iter()) {
            if sample.split == split {
                members[sample.class as usize].push(id);
            }
        }
        members
    }

    /// Number of samples of `split` by class.
    #[must_use]
    pub fn counts(&self, split: Split) -> Vec<u32> {
        let mut counts = vec![0; self.classes.len()];
        for sample in self.samples.iter().filter(|sample| sample.split == split) {
            counts[sample.class as usize] += 1;
        }
        counts
    }

    /// The splits that have samples, in the order of [`Split::ALL`].
    #[must_use]
    pub fn splits(&self) -> Vec<Split> {
        let used = |split: &Split| self.samples.iter().any(|sample| sample.split == *split);
        Split::ALL.into_iter().filter(used).collect()
    }
}
