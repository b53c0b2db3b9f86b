use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Dataset;

/// A file that is never served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarantined {
    /// Relative to the root, with `/` between components; what is not UTF-8 in it is replaced.
    pub path: String,
    /// One clause for a person.
    pub reason: String,
}

/// The samples of one data set that turned out to be broken when they were decoded. Lives beside the [`Dataset`], whose ids and
/// fingerprint it leaves alone.
#[derive(Debug, Default)]
pub struct RuntimeQuarantine {
    // Locked for a look-up or an insertion only; broken files are few.
    reasons: Mutex<BTreeMap<u32, String>>,
}

impl RuntimeQuarantine {
    /// Notes that sample `id` is broken, for the first reason given. Returns whether it is news.
    pub fn report(&self, id: u32, error: &dyn Error) -> bool {
        match self.reasons().entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(reason(error));
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// Says whether sample `id` is known to be broken.
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        self.reasons().contains_key(&id)
    }

    /// Number of samples known to be broken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.reasons().len()
    }

    /// Says whether no sample is known to be broken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reasons().is_empty()
    }

    /// The first `count` files of `dataset` behind the path `after` that are never served, found at the scan or later, by path.
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
        // Every state of the map is a valid one, so a panic elsewhere while it was locked does not matter.
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
