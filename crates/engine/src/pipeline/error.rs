//! Why a stream cannot be opened, or ends before its last batch.

use std::io;

use super::{position::ResumeError, spec};
use crate::{
    dataset::{Fingerprint, Split},
    decode, sampling,
};

/// Why a stream cannot be opened, or ends before its last batch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of the request.
    #[error(transparent)]
    Spec(#[from] spec::Error),
    /// No dataset of this name.
    #[error("dataset {name:?} is not served here: there is {known}")]
    UnknownDataset {
        /// The name asked for.
        name: String,
        /// Those there are, separated by commas.
        known: String,
    },
    /// No name, and several datasets.
    #[error("dataset is empty, and more than one is served here: name one of {known}")]
    DatasetNotNamed {
        /// Those there are, separated by commas.
        known: String,
    },
    /// The server was started a moment ago.
    #[error("dataset {dataset:?} is still being scanned ({progress} so far): ask again in a while")]
    NotScanned {
        /// The dataset.
        dataset: String,
        /// How far the scan is.
        progress: String,
    },
    /// A split without images.
    #[error("the {} split of dataset {dataset:?} has no images", split.name())]
    EmptySplit {
        /// The dataset.
        dataset: String,
        /// The split asked for.
        split: Split,
    },
    /// No plan.
    #[error(transparent)]
    Plan(#[from] sampling::Error),
    /// Not the stream that the token is from.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// Not the files that the client expects.
    #[error("expected_fingerprint is {expected}, but dataset {dataset:?} has {found}")]
    Fingerprint {
        /// The dataset.
        dataset: String,
        /// In the request.
        expected: Fingerprint,
        /// Of the dataset.
        found: Fingerprint,
    },
    /// The operator's limit on streams.
    #[error("{limit} streams are open, which is the limit here (--max-streams of the server)")]
    TooManyStreams {
        /// The limit.
        limit: usize,
    },
    /// No memory for another stream.
    #[error(
        "a batch takes {bytes} bytes, and what streams left of the server's memory is kept for other clients: ask for smaller batches, or \
         later; the server's operator can allow more by --memory-bytes, or less to each by --stream-bytes"
    )]
    NoMemory {
        /// Of one batch.
        bytes: u64,
    },
    /// A machine that cannot do that.
    #[error("this machine has no memory to share")]
    SharedMemory {
        /// What the system said.
        source: io::Error,
    },
    /// Nothing to put in a broken image's place.
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
        /// Why it cannot be used.
        source: decode::Error,
    },
    /// More broken images than the operator tolerates.
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
        /// The image that was one too many.
        path: String,
    },
    /// The system, not the file, is at fault: another try may succeed.
    #[error("cannot read a file now")]
    Read {
        /// What the system said, and of which file.
        source: decode::Error,
    },
    /// A defect of ours.
    #[error("a worker panicked at epoch {epoch}, step {step}")]
    WorkerPanicked {
        /// Of the batch in hand.
        epoch: u64,
        /// Of the batch in hand.
        step: u64,
    },
}
