//! Draws a data set to try everything out on: real JPEG files in class folders, far more of one class than of another.
//!
//! The pictures stand for the photographs of a person who has 200 of flowers and 20 of birds. Scenes, lighting, clutter and colours
//! come from the same distributions for every class, so that only the thing drawn tells the class.
//!
//! # Layout
//!
//! - [`kind`]: what can be drawn, and which names ask for it
//! - `rng`: the random choices of one picture; `paint`: colours, outlines, angles and the canvas
//! - `scene`: backdrop and clutter; `subject`: one file per kind of thing
//! - `picture`: puts one picture together; `photo`: what a camera does to it, and the JPEG file
//! - `writer`: checks, folders, threads
//!
//! # Determinism
//!
//! A picture is a pure function of the seed, the kind (with its variant), its number and its part (training or test). Neither the
//! other classes, nor their counts, nor the number of threads change it. All floating-point work is additions, multiplications,
//! divisions and square roots in a fixed order; sines and cosines are our own.

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

/// A class to draw: the name of its folder, and how many pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassSpec {
    /// Name of the folder. A name of [`kind::SubjectKind`] draws that kind, any other takes a kind that is left ([`kind::assign`]).
    pub name: String,
    /// Pictures in the class folder, at least 1.
    pub count: usize,
}

impl ClassSpec {
    /// A class of `count` pictures.
    #[must_use]
    pub fn new(name: impl Into<String>, count: usize) -> Self {
        Self {
            name: name.into(),
            count,
        }
    }
}

/// What to draw, and where to.
#[derive(Clone, Debug)]
pub struct SampleDataOptions {
    /// Folder to write into; made where missing, refused where it holds anything.
    pub out: PathBuf,
    /// The classes, each a folder of `out`.
    pub classes: Vec<ClassSpec>,
    /// New pictures of each class in `out/test/CLASS`. 0 leaves the folder out.
    pub test_count: usize,
    /// Same seed, same bytes.
    pub seed: u64,
    /// Threads that draw. They change the time only.
    pub threads: NonZeroUsize,
}

impl SampleDataOptions {
    /// The data set of the reference experiment: 200 flowers, 20 birds, and 10 more of each to predict at the end.
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

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleDataReport {
    /// The folder that holds the class folders.
    pub out: PathBuf,
    /// The classes in the order asked for.
    pub classes: Vec<DrawnClass>,
    /// Bytes of all files.
    pub bytes: u64,
}

/// A class that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnClass {
    /// Name of the folder.
    pub name: String,
    /// What its pictures show, such as `birds` or `fish 2`.
    pub subject: String,
    /// Pictures in `out/NAME`.
    pub count: usize,
    /// Pictures in `out/test/NAME`.
    pub test_count: usize,
}

/// Why a data set was not drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No class was asked for.
    #[error("cannot draw a data set without classes")]
    NoClasses,
    /// A class without pictures.
    #[error("cannot draw class {name:?} with 0 pictures")]
    NoPictures {
        /// The class.
        name: String,
    },
    /// A name that cannot be that of a class folder.
    #[error("cannot use {name:?} as the name of a class folder: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The folder already holds something.
    #[error("cannot draw into {}: the folder is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A folder or file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The JPEG encoder failed.
    #[error("cannot encode {}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What the encoder said.
        source: image::ImageError,
    },
}

#[cfg(test)]
mod tests;
