//! Datasets as described by servers.

use std::collections::BTreeMap;

use equibatch_proto::v1;

use super::{Split, hex::hexadecimal};

/// A dataset in the server's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetSummary {
    /// Its name.
    pub name: String,
    /// Hexadecimal.
    pub fingerprint: String,
    /// In label order.
    pub classes: Vec<String>,
    /// Images in each split.
    pub images_per_split: BTreeMap<String, u32>,
}

impl DatasetSummary {
    pub(super) fn from_wire(summary: v1::DatasetSummary) -> Self {
        Self {
            name: summary.name,
            fingerprint: hexadecimal(&summary.fingerprint),
            classes: summary.classes,
            images_per_split: summary.images_per_split,
        }
    }
}

/// The description of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetDescription {
    /// Its name.
    pub name: String,
    /// Hexadecimal.
    pub fingerprint: String,
    /// In label order.
    pub classes: Vec<ClassCounts>,
    /// Split names in use.
    pub splits: Vec<String>,
    /// Files that are excluded from serving: path and reason.
    pub quarantined: Vec<(String, String)>,
    /// Maximum of streams that this client may have open; 0: unknown.
    pub max_streams: u32,
}

/// A sample of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Path relative to the root of the dataset.
    pub path: String,
    /// Name of its split.
    pub split: String,
}

/// A class of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassCounts {
    /// Its name.
    pub name: String,
    /// Usable images by split.
    pub images_per_split: BTreeMap<String, u32>,
    /// Loss weight by the images of the train split: inversely proportional to their number.
    pub inverse_frequency_weight: f64,
    /// Loss weight by the images of the train split: inversely proportional to their effective number.
    pub effective_number_weight: f64,
}

impl ClassCounts {
    /// Usable images in the split of that name.
    #[must_use]
    pub fn images(&self, split: &str) -> u32 {
        self.images_per_split.get(split).copied().unwrap_or(0)
    }
}

impl DatasetDescription {
    /// Images of a split over all classes.
    #[must_use]
    pub fn images(&self, split: Split) -> u32 {
        self.classes.iter().map(|class| class.images(split.name())).sum()
    }

    pub(super) fn from_wire(description: v1::DescribeDatasetResponse) -> Self {
        let class = |class: v1::ClassDescription| ClassCounts {
            name: class.name,
            images_per_split: class.images_per_split,
            inverse_frequency_weight: class.inverse_frequency_weight,
            effective_number_weight: class.effective_number_weight,
        };
        Self {
            name: description.name,
            fingerprint: hexadecimal(&description.fingerprint),
            classes: description.classes.into_iter().map(class).collect(),
            splits: description.splits,
            quarantined: description
                .quarantined
                .into_iter()
                .map(|file| (file.path, file.reason))
                .collect(),
            max_streams: description.max_streams,
        }
    }

    /// Describes how the files of `other` differ from these; `None` if the counts are equal.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let names = |description: &Self| -> Vec<String> {
            let classes = description.classes.iter();
            classes.map(|class| class.name.clone()).collect()
        };
        if names(self) != names(other) {
            return Some(format!(
                "its classes are {}, expected {}",
                names(other).join(", "),
                names(self).join(", ")
            ));
        }
        let pairs = self.classes.iter().zip(&other.classes);
        pairs
            .flat_map(|(here, there)| {
                let splits = here.images_per_split.keys().chain(there.images_per_split.keys());
                splits.map(move |split| (here, there, split))
            })
            .find_map(|(here, there, split)| {
                let count = |class: &ClassCounts| class.images_per_split.get(split).copied().unwrap_or(0);
                (count(here) != count(there)).then(|| {
                    format!(
                        "class {} has {} images in its {split} split, expected {}",
                        here.name,
                        count(there),
                        count(here)
                    )
                })
            })
    }
}
