//! Why a stream cannot be opened, or ends before its last batch.

use std::io;

use super::{position::ResumeError, validation};
use crate::{
    dataset::{Fingerprint, Split},
    decode, sampling,
};

/// Why a stream cannot be opened, or ends before its last batch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of the request is invalid.
    #[error(transparent)]
    Spec(#[from] validation::Error),
    /// No dataset of this name.
    #[error("dataset {name:?} is unknown: available are {known}")]
    UnknownDataset {
        /// The name in the request.
        name: String,
        /// The available names, separated by commas.
        known: String,
    },
    /// The request names no dataset, and there are several.
    #[error("dataset is empty, and the server has several: name one of {known}")]
    DatasetNotNamed {
        /// The available names, separated by commas.
        known: String,
    },
    /// The dataset is not scanned yet.
    #[error("dataset {dataset:?} is still being scanned ({progress} so far): ask again in a while")]
    NotScanned {
        /// The dataset.
        dataset: String,
        /// Progress of the scan.
        progress: String,
    },
    /// The dataset has no folds for cross-validation.
    #[error("dataset {dataset:?} cannot be divided into folds: {reason}")]
    NoFold {
        /// The dataset.
        dataset: String,
        /// Why not.
        reason: &'static str,
    },
    /// The split has no images.
    #[error("the {} split of dataset {dataset:?} has no images", split.name())]
    EmptySplit {
        /// The dataset.
        dataset: String,
        /// The split in the request.
        split: Split,
    },
    /// The request cannot be planned.
    #[error(transparent)]
    Plan(#[from] sampling::Error),
    /// The resume token belongs to another stream.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The dataset has other files than the client expects.
    #[error("expected_fingerprint is {expected}, but dataset {dataset:?} has {found}")]
    Fingerprint {
        /// The dataset.
        dataset: String,
        /// In the request.
        expected: Fingerprint,
        /// Of the dataset.
        found: Fingerprint,
    },
    /// The limit on open streams is reached.
    #[error("{limit} streams are open, which is the limit here (--max-streams of the server)")]
    TooManyStreams {
        /// The limit.
        limit: usize,
    },
    /// There is no memory for another stream.
    #[error(
        "a batch takes {bytes} bytes, and what streams left of the server's memory is kept for other clients: ask for smaller batches, or \
         later; the server's operator can allow more by --memory-bytes, or less to each by --stream-bytes"
    )]
    NoMemory {
        /// Of one batch.
        bytes: u64,
    },
    /// The system has no sealed shared memory.
    #[error("this machine has no memory to share")]
    SharedMemory {
        /// The error of the system.
        source: io::Error,
    },
    /// There is no replacement for a broken image.
    #[error(
        "class {class:?} of the {} split of dataset {dataset:?} has no readable image left; the last one tried is {path}",
        split.name()
    )]
    NoReadableImage {
        /// The dataset.
        dataset: String,
        /// The split.
        split: Split,
        /// Name of the class.
        class: String,
        /// The last image tried.
        path: String,
        /// Why that cannot be used.
        source: decode::Error,
    },
    /// More images are broken than the configuration tolerates.
    #[error("{broken} of {images} images of the {} split of dataset {dataset:?} cannot be read, the last of them {path}", split.name())]
    TooManyBroken {
        /// The dataset.
        dataset: String,
        /// The split.
        split: Split,
        /// Broken images.
        broken: usize,
        /// Images of the split.
        images: usize,
        /// The image that exceeded the limit.
        path: String,
    },
    /// A transient error of the system; a retry may succeed.
    #[error("cannot read a file now")]
    Read {
        /// The error and the file.
        source: decode::Error,
    },
    /// A worker panicked: a defect of the engine.
    #[error("a worker panicked at epoch {epoch}, step {step}")]
    WorkerPanicked {
        /// Of the batch being rendered.
        epoch: u64,
        /// Of the batch being rendered.
        step: u64,
    },
}
