//! Scans class folders into a [`Dataset`]: files, classes and splits.
//!
//! # Layout of a root
//!
//! A class is a folder; its name is the class name, and every image anywhere below it belongs to it.
//!
//! 1. Without a `train/` folder in the root, the classes are the root's folders, and about 20 % of each class is held out for validation.
//!    `valid/` and `test/` beside them are splits, not classes: their folders are classes too, and with a `valid/` folder, nothing is held
//!    out.
//! 2. With a `train/` folder, the classes are the folders of `train/`, `valid/` and `test/`. Without `valid/`, 20 % of each class of `train/` is
//!    held out. Other folders of the root are not read; a warning names them.
//!
//! Whether an image is held out depends on its path and the split seed, so that added or removed files do not move others. Of numbered files, one
//! of the numbers 1 to 5 is held out, one of 6 to 10, and so on; other files are held out independently of one another, and their number is
//! binomial. The exception is a class that would have no image on one side; see [`SplitMethod::Stratified`].
//!
//! `val/` and `validation/` are read as `valid/`. A class with the same name in several splits is one class.
//!
//! An image is a file with extension `jpg`, `jpeg`, `png`, `webp`, `bmp` or `gif`, in upper or lower case. Names that begin with a
//! dot are skipped. Images outside class folders belong to no class; a warning counts them.
//!
//! # Order
//!
//! Classes are sorted by the bytes of their names, samples by class and then by the bytes of their paths. The index of a class in
//! that order is its label, the index of a sample is its id; both are the same on every file system.
//!
//! # Defects
//!
//! | in the folders | result |
//! |---|---|
//! | no root, a root that is a file, an unreadable root | [`Error`] |
//! | no usable image, or images of one class only | [`Error`] |
//! | an empty, broken, too large or non-UTF-8 named file | quarantined, not a sample |
//! | a class folder without a usable image | [`Warning::EmptyClass`], not a class |
//! | a class absent from a split that others are in | [`Warning::AbsentClass`], a class all the same |
//! | class names that differ in case only | [`Warning::SimilarClasses`], two classes |
//! | an unreadable folder | [`Error`]; for [`scan_lenient`] [`Warning::Unreadable`], skipped |
//! | a HEIC, TIFF, AVIF or other image of an unsupported format | [`Warning::Unsupported`], skipped |
//! | a link that leaves the root, is broken, or leads to a folder already read for this class | [`Warning::Link`], or quarantined if it is an image; skipped |
//!
//! Links that stay inside the root are followed.

mod error;
mod fingerprint;
mod layout;
mod options;
mod quarantine;
mod samples;
mod scan;
mod split;
mod walk;
mod warning;
mod weights;

pub use error::Error;
pub use fingerprint::Fingerprint;
pub use options::{Orientation, ScanOptions, SplitMethod};
pub use quarantine::{Quarantined, RuntimeQuarantine};
pub use samples::Samples;
pub use scan::{Progress, scan_lenient, scan_with_progress};
pub use warning::{LinkFault, Warning};
pub use weights::{effective_number, inverse_frequency};

use std::path::PathBuf;
use std::time::SystemTime;

/// The use of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Training.
    Train,
    /// Evaluation during training.
    Valid,
    /// Evaluation after training.
    Test,
}

impl Split {
    /// Every split, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    /// `train`, `valid` or `test`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }

    /// The split of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.name() == name)
    }
}

/// A usable image file. Takes 56 bytes and those of the path; there may be millions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Relative to the root, with `/` between components.
    pub path: Box<str>,
    /// Index into [`Dataset::classes`].
    pub class: u32,
    /// Its split.
    pub split: Split,
    /// Size of the file when it was scanned.
    pub bytes: u64,
    /// Modification time of the file when it was scanned, to detect later changes; not part of the fingerprint, since a copy of the folders is the
    /// same dataset.
    pub modified: SystemTime,
    /// Width in pixels, from the header, before EXIF orientation is applied.
    pub width: u32,
    /// Height in pixels, likewise.
    pub height: u32,
}

/// The class folders of a root as they were scanned. Immutable: samples found broken later go to a [`RuntimeQuarantine`], so that ids and
/// fingerprint stay.
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

#[cfg(test)]
mod tests;
