//! The datasets of an engine, which are scanned while it runs.

use std::{
    future::poll_fn,
    mem,
    sync::{Arc, PoisonError},
    task::{Poll, Waker},
};

use super::{DatasetSlot, Engine};
use crate::{
    dataset::{self, Dataset, FOLDS, Progress},
    pipeline::{Error, ServedDataset},
};

impl Engine {
    /// Serves `dataset` from now on. Blocks while decoders of other datasets use the memory that its index needs.
    ///
    /// # Errors
    ///
    /// [`dataset::Error::NoMemory`].
    ///
    /// # Panics
    ///
    /// If its name was not passed to [`Engine::awaiting`], or it was added before.
    pub fn add(&self, dataset: Dataset) -> Result<(), dataset::Error> {
        let slot = self.slots.iter().find(|slot| slot.name == dataset.name);
        let slot = slot.expect("a dataset that is awaited");
        let bytes = dataset.heap_bytes();
        let memory = self.memory.rest.take_unowned(bytes);
        let memory = memory.ok_or_else(|| dataset::Error::NoMemory {
            root: dataset.root.clone(),
            images: dataset.samples.len(),
            bytes,
        })?;
        let served = Arc::new(ServedDataset::new(dataset, memory, self.config.max_broken));
        assert!(slot.served.set(served).is_ok(), "{} is added twice", slot.name);
        let mut waiting = self.scanned.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut *waiting).into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Progress of the scan of the dataset `name`, to be updated by the scan; `None` if there is no such dataset.
    #[must_use]
    pub fn progress(&self, name: &str) -> Option<&Progress> {
        let slot = self.slots.iter().find(|slot| slot.name == name)?;
        Some(&slot.progress)
    }

    /// Names of the datasets that are not scanned yet, with the progress of their scans.
    #[must_use]
    pub fn awaited(&self) -> Vec<(&str, &Progress)> {
        let awaited = self.slots.iter().filter(|slot| slot.served.get().is_none());
        awaited.map(|slot| (slot.name.as_str(), &slot.progress)).collect()
    }

    /// Waits until all datasets are scanned.
    pub async fn scanned(&self) {
        poll_fn(|context| {
            let mut waiting = self.scanned.lock().unwrap_or_else(PoisonError::into_inner);
            if self.awaited().is_empty() {
                return Poll::Ready(());
            }
            // Once for each task, however often it polls.
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// All datasets that are scanned, in the order of the configuration.
    #[must_use]
    pub fn datasets(&self) -> Vec<&Arc<ServedDataset>> {
        self.slots.iter().filter_map(|slot| slot.served.get()).collect()
    }

    /// The dataset `name`; an empty name means the only one, and `NAME@2/5` the second fold of `NAME`, `NAME@0/5` all of its images to train on: see [`Dataset::fold`].
    ///
    /// # Errors
    ///
    /// If there is no such dataset, it is not scanned yet, the name is empty and there are several datasets, or the dataset has no folds.
    pub fn dataset(&self, name: &str) -> Result<&Arc<ServedDataset>, Error> {
        self.dataset_among(name, |_| true)
    }

    /// As [`Engine::dataset`], among the datasets whose name `is_visible` only.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::dataset`].
    pub fn dataset_among(
        &self,
        name: &str,
        is_visible: impl Fn(&str) -> bool,
    ) -> Result<&Arc<ServedDataset>, Error> {
        self.find(name, is_visible).map(|(_, served)| served)
    }

    pub(super) fn find(
        &self,
        name: &str,
        is_visible: impl Fn(&str) -> bool,
    ) -> Result<(usize, &Arc<ServedDataset>), Error> {
        let visible: Vec<(usize, &DatasetSlot)> = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| is_visible(&slot.name))
            .collect();
        let known = || {
            let names: Vec<&str> = visible.iter().map(|(_, slot)| slot.name.as_str()).collect();
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        };
        let named = |name: &str| visible.iter().find(|(_, slot)| slot.name == name).copied();
        let mut fold = None;
        let (index, slot) = match (name, &*visible) {
            ("", [only]) => *only,
            ("", _) => return Err(Error::DatasetNotNamed { known: known() }),
            _ => {
                let found = named(name).or_else(|| {
                    let (name, number) = fold_of(name)?;
                    fold = Some(number);
                    named(name)
                });
                found.ok_or_else(|| Error::UnknownDataset {
                    name: name.to_owned(),
                    known: known(),
                })?
            }
        };
        let served = slot.served.get().ok_or_else(|| Error::NotScanned {
            dataset: slot.name.clone(),
            progress: slot.progress.to_string(),
        })?;
        match fold {
            None => Ok((index, served)),
            Some(fold) => {
                // Indices after those of all datasets, since the caches and shared streams tell datasets apart by them.
                let index = self.slots.len() + index * (FOLDS as usize + 1) + fold as usize;
                Ok((index, self.fold(slot, served, fold)?))
            }
        }
    }

    /// Fold `fold` of a dataset, made when it is first requested and kept.
    fn fold<'a>(
        &self,
        slot: &'a DatasetSlot,
        served: &ServedDataset,
        fold: u32,
    ) -> Result<&'a Arc<ServedDataset>, Error> {
        let kept = &slot.folds[fold as usize];
        if let Some(served) = kept.get() {
            return Ok(served);
        }
        let no_fold = |reason| Error::NoFold {
            dataset: slot.name.clone(),
            reason,
        };
        let dataset = served
            .dataset()
            .fold(fold)
            .ok_or_else(|| no_fold("its folders give the split"))?;
        let memory = self.memory.rest.take_unowned(dataset.heap_bytes());
        let memory = memory
            .ok_or_else(|| no_fold("its index does not fit the memory (--memory-bytes of the server)"))?;
        Ok(kept.get_or_init(|| Arc::new(ServedDataset::new(dataset, memory, self.config.max_broken))))
    }
}

/// Name and fold of `NAME@FOLD/5`.
fn fold_of(name: &str) -> Option<(&str, u32)> {
    let (name, fold) = name.rsplit_once('@')?;
    let (fold, folds) = fold.split_once('/')?;
    let fold = fold.parse().ok().filter(|fold| (0..=FOLDS).contains(fold))?;
    (folds == FOLDS.to_string()).then_some((name, fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fold_is_named_by_its_number_and_that_of_all() {
        assert_eq!(fold_of("pets@2/5"), Some(("pets", 2)));
        assert_eq!(fold_of("a@b@5/5"), Some(("a@b", 5)));
        assert_eq!(fold_of("pets@0/5"), Some(("pets", 0)));
        for name in ["pets", "pets@2", "pets@6/5", "pets@2/4", "pets@x/5", "pets/5"] {
            assert_eq!(fold_of(name), None, "{name}");
        }
    }
}
