use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Dataset, Quarantined};

/// The samples of a dataset that were found broken when they were decoded. Separate from the [`Dataset`], whose ids and fingerprint stay.
#[derive(Debug, Default)]
pub struct RuntimeQuarantine {
    // Locked for lookups and insertions only; broken files are few.
    reasons: Mutex<BTreeMap<u32, String>>,
}

impl RuntimeQuarantine {
    /// Records that sample `id` is broken, with the first reason given. Returns whether that was unknown.
    pub fn report(&self, id: u32, error: &dyn Error) -> bool {
        match self.reasons().entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(reason(error));
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// Whether sample `id` is known to be broken.
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        self.reasons().contains_key(&id)
    }

    /// Number of samples known to be broken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.reasons().len()
    }

    /// Whether no sample is known to be broken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reasons().is_empty()
    }

    /// The first `count` quarantined files of `dataset` after the path `after`, from the scan or later, by path.
    #[must_use]
    pub fn page(&self, dataset: &Dataset, after: &str, count: usize) -> Vec<Quarantined> {
        let scanned = &dataset.quarantine;
        let first = scanned.partition_point(|file| *file.path <= *after);
        let scanned = scanned[first..].iter().take(count).cloned();
        let reasons = self.reasons();
        let found = reasons
            .iter()
            .map(|(&id, reason)| (&*dataset.samples[id as usize].path, reason));
        let mut found: Vec<_> = found.filter(|(path, _)| *path > after).collect();
        found.sort_unstable();
        let found = found.into_iter().take(count).map(|(path, reason)| Quarantined {
            path: path.to_owned(),
            reason: reason.clone(),
        });
        let mut page: Vec<Quarantined> = scanned.chain(found).collect();
        drop(reasons);
        page.sort();
        page.truncate(count);
        page
    }

    fn reasons(&self) -> MutexGuard<'_, BTreeMap<u32, String>> {
        // Every state of the map is valid, so poisoning does not matter.
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error and its causes in one line.
pub(super) fn reason(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
