//! Generates a synthetic, imbalanced data set: JPEG files in class folders.
//!
//! By default 200 images of flowers and 20 of birds. Scene, lighting, clutter and colours have the same distributions for every class, so that
//! only the subject determines the class.
//!
//! # Layout
//!
//! - [`kind`]: subjects, and the class names that select them
//! - `rng`: the random choices of one picture; `paint`: colours, outlines, angles and the canvas
//! - `scene`: backdrop and clutter; `subject`: one file per kind of subject
//! - `picture`: composes one image; `photo`: camera effects and JPEG encoding
//! - `writer`: validation, folders, threads
//!
//! # Determinism
//!
//! An image is a pure function of seed, subject, number and part (training or test), independent of the other classes, their counts and
//! the number of threads. Floating-point arithmetic is limited to +, -, *, / and square roots in a fixed order; sine and cosine are
//! computed by `paint::angle`, since those of the C library differ between platforms.

mod draw_rng;
pub mod kind;
mod paint;
mod photo;
mod picture;
mod scene;
mod subject;
mod writer;

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

pub use writer::generate;

/// A class to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassSpec {
    /// Class name, which is that of its folder. A name of [`kind::SubjectKind`] selects that kind, any other one an unused kind ([`kind::assign`]).
    pub name: String,
    /// Number of images in the class folder, at least 1.
    pub count: usize,
}

impl ClassSpec {
    /// A class of `count` images.
    #[must_use]
    pub fn new(name: impl Into<String>, count: usize) -> Self {
        Self {
            name: name.into(),
            count,
        }
    }
}

/// A long-tailed set: `classes` classes, `class01` and so on, of exponentially fewer images, from `largest` to `largest / factor`, rounded.
///
/// # Source
///
/// Cui et al., *Class-Balanced Loss Based on Effective Number of Samples*, CVPR 2019 (long-tailed CIFAR; `factor` is the imbalance factor).
#[must_use]
pub fn long_tail(classes: u32, factor: f64, largest: usize) -> Vec<ClassSpec> {
    let digits = classes.to_string().len();
    let class = |index: u32| {
        let along = f64::from(index) / f64::from(classes.saturating_sub(1).max(1));
        let count = (largest as f64 * libm::pow(factor, -along)).round() as usize;
        ClassSpec::new(format!("class{:0digits$}", index + 1), count)
    };
    (0..classes).map(class).collect()
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct SampleDataOptions {
    /// Output folder, created if missing; it must be empty.
    pub out: PathBuf,
    /// The classes.
    pub classes: Vec<ClassSpec>,
    /// Number of additional images of each class in `out/test/CLASS`.
    pub test_count: usize,
    /// Seed: the same seed gives the same bytes.
    pub seed: u64,
    /// Number of threads. Affects speed only.
    pub threads: NonZeroUsize,
}

impl SampleDataOptions {
    /// The data set of the reference experiment: 200 flowers, 20 birds, and 10 test images of each.
    #[must_use]
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            classes: vec![ClassSpec::new("flowers", 200), ClassSpec::new("birds", 20)],
            test_count: 10,
            seed: 42,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// The result of [`generate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleDataReport {
    /// Output folder.
    pub out: PathBuf,
    /// The classes in the order given.
    pub classes: Vec<DrawnClass>,
    /// Total size of all files, in bytes.
    pub bytes: u64,
}

/// A generated class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnClass {
    /// Class name.
    pub name: String,
    /// Subject of its images, such as `birds` or `fish 2`.
    pub subject: String,
    /// Images in `out/NAME`.
    pub count: usize,
    /// Images in `out/test/NAME`.
    pub test_count: usize,
}

/// Why a data set could not be generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No class was given.
    #[error("--classes: expected at least one class")]
    NoClasses,
    /// A class without images.
    #[error("--counts: class {name:?} needs at least 1 image")]
    NoPictures {
        /// Class name.
        name: String,
    },
    /// An invalid class name.
    #[error("--classes {name:?}: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why it is invalid.
        reason: &'static str,
    },
    /// The output folder is not empty.
    #[error("cannot write to {}: the folder is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A folder or file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The JPEG encoder failed.
    #[error("cannot encode {}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// The error of the encoder.
        source: image::ImageError,
    },
}

#[cfg(test)]
mod tests;
