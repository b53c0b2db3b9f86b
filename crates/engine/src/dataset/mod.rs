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
mod sample;
mod samples;
mod scan;
mod scanned;
mod split;
mod walk;
mod warning;
mod weights;

pub use error::Error;
pub use fingerprint::Fingerprint;
pub use options::{Orientation, ScanOptions, SplitMethod};
pub use quarantine::RuntimeQuarantine;
pub use sample::{ParseSplitError, Quarantined, Sample, Split};
pub use samples::Samples;
pub use scan::{Progress, scan_lenient, scan_with_progress};
pub use scanned::Dataset;
pub use warning::{LinkFault, Warning};
pub use weights::{effective_number, inverse_frequency};

#[cfg(test)]
mod tests;
